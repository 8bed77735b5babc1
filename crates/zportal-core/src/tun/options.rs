//! What a TUN device shall look like.

use super::configure::InterfaceAddress;

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
