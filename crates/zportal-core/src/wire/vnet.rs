//! The virtio_net_hdr in front of a super-packet: no header reaches a kernel that does not fit the
//! packet behind it.
//!
//! The 10 bytes are those that a Linux TUN with IFF_VNET_HDR gives and takes, in the little-endian
//! form of TUNSETVNETLE (linux/virtio_net.h, `struct virtio_net_hdr`; virtio 1.2, 5.1.6):
//!
//! ```text
//! | flags 1 | gso_type 1 | hdr_len 2 | gso_size 2 | csum_start 2 | csum_offset 2 |
//! ```
//!
//! The kernel checks much of this itself, but not each kernel all of it, and what it lets pass is
//! used deep inside it. What the packet itself tells is taken from the packet: `hdr_len` is
//! computed, and a claim that checksums were verified (DATA_VALID) is dropped.

#![forbid(unsafe_code)]

use crate::wire::features::Features;

/// Bytes in front of the packet in a frame with the flag VNET.
pub const VNET_HEADER_BYTES: usize = 10;

/// The checksum is to be completed: `csum_start` and `csum_offset` say how.
pub const NEEDS_CSUM: u8 = 1;
/// The sender's kernel verified the checksum. Known, and not believed.
pub const DATA_VALID: u8 = 2;

/// No super-packet.
pub const GSO_NONE: u8 = 0;
/// A TCP super-packet over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// A TCP super-packet over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// A UDP super-packet to be cut into datagrams (USO), over either.
pub const GSO_UDP_L4: u8 = 5;
/// A bit beside a TCP type: the first segment carries CWR.
pub const GSO_ECN: u8 = 0x80;

const TCP: u8 = 6;
const UDP: u8 = 17;
const TCP_CHECKSUM_AT: u16 = 16;
const UDP_CHECKSUM_AT: u16 = 6;
const TCP_HEADER_MIN_BYTES: usize = 20;
const UDP_HEADER_BYTES: usize = 8;
const IPV6_HEADER_BYTES: usize = 40;
/// Linux never makes TCP segments of less (`TCP_MIN_GSO_SIZE`): fewer bytes only multiply work.
const TCP_SEGMENT_MIN_BYTES: usize = 8;
/// Linux never makes more datagrams of one (`UDP_MAX_SEGMENTS`).
const UDP_SEGMENTS_MAX: usize = 128;

/// A virtio_net_hdr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VnetHeader {
    /// [`NEEDS_CSUM`] and [`DATA_VALID`].
    pub flags: u8,
    /// What kind of super-packet, or [`GSO_NONE`].
    pub gso_type: u8,
    /// Bytes of the headers that each segment repeats.
    pub hdr_len: u16,
    /// Bytes of payload of each segment.
    pub gso_size: u16,
    /// Where in the packet the checksum starts to sum.
    pub csum_start: u16,
    /// Where the checksum is stored, from `csum_start` on.
    pub csum_offset: u16,
}

/// Why a packet was dropped instead of given to the kernel. Each is a counter of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reject {
    /// The payload ends with the header, or inside it.
    NoPacket,
    /// A flag other than NEEDS_CSUM and DATA_VALID.
    UnknownFlag,
    /// A gso_type that nobody knows, UFO, or ECN without TCP.
    UnknownGsoType,
    /// A super-packet of a kind that was not agreed on.
    NotAgreed,
    /// The IP header is none, is cut, or is not of the version that gso_type says.
    IpHeader,
    /// The IP header says another length than the packet has.
    IpLength,
    /// A super-packet whose IP header says another protocol than gso_type, or a fragment.
    Protocol,
    /// The TCP or UDP header is cut.
    TransportHeader,
    /// The checksum lies outside the packet or inside the IP header, or a super-packet has none or
    /// has it where its protocol has not.
    Checksum,
    /// gso_size is 0, larger than the packet, or so small that the segments would be too many.
    SegmentSize,
}

impl Reject {
    /// Every reason; each stands at its own number, `reason as usize`.
    pub const ALL: [Self; 10] = [
        Self::NoPacket,
        Self::UnknownFlag,
        Self::UnknownGsoType,
        Self::NotAgreed,
        Self::IpHeader,
        Self::IpLength,
        Self::Protocol,
        Self::TransportHeader,
        Self::Checksum,
        Self::SegmentSize,
    ];
}

impl VnetHeader {
    /// The header at the front of a VNET frame's payload, and the packet behind it.
    ///
    /// # Errors
    /// [`Reject::NoPacket`] when nothing is behind it.
    #[inline]
    pub fn parse(payload: &[u8]) -> Result<(Self, &[u8]), Reject> {
        let (header, packet) = payload
            .split_first_chunk::<VNET_HEADER_BYTES>()
            .ok_or(Reject::NoPacket)?;
        if packet.is_empty() {
            return Err(Reject::NoPacket);
        }
        let word = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let header = Self {
            flags: header[0],
            gso_type: header[1],
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        };
        Ok((header, packet))
    }

    /// The 10 bytes.
    #[inline]
    pub fn encode(&self) -> [u8; VNET_HEADER_BYTES] {
        let mut bytes = [0; VNET_HEADER_BYTES];
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        bytes[2..4].copy_from_slice(&self.hdr_len.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.gso_size.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.csum_start.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.csum_offset.to_le_bytes());
        bytes
    }
}

/// Whether these 10 bytes ask nothing of whoever takes the packet: it is no super-packet, and its
/// checksum is complete. A kernel that has verified that one (DATA_VALID), as it does with much of
/// what it forwards, only says so.
#[inline]
pub fn is_plain(header: &[u8; VNET_HEADER_BYTES]) -> bool {
    header[0] & NEEDS_CSUM == 0 && header[1] == GSO_NONE
}

/// Whether `packet` may go to the kernel with `header`, and with what header then: the one that
/// says no more than was checked. Both directions can use it: `allowed` is what was agreed on.
///
/// A packet that needs no segmenting and no checksum costs two comparisons; its own content is the
/// kernel's to check, as in a frame without VNET.
///
/// # Errors
/// The reason to drop the packet. The link lives on: the frame was whole, and the next one is
/// independent of it.
#[inline]
pub fn check(header: &VnetHeader, packet: &[u8], allowed: Features) -> Result<VnetHeader, Reject> {
    if header.flags & !(NEEDS_CSUM | DATA_VALID) != 0 {
        return Err(Reject::UnknownFlag);
    }
    if header.gso_type == GSO_NONE {
        if header.flags & NEEDS_CSUM == 0 {
            return Ok(VnetHeader::default());
        }
        let ip = Ip::parse(packet)?;
        if ip.total_bytes > packet.len() {
            return Err(Reject::IpLength);
        }
        return checked_sum(header, &ip);
    }
    check_super_packet(header, packet, allowed)
}

fn check_super_packet(
    header: &VnetHeader,
    packet: &[u8],
    allowed: Features,
) -> Result<VnetHeader, Reject> {
    let ip = Ip::parse(packet)?;
    let (needed, is_version, protocol) = match header.gso_type & !GSO_ECN {
        GSO_TCPV4 => (Features::TSO4, !ip.is_v6, TCP),
        GSO_TCPV6 => (Features::TSO6, ip.is_v6, TCP),
        GSO_UDP_L4 if header.gso_type == GSO_UDP_L4 => (
            if ip.is_v6 {
                Features::USO6
            } else {
                Features::USO4
            },
            true,
            UDP,
        ),
        _ => return Err(Reject::UnknownGsoType),
    };
    let ecn = if header.gso_type & GSO_ECN != 0 {
        Features::TSO_ECN
    } else {
        Features::NONE
    };
    if !allowed.contains(needed | ecn) {
        return Err(Reject::NotAgreed);
    }
    if !is_version {
        return Err(Reject::IpHeader);
    }
    if ip.total_bytes != packet.len() {
        return Err(Reject::IpLength);
    }
    let transport_at = ip.transport_of(packet, protocol).ok_or(Reject::Protocol)?;
    let checksum_at = if protocol == TCP {
        TCP_CHECKSUM_AT
    } else {
        UDP_CHECKSUM_AT
    };
    let sums_its_protocol =
        usize::from(header.csum_start) == transport_at && header.csum_offset == checksum_at;
    if header.flags & NEEDS_CSUM == 0 || !sums_its_protocol {
        return Err(Reject::Checksum);
    }
    let summed = checked_sum(header, &ip)?;
    // The checksum lies inside, and with it what stands before it in the transport header.
    let transport_bytes = match protocol {
        TCP => usize::from(packet[transport_at + 12] >> 4) * 4,
        _ => UDP_HEADER_BYTES,
    };
    let headers_bytes = transport_at + transport_bytes;
    if (protocol == TCP && transport_bytes < TCP_HEADER_MIN_BYTES) || headers_bytes > packet.len() {
        return Err(Reject::TransportHeader);
    }
    let payload_bytes = packet.len() - headers_bytes;
    let segment_bytes = usize::from(header.gso_size);
    let segment_is_sane = match protocol {
        TCP => segment_bytes >= TCP_SEGMENT_MIN_BYTES,
        _ => segment_bytes * UDP_SEGMENTS_MAX >= payload_bytes,
    };
    if segment_bytes == 0 || segment_bytes > packet.len() || !segment_is_sane {
        return Err(Reject::SegmentSize);
    }
    if payload_bytes <= segment_bytes {
        // One segment is an ordinary packet, as the kernel takes it too.
        return Ok(summed);
    }
    Ok(VnetHeader {
        gso_type: header.gso_type,
        gso_size: header.gso_size,
        // The transport header starts where a 16-bit field says; only its end could lie beyond.
        hdr_len: u16::try_from(headers_bytes).map_err(|_| Reject::TransportHeader)?,
        ..summed
    })
}

/// The header of a packet whose checksum is still to be completed inside its transport part.
fn checked_sum(header: &VnetHeader, ip: &Ip) -> Result<VnetHeader, Reject> {
    let start = usize::from(header.csum_start);
    if start < ip.header_bytes || start + usize::from(header.csum_offset) + 2 > ip.total_bytes {
        return Err(Reject::Checksum);
    }
    Ok(VnetHeader {
        flags: header.flags & NEEDS_CSUM,
        csum_start: header.csum_start,
        csum_offset: header.csum_offset,
        ..VnetHeader::default()
    })
}

/// What an IP header says, as far as it is there.
struct Ip {
    is_v6: bool,
    /// Without IPv6 extension headers.
    header_bytes: usize,
    /// Header and payload, by the header: it may be another length than the packet's.
    total_bytes: usize,
}

impl Ip {
    #[inline]
    fn parse(packet: &[u8]) -> Result<Self, Reject> {
        let field = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
        let ip = match packet.first().map(|first| first >> 4) {
            Some(4) if packet.len() >= 20 => {
                let header_bytes = usize::from(packet[0] & 0x0f) * 4;
                Self {
                    is_v6: false,
                    header_bytes,
                    total_bytes: field(2),
                }
            }
            Some(6) if packet.len() >= IPV6_HEADER_BYTES => {
                let total_bytes = IPV6_HEADER_BYTES + field(4);
                Self {
                    is_v6: true,
                    header_bytes: IPV6_HEADER_BYTES,
                    total_bytes,
                }
            }
            _ => return Err(Reject::IpHeader),
        };
        if ip.header_bytes < 20 || ip.header_bytes > packet.len() {
            return Err(Reject::IpHeader);
        }
        Ok(ip)
    }

    /// Where the header of this protocol starts, if the packet carries it, and whole.
    fn transport_of(&self, packet: &[u8], protocol: u8) -> Option<usize> {
        if !self.is_v6 {
            // MF and the fragment's offset.
            let fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff;
            return (packet[9] == protocol && fragment == 0).then_some(self.header_bytes);
        }
        let mut next = packet[6];
        let mut at = self.header_bytes;
        while next != protocol {
            // Extension headers that say their own length (RFC 8200, 4): hop-by-hop options,
            // routing, destination options. Any other, a fragment's included, ends the search.
            if !matches!(next, 0 | 43 | 60) {
                return None;
            }
            next = *packet.get(at)?;
            at += (usize::from(*packet.get(at + 1)?) + 1) * 8;
        }
        Some(at)
    }
}
