//! What is said to a proxy so that it joins us to the next hop, as machines without I/O.
//!
//! A machine reads exactly the proxy's answer and not one byte more: what follows belongs to
//! the tunnel. The answer may arrive cut anywhere; the outcome does not depend on the cuts. No
//! message and no `Debug` output carries a name or a password that was given for a proxy.
//!
//! [`Handshake`] is where another protocol is added: one variant here, one file beside
//! [`socks5`] and [`http`]. `link` runs whatever machine it is given over a socket.

#![forbid(unsafe_code)]

mod credentials;
pub mod http;
mod server;
pub mod socks5;
mod step;

use crate::address::Address;
use crate::error::Error;
pub use credentials::Credentials;
use http::Http;
pub use server::{Kind, Proxy};
use socks5::Socks5;
pub use step::{Failure, Step};

/// One proxy's handshake, of whichever kind.
#[derive(Debug)]
pub enum Handshake {
    /// SOCKS5, RFC 1928, also as Tor speaks it.
    Socks5(Socks5),
    /// HTTP CONNECT, RFC 9110 §9.3.6.
    Http(Http),
}

impl Handshake {
    /// A handshake with a proxy of this kind that asks it for a connection to `next`.
    ///
    /// # Errors
    /// [`Error::Option`] if its protocol has no words for `next` or for the credentials.
    pub fn new(
        kind: Kind,
        next: &Address,
        credentials: Option<&Credentials>,
    ) -> Result<Self, Error> {
        match kind {
            Kind::Socks5 => Socks5::new(next, credentials).map(Handshake::Socks5),
            Kind::Tor => Socks5::tor(next, credentials).map(Handshake::Socks5),
            Kind::Http => Http::new(next, credentials).map(Handshake::Http),
        }
    }

    /// Goes on with the bytes that arrived, in order and each once, however they were cut. The
    /// first call takes none.
    pub fn advance(&mut self, input: &[u8]) -> Step {
        match self {
            Handshake::Socks5(machine) => machine.advance(input),
            Handshake::Http(machine) => machine.advance(input),
        }
    }

    /// What the proxy had already said when it ended the stream before its answer was whole;
    /// nothing if that was not enough to tell.
    pub fn ended(&self) -> Option<Failure> {
        match self {
            Handshake::Socks5(_) => None,
            Handshake::Http(machine) => machine.ended(),
        }
    }

    /// What the proxy owes us now, as it reads behind "waiting for".
    pub fn awaiting(&self) -> &'static str {
        match self {
            Handshake::Socks5(machine) => machine.awaiting(),
            Handshake::Http(machine) => machine.awaiting(),
        }
    }
}
