//! From an [`Address`] to a socket that listens there, or to what stands in the way and its cure.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, getsockname, listen, socket_with, sockopt,
};

use super::endpoint::Endpoint;
use super::options;
use super::resolve::resolve_blocking;
use super::stream::Transport;
use super::unix_file::{Obstacle, SocketFile};
use crate::address::{Address, Host};
use crate::error::Error;

/// Connections that the kernel completes before we take them; who comes when it is full tries
/// again by itself (TCP) or waits (Unix).
const BACKLOG: i32 = 512;

/// A listening socket, non-blocking and close-on-exec.
pub(super) struct Bound {
    pub(super) file: Option<SocketFile>,
    pub(super) socket: OwnedFd,
    pub(super) local: String,
    pub(super) transport: Transport,
}

/// With a `mark`, the packets of the streams that are accepted there carry it: the kernel hands it
/// down from the listening socket.
pub(super) fn bind(address: &Address, mark: Option<u32>) -> Result<Bound, Error> {
    match address {
        Address::Tcp { host, port } => bind_host(address, host, *port, mark),
        Address::UnixPath(path) => {
            let socket = open(AddressFamily::UNIX).map_err(|cause| bind_error(address, cause))?;
            let file = SocketFile::bind(&socket, path, || Ok(listen(&socket, BACKLOG)?))
                .map_err(|obstacle| unix_error(address, obstacle))?;
            Ok(Bound {
                file: Some(file),
                socket,
                local: address.to_string(),
                transport: Transport::Unix,
            })
        }
        Address::UnixAbstract(_) => {
            let socket = bind_abstract(address).map_err(|cause| bind_error(address, cause))?;
            Ok(Bound {
                file: None,
                socket,
                local: address.to_string(),
                transport: Transport::Unix,
            })
        }
    }
}

/// The first of the host's addresses that can be listened on.
fn bind_host(address: &Address, host: &Host, port: u16, mark: Option<u32>) -> Result<Bound, Error> {
    let resolved = resolve_blocking(host, port).map_err(|cause| match host {
        Host::Name(name) => Error::Resolve {
            host: name.clone(),
            hop: 0,
            cause,
        },
        _ => bind_error(address, cause),
    })?;
    let mut failure = None;
    for one in resolved {
        match bind_tcp(one, mark) {
            Ok((socket, local)) => {
                return Ok(Bound {
                    file: None,
                    socket,
                    local: local.to_string(),
                    transport: Transport::Tcp,
                });
            }
            Err(cause) => failure = failure.or(Some(cause)),
        }
    }
    let cause = failure.unwrap_or(io::ErrorKind::AddrNotAvailable.into());
    Err(bind_error(address, cause))
}

fn bind_tcp(address: SocketAddr, mark: Option<u32>) -> io::Result<(OwnedFd, SocketAddr)> {
    let family = Endpoint::Inet(address).family();
    let socket = open(family)?;
    options::apply_mark(&socket, mark)?;
    // Connections of the last run that linger in TIME_WAIT are no reason to wait a minute.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if family == AddressFamily::INET6 {
        // Whoever writes [::] means everywhere, also where bindv6only is set.
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    let local = SocketAddr::try_from(getsockname(&socket)?)?;
    Ok((socket, local))
}

fn open(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(socket_with(family, SocketType::STREAM, flags, None)?)
}

fn bind_abstract(address: &Address) -> io::Result<OwnedFd> {
    let socket = open(AddressFamily::UNIX)?;
    if let Some(Endpoint::Unix(unix)) = Endpoint::unix(address)? {
        rustix::net::bind(&socket, &unix)?;
    }
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn unix_error(address: &Address, obstacle: Obstacle) -> Error {
    match obstacle {
        Obstacle::InUse(cause) => Error::BindInUse {
            address: address.to_string(),
            cause,
        },
        Obstacle::NotASocket(cause) => Error::Bind {
            address: address.to_string(),
            cure: Some("a file that is not a socket has that name: move it away"),
            cause,
        },
        Obstacle::Other(cause) => bind_error(address, cause),
    }
}

/// The kernel's answer with the cure of its usual cause here.
fn bind_error(address: &Address, cause: io::Error) -> Error {
    let tcp = matches!(address, Address::Tcp { .. });
    let errno = cause.raw_os_error().map(Errno::from_raw_os_error);
    let address = address.to_string();
    let cure = match errno {
        Some(Errno::ADDRINUSE) => return Error::BindInUse { address, cause },
        Some(Errno::ADDRNOTAVAIL) => {
            Some("no interface here has that address; to listen on all of them, 0.0.0.0 or [::]")
        }
        Some(Errno::ACCESS) if tcp => {
            Some("ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one")
        }
        Some(Errno::ACCESS) => Some("no permission to create a file in that directory"),
        Some(Errno::NOENT) => Some("that directory does not exist; create it"),
        Some(Errno::AFNOSUPPORT) => {
            Some("IPv6 is switched off on this machine; use an IPv4 address")
        }
        Some(Errno::NODEV) => Some("there is no such network interface"),
        Some(Errno::INVAL) if tcp => {
            Some("a link-local address needs its interface, as in [fe80::1%eth0]:7000")
        }
        _ => None,
    };
    Error::Bind {
        address,
        cure,
        cause,
    }
}
