//! What can be found out before a tunnel is opened: whether this machine lets it, and whether the
//! way to the peer is there.
//!
//! Every probe does what the tunnel itself would do, by the same code, and leaves nothing behind:
//! a probe that passes and a tunnel that fails would be worse than no probe.

mod machine;
mod way;

pub use machine::{congestion, device, listen, ring};
pub use way::{Answer, HopReport, Questions, way};
