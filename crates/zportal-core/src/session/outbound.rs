//! TUN → queue → frame → stream. Outbound never reorders packets of one flow.

use std::collections::VecDeque;

use super::count::packets_in;
use super::peer::Peer;
use super::slots::{MEDIUM_BYTES, Slot, Slots};
use crate::cut::Cut;
use crate::error::Error;
use crate::merge::Run;
use crate::queue::DropCause;
use crate::queue::fq_codel::{Config, FqCodel};
use crate::queue::sojourn::Sojourns;
use crate::stats::Stats;
use crate::tun::Tun;
use crate::window::batch::Sizes;
use crate::window::probe::Probe;
use crate::wire::control::{CONTROL_MAX_BYTES, Control, Delivered, Pong};
use crate::wire::header::{FLAG_CONTROL, FLAG_VNET, HEADER_BYTES};
use crate::wire::vnet::VNET_HEADER_BYTES;

/// A batch is closed at this size, so that it is still in cache when the kernel copies it.
pub const BATCH_BYTES: usize = 64 * 1024;
/// The most frames in one batch, and packets read in one turn, so that the other direction gets its turn.
pub const BATCH_FRAMES: usize = 64;
/// Memory of all waiting packets together; above it the fattest flow loses its oldest.
pub const QUEUE_BYTES: usize = 6 * 1024 * 1024;
/// A super-packet is not cut to fewer segments than this: each piece carries headers of its own,
/// and below three they cost more than 2 % of the link.
const PIECE_SEGMENTS: usize = 3;

/// Messages waiting for the stream: HELLO and CLOSE, each once.
const MESSAGES_MAX: usize = 2;
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
    sojourns: Sojourns,
    sizes: Sizes,
    sent_bytes: u64,
    /// Messages to the peer's ZPortal, which go before every packet; a handful at most.
    messages: VecDeque<Slot>,
    /// The answer to the newest PING, which answers those before it too: however fast a peer
    /// asks, it gets no more answers than it reads.
    pong: Option<Slot>,
    batch: Batch,
}

/// The frames that the kernel is sending now.
struct Batch {
    slots: Vec<Slot>,
    vectors: Vec<libc::iovec>,
    /// The first vector with unsent bytes.
    first: usize,
    message: Box<libc::msghdr>,
}

impl Batch {
    /// Adds a frame; returns its bytes.
    fn push(&mut self, mut slot: Slot) -> usize {
        slot.seal();
        let frame = slot.frame();
        let bytes = frame.len();
        self.vectors.push(libc::iovec {
            iov_base: frame.as_ptr().cast_mut().cast(),
            iov_len: bytes,
        });
        self.slots.push(slot);
        bytes
    }
}

/// Whether the TUN had more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// The last read found nothing, after so many packets.
    Empty {
        /// Packets read before that.
        packets: usize,
    },
    /// The turn's share was read; there may be more.
    Perhaps,
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
        // SAFETY: all-zero is a valid msghdr: null pointers and zero lengths.
        let message = Box::new(unsafe { std::mem::zeroed::<libc::msghdr>() });
        Outbound {
            spare: slots.large(),
            run: None,
            slots,
            queue: FqCodel::new(Config::new(QUEUE_BYTES, seed)),
            sojourns: Sojourns::default(),
            sizes,
            sent_bytes: 0,
            messages: VecDeque::with_capacity(MESSAGES_MAX),
            pong: None,
            batch: Batch {
                // And a PING ahead of them.
                slots: Vec::with_capacity(BATCH_FRAMES + 1),
                vectors: Vec::with_capacity(BATCH_FRAMES + 1),
                first: 0,
                message,
            },
        }
    }

    /// Takes other sizes for batches and pieces, as the link's rate asks.
    pub fn resize(&mut self, sizes: Sizes, target_ns: u64) {
        self.sizes = sizes;
        self.queue.set_target(target_ns);
    }

    /// Bytes that the socket took in this session.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// What half and what all but one in a hundred of the packets of the last seconds waited here
    /// at the most, microseconds.
    pub fn sojourn_us(&mut self, now_ns: u64) -> [u64; 2] {
        self.sojourns.pass(now_ns);
        self.sojourns.percentiles_us([50, 99])
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

    /// Whether nothing waits and nothing is half sent.
    pub fn is_idle(&self) -> bool {
        self.messages.is_empty()
            && self.pong.is_none()
            && self.queue.is_empty()
            && self.batch.slots.is_empty()
    }

    /// Drops every waiting packet and answer; what is half sent stays.
    pub fn clear(&mut self) {
        let slots = &mut self.slots;
        if let Some(pong) = self.pong.take() {
            slots.put_back(pong.bytes);
        }
        self.queue.clear(&mut |slot| slots.put_back(slot.bytes));
    }

    /// Reads one turn's share of packets from the TUN into the queue.
    pub fn fill(
        &mut self,
        now_ns: u64,
        tun: &Tun,
        peer: &Peer,
        stats: &Stats,
    ) -> Result<Drained, Error> {
        let mut bytes = 0;
        let mut drained = Drained::Perhaps;
        for packets in 0..BATCH_FRAMES {
            if bytes >= BATCH_BYTES {
                break;
            }
            let Some(read) = tun.read(&mut self.spare[HEADER_BYTES..])? else {
                drained = Drained::Empty { packets };
                break;
            };
            bytes += read;
            self.accept(now_ns, read, peer, stats);
        }
        self.end_run(now_ns, stats);
        Ok(drained)
    }

    /// Takes the packet of `read` bytes, virtio_net_hdr included, that lies in the spare buffer.
    fn accept(&mut self, now_ns: u64, read: usize, peer: &Peer, stats: &Stats) {
        let packet_at = HEADER_BYTES + VNET_HEADER_BYTES;
        if read <= VNET_HEADER_BYTES {
            return;
        }
        let plain = self.spare[HEADER_BYTES..packet_at]
            .iter()
            .all(|byte| *byte == 0);
        let (payload_at, payload_bytes, flags) = if plain {
            (packet_at, read - VNET_HEADER_BYTES, 0)
        } else {
            (HEADER_BYTES, read, FLAG_VNET)
        };
        // A header that means something was read before the offloads were switched off, for a
        // peer that is gone.
        if (!plain && !peer.takes_vnet()) || payload_bytes > peer.payload_limit_bytes() {
            stats.drops_oversize.add(1);
            return;
        }
        if !plain && self.merge(now_ns, read, peer, stats) {
            return;
        }
        self.end_run(now_ns, stats);
        if self.cut(now_ns, read, stats) {
            return;
        }
        let bytes = std::mem::replace(&mut self.spare, self.slots.large());
        let slot = Slot {
            bytes,
            payload_at,
            payload_bytes,
            flags,
            is_message: false,
        };
        self.enqueue(now_ns, slot, stats);
    }

    /// Queues the super-packet in the spare buffer in pieces; false if it goes as it is.
    fn cut(&mut self, now_ns: u64, read: usize, stats: &Stats) -> bool {
        let piece_bytes = usize::try_from(self.sizes.batch_bytes).unwrap_or(usize::MAX);
        if read <= piece_bytes {
            return false;
        }
        let whole = &self.spare[HEADER_BYTES..HEADER_BYTES + read];
        let Some(mut cut) = Cut::begin(whole, piece_bytes, PIECE_SEGMENTS) else {
            return false;
        };
        while let Some(payload_bytes) = cut.next_bytes() {
            let mut bytes = self.slots.fitting(HEADER_BYTES + payload_bytes);
            cut.write_next(&mut bytes[HEADER_BYTES..]);
            let slot = Slot {
                bytes,
                payload_at: HEADER_BYTES,
                payload_bytes,
                flags: FLAG_VNET,
                is_message: false,
            };
            let slots = &mut self.slots;
            self.queue.enqueue(now_ns, slot, &mut |slot, cause| {
                count_drop(cause, stats);
                slots.put_back(slot.bytes);
            });
        }
        true
    }

    /// Continues the run with the datagram in the spare buffer, or begins one with it; false if
    /// it is none, or the peer cannot take runs.
    fn merge(&mut self, now_ns: u64, read: usize, peer: &Peer, stats: &Stats) -> bool {
        let next = &self.spare[HEADER_BYTES..HEADER_BYTES + read];
        if let Some((run, slot)) = &mut self.run
            && let end = HEADER_BYTES + slot.payload_bytes
            && end < self.sizes.batch_bytes as usize
            && let Some(payload) = run.take(&slot.bytes[HEADER_BYTES..end], next)
        {
            slot.bytes[end..end + payload.len()].copy_from_slice(&next[payload.clone()]);
            slot.payload_bytes += payload.len();
            return true;
        }
        let Some(run) = Run::begin(next, peer.agreed()) else {
            return false;
        };
        self.end_run(now_ns, stats);
        let slot = Slot {
            bytes: std::mem::replace(&mut self.spare, self.slots.large()),
            payload_at: HEADER_BYTES,
            payload_bytes: read,
            flags: FLAG_VNET,
            is_message: false,
        };
        self.run = Some((run, slot));
        true
    }

    /// Queues the run, if there is one.
    fn end_run(&mut self, now_ns: u64, stats: &Stats) {
        if let Some((run, mut slot)) = self.run.take() {
            let end = HEADER_BYTES + slot.payload_bytes;
            run.finish(&mut slot.bytes[HEADER_BYTES..end]);
            self.enqueue(now_ns, slot, stats);
        }
    }

    /// Queues a packet, in a buffer of its size.
    fn enqueue(&mut self, now_ns: u64, mut slot: Slot, stats: &Stats) {
        let end = slot.payload_at + slot.payload_bytes;
        if end <= MEDIUM_BYTES {
            let mut fitting = self.slots.fitting(end);
            fitting[slot.payload_at..end].copy_from_slice(&slot.bytes[slot.payload_at..end]);
            self.slots
                .put_back(std::mem::replace(&mut slot.bytes, fitting));
        }
        let slots = &mut self.slots;
        self.queue.enqueue(now_ns, slot, &mut |slot, cause| {
            count_drop(cause, stats);
            slots.put_back(slot.bytes);
        });
    }

    /// Takes the next batch off the queue, with a PING ahead of it if one is due; `None` while there
    /// is nothing to send. `taken` is what this end has taken of the peer's.
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
        stats: &Stats,
    ) -> Option<*const libc::msghdr> {
        if self.batch.slots.is_empty() {
            // HELLO is the first word, also where the peer's own was heard before it could be said.
            if self.sent_bytes == 0
                && let Some(hello) = self.messages.pop_front()
            {
                self.batch.push(hello);
            }
            if let Some(ping) = probe.ping(now_ns, taken) {
                let ping = Control::Ping(ping);
                let ping = self.message(FLAG_CONTROL, ping.encode(&mut [0; CONTROL_MAX_BYTES]));
                self.batch.push(ping);
            }
            self.take_batch(now_ns, probe, stats);
            if self.batch.slots.is_empty() {
                return None;
            }
        }
        let batch = &mut self.batch;
        let unsent = &mut batch.vectors[batch.first..];
        batch.message.msg_iov = unsent.as_mut_ptr();
        batch.message.msg_iovlen = unsent.len();
        Some(&raw const *batch.message)
    }

    /// Fills the batch with what is next.
    fn take_batch(&mut self, now_ns: u64, probe: &mut Probe, stats: &Stats) {
        let batch_bytes = usize::try_from(self.sizes.batch_bytes).unwrap_or(BATCH_BYTES);
        let slots = &mut self.slots;
        let mut dropped = |slot: Slot, cause| {
            count_drop(cause, stats);
            slots.put_back(slot.bytes);
        };
        let mut bytes = 0;
        let mut payload_bytes = 0;
        let room_bytes = probe.room_bytes();
        let mut is_dry = false;
        while bytes < batch_bytes.min(BATCH_BYTES) && self.batch.slots.len() < BATCH_FRAMES {
            let message = self.messages.pop_front().or_else(|| self.pong.take());
            let slot = match message {
                Some(message) => message,
                None if payload_bytes >= room_bytes => break,
                None => match self.queue.dequeue(now_ns, &mut dropped) {
                    Some(dequeued) => {
                        payload_bytes += dequeued.packet.payload_bytes as u64;
                        self.sojourns.note(dequeued.sojourn_ns);
                        dequeued.packet
                    }
                    None => {
                        is_dry = true;
                        break;
                    }
                },
            };
            bytes += self.batch.push(slot);
        }
        probe.on_sent(now_ns, payload_bytes);
        if is_dry {
            probe.on_app_limited();
        }
    }

    /// Notes that the kernel took `bytes` of the batch, which may be less than all.
    pub fn sent(&mut self, mut bytes: usize, stats: &Stats) {
        stats.stream_tx_bytes.add(bytes as u64);
        self.sent_bytes += bytes as u64;
        let batch = &mut self.batch;
        while batch.first < batch.vectors.len() {
            let vector = &mut batch.vectors[batch.first];
            if bytes < vector.iov_len {
                vector.iov_base = vector.iov_base.wrapping_byte_add(bytes);
                vector.iov_len -= bytes;
                return;
            }
            bytes -= vector.iov_len;
            count(&batch.slots[batch.first], stats);
            batch.first += 1;
        }
        // Back at once, so that the next packet is read into what is hottest in cache.
        batch.vectors.clear();
        batch.first = 0;
        for slot in batch.slots.drain(..).rev() {
            self.slots.put_back(slot.bytes);
        }
    }
}

fn count_drop(cause: DropCause, stats: &Stats) {
    match cause {
        DropCause::CoDel => stats.drops_codel.add(1),
        DropCause::Overlimit => stats.drops_overlimit.add(1),
    }
}

/// Counts a frame that has left, as the packets it stands for.
fn count(slot: &Slot, stats: &Stats) {
    stats.tx_frames.add(1);
    if slot.is_message {
        return;
    }
    let (packets, bytes) = packets_in(
        &slot.bytes[slot.payload_at..slot.payload_at + slot.payload_bytes],
        slot.flags,
    );
    stats.tx_packets.add(packets);
    stats.tx_bytes.add(bytes);
}
