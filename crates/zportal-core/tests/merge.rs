//! What is merged is what the kernel cuts again: every datagram comes back byte for byte.

mod checksum_support;

use checksum_support::sum;
use proptest::prelude::*;
use zportal_core::merge::{Run, SEGMENTS_MAX};
use zportal_core::wire::features::Features;
use zportal_core::wire::vnet::{self, VNET_HEADER_BYTES, VnetHeader};

const AGREED: Features = Features(Features::VNET.0 | Features::USO4.0 | Features::USO6.0);

/// Addresses, length and protocol, as UDP's checksum covers them.
fn pseudo_header(packet: &[u8], ip_bytes: usize, udp_bytes: u16) -> u16 {
    let addresses = if ip_bytes == 20 {
        &packet[12..20]
    } else {
        &packet[8..40]
    };
    sum(&[addresses, &udp_bytes.to_be_bytes(), &[0, 17]].concat())
}

/// A datagram as this machine's kernel hands it over: its checksum is partial.
fn datagram(v6: bool, port: u16, id: u16, dont_fragment: bool, body: &[u8]) -> Vec<u8> {
    let ip_bytes = if v6 { 40 } else { 20 };
    let udp_bytes = (8 + body.len()) as u16;
    let mut packet = vec![0; ip_bytes];
    if v6 {
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&udp_bytes.to_be_bytes());
        packet[6..8].copy_from_slice(&[17, 64]);
        packet[8..40].copy_from_slice(&[0xfd; 32]);
    } else {
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&(udp_bytes + 20).to_be_bytes());
        packet[4..6].copy_from_slice(&id.to_be_bytes());
        packet[6] = if dont_fragment { 0x40 } else { 0 };
        packet[8..10].copy_from_slice(&[64, 17]);
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        let checksum = !sum(&packet);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    let partial = pseudo_header(&packet, ip_bytes, udp_bytes);
    packet.extend(
        [
            port.to_be_bytes(),
            9_u16.to_be_bytes(),
            udp_bytes.to_be_bytes(),
            partial.to_be_bytes(),
        ]
        .concat(),
    );
    packet.extend(body);
    let vnet = [1, 0, 0, 0, 0, 0, ip_bytes as u8, 0, 6, 0];
    [&vnet[..], &packet].concat()
}

/// What Linux makes of a UDP super-packet (`__udp_gso_segment`), written down independently.
fn cut(super_packet: &[u8]) -> Vec<Vec<u8>> {
    let (vnet, packet) = super_packet.split_at(VNET_HEADER_BYTES);
    if vnet[1] == 0 {
        return vec![super_packet.to_vec()];
    }
    assert_eq!(vnet[1], 5);
    let v6 = packet[0] >> 4 == 6;
    let ip_bytes = if v6 { 40 } else { 20 };
    let segment = usize::from(u16::from_le_bytes([vnet[4], vnet[5]]));
    let total = u16::from_be_bytes([packet[ip_bytes + 4], packet[ip_bytes + 5]]);
    assert_eq!(usize::from(total), packet.len() - ip_bytes);
    assert_eq!(
        u16::from_be_bytes([packet[ip_bytes + 6], packet[ip_bytes + 7]]),
        pseudo_header(packet, ip_bytes, total),
        "the partial checksum fits the whole"
    );
    if !v6 {
        assert_eq!(sum(&packet[..20]), 0xffff, "the header's checksum fits");
    }
    let port = u16::from_be_bytes([packet[ip_bytes], packet[ip_bytes + 1]]);
    let id = u16::from_be_bytes([packet[4], packet[5]]);
    packet[ip_bytes + 8..]
        .chunks(segment)
        .enumerate()
        .map(|(place, body)| {
            datagram(
                v6,
                port,
                id.wrapping_add(place as u16),
                packet[6] & 0x40 != 0,
                body,
            )
        })
        .collect()
}

/// Merges as the outbound does, for a peer that takes whatever there is.
fn merge(datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
    merge_within(datagrams, usize::MAX)
}

fn merge_within(datagrams: &[Vec<u8>], limit_bytes: usize) -> Vec<Vec<u8>> {
    let mut merged = Vec::new();
    let mut current: Option<(Run, Vec<u8>)> = None;
    for next in datagrams {
        if let Some((run, bytes)) = &mut current
            && let Some(payload) = run.take(bytes, next, limit_bytes)
        {
            bytes.extend(&next[payload]);
            continue;
        }
        if let Some((run, mut bytes)) = current.take() {
            run.finish(&mut bytes);
            merged.push(bytes);
        }
        match Run::begin(next, AGREED) {
            Some(run) => current = Some((run, next.clone())),
            None => merged.push(next.clone()),
        }
    }
    if let Some((run, mut bytes)) = current {
        run.finish(&mut bytes);
        merged.push(bytes);
    }
    merged
}

/// Without the identification where it says nothing: with Don't Fragment (RFC 6864).
fn essence(datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let without = |datagram: &Vec<u8>| {
        let mut datagram = datagram.clone();
        let packet = &mut datagram[VNET_HEADER_BYTES..];
        if packet[0] == 0x45 && packet[6] & 0x40 != 0 {
            packet[4..6].fill(0);
            packet[10..12].fill(0);
        }
        datagram
    };
    datagrams.iter().map(without).collect()
}

#[test]
fn a_burst_of_equal_datagrams_is_one_super_packet_that_passes_the_peers_check() {
    for v6 in [false, true] {
        let burst: Vec<_> = (0..10)
            .map(|id| datagram(v6, 5000, id, true, &[id as u8; 100]))
            .collect();
        let merged = merge(&burst);
        assert_eq!(merged.len(), 1);
        assert_eq!(essence(&cut(&merged[0])), essence(&burst));
        let (header, packet) = VnetHeader::parse(&merged[0]).unwrap();
        let checked = vnet::check(&header, packet, AGREED).expect("the peer takes it");
        assert_eq!((checked.gso_type, checked.gso_size), (5, 100));
    }
}

#[test]
fn a_run_ends_where_it_must() {
    let one = |port, id, size| datagram(false, port, id, true, &vec![7; size]);
    let count = |burst: &[Vec<u8>]| merge(burst).len();
    assert_eq!(count(&[one(1, 0, 100), one(2, 1, 100)]), 2, "another flow");
    assert_eq!(count(&[one(1, 0, 100), one(1, 1, 101)]), 2, "a larger one");
    assert_eq!(
        count(&[one(1, 0, 100), one(1, 1, 99), one(1, 2, 100)]),
        2,
        "after a shorter one"
    );
    assert_eq!(count(&[one(1, 0, 0), one(1, 1, 0)]), 2, "empty ones");
    let long: Vec<_> = (0..SEGMENTS_MAX as u16 + 1)
        .map(|id| one(1, id, 10))
        .collect();
    assert_eq!(count(&long), 2, "too many");
    let large: Vec<_> = (0..50).map(|id| one(1, id, 1400)).collect();
    assert_eq!(count(&large), 2, "too many bytes");
    let ten: Vec<_> = (0..10).map(|id| one(1, id, 100)).collect();
    let whole = merge(&ten)[0].len();
    assert_eq!(merge_within(&ten, whole).len(), 1);
    assert_eq!(
        merge_within(&ten, whole - 1).len(),
        2,
        "more than the peer takes"
    );
    let fragmentable = |id| datagram(false, 1, id, false, &[7; 50]);
    assert_eq!(
        count(&[fragmentable(5), fragmentable(6), fragmentable(8)]),
        2,
        "a gap in the numbers"
    );
    let mut summed = one(1, 1, 100);
    summed[0] = 0;
    assert_eq!(
        count(&[one(1, 0, 100), summed]),
        2,
        "a full checksum, which nobody has verified"
    );
    let mut other_ttl = one(1, 1, 100);
    other_ttl[VNET_HEADER_BYTES + 8] = 63;
    assert_eq!(count(&[one(1, 0, 100), other_ttl]), 2, "another TTL");
    let mut marked = one(1, 1, 100);
    marked[VNET_HEADER_BYTES + 1] = 3;
    assert_eq!(count(&[one(1, 0, 100), marked]), 2, "another ECN mark");
}

#[test]
fn nothing_is_merged_for_a_peer_that_does_not_take_it() {
    let v4 = datagram(false, 1, 0, true, &[1; 10]);
    let v6 = datagram(true, 1, 0, true, &[1; 10]);
    assert_eq!(Run::begin(&v4, Features::VNET | Features::USO6), None);
    assert_eq!(Run::begin(&v6, Features::VNET | Features::USO4), None);
    assert!(Run::begin(&v4, Features::VNET | Features::USO4).is_some());
}

proptest! {
    #[test]
    fn whatever_comes_is_cut_into_the_same_again(
        shapes in proptest::collection::vec((any::<bool>(), 0_u16..2, 0_usize..4, any::<bool>(), 0_u16..2), 1..200),
        sizes in proptest::array::uniform4(0_usize..1400),
    ) {
        let mut id = 0_u16;
        let burst: Vec<_> = shapes.iter().map(|(v6, port, size, dont_fragment, gap)| {
            id = id.wrapping_add(1 + gap);
            datagram(*v6, *port, id, *dont_fragment, &vec![id as u8; sizes[*size]])
        }).collect();
        let back: Vec<_> = merge(&burst).iter().flat_map(|packet| cut(packet)).collect();
        prop_assert_eq!(essence(&back), essence(&burst));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_are_never_lost(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 0..20),
    ) {
        let merged = merge(&packets);
        // Random bytes with a fitting checksum field, lengths and protocol do not occur.
        prop_assert_eq!(merged, packets);
    }
}
