//! The peer is asked at regular times whether it is there and what it has taken, as long as it
//! knows how to answer; and never while an earlier question was not yet due again.
//!
//! TCP tells of the first hop only. PING and PONG travel the whole way, so they tell of a peer
//! behind proxies that has died, and of what stands before it.

#![forbid(unsafe_code)]

use super::feedback::Feedback;
use super::inflight::Inflight;
use crate::wire::control::{Delivered, Ping, Pong};
use crate::wire::features::Features;

/// A new round trip counts for this part of the smoothed one (RFC 6298, 2).
const RTT_WEIGHT: u64 = 8;

/// What is asked of one peer, and what was heard of it.
#[derive(Debug)]
pub struct Probe {
    inflight: Inflight,
    /// Whether the peer answers PING.
    is_understood: bool,
    sequence: u32,
    heard_ns: u64,
    rtt_ns: u64,
}

impl Probe {
    /// For a link that carries packets of about `packet_bytes`. Nothing is asked before
    /// [`Probe::learnt`].
    pub fn new(now_ns: u64, packet_bytes: u64) -> Probe {
        Probe {
            inflight: Inflight::new(now_ns, packet_bytes),
            is_understood: false,
            sequence: 0,
            heard_ns: now_ns,
            rtt_ns: 0,
        }
    }

    /// The peer has shown what it can: from now on it is asked, if it can answer.
    pub fn learnt(&mut self, agreed: Features) {
        self.is_understood = agreed.contains(Features::PING);
    }

    /// Notes that bytes of the peer have come, whatever they are.
    pub fn heard(&mut self, now_ns: u64) {
        self.heard_ns = now_ns;
    }

    /// When the last bytes of the peer came, or else when the session began, nanoseconds.
    pub fn last_heard_ns(&self) -> u64 {
        self.heard_ns
    }

    /// When the oldest PING was sent that has no answer, nanoseconds; `None` if there is none.
    pub fn unanswered_since_ns(&self) -> Option<u64> {
        self.inflight.unanswered_since_ns()
    }

    /// The round trip from end to end, smoothed, nanoseconds; 0 until it is known.
    pub fn rtt_ns(&self) -> u64 {
        self.rtt_ns
    }

    /// The shortest round trip of the last seconds, nanoseconds; 0 until it is known.
    pub fn min_rtt_ns(&self) -> u64 {
        self.inflight.path().base_rtt_ns()
    }

    /// When the next PING is due, nanoseconds; the past if it is due now, `None` if the peer
    /// would not understand it.
    pub fn ping_at(&self) -> Option<u64> {
        self.is_understood.then(|| self.inflight.watch_ping_at())
    }

    /// Makes the next PING due now: there is a reason to doubt that the peer is still reached.
    pub fn hurry(&mut self) {
        self.inflight.hurry();
    }

    /// The PING that has to go into the stream now, behind all that [`Probe::on_sent`] was told.
    /// `taken` is what this end has finished with.
    pub fn ping(&mut self, now_ns: u64, taken: Delivered) -> Option<Ping> {
        if self.ping_at()? > now_ns {
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
    }
}
