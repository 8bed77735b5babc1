//! The 16 bytes in front of each payload: four big-endian numbers, and nothing optional.
//!
//! ```text
//! 0       4       8       12      16
//! | magic | flags | size  | crc   | payload …
//! ```

#![forbid(unsafe_code)]

use crate::crc::crc32c;

/// Bytes in front of each payload.
pub const HEADER_BYTES: usize = 16;
/// The first four bytes of each frame: `ZPRT`.
pub const MAGIC: u32 = 0x5A50_5254;
/// The payload is a message to the peer's ZPortal and never reaches the TUN.
pub const FLAG_CONTROL: u32 = 1;
/// The payload starts with a 10-byte little-endian virtio_net_hdr (linux/virtio_net.h).
pub const FLAG_VNET: u32 = 2;
/// The largest payload that any frame can have, whatever was agreed: the largest GSO super-packet
/// of the kernel (GSO_LEGACY_MAX_SIZE) behind its virtio_net_hdr. Buffers are sized for it.
pub const MAX_PAYLOAD_BYTES: usize = 65_536 + 10;

/// The header of a frame that carries `payload`, whose bytes are to follow it on the stream.
///
/// The flags are written as given: the caller knows what the peer can take. A payload of no bytes
/// or of more than [`MAX_PAYLOAD_BYTES`] is a defect of the caller, since any peer would end the
/// link over it.
#[inline]
pub fn encode(flags: u32, payload: &[u8]) -> [u8; HEADER_BYTES] {
    debug_assert!(!payload.is_empty() && payload.len() <= MAX_PAYLOAD_BYTES);
    let mut header = [0; HEADER_BYTES];
    header[0..4].copy_from_slice(&MAGIC.to_be_bytes());
    header[4..8].copy_from_slice(&flags.to_be_bytes());
    header[8..12].copy_from_slice(&(payload.len() as u32).to_be_bytes());
    header[12..16].copy_from_slice(&crc32c(payload).to_be_bytes());
    header
}
