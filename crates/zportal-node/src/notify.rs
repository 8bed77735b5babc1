//! Words for the service manager (sd_notify(3)): one datagram to the Unix socket that it named.
//! Node has no datagram sockets of that family.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use napi_derive::napi;

/// Sends it to the socket of that path, or of that abstract name where it starts with `@`. The
/// value is the errno of what went wrong, if anything did; it never waits.
#[napi]
pub fn sd_notify(socket: String, state: String) -> Option<i32> {
    let sent = send(&socket, &state);
    sent.err()
        .map(|error| error.raw_os_error().unwrap_or_default())
}

fn send(socket: &str, state: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let sender = UnixDatagram::unbound()?;
    // A manager that does not read must not hold the tunnel up.
    sender.set_nonblocking(true)?;
    let sent = sender.send_to_addr(state.as_bytes(), &address)?;
    if sent < state.len() {
        return Err(io::Error::from(io::ErrorKind::WriteZero));
    }
    Ok(())
}
