//! A proxy on the way: its kind, where it is, and who we are there.

use std::fmt;

use super::credentials::Credentials;
use crate::address::Address;

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SOCKS5, RFC 1928, with or without a password (RFC 1929).
    Socks5,
    /// HTTP CONNECT, RFC 9110 §9.3.6, with or without Basic authentication (RFC 7617).
    Http,
    /// Tor's SOCKS5: credentials choose the circuit, and replies may say more.
    Tor,
}

impl Kind {
    /// Its one word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Socks5 => "socks5",
            Kind::Http => "http",
            Kind::Tor => "tor",
        }
    }
}

/// A proxy on the way to the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// What it speaks.
    pub kind: Kind,
    /// Where it listens, as the hop before it knows it.
    pub address: Address,
    /// Who we are there. A Tor without any is given random ones at each dial, for a circuit of
    /// its own.
    pub credentials: Option<Credentials>,
}

impl From<Address> for Proxy {
    /// SOCKS5 without a password: what an address alone has always meant.
    fn from(address: Address) -> Self {
        Self {
            kind: Kind::Socks5,
            address,
            credentials: None,
        }
    }
}

/// As a URL, without credentials: `socks5://192.0.2.1:1080`, `http+unix:/run/proxy`.
impl fmt::Display for Proxy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, address) = (self.kind.word(), &self.address);
        match address {
            Address::Tcp { .. } => write!(out, "{word}://{address}"),
            Address::UnixPath(_) | Address::UnixAbstract(_) => write!(out, "{word}+{address}"),
        }
    }
}
