//! libFuzzer with one of the laws, which `ZPORTAL_LAW` names: `scripts/fuzz.mjs` runs it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../laws.rs"]
mod laws;

static LAW: LazyLock<laws::Law> = LazyLock::new(|| {
    let name = std::env::var("ZPORTAL_LAW").unwrap_or_default();
    let named = laws::LAWS.iter().find(|(known, _)| *known == name);
    named.expect("ZPORTAL_LAW names a law").1
});

fuzz_target!(|data: &[u8]| LAW(data));
