//! Our end of the tunnel, as a session would drive queue and window, without any descriptor.

use zportal_core::queue::DropCause;
use zportal_core::queue::fq_codel::{Config, FqCodel};
use zportal_core::window::batch::{NotsentLowat, Sizes};
use zportal_core::window::feedback::Feedback;
use zportal_core::window::inflight::Inflight;
use zportal_core::window::rate::{ASSUMED_BYTES_PER_SECOND, LinkRate, Look};

use super::path::{Frame, Kind, Path};
use super::source::Inner;

const PACKET_BYTES: u64 = 1416;
const LIMIT_MEMORY_BYTES: usize = 4 << 20;

/// A packet that has left the queue, for those who measure.
pub struct Left {
    pub flow: u16,
    pub sojourn_ns: u64,
}

pub struct Sender {
    pub queue: FqCodel<Inner>,
    pub rate: LinkRate,
    pub inflight: Inflight,
    lowat: NotsentLowat,
    lowat_bytes: u64,
    /// A send that waits for room.
    batch: Vec<Frame>,
    handed_bytes: u64,
    /// What sparse flows sent past the limit since anything went within it.
    past_bytes: u64,
    pub enqueued: u64,
    pub dropped_codel: u64,
    pub dropped_overlimit: u64,
    pub left: u64,
}

impl Sender {
    pub fn new(seed: u64) -> Sender {
        Sender {
            queue: FqCodel::new(Config::new(LIMIT_MEMORY_BYTES, [seed, !seed])),
            rate: LinkRate::default(),
            inflight: Inflight::new(0, PACKET_BYTES),
            lowat: NotsentLowat::default(),
            lowat_bytes: 0,
            batch: Vec::new(),
            handed_bytes: 0,
            past_bytes: 0,
            enqueued: 0,
            dropped_codel: 0,
            dropped_overlimit: 0,
            left: 0,
        }
    }

    pub fn enqueue(&mut self, now_ns: u64, inner: Inner) {
        let overlimit = &mut self.dropped_overlimit;
        self.enqueued += 1;
        self.queue.enqueue(now_ns, inner, &mut |_, cause| {
            assert_eq!(cause, DropCause::Overlimit);
            *overlimit += 1;
        });
        assert!(self.queue.memory_bytes() <= LIMIT_MEMORY_BYTES);
    }

    /// Sends all that may be sent now.
    pub fn pump(&mut self, now_ns: u64, path: &mut Path, left: &mut impl FnMut(Left)) {
        loop {
            if self.batch.is_empty() {
                self.fill(now_ns, path.kind, left);
            }
            if self.batch.is_empty() || !self.has_room(path) {
                break;
            }
            for frame in self.batch.drain(..) {
                self.handed_bytes += frame.wire_bytes();
                path.push(frame);
            }
        }
        let blocked = !self.batch.is_empty();
        if path.kind == Kind::Direct && (self.rate).look_due(now_ns, self.handed_bytes, blocked) {
            self.rate.on_round_trip(path.leg.base_rtt_ns);
            self.rate.on_look(Look {
                now_ns,
                handed_bytes: self.handed_bytes,
                unsent_bytes: path.buffer_bytes,
                blocked,
            });
        }
    }

    pub fn on_feedback(&mut self, feedback: Feedback) {
        self.inflight.on_feedback(feedback);
    }

    /// When to be woken although nothing happens.
    pub fn timer_at(&self, kind: Kind) -> Option<u64> {
        (kind != Kind::Direct).then(|| self.inflight.ping_at(false))
    }

    fn has_room(&self, path: &Path) -> bool {
        match path.kind {
            Kind::Direct => path.buffer_bytes < self.lowat_bytes,
            Kind::Proxy { buffer_bytes } => path.buffer_bytes < buffer_bytes,
        }
    }

    fn fill(&mut self, now_ns: u64, kind: Kind, left: &mut impl FnMut(Left)) {
        let rate = match kind {
            Kind::Direct => self.rate.bytes_per_second(),
            Kind::Proxy { .. } => {
                Some(self.inflight.path().bytes_per_second()).filter(|rate| *rate > 0)
            }
        };
        let rate = rate.unwrap_or(ASSUMED_BYTES_PER_SECOND);
        let sizes = Sizes::at(rate, PACKET_BYTES);
        if let Some(bytes) = self.lowat.change(sizes.unsent_bytes) {
            self.lowat_bytes = bytes;
        }
        let is_proxied = kind != Kind::Direct;
        if is_proxied && self.inflight.ping_due(now_ns) {
            self.inflight.on_ping(now_ns);
            self.batch.push(Frame::Ping { sent_ns: now_ns });
        }
        let mut batch_bytes = 0;
        while batch_bytes < sizes.batch_bytes {
            let has_room = !is_proxied || self.inflight.may_send() > 0;
            let codel = &mut self.dropped_codel;
            let mut dropped = |_, _| *codel += 1;
            let dequeued = if has_room {
                self.queue.dequeue(now_ns, &mut dropped)
            } else if self.past_bytes < sizes.batch_bytes {
                self.queue.dequeue_sparse(now_ns, &mut dropped)
            } else {
                None
            };
            let Some(dequeued) = dequeued else {
                if is_proxied && has_room {
                    self.inflight.on_app_limited();
                }
                break;
            };
            let packet_bytes = u64::from(dequeued.packet.bytes);
            self.past_bytes = match has_room {
                true => 0,
                false => self.past_bytes + packet_bytes,
            };
            self.left += 1;
            left(Left {
                flow: dequeued.packet.flow,
                sojourn_ns: dequeued.sojourn_ns,
            });
            self.inflight.on_sent(now_ns, packet_bytes);
            let frame = Frame::Data(dequeued.packet);
            batch_bytes += frame.wire_bytes();
            self.batch.push(frame);
        }
    }
}
