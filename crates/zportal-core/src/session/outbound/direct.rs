//! A packet that finds nothing waiting leaves from where it was read to: past the queue, which would
//! give it out again at once.
//!
//! After a rest most of what a packet costs is memory that is in no cache, and the queue's is spread
//! wide.

use super::Outbound;
use super::intake::Payload;
use crate::queue::Dequeued;
use crate::session::peer::Peer;
use crate::stats::Stats;
use crate::window::probe::Probe;
use crate::wire::header::{self, HEADER_BYTES};

impl Outbound {
    /// The packet of `read` bytes, virtio_net_hdr included, that is in the space, if nothing waits
    /// and it is for the peer as it is. To be asked only where nothing limits what is sent.
    pub fn direct(&self, read: usize, peer: &Peer) -> Option<Payload> {
        let is_small = read as u64 <= self.sizes.batch_bytes;
        (self.is_idle() && is_small)
            .then(|| self.payload(read, peer))
            .flatten()
    }

    /// Its frame, which is to be sent now.
    pub fn frame(&mut self, direct: Payload) -> &[u8] {
        let frame = &mut self.spare[direct.at - HEADER_BYTES..direct.at + direct.bytes];
        let (header, payload) = frame.split_at_mut(HEADER_BYTES);
        header.copy_from_slice(&header::encode(direct.flags, payload));
        frame
    }

    /// Notes that the kernel took `sent` bytes of its frame. The others are the next batch.
    pub fn sent_direct(
        &mut self,
        now_ns: u64,
        direct: Payload,
        sent: usize,
        probe: &mut Probe,
        stats: &Stats,
    ) {
        let slot = self.slot(direct);
        self.batch.push_sealed(slot);
        self.sent(sent, stats);
        self.past_bytes = 0;
        self.waits.note(&Dequeued {
            packet: (),
            sojourn_ns: 0,
            is_sparse: true,
        });
        probe.on_sent(now_ns, direct.bytes as u64);
        probe.on_app_limited();
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{HEADERS_BYTES, SEGMENT_BYTES, outbound, peer, read};
    use super::{Outbound, Peer, Probe, Stats};
    use crate::wire::control::Delivered;
    use crate::wire::features::Features;
    use crate::wire::header::{FLAG_CONTROL, FLAG_VNET, HEADER_BYTES};

    const BATCH_BYTES: u64 = 4200;
    const WAIT_NS: u64 = 3_000_000;
    const FRAME_BYTES: usize = HEADER_BYTES + HEADERS_BYTES + SEGMENT_BYTES;

    fn probe() -> Probe {
        let mut probe = Probe::new(0, 1400, false);
        probe.learnt(0, Features::NONE, false);
        probe
    }

    /// The bytes of the next batch, as `sendmsg` would take them.
    fn batch(outbound: &mut Outbound, now_ns: u64, probe: &mut Probe, stats: &Stats) -> Vec<u8> {
        let taken = Delivered::default();
        let message = outbound.next_batch(now_ns, probe, taken, false, stats);
        // SAFETY: nothing touches the batch while its message is read.
        let message = unsafe { &*message.unwrap() };
        // SAFETY: as many parts as it says, in the batch.
        let parts = unsafe { std::slice::from_raw_parts(message.msg_iov, message.msg_iovlen) };
        let bytes = parts.iter().map(|part| {
            // SAFETY: each part is bytes of a frame in the batch.
            unsafe { std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len) }
        });
        bytes.flatten().copied().collect()
    }

    #[test]
    fn what_the_socket_does_not_take_is_the_next_batch() {
        for sent in [0, 1, HEADER_BYTES, FRAME_BYTES - 1, FRAME_BYTES] {
            let (stats, mut probe) = (Stats::default(), probe());
            let mut outbound = outbound(BATCH_BYTES, 0);
            let bytes = read(&mut outbound, 7, 1);
            let direct = outbound.direct(bytes, &peer()).unwrap();
            let frame = outbound.frame(direct).to_vec();
            assert_eq!(frame.len(), FRAME_BYTES);
            outbound.sent_direct(0, direct, sent, &mut probe, &stats);
            assert_eq!(outbound.is_idle(), sent == FRAME_BYTES);
            if sent < FRAME_BYTES {
                // The next packet may be read meanwhile.
                read(&mut outbound, 8, 1);
                assert_eq!(batch(&mut outbound, 0, &mut probe, &stats), frame[sent..]);
                assert_eq!(stats.tx_packets.total(), 0);
                outbound.sent(FRAME_BYTES - sent, &stats);
            }
            assert!(outbound.is_idle());
            assert_eq!(outbound.sent_bytes(), FRAME_BYTES as u64);
            assert_eq!(stats.tx_packets.total(), 1);
            assert_eq!(
                stats.tx_bytes.total(),
                (HEADERS_BYTES + SEGMENT_BYTES) as u64
            );
            assert_eq!(stats.stream_tx_bytes.total(), FRAME_BYTES as u64);
        }
    }

    #[test]
    fn the_frame_is_the_one_that_the_queue_would_have_given_out() {
        for segments in [1, 2] {
            let (stats, mut probe) = (Stats::default(), probe());
            let mut outbound = outbound(BATCH_BYTES, 0);
            let bytes = read(&mut outbound, 7, segments);
            let direct = outbound.direct(bytes, &peer()).unwrap();
            let frame = outbound.frame(direct).to_vec();
            assert_eq!(frame[7] == FLAG_VNET as u8, segments > 1);
            read(&mut outbound, 7, segments);
            outbound.take(0, bytes, &peer(), &stats);
            assert_eq!(batch(&mut outbound, 0, &mut probe, &stats), frame);
        }
    }

    #[test]
    fn nothing_goes_past_what_waits() {
        let stats = Stats::default();
        let mut outbound = outbound(BATCH_BYTES, 0);
        let bytes = read(&mut outbound, 7, 1);
        outbound.take(0, bytes, &peer(), &stats);
        let bytes = read(&mut outbound, 8, 1);
        assert!(outbound.direct(bytes, &peer()).is_none());
        outbound.clear(&stats);
        assert!(outbound.direct(bytes, &peer()).is_some());
        outbound.push_message(FLAG_CONTROL, b"first");
        assert!(outbound.direct(bytes, &peer()).is_none());
    }

    #[test]
    fn nor_does_what_is_to_be_cut_or_is_not_for_the_peer() {
        let mut outbound = outbound(BATCH_BYTES, 0);
        let bytes = read(&mut outbound, 7, 4);
        assert!(bytes as u64 > BATCH_BYTES);
        assert!(outbound.direct(bytes, &peer()).is_none());
        let bytes = read(&mut outbound, 7, 2);
        assert!(outbound.direct(bytes, &peer()).is_some());
        // A virtio_net_hdr and no packet.
        assert!(outbound.direct(10, &peer()).is_none());
        // Such a one has said nothing yet of super-packets.
        let stranger = Peer::new(*peer().ours());
        assert!(outbound.direct(bytes, &stranger).is_none());
    }

    #[test]
    fn its_wait_counts_among_those_of_the_others() {
        let (stats, mut probe) = (Stats::default(), probe());
        let mut outbound = outbound(BATCH_BYTES, 0);
        let bytes = read(&mut outbound, 7, 1);
        outbound.take(0, bytes, &peer(), &stats);
        batch(&mut outbound, WAIT_NS, &mut probe, &stats);
        outbound.sent(FRAME_BYTES, &stats);
        assert!(outbound.waits_us(WAIT_NS).p50 >= WAIT_NS / 1000);
        for _ in 0..2 {
            let bytes = read(&mut outbound, 7, 1);
            let direct = outbound.direct(bytes, &peer()).unwrap();
            outbound.sent_direct(0, direct, FRAME_BYTES, &mut probe, &stats);
        }
        assert_eq!(outbound.waits_us(WAIT_NS).p50, 0);
    }
}
