//! Whether this machine lets a tunnel be opened, one thing at a time.

use std::io;
use std::os::fd::AsFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};

use crate::address::Address;
use crate::error::Error;
use crate::link::Listener;
use crate::session::ring::{Operation, Ring, Wait};
use crate::tun::Tun;
use crate::wake::Wake;
use crate::wire::features::Features;

/// Creates the device of that name and removes it again; the value is what of super-packets its
/// kernel takes. The device never gets an address and is never up.
///
/// # Errors
/// What [`Tun::open`] gives for a device that cannot be created.
pub fn device(name: &str) -> Result<Features, Error> {
    Ok(Tun::create(name)?.offloads())
}

/// Makes a ring as the packet loop does and sends one operation through it: a seccomp filter may
/// allow the making and forbid the use.
///
/// # Errors
/// [`Error::IoUring`] with what forbids it.
pub fn ring() -> Result<(), Error> {
    let mut ring = Ring::new()?;
    let wake = Wake::new().map_err(|cause| Error::Internal(format!("eventfd: {cause}")))?;
    wake.wake();
    ring.poll_readable(Operation::Woken, wake.as_fd());
    let answered = ring.enter(Wait::Completion);
    if answered.is_ok() {
        ring.quiesce();
    }
    answered.map_err(crate::session::ring::forbidden)
}

/// Whether a TCP socket of this process may use a congestion control of that name. Where the
/// kernel would have to load a module for it, asking loads it.
///
/// # Errors
/// The kernel's answer: ENOENT, there is none of that name; EPERM, it is reserved for
/// CAP_NET_ADMIN.
pub fn congestion(name: &str) -> io::Result<()> {
    let family = AddressFamily::INET;
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    Ok(sockopt::set_tcp_congestion(&socket, name)?)
}

/// Listens on the address for a moment; the value is where, port 0 resolved. The file that a dead
/// process left of a Unix socket is taken over and removed, as a tunnel would.
///
/// # Errors
/// What [`Listener::bind`] gives.
pub fn listen(address: &Address) -> Result<String, Error> {
    Ok(Listener::bind(address)?.local())
}

#[cfg(test)]
mod tests {
    use super::{congestion, listen, ring};

    #[test]
    fn a_ring_that_this_machine_has_answers() {
        // Where io_uring is forbidden no other test of this crate could run either.
        ring().expect("io_uring");
    }

    #[test]
    fn a_congestion_control_that_nobody_has_is_told_apart() {
        congestion("reno").expect("reno is part of every kernel");
        let refused = congestion("no_such_thing").expect_err("there is none of that name");
        assert_eq!(refused.raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn listening_leaves_the_address_free() {
        let any = "127.0.0.1:0".parse().expect("an address");
        let local = listen(&any).expect("a free port");
        let same = local.parse().expect("what listen() gives parses");
        assert_eq!(listen(&same).expect("free again"), local);
        let holder = std::net::TcpListener::bind(&local).expect("free for anybody");
        assert_eq!(listen(&same).expect_err("taken").code(), "ZP_BIND_IN_USE");
        drop(holder);
    }
}
