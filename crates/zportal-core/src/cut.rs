//! A super-packet is cut into smaller ones that together stand for the very same packets.
//!
//! On a slow link a packet of 64 KiB would hold everything behind it for as long as it takes:
//! 26 ms at 20 Mbit/s. Cut to what the link carries in a millisecond or two, others get their turn
//! in between, and the headers are still shared by a few segments each. What is cut here is what
//! Linux's own segmentation makes (`tcp_gso_segment`, `__udp_gso_segment`), with larger pieces.

#![forbid(unsafe_code)]

use crate::checksum::{add, replace};
use crate::wire::vnet::{
    GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, VNET_HEADER_BYTES, VnetHeader,
};

const IPV4_HEADER_MIN_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;
const TCP_HEADER_MIN_BYTES: usize = 20;
const UDP_HEADER_BYTES: usize = 8;
/// Where the flags stand in a TCP header (RFC 9293), and those that not every piece carries.
const TCP_FLAGS_AT: usize = 13;
const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;

/// The pieces of one super-packet, first to last.
#[derive(Debug)]
pub struct Cut<'a> {
    header: VnetHeader,
    packet: &'a [u8],
    /// Where TCP or UDP begins in the packet.
    transport_at: usize,
    /// Where its payload begins.
    body_at: usize,
    segment_bytes: usize,
    /// Payload of each piece but the last, a whole number of segments; bytes.
    piece_bytes: usize,
    /// Payload cut so far.
    done_bytes: usize,
}

impl<'a> Cut<'a> {
    /// Prepares to cut `payload` (virtio_net_hdr, then IP) into pieces of at most about
    /// `piece_bytes`, and at least `segments_min` segments, but never more than `limit_bytes`; `None`
    /// if it is no super-packet that this knows, or within the limit and not worth cutting, or if
    /// not even a segment keeps the limit.
    pub fn begin(
        payload: &'a [u8],
        piece_bytes: usize,
        segments_min: usize,
        limit_bytes: usize,
    ) -> Option<Cut<'a>> {
        let (header, packet) = VnetHeader::parse(payload).ok()?;
        let transport_at = usize::from(header.csum_start);
        let segment_bytes = usize::from(header.gso_size);
        let body_at = match header.gso_type & !GSO_ECN {
            GSO_TCPV4 | GSO_TCPV6 => {
                let offset = packet.get(transport_at + 12)? >> 4;
                transport_at + usize::from(offset) * 4
            }
            GSO_UDP_L4 => transport_at + UDP_HEADER_BYTES,
            _ => return None,
        };
        let is_ipv4 = packet.first()? >> 4 == 4;
        let network_min = if is_ipv4 {
            IPV4_HEADER_MIN_BYTES
        } else {
            IPV6_HEADER_BYTES
        };
        let transport_min = if header.gso_type == GSO_UDP_L4 {
            UDP_HEADER_BYTES
        } else {
            TCP_HEADER_MIN_BYTES
        };
        if transport_at < network_min
            || body_at < transport_at + transport_min
            || body_at >= packet.len()
            || segment_bytes == 0
        {
            return None;
        }
        let segments_max = limit_bytes.saturating_sub(VNET_HEADER_BYTES + body_at) / segment_bytes;
        if segments_max == 0 {
            return None;
        }
        let segments = (piece_bytes.saturating_sub(body_at) / segment_bytes)
            .max(segments_min)
            .min(segments_max);
        let piece_bytes = segments * segment_bytes;
        // Less than half a piece left over is not worth a piece of its own, unless it must be one.
        let is_worth_it = packet.len() - body_at > piece_bytes + piece_bytes / 2;
        (is_worth_it || payload.len() > limit_bytes).then_some(Cut {
            header,
            packet,
            transport_at,
            body_at,
            segment_bytes,
            piece_bytes,
            done_bytes: 0,
        })
    }

    /// The size of the next piece, virtio_net_hdr included; `None` after the last.
    pub fn next_bytes(&self) -> Option<usize> {
        let left = self.packet.len() - self.body_at - self.done_bytes;
        let headers = VNET_HEADER_BYTES + self.body_at;
        (left > 0).then(|| headers + left.min(self.piece_bytes))
    }

    /// Writes the next piece over the beginning of `piece`, which has room for
    /// [`Cut::next_bytes`].
    pub fn write_next(&mut self, piece: &mut [u8]) {
        let Some(bytes) = self.next_bytes() else {
            return;
        };
        let piece = &mut piece[..bytes];
        let (vnet, packet) = piece.split_at_mut(VNET_HEADER_BYTES);
        let (headers, body) = packet.split_at_mut(self.body_at);
        headers.copy_from_slice(&self.packet[..self.body_at]);
        let from = self.body_at + self.done_bytes;
        body.copy_from_slice(&self.packet[from..from + body.len()]);

        let is_first = self.done_bytes == 0;
        let is_last = from + body.len() == self.packet.len();
        let (network, transport) = headers.split_at_mut(self.transport_at);
        let transport_bytes = to_u16(self.packet.len() - self.transport_at);
        let new_transport_bytes = to_u16(transport.len() + body.len());
        self.write_network_header(network, new_transport_bytes);
        let is_udp = self.header.gso_type == GSO_UDP_L4;
        if is_udp {
            transport[4..6].copy_from_slice(&new_transport_bytes.to_be_bytes());
        } else {
            self.write_tcp_header(transport, is_first, is_last);
        }
        // A partial checksum is the sum of the pseudo-header, in which only the length changes.
        let at = usize::from(self.header.csum_offset);
        if let Some(sum) = transport.get_mut(at..at + 2) {
            let old = u16::from_be_bytes([sum[0], sum[1]]);
            let new = add(add(old, !transport_bytes), new_transport_bytes);
            sum.copy_from_slice(&new.to_be_bytes());
        }

        let mut header = self.header;
        if !is_first {
            header.gso_type &= !GSO_ECN;
        }
        if body.len() <= self.segment_bytes {
            header.gso_type = GSO_NONE;
            header.gso_size = 0;
        }
        self.done_bytes += body.len();
        vnet.copy_from_slice(&header.encode());
    }

    fn write_network_header(&self, network: &mut [u8], transport_bytes: u16) {
        let segments_before = to_u16(self.done_bytes / self.segment_bytes);
        if network[0] >> 4 == 4 {
            let id = u16::from_be_bytes([network[4], network[5]]);
            let total = transport_bytes + to_u16(network.len());
            replace(network, 2, 10, total);
            replace(network, 4, 10, id.wrapping_add(segments_before));
        } else {
            let extensions = to_u16(network.len() - IPV6_HEADER_BYTES);
            network[4..6].copy_from_slice(&(transport_bytes + extensions).to_be_bytes());
        }
    }

    fn write_tcp_header(&self, tcp: &mut [u8], is_first: bool, is_last: bool) {
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        // A packet has at most 65,535 bytes.
        let sequence = sequence.wrapping_add(u32::from(to_u16(self.done_bytes)));
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        if !is_first {
            tcp[TCP_FLAGS_AT] &= !TCP_CWR;
        }
        if !is_last {
            tcp[TCP_FLAGS_AT] &= !(TCP_FIN | TCP_PSH);
        }
    }
}

fn to_u16(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}
