//! What stands on the path beyond its base round trip is limited while it is our own doing, and
//! only then: a limit that shortens nothing is lifted.
//!
//! For a stream whose TCP tells its round trip. BBR lets a few packets and whatever it takes for
//! aggregated acknowledgements stand in the bottleneck's buffer, cubic fills it; at 20 Mbit/s
//! each 25 KB of that are 10 ms for everybody behind them.

#![forbid(unsafe_code)]

use super::{bytes_in, time_of};

/// The path may hold this much of our data beyond its base round trip, nanoseconds: enough for
/// the link never to run dry between two looks, too little for people to notice.
pub const STANDING_NS: u64 = 4_000_000;
/// A limit must shorten the round trip within this time and a few round trips, nanoseconds.
pub const PATIENCE_NS: u64 = 100_000_000;

const PATIENCE_ROUND_TRIPS: u64 = 4;
/// After the path was found longer, how often to look whether it still is, nanoseconds,
const PROBE_EVERY_NS: u64 = 10_000_000_000;
/// and for how long beside the round trip that it takes for the path to run empty.
const PROBE_NS: u64 = 40_000_000;

/// The limit of one stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing {
    base_rtt_ns: Option<u64>,
    held: Option<Held>,
    limit_bytes: Option<u64>,
    /// When the path was last looked at empty, or found longer.
    probed_ns: u64,
    probing_until_ns: u64,
}

/// An attempt to shorten the round trip.
#[derive(Debug, Clone, Copy)]
struct Held {
    since_ns: u64,
    /// What the link carried when it began. What it carries meanwhile may be the limit's doing.
    bytes_per_second: u64,
    min_rtt_ns: u64,
    /// The shortest round trip of the attempt before, if that let more out and was in vain.
    before_ns: Option<u64>,
}

/// What was seen of the path.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// When, nanoseconds.
    pub now_ns: u64,
    /// The round trip now, smoothed by TCP.
    pub rtt_ns: u64,
    /// The shortest that TCP remembers.
    pub min_rtt_ns: u64,
    /// What the link carries, if that is known.
    pub bytes_per_second: Option<u64>,
    /// What goes at once at the least.
    pub packet_bytes: u64,
}

impl Standing {
    /// How many bytes may be in the socket and on the path together; `None` for no limit.
    pub fn limit_bytes(&self) -> Option<u64> {
        self.limit_bytes
    }

    /// Takes a look at the path.
    pub fn on_look(&mut self, seen: Seen) {
        self.limit_bytes = None;
        let base_ns = self.base_rtt_ns.unwrap_or(seen.min_rtt_ns).min(seen.rtt_ns);
        self.base_rtt_ns = Some(base_ns);
        if self.probes(seen, base_ns) {
            self.held = None;
            self.limit_bytes = Some(seen.packet_bytes);
            return;
        }
        let within_ns = base_ns.saturating_add(STANDING_NS);
        let Some(rate) = seen.bytes_per_second.filter(|_| seen.rtt_ns > within_ns) else {
            self.held = None;
            return;
        };
        let begin = |before_ns| Held {
            since_ns: seen.now_ns,
            bytes_per_second: rate,
            min_rtt_ns: seen.rtt_ns,
            before_ns,
        };
        let held = self.held.get_or_insert_with(|| begin(None));
        let held_ns = seen.now_ns.saturating_sub(held.since_ns);
        let patience_ns = PATIENCE_NS.saturating_add(seen.rtt_ns * PATIENCE_ROUND_TRIPS);
        // The first half shows what the time before has left.
        if held_ns <= patience_ns / 2 {
            held.min_rtt_ns = seen.rtt_ns;
        }
        held.min_rtt_ns = held.min_rtt_ns.min(seen.rtt_ns);
        if held_ns > patience_ns {
            // If the link has become slower, to let out as much less shortens the round trip. If
            // that has not helped, the path has become longer, or others fill it.
            if held
                .before_ns
                .is_some_and(|before| held.min_rtt_ns >= before / 4 * 3)
            {
                self.base_rtt_ns = Some(held.min_rtt_ns);
                self.held = None;
                self.probed_ns = seen.now_ns;
                return;
            }
            let packet_ns = time_of(seen.packet_bytes, held.bytes_per_second);
            let expected_ns = within_ns.saturating_add(packet_ns);
            let is_in_vain = held.min_rtt_ns > expected_ns / 2 * 3 + 2 * packet_ns;
            *held = begin(is_in_vain.then_some(held.min_rtt_ns));
        }
        let rate = held.bytes_per_second;
        self.limit_bytes = Some(bytes_in(rate, within_ns).saturating_add(seen.packet_bytes));
    }

    /// Whether to let the path run empty, because it was shorter once and may be again.
    fn probes(&mut self, seen: Seen, base_ns: u64) -> bool {
        let was_shorter = base_ns > seen.min_rtt_ns.saturating_add(STANDING_NS / 4);
        if was_shorter && seen.now_ns.saturating_sub(self.probed_ns) > PROBE_EVERY_NS {
            self.probed_ns = seen.now_ns;
            self.probing_until_ns = seen.now_ns + seen.rtt_ns + PROBE_NS;
        }
        seen.now_ns < self.probing_until_ns
    }
}
