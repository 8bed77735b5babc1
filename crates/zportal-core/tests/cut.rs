//! Cutting a super-packet into pieces and the pieces into packets gives the packets that cutting
//! the super-packet at once gives.

use proptest::prelude::*;
use zportal_core::cut::Cut;
use zportal_core::wire::features::Features;
use zportal_core::wire::vnet::{self, VNET_HEADER_BYTES, VnetHeader};

const EVERYTHING: Features = Features(0x3f);

fn sum(bytes: &[u8]) -> u16 {
    let word = |two: &[u8]| u32::from(two[0]) << 8 | two.get(1).map_or(0, |low| u32::from(*low));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

struct Shape {
    v6: bool,
    udp: bool,
    /// TCP options, bytes.
    options: usize,
    tcp_flags: u8,
    segment: u16,
    body: usize,
}

impl Shape {
    fn ip_bytes(&self) -> usize {
        if self.v6 { 40 } else { 20 }
    }

    fn transport_bytes(&self) -> usize {
        if self.udp { 8 } else { 20 + self.options }
    }

    /// The super-packet as a kernel gives it: partial checksum over the whole length.
    fn build(&self) -> Vec<u8> {
        let body: Vec<u8> = (0..self.body).map(|at| (at * 7 + at / 256) as u8).collect();
        let headers = headers(self, 1000, 77, self.tcp_flags, body.len());
        let kind = match (self.udp, self.v6) {
            (true, _) => 5,
            (false, true) => 4,
            (false, false) => 1,
        };
        let ecn = if self.tcp_flags & 0x80 != 0 && !self.udp {
            0x80
        } else {
            0
        };
        let header = VnetHeader {
            flags: 1,
            gso_type: kind | ecn,
            hdr_len: (self.ip_bytes() + self.transport_bytes()) as u16,
            gso_size: self.segment,
            csum_start: self.ip_bytes() as u16,
            csum_offset: if self.udp { 6 } else { 16 },
        };
        [&header.encode()[..], &headers, &body].concat()
    }
}

fn headers(shape: &Shape, sequence: u32, id: u16, tcp_flags: u8, body: usize) -> Vec<u8> {
    let transport_bytes = (shape.transport_bytes() + body) as u16;
    let protocol = if shape.udp { 17 } else { 6 };
    let mut packet = vec![0; shape.ip_bytes()];
    if shape.v6 {
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&transport_bytes.to_be_bytes());
        packet[6..8].copy_from_slice(&[protocol, 64]);
        packet[8..40].copy_from_slice(&[0xfd; 32]);
    } else {
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&(transport_bytes + 20).to_be_bytes());
        packet[4..6].copy_from_slice(&id.to_be_bytes());
        packet[8..10].copy_from_slice(&[64, protocol]);
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        let checksum = !sum(&packet);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    let addresses = if shape.v6 {
        &packet[8..40]
    } else {
        &packet[12..20]
    };
    let partial = sum(&[addresses, &transport_bytes.to_be_bytes(), &[0, protocol]].concat());
    let mut transport = vec![0; shape.transport_bytes()];
    transport[..4].copy_from_slice(&[0, 80, 1, 2]);
    if shape.udp {
        transport[4..6].copy_from_slice(&transport_bytes.to_be_bytes());
        transport[6..8].copy_from_slice(&partial.to_be_bytes());
    } else {
        transport[4..8].copy_from_slice(&sequence.to_be_bytes());
        transport[12] = (((20 + shape.options) / 4) << 4) as u8;
        transport[13] = tcp_flags;
        transport[16..18].copy_from_slice(&partial.to_be_bytes());
    }
    packet.extend(transport);
    packet
}

/// What Linux sends in the end, written down independently: packet by packet.
fn segments(shape: &Shape, super_packet: &[u8]) -> Vec<Vec<u8>> {
    let (header, packet) = VnetHeader::parse(super_packet).unwrap();
    let headers_bytes = shape.ip_bytes() + shape.transport_bytes();
    let (head, body) = packet.split_at(headers_bytes);
    let sequence_at = shape.ip_bytes() + 4;
    let sequence = u32::from_be_bytes(head[sequence_at..sequence_at + 4].try_into().unwrap());
    let flags = if shape.udp {
        0
    } else {
        head[shape.ip_bytes() + 13]
    };
    let id = u16::from_be_bytes([head[4], head[5]]);
    let expected = headers(shape, sequence, id, flags, body.len());
    assert!(
        head == expected,
        "the headers fit the piece: {head:x?} {expected:x?}"
    );
    let size = if header.gso_type == 0 {
        body.len()
    } else {
        usize::from(header.gso_size)
    };
    let count = body.len().div_ceil(size);
    let chunks = body.chunks(size).enumerate();
    chunks
        .map(|(place, body)| {
            let mut flags = flags;
            if place > 0 {
                flags &= !0x80;
            }
            if place + 1 < count {
                flags &= !0x09;
            }
            let sequence = sequence.wrapping_add((place * size) as u32);
            let id = id.wrapping_add(place as u16);
            [
                headers(shape, sequence, id, flags, body.len()),
                body.to_vec(),
            ]
            .concat()
        })
        .collect()
}

fn pieces(super_packet: &[u8], piece_bytes: usize, segments_min: usize) -> Option<Vec<Vec<u8>>> {
    pieces_within(super_packet, piece_bytes, segments_min, usize::MAX)
}

fn pieces_within(
    super_packet: &[u8],
    piece_bytes: usize,
    segments_min: usize,
    limit_bytes: usize,
) -> Option<Vec<Vec<u8>>> {
    let mut cut = Cut::begin(super_packet, piece_bytes, segments_min, limit_bytes)?;
    let mut pieces = Vec::new();
    while let Some(bytes) = cut.next_bytes() {
        let mut piece = vec![0xee; bytes + 10];
        cut.write_next(&mut piece);
        assert_eq!(
            piece.split_off(bytes),
            [0xee; 10],
            "nothing is written behind the piece"
        );
        pieces.push(piece);
    }
    Some(pieces)
}

proptest! {
    #[test]
    fn pieces_stand_for_the_same_packets(
        v6: bool, udp: bool, options in 0_usize..=10, flags: u8,
        segment in 8_u16..1400, body in 1_usize..60_000,
        piece in 0_usize..70_000, segments_min in 1_usize..4, limit in 0_usize..70_000,
    ) {
        let segment = segment.max((body / 100) as u16);
        let shape = Shape { v6, udp, options: options * 4, tcp_flags: flags, segment, body };
        let whole = shape.build();
        let headers = VNET_HEADER_BYTES + shape.ip_bytes() + shape.transport_bytes();
        let pieces = pieces_within(&whole, piece, segments_min, limit);
        if pieces.is_none() {
            let one = headers + usize::from(segment);
            prop_assert!(whole.len() <= limit || one > limit, "it could be cut");
        }
        if let Some(pieces) = pieces {
            prop_assert!(pieces.len() >= 2);
            let together: Vec<_> = pieces.iter().flat_map(|piece| segments(&shape, piece)).collect();
            prop_assert_eq!(together, segments(&shape, &whole));
            for bytes in &pieces {
                let (header, packet) = VnetHeader::parse(bytes).unwrap();
                prop_assert!(vnet::check(&header, packet, EVERYTHING).is_ok(), "the peer takes it");
                let least = segments_min * usize::from(segment) * 3 / 2;
                prop_assert!(bytes.len() <= limit);
                prop_assert!(bytes.len() <= headers + least.max(piece), "{} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 0_usize..100) {
        if let Some(pieces) = pieces(&bytes, piece, 1) {
            prop_assert!(pieces.len() >= 2);
        }
    }
}

#[test]
fn what_is_small_enough_or_no_super_packet_stays_whole() {
    let shape = Shape {
        v6: false,
        udp: false,
        options: 12,
        tcp_flags: 0x18,
        segment: 1348,
        body: 13_480,
    };
    let whole = shape.build();
    assert_eq!(pieces(&whole, 13_600, 1), None);
    assert_eq!(pieces(&whole, 5_600, 2).map(|pieces| pieces.len()), Some(3));
    assert_eq!(pieces(&whole, 0, 2).map(|pieces| pieces.len()), Some(5));
    let mut plain = whole.clone();
    plain[1] = 0;
    assert_eq!(pieces(&plain, 0, 1), None);
}
