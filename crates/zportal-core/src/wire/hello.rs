//! HELLO, the first frame of an end that can do more than an original: an IPv4 packet that any
//! kernel drops, so that an original is not hurt by it, with our announcement in its body.
//!
//! ```text
//!  0  IPv4 header: 64 bytes, DF, TTL 1, protocol 253, 127.0.0.1 to 127.0.0.1   (20 bytes)
//! 20  tag                                                                       (8)
//! 28  version                                                                   (1)
//! 29  way: bit 0 RELAYED, the others zero, ignored                               (1)
//! 30  MTU                                                                       (2)
//! 32  features                                                                  (4)
//! 36  largest payload accepted                                                  (4)
//! 40  session id                                                               (16)
//! 56  inner IPv4 address, or zero                                               (4)
//! 60  digest of the inner IPv6 address, or zero                                 (4)
//! ```
//!
//! Protocol 253 is for experiments (RFC 3692), and a packet from 127.0.0.1 that comes in from a
//! device is martian (RFC 1812, 5.3.7).

#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::crc::crc32c;
use crate::wire::features::Features;

/// Bytes of a HELLO as this version writes it: fewer than the least MTU there is (68), so that any
/// original accepts it.
pub const HELLO_BYTES: usize = 64;
/// The version that this code speaks.
pub const VERSION: u8 = 1;
/// What makes a martian packet a HELLO. It is no text and no number that anything else would
/// write; a change that an older version could not read gets a new tag, and then the older one
/// sees an original.
pub const TAG: [u8; 8] = [0x89, b'Z', b'P', b'H', b'I', 0x0d, 0x0a, 0x1a];

/// In the byte `way`: the sender knows that a proxy stands between the two ends.
const WAY_RELAYED: u8 = 1;

const IP_HEADER_BYTES: usize = 20;
const TAG_END: usize = IP_HEADER_BYTES + TAG.len();
const MTU_MIN_BYTES: u16 = 68;

/// The IPv4 header of every HELLO of [`HELLO_BYTES`].
const IP_HEADER: [u8; IP_HEADER_BYTES] = {
    let mut header = [
        0x45,
        0,
        0,
        HELLO_BYTES as u8, // version 4, 5 words; total length
        0,
        0,
        0x40,
        0, // identification 0 (RFC 6864), DF
        1,
        253,
        0,
        0, // TTL, protocol, checksum
        127,
        0,
        0,
        1,
        127,
        0,
        0,
        1, // source, destination
    ];
    let checksum = !ones_complement_sum(&header);
    header[10] = (checksum >> 8) as u8;
    header[11] = checksum as u8;
    header
};

/// What an end announces about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// The highest version that the sender speaks, 1 or more; the lower of the two is spoken.
    pub version: u8,
    /// Whether the sender knows that something between the two ends, a proxy, takes their bytes
    /// in and passes them on, so that TCP tells neither end of the whole way.
    pub is_relayed: bool,
    /// What the sender can take. Unknown bits are to be ignored.
    pub features: Features,
    /// The largest payload that the sender accepts, in bytes, virtio_net_hdr included.
    pub max_payload_bytes: u32,
    /// The MTU of the sender's TUN, in bytes.
    pub mtu_bytes: u16,
    /// Random, new for each tunnel. Who receives its own is connected to itself.
    pub session_id: [u8; 16],
    /// The sender's first inner IPv4 address, to find out when both ends were given the same.
    pub inner_ipv4: Option<Ipv4Addr>,
    /// The same for IPv6, as [`digest`] since 16 bytes do not fit.
    pub inner_ipv6_digest: Option<u32>,
}

/// A packet with our tag that is no HELLO: its sender is defective, for the frame's checksum was
/// right. The link should end, since nobody can tell what that sender will take for agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedHello {
    /// Fewer bytes than version 1 has, or not as many as its IPv4 header says.
    #[error(
        "a HELLO of {got} bytes whose header says {said}, where at least {HELLO_BYTES} are needed"
    )]
    Length {
        /// Bytes of the payload.
        got: usize,
        /// Bytes by the IPv4 header.
        said: u16,
    },
    /// The IPv4 header's checksum is wrong.
    #[error("a HELLO with a wrong IPv4 header checksum")]
    Checksum,
    /// Version 0 was never defined.
    #[error("a HELLO of version 0")]
    Version,
    /// An MTU below 68, or a largest payload below the MTU.
    #[error("a HELLO with MTU {mtu_bytes} and a largest payload of {max_payload_bytes} bytes")]
    Limits {
        /// The MTU announced.
        mtu_bytes: u16,
        /// The largest payload announced.
        max_payload_bytes: u32,
    },
}

impl Hello {
    /// The payload of the HELLO frame, whose flags are 0.
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let mut packet = [0; HELLO_BYTES];
        let ipv4 = self.inner_ipv4.unwrap_or(Ipv4Addr::UNSPECIFIED);
        packet[..20].copy_from_slice(&IP_HEADER);
        packet[20..28].copy_from_slice(&TAG);
        packet[28] = self.version;
        packet[29] = if self.is_relayed { WAY_RELAYED } else { 0 };
        packet[30..32].copy_from_slice(&self.mtu_bytes.to_be_bytes());
        packet[32..36].copy_from_slice(&self.features.0.to_be_bytes());
        packet[36..40].copy_from_slice(&self.max_payload_bytes.to_be_bytes());
        packet[40..56].copy_from_slice(&self.session_id);
        packet[56..60].copy_from_slice(&ipv4.octets());
        packet[60..64].copy_from_slice(&self.inner_ipv6_digest.unwrap_or(0).to_be_bytes());
        packet
    }

    /// Reads the payload of the first frame that came, whose flags were 0. `Ok(None)`: an
    /// ordinary packet, so the peer is an original.
    ///
    /// Bytes beyond [`HELLO_BYTES`], unknown feature bits and higher versions are accepted: that
    /// is how later versions announce more.
    ///
    /// # Errors
    /// [`MalformedHello`] for a packet with our tag that cannot be one.
    pub fn parse(payload: &[u8]) -> Result<Option<Self>, MalformedHello> {
        if !is_tagged(payload) {
            return Ok(None);
        }
        let said = u16::from_be_bytes([payload[2], payload[3]]);
        let Some(packet) = payload
            .first_chunk::<HELLO_BYTES>()
            .filter(|_| usize::from(said) == payload.len())
        else {
            return Err(MalformedHello::Length {
                got: payload.len(),
                said,
            });
        };
        if ones_complement_sum(&packet[..IP_HEADER_BYTES]) != 0xffff {
            return Err(MalformedHello::Checksum);
        }
        let word = |at: usize| {
            u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
        };
        let version = packet[28];
        let mtu_bytes = u16::from_be_bytes([packet[30], packet[31]]);
        let max_payload_bytes = word(36);
        if version == 0 {
            return Err(MalformedHello::Version);
        }
        if mtu_bytes < MTU_MIN_BYTES || max_payload_bytes < u32::from(mtu_bytes) {
            return Err(MalformedHello::Limits {
                mtu_bytes,
                max_payload_bytes,
            });
        }
        let mut session_id = [0; 16];
        session_id.copy_from_slice(&packet[40..56]);
        Ok(Some(Self {
            version,
            is_relayed: packet[29] & WAY_RELAYED != 0,
            features: Features(word(32)),
            max_payload_bytes,
            mtu_bytes,
            session_id,
            inner_ipv4: Some(word(56))
                .filter(|bits| *bits != 0)
                .map(Ipv4Addr::from_bits),
            inner_ipv6_digest: Some(word(60)).filter(|digest| *digest != 0),
        }))
    }

    /// Whether both ends were given the same inner address, the commonest mistake after unequal
    /// MTUs. For IPv6 it is told by digest, so it is for a warning and not for a decision.
    pub fn shares_address_with(&self, other: &Self) -> bool {
        (self.inner_ipv4.is_some() && self.inner_ipv4 == other.inner_ipv4)
            || (self.inner_ipv6_digest.is_some()
                && self.inner_ipv6_digest == other.inner_ipv6_digest)
    }
}

/// Stands for an inner IPv6 address in HELLO: CRC32C of its 16 bytes. `None` in the one case of
/// 2^32 where that is 0, which would read as no address.
pub fn digest(address: Ipv6Addr) -> Option<u32> {
    Some(crc32c(&address.octets())).filter(|digest| *digest != 0)
}

/// IPv4 without options, protocol 253, between loopback addresses, then the tag.
fn is_tagged(payload: &[u8]) -> bool {
    payload.len() >= TAG_END
        && payload[0] == IP_HEADER[0]
        && payload[9] == IP_HEADER[9]
        && payload[12..20] == IP_HEADER[12..20]
        && payload[20..28] == TAG
}

/// The sum of RFC 1071 over an even number of bytes: over a header with its checksum, 0xffff.
const fn ones_complement_sum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    let mut at = 0;
    while at < bytes.len() {
        sum += (bytes[at] as u32) << 8 | bytes[at + 1] as u32;
        at += 2;
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
