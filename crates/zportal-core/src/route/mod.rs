//! Which packets go into the tunnel, and the one way that must stay outside: the one to the first
//! hop, without which the tunnel would try to reach its peer through itself.
//!
//! Routes into the tunnel are the kernel's to forget: they go with the device. What keeps the
//! first hop outside lies on another device and does not; it is marked with the tunnel it belongs
//! to, and whoever opens the next tunnel removes what belongs to none.

mod cidr;
mod keeper;
mod kept;
mod kernel;
mod known;
mod outside;
mod plan;
mod refusal;
mod routing;

pub use cidr::Cidr;
pub use kernel::sweep;
pub use known::PROTOCOL_NUMBER;
pub use routing::Routing;
