//! The flow hash: one flow always the same, two flows rarely the same, and nobody can choose.

mod queue_support;

use std::collections::HashSet;
use std::hash::Hasher;

use queue_support::{NOT_ECT, TCP, UDP, ipv4, ipv6};
use zportal_core::queue::flow::FlowHash;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const GRE: u8 = 47;
const ESP: u8 = 50;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

fn hash(packet: &[u8]) -> u64 {
    FlowHash::new([3, 5]).hash(packet)
}

/// The first eight bytes of a transport header.
fn transport(source_port: u16, destination_port: u16) -> Vec<u8> {
    let [a, b] = source_port.to_be_bytes();
    let [c, d] = destination_port.to_be_bytes();
    vec![a, b, c, d, 0, 0, 0, 0]
}

/// The standard library's hasher is SipHash-1-3 with a key of zeros: an oracle for the rounds.
#[test]
fn the_hash_is_siphash_1_3() {
    let packet = ipv4(UDP, 0x1234, 0x5678, NOT_ECT);
    let mut oracle = std::hash::DefaultHasher::new();
    oracle.write(&packet[12..20]);
    oracle.write(&[0x12, 0x34, 0x56, 0x78, UDP, 0, 0]);
    assert_eq!(FlowHash::new([0, 0]).hash(&packet), oracle.finish());

    let packet = ipv6(&[], TCP, &transport(0x1234, 0x5678), NOT_ECT);
    let mut oracle = std::hash::DefaultHasher::new();
    oracle.write(&packet[8..40]);
    oracle.write(&[0x12, 0x34, 0x56, 0x78, TCP, 0, 0]);
    assert_eq!(FlowHash::new([0, 0]).hash(&packet), oracle.finish());
}

#[test]
fn only_what_names_the_flow_counts() {
    let packet = ipv4(TCP, 40_000, 443, NOT_ECT);
    let mut same = packet.clone();
    same[1] = 0xff;
    same[2..4].copy_from_slice(&9000u16.to_be_bytes());
    same[4..6].copy_from_slice(&77u16.to_be_bytes());
    same[6] = 0x40; // Don't Fragment is no fragment
    same[8] = 3;
    same[10..12].fill(0xaa);
    same[24..28].fill(0xbb);
    same.extend_from_slice(&[1, 2, 3]);
    assert_eq!(hash(&packet), hash(&same));
    for at in (12..24).chain([9]) {
        let mut other = packet.clone();
        other[at] ^= 0x10;
        assert_ne!(hash(&packet), hash(&other), "byte {at} names the flow");
    }

    let packet = ipv6(&[], UDP, &transport(40_000, 443), NOT_ECT);
    let mut same = packet.clone();
    same[0..4].copy_from_slice(&[0x6f, 0xff, 0xff, 0xff]);
    same[7] = 3;
    assert_eq!(hash(&packet), hash(&same));
    for at in 8..44 {
        let mut other = packet.clone();
        other[at] ^= 0x10;
        assert_ne!(hash(&packet), hash(&other), "byte {at} names the flow");
    }
}

#[test]
fn options_of_ipv4_are_stepped_over() {
    let plain = ipv4(TCP, 40_000, 443, NOT_ECT);
    let mut with_options = plain[..20].to_vec();
    with_options[0] = 0x47;
    with_options.extend_from_slice(&[7, 7, 4, 0, 0, 0, 0, 0]);
    with_options.extend_from_slice(&plain[20..]);
    assert_eq!(hash(&plain), hash(&with_options));
    // A header that is shorter than a header has no place for ports: one flow, whatever it holds.
    let mut short = plain.clone();
    short[0] = 0x41;
    let mut other = short.clone();
    other[4] ^= 0xff;
    assert_eq!(hash(&short), hash(&other));
}

#[test]
fn all_fragments_of_two_hosts_are_one_flow() {
    let fragment = |offset_and_flags: u16, id: u16, first_bytes: u8| {
        let mut packet = ipv4(UDP, 1, 2, NOT_ECT);
        packet[4..6].copy_from_slice(&id.to_be_bytes());
        packet[6..8].copy_from_slice(&offset_and_flags.to_be_bytes());
        packet[20..28].fill(first_bytes);
        hash(&packet)
    };
    let first = fragment(0x2000, 9, 1);
    assert_eq!(first, fragment(0x2000 | 185, 9, 2), "a middle one");
    assert_eq!(first, fragment(370, 9, 3), "the last one");
    assert_eq!(first, fragment(0x2000, 10, 4), "another datagram's");

    let fragment = |offset_and_flags: u16, data: u8| {
        let [high, low] = offset_and_flags.to_be_bytes();
        let header = vec![0, 0, high, low, 0, 0, 0, 9];
        ipv6(&[(FRAGMENT, header)], UDP, &[data; 8], NOT_ECT)
    };
    let first = hash(&fragment(1, 1));
    assert_eq!(first, hash(&fragment(1448 | 1, 2)), "a middle one");
    assert_eq!(first, hash(&fragment(2896, 3)), "the last one");
    // A fragment that is the whole packet (RFC 6946) has its ports, and counts as whole.
    let whole = ipv6(&[], UDP, &[4; 8], NOT_ECT);
    assert_eq!(hash(&fragment(0, 4)), hash(&whole));
}

#[test]
fn extension_headers_are_stepped_over() {
    let plain = ipv6(&[], TCP, &transport(40_000, 443), NOT_ECT);
    let options = vec![0, 0, 1, 4, 0, 0, 0, 0];
    let long_options = [vec![0, 1, 1, 12], vec![0; 12]].concat();
    let authentication = [vec![0, 4, 0, 0], vec![9; 20]].concat();
    let chain = [
        (HOP_BY_HOP, options.clone()),
        (ROUTING, long_options.clone()),
        (AUTHENTICATION, authentication),
        (DESTINATION_OPTIONS, long_options),
    ];
    for length in 1..=chain.len() {
        let packet = ipv6(&chain[..length], TCP, &transport(40_000, 443), NOT_ECT);
        assert_eq!(hash(&plain), hash(&packet), "{length} headers");
    }
    let endless = vec![(DESTINATION_OPTIONS, options); 100];
    let packet = ipv6(&endless, TCP, &transport(40_000, 443), NOT_ECT);
    assert_ne!(
        hash(&plain),
        hash(&packet),
        "nobody walks a hundred headers"
    );
    let other_ports = ipv6(&endless, TCP, &transport(40_001, 443), NOT_ECT);
    assert_eq!(hash(&packet), hash(&other_ports));
}

#[test]
fn icmp_echo_has_an_identifier_and_other_protocols_have_addresses() {
    let icmp = |kind: u8, identifier: u8, sequence: u8| {
        let mut packet = ipv4(ICMP, 0, 0, NOT_ECT);
        packet[20..28].copy_from_slice(&[kind, 0, 1, 2, 0, identifier, 0, sequence]);
        hash(&packet)
    };
    assert_eq!(icmp(8, 1, 1), icmp(8, 1, 2), "one ping");
    assert_ne!(icmp(8, 1, 1), icmp(8, 2, 1), "two pings");
    assert_eq!(icmp(3, 1, 1), icmp(3, 2, 9), "errors");
    let icmpv6 = |kind: u8, identifier: u8, sequence: u8| {
        let message = [kind, 0, 1, 2, 0, identifier, 0, sequence];
        hash(&ipv6(&[], ICMPV6, &message, NOT_ECT))
    };
    assert_eq!(icmpv6(128, 1, 1), icmpv6(128, 1, 2), "one ping");
    assert_ne!(icmpv6(129, 1, 1), icmpv6(129, 2, 1), "two pings");
    assert_eq!(icmpv6(2, 1, 1), icmpv6(2, 2, 9), "errors");
    let by_protocol = |protocol, port| hash(&ipv4(protocol, port, 0, NOT_ECT));
    assert_eq!(by_protocol(GRE, 1), by_protocol(GRE, 2));
    assert_ne!(by_protocol(GRE, 1), by_protocol(4, 1));
    assert_ne!(by_protocol(ESP, 1), by_protocol(ESP, 2), "two associations");
}

#[test]
fn cut_packets_have_a_hash_too() {
    let garbage = hash(&[]);
    let whole4 = ipv4(TCP, 1, 2, NOT_ECT);
    let whole6 = ipv6(
        &[(HOP_BY_HOP, vec![0, 9, 0, 0, 0, 0, 0, 0])],
        TCP,
        &[],
        NOT_ECT,
    );
    for bytes in 0..20 {
        assert_eq!(hash(&whole4[..bytes]), garbage, "{bytes} bytes of IPv4");
    }
    for bytes in 0..40 {
        assert_eq!(hash(&whole6[..bytes]), garbage, "{bytes} bytes of IPv6");
    }
    for bytes in 20..24 {
        assert_eq!(hash(&whole4[..bytes]), hash(&whole4[..20]));
    }
    for bytes in 40..=whole6.len() {
        assert_ne!(hash(&whole6[..bytes]), garbage);
    }
    assert_eq!(hash(&[0x25; 60]), garbage, "version 2");
}

/// 16 flows for each of 1024 queues: the queues' loads must look like chance.
#[test]
fn flows_spread_over_the_queues() {
    const QUEUES: usize = 1024;
    const FLOWS: usize = 16 * QUEUES;
    type Nth = fn(usize) -> Vec<u8>;
    let kinds: [(&str, Nth); 3] = [
        ("ports that count up", |n| ipv4(TCP, n as u16, 443, NOT_ECT)),
        ("hosts that count up", |n| {
            let mut packet = ipv4(TCP, 1000, 443, NOT_ECT);
            packet[14..16].copy_from_slice(&(n as u16).to_be_bytes());
            packet
        }),
        ("IPv6 ports", |n| {
            ipv6(&[], UDP, &transport(n as u16, 53), NOT_ECT)
        }),
    ];
    for (kind, nth) in kinds {
        for seed in 0..4 {
            let flow_hash = FlowHash::new([seed, !seed]);
            let mut load = vec![0f64; QUEUES];
            for n in 0..FLOWS {
                load[(flow_hash.hash(&nth(n)) >> 54) as usize] += 1.0;
            }
            let mean = FLOWS as f64 / QUEUES as f64;
            let chi_square: f64 = load.iter().map(|load| (load - mean).powi(2) / mean).sum();
            // Mean 1023, deviation 45: five deviations either way.
            assert!(
                (797.0..1249.0).contains(&chi_square),
                "{kind}, seed {seed}: chi-square {chi_square}"
            );
        }
    }
}

/// Flows chosen to share a queue under one key do not under another.
#[test]
fn collisions_need_the_key() {
    let known = FlowHash::new([11, 12]);
    let secret = FlowHash::new([13, 14]);
    let colliding: Vec<_> = (0..=u16::MAX)
        .map(|port| ipv4(UDP, port, 53, NOT_ECT))
        .filter(|packet| known.hash(packet) >> 54 == 7)
        .collect();
    assert!(colliding.len() > 40);
    let queues: HashSet<_> = colliding
        .iter()
        .map(|packet| secret.hash(packet) >> 54)
        .collect();
    assert!(queues.len() > colliding.len() * 9 / 10);
}
