//! The checksum of each payload: CRC32C (Castagnoli), as in RFC 3720 B.4, equal on every machine.
//!
//! The fastest way that the processor offers is chosen once, when it is first needed. The
//! `crc32c` crate is the portable way, and the oracle that the tests hold the others to.

#[cfg(target_arch = "x86_64")]
mod fold256;
#[cfg(target_arch = "x86_64")]
mod fold512;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod polynomial;
#[cfg(target_arch = "x86_64")]
mod streams;
mod way;

use std::sync::LazyLock;

pub use way::Crc32c;

static FASTEST: LazyLock<Crc32c> = LazyLock::new(|| {
    ways()
        .into_iter()
        .find_map(|(_, way)| way)
        .unwrap_or(::crc32c::crc32c)
});

/// CRC32C of `bytes`, as it stands in a frame's header.
#[inline]
pub fn crc32c(bytes: &[u8]) -> u32 {
    FASTEST(bytes)
}

/// Every way there is, the fastest first, each with its name; `None` where this processor lacks
/// what it needs. For tests and benchmarks.
pub fn ways() -> Vec<(&'static str, Option<Crc32c>)> {
    vec![
        #[cfg(target_arch = "x86_64")]
        ("fold512", fold512::wide()),
        #[cfg(target_arch = "x86_64")]
        ("fold256", fold256::wide()),
        #[cfg(target_arch = "x86_64")]
        ("streams", streams::three()),
        ("crate", Some(::crc32c::crc32c)),
        // Last, since alone it is slower than the crate where a payload is long.
        #[cfg(target_arch = "x86_64")]
        ("instruction", streams::one()),
    ]
}
