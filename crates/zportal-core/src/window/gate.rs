//! The limit is lifted when it does no good, because the path runs dry under it or stays as long as
//! it was, and set again when a queue stands on the path.
//!
//! Of fast proxies nobody notices what they buffer, but to know their rate well enough to steer by
//! it is hardly possible: round trips are far shorter than the moments in which such a proxy, or
//! one of the ends, does something else. And a round trip may be long for other reasons than a
//! queue, such as acknowledgements that two proxies keep each other waiting for.

#![forbid(unsafe_code)]

use super::look::{DRY_NS, Seen};

/// With more than this standing all the time, nanoseconds, there is a queue that people notice.
const STANDS_NS: u64 = 15_000_000;
/// So many looks under the limit without a good one, and it is in vain.
const VAIN_LOOKS: u32 = 10;
/// Then it is not tried again for so long, nanoseconds.
const LIFTED_NS: u64 = 10_000_000_000;

/// Whether to hold back.
#[derive(Debug, Clone, Copy)]
pub struct Gate {
    is_shut: bool,
    vain_looks: u32,
    open_until_ns: u64,
}

impl Default for Gate {
    /// Shut: what would be let into a proxy meanwhile is megabytes, seconds of a slow link.
    fn default() -> Gate {
        Gate {
            is_shut: true,
            vain_looks: 0,
            open_until_ns: 0,
        }
    }
}

impl Gate {
    /// Whether the limit may be of use.
    pub fn is_shut(&self) -> bool {
        self.is_shut
    }

    /// Takes in what was seen, under the limit or not.
    pub fn on_look(&mut self, now_ns: u64, seen: Seen) {
        let stands = seen.standing_ns >= STANDS_NS;
        if !self.is_shut {
            self.is_shut = stands && now_ns >= self.open_until_ns;
        } else if stands {
            self.was_in_vain(now_ns);
        }
    }

    /// Takes in what was seen while the limit was steady.
    pub fn on_steady_look(&mut self, now_ns: u64, seen: Seen) {
        if seen.is_dry() {
            self.was_in_vain(now_ns);
        } else if (DRY_NS..STANDS_NS).contains(&seen.standing_ns) {
            self.vain_looks = 0;
        }
    }

    fn was_in_vain(&mut self, now_ns: u64) {
        self.vain_looks += 1;
        if self.is_shut && self.vain_looks >= VAIN_LOOKS {
            self.is_shut = false;
            self.vain_looks = 0;
            self.open_until_ns = now_ns.saturating_add(LIFTED_NS);
        }
    }
}
