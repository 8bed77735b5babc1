//! ZPortal's packet path: TUN → frame → stream → frame → TUN, one OS thread a tunnel.
//!
//! Pure modules (`wire`, `crc`, `proxy`, `address`, `queue`, `liveness`) take bytes and time as arguments and return
//! values; `tun`, `link` and `session` are thin I/O around them; `tunnel` is the thread that owns
//! all of it. Nothing in this crate knows JavaScript.

pub mod address;
pub mod checksum;
pub mod crc;
pub mod cut;
pub mod error;
pub mod gather;
pub mod ip;
pub mod link;
pub mod liveness;
mod lock;
pub mod merge;
pub mod notices;
pub mod probe;
pub mod proxy;
pub mod queue;
pub mod route;
pub mod seat;
pub mod session;
pub mod stats;
pub mod tun;
pub mod tunnel;
pub mod wake;
pub mod window;
pub mod wire;
pub mod words;
