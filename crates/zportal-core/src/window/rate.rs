//! The rate at which a socket passes bytes on is only ever read from times when it had bytes to
//! pass on; other times can show a higher rate, never a lower one.
//!
//! For a link whose slow part begins at our own socket. Behind a proxy that only shows how fast
//! the proxy reads: see [`super::inflight`].

#![forbid(unsafe_code)]

use super::filter::MaxFilter;
use super::rate_of;

/// A rate is read over at least this time: shorter ones show bursts of ACKs, not the link.
pub const SAMPLE_NS: u64 = 10_000_000;
/// And over at least so many bytes, which on a slow link take longer: a socket passes on whole
/// packets, and of a few of them one more or less is half the rate.
pub const SAMPLE_BYTES: u64 = 16 * 1024;
/// But no longer than this: a link that stands still shows itself by passing nothing.
pub const SAMPLE_MAX_NS: u64 = 50_000_000;
/// How often to look at the socket: a sample has to tell whether it ever ran dry.
pub const LOOK_NS: u64 = SAMPLE_NS / 5;
/// A socket that had nothing to pass on and was given no more than this since, bytes, shows nothing:
/// a look would only delay whoever is to answer the packet.
pub const LITTLE_BYTES: u64 = 2048;
/// How often to look at such a one.
pub const LOOK_IDLE_NS: u64 = 2 * SAMPLE_NS;

/// What a link is taken for until it shows its rate, bytes a second: 100 Mbit/s.
pub const ASSUMED_BYTES_PER_SECOND: u64 = 12_500_000;

/// The window of the maximum, in round trips, and its bounds in nanoseconds.
const WINDOW_ROUND_TRIPS: u64 = 10;
const WINDOW_MIN_NS: u64 = 20 * SAMPLE_NS;
const WINDOW_MAX_NS: u64 = 100 * SAMPLE_NS;

/// The socket at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// When, nanoseconds.
    pub now_ns: u64,
    /// All bytes that were ever given to the socket.
    pub handed_bytes: u64,
    /// Those of them that it has not sent for the first time yet (SIOCOUTQNSD); 0 where that
    /// cannot be known.
    pub unsent_bytes: u64,
    /// Whether a send is waiting for room in it.
    pub blocked: bool,
}

impl Look {
    fn passed_bytes(&self) -> u64 {
        self.handed_bytes.saturating_sub(self.unsent_bytes)
    }

    /// Whether it has something to pass on.
    fn is_backlogged(&self) -> bool {
        self.blocked || self.unsent_bytes > 0
    }
}

/// The rate of one socket.
#[derive(Debug, Clone, Default)]
pub struct LinkRate {
    max_bw: MaxFilter,
    /// The newest rate that is not app-limited, bytes a second.
    recent: Option<u64>,
    window_ns: Option<u64>,
    /// Where the current sample began.
    first: Option<Look>,
    last: Option<Look>,
    /// Whether the socket may have run dry in the current sample.
    app_limited: bool,
}

impl LinkRate {
    /// Whether it is time to look at the socket again, which has been given `handed_bytes` in all;
    /// `blocked` as in [`Look`].
    pub fn look_due(&self, now_ns: u64, handed_bytes: u64, blocked: bool) -> bool {
        let Some(last) = self.last else {
            return true;
        };
        let given_bytes = handed_bytes.saturating_sub(last.handed_bytes);
        let is_idle = !blocked && !last.is_backlogged() && given_bytes <= LITTLE_BYTES;
        let every_ns = if is_idle { LOOK_IDLE_NS } else { LOOK_NS };
        now_ns.saturating_sub(last.now_ns) >= every_ns
    }

    /// Learns the round trip, which says how long a rate may be remembered.
    pub fn on_round_trip(&mut self, rtt_ns: u64) {
        let window_ns = rtt_ns.saturating_mul(WINDOW_ROUND_TRIPS);
        self.window_ns = Some(window_ns.clamp(WINDOW_MIN_NS, WINDOW_MAX_NS));
    }

    /// Takes a look at the socket in. Looks may come as often as is convenient; they should come
    /// whenever [`LinkRate::look_due`] says so.
    pub fn on_look(&mut self, look: Look) {
        let (Some(first), Some(last)) = (self.first, self.last) else {
            self.begin(look);
            return;
        };
        self.last = Some(look);
        self.app_limited |= !(last.is_backlogged() && look.is_backlogged());
        let elapsed_ns = look.now_ns.saturating_sub(first.now_ns);
        let passed_bytes = look.passed_bytes().saturating_sub(first.passed_bytes());
        let is_enough = elapsed_ns >= SAMPLE_NS && passed_bytes >= SAMPLE_BYTES;
        if !is_enough && elapsed_ns < SAMPLE_MAX_NS {
            return;
        }
        let rate = rate_of(passed_bytes, elapsed_ns);
        let known = self.max_bw.value().unwrap_or(ASSUMED_BYTES_PER_SECOND);
        if !self.app_limited || rate > known {
            let window_ns = self.window_ns.unwrap_or(WINDOW_MIN_NS);
            self.max_bw.update(window_ns, look.now_ns, rate);
            self.recent = Some(rate);
        }
        self.begin(look);
    }

    /// What the link takes, bytes a second; `None` until it showed more than what is assumed, or
    /// that it takes less.
    ///
    /// The windowed maximum, because most samples miss a little; but no more than twice the newest,
    /// because after a drop of the rate a batch made for the old one would stand in the socket.
    /// Too low is soon mended: small batches show the rate as well as large ones.
    pub fn bytes_per_second(&self) -> Option<u64> {
        let max_bw = self.max_bw.value()?;
        Some(
            self.recent
                .map_or(max_bw, |recent| max_bw.min(recent.saturating_mul(2))),
        )
    }

    fn begin(&mut self, look: Look) {
        self.first = Some(look);
        self.last = Some(look);
        self.app_limited = false;
    }
}
