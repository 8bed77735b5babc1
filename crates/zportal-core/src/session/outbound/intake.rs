//! TUN → queue: reading packets, merging datagrams of one flow and cutting super-packets that a slow
//! link would be busy with for long.

use super::super::count::count_drop;
use super::super::peer::Peer;
use super::super::slots::{MEDIUM_BYTES, Slot};
use super::{BATCH_BYTES, BATCH_FRAMES, Outbound};
use crate::cut::Cut;
use crate::error::Error;
use crate::merge::Run;
use crate::stats::Stats;
use crate::tun::Tun;
use crate::wire::header::{FLAG_VNET, HEADER_BYTES};
use crate::wire::vnet::VNET_HEADER_BYTES;

/// A super-packet is not cut to fewer segments than this: each piece carries headers of its own,
/// which with four segments take 1.4 % of the link at an MTU of 1400 bytes, with three 1.9 %.
const PIECE_SEGMENTS: usize = 4;

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
            count_drop(&slot, cause, stats);
            slots.put_back(slot.bytes);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH_BYTES, HEADER_BYTES, Outbound, PIECE_SEGMENTS, Peer, Stats};
    use crate::queue::Packet;
    use crate::window::batch::Sizes;
    use crate::wire::features::Features;
    use crate::wire::hello::{Hello, VERSION};
    use crate::wire::vnet::{GSO_TCPV4, NEEDS_CSUM, VnetHeader};

    const SEGMENT_BYTES: usize = 1360;
    const HEADERS_BYTES: usize = 40;

    fn peer() -> Peer {
        let hello = Hello {
            version: VERSION,
            is_relayed: false,
            features: Features::VNET | Features::TSO4,
            max_payload_bytes: u16::MAX.into(),
            mtu_bytes: 1400,
            session_id: [1; 16],
            inner_ipv4: None,
            inner_ipv6_digest: None,
        };
        let mut peer = Peer::new(hello);
        let theirs = Hello {
            session_id: [2; 16],
            ..hello
        };
        assert!(peer.learn(&theirs.encode()).unwrap());
        peer
    }

    fn outbound(batch_bytes: u64, quantum_bytes: u64) -> Outbound {
        let mut outbound = Outbound::new([21, 24], Sizes::at(0, 1400));
        let sizes = Sizes {
            batch_bytes,
            unsent_bytes: batch_bytes,
            quantum_bytes,
        };
        outbound.resize(sizes, u64::MAX);
        outbound
    }

    /// Takes a TCP packet of one flow with so many segments, as a TUN with offloads gives it.
    fn take(outbound: &mut Outbound, flow: u8, segments: usize, stats: &Stats) {
        let packet_bytes = HEADERS_BYTES + segments * SEGMENT_BYTES;
        let mut packet = vec![0; packet_bytes];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&u16::try_from(packet_bytes).unwrap().to_be_bytes());
        packet[8..10].copy_from_slice(&[64, 6]);
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, flow]);
        packet[32] = 5 << 4;
        let header = match segments {
            1 => VnetHeader::default(),
            _ => VnetHeader {
                flags: NEEDS_CSUM,
                gso_type: GSO_TCPV4,
                hdr_len: HEADERS_BYTES as u16,
                gso_size: SEGMENT_BYTES as u16,
                csum_start: 20,
                csum_offset: 16,
            },
        };
        let read = [&header.encode()[..], &packet].concat();
        outbound.space()[..read.len()].copy_from_slice(&read);
        outbound.take(0, read.len(), &peer(), stats);
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
    fn a_piece_has_as_many_segments_as_share_a_header_well() {
        let stats = Stats::default();
        let mut outbound = outbound(1400, 0);
        take(&mut outbound, 1, 3 * PIECE_SEGMENTS, &stats);
        let whole = 10 + HEADERS_BYTES + 4 * SEGMENT_BYTES;
        assert_eq!(leaving(&mut outbound), [(1, whole); 3]);
    }
}
