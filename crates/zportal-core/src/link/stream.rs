//! A stream that is ready for the packet loop.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::proxy::Kind;

/// A connected byte stream, ready to carry frames.
#[derive(Debug)]
pub struct Stream {
    /// Blocking, close-on-exec, options set.
    pub socket: OwnedFd,
    /// Bytes of the peer that arrived behind the last proxy's answer; they come before anything
    /// that is read from the socket. At most a few KiB; empty without proxies.
    pub early: Vec<u8>,
    /// Who is at the other end, as people should see it.
    pub peer: String,
    /// What the first hop runs over.
    pub transport: Transport,
    /// The hops that were dialed, the nearest first and the peer last; none if the peer came to
    /// us.
    pub hops: Vec<Hop>,
}

impl Stream {
    /// Whether a proxy takes the bytes in on the way, so that TCP tells of the first hop only. Of
    /// an accepted stream nobody here knows; the peer says so in its HELLO.
    pub fn is_relayed(&self) -> bool {
        self.hops.len() > 1
    }
}

/// One hop of a dialed way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Where it is, as the hop before it was told.
    pub address: String,
    /// The kind of proxy, or nothing for the peer.
    pub proxy: Option<Kind>,
    /// How long it took to get there from the hop before: for the first one resolution and
    /// connection, for the others the handshake that asked for them.
    pub took: Duration,
}

/// What kind of socket a [`Stream`] has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP: its options and TCP_INFO are there.
    Tcp,
    /// A Unix stream socket.
    Unix,
}
