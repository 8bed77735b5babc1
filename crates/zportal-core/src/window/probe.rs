//! The peer is asked at regular times whether it is there and what it has taken, as long as it
//! knows how to answer; and never while an earlier question was not yet due again.
//!
//! TCP tells of the first hop only. PING and PONG travel the whole way, so they tell of a peer
//! behind proxies that has died, and of what stands before it.

#![forbid(unsafe_code)]

use super::beyond::Beyond;
use super::feedback::Feedback;
use super::inflight::Inflight;
use crate::wire::control::{Delivered, Ping, Pong};
use crate::wire::features::Features;

/// A new round trip counts for this part of the smoothed one (RFC 6298, 2).
const RTT_WEIGHT: u64 = 8;

/// From this delivery rate on, bytes a second, nothing is held back: what proxies buffer is gone
/// in a few milliseconds, and steering would cost throughput.
pub const FAST_BYTES_PER_SECOND: u64 = 125_000_000;
/// Below this it is held back again.
const SLOW_BYTES_PER_SECOND: u64 = FAST_BYTES_PER_SECOND / 2;

/// Whether the peer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Understanding {
    /// It has not said anything.
    Unknown,
    Answers,
    /// It never will, and nothing can be known of the way.
    None,
}

/// What is asked of one peer, and what was heard of it.
#[derive(Debug)]
pub struct Probe {
    inflight: Inflight,
    beyond: Beyond,
    understanding: Understanding,
    /// Whether something between the two ends takes our bytes and passes them on.
    is_relayed: bool,
    sequence: u32,
    rtt_ns: u64,
}

impl Probe {
    /// For a link that carries packets of about `packet_bytes`. Nothing is asked before
    /// [`Probe::learnt`].
    pub fn new(now_ns: u64, packet_bytes: u64, is_relayed: bool) -> Probe {
        let mut probe = Probe {
            inflight: Inflight::new(now_ns, packet_bytes),
            beyond: Beyond::default(),
            understanding: Understanding::Unknown,
            is_relayed,
            sequence: 0,
            rtt_ns: 0,
        };
        probe.heed(now_ns);
        probe
    }

    /// The peer has shown what it can, and whether it knows of a proxy: from now on it is asked,
    /// if it can answer. One that has said nothing for long can not, until it does.
    pub fn learnt(&mut self, now_ns: u64, agreed: Features, is_relayed: bool) {
        self.understanding = if agreed.contains(Features::PING) {
            Understanding::Answers
        } else {
            Understanding::None
        };
        self.is_relayed |= is_relayed;
        self.heed(now_ns);
    }

    /// How many bytes may be sent now, beginning with one packet however large; `u64::MAX` where
    /// nothing is held back.
    pub fn room_bytes(&self) -> u64 {
        if self.inflight.is_heeded() {
            self.inflight.may_send()
        } else {
            u64::MAX
        }
    }

    /// What may be on its way to the peer, bytes, if that is limited.
    pub fn limit_bytes(&self) -> Option<u64> {
        (self.inflight.is_heeded()).then(|| self.inflight.limit_bytes())
    }

    /// The rate at which the peer takes what is sent, bytes a second, where a relay hides it from
    /// TCP; `None` elsewhere and until it is known.
    pub fn relayed_bytes_per_second(&self) -> Option<u64> {
        let rate = self.inflight.path().bytes_per_second();
        Some(rate).filter(|rate| self.is_relayed && *rate > 0)
    }

    /// Whether something between the two ends takes their bytes and passes them on.
    pub fn is_relayed(&self) -> bool {
        self.is_relayed
    }

    /// Takes in how long TCP's own round trip is.
    pub fn on_tcp_rtt(&mut self, rtt_ns: u64) {
        self.beyond.on_tcp_rtt(rtt_ns);
    }

    /// The round trip from end to end, smoothed, nanoseconds; 0 until it is known.
    pub fn rtt_ns(&self) -> u64 {
        self.rtt_ns
    }

    /// The shortest round trip of the last seconds, nanoseconds; 0 until it is known.
    pub fn min_rtt_ns(&self) -> u64 {
        self.inflight.path().base_rtt_ns()
    }

    /// When the next PING is due by itself, nanoseconds; the past if it is due now, `None` if the
    /// peer would not understand it.
    pub fn ping_at(&self) -> Option<u64> {
        self.due_at(false)
    }

    /// Whether a PING is to go along with packets that are sent now.
    pub fn is_due_along(&self, now_ns: u64) -> bool {
        self.due_at(true).is_some_and(|at_ns| now_ns >= at_ns)
    }

    fn due_at(&self, along: bool) -> Option<u64> {
        (self.understanding == Understanding::Answers).then(|| self.inflight.ping_at(along))
    }

    /// Makes the next PING due now: there is a reason to doubt that the peer is still reached.
    pub fn hurry(&mut self) {
        self.inflight.hurry();
    }

    /// The PING that has to go into the stream now, behind all that [`Probe::on_sent`] was told.
    /// `along` says that packets follow it at once, `taken` is what this end has finished with.
    pub fn ping(&mut self, now_ns: u64, along: bool, taken: Delivered) -> Option<Ping> {
        if self.due_at(along)? > now_ns {
            return None;
        }
        self.inflight.on_ping(now_ns);
        self.sequence = self.sequence.wrapping_add(1);
        Some(Ping {
            sequence: self.sequence,
            sent_ns: now_ns,
            delivered: taken,
        })
    }

    /// Notes bytes that go into the stream: payloads of frames that are no messages.
    pub fn on_sent(&mut self, now_ns: u64, payload_bytes: u64) {
        if payload_bytes > 0 {
            self.inflight.on_sent(now_ns, payload_bytes);
        }
    }

    /// Notes that nothing more waits to be sent although more might be.
    pub fn on_app_limited(&mut self) {
        self.inflight.on_app_limited();
    }

    /// Takes an answer in. One that answers nothing, or twice, tells nothing of the way.
    pub fn on_pong(&mut self, now_ns: u64, pong: &Pong) {
        let sample = self.inflight.on_feedback(Feedback {
            now_ns,
            ping_sent_ns: pong.ping_sent_ns,
            peer_ns: pong.sent_ns,
            delivered_bytes: pong.delivered.bytes,
        });
        let Some(sample) = sample else {
            return;
        };
        self.rtt_ns = match self.rtt_ns {
            0 => sample.rtt_ns,
            rtt_ns => rtt_ns - rtt_ns / RTT_WEIGHT + sample.rtt_ns / RTT_WEIGHT,
        };
        self.is_relayed |= self.beyond.on_sample(&sample);
        self.heed(now_ns);
    }

    /// Decides whether the limit is heeded.
    fn heed(&mut self, now_ns: u64) {
        let slow_below = if self.inflight.is_heeded() {
            FAST_BYTES_PER_SECOND
        } else {
            SLOW_BYTES_PER_SECOND
        };
        let is_slow = self.inflight.path().bytes_per_second() < slow_below;
        let is_known = self.understanding != Understanding::None;
        let is_watched = self.is_relayed && is_known && is_slow;
        self.inflight
            .heed(now_ns, is_watched, is_watched && self.inflight.is_of_use());
    }
}
