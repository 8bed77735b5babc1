//! The TUN device: one packet a read, one packet a write, gone when dropped.
//!
//! Opened with IFF_VNET_HDR, so every packet has a 10-byte virtio_net_hdr in front of it
//! (`linux/virtio_net.h`, `linux/if_tun.h`), and O_NONBLOCK, so draining never sleeps.

mod configure;
mod create;
mod device;
mod options;

pub use configure::InterfaceAddress;
pub(crate) use configure::{index, restore_address};
pub use device::{Refusal, Tun};
pub use options::TunOptions;
