//! Segments of one TCP stream that came one by one enter the kernel as one super-packet, which
//! stands for the very same segments: same headers, same sizes, same order.
//!
//! A peer that sends no super-packets (an original, or one with its offloads off) costs a TUN write
//! and a way through the kernel for each segment. Network cards and Linux gather them on receipt
//! (GRO, `tcp_gro_receive` in net/ipv4/tcp_offload.c); so does this, by the same rules. A gathered
//! packet gets a fresh checksum, so each segment's own is verified first: one that was damaged
//! before it reached the tunnel stays as it is, alone, and the kernel finds it out.

#![forbid(unsafe_code)]

use std::ops::Range;

use crate::checksum::{add, replace, sum};
use crate::ip::{
    IPV4_HEADER_BYTES, IPV6_HEADER_BYTES, PACKET_MAX_BYTES, is_same_path, plain_header_bytes,
    to_u16,
};
use crate::wire::vnet::{GSO_TCPV4, GSO_TCPV6, NEEDS_CSUM, VnetHeader};

/// More would hardly save anything: a full super-packet of an MTU of 1400 has 48.
pub const SEGMENTS_MAX: usize = 64;

const TCP: u8 = 6;
const TCP_HEADER_MIN_BYTES: usize = 20;
/// Linux makes no super-packets of smaller segments (`TCP_MIN_GSO_SIZE`).
const SEGMENT_MIN_BYTES: usize = 8;

// Where the fields stand in a TCP header (RFC 9293, 3.1).
const SEQUENCE_AT: usize = 4;
const ACKNOWLEDGMENT_AT: usize = 8;
const OFFSET_AT: usize = 12;
const FLAGS_AT: usize = 13;
const CHECKSUM_AT: usize = 16;
const URGENT_AT: usize = 18;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// A super-packet in the making: the first segment, and how much follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gathered {
    ip_header_bytes: usize,
    headers_bytes: usize,
    /// Payload of each segment but the last, which may be shorter; bytes.
    segment_bytes: usize,
    segments: usize,
    payload_bytes: usize,
    /// A shorter segment or one with PSH has come, which can only be the last.
    is_closed: bool,
    is_pushed: bool,
}

impl Gathered {
    /// Begins with this IP packet, if it is a plain data segment of TCP whose checksums are right.
    pub fn begin(first: &[u8]) -> Option<Gathered> {
        let ip_header_bytes = data_segment(first)?;
        let headers_bytes = ip_header_bytes + tcp_header_bytes(&first[ip_header_bytes..]);
        let payload_bytes = first.len().checked_sub(headers_bytes)?;
        let is_pushed = first[ip_header_bytes + FLAGS_AT] & PSH != 0;
        let can_grow = payload_bytes >= SEGMENT_MIN_BYTES && !is_pushed;
        (can_grow && is_sound(first, ip_header_bytes)).then_some(Gathered {
            ip_header_bytes,
            headers_bytes,
            segment_bytes: payload_bytes,
            segments: 1,
            payload_bytes,
            is_closed: false,
            is_pushed,
        })
    }

    /// The segments that it stands for, and the bytes of these packets together.
    pub fn packets_and_bytes(&self) -> (u64, u64) {
        let bytes = self.segments * self.headers_bytes + self.payload_bytes;
        (self.segments as u64, bytes as u64)
    }

    /// Where the payload lies in `next`, if `next` continues what `first` began; its payload then
    /// belongs behind what was gathered.
    pub fn take(&mut self, first: &[u8], next: &[u8]) -> Option<Range<usize>> {
        if self.is_closed || self.segments == SEGMENTS_MAX {
            return None;
        }
        let bytes = next.len().checked_sub(self.headers_bytes)?;
        let fits = (1..=self.segment_bytes).contains(&bytes)
            && self.headers_bytes + self.payload_bytes + bytes <= PACKET_MAX_BYTES;
        if !fits || data_segment(next)? != self.ip_header_bytes {
            return None;
        }
        let (first_ip, first_tcp) = first[..self.headers_bytes].split_at(self.ip_header_bytes);
        let (next_ip, next_tcp) = next[..self.headers_bytes].split_at(self.ip_header_bytes);
        let follows = self.is_same_stream(first_tcp, next_tcp)
            && is_same_path(first_ip, next_ip, self.segments)
            && is_sound(next, self.ip_header_bytes);
        if !follows {
            return None;
        }
        self.segments += 1;
        self.payload_bytes += bytes;
        self.is_pushed = next_tcp[FLAGS_AT] & PSH != 0;
        self.is_closed = self.is_pushed || bytes < self.segment_bytes;
        Some(self.headers_bytes..next.len())
    }

    /// Whether the TCP headers differ in nothing but the sequence number, by just what was
    /// gathered, the checksum and PSH.
    fn is_same_stream(&self, first: &[u8], next: &[u8]) -> bool {
        let gathered = u32::try_from(self.payload_bytes).unwrap_or(u32::MAX);
        let expected = word(first, SEQUENCE_AT).wrapping_add(gathered);
        first[..SEQUENCE_AT] == next[..SEQUENCE_AT]
            && word(next, SEQUENCE_AT) == expected
            && first[ACKNOWLEDGMENT_AT..FLAGS_AT] == next[ACKNOWLEDGMENT_AT..FLAGS_AT]
            && (first[FLAGS_AT] | PSH) == (next[FLAGS_AT] | PSH)
            && first[FLAGS_AT + 1..CHECKSUM_AT] == next[FLAGS_AT + 1..CHECKSUM_AT]
            && first[URGENT_AT..] == next[URGENT_AT..]
    }

    /// Writes the headers of the super-packet over those of `first`, and gives the virtio_net_hdr
    /// that goes in front; a single segment stays as it is.
    pub fn finish(&self, first: &mut [u8]) -> VnetHeader {
        if self.segments == 1 {
            return VnetHeader::default();
        }
        let (ip, tcp) = first.split_at_mut(self.ip_header_bytes);
        let tcp_bytes = to_u16(self.headers_bytes - self.ip_header_bytes + self.payload_bytes);
        let gso_type = if self.ip_header_bytes == IPV4_HEADER_BYTES {
            replace(ip, 2, 10, to_u16(self.headers_bytes + self.payload_bytes));
            GSO_TCPV4
        } else {
            ip[4..6].copy_from_slice(&tcp_bytes.to_be_bytes());
            GSO_TCPV6
        };
        if self.is_pushed {
            tcp[FLAGS_AT] |= PSH;
        }
        let partial = pseudo_header(ip, tcp_bytes);
        tcp[CHECKSUM_AT..CHECKSUM_AT + 2].copy_from_slice(&partial.to_be_bytes());
        VnetHeader {
            flags: NEEDS_CSUM,
            gso_type,
            hdr_len: to_u16(self.headers_bytes),
            gso_size: to_u16(self.segment_bytes),
            csum_start: to_u16(self.ip_header_bytes),
            csum_offset: CHECKSUM_AT as u16,
        }
    }
}

/// The IP header's size, if this is a whole TCP segment with a plain IP header, and with no flag
/// but ACK and PSH.
fn data_segment(packet: &[u8]) -> Option<usize> {
    let ip_header_bytes = plain_header_bytes(packet, TCP, TCP_HEADER_MIN_BYTES)?;
    let tcp = &packet[ip_header_bytes..];
    // The four bits behind the offset are flags too, or will be.
    let is_plain = tcp[OFFSET_AT] & 0x0f == 0 && tcp[FLAGS_AT] & !PSH == ACK;
    (is_plain && tcp_header_bytes(tcp) >= TCP_HEADER_MIN_BYTES).then_some(ip_header_bytes)
}

/// Whether the checksums of IP and TCP are right.
fn is_sound(packet: &[u8], ip_header_bytes: usize) -> bool {
    let (ip, tcp) = packet.split_at(ip_header_bytes);
    let is_ip_sound = ip_header_bytes == IPV6_HEADER_BYTES || sum(ip) == 0xffff;
    is_ip_sound && add(pseudo_header(ip, to_u16(tcp.len())), sum(tcp)) == 0xffff
}

/// The sum of what TCP's checksum covers beside TCP (RFC 9293, 3.1; RFC 8200, 8.1).
fn pseudo_header(ip: &[u8], tcp_bytes: u16) -> u16 {
    let addresses = if ip.len() == IPV4_HEADER_BYTES {
        &ip[12..20]
    } else {
        &ip[8..40]
    };
    add(add(sum(addresses), u16::from(TCP)), tcp_bytes)
}

fn tcp_header_bytes(tcp: &[u8]) -> usize {
    usize::from(tcp[OFFSET_AT] >> 4) * 4
}

fn word(header: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}
