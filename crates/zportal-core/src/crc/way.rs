//! What every way of computing the checksum looks like.

/// A function that computes the CRC32C of its argument.
pub type Crc32c = fn(&[u8]) -> u32;
