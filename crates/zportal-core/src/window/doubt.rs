//! A queue that nobody made is told from a way that has become longer by letting much less be under
//! way: a queue becomes shorter by it.
//!
//! To hold on to the old base round trip on a longer way would starve it: half the limit, half the
//! rate, and so half the limit again. To take a queue for the length of the way would keep it.

#![forbid(unsafe_code)]

use super::path::Round;

/// So much less is let out: one part of so many.
const LESS: u64 = 4;

/// What is found out in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The link was busy with it all the time.
    Queue,
    /// The base round trip is another.
    LongerWay,
}

/// An attempt to tell the two apart.
#[derive(Debug, Clone, Copy)]
pub struct Doubt {
    /// What may be under way until the end of it, bytes.
    pub target_bytes: u64,
    /// Whether more than that is still under way.
    pub is_draining: bool,
    longest_rtt_ns: u64,
    previous_rtt_ns: u64,
}

impl Doubt {
    /// Begins after a round with long round trips, on a link that carries packets of `packet_bytes`.
    pub fn new(round: &Round, packet_bytes: u64) -> Doubt {
        Doubt {
            target_bytes: (round.inflight_bytes / LESS).max(packet_bytes),
            is_draining: true,
            longest_rtt_ns: round.min_rtt_ns,
            previous_rtt_ns: round.min_rtt_ns,
        }
    }

    /// Notes a round trip.
    pub fn on_round_trip(&mut self, rtt_ns: u64) {
        // The lesser of two: one that is long by chance proves nothing.
        self.longest_rtt_ns = self.longest_rtt_ns.max(rtt_ns.min(self.previous_rtt_ns));
        self.previous_rtt_ns = rtt_ns;
    }

    /// What the first round with little under way shows.
    pub fn judge(&self, round: &Round) -> Found {
        if round.min_rtt_ns >= self.longest_rtt_ns / 4 * 3 {
            Found::LongerWay
        } else {
            Found::Queue
        }
    }
}
