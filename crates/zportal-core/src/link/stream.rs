//! A stream that is ready for the packet loop.

use std::os::fd::OwnedFd;

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
}

/// What kind of socket a [`Stream`] has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP: its options and TCP_INFO are there.
    Tcp,
    /// A Unix stream socket.
    Unix,
}
