//! Streams to the peer: listening, dialing, and the way through proxies.
//!
//! A [`Stream`] handed over is ready for the packet loop: connected, blocking (io_uring wants
//! that), close-on-exec, with its options set, and with the bytes that already came from the
//! peer. Whatever fails or is dropped half-way leaves no descriptor and nothing pending.
//!
//! That last promise is why connecting and shaking hands go through tokio's readiness (which
//! tokio-uring's runtime drives as well) and not through io_uring operations: a dropped future
//! of tokio-uring leaves its operation in the kernel and the descriptor open until it completes,
//! and a connect to a black hole completes after two minutes. The stream's life as a tunnel,
//! where speed matters, is all io_uring.
//!
//! `way` (where to, checked) → `dial` (hops, deadline) → `race` (addresses of a name) → `socket`
//! (readiness); `listen` → `bind` → `unix_file` (who owns the socket's file). `resolve` and `options`
//! serve both; `network` tells when dialing again is worth it, `approach` how hop 0 is found and reached
//! where the tunnel's own routes are in the way (`name_servers`).

#![deny(unsafe_code)]

mod approach;
mod bind;
mod dial;
mod endpoint;
mod listen;
mod name_servers;
mod network;
mod options;
mod race;
mod readiness;
mod resolve;
mod socket;
mod stream;
mod unix_file;
mod way;

pub use approach::Approach;
pub use dial::{dial, dial_outside};
pub use listen::Listener;
pub use network::NetworkWatch;
pub use stream::{Hop, Stream, Transport};
pub use way::Way;
