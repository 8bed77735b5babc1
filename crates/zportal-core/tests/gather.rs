//! What is gathered is what the kernel cuts again: every segment comes back byte for byte, and
//! whatever is not plainly the next segment of the same stream stays alone.

mod checksum_support;

use checksum_support::sum;
use proptest::prelude::*;
use zportal_core::checksum;
use zportal_core::gather::{Gathered, SEGMENTS_MAX};
use zportal_core::wire::features::Features;
use zportal_core::wire::vnet::{self, VnetHeader};

const ALL: Features = Features(Features::VNET.0 | Features::TSO4.0 | Features::TSO6.0);
const FIRST_SEQUENCE: u32 = u32::MAX - 3000;

fn pseudo_header(packet: &[u8], tcp_bytes: usize) -> u16 {
    let addresses = if packet[0] >> 4 == 4 {
        &packet[12..20]
    } else {
        &packet[8..40]
    };
    sum(&[addresses, &(tcp_bytes as u16).to_be_bytes(), &[0, 6]].concat())
}

fn ip_bytes(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 4 { 20 } else { 40 }
}

/// Puts both checksums right.
fn seal(packet: &mut [u8]) {
    let at = ip_bytes(packet);
    if at == 20 {
        packet[10..12].fill(0);
        let checksum = !sum(&packet[..20]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    packet[at + 16..at + 18].fill(0);
    let tcp = sum(&packet[at..]);
    let checksum = !checksum::add(tcp, pseudo_header(packet, packet.len() - at));
    packet[at + 16..at + 18].copy_from_slice(&checksum.to_be_bytes());
}

/// A segment with timestamps, as Linux sends it.
fn segment(v6: bool, id: u16, sequence: u32, flags: u8, body: &[u8]) -> Vec<u8> {
    let tcp_bytes = (32 + body.len()) as u16;
    let mut packet = if v6 {
        let mut ip = vec![0x60, 0, 0, 0, 0, 0, 6, 64];
        ip[4..6].copy_from_slice(&tcp_bytes.to_be_bytes());
        ip.extend([0xfd; 32]);
        ip
    } else {
        let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0];
        ip[2..4].copy_from_slice(&(tcp_bytes + 20).to_be_bytes());
        ip[4..6].copy_from_slice(&id.to_be_bytes());
        ip.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        ip
    };
    packet.extend([0x12, 0x34, 0x14, 0x51]);
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 9, 0x80, flags, 1, 0xf6, 0, 0, 0, 0]);
    packet.extend([1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
    packet.extend(body);
    seal(&mut packet);
    packet
}

/// A stream of segments with these payloads.
fn stream(v6: bool, bodies: &[Vec<u8>], last_flags: u8) -> Vec<Vec<u8>> {
    let mut sequence = FIRST_SEQUENCE;
    let count = bodies.len();
    let segments = bodies.iter().enumerate().map(|(place, body)| {
        let flags = if place + 1 == count { last_flags } else { 0x10 };
        let packet = segment(
            v6,
            65_530_u16.wrapping_add(place as u16),
            sequence,
            flags,
            body,
        );
        sequence = sequence.wrapping_add(body.len() as u32);
        packet
    });
    segments.collect()
}

/// What Linux makes of a TCP super-packet (`tcp_gso_segment`), written down independently.
fn cut(header: &VnetHeader, packet: &[u8]) -> Vec<Vec<u8>> {
    if header.gso_type == 0 {
        return vec![packet.to_vec()];
    }
    let at = ip_bytes(packet);
    assert_eq!(header.gso_type, if at == 20 { 1 } else { 4 });
    assert_eq!(usize::from(header.csum_start), at);
    assert_eq!(header.csum_offset, 16);
    let partial = u16::from_be_bytes([packet[at + 16], packet[at + 17]]);
    assert_eq!(partial, pseudo_header(packet, packet.len() - at));
    if at == 20 {
        assert_eq!(sum(&packet[..20]), 0xffff, "the IP header's checksum");
    }
    let (headers, body) = packet.split_at(usize::from(header.hdr_len));
    let bodies: Vec<&[u8]> = body.chunks(header.gso_size.into()).collect();
    let mut sequence = u32::from_be_bytes(headers[at + 4..at + 8].try_into().unwrap());
    let id = u16::from_be_bytes([headers[4], headers[5]]);
    let pieces = bodies.iter().enumerate().map(|(place, body)| {
        let mut piece = [headers, body].concat();
        let bytes = piece.len();
        if at == 20 {
            piece[2..4].copy_from_slice(&(bytes as u16).to_be_bytes());
            piece[4..6].copy_from_slice(&id.wrapping_add(place as u16).to_be_bytes());
        } else {
            piece[4..6].copy_from_slice(&((bytes - 40) as u16).to_be_bytes());
        }
        piece[at + 4..at + 8].copy_from_slice(&sequence.to_be_bytes());
        sequence = sequence.wrapping_add(body.len() as u32);
        if place + 1 < bodies.len() {
            piece[at + 13] &= !0x09;
        }
        seal(&mut piece);
        piece
    });
    pieces.collect()
}

/// What is being gathered: its state, its first segment, and the payloads behind that.
type Open = Option<(Gathered, Vec<u8>, Vec<u8>)>;

/// Gathers as the session does, and gives what enters the TUN.
fn gather(packets: &[Vec<u8>]) -> Vec<(VnetHeader, Vec<u8>)> {
    let mut written = Vec::new();
    let mut open: Open = None;
    for next in packets {
        if let Some((gathered, first, bodies)) = &mut open
            && let Some(body) = gathered.take(first, next)
        {
            bodies.extend(&next[body]);
            continue;
        }
        written.extend(finish(open.take()));
        match Gathered::begin(next) {
            Some(gathered) => open = Some((gathered, next.clone(), Vec::new())),
            None => written.push((VnetHeader::default(), next.clone())),
        }
    }
    written.extend(finish(open));
    written
}

fn finish(open: Open) -> Option<(VnetHeader, Vec<u8>)> {
    let (gathered, mut first, bodies) = open?;
    let header = gathered.finish(&mut first);
    first.extend(bodies);
    Some((header, first))
}

fn bodies(count: usize, bytes: usize, last: usize) -> Vec<Vec<u8>> {
    let body = |place: usize, bytes: usize| (0..bytes).map(|at| (at * 7 + place) as u8).collect();
    (0..count)
        .map(|place| body(place, if place + 1 == count { last } else { bytes }))
        .collect()
}

#[test]
fn a_stream_enters_as_one_and_comes_out_as_it_was() {
    for v6 in [false, true] {
        for flags in [0x10, 0x18] {
            let packets = stream(v6, &bodies(30, 1348, 700), flags);
            let written = gather(&packets);
            assert_eq!(written.len(), 1, "one TUN write");
            let (header, packet) = &written[0];
            assert_eq!(vnet::check(header, packet, ALL), Ok(*header));
            assert_eq!(cut(header, packet), packets);
        }
    }
}

#[test]
fn a_super_packet_ends_where_its_length_field_or_the_limit_does() {
    let packets = stream(false, &bodies(60, 1348, 1348), 0x10);
    let written = gather(&packets);
    assert_eq!(written.len(), 2);
    assert!(written[0].1.len() <= 65_535);
    assert!(written[0].1.len() + 1348 > 65_535);
    let packets = stream(false, &bodies(SEGMENTS_MAX + 1, 100, 100), 0x10);
    assert_eq!(gather(&packets).len(), 2);
}

#[test]
fn what_differs_goes_alone() {
    let change = |at: usize, bits: u8| {
        move |packet: &mut Vec<u8>| {
            packet[at] ^= bits;
            seal(packet);
        }
    };
    type Change = Box<dyn Fn(&mut Vec<u8>)>;
    let changes: Vec<(&str, Change)> = vec![
        ("type of service", Box::new(change(1, 2))),
        ("don't fragment", Box::new(change(6, 0x40))),
        ("more fragments", Box::new(change(6, 0x20))),
        ("time to live", Box::new(change(8, 1))),
        ("source", Box::new(change(15, 1))),
        ("destination port", Box::new(change(23, 1))),
        ("sequence", Box::new(change(27, 1))),
        ("acknowledgment", Box::new(change(31, 1))),
        ("FIN", Box::new(change(33, 1))),
        ("RST", Box::new(change(33, 4))),
        ("ECE", Box::new(change(33, 0x40))),
        ("CWR", Box::new(change(33, 0x80))),
        ("AE", Box::new(change(32, 1))),
        ("window", Box::new(change(35, 1))),
        ("urgent pointer", Box::new(change(39, 1))),
        ("options", Box::new(change(50, 1))),
        ("TCP checksum", Box::new(|packet| packet[36] ^= 1)),
        ("payload", Box::new(|packet| packet[90] ^= 1)),
        ("IP checksum", Box::new(|packet| packet[10] ^= 1)),
    ];
    for (what, change) in changes {
        let mut packets = stream(false, &bodies(3, 500, 500), 0x10);
        assert_eq!(gather(&packets).len(), 1);
        change(&mut packets[1]);
        let written = gather(&packets);
        assert_eq!(written.len(), 3, "{what}");
        let out: Vec<Vec<u8>> = written.into_iter().map(|(_, packet)| packet).collect();
        assert_eq!(out, packets, "{what}");
    }
}

#[test]
fn identification_counts_only_without_dont_fragment() {
    let mut packets = stream(false, &bodies(2, 500, 500), 0x10);
    for packet in &mut packets {
        packet[6] = 0;
        seal(packet);
    }
    assert_eq!(gather(&packets).len(), 1);
    packets[1][5] ^= 1;
    seal(&mut packets[1]);
    assert_eq!(gather(&packets).len(), 2);
    for packet in &mut packets {
        packet[6] = 0x40;
        seal(packet);
    }
    assert_eq!(gather(&packets).len(), 1);
}

#[test]
fn acknowledgments_and_tiny_segments_are_left_alone() {
    for body in [0, 1, 7] {
        assert_eq!(
            Gathered::begin(&segment(false, 1, 1, 0x10, &vec![1; body])),
            None
        );
    }
    assert!(Gathered::begin(&segment(false, 1, 1, 0x10, &[1; 8])).is_some());
    assert_eq!(Gathered::begin(&segment(false, 1, 1, 0x18, &[1; 80])), None);
}

proptest! {
    #[test]
    fn checksums_are_those_of_the_rfc(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(checksum::sum(&bytes), sum(&bytes));
    }

    #[test]
    fn whatever_is_gathered_comes_out_as_it_was(
        v6 in any::<bool>(),
        sizes in prop::collection::vec(prop_oneof![Just(1000_usize), 1..1001_usize], 1..80),
        flags in prop::collection::vec(prop_oneof![4 => Just(0x10_u8), 1 => Just(0x18)], 80),
    ) {
        let mut sequence = FIRST_SEQUENCE;
        let mut packets = Vec::new();
        for (place, bytes) in sizes.iter().enumerate() {
            let body = vec![place as u8; *bytes];
            packets.push(segment(v6, place as u16, sequence, flags[place], &body));
            sequence = sequence.wrapping_add(*bytes as u32);
        }
        let out: Vec<Vec<u8>> = gather(&packets)
            .iter()
            .flat_map(|(header, packet)| cut(header, packet))
            .collect();
        prop_assert_eq!(out, packets);
    }

    #[test]
    fn no_bytes_make_it_panic(
        first in prop::collection::vec(any::<u8>(), 0..120),
        second in prop::collection::vec(any::<u8>(), 0..120),
        versions in prop_oneof![Just((0x45_u8, 6_u8, 9_usize)), Just((0x60, 6, 6))],
    ) {
        let shape = |mut bytes: Vec<u8>| {
            let (version, protocol, at) = versions;
            if bytes.len() > 9 {
                bytes[0] = version;
                bytes[at] = protocol;
            }
            bytes
        };
        let (first, second) = (shape(first), shape(second));
        let _ = Gathered::begin(&first);
        let valid = segment(false, 1, 1, 0x10, &[1; 40]);
        let mut gathered = Gathered::begin(&valid).unwrap();
        let _ = gathered.take(&valid, &second);
    }
}
