//! A path that has more to give is always found out about, and a queue of our own never taken for
//! the path's length.
//!
//! The phases are BBR's (draft-ietf-ccwg-bbr, 4.3), with its names; what differs comes from there
//! being no pacing and from a queue behind proxies being possibly seconds long:
//!
//! ```text
//!            rate no longer grows               seen what an empty path is like
//!  Startup ──────────────────────────► Down ─────────────────────────────────────► Cruise
//!     ▲                                  ▲                                            │
//!     ├── rate grew by a quarter         ├── rate does not grow ── Up ◄── six rounds ─┤
//!     │   (from Cruise or Up)            └─ it is one ─┐                              │
//!     └── the way is longer ───────────────────────── Doubt ◄── a queue nobody made ──┘
//! ```

#![forbid(unsafe_code)]

use super::asking::interval_bytes;
use super::doubt::{Doubt, Found};
use super::feedback::Sample;
use super::path::{JITTER_NS, Path, Round};
use super::{bytes_in, rate_of};

/// Startup is over when the rate has not grown by a quarter for so many rounds, or for one if a
/// queue shows that the path is full.
const FULL_BW_ROUNDS: u32 = 3;
/// Rounds from Down to Up,
const CRUISE_ROUNDS: u32 = 6;
/// and at least this time since the last Up, nanoseconds: draining a path with a tiny round trip
/// costs more than a round.
const CYCLE_MIN_NS: u64 = 200_000_000;
/// Up first adds what the path carries in this time, nanoseconds, or a quarter if that is less:
/// it is what the queue grows by if the path has no more to give.
const UP_NS: u64 = 10_000_000;
/// It takes a round until what was added arrives, and one until that is reported.
const UP_ROUNDS: u32 = 2;

/// In the first round of Down PINGs come back that were sent before; the next one is measured.
const DOWN_ROUNDS: u32 = 2;
/// Down lets out a tenth less than fits, so that a base round trip that is a little too long shows,
const LESS: u64 = 10;
/// or half if it was.
const DEEPLY_LESS: u64 = 2;

/// What is being done, and so how much may be under way.
#[derive(Debug, Clone, Copy)]
pub enum Phase {
    /// Doubling.
    Startup,
    /// Letting the queue run out, so that the base round trip shows.
    Down(Down),
    /// Finding out whether there is a queue that nobody made.
    Doubt(Doubt),
    /// Holding.
    Cruise {
        /// Since Down.
        rounds: u32,
    },
    /// Finding out whether there is more.
    Up {
        /// What is added, as time at the path's rate, nanoseconds.
        extra_ns: u64,
        /// The path had it to give if its rate reaches this, bytes a second.
        until_bw: u64,
        /// Since it was added.
        rounds: u32,
    },
}

/// How far the queue has run out.
#[derive(Debug, Clone, Copy)]
pub struct Down {
    /// What may be under way until the end of it, bytes.
    pub target_bytes: u64,
    /// Whether more than that is still under way.
    pub is_draining: bool,
    /// Whether it leaves nothing of our own on the path, so that its base round trip shows.
    is_empty: bool,
    /// Rounds since the target was reached.
    rounds: u32,
    /// The base round trip when it began, nanoseconds.
    from_rtt_ns: u64,
}

/// Where the limit is on its way through the phases.
#[derive(Debug)]
pub struct Phases {
    packet_bytes: u64,
    phase: Phase,
    round: Round,
    /// The rate that the next growth is measured from, bytes a second,
    full_bw: u64,
    /// and the rounds that passed without growth.
    full_bw_rounds: u32,
    was_full: bool,
    up_ended_ns: u64,
    /// What is added for stalls, as time at the path's rate, nanoseconds,
    slack_ns: u64,
    has_stalls: bool,
    /// and whether there was one in this round.
    has_stalled: bool,
}

impl Phases {
    /// At the begin of Startup, on a link that carries packets of `packet_bytes`.
    pub fn new(now_ns: u64, packet_bytes: u64) -> Phases {
        Phases {
            packet_bytes,
            phase: Phase::Startup,
            round: Round::new(0, u64::MAX),
            full_bw: 0,
            full_bw_rounds: 0,
            was_full: false,
            up_ended_ns: now_ns,
            slack_ns: 0,
            has_stalls: false,
            has_stalled: false,
        }
    }

    /// What is being done.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the path was ever seen to be full.
    pub fn was_full(&self) -> bool {
        self.was_full
    }

    /// Takes over what is added for stalls and fits, as time at the path's rate, nanoseconds, and
    /// whether any of it is for stalls.
    pub fn set_slack(&mut self, slack_ns: u64, has_stalls: bool) {
        self.slack_ns = slack_ns;
        self.has_stalls = has_stalls;
    }

    /// What may be under way beyond the path's rate times its round trip, bytes.
    pub fn allowed_bytes(&self, path: &Path) -> u64 {
        let slack_bytes = path.bytes_in(self.slack_ns);
        self.headroom_bytes(path).saturating_add(slack_bytes)
    }

    /// The part of it that is not for stalls. Reports are as old as the time between them: so much
    /// less is really under way.
    fn headroom_bytes(&self, path: &Path) -> u64 {
        interval_bytes(path).saturating_add(self.packet_bytes)
    }

    /// Takes a sample in that `path` has seen already, and whether it was held up on the way.
    pub fn on_sample(&mut self, now_ns: u64, sample: &Sample, is_stall: bool, path: &mut Path) {
        self.has_stalled |= is_stall;
        if let Phase::Doubt(doubt) = &mut self.phase {
            doubt.on_round_trip(sample.rtt_ns);
            if is_stall {
                // What was taken for a queue was a stall.
                self.phase = Phase::Cruise { rounds: 0 };
                self.begin_round(now_ns, sample, path);
            }
        }
        if self.round.observe(now_ns, sample) {
            self.on_round(now_ns, path);
            self.begin_round(now_ns, sample, path);
        }
        let (target_bytes, is_draining) = match &mut self.phase {
            Phase::Down(down) => (down.target_bytes, &mut down.is_draining),
            Phase::Doubt(doubt) => (doubt.target_bytes, &mut doubt.is_draining),
            _ => return,
        };
        if *is_draining && sample.inflight_bytes <= target_bytes {
            *is_draining = false;
            self.begin_round(now_ns, sample, path);
        }
    }

    fn on_round(&mut self, now_ns: u64, path: &mut Path) {
        let round = self.round;
        // What was held up and came at once says nothing of a queue.
        let is_queued = !self.has_stalled && path.is_queued(&round, self.allowed_bytes(path));
        let max_bw = path.bytes_per_second();
        let grew = max_bw >= self.full_bw.saturating_add(self.full_bw / 4);
        match self.phase {
            Phase::Down(Down { is_draining, .. }) | Phase::Doubt(Doubt { is_draining, .. })
                if is_draining => {}
            Phase::Down(_) | Phase::Doubt(_) if self.has_stalled => {
                self.phase = Phase::Cruise { rounds: 0 };
            }
            Phase::Down(down) => self.on_down_round(now_ns, path, down),
            Phase::Doubt(doubt) => match doubt.judge(&round) {
                Found::LongerWay => {
                    path.rebase(now_ns, &round);
                    self.begin_startup(path);
                }
                Found::Queue => {
                    // The link was busy, so this is its rate, and it had another when this began.
                    path.observe_busy(now_ns, &round);
                    self.begin_down(now_ns, path, LESS);
                }
            },
            _ if grew => self.begin_startup(path),
            // A path that is neither filled nor busy tells nothing of what it can carry.
            Phase::Startup if round.is_app_limited && !is_queued => {}
            Phase::Startup => {
                self.full_bw_rounds += 1;
                if self.full_bw_rounds >= FULL_BW_ROUNDS || is_queued {
                    self.begin_down(now_ns, path, LESS);
                }
            }
            Phase::Cruise { .. } if is_queued => self.begin_doubt(now_ns),
            Phase::Cruise { rounds } => {
                let waited_ns = now_ns.saturating_sub(self.up_ended_ns);
                self.phase = if rounds >= CRUISE_ROUNDS && waited_ns >= CYCLE_MIN_NS {
                    up(path, UP_NS.min(path.empty_rtt_ns() / 4))
                } else {
                    Phase::Cruise { rounds: rounds + 1 }
                };
            }
            Phase::Up {
                extra_ns, until_bw, ..
            } if max_bw >= until_bw => {
                self.phase = up(path, extra_ns.saturating_mul(2).min(path.empty_rtt_ns()));
            }
            Phase::Up { rounds, .. } if rounds >= UP_ROUNDS => {
                self.begin_down(now_ns, path, LESS);
            }
            Phase::Up {
                extra_ns,
                until_bw,
                rounds,
            } => {
                self.phase = Phase::Up {
                    extra_ns,
                    until_bw,
                    rounds: rounds + 1,
                };
            }
        }
    }

    fn on_down_round(&mut self, now_ns: u64, path: &mut Path, mut down: Down) {
        let round = self.round;
        down.rounds += 1;
        self.phase = Phase::Down(down);
        if down.rounds < DOWN_ROUNDS {
            return;
        }
        if path.is_queued(&round, self.allowed_bytes(path)) {
            return self.begin_doubt(now_ns);
        }
        if !down.is_empty {
            self.phase = Phase::Cruise { rounds: 0 };
            return;
        }
        path.observe_empty(now_ns, &round, self.headroom_bytes(path) / 2);
        let fell_ns = down.from_rtt_ns.saturating_sub(path.base_rtt_ns());
        if fell_ns > path.base_rtt_ns() / 16 + JITTER_NS / 2 {
            // What seemed to be an empty path still had a queue, and perhaps still has.
            self.begin_down(now_ns, path, DEEPLY_LESS);
        } else {
            self.phase = Phase::Cruise { rounds: 0 };
        }
    }

    fn begin_startup(&mut self, path: &Path) {
        self.full_bw = path.bytes_per_second();
        self.full_bw_rounds = 0;
        self.phase = Phase::Startup;
    }

    /// Lets a queue run out that we made ourselves, down to a `less`th below what fits.
    fn begin_down(&mut self, now_ns: u64, path: &Path, less: u64) {
        self.was_full = true;
        self.up_ended_ns = now_ns;
        self.full_bw = path.bytes_per_second();
        let base_bytes = path.bytes_in(path.base_rtt_ns());
        let unreported_bytes = self.headroom_bytes(path) / 2;
        // An empty path is one that stalls, where any does: it is worth that now and then.
        let is_empty = !self.has_stalls || path.is_base_old(now_ns);
        let slack_bytes = if is_empty {
            0
        } else {
            path.bytes_in(self.slack_ns)
        };
        let target_bytes = (base_bytes - base_bytes / less)
            .saturating_add(unreported_bytes)
            .saturating_add(slack_bytes);
        self.phase = Phase::Down(Down {
            target_bytes: target_bytes.max(self.packet_bytes),
            is_draining: true,
            is_empty,
            rounds: 0,
            from_rtt_ns: path.base_rtt_ns(),
        });
    }

    fn begin_doubt(&mut self, now_ns: u64) {
        self.up_ended_ns = now_ns;
        self.phase = Phase::Doubt(Doubt::new(&self.round, self.packet_bytes));
    }

    fn begin_round(&mut self, now_ns: u64, sample: &Sample, path: &Path) {
        // Round trips that become long must be noticed before the first of them is over; but in
        // doubt it is their length that counts.
        let longest_ns = match self.phase {
            Phase::Doubt(_) => u64::MAX,
            _ => path
                .longest_rtt_ns(self.allowed_bytes(path))
                .saturating_mul(2),
        };
        self.has_stalled = false;
        self.round = Round::new(sample.delivered_bytes, now_ns.saturating_add(longest_ns));
    }
}

fn up(path: &Path, extra_ns: u64) -> Phase {
    let max_bw = path.bytes_per_second();
    // Half of what is added, if the path has it to give.
    let added_bytes = bytes_in(max_bw, extra_ns / 2);
    Phase::Up {
        extra_ns,
        until_bw: max_bw.saturating_add(rate_of(added_bytes, path.empty_rtt_ns())),
        rounds: 1,
    }
}
