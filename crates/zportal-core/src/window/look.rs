//! What stood on the path all the time while it was looked at: the shortest round trip of an
//! interval, above the base one. No moment in which a proxy waits or does not run lengthens that,
//! so CoDel looks at the same (RFC 8289, 3.1).

#![forbid(unsafe_code)]

use super::feedback::Sample;

/// How long a look lasts at least, nanoseconds: longer than an acknowledgement is delayed.
const LOOK_NS: u64 = 100_000_000;
const LOOK_SAMPLES: u32 = 4;

/// With less than this standing at some time, nanoseconds, the path has perhaps run dry. Under a
/// limit that works there are always a packet or two, and what is sent from report to report.
pub const DRY_NS: u64 = 500_000;

/// A look that is under way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look(Option<Begun>);

#[derive(Debug, Clone, Copy)]
struct Begun {
    until_ns: u64,
    samples: u32,
    min_rtt_ns: u64,
    is_app_limited: bool,
}

/// What a look has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What stood on the path all the time, nanoseconds at its rate.
    pub standing_ns: u64,
    /// Whether there was at times less to send than might have been sent.
    pub is_app_limited: bool,
}

impl Seen {
    /// Whether nothing stood there at some time although there was more to send.
    pub fn is_dry(&self) -> bool {
        self.standing_ns < DRY_NS && !self.is_app_limited
    }
}

impl Look {
    /// Begins anew: what comes now was let out under other rules.
    pub fn begin_anew(&mut self) {
        self.0 = None;
    }

    /// Takes a sample in; returns what was seen if the look ends with it.
    pub fn on_sample(&mut self, now_ns: u64, sample: &Sample, base_rtt_ns: u64) -> Option<Seen> {
        // What is changed shows after a round trip.
        let until_ns = now_ns.saturating_add(LOOK_NS.max(sample.rtt_ns.saturating_mul(2)));
        let look = self.0.get_or_insert(Begun {
            until_ns,
            samples: 0,
            min_rtt_ns: u64::MAX,
            is_app_limited: false,
        });
        look.samples += 1;
        look.min_rtt_ns = look.min_rtt_ns.min(sample.rtt_ns);
        look.is_app_limited |= sample.is_app_limited;
        if now_ns < look.until_ns || look.samples < LOOK_SAMPLES {
            return None;
        }
        let ended = self.0.take()?;
        Some(Seen {
            standing_ns: ended.min_rtt_ns.saturating_sub(base_rtt_ns),
            is_app_limited: ended.is_app_limited,
        })
    }
}
