//! Whatever the peer reports, no more counts as delivered than was sent, and a rate is never above
//! the one at which we sent.
//!
//! PINGs travel in the stream behind the bytes that were sent before them; the PONG tells how many
//! bytes the peer has taken. From the two the delivery rate is estimated as BBR does it from ACKs
//! (draft-ietf-ccwg-bbr, 4.1.2): over about a round trip, by the slower of sending and delivery.

#![forbid(unsafe_code)]

use std::collections::VecDeque;

use super::rate_of;

/// PINGs that may be on their way at once.
pub const PINGS_MAX: usize = 256;

/// A rate is never read over less than this, nanoseconds. What a shaper, a modem or a radio saved
/// up while nothing came passes at once, and says nothing of what follows.
pub const SAMPLE_MIN_NS: u64 = 10_000_000;

/// A PONG, and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feedback {
    /// Now, nanoseconds of our clock.
    pub now_ns: u64,
    /// When its PING was sent, nanoseconds of our clock; it names the PING.
    pub ping_sent_ns: u64,
    /// When the peer answered, nanoseconds of its own clock.
    pub peer_ns: u64,
    /// What the peer has taken since the session began, bytes, counted as in [`Flight::on_sent`].
    pub delivered_bytes: u64,
}

/// What one PONG tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The round trip of the PING, nanoseconds: the base and whatever queue it stood in.
    pub rtt_ns: u64,
    /// The delivery rate over about that round trip, bytes a second.
    pub bytes_per_second: u64,
    /// What had been delivered when the PING was sent, bytes.
    pub prior_delivered_bytes: u64,
    /// What was on its way then, bytes.
    pub prior_inflight_bytes: u64,
    /// What has been delivered now, bytes.
    pub delivered_bytes: u64,
    /// What is on its way now, bytes.
    pub inflight_bytes: u64,
    /// Whether we had less to send than we might have: then the link may be faster than this.
    pub is_app_limited: bool,
}

/// What was known when a PING was sent.
#[derive(Debug, Clone, Copy)]
struct Mark {
    ping_sent_ns: u64,
    inflight_bytes: u64,
    delivered_bytes: u64,
    from: Moment,
    is_app_limited: bool,
}

/// The state of delivery at one time: where a sample can begin.
#[derive(Debug, Clone, Copy)]
struct Moment {
    ours_ns: u64,
    /// Unknown after an idle time, over which no rate is measured.
    peer_ns: Option<u64>,
    delivered_bytes: u64,
    /// When the PING was sent that was answered last.
    first_sent_ns: u64,
}

/// What is on its way to the peer.
#[derive(Debug)]
pub struct Flight {
    sent_bytes: u64,
    delivered_bytes: u64,
    /// Where samples begin: as long ago as they need to be long,
    from: Moment,
    /// and where they will begin next.
    next: Moment,
    /// Samples are app-limited until as much as this is delivered.
    app_limited_until: u64,
    marks: VecDeque<Mark>,
}

impl Flight {
    /// Nothing was sent yet.
    pub fn new(now_ns: u64) -> Flight {
        let begin = Moment {
            ours_ns: now_ns,
            peer_ns: None,
            delivered_bytes: 0,
            first_sent_ns: now_ns,
        };
        Flight {
            sent_bytes: 0,
            delivered_bytes: 0,
            from: begin,
            next: begin,
            app_limited_until: 0,
            marks: VecDeque::with_capacity(PINGS_MAX),
        }
    }

    /// Bytes sent and not yet reported as delivered.
    pub fn inflight_bytes(&self) -> u64 {
        self.sent_bytes - self.delivered_bytes
    }

    /// All that was ever sent, bytes.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// All that was ever reported as delivered, bytes.
    pub fn delivered_bytes(&self) -> u64 {
        self.delivered_bytes
    }

    /// PINGs without an answer.
    pub fn pings(&self) -> usize {
        self.marks.len()
    }

    /// Notes bytes that go into the stream, counted as the peer counts them: payloads of frames
    /// that are no control messages.
    pub fn on_sent(&mut self, now_ns: u64, bytes: u64) {
        if self.inflight_bytes() == 0 {
            // The time in which nothing was under way is no part of any rate.
            self.next = Moment {
                ours_ns: now_ns,
                peer_ns: None,
                delivered_bytes: self.delivered_bytes,
                first_sent_ns: now_ns,
            };
            self.from = self.next;
        }
        self.sent_bytes += bytes;
    }

    /// Notes a PING that goes into the stream now, with `now_ns` as its time.
    pub fn on_ping(&mut self, now_ns: u64) {
        if self.marks.len() == PINGS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark {
            ping_sent_ns: now_ns,
            inflight_bytes: self.inflight_bytes(),
            delivered_bytes: self.delivered_bytes,
            from: self.from,
            is_app_limited: self.delivered_bytes < self.app_limited_until,
        });
    }

    /// Notes that there is nothing to send although more might be sent.
    pub fn on_app_limited(&mut self) {
        self.app_limited_until = self.sent_bytes.max(1);
    }

    /// Takes a PONG in; `None` if it answers no PING that is remembered.
    pub fn on_feedback(&mut self, feedback: Feedback) -> Option<Sample> {
        let delivered_bytes = feedback.delivered_bytes.min(self.sent_bytes);
        if delivered_bytes > self.delivered_bytes {
            self.delivered_bytes = delivered_bytes;
        }
        let place = self
            .marks
            .iter()
            .position(|mark| mark.ping_sent_ns == feedback.ping_sent_ns)?;
        // The stream keeps the order: those before it will not be answered any more.
        let mark = self.marks.drain(..=place).next_back()?;
        let is_due = feedback.now_ns.saturating_sub(self.next.ours_ns) >= SAMPLE_MIN_NS;
        if is_due {
            self.from = self.next;
            self.next = Moment {
                ours_ns: feedback.now_ns,
                peer_ns: Some(feedback.peer_ns),
                delivered_bytes: self.delivered_bytes,
                first_sent_ns: mark.ping_sent_ns,
            };
        }
        // The peer's clock leaves out what the way back does to its answers; but a peer cannot
        // make itself faster by it than the time that has passed here from PING to PONG.
        let rtt_ns = feedback.now_ns.saturating_sub(mark.ping_sent_ns);
        let delivery_ns = match mark.from.peer_ns {
            Some(peer_ns) => feedback.peer_ns.saturating_sub(peer_ns),
            None => feedback.now_ns.saturating_sub(mark.from.ours_ns),
        };
        let sending_ns = mark.ping_sent_ns.saturating_sub(mark.from.first_sent_ns);
        let sample_ns = delivery_ns.max(sending_ns).max(SAMPLE_MIN_NS);
        let bytes = self
            .delivered_bytes
            .saturating_sub(mark.from.delivered_bytes);
        Some(Sample {
            rtt_ns,
            bytes_per_second: rate_of(bytes, sample_ns),
            prior_delivered_bytes: mark.delivered_bytes,
            prior_inflight_bytes: mark.inflight_bytes,
            delivered_bytes: self.delivered_bytes,
            inflight_bytes: self.inflight_bytes(),
            is_app_limited: mark.is_app_limited,
        })
    }
}
