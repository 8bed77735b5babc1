//! What the wire tests share: recordings, streams, and properties that print their seed.
#![allow(dead_code, reason = "each test file uses its part of it")]

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use zportal_core::wire::header::encode;

/// A file of `testdata/wire`.
pub fn recorded(name: &str) -> Vec<u8> {
    let path = format!("{}/testdata/wire/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The bytes of these frames, one after the other.
pub fn stream_of(frames: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (flags, payload) in frames {
        stream.extend_from_slice(&encode(*flags, payload));
        stream.extend_from_slice(payload);
    }
    stream
}

/// Runs `law` over `cases` values. The seed is new each time and printed with a failure; give it
/// back as `ZP_SEED=number` to see the same failure again.
pub fn property<S: Strategy>(
    name: &str,
    cases: u32,
    strategy: &S,
    law: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let seed = match std::env::var("ZP_SEED") {
        Ok(seed) => seed.parse().expect("ZP_SEED is a decimal number"),
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("the clock is past 1970")
            .as_nanos() as u64,
    };
    println!("{name}: ZP_SEED={seed}");
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    if let Err(failure) = TestRunner::new(config).run(strategy, law) {
        panic!("{name} (again with ZP_SEED={seed}): {failure}");
    }
}
