//! What is sent and not yet reported as delivered stays within what the path carries in a round
//! trip without a queue, and a little; and it may always be at least one packet.
//!
//! Behind a proxy the standing queue is in the proxy's buffers, where no socket option of ours
//! reaches. So the peer reports what it has taken, and the limit is made of the path's rate and
//! round trip, as in BBR. There is no pacing: reports come several times a round trip, and each
//! lets out as much as it reports.

#![forbid(unsafe_code)]

use super::asking::Asking;
use super::feedback::{Feedback, Flight, Sample};
use super::gate::Gate;
use super::look::Look;
use super::margin::Margin;
use super::path::Path;
use super::phase::{Phase, Phases};
use super::stall::{Report, Stalls};
use super::time_of;

/// The limit before anything is known, bytes: about the initial window of two TCP connections.
pub const INITIAL_BYTES: u64 = 32 * 1024;

/// The limit is never less than this many packets: one that is being sent, and one behind it.
const MIN_PIPE_PACKETS: u64 = 2;

/// The limit of one direction of one link.
#[derive(Debug)]
pub struct Inflight {
    packet_bytes: u64,
    flight: Flight,
    path: Path,
    phases: Phases,
    asking: Asking,
    stalls: Stalls,
    margin: Margin,
    gate: Gate,
    look: Look,
    /// Only of times in which the limit was not changed on purpose.
    steady_look: Look,
    /// When something was last sent within the limit, or reported, nanoseconds.
    moved_ns: u64,
    limit_bytes: u64,
    is_watched: bool,
    is_heeded: bool,
}

impl Inflight {
    /// A new link that carries packets of about `packet_bytes` at the most; super-packets do not
    /// count, they are as large as the rate makes them.
    pub fn new(now_ns: u64, packet_bytes: u64) -> Inflight {
        Inflight {
            packet_bytes,
            flight: Flight::new(now_ns),
            path: Path::default(),
            phases: Phases::new(now_ns, packet_bytes),
            asking: Asking::default(),
            stalls: Stalls::default(),
            margin: Margin::default(),
            gate: Gate::default(),
            look: Look::default(),
            steady_look: Look::default(),
            moved_ns: now_ns,
            limit_bytes: INITIAL_BYTES,
            is_watched: true,
            is_heeded: true,
        }
    }

    /// Whether the path is asked about closely from now on, and whether the limit is heeded. While
    /// it is not, the path is only watched: no queue that stands meanwhile may be taken for its
    /// length. When it is again, it begins anew.
    pub fn heed(&mut self, now_ns: u64, is_watched: bool, is_heeded: bool) {
        self.is_watched = is_watched;
        if is_heeded && !self.is_heeded {
            self.phases = Phases::new(now_ns, self.packet_bytes);
            self.limit_bytes = self.wanted_bytes();
        }
        self.is_heeded = is_heeded;
    }

    /// Whether the limit is heeded.
    pub fn is_heeded(&self) -> bool {
        self.is_heeded
    }

    /// How many bytes may be sent now. While it is not 0, a whole packet may be sent, however
    /// large: one that waits for room of its own size would starve the link.
    pub fn may_send(&self) -> u64 {
        self.limit_bytes
            .saturating_sub(self.flight.inflight_bytes())
    }

    /// Notes bytes that go into the stream, counted as the peer counts them: payloads of frames
    /// that are no control messages.
    pub fn on_sent(&mut self, now_ns: u64, bytes: u64) {
        // What goes past the limit does not end the wait for a report.
        if self.may_send() > 0 {
            self.moved_ns = now_ns;
        }
        self.flight.on_sent(now_ns, bytes);
    }

    /// Notes that nothing waits to be sent although [`Inflight::may_send`] is not 0.
    pub fn on_app_limited(&mut self) {
        self.flight.on_app_limited();
    }

    /// When the next PING is due by itself or `along` with packets, nanoseconds; the past if it is
    /// due now. To be asked before each batch: bytes call for PINGs as time does, where a limit
    /// hangs on them.
    pub fn ping_at(&self, along: bool) -> u64 {
        if self.is_watched {
            let sent_bytes = self.flight.sent_bytes();
            self.asking.steer_due_at(&self.path, sent_bytes)
        } else {
            self.asking.watch_due_at(along)
        }
    }

    /// Makes the next PING due now: there is a reason to doubt that the peer is still reached.
    pub fn hurry(&mut self) {
        self.asking.hurry();
    }

    /// Whether a PING is due. Without it nothing is reported, and at the limit nothing is sent.
    pub fn ping_due(&self, now_ns: u64) -> bool {
        now_ns >= self.ping_at(false)
    }

    /// Notes a PING that goes into the stream behind all that [`Inflight::on_sent`] was told.
    /// Its `sent_ns` must be `now_ns`.
    pub fn on_ping(&mut self, now_ns: u64) {
        self.flight.on_ping(now_ns);
        self.asking.on_ping(now_ns, self.flight.sent_bytes());
    }

    /// Takes a PONG in; returns what it tells of the path, if it answers a PING.
    pub fn on_feedback(&mut self, feedback: Feedback) -> Option<Sample> {
        let now_ns = feedback.now_ns;
        let before_bytes = self.flight.inflight_bytes();
        let (waited_ns, expected_ns) = self.waited(now_ns);
        let sample = self.flight.on_feedback(feedback);
        let delivered_bytes = before_bytes - self.flight.inflight_bytes();
        let is_stall = self.stalls.on_report(Report {
            now_ns,
            waited_ns,
            expected_ns,
            before_bytes,
            delivered_bytes,
        });
        if let Some(sample) = &sample {
            self.path.observe(now_ns, sample);
            self.look(now_ns, sample);
        }
        let has_stalls = self.stalls.slack_ns() > 0;
        self.phases.set_slack(self.slack_ns(), has_stalls);
        if !self.is_heeded {
            return sample;
        }
        if let Some(sample) = &sample {
            self.phases
                .on_sample(now_ns, sample, is_stall, &mut self.path);
        }
        let wanted_bytes = self.wanted_bytes();
        self.limit_bytes = match self.phases.phase() {
            // A queue that we made ourselves goes while one byte is let out for two that are
            // reported, so that nothing has to wait here for long.
            Phase::Down(down) if down.is_draining => {
                self.drained(before_bytes, delivered_bytes.div_ceil(2))
            }
            // One that nobody made is large, and to be waited for either here or there.
            Phase::Doubt(doubt) if doubt.is_draining => self.drained(before_bytes, delivered_bytes),
            _ => wanted_bytes,
        };
        sample
    }

    /// What is known of the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is being done to learn more of it.
    pub fn phase(&self) -> Phase {
        self.phases.phase()
    }

    /// What is added for stalls and fits, as time at the path's rate, nanoseconds.
    pub fn slack_ns(&self) -> u64 {
        self.stalls.slack_ns().max(self.margin.ns())
    }

    /// Whether the limit may be of use here.
    pub fn is_of_use(&self) -> bool {
        self.gate.is_shut()
    }

    /// What may be on its way, bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// What is on its way, bytes.
    pub fn inflight_bytes(&self) -> u64 {
        self.flight.inflight_bytes()
    }

    fn look(&mut self, now_ns: u64, sample: &Sample) {
        let base_rtt_ns = self.path.base_rtt_ns();
        if let Some(seen) = self.look.on_sample(now_ns, sample, base_rtt_ns) {
            self.gate.on_look(now_ns, seen);
        }
        match self.phases.phase() {
            Phase::Cruise { .. } | Phase::Up { .. } if self.is_heeded => {
                if let Some(seen) = self.steady_look.on_sample(now_ns, sample, base_rtt_ns) {
                    self.margin.on_look(seen);
                    self.gate.on_steady_look(now_ns, seen);
                }
            }
            _ => self.steady_look.begin_anew(),
        }
    }

    /// How long a report that comes now was waited for while nothing more was let out, and how much
    /// of that what is under way explains, nanoseconds.
    fn waited(&mut self, now_ns: u64) -> (u64, u64) {
        let waited_ns = match self.may_send() {
            0 if self.is_heeded => now_ns.saturating_sub(self.moved_ns),
            _ => 0,
        };
        self.moved_ns = now_ns;
        let delivery_ns = time_of(self.flight.inflight_bytes(), self.path.bytes_per_second());
        let expected_ns = self.path.empty_rtt_ns().saturating_add(delivery_ns);
        (waited_ns, expected_ns)
    }

    /// What should be under way.
    fn wanted_bytes(&self) -> u64 {
        let path = &self.path;
        let full = path
            .bytes_in(path.empty_rtt_ns())
            .saturating_add(self.phases.allowed_bytes(path));
        let floor = MIN_PIPE_PACKETS * self.packet_bytes;
        match self.phases.phase() {
            Phase::Startup if !self.phases.was_full() => full.saturating_mul(2).max(INITIAL_BYTES),
            Phase::Startup => full.saturating_mul(2).max(floor),
            Phase::Up { extra_ns, .. } => full.saturating_add(path.bytes_in(extra_ns)).max(floor),
            Phase::Cruise { .. } => full.max(floor),
            Phase::Down(down) => down.target_bytes,
            Phase::Doubt(doubt) => doubt.target_bytes,
        }
    }

    /// The limit while what is under way beyond what should be goes by so much.
    fn drained(&self, before_bytes: u64, bytes: u64) -> u64 {
        (self.limit_bytes.min(before_bytes))
            .saturating_sub(bytes)
            .max(self.wanted_bytes())
    }
}
