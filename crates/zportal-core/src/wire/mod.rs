//! The bytes on the stream, as pure functions of bytes: no socket, no clock, no allocation.
//!
//! Whatever arrives, in whatever pieces, the verdict on a stream is the same, and no payload is
//! handed on but the one whose checksum its sender wrote. `docs/WIRE.md` is the specification.

#![forbid(unsafe_code)]

pub mod control;
pub mod decoder;
pub mod features;
pub mod header;
pub mod hello;
pub mod vnet;
