//! What leaves the queue is never less than one packet, and never more than the link carries in a
//! few milliseconds, nor than stays in cache.
//!
//! A packet that is in a batch or in the socket is out of the queue's reach: whatever comes next,
//! however urgent, waits behind it.

#![forbid(unsafe_code)]

use super::bytes_in;

/// A batch is what the link carries in this time, nanoseconds.
pub const BATCH_NS: u64 = 1_000_000;
/// The socket is kept filled for this time, nanoseconds. It asks for more when half of it is left
/// (tcp(7), TCP_NOTSENT_LOWAT), and must not run dry while we wake up.
pub const UNSENT_NS: u64 = 2_000_000;
/// The largest batch, bytes: one that is still in cache when the kernel copies it.
pub const BATCH_MAX_BYTES: u64 = 64 * 1024;
/// The most that is left unsent in the socket, bytes; four batches keep any link busy.
pub const UNSENT_MAX_BYTES: u64 = 4 * BATCH_MAX_BYTES;

/// A flow sends what the link carries in this time, nanoseconds, before another has its turn,
const QUANTUM_NS: u64 = 100_000;
/// but no more than this, bytes: enough for the other end to gather one large packet.
pub const QUANTUM_MAX_BYTES: u64 = 32 * 1024;

/// How much goes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// A batch is closed once it has as much as this, bytes.
    pub batch_bytes: u64,
    /// What TCP_NOTSENT_LOWAT should be, bytes.
    pub unsent_bytes: u64,
    /// What a flow sends in its turn, bytes; the queue makes it one packet of a network at the least.
    pub quantum_bytes: u64,
}

impl Sizes {
    /// The sizes for a link of this rate that carries packets of `packet_bytes`.
    pub fn at(bytes_per_second: u64, packet_bytes: u64) -> Sizes {
        let batch_bytes = bytes_in(bytes_per_second, BATCH_NS).max(packet_bytes);
        // With less than two packets the socket would run dry each time it asks.
        let unsent_bytes =
            bytes_in(bytes_per_second, UNSENT_NS).max(packet_bytes.saturating_mul(2));
        Sizes {
            batch_bytes: batch_bytes.min(BATCH_MAX_BYTES),
            unsent_bytes: unsent_bytes.min(UNSENT_MAX_BYTES),
            quantum_bytes: bytes_in(bytes_per_second, QUANTUM_NS).min(QUANTUM_MAX_BYTES),
        }
    }
}

/// The option as it was last set, so that it is set again only when that is worth a system call.
#[derive(Debug, Clone, Copy, Default)]
pub struct NotsentLowat {
    set_bytes: Option<u64>,
}

impl NotsentLowat {
    /// What to set the option to; `None` while what is set is within a quarter of `wanted_bytes`.
    pub fn change(&mut self, wanted_bytes: u64) -> Option<u64> {
        if let Some(set_bytes) = self.set_bytes
            && set_bytes.abs_diff(wanted_bytes) <= set_bytes / 4
        {
            return None;
        }
        self.set_bytes = Some(wanted_bytes);
        Some(wanted_bytes)
    }
}
