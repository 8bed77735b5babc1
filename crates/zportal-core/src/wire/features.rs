//! What an end can take, one bit each: only what both ends announced is ever used.

#![forbid(unsafe_code)]

use std::fmt;
use std::ops::{BitAnd, BitOr};

/// A set of features, as HELLO carries it. Bits that this version does not know stay in the set
/// and are lost in [`negotiate`], since this end announces none of them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Features(pub u32);

impl Features {
    /// No feature: what an original has.
    pub const NONE: Self = Self(0);
    /// Frames with a virtio_net_hdr, and packets whose checksum is still partial in them.
    pub const VNET: Self = Self(1 << 0);
    /// TCP super-packets over IPv4.
    pub const TSO4: Self = Self(1 << 1);
    /// TCP super-packets over IPv6.
    pub const TSO6: Self = Self(1 << 2);
    /// UDP super-packets over IPv4.
    pub const USO4: Self = Self(1 << 3);
    /// UDP super-packets over IPv6.
    pub const USO6: Self = Self(1 << 4);
    /// TCP super-packets whose first segment carries CWR (RFC 3168).
    pub const TSO_ECN: Self = Self(1 << 5);
    /// PING is answered by PONG.
    pub const PING: Self = Self(1 << 6);
    /// Kept for reports that nobody asked for. Nothing is sent for it in version 1.
    pub const FEEDBACK: Self = Self(1 << 7);

    /// Every feature with its name, from bit 0 on.
    pub const NAMED: [(Self, &'static str); 8] = [
        (Self::VNET, "VNET"),
        (Self::TSO4, "TSO4"),
        (Self::TSO6, "TSO6"),
        (Self::USO4, "USO4"),
        (Self::USO6, "USO6"),
        (Self::TSO_ECN, "TSO_ECN"),
        (Self::PING, "PING"),
        (Self::FEEDBACK, "FEEDBACK"),
    ];

    /// The features that are about the content of a VNET frame.
    const WITHIN_VNET: Self =
        Self(Self::TSO4.0 | Self::TSO6.0 | Self::USO4.0 | Self::USO6.0 | Self::TSO_ECN.0);

    /// Whether each of `wanted` is in the set.
    #[inline]
    pub const fn contains(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// The set without these.
    pub const fn without(self, these: Self) -> Self {
        Self(self.0 & !these.0)
    }
}

impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Features {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut unknown = *self;
        let mut separator = "";
        for (feature, name) in Self::NAMED {
            if self.contains(feature) {
                write!(f, "{separator}{name}")?;
                separator = "+";
            }
            unknown = unknown.without(feature);
        }
        match unknown.0 {
            0 if separator.is_empty() => f.write_str("none"),
            0 => Ok(()),
            bits => write!(f, "{separator}{bits:#x}"),
        }
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Features({self})")
    }
}

/// What the two ends use: what both announced. What a virtio_net_hdr would say needs a
/// virtio_net_hdr, so without VNET in common the super-packets fall away too; and CWR in a TCP
/// super-packet needs a TCP super-packet.
pub fn negotiate(ours: Features, theirs: Features) -> Features {
    let both = ours & theirs;
    if !both.contains(Features::VNET) {
        return both.without(Features::WITHIN_VNET);
    }
    if both & (Features::TSO4 | Features::TSO6) == Features::NONE {
        return both.without(Features::TSO_ECN);
    }
    both
}
