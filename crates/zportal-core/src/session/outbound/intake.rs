//! TUN → queue: reading packets, merging datagrams of one flow and cutting super-packets that a slow
//! link would be busy with for long, or that are larger than the peer takes.

use super::super::count::{count_drop, packets_in};
use super::super::peer::Peer;
use super::super::slots::{MEDIUM_BYTES, Slot};
use super::{BATCH_BYTES, BATCH_FRAMES, Outbound};
use crate::cut::Cut;
use crate::error::Error;
use crate::merge::Run;
use crate::stats::Stats;
use crate::tun::Tun;
use crate::wire::header::{FLAG_VNET, HEADER_BYTES};
use crate::wire::vnet::{self, VNET_HEADER_BYTES};

/// A super-packet is not cut to fewer segments than this: each piece carries headers of its own,
/// which with four segments take 1.4 % of the link at an MTU of 1400 bytes, with three 1.9 %.
const PIECE_SEGMENTS: usize = 4;

/// What is to be sent of the bytes that were read.
#[derive(Debug, Clone, Copy)]
pub struct Payload {
    /// Where it begins in the spare buffer, at least [`HEADER_BYTES`].
    pub(super) at: usize,
    pub(super) bytes: usize,
    /// The frame's flags.
    pub(super) flags: u32,
}

/// Whether the TUN had more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// The last read found nothing, after so many packets.
    Empty {
        /// Packets read before that.
        packets: usize,
        /// How many of the last ones became one super-packet.
        run: usize,
    },
    /// The turn's share was read; there may be more.
    Perhaps,
}

impl Outbound {
    /// Queues the packet of `read` bytes, virtio_net_hdr included, that is in the space.
    pub fn take(&mut self, now_ns: u64, read: usize, peer: &Peer, stats: &Stats) {
        self.accept(now_ns, read, peer, stats);
        self.end_run(now_ns, stats);
    }

    /// Counts the packet of `read` bytes, virtio_net_hdr included, that is in the space and will not
    /// be sent, because the link ends.
    pub fn leave_behind(&self, read: usize, stats: &Stats) {
        stats.drops_down.add(self.packets_read(read));
    }

    /// How many packets the one of `read` bytes in the spare buffer stands for.
    fn packets_read(&self, read: usize) -> u64 {
        if read <= VNET_HEADER_BYTES {
            return 1;
        }
        packets_in(&self.spare[HEADER_BYTES..HEADER_BYTES + read], FLAG_VNET).0
    }

    /// Reads one turn's share of packets from the TUN into the queue; the `first` is in the space
    /// already, if it is given.
    pub fn fill(
        &mut self,
        now_ns: u64,
        mut first: Option<usize>,
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
            let read = match first.take() {
                None => tun.read(self.space())?,
                first => first,
            };
            let Some(read) = read else {
                let run = self.run.as_ref().map_or(0, |(run, _)| run.segments());
                drained = Drained::Empty { packets, run };
                break;
            };
            bytes += read;
            self.accept(now_ns, read, peer, stats);
        }
        self.end_run(now_ns, stats);
        Ok(drained)
    }

    /// What is to be sent of `read` bytes in the spare buffer; `None` if the peer takes no such.
    pub(super) fn payload(&self, read: usize, peer: &Peer) -> Option<Payload> {
        let packet_at = HEADER_BYTES + VNET_HEADER_BYTES;
        let header = self.spare[HEADER_BYTES..].first_chunk();
        let is_plain = header.is_some_and(vnet::is_plain);
        let payload = if is_plain {
            Payload {
                at: packet_at,
                bytes: read.saturating_sub(VNET_HEADER_BYTES),
                flags: 0,
            }
        } else {
            Payload {
                at: HEADER_BYTES,
                bytes: read,
                flags: FLAG_VNET,
            }
        };
        // A super-packet or a partial checksum was read before the offloads were switched off, for a
        // peer that is gone.
        let is_taken = is_plain || peer.takes_vnet();
        let fits = read > VNET_HEADER_BYTES && payload.bytes <= peer.payload_limit_bytes();
        (is_taken && fits).then_some(payload)
    }

    /// The packet in the spare buffer, which is replaced.
    pub(super) fn slot(&mut self, payload: Payload) -> Slot {
        Slot {
            bytes: std::mem::replace(&mut self.spare, self.slots.large()),
            payload_at: payload.at,
            payload_bytes: payload.bytes,
            flags: payload.flags,
            is_message: false,
        }
    }

    /// Takes the packet of `read` bytes, virtio_net_hdr included, that lies in the spare buffer.
    fn accept(&mut self, now_ns: u64, read: usize, peer: &Peer, stats: &Stats) {
        if read <= VNET_HEADER_BYTES {
            // The kernel could not hand it over, and has dropped it.
            stats.drops_tun.add(1);
            return;
        }
        let payload = self.payload(read, peer);
        let is_vnet = payload.is_some_and(|payload| payload.flags & FLAG_VNET != 0);
        if is_vnet && self.merge(now_ns, read, peer, stats) {
            return;
        }
        self.end_run(now_ns, stats);
        if peer.takes_vnet() && self.cut(now_ns, read, peer, stats) {
            return;
        }
        let Some(payload) = payload else {
            stats.drops_oversize.add(self.packets_read(read));
            return;
        };
        let slot = self.slot(payload);
        self.enqueue(now_ns, slot, stats);
    }

    /// Queues the super-packet in the spare buffer in pieces, none larger than the peer takes; false
    /// if it goes as it is, or not at all.
    fn cut(&mut self, now_ns: u64, read: usize, peer: &Peer, stats: &Stats) -> bool {
        let piece_bytes = usize::try_from(self.sizes.batch_bytes).unwrap_or(usize::MAX);
        let limit_bytes = peer.payload_limit_bytes();
        if read <= piece_bytes.min(limit_bytes) {
            return false;
        }
        let whole = &self.spare[HEADER_BYTES..HEADER_BYTES + read];
        let Some(mut cut) = Cut::begin(whole, piece_bytes, PIECE_SEGMENTS, limit_bytes) else {
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
                count_drop(&slot, cause, stats);
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
            && let limit_bytes = peer.payload_limit_bytes()
            && let Some(payload) = run.take(&slot.bytes[HEADER_BYTES..end], next, limit_bytes)
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
            count_drop(&slot, cause, stats);
            slots.put_back(slot.bytes);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{
        HEADERS_BYTES, SEGMENT_BYTES, outbound, peer, peer_taking, read, read_datagram,
    };
    use super::{BATCH_BYTES, Outbound, PIECE_SEGMENTS, Peer, Stats};
    use crate::queue::Packet;

    fn take(outbound: &mut Outbound, flow: u8, segments: usize, stats: &Stats) {
        let bytes = read(outbound, flow, segments);
        outbound.take(0, bytes, &peer(), stats);
    }

    fn take_for(outbound: &mut Outbound, segments: usize, peer: &Peer, stats: &Stats) {
        let bytes = read(outbound, 1, segments);
        outbound.take(0, bytes, peer, stats);
    }

    /// The last byte of the destination and the bytes of each packet, in the order they leave in.
    fn leaving(outbound: &mut Outbound) -> Vec<(u8, usize)> {
        let next = || outbound.queue.dequeue(0, &mut |_, _| panic!("no drop"));
        std::iter::from_fn(next)
            .map(|dequeued| dequeued.packet)
            .map(|slot| (slot.ip()[19], slot.payload_bytes))
            .collect()
    }

    #[test]
    fn a_flow_has_a_turn_as_long_as_the_rate_allows() {
        let stats = Stats::default();
        for (quantum_bytes, together) in [(0, 1), (5 * 1416, 5)] {
            let mut outbound = outbound(BATCH_BYTES as u64, quantum_bytes);
            for flow in (1..=2).cycle().take(40) {
                take(&mut outbound, flow, 1, &stats);
            }
            let left = leaving(&mut outbound);
            let turns = left.chunk_by(|one, next| one.0 == next.0).map(<[_]>::len);
            // What was left of a turn before may let one more through.
            let longest = turns.max().unwrap();
            assert!((together..=together + 1).contains(&longest), "{left:?}");
        }
    }

    #[test]
    fn a_packet_that_the_kernel_could_not_hand_over_is_counted_and_the_next_one_goes() {
        let stats = Stats::default();
        let mut outbound = outbound(BATCH_BYTES as u64, 0);
        assert!(outbound.direct(0, &peer()).is_none());
        outbound.take(0, 0, &peer(), &stats);
        assert_eq!(stats.drops_tun.total(), 1);
        take(&mut outbound, 1, 1, &stats);
        assert_eq!(leaving(&mut outbound).len(), 1);
    }

    #[test]
    fn nothing_is_larger_than_the_peer_takes_and_nothing_is_dropped_that_can_be_cut() {
        const LIMIT_BYTES: usize = 16 * 1024;
        let stats = Stats::default();
        let small = peer_taking(LIMIT_BYTES as u32);
        // Also where what is above the limit is little.
        for segments in [11, 13, 40] {
            let mut outbound = outbound(BATCH_BYTES as u64, 0);
            let bytes = read(&mut outbound, 1, segments);
            outbound.take(0, bytes, &small, &stats);
            let left = leaving(&mut outbound);
            assert!(
                left.iter().all(|(_, bytes)| *bytes <= LIMIT_BYTES),
                "{left:?}"
            );
            let headers = left.len() * (10 + HEADERS_BYTES);
            let bytes: usize = left.iter().map(|(_, bytes)| bytes).sum();
            assert_eq!(bytes - headers, segments * SEGMENT_BYTES);
        }
        let mut outbound = outbound(BATCH_BYTES as u64, 0);
        for _ in 0..40 {
            let bytes = read_datagram(&mut outbound, 1, SEGMENT_BYTES);
            outbound.accept(0, bytes, &small, &stats);
        }
        outbound.end_run(0, &stats);
        let left = leaving(&mut outbound);
        // 38 bytes of headers, the virtio_net_hdr among them, and twelve datagrams.
        let full = (1, 38 + LIMIT_BYTES / SEGMENT_BYTES * SEGMENT_BYTES);
        assert_eq!(left.len(), 40usize.div_ceil(LIMIT_BYTES / SEGMENT_BYTES));
        assert_eq!(left[0], full);
        assert_eq!(stats.drops_oversize.total(), 0);
        // What does not fit with a single segment does not go.
        let tiny = peer_taking(1400);
        take_for(&mut outbound, 2, &tiny, &stats);
        assert_eq!(leaving(&mut outbound), []);
        assert_eq!(stats.drops_oversize.total(), 2);
    }

    #[test]
    fn what_is_left_behind_counts_as_the_packets_that_it_stands_for() {
        for segments in [1, 2, 40] {
            let stats = Stats::default();
            let mut outbound = outbound(BATCH_BYTES as u64, 0);
            let bytes = read(&mut outbound, 1, segments);
            outbound.leave_behind(bytes, &stats);
            assert_eq!(stats.drops_down.total(), segments as u64);
        }
    }

    #[test]
    fn a_piece_has_as_many_segments_as_share_a_header_well() {
        let stats = Stats::default();
        let mut outbound = outbound(1400, 0);
        take(&mut outbound, 1, 3 * PIECE_SEGMENTS, &stats);
        let whole = 10 + HEADERS_BYTES + 4 * SEGMENT_BYTES;
        assert_eq!(leaving(&mut outbound), [(1, whole); 3]);
    }
}
