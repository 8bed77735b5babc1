//! How fast the link is, as the socket shows it, and what follows from that: the one place that
//! asks the socket about its bytes under way and tells it how many there may be.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::link::Transport;
use crate::queue::codel;
use crate::window::batch::{NotsentLowat, Sizes, UNSENT_MAX_BYTES};
use crate::window::rate::{LinkRate, Look};
use crate::window::standing::{Seen, Standing};

/// The shortest wait for room, nanoseconds.
const PAUSE_MIN_NS: u64 = 200_000;
/// The longest wait for room, nanoseconds: the rate may have risen meanwhile.
const PAUSE_MAX_NS: u64 = 5_000_000;
/// Below this, bytes a second, a link counts as stalled rather than slow.
const RATE_MIN: u64 = 8 * 1024;
const SECOND_NS: u64 = 1_000_000_000;

/// The rate of one link, and the sizes that were made from it.
pub struct Pace {
    transport: Transport,
    packet_bytes: u64,
    rate: LinkRate,
    /// What arrives at the peer, where a proxy takes more than that.
    relayed: Option<u64>,
    tcp_rtt_ns: Option<u64>,
    sizes: Sizes,
    lowat: NotsentLowat,
    standing: Standing,
}

impl Pace {
    /// Nothing is known. A batch is never smaller than `packet_bytes`.
    pub fn new(transport: Transport, packet_bytes: u64) -> Pace {
        Pace {
            transport,
            packet_bytes,
            rate: LinkRate::default(),
            relayed: None,
            tcp_rtt_ns: None,
            sizes: Sizes::at(0, packet_bytes),
            lowat: NotsentLowat::default(),
            standing: Standing::default(),
        }
    }

    /// Bytes a second that the link was seen to carry; 0 while nothing is known.
    pub fn bytes_per_second(&self) -> u64 {
        self.known_rate().unwrap_or(0)
    }

    fn known_rate(&self) -> Option<u64> {
        match (self.rate.bytes_per_second(), self.relayed) {
            (Some(socket), Some(relayed)) => Some(socket.min(relayed)),
            (socket, relayed) => socket.or(relayed),
        }
    }

    /// TCP's own round trip, nanoseconds, as of the last look.
    pub fn tcp_rtt_ns(&self) -> Option<u64> {
        self.tcp_rtt_ns
    }

    /// What may be in the socket and on the path of its own TCP, bytes, if that is limited.
    pub fn standing_limit_bytes(&self) -> Option<u64> {
        self.standing.limit_bytes()
    }

    /// How batches and pieces should be now.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The queue's target at this rate, nanoseconds.
    pub fn target_ns(&self) -> u64 {
        let rate = self.known_rate();
        rate.map_or(codel::TARGET_NS, codel::target_for)
    }

    /// Takes a sample when one is due; true if it did. `handed_bytes` is what the socket took
    /// since the session began, `blocked` whether more waits than it takes, `relayed` the rate at
    /// which the peer takes what a proxy passes on.
    pub fn look(
        &mut self,
        now_ns: u64,
        socket: BorrowedFd<'_>,
        handed_bytes: u64,
        blocked: bool,
        relayed: Option<u64>,
    ) -> bool {
        if !self.rate.look_due(now_ns, handed_bytes, blocked) {
            return false;
        }
        self.relayed = relayed;
        let path = self.path(socket);
        self.rate.on_look(Look {
            now_ns,
            handed_bytes,
            unsent_bytes: path.map_or(0, |path| path.unsent_bytes),
            blocked,
        });
        self.sizes = Sizes::at(self.bytes_per_second(), self.packet_bytes);
        if let Some(path) = path {
            // What is urgent goes beyond the unsent bytes at which everything else is held back.
            let lowat_bytes = self.sizes.unsent_bytes + self.sizes.batch_bytes;
            if let Some(bytes) = self.lowat.change(lowat_bytes) {
                set_notsent_lowat(socket, bytes);
            }
            self.tcp_rtt_ns = Some(path.rtt_ns);
            self.rate.on_round_trip(path.rtt_ns);
            self.standing.on_look(Seen {
                now_ns,
                rtt_ns: path.rtt_ns,
                min_rtt_ns: path.min_rtt_ns,
                bytes_per_second: self.rate.bytes_per_second(),
                packet_bytes: self.packet_bytes,
            });
        }
        true
    }

    /// Whether the socket is asked before each batch how much stands in it.
    pub fn asks_socket(&self) -> bool {
        self.felt_rate().is_some()
    }

    /// Bytes a second, where so few that what stands in the socket can be felt.
    fn felt_rate(&self) -> Option<u64> {
        // Where nothing stands that could be felt, no question is worth its system call.
        if self.transport != Transport::Tcp || self.sizes.unsent_bytes >= UNSENT_MAX_BYTES {
            return None;
        }
        // A stall reads as a rate of nothing.
        Some(self.rate.bytes_per_second()?.max(RATE_MIN))
    }

    /// How long to leave the socket alone, nanoseconds, because enough stands in it or behind it;
    /// `None` if it may have more now.
    pub fn pause_ns(&self, socket: BorrowedFd<'_>) -> Option<u64> {
        let rate = self.felt_rate()?;
        let unsent = socket_bytes(socket, SIOCOUTQNSD);
        let mut excess = unsent.saturating_sub(self.sizes.unsent_bytes);
        if let Some(limit) = self.standing.limit_bytes() {
            let standing = socket_bytes(socket, SIOCOUTQ);
            excess = excess.max(standing.saturating_sub(limit));
        }
        if excess == 0 {
            return None;
        }
        let drain_ns = u128::from(excess) * u128::from(SECOND_NS) / u128::from(rate);
        let drain_ns = u64::try_from(drain_ns).unwrap_or(u64::MAX);
        Some(drain_ns.clamp(PAUSE_MIN_NS, PAUSE_MAX_NS))
    }

    /// Lets what was received be acknowledged now rather than within 40 ms.
    ///
    /// A proxy that leaves Nagle's algorithm on (microsocks does) holds back the end of what it
    /// has for us until all before it is acknowledged; and that end is often the answer that we
    /// need to send on.
    pub fn acknowledge(&self, socket: BorrowedFd<'_>) {
        if self.transport == Transport::Tcp {
            // A refusal costs latency.
            let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
        }
    }

    /// Lets TCP send at once what it holds back. What a device did not take while it was down waits
    /// for a timer that has grown to seconds, also when the device is there again.
    pub fn push(&self, socket: BorrowedFd<'_>) {
        if self.transport == Transport::Tcp {
            // It is on already: setting it sends what waits (tcp(7)). A refusal costs that time.
            let _ = rustix::net::sockopt::set_tcp_nodelay(socket, true);
        }
    }

    fn path(&self, socket: BorrowedFd<'_>) -> Option<Path> {
        match self.transport {
            Transport::Tcp => Path::of(socket),
            Transport::Unix => None,
        }
    }
}

/// What TCP knows of its path.
#[derive(Debug, Clone, Copy)]
struct Path {
    unsent_bytes: u64,
    /// Smoothed round trip.
    rtt_ns: u64,
    /// The shortest round trip of the last minutes.
    min_rtt_ns: u64,
}

impl Path {
    /// `TCP_INFO` (linux/tcp.h, `struct tcp_info`), which libc has only the beginning of; `None`
    /// from a kernel before 4.9, which does not fill as much.
    fn of(socket: BorrowedFd<'_>) -> Option<Path> {
        const RTT_AT: usize = 68;
        const NOTSENT_BYTES_AT: usize = 144;
        const MIN_RTT_AT: usize = 148;
        const NEEDED_BYTES: usize = 152;
        let mut info = [0_u8; NEEDED_BYTES];
        let mut size = NEEDED_BYTES as libc::socklen_t;
        // SAFETY: the option writes at most `size` bytes into the array and says how many.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &raw mut size,
            )
        };
        if result < 0 || (size as usize) < NEEDED_BYTES {
            return None;
        }
        let field = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&info[at..at + 4]);
            u64::from(u32::from_ne_bytes(bytes))
        };
        Some(Path {
            unsent_bytes: field(NOTSENT_BYTES_AT),
            rtt_ns: field(RTT_AT) * 1000,
            min_rtt_ns: field(MIN_RTT_AT) * 1000,
        })
    }
}

/// Bytes that the peer has not acknowledged, sent or not (linux/sockios.h).
const SIOCOUTQ: libc::Ioctl = 0x5411;
/// Bytes that were never sent (linux/sockios.h).
const SIOCOUTQNSD: libc::Ioctl = 0x894B;

/// Asks one of the two; 0 if the socket does not tell.
fn socket_bytes(socket: BorrowedFd<'_>, request: libc::Ioctl) -> u64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: both requests write one int, which lives until the call returns.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), request, &raw mut bytes) };
    if result < 0 {
        return 0;
    }
    u64::try_from(bytes).unwrap_or(0)
}

/// `TCP_NOTSENT_LOWAT` (tcp(7)): with more than this unsent the socket is not writable. A refusal
/// costs latency.
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
