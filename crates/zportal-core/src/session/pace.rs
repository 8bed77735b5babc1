//! How fast the link is, as the socket shows it, and what follows from that: the one place that
//! asks the socket about its unsent bytes and tells it how many there may be.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::link::Transport;
use crate::queue::codel;
use crate::window::batch::{NotsentLowat, Sizes};
use crate::window::rate::{LinkRate, Look};

/// The rate of one link, and the sizes that were made from it.
pub struct Pace {
    transport: Transport,
    packet_bytes: u64,
    rate: LinkRate,
    lowat: NotsentLowat,
}

impl Pace {
    /// Nothing is known. A batch is never smaller than `packet_bytes`.
    pub fn new(transport: Transport, packet_bytes: u64) -> Pace {
        Pace {
            transport,
            packet_bytes,
            rate: LinkRate::default(),
            lowat: NotsentLowat::default(),
        }
    }

    /// Bytes a second that the link was seen to carry; 0 while nothing is known.
    pub fn bytes_per_second(&self) -> u64 {
        self.rate.bytes_per_second().unwrap_or(0)
    }

    /// The queue's target at this rate, nanoseconds.
    pub fn target_ns(&self) -> u64 {
        let rate = self.rate.bytes_per_second();
        rate.map_or(codel::TARGET_NS, codel::target_for)
    }

    /// Takes a sample when one is due, and tells the sizes that follow. `handed_bytes` is what the
    /// socket took since the session began.
    pub fn look(
        &mut self,
        now_ns: u64,
        socket: BorrowedFd<'_>,
        handed_bytes: u64,
        blocked: bool,
    ) -> Option<Sizes> {
        if !self.rate.look_due(now_ns) {
            return None;
        }
        let unsent_bytes = match self.transport {
            Transport::Tcp => unsent_bytes(socket),
            Transport::Unix => 0,
        };
        self.rate.on_look(Look {
            now_ns,
            handed_bytes,
            unsent_bytes,
            blocked,
        });
        let sizes = Sizes::at(self.bytes_per_second(), self.packet_bytes);
        if self.transport == Transport::Tcp
            && let Some(bytes) = self.lowat.change(sizes.unsent_bytes)
        {
            set_notsent_lowat(socket, bytes);
        }
        Some(sizes)
    }
}

/// What waits in the socket and was never sent (`SIOCOUTQNSD`, linux/sockios.h); 0 if the socket
/// does not tell.
fn unsent_bytes(socket: BorrowedFd<'_>) -> u64 {
    /// `SIOCOUTQNSD` of linux/sockios.h, which libc does not have.
    const SIOCOUTQNSD: libc::Ioctl = 0x894B;
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request writes one int, which lives until the call returns.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCOUTQNSD, &raw mut bytes) };
    if result < 0 {
        return 0;
    }
    u64::try_from(bytes).unwrap_or(0)
}

/// `TCP_NOTSENT_LOWAT` (tcp(7)): above it the socket takes nothing more. A refusal costs latency.
fn set_notsent_lowat(socket: BorrowedFd<'_>, bytes: u64) {
    let bytes = libc::c_uint::try_from(bytes).unwrap_or(libc::c_uint::MAX);
    let size = size_of_val(&bytes) as libc::socklen_t;
    // SAFETY: the option reads one int, which lives until the call returns.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_NOTSENT_LOWAT,
            (&raw const bytes).cast(),
            size,
        )
    };
}
