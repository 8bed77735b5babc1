//! What is sent and not yet reported as delivered stays within what the path carries in a base
//! round trip, and a little; yet a path that could carry more always gets more.
//!
//! Behind a proxy the standing queue is in the proxy's buffers, where no socket option of ours
//! reaches. So the peer reports what it has taken, and the limit is made of two maxima of the
//! past, as in BBR: of the delivery rate (`max_bw`) and, turned round, of the round trip
//! (`min_rtt`). There is no pacing: reports come several times a round trip, and each lets out as
//! much as it reports.
//!
//! ```text
//!            rate no longer grows             drained, and seen so for a round
//!  Startup ───────────────────────────► Down ─────────────────────────────────► Cruise
//!  2 × BDP ◄─┐                  ┌─────► 0.9 ×                                   1 × │
//!            │ rate grew        │ a round                                           │ some rounds
//!            └─ in any phase    └───────── Up ◄─────────────────────────────────────┘
//!                                        1.25 ×
//! ```

#![forbid(unsafe_code)]

use super::bytes_in;
use super::feedback::{Feedback, Flight, PINGS_MAX, Sample};
use super::filter::{MaxFilter, MinFilter};

/// The limit before anything is known, bytes: about the initial window of two TCP connections.
pub const INITIAL_BYTES: u64 = 32 * 1024;
/// How long a round trip is remembered as the base one, nanoseconds.
pub const MIN_RTT_FILTER_NS: u64 = 10_000_000_000;
/// How often to ask when nothing is under way, nanoseconds.
pub const IDLE_PING_NS: u64 = 5_000_000_000;

/// The limit is never less than this many packets, so that reports keep coming.
const MIN_PIPE_PACKETS: u64 = 4;
/// The same while the queue is drained.
const MIN_DRAINED_PACKETS: u64 = 2;
/// Packets above what rate and round trip need.
const HEADROOM_PACKETS: u64 = 2;

/// How long a rate is remembered, in base round trips. These are shorter than the rounds of a path
/// with a queue, so a drop of the rate, which makes a queue, is believed sooner than in BBR.
const MAX_BW_FILTER_BASE_RTTS: u64 = 10;
/// The same in round trips as they are now, so that one bad moment is not believed.
const MAX_BW_FILTER_RTTS: u64 = 3;

/// Startup is over when the rate has not grown by a quarter for so many rounds,
const FULL_BW_ROUNDS: u32 = 3;
/// or for so many if a queue shows that the path is full.
const FULL_BW_ROUNDS_WITH_QUEUE: u32 = 1;
/// Rounds from Down to Up,
const CRUISE_ROUNDS: u32 = 6;
/// and at least this time since the last Up, nanoseconds: draining a path with a tiny round trip
/// costs more than a round.
const CYCLE_MIN_NS: u64 = 200_000_000;

/// Round trips vary this much for no reason, nanoseconds.
const JITTER_NS: u64 = 2_000_000;

/// PINGs in a base round trip,
const PINGS_PER_RTT: u64 = 8;
/// with these bounds to the time between them, nanoseconds,
const PING_MIN_NS: u64 = 1_000_000;
const PING_MAX_NS: u64 = 5_000_000;
/// but no more than a hundredth of the bytes,
const PING_FRAME_BYTES: u64 = 48;
const PING_SHARE: u64 = 100;
/// as long as reports are not too rare to steer by, nanoseconds.
const PING_RARE_NS: u64 = 50_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Doubling.
    Startup,
    /// Letting the queue run out, so that the base round trip shows.
    Down { drained: bool },
    /// Holding.
    Cruise { rounds: u32 },
    /// Finding out whether there is more.
    Up,
}

/// One round trip: what is under way at its begin is delivered at its end.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// It ends with a PING that was sent after this much had been delivered, bytes.
    ends_at_bytes: u64,
    min_rtt_ns: u64,
    max_inflight_bytes: u64,
    /// Whether all of it was app-limited.
    is_app_limited: bool,
}

impl Round {
    fn from(delivered_bytes: u64) -> Round {
        Round {
            ends_at_bytes: delivered_bytes,
            min_rtt_ns: u64::MAX,
            max_inflight_bytes: 0,
            is_app_limited: true,
        }
    }

    fn observe(&mut self, sample: &Sample) {
        self.min_rtt_ns = self.min_rtt_ns.min(sample.rtt_ns);
        self.max_inflight_bytes = self.max_inflight_bytes.max(sample.prior_inflight_bytes);
        self.is_app_limited &= sample.is_app_limited;
    }
}

/// The limit of one direction of one link.
#[derive(Debug)]
pub struct Inflight {
    packet_bytes: u64,
    flight: Flight,
    max_bw: MaxFilter,
    min_rtt: MinFilter,
    latest_rtt_ns: u64,
    phase: Phase,
    round: Round,
    /// The rate that the next growth is measured from, bytes a second,
    full_bw: u64,
    /// and the rounds that passed without growth.
    full_bw_rounds: u32,
    up_ended_ns: u64,
    /// The last round in which the round trip was longer than our queue should make it.
    suspicion: Option<Round>,
    limit_bytes: u64,
    pinged_ns: Option<u64>,
    pinged_bytes: u64,
}

impl Inflight {
    /// A new link that carries packets of about `packet_bytes` at the most; super-packets do not
    /// count, they are as large as the rate makes them.
    pub fn new(now_ns: u64, packet_bytes: u64) -> Inflight {
        Inflight {
            packet_bytes,
            flight: Flight::new(now_ns),
            max_bw: MaxFilter::default(),
            min_rtt: MinFilter::default(),
            latest_rtt_ns: 0,
            phase: Phase::Startup,
            round: Round::from(0),
            full_bw: 0,
            full_bw_rounds: 0,
            up_ended_ns: now_ns,
            suspicion: None,
            limit_bytes: INITIAL_BYTES,
            pinged_ns: None,
            pinged_bytes: 0,
        }
    }

    /// How many bytes may be sent now. While it is not 0, a whole packet may be sent, however
    /// large: a packet that waits for room of its own size would starve the link.
    pub fn may_send(&self) -> u64 {
        self.limit_bytes
            .saturating_sub(self.flight.inflight_bytes())
    }

    /// Notes bytes that go into the stream, counted as the peer counts them: payloads of frames
    /// that are no control messages.
    pub fn on_sent(&mut self, now_ns: u64, bytes: u64) {
        self.flight.on_sent(now_ns, bytes);
    }

    /// Notes that nothing waits to be sent although [`Inflight::may_send`] is not 0.
    pub fn on_app_limited(&mut self) {
        self.flight.on_app_limited();
    }

    /// When the next PING is due, nanoseconds; the past if it is due now.
    pub fn ping_at(&self) -> u64 {
        let Some(pinged_ns) = self.pinged_ns else {
            return 0;
        };
        let interval_ns = if self.flight.sent_bytes() > self.pinged_bytes {
            self.ping_interval_ns()
        } else {
            IDLE_PING_NS
        };
        pinged_ns.saturating_add(interval_ns)
    }

    /// Whether a PING is due. Without it nothing is reported, and at the limit nothing is sent.
    pub fn ping_due(&self, now_ns: u64) -> bool {
        now_ns >= self.ping_at()
    }

    /// Notes that a PING goes into the stream, behind all that was told by [`Inflight::on_sent`].
    /// Its `sent_ns` must be `now_ns`.
    pub fn on_ping(&mut self, now_ns: u64) {
        self.flight.on_ping(now_ns);
        self.pinged_ns = Some(now_ns);
        self.pinged_bytes = self.flight.sent_bytes();
    }

    /// Takes a PONG in.
    pub fn on_feedback(&mut self, feedback: Feedback) {
        let now_ns = feedback.now_ns;
        let Some(sample) = self.flight.on_feedback(feedback) else {
            return;
        };
        self.latest_rtt_ns = sample.rtt_ns;
        self.min_rtt
            .update(MIN_RTT_FILTER_NS, now_ns, sample.rtt_ns);
        if !sample.is_app_limited || sample.bytes_per_second > self.bytes_per_second() {
            let window_ns = (self.base_rtt_ns().saturating_mul(MAX_BW_FILTER_BASE_RTTS))
                .max(sample.rtt_ns.saturating_mul(MAX_BW_FILTER_RTTS));
            self.max_bw
                .update(window_ns, now_ns, sample.bytes_per_second);
        }
        self.round.observe(&sample);
        if sample.prior_delivered_bytes >= self.round.ends_at_bytes {
            self.watch_base_rtt(now_ns);
            self.on_round(now_ns);
            self.round = Round::from(self.flight.delivered_bytes());
        }
        if self.phase == (Phase::Down { drained: false })
            && self.flight.inflight_bytes() <= self.limit_in(self.phase)
        {
            self.phase = Phase::Down { drained: true };
            self.round = Round::from(self.flight.delivered_bytes());
        }
        self.limit_bytes = self.limit_in(self.phase);
    }

    /// The delivery rate, bytes a second; 0 until it is known.
    pub fn bytes_per_second(&self) -> u64 {
        self.max_bw.value().unwrap_or(0)
    }

    /// The round trip of an empty path, nanoseconds; 0 until it is known.
    pub fn base_rtt_ns(&self) -> u64 {
        self.min_rtt.value().unwrap_or(0)
    }

    /// The newest round trip, nanoseconds; 0 until it is known.
    pub fn latest_rtt_ns(&self) -> u64 {
        self.latest_rtt_ns
    }

    /// What may be on its way, bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// What is on its way, bytes.
    pub fn inflight_bytes(&self) -> u64 {
        self.flight.inflight_bytes()
    }

    fn on_round(&mut self, now_ns: u64) {
        if self.round.is_app_limited {
            // It tells nothing about the path.
            return;
        }
        let max_bw = self.bytes_per_second();
        if max_bw >= self.full_bw.saturating_add(self.full_bw / 4) {
            self.full_bw = max_bw;
            self.full_bw_rounds = 0;
            self.phase = Phase::Startup;
            return;
        }
        self.phase = match self.phase {
            Phase::Startup => {
                self.full_bw_rounds += 1;
                let rounds = if self.is_queued(self.round.min_rtt_ns) {
                    FULL_BW_ROUNDS_WITH_QUEUE
                } else {
                    FULL_BW_ROUNDS
                };
                if self.full_bw_rounds < rounds {
                    return;
                }
                self.end_up(now_ns)
            }
            Phase::Up => self.end_up(now_ns),
            Phase::Down { drained: true } => Phase::Cruise { rounds: 0 },
            Phase::Down { drained: false } => self.phase,
            Phase::Cruise { rounds } => {
                let waited_ns = now_ns.saturating_sub(self.up_ended_ns);
                if rounds >= CRUISE_ROUNDS && waited_ns >= CYCLE_MIN_NS {
                    Phase::Up
                } else {
                    Phase::Cruise { rounds: rounds + 1 }
                }
            }
        };
    }

    fn end_up(&mut self, now_ns: u64) -> Phase {
        self.up_ended_ns = now_ns;
        self.full_bw = self.bytes_per_second();
        Phase::Down { drained: false }
    }

    /// A round trip far above the base one means a queue, or that the base is another now. A limit
    /// made of the old base would then starve the path: it would halve the rate, which would halve
    /// the limit, and so on. But that very fall tells which it is: a queue gets shorter by it.
    fn watch_base_rtt(&mut self, now_ns: u64) {
        let round = self.round;
        if !self.is_queued(round.min_rtt_ns) {
            self.suspicion = None;
            return;
        }
        let Some(before) = self.suspicion else {
            self.suspicion = Some(round);
            return;
        };
        let at_floor = self.limit_bytes <= MIN_PIPE_PACKETS * self.packet_bytes;
        let fell = round.max_inflight_bytes <= before.max_inflight_bytes / 5 * 3;
        if !fell && !at_floor {
            if round.max_inflight_bytes > before.max_inflight_bytes {
                self.suspicion = Some(round);
            }
            return;
        }
        self.suspicion = Some(round);
        if round.min_rtt_ns >= before.min_rtt_ns / 5 * 4 {
            self.min_rtt.reset(now_ns, round.min_rtt_ns);
            self.suspicion = None;
            self.full_bw = 0;
        }
    }

    /// Whether a round trip is so long that something must be queued.
    fn is_queued(&self, rtt_ns: u64) -> bool {
        let base_ns = self.base_rtt_ns();
        rtt_ns
            > base_ns
                .saturating_add(base_ns / 2)
                .saturating_add(JITTER_NS)
    }

    fn limit_in(&self, phase: Phase) -> u64 {
        let bw = self.bytes_per_second();
        let bdp = bytes_in(bw, self.base_rtt_ns());
        // Reports are as old as the time between them; what was delivered since is not under way.
        let headroom = bytes_in(bw, self.ping_interval_ns())
            .saturating_add(HEADROOM_PACKETS * self.packet_bytes);
        let floor = MIN_PIPE_PACKETS * self.packet_bytes;
        match phase {
            Phase::Startup => (bdp.saturating_mul(2))
                .saturating_add(headroom)
                .max(INITIAL_BYTES),
            Phase::Up => bdp
                .saturating_add(bdp / 4)
                .saturating_add(headroom)
                .max(floor),
            Phase::Cruise { .. } => bdp.saturating_add(headroom).max(floor),
            Phase::Down { .. } => (bdp - bdp / 10).max(MIN_DRAINED_PACKETS * self.packet_bytes),
        }
    }

    fn ping_interval_ns(&self) -> u64 {
        let wanted_ns = (self.base_rtt_ns() / PINGS_PER_RTT).clamp(PING_MIN_NS, PING_MAX_NS);
        let frugal_ns = match self.bytes_per_second() {
            0 => 0,
            bw => PING_FRAME_BYTES * PING_SHARE * super::SECOND_NS / bw,
        };
        // However long the round trip becomes, PINGs under way stay within what is remembered.
        let remembered_ns = self.latest_rtt_ns / (PINGS_MAX as u64 / 2);
        wanted_ns
            .max(frugal_ns.min(PING_RARE_NS))
            .max(remembered_ns)
    }
}
