//! Only a packet whose sender understands ECN is marked, and its IPv4 header checksum stays as
//! right, or as wrong, as it was.
//!
//! RFC 3168: the two ECN bits say Not-ECT (0), ECT(1) (1), ECT(0) (2) or CE (3).

#![forbid(unsafe_code)]

const ECN_MASK: u8 = 0b11;
const CE: u8 = 0b11;
const IPV4_HEADER_BYTES: usize = 20;
const IPV4_CHECKSUM_AT: usize = 10;
const IPV6_HEADER_BYTES: usize = 40;
/// The ECN bits end the traffic class, which lies across bytes 0 and 1 of IPv6.
const IPV6_ECN_SHIFT: u8 = 4;

/// Says Congestion Experienced in the packet, if its sender understands that. Returns whether it
/// says so now; if not, the packet is as it was and must be dropped instead.
///
/// A super-packet is marked in the one header it has, and so in each packet cut from it. Checksums
/// that are still partial don't cover these bits.
pub fn mark_ce(ip: &mut [u8]) -> bool {
    match ip.first().map(|byte| byte >> 4) {
        Some(4) if ip.len() >= IPV4_HEADER_BYTES => mark_ipv4(ip),
        Some(6) if ip.len() >= IPV6_HEADER_BYTES => {
            let ecn = ip[1] >> IPV6_ECN_SHIFT & ECN_MASK;
            if ecn == 0 {
                return false;
            }
            ip[1] |= CE << IPV6_ECN_SHIFT;
            true
        }
        _ => false,
    }
}

fn mark_ipv4(ip: &mut [u8]) -> bool {
    let ecn = ip[1] & ECN_MASK;
    if ecn == 0 || ecn == CE {
        return ecn == CE;
    }
    let before = u16::from_be_bytes([ip[0], ip[1]]);
    ip[1] |= CE;
    let after = u16::from_be_bytes([ip[0], ip[1]]);
    let checksum = u16::from_be_bytes([ip[IPV4_CHECKSUM_AT], ip[IPV4_CHECKSUM_AT + 1]]);
    let updated = updated_checksum(checksum, before, after);
    ip[IPV4_CHECKSUM_AT..][..2].copy_from_slice(&updated.to_be_bytes());
    true
}

/// RFC 1624, equation 3: HC' = ~(~HC + ~m + m'), in one's complement arithmetic.
fn updated_checksum(checksum: u16, before: u16, after: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(!before) + u32::from(after);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}
