//! CRC32C by the processor's CRC32 instruction, over three parts of the payload at once.
//!
//! The instruction's polynomial is exactly CRC32C's; it takes 8 bytes, can be started each cycle
//! and answers after three. So one register alone runs at a third of the speed, and three
//! independent ones at all of it. Their remainders are moved to the end of the block by one
//! carry-less multiplication each. Blocks are as long as the payload allows, so that a packet of
//! 1400 bytes is a single block.

use std::arch::x86_64::{
    _mm_clmulepi64_si128, _mm_crc32_u8, _mm_crc32_u16, _mm_crc32_u32, _mm_crc32_u64,
    _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_xor_si128,
};

use super::polynomial::factors_by_words;
use super::way::Crc32c;

/// Below this many bytes one register is as fast as three and their joining.
const SHORT_BYTES: usize = 256;
/// The longest part, in words of 8 bytes: joining costs little beside such a block, and the table of
/// factors stays at 2 KiB.
const PART_MAX_WORDS: usize = 256;

static FACTORS: [u32; 2 * PART_MAX_WORDS + 1] = factors_by_words();

/// CRC32C over three streams, where the processor has the instructions.
pub(super) fn three() -> Option<Crc32c> {
    let supported = is_x86_feature_detected!("pclmulqdq");
    // SAFETY: handed out only where every feature that it is compiled for was detected.
    one()
        .filter(|_| supported)
        .map(|_| (|bytes| unsafe { crc32c_three(bytes) }) as Crc32c)
}

/// CRC32C over one stream, where the processor has the instruction.
pub(super) fn one() -> Option<Crc32c> {
    let supported = is_x86_feature_detected!("sse4.2");
    // SAFETY: handed out only where every feature that it is compiled for was detected.
    supported.then_some(|bytes| unsafe { crc32c_one(bytes) })
}

#[target_feature(enable = "sse4.2")]
fn crc32c_one(bytes: &[u8]) -> u32 {
    !append(!0, bytes)
}

/// The register `crc` after `bytes` more.
#[inline]
#[target_feature(enable = "sse4.2")]
pub(super) fn append(crc: u32, bytes: &[u8]) -> u32 {
    let (words, mut rest) = bytes.as_chunks::<8>();
    let mut wide = u64::from(crc);
    for word in words {
        wide = step(wide, *word);
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

#[target_feature(enable = "sse4.2,pclmulqdq")]
pub(super) fn crc32c_three(bytes: &[u8]) -> u32 {
    let mut crc = !0;
    let mut rest = bytes;
    while rest.len() >= SHORT_BYTES {
        let words = (rest.len() / 24).min(PART_MAX_WORDS);
        let (block, after) = rest.split_at(3 * 8 * words);
        crc = append_block(crc, block, words);
        rest = after;
    }
    !append(crc, rest)
}

/// The register `crc` after a block of three parts, each of so many words.
#[inline]
#[target_feature(enable = "sse4.2,pclmulqdq")]
fn append_block(crc: u32, block: &[u8], words: usize) -> u32 {
    let (first_part, others) = block.as_chunks::<8>().0.split_at(words);
    let (second_part, third_part) = others.split_at(words);
    let (mut first, mut second, mut third) = (u64::from(crc), 0, 0);
    for ((a, b), c) in first_part.iter().zip(second_part).zip(third_part) {
        first = step(first, *a);
        second = step(second, *b);
        third = step(third, *c);
    }
    let first = times(first, FACTORS[2 * words]);
    let second = times(second, FACTORS[words]);
    // The sum is still to be divided by P, and the instruction does that to what it takes in.
    let sum = _mm_cvtsi128_si64(_mm_xor_si128(first, second)) as u64;
    (_mm_crc32_u64(0, sum) ^ third) as u32
}

#[inline]
#[target_feature(enable = "sse4.2")]
fn step(crc: u64, word: [u8; 8]) -> u64 {
    _mm_crc32_u64(crc, u64::from_le_bytes(word))
}

/// A register, moved over the distance of `factor`. Here the 32 places that the factor shifts by
/// are those that the CRC32 instruction, taking the product in, shifts by in its turn.
#[inline]
#[target_feature(enable = "sse4.2,pclmulqdq")]
fn times(crc: u64, factor: u32) -> std::arch::x86_64::__m128i {
    let factor = _mm_cvtsi64_si128(i64::from(factor));
    _mm_clmulepi64_si128::<0x00>(_mm_cvtsi64_si128(crc as i64), factor)
}
