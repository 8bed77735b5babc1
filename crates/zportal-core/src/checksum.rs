//! The Internet checksum (RFC 1071) kept right while a field under it changes (RFC 1624).

#![forbid(unsafe_code)]

/// One's complement addition.
pub fn add(one: u16, other: u16) -> u16 {
    let (sum, carry) = one.overflowing_add(other);
    sum + u16::from(carry)
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
