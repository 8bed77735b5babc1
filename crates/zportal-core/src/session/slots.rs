//! Buffers for packets between the TUN and the stream: reused last-in first-out, so that the one
//! taken next is the one that is still in cache; none is allocated once the pool is warm.

use crate::wire::header::{HEADER_BYTES, MAX_PAYLOAD_BYTES};

/// Packets up to this size move to a small buffer, so that a waiting ACK does not pin 64 KiB.
pub const SMALL_BYTES: usize = 2048;
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

    /// Memory held, bytes.
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// Free buffers of both sizes.
#[derive(Debug, Default)]
pub struct Slots {
    small: Vec<Box<[u8]>>,
    large: Vec<Box<[u8]>>,
}

impl Slots {
    /// A buffer that takes any packet.
    pub fn large(&mut self) -> Box<[u8]> {
        self.large
            .pop()
            .unwrap_or_else(|| vec![0; LARGE_BYTES].into_boxed_slice())
    }

    /// A buffer for a packet of at most [`SMALL_BYTES`] with its frame header.
    pub fn small(&mut self) -> Box<[u8]> {
        self.small
            .pop()
            .unwrap_or_else(|| vec![0; SMALL_BYTES].into_boxed_slice())
    }

    /// Takes a buffer back.
    pub fn put_back(&mut self, buffer: Box<[u8]>) {
        if buffer.len() == LARGE_BYTES {
            self.large.push(buffer);
        } else {
            self.small.push(buffer);
        }
    }
}
