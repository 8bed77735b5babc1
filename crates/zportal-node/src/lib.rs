//! The napi-rs binding: translates options, errors and events between JavaScript and
//! `zportal-core`. Nothing else: no policy, no packet.
//!
//! Expected failures are values, `{ value }` or `{ failure }`, so that every field of an error
//! reaches JavaScript; a rejected promise means a defect here.

mod lock;
pub mod notify;
mod options;
mod outcome;
mod probe;
mod stats;
mod tunnel;

use napi_derive::napi;

/// Every error code that the core knows.
#[napi]
pub fn codes() -> Vec<&'static str> {
    zportal_core::error::CODES.to_vec()
}
