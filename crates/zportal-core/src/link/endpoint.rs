//! A socket address of any family as the kernel takes it, resolved and checked.

use std::io;
use std::net::SocketAddr;

use rustix::net::{AddressFamily, SocketAddrUnix};

use super::stream::Transport;
use crate::address::Address;

/// Where a socket can be bound or connected.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    Inet(SocketAddr),
    Unix(SocketAddrUnix),
}

impl Endpoint {
    /// The Unix address that `address` names; nothing if it is TCP.
    pub(super) fn unix(address: &Address) -> io::Result<Option<Self>> {
        let unix = match address {
            Address::Tcp { .. } => return Ok(None),
            Address::UnixPath(path) => SocketAddrUnix::new(path.as_path())?,
            Address::UnixAbstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
        };
        Ok(Some(Endpoint::Unix(unix)))
    }

    pub(super) fn family(&self) -> AddressFamily {
        match self {
            Endpoint::Inet(SocketAddr::V4(_)) => AddressFamily::INET,
            Endpoint::Inet(SocketAddr::V6(_)) => AddressFamily::INET6,
            Endpoint::Unix(_) => AddressFamily::UNIX,
        }
    }

    pub(super) fn transport(&self) -> Transport {
        match self {
            Endpoint::Inet(_) => Transport::Tcp,
            Endpoint::Unix(_) => Transport::Unix,
        }
    }
}
