//! A super-packet counts as the packets that a device would cut it into.

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
