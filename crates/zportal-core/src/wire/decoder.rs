//! What arrived is a whole frame as its sender wrote it, or not yet one, or the end of the link:
//! never a frame with another payload.

#![forbid(unsafe_code)]

use crate::crc::crc32c;
use crate::error::Error;
use crate::wire::header::{FLAG_CONTROL, FLAG_VNET, HEADER_BYTES, MAGIC, MAX_PAYLOAD_BYTES};

/// A control message is no packet, so it has no virtio_net_hdr: both flags at once mean nothing, and
/// are refused even where each is allowed.
const BOTH: u32 = FLAG_CONTROL | FLAG_VNET;

/// What this end accepts from its peer at this moment. It keeps no bytes: the caller's receive
/// buffer is the only copy, and frames are slices of it.
#[derive(Debug, Clone)]
pub struct Decoder {
    limit_bytes: u32,
    allowed_flags: u32,
}

/// One whole frame, checked, still lying in the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The flags, all of them among those allowed.
    pub flags: u32,
    /// The payload: 1 byte or more, and its CRC32C is right.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Bytes that the frame takes on the stream, header included: where the next one starts.
    #[inline]
    pub fn total_bytes(&self) -> usize {
        HEADER_BYTES + self.payload.len()
    }
}

impl Decoder {
    /// Accepts payloads of 1 to `limit_bytes` bytes whose flags are all among `allowed_flags`.
    /// A limit above [`MAX_PAYLOAD_BYTES`] means [`MAX_PAYLOAD_BYTES`], so that one buffer of that
    /// size (and the header's) holds any frame.
    pub fn new(limit_bytes: u32, allowed_flags: u32) -> Self {
        let mut decoder = Self {
            limit_bytes: 0,
            allowed_flags: 0,
        };
        decoder.accept(limit_bytes, allowed_flags);
        decoder
    }

    /// Changes what is accepted from the next frame on, once the two ends have agreed on more.
    pub fn accept(&mut self, limit_bytes: u32, allowed_flags: u32) {
        self.limit_bytes = limit_bytes.min(MAX_PAYLOAD_BYTES as u32);
        self.allowed_flags = allowed_flags;
    }

    /// Looks at the front of `bytes`, all that arrived and was not consumed yet.
    ///
    /// `Ok(Some(frame))`: a whole frame; skip [`Frame::total_bytes`] and ask again. `Ok(None)`:
    /// more bytes are needed. `Err`: the link must end with this reason.
    ///
    /// # Errors
    /// In this order: [`Error::FrameMagic`] once 4 bytes are there; [`Error::FrameFlags`] and
    /// [`Error::FrameSize`] once the header is complete, before any payload is waited for;
    /// [`Error::FrameCrc`] once the payload is. The verdict on a stream does not depend on the
    /// pieces in which it arrived.
    #[inline]
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Option<Frame<'a>>, Error> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return match bytes.first_chunk::<4>() {
                Some(&front) => check_magic(u32::from_be_bytes(front)).map(|()| None),
                None => Ok(None),
            };
        };
        let [magic, flags, size, crc] = words(header);
        check_magic(magic)?;
        if flags & !self.allowed_flags != 0 || flags & BOTH == BOTH {
            return Err(Error::FrameFlags { got: flags });
        }
        if size == 0 || size > self.limit_bytes {
            return Err(Error::FrameSize {
                got: size,
                limit: self.limit_bytes,
            });
        }
        let Some(payload) = rest.get(..size as usize) else {
            return Ok(None);
        };
        let computed = crc32c(payload);
        if computed != crc {
            return Err(Error::FrameCrc { got: crc, computed });
        }
        Ok(Some(Frame { flags, payload }))
    }

    /// How many bytes the frame at the front of `bytes` has in all, as far as its header tells.
    pub fn wanted_bytes(&self, bytes: &[u8]) -> usize {
        match bytes.first_chunk::<HEADER_BYTES>() {
            Some(header) => HEADER_BYTES + words(header)[2].min(self.limit_bytes) as usize,
            None => HEADER_BYTES,
        }
    }

    /// The reason for a stream that ended with `rest` unread, where [`Decoder::decode`] had asked
    /// for more. With no rest the stream ended between two frames: that is
    /// [`Error::PeerClosed`], and no frame was cut.
    pub fn cut(&self, rest: &[u8]) -> Error {
        if rest.is_empty() {
            return Error::PeerClosed { said: None };
        }
        Error::FrameCut {
            got: rest.len(),
            wanted: self.wanted_bytes(rest),
        }
    }
}

#[inline]
fn words(header: &[u8; HEADER_BYTES]) -> [u32; 4] {
    let word = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    [word(0), word(4), word(8), word(12)]
}

#[inline]
fn check_magic(got: u32) -> Result<(), Error> {
    if got == MAGIC {
        Ok(())
    } else {
        Err(Error::FrameMagic { got })
    }
}
