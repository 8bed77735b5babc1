//! Buffers for packets between the TUN and the stream: reused last-in first-out, so that the one
//! taken next is the one that is still in cache; none is allocated once the pool is warm.

use crate::queue::Packet;
use crate::wire::header::{FLAG_VNET, HEADER_BYTES, MAX_PAYLOAD_BYTES};
use crate::wire::vnet::VNET_HEADER_BYTES;

/// Packets up to this size move to a small buffer, so that a waiting ACK does not pin 64 KiB.
pub const SMALL_BYTES: usize = 2048;
/// Packets up to this size, as the pieces of super-packets on a slow link are, move to one of these.
pub const MEDIUM_BYTES: usize = 8192;
/// Room for the frame header in front of the largest payload.
pub const LARGE_BYTES: usize = HEADER_BYTES + MAX_PAYLOAD_BYTES;

/// One packet on its way out, with room for its frame header in front.
#[derive(Debug)]
pub struct Slot {
    /// Frame header, then payload; the header is written when the packet leaves.
    pub bytes: Box<[u8]>,
    /// Where the payload begins, at least [`HEADER_BYTES`].
    pub payload_at: usize,
    /// Length of the payload, bytes.
    pub payload_bytes: usize,
    /// The frame's flags.
    pub flags: u32,
    /// Whether it is for the peer's ZPortal, and so no packet to count.
    pub is_message: bool,
}

impl Slot {
    /// The whole frame, once [`Slot::seal`] has written its header.
    pub fn frame(&self) -> &[u8] {
        &self.bytes[self.payload_at - HEADER_BYTES..self.payload_at + self.payload_bytes]
    }

    /// Writes the frame header, checksum included. Nothing may change the payload after this.
    pub fn seal(&mut self) {
        let payload = &self.bytes[self.payload_at..self.payload_at + self.payload_bytes];
        let header = crate::wire::header::encode(self.flags, payload);
        self.bytes[self.payload_at - HEADER_BYTES..self.payload_at].copy_from_slice(&header);
    }

    fn ip_at(&self) -> usize {
        if self.flags & FLAG_VNET == 0 {
            self.payload_at
        } else {
            self.payload_at + VNET_HEADER_BYTES
        }
    }
}

impl Packet for Slot {
    fn ip(&self) -> &[u8] {
        &self.bytes[self.ip_at()..self.payload_at + self.payload_bytes]
    }

    fn ip_mut(&mut self) -> &mut [u8] {
        let ip_at = self.ip_at();
        &mut self.bytes[ip_at..self.payload_at + self.payload_bytes]
    }

    fn wire_bytes(&self) -> usize {
        HEADER_BYTES + self.payload_bytes
    }

    fn memory_bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// Free buffers of all sizes.
#[derive(Debug, Default)]
pub struct Slots {
    small: Vec<Box<[u8]>>,
    medium: Vec<Box<[u8]>>,
    large: Vec<Box<[u8]>>,
}

impl Slots {
    /// A buffer that takes any packet.
    pub fn large(&mut self) -> Box<[u8]> {
        self.fitting(LARGE_BYTES)
    }

    /// The smallest buffer for `bytes`, the frame header included.
    pub fn fitting(&mut self, bytes: usize) -> Box<[u8]> {
        let (free, size) = if bytes <= SMALL_BYTES {
            (&mut self.small, SMALL_BYTES)
        } else if bytes <= MEDIUM_BYTES {
            (&mut self.medium, MEDIUM_BYTES)
        } else {
            (&mut self.large, LARGE_BYTES)
        };
        free.pop()
            .unwrap_or_else(|| vec![0; size].into_boxed_slice())
    }

    /// Takes a buffer back.
    pub fn put_back(&mut self, buffer: Box<[u8]>) {
        match buffer.len() {
            SMALL_BYTES => self.small.push(buffer),
            MEDIUM_BYTES => self.medium.push(buffer),
            _ => self.large.push(buffer),
        }
    }
}
