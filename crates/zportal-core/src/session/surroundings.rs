//! What a session borrows.

use crate::link::Listener;
use crate::notices::Notices;
use crate::stats::Stats;
use crate::tun::Tun;
use crate::wake::Wake;

/// What a session borrows from its tunnel.
pub struct Surroundings<'a> {
    /// The packet device.
    pub tun: &'a Tun,
    /// Where newcomers knock, on a server.
    pub listener: Option<&'a Listener>,
    /// How another thread interrupts the session.
    pub wake: &'a Wake,
    /// Where everything is counted.
    pub stats: &'a Stats,
    /// Where people are told.
    pub notices: &'a Notices,
}
