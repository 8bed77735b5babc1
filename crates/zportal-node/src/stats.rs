//! The counters as a plain object.

use napi_derive::napi;
use zportal_core::stats::Stats;

/// Totals since the open. `tx` is from the TUN to the peer, `rx` from the peer to the TUN.
#[napi(object, object_from_js = false)]
pub struct NativeStats {
    /// Inner packets sent.
    pub tx_packets: f64,
    /// Bytes of inner packets sent.
    pub tx_bytes: f64,
    /// Frames sent.
    pub tx_frames: f64,
    /// Bytes written to the stream.
    pub stream_tx_bytes: f64,
    /// Inner packets delivered to the TUN.
    pub rx_packets: f64,
    /// Bytes of inner packets delivered to the TUN.
    pub rx_bytes: f64,
    /// Frames received whole.
    pub rx_frames: f64,
    /// Bytes read from the stream.
    pub stream_rx_bytes: f64,
    /// Dropped because no peer was connected.
    pub drops_down: f64,
    /// Dropped because the peer does not take their size or kind.
    pub drops_oversize: f64,
    /// Refused by the kernel: not IP, or the device down; or not handed over by it.
    pub drops_tun: f64,
    /// Dropped for a virtio_net_hdr that must not reach the kernel.
    pub drops_header: f64,
    /// Connections that became the peer.
    pub peers_accepted: f64,
    /// How often a client came back to its peer after the first time.
    pub reconnects: f64,
    /// Connections turned away.
    pub peers_refused: f64,
    /// Control messages of an unknown kind.
    pub unknown_controls: f64,
    /// Dropped because their flow kept a standing queue.
    pub drops_codel: f64,
    /// Dropped because the queue was full.
    pub drops_overlimit: f64,
    /// Packets that wait in the queue now.
    pub queue_packets: f64,
    /// Bytes that wait in the queue now.
    pub queue_bytes: f64,
    /// What the link was seen to carry, bytes a second.
    pub rate_bytes_per_second: f64,
    /// The round trip to the peer's ZPortal and back, smoothed, microseconds; 0 while not known.
    pub rtt_us: f64,
    /// The shortest round trip of the last seconds, microseconds; 0 while not known.
    pub min_rtt_us: f64,
    /// What may be on its way to the peer now, bytes; 0 where nothing is held back.
    pub window_bytes: f64,
    /// What half of the packets of the last seconds waited in the queue at the most, microseconds.
    pub sojourn_p50_us: f64,
    /// What all but one in a hundred of them waited at the most, microseconds.
    pub sojourn_p99_us: f64,
    /// The same of the flows that send less than their share: lookups of names, key presses.
    pub sojourn_sparse_p99_us: f64,
    /// Packets marked as having met congestion where others would have been dropped.
    pub marks_ce: f64,
}

impl From<&Stats> for NativeStats {
    fn from(stats: &Stats) -> NativeStats {
        // A double counts exactly to 2^53: 9 petabytes.
        NativeStats {
            tx_packets: stats.tx_packets.total() as f64,
            tx_bytes: stats.tx_bytes.total() as f64,
            tx_frames: stats.tx_frames.total() as f64,
            stream_tx_bytes: stats.stream_tx_bytes.total() as f64,
            rx_packets: stats.rx_packets.total() as f64,
            rx_bytes: stats.rx_bytes.total() as f64,
            rx_frames: stats.rx_frames.total() as f64,
            stream_rx_bytes: stats.stream_rx_bytes.total() as f64,
            drops_down: stats.drops_down.total() as f64,
            drops_oversize: stats.drops_oversize.total() as f64,
            drops_tun: stats.drops_tun.total() as f64,
            drops_header: stats.drops_header.total() as f64,
            peers_accepted: stats.peers_accepted.total() as f64,
            reconnects: stats.reconnects.total() as f64,
            peers_refused: stats.peers_refused.total() as f64,
            unknown_controls: stats.unknown_controls.total() as f64,
            drops_codel: stats.drops_codel.total() as f64,
            drops_overlimit: stats.drops_overlimit.total() as f64,
            queue_packets: stats.queue_packets.total() as f64,
            queue_bytes: stats.queue_bytes.total() as f64,
            rate_bytes_per_second: stats.rate_bytes_per_second.total() as f64,
            rtt_us: stats.rtt_us.total() as f64,
            min_rtt_us: stats.min_rtt_us.total() as f64,
            window_bytes: stats.window_bytes.total() as f64,
            sojourn_p50_us: stats.sojourn_p50_us.total() as f64,
            sojourn_p99_us: stats.sojourn_p99_us.total() as f64,
            sojourn_sparse_p99_us: stats.sojourn_sparse_p99_us.total() as f64,
            marks_ce: stats.marks_ce.total() as f64,
        }
    }
}
