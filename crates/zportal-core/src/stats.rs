//! Counters that the tunnel's thread writes and any thread reads; all are totals since the open.

use std::sync::atomic::{AtomicU64, Ordering};

/// A total with one writer, the tunnel's thread, and any number of readers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds, without the cost of a locked instruction: there is only one writer.
    pub fn add(&self, amount: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(amount);
        self.0.store(sum, Ordering::Relaxed);
    }

    /// Makes it a gauge: what is so now, not what has been.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The total, or the gauge's value, now.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What has gone through a tunnel. `tx` is from the TUN to the peer, `rx` from the peer to the TUN;
/// packets and bytes are the inner ones, a super-packet counted as the packets it stands for, where
/// all of it is at hand and to be believed.
#[derive(Debug, Default)]
pub struct Stats {
    /// Inner packets sent.
    pub tx_packets: Counter,
    /// Bytes of inner packets sent.
    pub tx_bytes: Counter,
    /// Frames sent.
    pub tx_frames: Counter,
    /// Bytes written to the stream, frame headers included.
    pub stream_tx_bytes: Counter,
    /// Inner packets delivered to the TUN.
    pub rx_packets: Counter,
    /// Bytes of inner packets delivered to the TUN.
    pub rx_bytes: Counter,
    /// Frames received whole.
    pub rx_frames: Counter,
    /// Bytes read from the stream.
    pub stream_rx_bytes: Counter,
    /// Packets dropped because no peer was connected. What is read away while there is none counts
    /// as one each: only its beginning is read.
    pub drops_down: Counter,
    /// Packets dropped because the peer does not take their size or kind.
    pub drops_oversize: Counter,
    /// Packets dropped because their flow kept a standing queue (RFC 8289).
    pub drops_codel: Counter,
    /// Packets dropped because the queue was full.
    pub drops_overlimit: Counter,
    /// Packets of the peer that the kernel refused: not IP, or the device down. And packets for the
    /// peer that the kernel could not hand over.
    pub drops_tun: Counter,
    /// Packets of the peer dropped for a virtio_net_hdr that must not reach the kernel; one each,
    /// whatever that claims.
    pub drops_header: Counter,
    /// Connections that became the peer.
    pub peers_accepted: Counter,
    /// How often a client came back to its peer after the first time.
    pub reconnects: Counter,
    /// Connections turned away: the seat was taken, or they broke before their first frame.
    pub peers_refused: Counter,
    /// Control messages of a kind that this version does not know.
    pub unknown_controls: Counter,
    /// Packets that wait in the queue now.
    pub queue_packets: Counter,
    /// Bytes that wait in the queue now.
    pub queue_bytes: Counter,
    /// What the link was seen to carry, bytes a second; 0 while nothing is known.
    pub rate_bytes_per_second: Counter,
    /// The round trip to the peer's ZPortal and back, smoothed, microseconds; 0 while not known.
    pub rtt_us: Counter,
    /// The shortest of the last seconds, microseconds; 0 while not known.
    pub min_rtt_us: Counter,
    /// What may be on its way to the peer now, bytes; 0 where nothing is held back.
    pub window_bytes: Counter,
    /// What half of the packets of the last seconds waited in the queue at the most, microseconds.
    pub sojourn_p50_us: Counter,
    /// What all but one in a hundred of them waited at the most, microseconds.
    pub sojourn_p99_us: Counter,
    /// The same of the flows that send less than their share, microseconds: lookups, key presses.
    pub sojourn_sparse_p99_us: Counter,
    /// Packets marked as having met congestion (RFC 3168) where others would have been dropped.
    pub marks_ce: Counter,
}

impl Stats {
    /// What is so now is so no longer once the link has ended.
    pub fn forget_link(&self) {
        let gauges = [
            &self.queue_packets,
            &self.queue_bytes,
            &self.rate_bytes_per_second,
            &self.rtt_us,
            &self.min_rtt_us,
            &self.window_bytes,
            &self.sojourn_p50_us,
            &self.sojourn_p99_us,
            &self.sojourn_sparse_p99_us,
        ];
        for gauge in gauges {
            gauge.set(0);
        }
    }
}
