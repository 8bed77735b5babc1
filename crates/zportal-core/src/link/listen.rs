//! Where peers arrive.
//!
//! Accepting never blocks and never ends because of what a newcomer does; each stream is handed
//! over set up for the packet loop.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with};
use tokio::io::Interest;

use super::bind::{Bound, bind};
use super::options;
use super::readiness::watch_borrowed;
use super::stream::{Stream, Transport};
use super::unix_file::SocketFile;
use crate::address::Address;
use crate::error::Error;

/// So many dead newcomers are passed over in one call. More in a row are no newcomers' deaths, but
/// something that refuses us every time and would keep us here for ever.
const DEAD_LIMIT: usize = 1024;

/// With no descriptor left, not even the one in reserve, accepting is tried again after this.
const STARVED_RETRY: Duration = Duration::from_millis(100);

/// A listening socket: non-blocking, close-on-exec. A Unix socket's file lives as long as this.
#[derive(Debug)]
pub struct Listener {
    // The file goes first: see SocketFile.
    _file: Option<SocketFile>,
    socket: OwnedFd,
    local: String,
    transport: Transport,
    /// A descriptor to give up when there are no more: with it a newcomer can be taken and shut
    /// out, instead of staying in the backlog and waking us without end.
    reserve: RefCell<Option<OwnedFd>>,
    /// Whether the last attempt found no descriptor; keeps the log to one line an occasion.
    starved: Cell<bool>,
}

impl Listener {
    /// Listens on `address`. Port 0 takes a free port ([`Listener::local`] tells which); a host
    /// name is looked up in place and the first of its addresses that can be listened on is
    /// taken; `[::]` takes IPv4 as well, whatever the system's `bindv6only`. A Unix socket that
    /// nobody listens on any more is replaced.
    ///
    /// # Errors
    /// [`Error::BindInUse`], [`Error::Resolve`], and [`Error::Bind`] with the cure where there
    /// is a usual one.
    pub fn bind(address: &Address) -> Result<Self, Error> {
        Self::bind_marked(address, None)
    }

    /// The same, with SO_MARK on the packets of its TCP streams.
    ///
    /// # Errors
    /// As [`Listener::bind`], and [`Error::SoMark`].
    pub fn bind_marked(address: &Address, mark: Option<u32>) -> Result<Self, Error> {
        options::check_mark(mark)?;
        let Bound {
            file,
            socket,
            local,
            transport,
        } = bind(address, mark)?;
        if transport == Transport::Tcp {
            // Whoever is accepted has them from here: a crowd costs no system calls for them.
            options::apply_tcp_or_warn(&socket, &local);
        }
        let reserve = RefCell::new(spare_descriptor());
        Ok(Self {
            _file: file,
            socket,
            local,
            transport,
            reserve,
            starved: Cell::new(false),
        })
    }

    /// Where it listens, in a form that [`Address`] parses, with the real port.
    pub fn local(&self) -> String {
        self.local.clone()
    }

    /// Takes a newcomer if one is there; never waits, and needs no runtime.
    ///
    /// # Errors
    /// [`Error::Bind`] with EMFILE, ENFILE, ENOBUFS or ENOMEM: this newcomer was shut out, and
    /// the listener goes on. If even that was not possible it is still in the backlog: whoever
    /// polls should leave the listener alone for 100 ms. Other errors mean a defect.
    pub fn try_accept(&self) -> Result<Option<Stream>, Error> {
        self.try_accept_making_room(|| false)
    }

    /// The same; before a newcomer is shut out for want of a descriptor, `make_room` is asked to
    /// give one up, and says whether it did.
    ///
    /// # Errors
    /// As [`Listener::try_accept`].
    pub fn try_accept_making_room(
        &self,
        mut make_room: impl FnMut() -> bool,
    ) -> Result<Option<Stream>, Error> {
        let mut dead = 0;
        loop {
            match acceptfrom_with(&self.socket, SocketFlags::CLOEXEC) {
                Ok((socket, from)) => {
                    self.starved.set(false);
                    return Ok(Some(self.welcome(socket, from)));
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) if is_the_newcomers(errno) && dead < DEAD_LIMIT => dead += 1,
                // The kernel looks for a descriptor first and for a newcomer second.
                Err(errno) if is_shortage(errno) && self.is_anybody_there() && make_room() => {}
                Err(errno) if is_shortage(errno) && !self.shut_out_one() => return Ok(None),
                Err(errno) => {
                    return Err(Error::Bind {
                        address: self.local(),
                        cure: None,
                        cause: errno.into(),
                    });
                }
            }
        }
    }

    /// Waits for a newcomer, also through a shortage of descriptors or memory. Runs on any tokio
    /// runtime; may be dropped at any time and loses nobody.
    ///
    /// # Errors
    /// [`Error::Bind`] for what cannot happen to a sound listener.
    pub async fn accept(&self) -> Result<Stream, Error> {
        let watched = watch_borrowed(self.socket.as_fd(), Interest::READABLE);
        let failed = |cause| Error::Bind {
            address: self.local(),
            cure: None,
            cause,
        };
        let watched = watched.map_err(failed)?;
        loop {
            let mut ready = watched.readable().await.map_err(failed)?;
            match self.try_accept() {
                Ok(Some(stream)) => return Ok(stream),
                Ok(None) => ready.clear_ready(),
                Err(Error::Bind { cause, .. }) if is_shortage_error(&cause) => {
                    if !self.starved.replace(true) {
                        log::warn!("{}: newcomers are shut out: {cause}", self.local);
                    }
                    if self.reserve.borrow().is_none() {
                        tokio::time::sleep(STARVED_RETRY).await;
                    }
                }
                Err(other) => return Err(other),
            }
        }
    }

    fn welcome(&self, socket: OwnedFd, from: Option<SocketAddrAny>) -> Stream {
        let peer = match self.transport {
            Transport::Tcp => match from.and_then(|from| SocketAddr::try_from(from).ok()) {
                // A listener on [::] sees IPv4 peers as ::ffff:192.0.2.1.
                Some(from) => SocketAddr::new(from.ip().to_canonical(), from.port()).to_string(),
                None => "an unknown TCP peer".to_owned(),
            },
            Transport::Unix => format!("a process at {}", self.local),
        };
        Stream {
            socket,
            early: Vec::new(),
            peer,
            transport: self.transport,
            hops: Vec::new(),
        }
    }

    fn is_anybody_there(&self) -> bool {
        let mut listener = [PollFd::new(&self.socket, PollFlags::IN)];
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // A failure is an interruption: then whoever is there is shut out, as without room.
        poll(&mut listener, Some(&none)).is_ok_and(|ready| ready > 0)
    }

    /// Takes the newcomer for whom there is no descriptor, by way of the one in reserve, and
    /// closes the connection: it hears at once that nobody serves it. False if nobody was there.
    fn shut_out_one(&self) -> bool {
        let mut reserve = self.reserve.borrow_mut();
        let somebody = reserve.take().is_none()
            || acceptfrom_with(&self.socket, SocketFlags::CLOEXEC).err() != Some(Errno::AGAIN);
        *reserve = spare_descriptor();
        somebody
    }
}

impl AsFd for Listener {
    /// For polling; readable means that [`Listener::try_accept`] is worth calling.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Errors of a connection that died in the backlog: accept(2) says to treat them like "try
/// again".
fn is_the_newcomers(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::CONNABORTED
            | Errno::INTR
            | Errno::PROTO
            | Errno::NETDOWN
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::NETUNREACH
    )
}

fn is_shortage(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM
    )
}

fn is_shortage_error(cause: &io::Error) -> bool {
    cause
        .raw_os_error()
        .is_some_and(|number| is_shortage(Errno::from_raw_os_error(number)))
}

fn spare_descriptor() -> Option<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}
