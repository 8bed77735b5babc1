//! CRC32C is one number, whichever way this processor computes it.

mod wire_support;

use proptest::prelude::*;
use wire_support::property;
use zportal_core::crc::{Crc32c, crc32c, ways};

/// The definition, one bit after the other: it shares nothing with what it judges.
fn by_definition(bytes: &[u8]) -> u32 {
    let mut register: u32 = !0;
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = register & 1;
            register >>= 1;
            if carry == 1 {
                register ^= 0x82F6_3B78;
            }
        }
    }
    !register
}

/// The ways that this machine has; those it lacks are named in the test's output.
fn here() -> Vec<(&'static str, Crc32c)> {
    ways()
        .into_iter()
        .filter_map(|(name, way)| {
            if way.is_none() {
                println!("skipped: this processor has no {name}");
            }
            way.map(|way| (name, way))
        })
        .collect()
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..bytes).map(next).collect()
}

#[test]
fn the_published_values_come_out() {
    // RFC 3720 B.4, and the check value of the catalogue of CRCs.
    let ascending: Vec<u8> = (0..32).collect();
    let descending: Vec<u8> = (0..32).rev().collect();
    let vectors: [(&[u8], u32); 6] = [
        (b"", 0),
        (&[0; 32], 0x8A91_36AA),
        (&[0xff; 32], 0x62A8_AB43),
        (&ascending, 0x46DD_794E),
        (&descending, 0x113F_DB5C),
        (b"123456789", 0xE306_9283),
    ];
    for (bytes, value) in vectors {
        assert_eq!(by_definition(bytes), value);
        assert_eq!(crc32c(bytes), value);
        for (name, way) in here() {
            assert_eq!(way(bytes), value, "{name}");
        }
    }
}

#[test]
fn every_length_at_every_alignment_agrees_with_the_crate() {
    let bytes = noise(4096 + 64);
    for (name, way) in here() {
        for start in [0, 1, 3, 7, 8, 15, 16, 31, 63] {
            for length in 0..=4096 {
                let piece = &bytes[start..start + length];
                assert_eq!(
                    way(piece),
                    ::crc32c::crc32c(piece),
                    "{name}, {length} bytes from {start}"
                );
            }
        }
    }
}

#[test]
fn every_short_length_agrees_with_the_definition() {
    let bytes = noise(1024);
    for length in 0..=bytes.len() {
        let expected = by_definition(&bytes[..length]);
        assert_eq!(crc32c(&bytes[..length]), expected, "{length} bytes");
        for (name, way) in here() {
            assert_eq!(way(&bytes[..length]), expected, "{name}, {length} bytes");
        }
    }
}

#[test]
fn large_random_payloads_agree_with_the_crate() {
    let bytes = prop::collection::vec(any::<u8>(), 4096..70_000);
    let here = here();
    property(
        "large payloads",
        64,
        &(bytes, 0usize..64),
        |(bytes, start)| {
            let expected = ::crc32c::crc32c(&bytes[start..]);
            prop_assert_eq!(crc32c(&bytes[start..]), expected);
            for (name, way) in &here {
                prop_assert_eq!(way(&bytes[start..]), expected, "{}", name);
            }
            Ok(())
        },
    );
}

#[test]
fn no_way_is_forgotten_by_these_tests() {
    if cfg!(target_arch = "x86_64") {
        assert_eq!(ways().len(), 5);
    }
}
