//! What is said to a proxy so that it joins us to the next hop, as machines without I/O.
//!
//! A machine reads exactly the proxy's answer and not one byte more: what follows belongs to
//! the tunnel. The answer may arrive cut anywhere; the outcome does not depend on the cuts.
//!
//! [`Handshake`] is where another protocol is added (HTTP CONNECT): one variant here, one file
//! beside [`socks5`]. `link` runs whatever machine it is given over a socket.

#![forbid(unsafe_code)]

pub mod socks5;
mod step;

use socks5::Socks5;
pub use step::{Failure, Step};

/// One proxy's handshake, of whichever kind.
#[derive(Debug)]
pub enum Handshake {
    /// SOCKS5, RFC 1928.
    Socks5(Socks5),
}

impl Handshake {
    /// Goes on with the bytes that arrived, in order and each once, however they were cut. The
    /// first call takes none.
    pub fn advance(&mut self, input: &[u8]) -> Step {
        match self {
            Handshake::Socks5(machine) => machine.advance(input),
        }
    }

    /// What the proxy owes us now, as it reads behind "waiting for".
    pub fn awaiting(&self) -> &'static str {
        match self {
            Handshake::Socks5(machine) => machine.awaiting(),
        }
    }
}
