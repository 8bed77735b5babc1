//! One peer, from its first byte to the reason of its end: both directions turn in one loop.
//!
//! A turn enters the kernel once, to submit and to wait, and once more where the answer to what it
//! wrote to the TUN may be there; a blocked send never stops receiving, and the reverse. The session owns its socket and buffers and borrows the rest.

mod acquaintance;
mod alone;
mod count;
mod crowd;
mod ear;
mod ending;
mod exchange;
mod from_tun;
mod inbound;
mod life;
mod outbound;
mod pace;
pub mod peer;
mod rally;
pub mod ring;
mod seat;
mod slots;
mod surroundings;
mod turn;

pub use acquaintance::Acquaintance;
pub use surroundings::Surroundings;
pub use turn::{OnProven, Session};
