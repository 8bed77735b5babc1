//! Whether others need the processor that this thread offers them while it has nothing to do.
//!
//! A thread that sleeps is let in as soon as its packet comes; one that offers the processor stands
//! in line behind whoever took it. So it is offered only where that is soon over.

#![forbid(unsafe_code)]

use std::time::Duration;

/// Others had the processor for longer than this: they have work of their own. A peer on the same
/// machine takes a tenth of it for a packet.
const CROWDED: Duration = Duration::from_micros(500);
/// So it is not offered for this time, nanoseconds, and four times as long each time again,
const STAND_BACK_MIN_NS: u64 = 10_000_000;
/// up to this.
const STAND_BACK_MAX_NS: u64 = 2_560_000_000;
/// After so many offers without that, it is forgotten.
const QUIET_OFFERS: u32 = 32;

/// What became of the offers of one thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct Crowd {
    offer_from_ns: u64,
    stand_back_ns: u64,
    quiet_offers: u32,
}

impl Crowd {
    /// Whether the processor may be offered now.
    pub fn lets_offer(&self, now_ns: u64) -> bool {
        now_ns >= self.offer_from_ns
    }

    /// Learns for how long, at the most, others had the processor when it was offered.
    pub fn on_offer(&mut self, now_ns: u64, others: Duration) {
        if others > CROWDED {
            let longer_ns = self.stand_back_ns.saturating_mul(4);
            self.stand_back_ns = longer_ns.clamp(STAND_BACK_MIN_NS, STAND_BACK_MAX_NS);
            self.offer_from_ns = now_ns + self.stand_back_ns;
            self.quiet_offers = 0;
            return;
        }
        self.quiet_offers = self.quiet_offers.saturating_add(1);
        if self.quiet_offers >= QUIET_OFFERS {
            self.stand_back_ns = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CROWDED, Crowd, QUIET_OFFERS, STAND_BACK_MAX_NS, STAND_BACK_MIN_NS};

    const NOW_NS: u64 = 1_000_000_000;
    const LONG: Duration = CROWDED.saturating_add(Duration::from_nanos(1));

    #[test]
    fn an_offer_that_is_soon_over_may_be_made_again() {
        let mut crowd = Crowd::default();
        for _ in 0..1000 {
            assert!(crowd.lets_offer(NOW_NS));
            crowd.on_offer(NOW_NS, CROWDED);
        }
    }

    #[test]
    fn where_others_need_the_processor_it_is_kept_for_longer_each_time() {
        let mut crowd = Crowd::default();
        let mut stand_back_ns = STAND_BACK_MIN_NS;
        for _ in 0..8 {
            crowd.on_offer(NOW_NS, LONG);
            assert!(!crowd.lets_offer(NOW_NS + stand_back_ns - 1));
            assert!(crowd.lets_offer(NOW_NS + stand_back_ns));
            stand_back_ns = (stand_back_ns * 4).min(STAND_BACK_MAX_NS);
        }
    }

    #[test]
    fn that_is_forgotten_after_enough_quiet_offers() {
        for (quiet_offers, stand_back_ns) in [
            (QUIET_OFFERS - 1, 4 * STAND_BACK_MIN_NS),
            (QUIET_OFFERS, STAND_BACK_MIN_NS),
        ] {
            let mut crowd = Crowd::default();
            crowd.on_offer(NOW_NS, LONG);
            for _ in 0..quiet_offers {
                crowd.on_offer(NOW_NS, Duration::ZERO);
            }
            crowd.on_offer(NOW_NS, LONG);
            assert!(!crowd.lets_offer(NOW_NS + stand_back_ns - 1));
            assert!(crowd.lets_offer(NOW_NS + stand_back_ns));
        }
    }
}
