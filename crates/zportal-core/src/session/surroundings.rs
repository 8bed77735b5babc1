//! What a session borrows.

use std::cell::RefCell;

use super::acquaintance::Acquaintance;
use crate::link::NetworkWatch;
use crate::notices::Notices;
use crate::seat::Door;
use crate::stats::Stats;
use crate::tun::Tun;
use crate::wake::Wake;
use crate::words::Words;

/// What a session borrows from its tunnel.
pub struct Surroundings<'a> {
    /// The packet device.
    pub tun: &'a Tun,
    /// Where newcomers wait, on a server.
    pub door: Option<&'a mut Door>,
    /// What tells that the network here has changed.
    pub network: Option<&'a RefCell<NetworkWatch>>,
    /// What earlier links have taught about the peer; nothing where anybody may come.
    pub acquaintance: &'a Acquaintance,
    /// How another thread interrupts the session.
    pub wake: &'a Wake,
    /// Where everything is counted.
    pub stats: &'a Stats,
    /// Where people are told.
    pub notices: &'a Notices,
    /// What the shells of both ends say to each other.
    pub words: &'a Words,
}
