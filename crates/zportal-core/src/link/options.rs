//! What every TCP stream of a tunnel is set to, whichever side opened it.
//!
//! The kernel's buffers are left to its own tuning: a fixed SO_SNDBUF or SO_RCVBUF would bound
//! the throughput of long links. See tcp(7) and socket(7).

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use socket2::SockRef;

use crate::error::Error;

/// A silent peer is asked for a sign of life after this long.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
/// And then again every so long.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// So many unanswered questions end the connection: 11 s after the last sign of life.
const KEEPALIVE_PROBES: u32 = 3;
/// Bytes that the peer does not acknowledge, or leaves no window for, end the connection after
/// this long. Keepalive alone does not see that: it is silent while data is in flight.
const USER_TIMEOUT_MS: u32 = 10_000;

/// Sets a connected TCP socket up: small packets leave at once, and a dead peer is noticed. Those that
/// a listening socket accepts have its settings (the kernel clones them).
pub(super) fn apply_tcp(socket: impl AsFd) -> io::Result<()> {
    let socket = socket.as_fd();
    sockopt::set_tcp_nodelay(socket, true)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(socket, KEEPALIVE_PROBES)?;
    sockopt::set_tcp_user_timeout(socket, USER_TIMEOUT_MS)?;
    Ok(())
}

/// The same, where a refusal must not cost the connection: without these options a tunnel works,
/// it is only slower to send small packets or to notice that the peer has died.
pub(super) fn apply_tcp_or_warn(socket: impl AsFd, address: &str) {
    if let Err(cause) = apply_tcp(socket) {
        log::warn!("cannot set TCP options on the socket of {address}: {cause}");
    }
}

/// Sets SO_MARK, so that routing rules can keep the tunnel's own stream out of the tunnel: before
/// the socket connects or listens, because the first packet is routed by it.
pub(super) fn apply_mark(socket: impl AsFd, mark: Option<u32>) -> io::Result<()> {
    match mark {
        Some(mark) => SockRef::from(&socket).set_mark(mark),
        None => Ok(()),
    }
}

/// Whether the kernel lets us do that; asked before anything is created.
pub(super) fn check_mark(mark: Option<u32>) -> Result<(), Error> {
    let Some(mark) = mark else { return Ok(()) };
    let flags = SocketFlags::CLOEXEC;
    socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
        .map_err(Into::into)
        .and_then(|probe| apply_mark(&probe, Some(mark)))
        .map_err(|cause| Error::SoMark { mark, cause })
}
