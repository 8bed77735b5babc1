//! What super-packets are made from: the plain IP headers, and which of them may share one.
//!
//! Plain means without IPv4 options, IPv6 extension headers and fragments; such packets are left
//! as they are.

#![forbid(unsafe_code)]

/// An IPv4 header without options (RFC 791, 3.1).
pub const IPV4_HEADER_BYTES: usize = 20;
/// An IPv6 header (RFC 8200, 3).
pub const IPV6_HEADER_BYTES: usize = 40;
/// The length field of IPv4 has 16 bits.
pub const PACKET_MAX_BYTES: usize = 65_535;

/// The flag Don't Fragment, in the high byte of the fragment field.
const DONT_FRAGMENT: u8 = 0x40;

/// The size of the IP header, bytes, if this is a whole packet of `protocol` with a plain header
/// and at least `transport_min_bytes` behind it.
pub fn plain_header_bytes(
    packet: &[u8],
    protocol: u8,
    transport_min_bytes: usize,
) -> Option<usize> {
    let header_bytes = match packet.first()? {
        0x45 => IPV4_HEADER_BYTES,
        first if first >> 4 == 6 => IPV6_HEADER_BYTES,
        _ => return None,
    };
    if packet.len() < header_bytes + transport_min_bytes {
        return None;
    }
    let (carried, is_whole) = if header_bytes == IPV4_HEADER_BYTES {
        let fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff;
        let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        (packet[9], fragment == 0 && length == packet.len())
    } else {
        let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
        (packet[6], length + IPV6_HEADER_BYTES == packet.len())
    };
    (carried == protocol && is_whole).then_some(header_bytes)
}

/// Whether the plain headers `first` and `next`, of the packet `position` places behind it, differ
/// in nothing but what the kernel that cuts a super-packet makes anew: lengths, checksum, and the
/// identification of a packet that is no fragment.
pub fn is_same_path(first: &[u8], next: &[u8], position: usize) -> bool {
    if first.len() == IPV6_HEADER_BYTES {
        return first[..4] == next[..4] && first[6..] == next[6..];
    }
    let number = |ip: &[u8]| u16::from_be_bytes([ip[4], ip[5]]);
    // The kernel counts the identification up; without Don't Fragment it matters.
    let is_identified = first[6] & DONT_FRAGMENT != 0
        || number(next) == number(first).wrapping_add(to_u16(position));
    is_identified
        && first[..2] == next[..2]
        && first[6..10] == next[6..10]
        && first[12..] == next[12..]
}

/// A length within one packet, which [`PACKET_MAX_BYTES`] bounds.
pub fn to_u16(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}
