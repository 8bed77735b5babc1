//! CRC32C by folding with 256-bit carry-less multiplications (VPCLMULQDQ with AVX2).
//!
//! Four accumulators of 32 bytes each lie over the first 128 bytes. To take the next 128 in, each
//! is moved 128 bytes on, to where the bytes that it will be added to lie; nothing is divided by
//! `P`. At the end the four are moved onto the last 16 bytes, which then are the end of a much
//! shorter message with the same remainder, and the CRC32 instruction finishes it.
//!
//! An accumulator of 128 bits, reflected, is `first·x^64 + second` for its two halves, so that
//! moving it by `D` bits takes two factors: `first·x^(D+64) + second·x^D`.
//!
//! Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction",
//! Intel, 2009. The same with accumulators of 128 bits was half as fast as [`super::streams`] on
//! Zen 3 (11.4 GB/s beside 23.4), whose multiplier takes one every other cycle; one each cycle
//! makes it equal. Hence 256 bits at the least.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_clmulepi64_si128, _mm_crc32_u64, _mm_cvtsi32_si128, _mm_cvtsi128_si64,
    _mm_extract_epi64, _mm_set_epi64x, _mm_xor_si128, _mm256_castsi256_si128,
    _mm256_clmulepi64_epi128, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_set_epi64x,
    _mm256_xor_si256, _mm256_zextsi128_si256,
};

use super::lanes::four_lanes;
use super::polynomial::{Factors, by};
use super::streams::{self, append, crc32c_three};
use super::way::Crc32c;

/// Below this many bytes the CRC32 instruction is as fast.
const SHORT_BYTES: usize = 192;
/// Bytes of one accumulator.
const LANE_BYTES: usize = 32;

/// CRC32C by folding, where the processor has the instructions.
pub(super) fn wide() -> Option<Crc32c> {
    let supported = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("vpclmulqdq");
    // SAFETY: handed out only where every feature that it is compiled for was detected.
    let way: Crc32c = |bytes| unsafe { crc32c_256(bytes) };
    streams::three().filter(|_| supported).map(|_| way)
}

#[target_feature(enable = "sse4.2,pclmulqdq,avx2,vpclmulqdq")]
pub(super) fn crc32c_256(bytes: &[u8]) -> u32 {
    let (strides, tail) = bytes.as_chunks::<{ 4 * LANE_BYTES }>();
    let Some((first, strides)) = strides.split_first().filter(|_| bytes.len() >= SHORT_BYTES)
    else {
        return crc32c_three(bytes);
    };
    // A CRC starts from a register of ones: the same as the message's first 32 bits inverted.
    let start = _mm256_zextsi128_si256(_mm_cvtsi32_si128(!0));
    let last = four_lanes!(first, strides, |lane| _mm256_xor_si256(lane, start));
    !append(finish(last), tail)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(lane: &[u8; LANE_BYTES]) -> __m256i {
    // SAFETY: these are 32 readable bytes, and this load demands no alignment.
    unsafe { _mm256_loadu_si256(lane.as_ptr().cast()) }
}

/// Both halves of `lane`, moved by a distance and added to what lies there.
#[inline]
#[target_feature(enable = "avx2,vpclmulqdq")]
pub(super) fn moved(lane: __m256i, by: Factors, next: __m256i) -> __m256i {
    let factors = _mm256_set_epi64x(by.second, by.first, by.second, by.first);
    let first = _mm256_clmulepi64_epi128::<0x00>(lane, factors);
    let second = _mm256_clmulepi64_epi128::<0x11>(lane, factors);
    _mm256_xor_si256(_mm256_xor_si256(first, second), next)
}

/// The CRC register after the 32 bytes that the last accumulator stands for.
#[inline]
#[target_feature(enable = "sse4.2,pclmulqdq,avx2")]
pub(super) fn finish(last: __m256i) -> u32 {
    let Factors { first, second } = const { by(16) };
    let factors = _mm_set_epi64x(second, first);
    let earlier = _mm256_castsi256_si128(last);
    let later: __m128i = _mm256_extracti128_si256::<1>(last);
    let first = _mm_clmulepi64_si128::<0x00>(earlier, factors);
    let second = _mm_clmulepi64_si128::<0x11>(earlier, factors);
    let last = _mm_xor_si128(_mm_xor_si128(first, second), later);
    let first = _mm_cvtsi128_si64(last) as u64;
    let second = _mm_extract_epi64::<1>(last) as u64;
    _mm_crc32_u64(_mm_crc32_u64(0, first), second) as u32
}
