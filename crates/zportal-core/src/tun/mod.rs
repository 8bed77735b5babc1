//! The TUN device: one packet a read, one packet a write, gone when dropped.
//!
//! Opened with IFF_VNET_HDR, so every packet has a 10-byte virtio_net_hdr in front of it
//! (`linux/virtio_net.h`, `linux/if_tun.h`), and O_NONBLOCK, so draining never sleeps.

mod configure;
mod device;

pub use configure::InterfaceAddress;
pub use device::{Refusal, Tun};

/// What the device shall look like.
#[derive(Debug, Clone)]
pub struct TunOptions {
    /// `zt0`, or a pattern such as `tun%d` that the kernel numbers.
    pub name: String,
    /// 68 to 65535 bytes.
    pub mtu_bytes: u16,
    /// Set once the device exists; IPv6 addresses need an MTU of at least 1280.
    pub addresses: Vec<InterfaceAddress>,
}
