//! Whatever is sent is asked about, soon and at little cost: no more than a part of the bytes is
//! spent on PINGs, and while a limit is steered by their answers a burst is asked about in parts.

#![forbid(unsafe_code)]

use super::SECOND_NS;
use super::feedback::PINGS_MAX;
use super::path::Path;

/// How often to ask when nothing was sent since, nanoseconds.
pub const IDLE_PING_NS: u64 = 2_000_000_000;
/// How often to ask under load when nothing is steered by the answers, nanoseconds: along with
/// what is sent, so that no packet waits for a question.
pub const WATCH_PING_NS: u64 = 100_000_000;

/// PINGs in a base round trip,
const PINGS_PER_RTT: u64 = 8;
/// with these bounds to the time between them, nanoseconds,
const PING_MIN_NS: u64 = 1_000_000;
const PING_MAX_NS: u64 = 5_000_000;
/// but no more than one byte in fifty,
const PING_FRAME_BYTES: u64 = 48;
const PING_SHARE: u64 = 50;
/// as long as reports are not too rare to steer by, nanoseconds.
const PING_RARE_NS: u64 = 50_000_000;

/// The last PING.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asking {
    pinged_ns: Option<u64>,
    pinged_bytes: u64,
}

impl Asking {
    /// When the next PING is due if it only serves to know, nanoseconds: by itself, or `along` with
    /// packets.
    pub fn watch_due_at(&self, along: bool) -> u64 {
        let interval_ns = if along { WATCH_PING_NS } else { IDLE_PING_NS };
        (self.pinged_ns).map_or(0, |pinged_ns| pinged_ns.saturating_add(interval_ns))
    }

    /// When the next PING is due if a limit hangs on it, nanoseconds; the past if it is due now.
    ///
    /// A PING that is sent later comes behind what is sent now. So bytes call for one as time does:
    /// of a burst that goes out at once, each part has to be reported as the link delivers it.
    pub fn steer_due_at(&self, path: &Path, sent_bytes: u64) -> u64 {
        let Some(pinged_ns) = self.pinged_ns else {
            return 0;
        };
        let since_bytes = sent_bytes.saturating_sub(self.pinged_bytes);
        let interval_ns = interval_ns(path);
        if since_bytes == 0 {
            pinged_ns.saturating_add(IDLE_PING_NS)
        } else if since_bytes < interval_bytes(path) {
            pinged_ns.saturating_add(interval_ns)
        } else {
            0
        }
    }

    /// Makes the next PING due now.
    pub fn hurry(&mut self) {
        self.pinged_ns = None;
    }

    /// Notes a PING.
    pub fn on_ping(&mut self, now_ns: u64, sent_bytes: u64) {
        self.pinged_ns = Some(now_ns);
        self.pinged_bytes = sent_bytes;
    }
}

/// What is sent between two PINGs, bytes.
pub fn interval_bytes(path: &Path) -> u64 {
    path.bytes_in(interval_ns(path))
        .max(PING_FRAME_BYTES * PING_SHARE)
}

/// The time between two PINGs, nanoseconds.
fn interval_ns(path: &Path) -> u64 {
    let wanted_ns = (path.base_rtt_ns() / PINGS_PER_RTT).clamp(PING_MIN_NS, PING_MAX_NS);
    let frugal_ns = match path.bytes_per_second() {
        0 => 0,
        rate => PING_FRAME_BYTES * PING_SHARE * SECOND_NS / rate,
    };
    // However long the round trip becomes, PINGs under way stay within what is remembered.
    let remembered_ns = path.latest_rtt_ns() / (PINGS_MAX as u64 / 2);
    wanted_ns
        .max(frugal_ns.min(PING_RARE_NS))
        .max(remembered_ns)
}
