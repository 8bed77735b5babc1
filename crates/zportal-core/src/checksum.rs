//! The Internet checksum (RFC 1071) kept right while a field under it changes (RFC 1624).

#![forbid(unsafe_code)]

/// One's complement addition.
pub fn add(one: u16, other: u16) -> u16 {
    let (sum, carry) = one.overflowing_add(other);
    sum + u16::from(carry)
}

/// The one's complement sum of 16-bit big-endian words; an odd last byte counts as if a zero
/// followed.
///
/// Summed in the machine's own byte order and four bytes at a time, which gives the same (RFC 1071,
/// section 2), and in lanes that don't wait for each other.
pub fn sum(bytes: &[u8]) -> u16 {
    const LANES: usize = 8;
    let mut lanes = [0_u64; LANES];
    let (blocks, rest) = bytes.as_chunks::<{ 4 * LANES }>();
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let (words, rest) = rest.as_chunks::<2>();
    let mut total: u64 = lanes.iter().sum();
    total += words
        .iter()
        .map(|word| u64::from(u16::from_ne_bytes(*word)))
        .sum::<u64>();
    if let [last] = rest {
        total += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    u16::from_be(total as u16)
}

/// Replaces the 16-bit field at `field_at`, and keeps the checksum at `checksum_at` right: equation
/// 3 of RFC 1624.
pub fn replace(header: &mut [u8], field_at: usize, checksum_at: usize, new: u16) {
    let old = u16::from_be_bytes([header[field_at], header[field_at + 1]]);
    let checksum = u16::from_be_bytes([header[checksum_at], header[checksum_at + 1]]);
    let checksum = !add(add(!checksum, !old), new);
    header[field_at..field_at + 2].copy_from_slice(&new.to_be_bytes());
    header[checksum_at..checksum_at + 2].copy_from_slice(&checksum.to_be_bytes());
}
