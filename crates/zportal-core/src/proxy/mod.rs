//! What is said to a proxy so that it joins us to the next hop, as machines without I/O.
//!
//! A machine reads exactly the proxy's answer and not one byte more: what follows belongs to
//! the tunnel. The answer may arrive cut anywhere; the outcome does not depend on the cuts.
//!
//! [`Handshake`] is where another protocol is added (HTTP CONNECT): one variant here, one file
//! beside [`socks5`]. `link` runs whatever machine it is given over a socket.

#![forbid(unsafe_code)]

pub mod socks5;

use socks5::Socks5;

/// What a machine wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write `bytes` to the proxy, then advance with the input from `consumed` on.
    Send {
        /// What to write, whole.
        bytes: Vec<u8>,
        /// How many bytes of this input were used up.
        consumed: usize,
    },
    /// All of this input is used up and the answer is not complete: read more.
    NeedMore,
    /// The proxy joined us to the target; the input from `consumed` on came from there.
    Done {
        /// How many bytes of this input were still the proxy's own.
        consumed: usize,
    },
    /// There will be no tunnel through this proxy. Final.
    Failed(Failure),
}

/// Why a proxy does not join us to the target; each carries what it said, as a sentence's tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It wants to know who we are.
    Auth(String),
    /// It understood, and cannot or will not reach the target.
    Refused(String),
    /// What it said is not of its protocol.
    Protocol(String),
}

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
