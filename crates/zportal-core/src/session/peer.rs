//! What this end knows of the other, and so what it may send and must accept.

/// The other end of the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    mtu_bytes: u16,
    vnet: bool,
}

impl Peer {
    /// Nothing is known yet: speak as to an original.
    pub fn unknown(mtu_bytes: u16) -> Peer {
        Peer {
            mtu_bytes,
            vnet: false,
        }
    }

    /// Whether frames may carry a virtio_net_hdr.
    pub fn takes_vnet(&self) -> bool {
        self.vnet
    }

    /// The largest payload that may be sent.
    pub fn payload_limit_bytes(&self) -> usize {
        self.mtu_bytes.into()
    }

    /// The largest payload that is accepted.
    pub fn accepted_bytes(&self) -> u32 {
        self.mtu_bytes.into()
    }

    /// The flag bits that are accepted.
    pub fn accepted_flags(&self) -> u32 {
        0
    }
}
