//! Where a way holds everything back now and then and lets it go at once, as much may be under way as
//! gives the link something to do meanwhile: a little more with each stall that is noticed, a little
//! less with each moment without one, and never more than [`SLACK_MAX_NS`].
//!
//! A proxy that leaves Nagle's algorithm on sends the end of what it has only when all before it is
//! acknowledged, and the next proxy acknowledges up to 40 ms later, or with what it has to send
//! itself. Between two such proxies all stands still whenever neither end sends: if we wait for a
//! report, and the report waits for us. Radio links that gather what they send look the same.
//! `tests/chain` has such proxies.

#![forbid(unsafe_code)]

/// A report may be later than what is under way explains by this much, nanoseconds, before it can
/// be the end of a stall: a busy machine, or jitter.
pub const LATE_NS: u64 = 15_000_000;
/// What takes longer than this is no stall that could be bridged, nanoseconds: a way that has become
/// longer, or the link's own trouble.
pub const LONGEST_NS: u64 = 100_000_000;
/// Whatever was held up comes within this time, nanoseconds. What does not has met a slower
/// link or a longer way.
pub const AT_ONCE_NS: u64 = 2_000_000;
/// The most that is added, as time at the path's rate, nanoseconds: the longest that TCP delays
/// an acknowledgement here, and a little.
pub const SLACK_MAX_NS: u64 = 50_000_000;

/// A stall adds this much, nanoseconds;
const STEP_NS: u64 = 8_000_000;
/// and what was added shrinks by one nanosecond in so many, until the next stall shows that it was
/// needed: one in two seconds costs less than a fiftieth of the link.
const DECAY: u64 = 256;

/// A report of what has arrived.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// Now, nanoseconds.
    pub now_ns: u64,
    /// How long it was waited for while nothing more was let out, nanoseconds,
    pub waited_ns: u64,
    /// and how much of that what was under way explains.
    pub expected_ns: u64,
    /// What was under way before it came, bytes.
    pub before_bytes: u64,
    /// What it reports as delivered that was not reported before, bytes.
    pub delivered_bytes: u64,
}

/// What is added for the stalls of one path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stalls {
    slack_ns: u64,
    passed_ns: u64,
    late: Option<Late>,
}

/// A report that was late, and those that came with it.
#[derive(Debug, Clone, Copy)]
struct Late {
    came_ns: u64,
    before_bytes: u64,
    delivered_bytes: u64,
}

impl Stalls {
    /// What may be under way beside what the path carries, as time at its rate, nanoseconds.
    pub fn slack_ns(&self) -> u64 {
        self.slack_ns
    }

    /// Takes a report in; returns whether it shows that there was a stall.
    pub fn on_report(&mut self, report: Report) -> bool {
        let now_ns = report.now_ns;
        let decay_ns = now_ns.saturating_sub(self.passed_ns) / DECAY;
        self.passed_ns = now_ns;
        self.slack_ns = self.slack_ns.saturating_sub(decay_ns);
        let late_ns = report.waited_ns.saturating_sub(report.expected_ns);
        if (LATE_NS..LONGEST_NS).contains(&late_ns) {
            self.late = Some(Late {
                came_ns: now_ns,
                before_bytes: report.before_bytes,
                delivered_bytes: 0,
            });
        }
        let Some(late) = &mut self.late else {
            return false;
        };
        late.delivered_bytes += report.delivered_bytes;
        let is_over = late.delivered_bytes >= late.before_bytes - late.before_bytes / 4;
        let is_in_time = now_ns.saturating_sub(late.came_ns) <= AT_ONCE_NS;
        if is_over || !is_in_time {
            self.late = None;
        }
        let is_stall = is_over && is_in_time;
        if is_stall {
            self.slack_ns = (self.slack_ns + STEP_NS).min(SLACK_MAX_NS);
        }
        is_stall
    }
}
