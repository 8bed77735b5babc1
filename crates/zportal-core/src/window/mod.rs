//! How much may be on its way, told by nothing but what was seen and when: the same samples at
//! the same times always give the same answer.
//!
//! [`rate`] measures what the stream takes, [`batch`] makes the sizes of our sends from it,
//! [`standing`] limits what stands on the path of our own TCP, and [`inflight`] what stands in a
//! proxy's buffers, with more where the way stalls ([`stall`]); [`probe`] asks the peer what it has taken, and [`beyond`]
//! notices proxies of which nobody knows. Names are BBR's (draft-ietf-ccwg-bbr) where it has them.

#![forbid(unsafe_code)]

pub mod asking;
pub mod batch;
pub mod beyond;
pub mod doubt;
pub mod feedback;
pub mod filter;
pub mod gate;
pub mod inflight;
pub mod look;
pub mod margin;
pub mod path;
pub mod phase;
pub mod probe;
pub mod rate;
pub mod stall;
pub mod standing;

/// Nanoseconds in a second.
const SECOND_NS: u64 = 1_000_000_000;

/// What `bytes_per_second` carries in `time_ns`, bytes.
fn bytes_in(bytes_per_second: u64, time_ns: u64) -> u64 {
    let bytes = u128::from(bytes_per_second) * u128::from(time_ns) / u128::from(SECOND_NS);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The rate of `bytes` in `time_ns`, bytes a second.
fn rate_of(bytes: u64, time_ns: u64) -> u64 {
    let rate = u128::from(bytes) * u128::from(SECOND_NS) / u128::from(time_ns.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// How long `bytes_per_second` takes for `bytes`, nanoseconds.
fn time_of(bytes: u64, bytes_per_second: u64) -> u64 {
    let time = u128::from(bytes) * u128::from(SECOND_NS) / u128::from(bytes_per_second.max(1));
    u64::try_from(time).unwrap_or(u64::MAX)
}
