//! TUN → queue → frame → stream. Outbound never reorders packets of one flow.

use std::collections::VecDeque;

use super::peer::Peer;
use super::slots::{LARGE_BYTES, SMALL_BYTES, Slot, Slots};
use crate::error::Error;
use crate::merge::Run;
use crate::stats::Stats;
use crate::tun::Tun;
use crate::wire::header::{FLAG_VNET, HEADER_BYTES};
use crate::wire::vnet::VNET_HEADER_BYTES;

/// A batch is closed at this size, so that it is still in cache when the kernel copies it.
pub const BATCH_BYTES: usize = 64 * 1024;
/// The most frames in one batch, and packets read in one turn, so that the other direction gets its turn.
pub const BATCH_FRAMES: usize = 64;
/// Memory of all waiting packets together; above it the TUN is not read and the kernel's own queue fills.
pub const QUEUE_BYTES: usize = 1024 * 1024;

/// Messages waiting for the stream; a peer that asks faster than it reads gets no more answers.
pub const MESSAGES_MAX: usize = 16;

/// Packets on their way to the peer.
pub struct Outbound {
    slots: Slots,
    /// Where the next packet is read to.
    spare: Box<[u8]>,
    /// Datagrams of one flow that are being merged; never kept beyond one `fill`.
    run: Option<(Run, Slot)>,
    queue: VecDeque<Slot>,
    queue_bytes: usize,
    /// Messages to the peer's ZPortal, which go before every packet; a handful at most.
    messages: VecDeque<Slot>,
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

/// Whether the TUN had more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// The last read found nothing.
    Empty,
    /// The turn's share was read; there may be more.
    Perhaps,
}

impl Outbound {
    /// Nothing queued.
    pub fn new() -> Outbound {
        let mut slots = Slots::default();
        // SAFETY: all-zero is a valid msghdr: null pointers and zero lengths.
        let message = Box::new(unsafe { std::mem::zeroed::<libc::msghdr>() });
        Outbound {
            spare: slots.large(),
            run: None,
            slots,
            queue: VecDeque::with_capacity(BATCH_FRAMES),
            queue_bytes: 0,
            messages: VecDeque::with_capacity(MESSAGES_MAX),
            batch: Batch {
                slots: Vec::with_capacity(BATCH_FRAMES),
                vectors: Vec::with_capacity(BATCH_FRAMES),
                first: 0,
                message,
            },
        }
    }

    /// Whether the queue takes more from the TUN.
    pub fn has_room(&self) -> bool {
        self.queue_bytes < QUEUE_BYTES
    }

    /// Queues a message of at most [`SMALL_BYTES`] less the header, in front of all packets.
    pub fn push_message(&mut self, flags: u32, payload: &[u8]) {
        if self.messages.len() == MESSAGES_MAX {
            return;
        }
        let mut bytes = self.slots.small();
        bytes[HEADER_BYTES..HEADER_BYTES + payload.len()].copy_from_slice(payload);
        self.messages.push_back(Slot {
            bytes,
            payload_at: HEADER_BYTES,
            payload_bytes: payload.len(),
            flags,
            is_message: true,
        });
    }

    /// Whether nothing waits and nothing is half sent.
    pub fn is_idle(&self) -> bool {
        self.messages.is_empty() && self.queue.is_empty() && self.batch.slots.is_empty()
    }

    /// Drops every waiting packet; what is half sent stays.
    pub fn clear(&mut self) {
        for slot in self.queue.drain(..) {
            self.slots.put_back(slot.bytes);
        }
        self.queue_bytes = 0;
    }

    /// Reads one turn's share of packets from the TUN into the queue.
    pub fn fill(&mut self, tun: &Tun, peer: &Peer, stats: &Stats) -> Result<Drained, Error> {
        let mut bytes = 0;
        let mut drained = Drained::Perhaps;
        for _ in 0..BATCH_FRAMES {
            if bytes >= BATCH_BYTES || !self.has_room() {
                break;
            }
            let Some(read) = tun.read(&mut self.spare[HEADER_BYTES..])? else {
                drained = Drained::Empty;
                break;
            };
            bytes += read;
            self.accept(read, peer, stats);
        }
        self.end_run();
        Ok(drained)
    }

    /// Takes the packet of `read` bytes, virtio_net_hdr included, that lies in the spare buffer.
    fn accept(&mut self, read: usize, peer: &Peer, stats: &Stats) {
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
        if !plain && self.merge(read, peer) {
            return;
        }
        self.end_run();
        let bytes = std::mem::replace(&mut self.spare, self.slots.large());
        self.enqueue(Slot {
            bytes,
            payload_at,
            payload_bytes,
            flags,
            is_message: false,
        });
    }

    /// Continues the run with the datagram in the spare buffer, or begins one with it; false if
    /// it is none, or the peer cannot take runs.
    fn merge(&mut self, read: usize, peer: &Peer) -> bool {
        let next = &self.spare[HEADER_BYTES..HEADER_BYTES + read];
        if let Some((run, slot)) = &mut self.run
            && let end = HEADER_BYTES + slot.payload_bytes
            && let Some(payload) = run.take(&slot.bytes[HEADER_BYTES..end], next)
        {
            slot.bytes[end..end + payload.len()].copy_from_slice(&next[payload.clone()]);
            slot.payload_bytes += payload.len();
            return true;
        }
        let Some(run) = Run::begin(next, peer.agreed()) else {
            return false;
        };
        self.end_run();
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
    fn end_run(&mut self) {
        if let Some((run, mut slot)) = self.run.take() {
            let end = HEADER_BYTES + slot.payload_bytes;
            run.finish(&mut slot.bytes[HEADER_BYTES..end]);
            self.enqueue(slot);
        }
    }

    /// Queues a packet in a buffer of its size.
    fn enqueue(&mut self, mut slot: Slot) {
        let end = slot.payload_at + slot.payload_bytes;
        if end <= SMALL_BYTES {
            let mut small = self.slots.small();
            small[slot.payload_at..end].copy_from_slice(&slot.bytes[slot.payload_at..end]);
            self.slots
                .put_back(std::mem::replace(&mut slot.bytes, small));
        }
        self.queue_bytes += slot.capacity_bytes();
        self.queue.push_back(slot);
    }

    /// Takes the next batch off the queue; `None` while there is nothing to send.
    ///
    /// Must not be called while a batch is being sent. The pointer and all it leads to stay valid
    /// until [`Outbound::sent`] is told that all of it went, or the outbound is dropped.
    pub fn next_batch(&mut self) -> Option<*const libc::msghdr> {
        let batch = &mut self.batch;
        if batch.slots.is_empty() {
            let mut bytes = 0;
            while bytes < BATCH_BYTES && batch.slots.len() < BATCH_FRAMES {
                let mut slot = match self.messages.pop_front() {
                    Some(message) => message,
                    None => match self.queue.pop_front() {
                        Some(packet) => {
                            self.queue_bytes -= packet.capacity_bytes();
                            packet
                        }
                        None => break,
                    },
                };
                slot.seal();
                let frame = slot.frame();
                bytes += frame.len();
                batch.vectors.push(libc::iovec {
                    iov_base: frame.as_ptr().cast_mut().cast(),
                    iov_len: frame.len(),
                });
                batch.slots.push(slot);
            }
            if batch.slots.is_empty() {
                return None;
            }
        }
        let unsent = &mut batch.vectors[batch.first..];
        batch.message.msg_iov = unsent.as_mut_ptr();
        batch.message.msg_iovlen = unsent.len();
        Some(&raw const *batch.message)
    }

    /// Notes that the kernel took `bytes` of the batch, which may be less than all.
    pub fn sent(&mut self, mut bytes: usize, stats: &Stats) {
        stats.stream_tx_bytes.add(bytes as u64);
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

/// Counts a frame that has left, as the packets it stands for.
fn count(slot: &Slot, stats: &Stats) {
    stats.tx_frames.add(1);
    if slot.is_message {
        return;
    }
    let (packets, bytes) = super::packets_in(
        &slot.bytes[slot.payload_at..slot.payload_at + slot.payload_bytes],
        slot.flags,
    );
    stats.tx_packets.add(packets);
    stats.tx_bytes.add(bytes);
}

const _: () = assert!(SMALL_BYTES > HEADER_BYTES + VNET_HEADER_BYTES && SMALL_BYTES < LARGE_BYTES);
