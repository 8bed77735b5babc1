//! The checksum of each payload: CRC32C (Castagnoli), as in RFC 3720 B.4.

/// CRC32C of `bytes`, as it stands in a frame's header.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}
