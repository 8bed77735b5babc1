//! A super-packet counts as the packets that a device would cut it into.

use super::slots::Slot;
use crate::queue::DropCause;
use crate::stats::Stats;
use crate::wire::header::FLAG_VNET;
use crate::wire::vnet::VNET_HEADER_BYTES;

/// How many packets of how many bytes together a payload stands for: a super-packet counts as
/// the packets that a device would cut it into.
pub fn packets_in(payload: &[u8], flags: u32) -> (u64, u64) {
    if flags & FLAG_VNET == 0 {
        return (1, payload.len() as u64);
    }
    let packet_bytes = payload.len() - VNET_HEADER_BYTES;
    let header_bytes = usize::from(u16::from_le_bytes([payload[2], payload[3]]));
    let segment_bytes = usize::from(u16::from_le_bytes([payload[4], payload[5]]));
    if segment_bytes == 0 {
        return (1, packet_bytes as u64);
    }
    let segments = packet_bytes
        .saturating_sub(header_bytes)
        .div_ceil(segment_bytes)
        .max(1);
    let repeated_headers = (segments - 1) * header_bytes;
    (segments as u64, (packet_bytes + repeated_headers) as u64)
}

/// Counts a packet that the queue dropped.
pub fn count_drop(slot: &Slot, cause: DropCause, stats: &Stats) {
    let (packets, _) = packets_of(slot);
    match cause {
        DropCause::CoDel => stats.drops_codel.add(packets),
        DropCause::Overlimit => stats.drops_overlimit.add(packets),
    }
}

/// Counts what was not sent when the link ended.
pub fn count_left_behind(slot: &Slot, stats: &Stats) {
    if !slot.is_message {
        stats.drops_down.add(packets_of(slot).0);
    }
}

/// Counts a frame that has left, as the packets it stands for.
pub fn count_sent(slot: &Slot, stats: &Stats) {
    stats.tx_frames.add(1);
    if slot.is_message {
        return;
    }
    let (packets, bytes) = packets_of(slot);
    stats.tx_packets.add(packets);
    stats.tx_bytes.add(bytes);
}

fn packets_of(slot: &Slot) -> (u64, u64) {
    let payload = &slot.bytes[slot.payload_at..slot.payload_at + slot.payload_bytes];
    packets_in(payload, slot.flags)
}
