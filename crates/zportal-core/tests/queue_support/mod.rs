//! What the queue's tests share: packets with right headers, and what must be true of them.
#![allow(dead_code, reason = "each test file uses its part of it")]

use zportal_core::queue::Packet;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const NOT_ECT: u8 = 0;
pub const ECT1: u8 = 1;
pub const ECT0: u8 = 2;
pub const CE: u8 = 3;

/// A packet that knows its place in the order of things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    pub number: u64,
    pub flow: u16,
    pub ip: Vec<u8>,
    pub wire_bytes: usize,
    pub memory_bytes: usize,
}

impl Packet for Numbered {
    fn ip(&self) -> &[u8] {
        &self.ip
    }

    fn ip_mut(&mut self) -> &mut [u8] {
        &mut self.ip
    }

    fn wire_bytes(&self) -> usize {
        self.wire_bytes
    }

    fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

/// A packet of UDP flow `flow`. Only its headers exist; it counts as `wire_bytes`.
pub fn numbered(number: u64, flow: u16, wire_bytes: usize, ecn: u8) -> Numbered {
    Numbered {
        number,
        flow,
        ip: ipv4(UDP, flow, 53, ecn),
        wire_bytes,
        memory_bytes: if wire_bytes <= 2048 { 2048 } else { 65_552 },
    }
}

/// The headers of a packet from 10.0.0.1 to 10.0.0.2, and 8 bytes of transport header.
pub fn ipv4(protocol: u8, source_port: u16, destination_port: u16, ecn: u8) -> Vec<u8> {
    let mut packet = vec![0; 28];
    packet[0] = 0x45;
    packet[1] = 0xb8 | ecn;
    packet[2..4].copy_from_slice(&28u16.to_be_bytes());
    packet[8] = 64;
    packet[9] = protocol;
    packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
    packet[16..20].copy_from_slice(&[10, 0, 0, 2]);
    packet[20..22].copy_from_slice(&source_port.to_be_bytes());
    packet[22..24].copy_from_slice(&destination_port.to_be_bytes());
    seal_ipv4(&mut packet);
    packet
}

/// Writes the header checksum.
pub fn seal_ipv4(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let checksum = !sum(&packet[..usize::from(packet[0] & 0xf) * 4]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// Whether the IPv4 header checksum is right.
pub fn is_sealed(packet: &[u8]) -> bool {
    sum(&packet[..usize::from(packet[0] & 0xf) * 4]) == 0xffff
}

/// RFC 1071, the slow and obvious way.
fn sum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The headers of a packet from fd00::1 to fd00::2: extension headers as given (each with a place
/// for the next one's number in its first byte), then ports.
pub fn ipv6(extensions: &[(u8, Vec<u8>)], protocol: u8, transport: &[u8], ecn: u8) -> Vec<u8> {
    let mut packet = vec![0; 40];
    packet[0] = 0x60 | 0xb;
    packet[1] = 0x80 | ecn << 4 | 0x5;
    packet[7] = 64;
    packet[8] = 0xfd;
    packet[23] = 1;
    packet[24] = 0xfd;
    packet[39] = 2;
    let mut next_at = 6;
    for (number, extension) in extensions {
        packet[next_at] = *number;
        next_at = packet.len();
        packet.extend_from_slice(extension);
    }
    packet[next_at] = protocol;
    packet.extend_from_slice(transport);
    let payload_bytes = (packet.len() - 40) as u16;
    packet[4..6].copy_from_slice(&payload_bytes.to_be_bytes());
    packet
}

/// How evenly things are shared: 1 if all have the same, 1/n if one has all.
pub fn jain_index(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}
