//! One outgoing stream socket while it connects and shakes hands.
//!
//! Every wait is a wait for readiness, so a dropped future leaves nothing in the kernel and
//! dropping the [`Socket`] closes it at once.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags, SocketType, connect, socket_with, sockopt};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::endpoint::Endpoint;
use super::options;
use super::readiness::watch_owned;

/// A Unix socket whose backlog is full has no event for "there is room now": asked again after
/// this long.
const BACKLOG_RETRY: Duration = Duration::from_millis(10);

/// Connected, non-blocking, close-on-exec.
#[derive(Debug)]
pub(super) struct Socket(AsyncFd<OwnedFd>);

impl Socket {
    /// With a `mark`, every packet of it carries that, from the first on.
    pub(super) async fn connect(endpoint: &Endpoint, mark: Option<u32>) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = socket_with(endpoint.family(), SocketType::STREAM, flags, None)?;
        match endpoint {
            Endpoint::Inet(address) => {
                options::apply_mark(&fd, mark)?;
                Self::connect_inet(fd, address).await
            }
            Endpoint::Unix(address) => loop {
                match connect(&fd, address) {
                    Ok(()) => return Self::watch(fd),
                    Err(Errno::AGAIN) => tokio::time::sleep(BACKLOG_RETRY).await,
                    Err(Errno::INTR) => {}
                    Err(cause) => return Err(cause.into()),
                }
            },
        }
    }

    async fn connect_inet(fd: OwnedFd, address: &std::net::SocketAddr) -> io::Result<Self> {
        match connect(&fd, address) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {}
            Err(cause) => return Err(cause.into()),
        }
        // Watched only from here on: a socket that is not connecting yet counts as writable.
        let socket = Self::watch(fd)?;
        let mut ready = socket.0.writable().await?;
        ready.retain_ready();
        let fd = socket.0.get_ref();
        sockopt::socket_error(fd)??;
        // A connection to a port of this machine's own ephemeral range where nobody listens can
        // meet itself (TCP's simultaneous open) and would echo our own packets back.
        // (It has no peer any more if that reset it in this moment: the next write will say so.)
        let met_itself = rustix::net::getpeername(fd)
            .is_ok_and(|peer| peer.is_some() && peer == rustix::net::getsockname(fd).ok());
        if met_itself {
            return Err(Errno::CONNREFUSED.into());
        }
        options::apply_tcp_or_warn(fd, &address.to_string());
        Ok(socket)
    }

    fn watch(fd: OwnedFd) -> io::Result<Self> {
        watch_owned(fd, Interest::READABLE | Interest::WRITABLE).map(Self)
    }

    /// Reads what is there, waiting until something is; 0 is the end of the stream.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *buffer)?)) {
                Ok(Err(cause)) if cause.kind() == io::ErrorKind::Interrupted => {}
                Ok(outcome) => return outcome,
                Err(_would_block) => {}
            }
        }
    }

    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await?;
            // NOSIGNAL: the host process may not ignore SIGPIPE.
            let sent =
                ready.try_io(|fd| Ok(rustix::net::send(fd.get_ref(), bytes, SendFlags::NOSIGNAL)?));
            match sent {
                Ok(Ok(count)) => bytes = &bytes[count..],
                Ok(Err(cause)) if cause.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(cause)) => return Err(cause),
                Err(_would_block) => {}
            }
        }
        Ok(())
    }

    /// Hands the socket over in blocking mode, no longer watched by this runtime.
    pub(super) fn into_blocking(self) -> io::Result<OwnedFd> {
        let fd = self.0.into_inner();
        rustix::io::ioctl_fionbio(&fd, false)?;
        Ok(fd)
    }
}
