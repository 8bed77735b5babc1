//! What the two ZPortals say to each other, once HELLO went both ways: the payload of a frame
//! with the flag CONTROL. Nothing of it ever reaches a TUN.
//!
//! ```text
//! PING  | 1 | 0 0 0 | sequence 4 | sender's clock 8 | frames 8 | bytes 8 |                 32 bytes
//! PONG  | 2 | 0 0 0 | sequence 4 | PING's clock 8   | frames 8 | bytes 8 | own clock 8 |   40 bytes
//! CLOSE | 3 | 0 | reason 2 | text's bytes 2 | text, UTF-8 |                            6..=256 bytes
//! WORD  | 4 | 0 | text's bytes 2 | text, UTF-8 |                                       4..=256 bytes
//! ```
//!
//! Numbers are big-endian. A message may grow at its end, and bytes beyond what is known are
//! ignored; zeros are sent as zeros and ignored. First bytes of 0x40 to 0x4f and 0x60 to 0x6f are
//! never kinds, so that no IP packet can be taken for a message that means something.

#![forbid(unsafe_code)]

/// The largest message that this version writes, in bytes.
pub const CONTROL_MAX_BYTES: usize = 256;
/// The longest text of CLOSE, in bytes of UTF-8.
pub const CLOSE_TEXT_MAX_BYTES: usize = CONTROL_MAX_BYTES - CLOSE_BYTES;
/// The longest text of WORD, in bytes of UTF-8.
pub const WORD_TEXT_MAX_BYTES: usize = CONTROL_MAX_BYTES - WORD_BYTES;

const PING_KIND: u8 = 1;
const PONG_KIND: u8 = 2;
const CLOSE_KIND: u8 = 3;
const WORD_KIND: u8 = 4;
const PING_BYTES: usize = 32;
const PONG_BYTES: usize = 40;
const CLOSE_BYTES: usize = 6;
const WORD_BYTES: usize = 4;

/// What an end has finished with since the session began: the frames after HELLO without the flag
/// CONTROL that it took off the stream, whether its TUN took them or they were dropped. What the
/// other end sent beyond that is still on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Frames.
    pub frames: u64,
    /// The bytes of their payloads, as in the frames' headers.
    pub bytes: u64,
}

/// Asks for a [`Pong`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Counts the sender's PINGs.
    pub sequence: u32,
    /// The sender's monotonic clock, in nanoseconds from a moment that only it knows.
    pub sent_ns: u64,
    /// What the sender has finished with.
    pub delivered: Delivered,
}

/// Answers a [`Ping`], ahead of all queued packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pong {
    /// The PING's.
    pub sequence: u32,
    /// The PING's: the asker's clock, from which it knows the round trip without keeping a list.
    pub ping_sent_ns: u64,
    /// What the sender has finished with.
    pub delivered: Delivered,
    /// The sender's own monotonic clock, in nanoseconds: two reports tell a delivery rate that the
    /// way back has no part in.
    pub sent_ns: u64,
}

/// Why an end closes the link. Numbers not listed are to be taken as [`CloseReason::OTHER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseReason(pub u16);

impl CloseReason {
    /// None of the others; the text says more.
    pub const OTHER: Self = Self(0);
    /// The tunnel was asked to end.
    pub const SHUTDOWN: Self = Self(1);
    /// Another peer takes the place of this one.
    pub const REPLACED: Self = Self(2);
    /// The sender refuses what it received; the text is the error's code.
    pub const REFUSED: Self = Self(3);
    /// The sender cannot go on, for instance because its TUN was deleted.
    pub const FAILED: Self = Self(4);
    /// Another peer is connected, and stays.
    pub const BUSY: Self = Self(5);
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control<'a> {
    /// Asks for a PONG.
    Ping(Ping),
    /// Answers a PING.
    Pong(Pong),
    /// The sender ends the link now, and nothing follows: a clean end, not a cut.
    Close {
        /// Why.
        reason: CloseReason,
        /// For people, possibly empty. It holds no control characters, so a log can show it.
        text: &'a str,
    },
    /// What the sender's shell says to the receiver's; the core passes it on.
    Word {
        /// JSON, in version 1 about `zportal bench`. It holds no control characters.
        text: &'a str,
    },
    /// A kind from a later version: to be skipped and counted.
    Unknown {
        /// Its first byte.
        kind: u8,
    },
}

/// A known kind without all of its fields. Messages only ever grow and the frame's checksum was
/// right, so its sender is defective, and the link should end with that reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a control message of kind {kind} with {got} of its {wanted} bytes")]
pub struct TruncatedControl {
    /// Its first byte; 0, which is no kind, when not even that came.
    pub kind: u8,
    /// Bytes that came.
    pub got: usize,
    /// Bytes that it has at least.
    pub wanted: usize,
}

impl<'a> Control<'a> {
    /// Writes the message to the front of `buffer`, and returns that part: a frame's payload.
    /// A text that is too long or has control characters is written up to there.
    pub fn encode<'b>(&self, buffer: &'b mut [u8; CONTROL_MAX_BYTES]) -> &'b [u8] {
        buffer[..8].fill(0);
        let bytes = match self {
            Control::Ping(ping) => {
                buffer[0] = PING_KIND;
                put_u32(buffer, 4, ping.sequence);
                put_u64(buffer, 8, ping.sent_ns);
                put_u64(buffer, 16, ping.delivered.frames);
                put_u64(buffer, 24, ping.delivered.bytes);
                PING_BYTES
            }
            Control::Pong(pong) => {
                buffer[0] = PONG_KIND;
                put_u32(buffer, 4, pong.sequence);
                put_u64(buffer, 8, pong.ping_sent_ns);
                put_u64(buffer, 16, pong.delivered.frames);
                put_u64(buffer, 24, pong.delivered.bytes);
                put_u64(buffer, 32, pong.sent_ns);
                PONG_BYTES
            }
            Control::Close { reason, text } => {
                let text = presentable(text.as_bytes(), CLOSE_TEXT_MAX_BYTES);
                buffer[0] = CLOSE_KIND;
                buffer[2..4].copy_from_slice(&reason.0.to_be_bytes());
                buffer[4..6].copy_from_slice(&(text.len() as u16).to_be_bytes());
                buffer[CLOSE_BYTES..][..text.len()].copy_from_slice(text.as_bytes());
                CLOSE_BYTES + text.len()
            }
            Control::Word { text } => {
                let text = presentable(text.as_bytes(), WORD_TEXT_MAX_BYTES);
                buffer[0] = WORD_KIND;
                buffer[2..4].copy_from_slice(&(text.len() as u16).to_be_bytes());
                buffer[WORD_BYTES..][..text.len()].copy_from_slice(text.as_bytes());
                WORD_BYTES + text.len()
            }
            Control::Unknown { kind } => {
                buffer[0] = *kind;
                1
            }
        };
        &buffer[..bytes]
    }

    /// Reads the payload of a frame with the flag CONTROL.
    ///
    /// # Errors
    /// [`TruncatedControl`] when a known kind lacks some of its fields.
    pub fn parse(payload: &'a [u8]) -> Result<Self, TruncatedControl> {
        let kind = payload.first().copied().unwrap_or(0);
        let at_least = |wanted: usize| {
            let got = payload.len();
            payload
                .get(..wanted)
                .ok_or(TruncatedControl { kind, got, wanted })
        };
        Ok(match kind {
            PING_KIND => {
                let fields = at_least(PING_BYTES)?;
                Control::Ping(Ping {
                    sequence: take_u32(fields, 4),
                    sent_ns: take_u64(fields, 8),
                    delivered: take_delivered(fields, 16),
                })
            }
            PONG_KIND => {
                let fields = at_least(PONG_BYTES)?;
                Control::Pong(Pong {
                    sequence: take_u32(fields, 4),
                    ping_sent_ns: take_u64(fields, 8),
                    delivered: take_delivered(fields, 16),
                    sent_ns: take_u64(fields, 32),
                })
            }
            CLOSE_KIND => {
                let fields = at_least(CLOSE_BYTES)?;
                let reason = CloseReason(u16::from_be_bytes([fields[2], fields[3]]));
                let text_bytes = usize::from(u16::from_be_bytes([fields[4], fields[5]]));
                let text = &at_least(CLOSE_BYTES + text_bytes)?[CLOSE_BYTES..];
                Control::Close {
                    reason,
                    text: presentable(text, CLOSE_TEXT_MAX_BYTES),
                }
            }
            WORD_KIND => {
                let fields = at_least(WORD_BYTES)?;
                let text_bytes = usize::from(u16::from_be_bytes([fields[2], fields[3]]));
                let text = &at_least(WORD_BYTES + text_bytes)?[WORD_BYTES..];
                Control::Word {
                    text: presentable(text, WORD_TEXT_MAX_BYTES),
                }
            }
            _ if payload.is_empty() => {
                return Err(TruncatedControl {
                    kind,
                    got: 0,
                    wanted: 1,
                });
            }
            kind => Control::Unknown { kind },
        })
    }
}

/// The front part of a peer's text that is UTF-8 without control characters and not too long. The
/// rest is left out rather than the message refused: its reason counts more than its text, and no
/// peer gets to write escape sequences to a terminal.
fn presentable(text: &[u8], max_bytes: usize) -> &str {
    let text = &text[..text.len().min(max_bytes)];
    let valid = match std::str::from_utf8(text) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or(""),
    };
    valid.split(char::is_control).next().unwrap_or("")
}

fn put_u32(buffer: &mut [u8], at: usize, value: u32) {
    buffer[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

fn put_u64(buffer: &mut [u8], at: usize, value: u64) {
    buffer[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

fn take_u32(fields: &[u8], at: usize) -> u32 {
    fields[at..at + 4]
        .iter()
        .fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn take_u64(fields: &[u8], at: usize) -> u64 {
    fields[at..at + 8]
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn take_delivered(fields: &[u8], at: usize) -> Delivered {
    Delivered {
        frames: take_u64(fields, at),
        bytes: take_u64(fields, at + 8),
    }
}
