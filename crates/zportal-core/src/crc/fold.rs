//! CRC32C by folding: the checksum at the speed of the memory that holds the bytes.
//!
//! # Why folding works
//! A CRC is the remainder of the message, read as a polynomial over GF(2), divided by `P`. So a
//! piece `A` of the message that is followed by `D` more bits counts `A·x^D mod P`, and may be
//! taken off its place and added (XOR) `D` bits further on as `A·(x^D mod P)`: a carry-less
//! multiplication by a constant. Several accumulators that each move by a whole stride keep the
//! multiplier busy; nothing is divided before the last 16 bytes.
//!
//! # Where the constants come from
//! CRC32C is bit-reflected: the first bit of the stream is bit 0 of a register and the highest
//! power of x. A 128-bit accumulator, reflected, is `first·x^64 + second`, for its two 64-bit
//! halves. Moved by `D` bits:
//!
//! ```text
//! first · x^(D+64)  +  second · x^D        (mod P)
//! ```
//!
//! The carry-less product of two reflected 64-bit numbers is the reflected product divided by x
//! (bits 0..=126 of 128), and a remainder of degree < 32 that lies in the low half of a 64-bit
//! register stands there as itself times x^32. Both together, a constant `x^e mod P` multiplies by
//! `x^(e+33)`; hence `e = D+64-33` for the first half and `D-33` for the second. [`power`] computes
//! them when the crate is compiled.
//!
//! The last accumulator is itself 16 bytes of an equivalent message: the CRC32 instruction, whose
//! polynomial is exactly `P`, finishes it and the bytes after it.
//!
//! Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction",
//! Intel, 2009.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_clmulepi64_si128, _mm_crc32_u8, _mm_crc32_u16, _mm_crc32_u32,
    _mm_crc32_u64, _mm_cvtsi32_si128, _mm_cvtsi128_si64, _mm_extract_epi64, _mm_loadu_si128,
    _mm_set_epi64x, _mm_xor_si128, _mm256_castsi256_si128, _mm256_clmulepi64_epi128,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_set_epi64x, _mm256_xor_si256,
    _mm256_zextsi128_si256,
};

use crate::crc::Crc32c;

/// `P` without its x^32, reflected: bit 31 is x^0, bit 0 is x^31.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// `x^exponent mod P`, reflected.
const fn power(exponent: u32) -> u32 {
    let mut remainder: u32 = 1 << 31;
    let mut i = 0;
    while i < exponent {
        let carry = remainder & 1 != 0;
        remainder >>= 1;
        if carry {
            remainder ^= POLYNOMIAL;
        }
        i += 1;
    }
    remainder
}

/// The two constants that move an accumulator by `distance_bytes`.
#[derive(Clone, Copy)]
struct Move {
    first: i64,
    second: i64,
}

const fn by(distance_bytes: u32) -> Move {
    let distance_bits = distance_bytes * 8;
    Move {
        first: power(distance_bits + 31) as i64,
        second: power(distance_bits - 33) as i64,
    }
}

/// Below this many bytes the CRC32 instruction alone is as fast: measured, see benches/crc.rs.
const SHORT_BYTES: usize = 128;

/// CRC32C by 256-bit folding, where the processor has it.
pub(super) fn vpclmul() -> Option<Crc32c> {
    let supported = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("vpclmulqdq");
    // SAFETY: the function is handed out only where every feature it is compiled for was detected.
    pclmul()
        .filter(|_| supported)
        .map(|_| (|bytes| unsafe { crc32c_vpclmul(bytes) }) as Crc32c)
}

/// CRC32C by 128-bit folding, where the processor has it.
pub(super) fn pclmul() -> Option<Crc32c> {
    let supported = is_x86_feature_detected!("pclmulqdq");
    // SAFETY: the function is handed out only where every feature it is compiled for was detected.
    sse42()
        .filter(|_| supported)
        .map(|_| (|bytes| unsafe { crc32c_pclmul(bytes) }) as Crc32c)
}

/// CRC32C by the CRC32 instruction alone, where the processor has it.
pub(super) fn sse42() -> Option<Crc32c> {
    let supported = is_x86_feature_detected!("sse4.2");
    // SAFETY: the function is handed out only where every feature it is compiled for was detected.
    supported.then_some(|bytes| unsafe { crc32c_sse42(bytes) })
}

/// CRC32C by the CRC32 instruction alone.
#[target_feature(enable = "sse4.2")]
fn crc32c_sse42(bytes: &[u8]) -> u32 {
    !append(!0, bytes)
}

/// Goes on from the register's value `crc` over `bytes`, 8 of them per instruction.
#[inline]
#[target_feature(enable = "sse4.2")]
fn append(crc: u32, bytes: &[u8]) -> u32 {
    let (words, mut rest) = bytes.as_chunks::<8>();
    let mut wide = u64::from(crc);
    for word in words {
        wide = _mm_crc32_u64(wide, u64::from_le_bytes(*word));
    }
    let mut crc = wide as u32;
    if let Some((word, after)) = rest.split_first_chunk::<4>() {
        crc = _mm_crc32_u32(crc, u32::from_le_bytes(*word));
        rest = after;
    }
    if let Some((word, after)) = rest.split_first_chunk::<2>() {
        crc = _mm_crc32_u16(crc, u16::from_le_bytes(*word));
        rest = after;
    }
    if let Some(byte) = rest.first() {
        crc = _mm_crc32_u8(crc, *byte);
    }
    crc
}

/// CRC32C by four accumulators of 128 bits.
#[target_feature(enable = "sse4.2,pclmulqdq")]
fn crc32c_pclmul(bytes: &[u8]) -> u32 {
    const LANE: usize = size_of::<__m128i>();
    if bytes.len() < SHORT_BYTES {
        return crc32c_sse42(bytes);
    }
    let (strides, tail) = bytes.as_chunks::<{ 4 * LANE }>();
    let Some((first, strides)) = strides.split_first() else {
        return crc32c_sse42(bytes);
    };
    let mut lanes = lanes_128(first);
    lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128(!0));
    for stride in strides {
        let next = lanes_128(stride);
        for lane in 0..4 {
            lanes[lane] = moved_128(lanes[lane], const { by(4 * LANE as u32) }, next[lane]);
        }
    }
    // Each lane goes straight to the last one's place, so that the three moves overlap.
    let mut last = lanes[3];
    last = moved_128(lanes[2], const { by(LANE as u32) }, last);
    last = moved_128(lanes[1], const { by(2 * LANE as u32) }, last);
    last = moved_128(lanes[0], const { by(3 * LANE as u32) }, last);
    !append(finish(last), tail)
}

/// CRC32C by four accumulators of 256 bits.
#[target_feature(enable = "sse4.2,pclmulqdq,avx2,vpclmulqdq")]
fn crc32c_vpclmul(bytes: &[u8]) -> u32 {
    const LANE: usize = size_of::<__m256i>();
    if bytes.len() < 2 * SHORT_BYTES {
        return crc32c_pclmul(bytes);
    }
    let (strides, tail) = bytes.as_chunks::<{ 4 * LANE }>();
    let Some((first, strides)) = strides.split_first() else {
        return crc32c_pclmul(bytes);
    };
    let mut lanes = lanes_256(first);
    lanes[0] = _mm256_xor_si256(lanes[0], _mm256_zextsi128_si256(_mm_cvtsi32_si128(!0)));
    for stride in strides {
        let next = lanes_256(stride);
        for lane in 0..4 {
            lanes[lane] = moved_256(lanes[lane], const { by(4 * LANE as u32) }, next[lane]);
        }
    }
    let mut last = lanes[3];
    last = moved_256(lanes[2], const { by(LANE as u32) }, last);
    last = moved_256(lanes[1], const { by(2 * LANE as u32) }, last);
    last = moved_256(lanes[0], const { by(3 * LANE as u32) }, last);
    let last = moved_128(
        _mm256_castsi256_si128(last),
        const { by(16) },
        _mm256_extracti128_si256::<1>(last),
    );
    !append(finish(last), tail)
}

/// Four lanes of 16 bytes each.
#[inline]
#[target_feature(enable = "sse4.2")]
fn lanes_128(stride: &[u8; 64]) -> [__m128i; 4] {
    let (lanes, _) = stride.as_chunks::<16>();
    // SAFETY: each lane is 16 readable bytes, and the load demands no alignment.
    [0, 1, 2, 3].map(|lane| unsafe { _mm_loadu_si128(lanes[lane].as_ptr().cast()) })
}

/// Four lanes of 32 bytes each.
#[inline]
#[target_feature(enable = "avx2")]
fn lanes_256(stride: &[u8; 128]) -> [__m256i; 4] {
    let (lanes, _) = stride.as_chunks::<32>();
    // SAFETY: each lane is 32 readable bytes, and the load demands no alignment.
    [0, 1, 2, 3].map(|lane| unsafe { _mm256_loadu_si256(lanes[lane].as_ptr().cast()) })
}

/// `lane`, moved by a distance, added to what lies there.
#[inline]
#[target_feature(enable = "sse4.2,pclmulqdq")]
fn moved_128(lane: __m128i, by: Move, next: __m128i) -> __m128i {
    let constants = _mm_set_epi64x(by.second, by.first);
    let first = _mm_clmulepi64_si128::<0x00>(lane, constants);
    let second = _mm_clmulepi64_si128::<0x11>(lane, constants);
    _mm_xor_si128(_mm_xor_si128(first, second), next)
}

/// The same for the two 128-bit halves of a lane at once.
#[inline]
#[target_feature(enable = "avx2,vpclmulqdq")]
fn moved_256(lane: __m256i, by: Move, next: __m256i) -> __m256i {
    let constants = _mm256_set_epi64x(by.second, by.first, by.second, by.first);
    let first = _mm256_clmulepi64_epi128::<0x00>(lane, constants);
    let second = _mm256_clmulepi64_epi128::<0x11>(lane, constants);
    _mm256_xor_si256(_mm256_xor_si256(first, second), next)
}

/// The CRC register after the 16 bytes that the last accumulator stands for.
#[inline]
#[target_feature(enable = "sse4.2")]
fn finish(last: __m128i) -> u32 {
    let first = _mm_cvtsi128_si64(last) as u64;
    let second = _mm_extract_epi64::<1>(last) as u64;
    _mm_crc32_u64(_mm_crc32_u64(0, first), second) as u32
}

#[cfg(test)]
mod tests {
    use super::{by, power};

    #[test]
    fn the_powers_of_x_are_those_that_others_publish() {
        // Constants of independent implementations of CRC32C: the Linux kernel's
        // crc32c-pcl-intel and Intel's paper for 128 bits, others for four lanes of 128.
        assert_eq!(power(0), 0x8000_0000);
        assert_eq!(power(32), super::POLYNOMIAL);
        let one = by(16);
        assert_eq!((one.first, one.second), (0xf20c_0dfe, 0x493c_7d27));
        let four = by(64);
        assert_eq!((four.first, four.second), (0x740e_ef02, 0x9e4a_ddf8));
    }
}
