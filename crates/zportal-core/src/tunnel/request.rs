//! What can be asked of a tunnel, and what it answers.

use std::sync::Arc;

use crate::address::Address;
use crate::error::Error;
use crate::link::{Hop, Way};
use crate::route::Cidr;
use crate::seat::Network;
use crate::tun::TunOptions;

/// Which end of the link this is.
#[derive(Debug, Clone)]
pub enum Role {
    /// Waits for peers.
    Serve {
        /// Where.
        bind: Address,
        /// SO_MARK for the packets of a TCP stream.
        mark: Option<u32>,
        /// Who may come over TCP; empty: everybody.
        allow: Vec<Network>,
    },
    /// Goes to the peer.
    Dial(Way),
}

/// Everything a tunnel needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// The packet device.
    pub tun: TunOptions,
    /// Which end this is.
    pub role: Role,
    /// What is to go into the tunnel beside its own networks.
    pub routes: Vec<Cidr>,
    /// Whether super-packets may be carried, if the peer can.
    pub offload: bool,
    /// Congestion control of the TCP stream to the peer; by default BBR where the kernel has it,
    /// which keeps the buffers on the way short, else the kernel's own default.
    pub congestion: Option<String>,
}

/// What was opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The kernel's name of the device.
    pub name: String,
    /// Where a server listens, port 0 resolved.
    pub local: Option<String>,
}

/// Who the peer is.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// Its address, or the way to it.
    pub address: String,
    /// How long the dial took, milliseconds; on a server, how long it was waited for.
    pub established_ms: u64,
    /// The hops to it that were dialed, the peer last; none on a server.
    pub hops: Vec<Hop>,
    /// How it speaks: `original`, `silent` (nothing came yet), or version and features.
    pub speech: String,
}

/// Takes one answer, on the tunnel's thread.
pub type Reply<T> = Box<dyn FnOnce(Result<T, Error>) + Send>;
/// Takes the reason of a session's end, on the tunnel's thread.
pub type EndReply = Box<dyn FnOnce(Arc<Error>) + Send>;
/// Hears that something is done, on the tunnel's thread.
pub type DoneReply = Box<dyn FnOnce() + Send>;
