//! A run of datagrams of one flow becomes one super-packet, which the other kernel cuts into the
//! very same datagrams again: same headers, same sizes, same order.
//!
//! A kernel makes super-packets of a TCP stream by itself, of datagrams only where the program
//! asks (UDP_SEGMENT). A burst of small ones, as games, DNS and VoIP send them, would cost a frame
//! and a TUN write each; merged, it costs one (USO, `VIRTIO_NET_HDR_GSO_UDP_L4` of
//! `linux/virtio_net.h`). Only datagrams whose checksum is still partial are merged: their sender
//! is this machine's kernel, so nothing damaged gets a fresh checksum.

#![forbid(unsafe_code)]

use std::ops::Range;

use crate::checksum::{add, replace};
use crate::ip::{IPV4_HEADER_BYTES, PACKET_MAX_BYTES, is_same_path, plain_header_bytes, to_u16};
use crate::wire::features::Features;
use crate::wire::vnet::{GSO_NONE, GSO_UDP_L4, NEEDS_CSUM, VNET_HEADER_BYTES};

/// Kernels before 6.9 cut at most so many datagrams from one super-packet (`UDP_MAX_SEGMENTS`).
pub const SEGMENTS_MAX: usize = 64;

const UDP: u8 = 17;
const UDP_HEADER_BYTES: usize = 8;
/// Where the checksum stands in a UDP header.
const UDP_CHECKSUM_AT: usize = 6;

/// Datagrams that lie one after the other: a virtio_net_hdr and the headers of the first, then
/// the payload of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    ip_header_bytes: usize,
    /// Payload of each datagram but the last, which may be shorter; bytes.
    segment_bytes: usize,
    segments: usize,
    /// A shorter datagram has come, which can only be the last.
    closed: bool,
}

impl Run {
    /// Whether a run may begin with this packet (virtio_net_hdr, then IP), for a peer that
    /// takes `agreed`.
    pub fn begin(first: &[u8], agreed: Features) -> Option<Run> {
        let ip_header_bytes = plain_datagram(first)?;
        let needed = if ip_header_bytes == IPV4_HEADER_BYTES {
            Features::USO4
        } else {
            Features::USO6
        };
        let segment_bytes = first.len() - headers_bytes(ip_header_bytes);
        (agreed.contains(needed) && segment_bytes > 0).then_some(Run {
            ip_header_bytes,
            segment_bytes,
            segments: 1,
            closed: false,
        })
    }

    /// How many datagrams it stands for.
    pub fn segments(&self) -> usize {
        self.segments
    }

    /// Where the payload of `next` lies, if `next` continues the run that lies in `run`; its
    /// payload then belongs behind the run, which has at most `limit_bytes` with it.
    pub fn take(&mut self, run: &[u8], next: &[u8], limit_bytes: usize) -> Option<Range<usize>> {
        if self.closed || self.segments == SEGMENTS_MAX {
            return None;
        }
        if plain_datagram(next)? != self.ip_header_bytes {
            return None;
        }
        let headers = headers_bytes(self.ip_header_bytes);
        let bytes = next.len() - headers;
        let fits = (1..=self.segment_bytes).contains(&bytes)
            && run.len() + bytes <= limit_bytes.min(VNET_HEADER_BYTES + PACKET_MAX_BYTES);
        let first_ip = &run[VNET_HEADER_BYTES..headers];
        let next_ip = &next[VNET_HEADER_BYTES..headers];
        if !fits || !self.is_same_flow(first_ip, next_ip) {
            return None;
        }
        self.segments += 1;
        self.closed = bytes < self.segment_bytes;
        Some(headers..next.len())
    }

    /// Whether the headers (IP, then UDP) differ in nothing but what the kernel that cuts makes
    /// anew.
    fn is_same_flow(&self, first: &[u8], next: &[u8]) -> bool {
        let (first_ip, first_udp) = first.split_at(self.ip_header_bytes);
        let (next_ip, next_udp) = next.split_at(self.ip_header_bytes);
        first_udp[..4] == next_udp[..4] && is_same_path(first_ip, next_ip, self.segments)
    }

    /// Writes the headers of the super-packet that lies in `run`; a run of one stays as it is.
    pub fn finish(&self, run: &mut [u8]) {
        if self.segments == 1 {
            return;
        }
        let headers = headers_bytes(self.ip_header_bytes);
        let ip_bytes = run.len() - VNET_HEADER_BYTES;
        let (vnet, packet) = run.split_at_mut(VNET_HEADER_BYTES);
        vnet[1] = GSO_UDP_L4;
        vnet[2..4].copy_from_slice(&to_u16(headers - VNET_HEADER_BYTES).to_le_bytes());
        vnet[4..6].copy_from_slice(&to_u16(self.segment_bytes).to_le_bytes());
        let (ip, udp) = packet.split_at_mut(self.ip_header_bytes);
        let udp_bytes = to_u16(ip_bytes - self.ip_header_bytes);
        if self.ip_header_bytes == IPV4_HEADER_BYTES {
            replace(ip, 2, 10, to_u16(ip_bytes));
        } else {
            ip[4..6].copy_from_slice(&udp_bytes.to_be_bytes());
        }
        // A partial checksum is the plain sum of the pseudo-header, where a full one is its
        // complement: so the length enters it complemented.
        let old = u16::from_be_bytes([udp[4], udp[5]]);
        let sum = u16::from_be_bytes([udp[UDP_CHECKSUM_AT], udp[UDP_CHECKSUM_AT + 1]]);
        let sum = add(add(sum, !old), udp_bytes);
        udp[4..6].copy_from_slice(&udp_bytes.to_be_bytes());
        udp[UDP_CHECKSUM_AT..UDP_CHECKSUM_AT + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The IP header's size, if this is a whole UDP datagram with a partial checksum, without options
/// or extension headers, that is no super-packet yet.
fn plain_datagram(payload: &[u8]) -> Option<usize> {
    let (vnet, packet) = payload.split_first_chunk::<VNET_HEADER_BYTES>()?;
    if vnet[0] & NEEDS_CSUM == 0 || vnet[1] != GSO_NONE {
        return None;
    }
    let ip_header_bytes = plain_header_bytes(packet, UDP, UDP_HEADER_BYTES)?;
    let checksum_start = usize::from(u16::from_le_bytes([vnet[6], vnet[7]]));
    let checksum_offset = usize::from(u16::from_le_bytes([vnet[8], vnet[9]]));
    let udp_length = usize::from(u16::from_be_bytes([
        packet[ip_header_bytes + 4],
        packet[ip_header_bytes + 5],
    ]));
    (udp_length == packet.len() - ip_header_bytes
        && checksum_start == ip_header_bytes
        && checksum_offset == UDP_CHECKSUM_AT)
        .then_some(ip_header_bytes)
}

/// Everything in front of the payload.
fn headers_bytes(ip_header_bytes: usize) -> usize {
    VNET_HEADER_BYTES + ip_header_bytes + UDP_HEADER_BYTES
}
