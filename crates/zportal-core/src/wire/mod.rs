//! The bytes on the stream, as pure functions of bytes: no socket, no clock, no allocation.
//!
//! Whatever arrives, in whatever pieces, the verdict on a stream is the same; and no payload is
//! handed on whose checksum, size and flags were not those that its sender wrote and this end
//! accepts. `docs/WIRE.md` is the specification.

#![forbid(unsafe_code)]

pub mod decoder;
pub mod header;
