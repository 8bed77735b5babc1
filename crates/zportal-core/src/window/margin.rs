//! A path that is found dry again and again while the limit holds us back gets more, and one in
//! which something always stands gets less.
//!
//! Rate times round trip is enough where bytes flow evenly. Through a busy proxy they do not: what
//! is delivered in fits shows a low rate and now and then a short round trip, and a limit made of
//! the two would starve the path for good.

#![forbid(unsafe_code)]

use super::look::Seen;

/// The first margin, nanoseconds; it doubles from there,
const LEAST_NS: u64 = 1_000_000;
/// up to this, nanoseconds,
const MOST_NS: u64 = 50_000_000;
/// while so many looks in a row found the path dry,
const DRY_LOOKS: u32 = 2;
/// and shrinks while more than this always stands on the path, nanoseconds.
const STANDS_NS: u64 = 3_000_000;

/// What may stand on the path beyond rate times round trip.
#[derive(Debug, Clone, Copy, Default)]
pub struct Margin {
    margin_ns: u64,
    dry_looks: u32,
}

impl Margin {
    /// As time at the path's rate, nanoseconds.
    pub fn ns(&self) -> u64 {
        self.margin_ns
    }

    /// Takes in what was seen while the limit was steady.
    pub fn on_look(&mut self, seen: Seen) {
        if seen.is_dry() {
            self.dry_looks += 1;
        } else {
            self.dry_looks = 0;
        }
        if self.dry_looks >= DRY_LOOKS {
            self.margin_ns = (2 * self.margin_ns).clamp(LEAST_NS, MOST_NS);
        } else if seen.standing_ns > STANDS_NS {
            let excess_ns = seen.standing_ns - STANDS_NS;
            self.margin_ns = self.margin_ns.saturating_sub(excess_ns / 2);
        }
    }
}
