//! TUN → queue → frame → stream: what waits, what leaves next, and what need not wait. Outbound
//! never reorders packets of one flow.

mod batch;
mod direct;
#[cfg(test)]
mod example;
mod intake;

use std::collections::VecDeque;

use batch::Batch;
pub use intake::Drained;

use super::count::{count_drop, count_left_behind, count_sent};
use super::slots::{Slot, Slots};
use crate::merge::Run;
use crate::queue::fq_codel::{Config, FqCodel};
use crate::queue::sojourn::{Waits, WaitsUs};
use crate::stats::Stats;
use crate::window::batch::Sizes;
use crate::window::probe::Probe;
use crate::wire::control::{CONTROL_MAX_BYTES, Control, Delivered, Pong};
use crate::wire::header::{FLAG_CONTROL, HEADER_BYTES};

/// A batch is closed at this size, so that it is still in cache when the kernel copies it.
pub const BATCH_BYTES: usize = 64 * 1024;
/// The most frames in one batch, and packets read in one turn, so that the other direction gets its turn.
pub const BATCH_FRAMES: usize = 64;
/// Memory of all waiting packets together; above it the fattest flow loses its oldest.
pub const QUEUE_BYTES: usize = 6 * 1024 * 1024;
/// Of the shell's words so many wait for the stream; more stay where they were said.
const WORDS_MAX: usize = 2;
/// Messages waiting for the stream: HELLO and CLOSE, each once, and words.
const MESSAGES_MAX: usize = WORDS_MAX + 2;
/// The same, and a PONG waiting, and one each of PING and PONG under way.
const MESSAGES_AT_ONCE: usize = MESSAGES_MAX + 3;

/// Packets on their way to the peer.
pub struct Outbound {
    slots: Slots,
    /// Where the next packet is read to.
    spare: Box<[u8]>,
    /// Datagrams of one flow that are being merged; never kept beyond one `fill`.
    run: Option<(Run, Slot)>,
    queue: FqCodel<Slot>,
    waits: Waits,
    sizes: Sizes,
    sent_bytes: u64,
    /// What sparse flows sent past the limits since anything went within them.
    past_bytes: u64,
    /// Messages to the peer's ZPortal, which go before every packet; [`MESSAGES_MAX`] at most.
    messages: VecDeque<Slot>,
    /// The answer to the newest PING, which answers those before it too: however fast a peer
    /// asks, it gets no more answers than it reads.
    pong: Option<Slot>,
    batch: Batch,
}

impl Outbound {
    /// Nothing queued; `seed` keeps strangers from guessing which flows share a queue.
    pub fn new(seed: [u64; 2], sizes: Sizes) -> Outbound {
        let mut slots = Slots::default();
        // Messages come when they come, and must find their buffers beside those of all packets.
        let buffers =
            [(); MESSAGES_AT_ONCE].map(|()| slots.fitting(HEADER_BYTES + CONTROL_MAX_BYTES));
        buffers
            .into_iter()
            .for_each(|buffer| slots.put_back(buffer));
        Outbound {
            spare: slots.large(),
            run: None,
            slots,
            queue: FqCodel::new(Config::new(QUEUE_BYTES, seed)),
            waits: Waits::default(),
            sizes,
            sent_bytes: 0,
            past_bytes: 0,
            messages: VecDeque::with_capacity(MESSAGES_MAX),
            pong: None,
            // And a PING ahead of them.
            batch: Batch::new(BATCH_FRAMES + 1),
        }
    }

    /// Takes other sizes for batches and pieces, as the link's rate asks.
    pub fn resize(&mut self, sizes: Sizes, target_ns: u64) {
        self.sizes = sizes;
        self.queue.set_target(target_ns);
        let quantum_bytes = usize::try_from(sizes.quantum_bytes).unwrap_or(usize::MAX);
        self.queue.set_quantum(quantum_bytes);
    }

    /// Bytes that the socket took in this session.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// How long the packets of the last seconds waited here.
    pub fn waits_us(&mut self, now_ns: u64) -> WaitsUs {
        self.waits.at(now_ns)
    }

    /// Packets marked as having met congestion instead of being dropped.
    pub fn marks(&self) -> u64 {
        self.queue.marks()
    }

    /// Packets and bytes that wait.
    pub fn waiting(&self) -> (u64, u64) {
        (self.queue.packets() as u64, self.queue.wire_bytes())
    }

    /// Queues a message in front of all packets.
    pub fn push_message(&mut self, flags: u32, payload: &[u8]) {
        let message = self.message(flags, payload);
        self.messages.push_back(message);
    }

    /// Whether a word may be pushed: a peer that reads nothing lets no more of them pile up here.
    pub fn takes_word(&self) -> bool {
        self.messages.len() < WORDS_MAX
    }

    /// Queues an answer to a PING, in front of all packets.
    pub fn push_pong(&mut self, pong: Pong) {
        let pong = Control::Pong(pong);
        let answer = self.message(FLAG_CONTROL, pong.encode(&mut [0; CONTROL_MAX_BYTES]));
        if let Some(older) = self.pong.replace(answer) {
            self.slots.put_back(older.bytes);
        }
    }

    /// A frame that is no packet: its payload has at most [`CONTROL_MAX_BYTES`].
    fn message(&mut self, flags: u32, payload: &[u8]) -> Slot {
        let mut bytes = self.slots.fitting(HEADER_BYTES + payload.len());
        bytes[HEADER_BYTES..HEADER_BYTES + payload.len()].copy_from_slice(payload);
        Slot {
            bytes,
            payload_at: HEADER_BYTES,
            payload_bytes: payload.len(),
            flags,
            is_message: true,
        }
    }

    /// Where the next packet may be read to, with its virtio_net_hdr in front. The bytes stay
    /// untouched until one of [`Outbound::fill`], [`Outbound::take`] and [`Outbound::direct`] is told
    /// that they were read to, and valid until the outbound is dropped.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.spare[HEADER_BYTES..]
    }

    /// Whether nothing waits and nothing is half sent.
    pub fn is_idle(&self) -> bool {
        self.messages.is_empty()
            && self.pong.is_none()
            && self.queue.is_empty()
            && self.batch.is_empty()
    }

    /// Whether packets wait, or something is half sent.
    pub fn has_packets(&self) -> bool {
        !self.queue.is_empty() || !self.batch.is_empty()
    }

    /// Whether something waits that is so little that limits are not for it: messages, and packets
    /// of sparse flows up to the size of a batch. Nothing goes past what is half sent.
    pub fn is_urgent(&self) -> bool {
        let has_message = !self.messages.is_empty() || self.pong.is_some();
        let has_sparse = self.queue.has_sparse() && self.past_bytes < self.sizes.batch_bytes;
        self.batch.is_empty() && (has_message || has_sparse)
    }

    /// Drops every waiting packet and answer; what is half sent stays.
    pub fn clear(&mut self, stats: &Stats) {
        let slots = &mut self.slots;
        if let Some(pong) = self.pong.take() {
            slots.put_back(pong.bytes);
        }
        self.queue.clear(&mut |slot| {
            count_left_behind(&slot, stats);
            slots.put_back(slot.bytes);
        });
    }

    /// Drops what waits and what is half sent: the link has ended.
    pub fn abandon(&mut self, stats: &Stats) {
        self.clear(stats);
        self.batch
            .unsent()
            .for_each(|slot| count_left_behind(slot, stats));
    }

    /// Takes the next batch off the queue, with a PING ahead of it if one is due; `None` while there
    /// is nothing to send. `taken` is what this end has taken of the peer's; while `is_held`, only
    /// what [`Outbound::is_urgent`] speaks of goes.
    ///
    /// Behind the batch the PING would be the end of what a proxy has, which one that leaves
    /// Nagle's algorithm on holds back until all before it is acknowledged.
    ///
    /// Must not be called while a batch is being sent. The pointer and all it leads to stay valid
    /// until [`Outbound::sent`] is told that all of it went, or the outbound is dropped.
    pub fn next_batch(
        &mut self,
        now_ns: u64,
        probe: &mut Probe,
        taken: Delivered,
        is_held: bool,
        stats: &Stats,
    ) -> Option<*const libc::msghdr> {
        if self.batch.is_empty() {
            // HELLO is the first word, also where the peer's own was heard before it could be said.
            if self.sent_bytes == 0
                && let Some(hello) = self.messages.pop_front()
            {
                self.batch.push(hello);
            }
            let along = !self.queue.is_empty();
            if let Some(ping) = probe.ping(now_ns, along, taken) {
                let ping = Control::Ping(ping);
                let ping = self.message(FLAG_CONTROL, ping.encode(&mut [0; CONTROL_MAX_BYTES]));
                self.batch.push(ping);
            }
            let room_bytes = if is_held { 0 } else { probe.room_bytes() };
            self.take_batch(now_ns, room_bytes, probe, stats);
            if self.batch.is_empty() {
                return None;
            }
        }
        Some(self.batch.message())
    }

    /// Fills the batch with what is next; beyond the room there is for packets, with those of sparse
    /// flows: so little stands nowhere, and a lookup that waits for room is felt.
    fn take_batch(&mut self, now_ns: u64, room_bytes: u64, probe: &mut Probe, stats: &Stats) {
        let batch_bytes = usize::try_from(self.sizes.batch_bytes).unwrap_or(BATCH_BYTES);
        let slots = &mut self.slots;
        let mut dropped = |slot: Slot, cause| {
            count_drop(&slot, cause, stats);
            slots.put_back(slot.bytes);
        };
        let mut bytes = 0;
        let mut payload_bytes = 0;
        let mut is_dry = false;
        while bytes < batch_bytes.min(BATCH_BYTES) && self.batch.frames() < BATCH_FRAMES {
            let message = self.messages.pop_front().or_else(|| self.pong.take());
            let slot = match message {
                Some(message) => message,
                None => {
                    let has_room = payload_bytes < room_bytes;
                    let dequeued = match has_room {
                        true => self.queue.dequeue(now_ns, &mut dropped),
                        false if self.past_bytes >= self.sizes.batch_bytes => None,
                        false => self.queue.dequeue_sparse(now_ns, &mut dropped),
                    };
                    let Some(dequeued) = dequeued else {
                        is_dry = has_room;
                        break;
                    };
                    let packet_bytes = dequeued.packet.payload_bytes as u64;
                    self.past_bytes = match has_room {
                        true => 0,
                        false => self.past_bytes + packet_bytes,
                    };
                    payload_bytes += packet_bytes;
                    self.waits.note(&dequeued);
                    dequeued.packet
                }
            };
            bytes += self.batch.push(slot);
        }
        probe.on_sent(now_ns, payload_bytes);
        if is_dry {
            probe.on_app_limited();
        }
    }

    /// Notes that the kernel took `bytes` of the batch, which may be less than all.
    pub fn sent(&mut self, bytes: usize, stats: &Stats) {
        stats.stream_tx_bytes.add(bytes as u64);
        self.sent_bytes += bytes as u64;
        if self.batch.sent(bytes, |slot| count_sent(slot, stats)) {
            // At once, so that the next packet is read into what is hottest in cache.
            self.batch.give_back(&mut self.slots);
        }
    }
}
