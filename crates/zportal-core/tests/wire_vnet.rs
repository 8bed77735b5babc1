//! A virtio_net_hdr from the peer: the kernel's own are taken as they are, and a hostile one never
//! says more to the kernel than its packet bears out.

mod wire_support;

use proptest::prelude::*;
use wire_support::{property, recorded};
use zportal_core::wire::decoder::Decoder;
use zportal_core::wire::features::Features;
use zportal_core::wire::header::{FLAG_VNET, MAX_PAYLOAD_BYTES};
use zportal_core::wire::vnet::{
    DATA_VALID, GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, Reject,
    VNET_HEADER_BYTES, VnetHeader, check, is_plain,
};

const ALL: Features = Features(0xff);

/// A TCP super-packet over IPv4: 20 bytes of IP, 32 of TCP, 2,000 of payload in segments of 1,000.
fn tcp4() -> (VnetHeader, Vec<u8>) {
    let mut packet = vec![0; 2052];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&2052u16.to_be_bytes());
    packet[9] = 6;
    packet[20 + 12] = 8 << 4;
    (super_packet(GSO_TCPV4, 52, 20, 16), packet)
}

/// The same over IPv6.
fn tcp6() -> (VnetHeader, Vec<u8>) {
    let mut packet = vec![0; 2072];
    packet[0] = 0x60;
    packet[4..6].copy_from_slice(&2032u16.to_be_bytes());
    packet[6] = 6;
    packet[40 + 12] = 8 << 4;
    (super_packet(GSO_TCPV6, 72, 40, 16), packet)
}

/// The same over IPv6 with a hop-by-hop header of 8 bytes and a destination options header of 16.
fn tcp6_extended() -> (VnetHeader, Vec<u8>) {
    let (header, plain) = tcp6();
    let mut packet = plain[..40].to_vec();
    packet[4..6].copy_from_slice(&(2032u16 + 24).to_be_bytes());
    packet[6] = 0;
    packet.extend_from_slice(&[60, 0, 1, 4, 0, 0, 0, 0]);
    packet.extend_from_slice(&[6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    packet.extend_from_slice(&plain[40..]);
    (
        VnetHeader {
            hdr_len: 72 + 24,
            csum_start: 40 + 24,
            ..header
        },
        packet,
    )
}

/// UDP over IPv4: 28 bytes of headers, 2,000 of payload in datagrams of 1,000.
fn udp4() -> (VnetHeader, Vec<u8>) {
    let mut packet = vec![0; 2028];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&2028u16.to_be_bytes());
    packet[9] = 17;
    (super_packet(GSO_UDP_L4, 28, 20, 6), packet)
}

/// The same over IPv6.
fn udp6() -> (VnetHeader, Vec<u8>) {
    let mut packet = vec![0; 2048];
    packet[0] = 0x60;
    packet[4..6].copy_from_slice(&2008u16.to_be_bytes());
    packet[6] = 17;
    (super_packet(GSO_UDP_L4, 48, 40, 6), packet)
}

fn super_packet(gso_type: u8, hdr_len: u16, csum_start: u16, csum_offset: u16) -> VnetHeader {
    VnetHeader {
        flags: NEEDS_CSUM,
        gso_type,
        hdr_len,
        gso_size: 1000,
        csum_start,
        csum_offset,
    }
}

fn good() -> [(VnetHeader, Vec<u8>); 5] {
    [tcp4(), tcp6(), tcp6_extended(), udp4(), udp6()]
}

/// What must hold of any header that goes to the kernel, written down apart from the code.
fn bears_out(header: &VnetHeader, packet: &[u8]) -> bool {
    let at = |at: usize| usize::from(packet[at]);
    let csum_end = usize::from(header.csum_start) + usize::from(header.csum_offset) + 2;
    let v6 = packet[0] >> 4 == 6;
    if header.flags == 0 {
        return *header == VnetHeader::default();
    }
    let within = header.flags == NEEDS_CSUM
        && csum_end <= packet.len()
        && usize::from(header.csum_start) >= if v6 { 40 } else { (at(0) & 15) * 4 };
    if header.gso_type == GSO_NONE {
        return within && header.gso_size == 0 && header.hdr_len == 0;
    }
    let start = usize::from(header.csum_start);
    let tcp = matches!(header.gso_type & !GSO_ECN, GSO_TCPV4 | GSO_TCPV6);
    let headers = start + if tcp { (at(start + 12) >> 4) * 4 } else { 8 };
    let said = if v6 {
        40 + at(4) * 256 + at(5)
    } else {
        at(2) * 256 + at(3)
    };
    within
        && said == packet.len()
        && (header.gso_type & !GSO_ECN != GSO_TCPV4 || !v6)
        && (header.gso_type & !GSO_ECN != GSO_TCPV6 || v6)
        && headers == usize::from(header.hdr_len)
        && headers + usize::from(header.gso_size) < packet.len()
        && header.gso_size > 0
}

#[test]
fn what_a_linux_tun_gives_is_accepted_as_it_is() {
    let recording = recorded("vnet-linux-6.18.bin");
    let decoder = Decoder::new(MAX_PAYLOAD_BYTES as u32, FLAG_VNET);
    let mut rest = &recording[..];
    let mut packets = 0;
    while let Some(frame) = decoder.decode(rest).unwrap() {
        let (header, packet) = VnetHeader::parse(frame.payload).unwrap();
        assert_eq!(check(&header, packet, ALL), Ok(header), "packet {packets}");
        assert_eq!(header.encode(), frame.payload[..VNET_HEADER_BYTES]);
        rest = &rest[frame.total_bytes()..];
        packets += 1;
    }
    assert_eq!((packets, rest.len()), (12, 0));
}

#[test]
fn what_asks_nothing_of_its_taker_is_plain_whether_or_not_its_checksum_was_verified() {
    for flags in [0, DATA_VALID] {
        let header = VnetHeader {
            flags,
            ..VnetHeader::default()
        };
        assert!(is_plain(&header.encode()));
        // The receiver takes it for the same.
        assert_eq!(check(&header, b"p", ALL), Ok(VnetHeader::default()));
    }
    for (header, _) in good() {
        assert!(!is_plain(&header.encode()));
        let alone = VnetHeader {
            gso_type: GSO_NONE,
            ..header
        };
        assert!(!is_plain(&alone.encode()));
        let summed = VnetHeader {
            flags: DATA_VALID,
            ..header
        };
        assert!(!is_plain(&summed.encode()));
    }
}

#[test]
fn the_ten_bytes_are_little_endian_in_the_kernels_order() {
    let header = VnetHeader {
        flags: 1,
        gso_type: 4,
        hdr_len: 0x0203,
        gso_size: 0x0405,
        csum_start: 0x0607,
        csum_offset: 0x0809,
    };
    let bytes = [1, 4, 3, 2, 5, 4, 7, 6, 9, 8];
    assert_eq!(header.encode(), bytes);
    let payload = [&bytes[..], b"p"].concat();
    assert_eq!(VnetHeader::parse(&payload), Ok((header, &b"p"[..])));
    for cut in 0..=VNET_HEADER_BYTES {
        assert_eq!(
            VnetHeader::parse(&payload[..cut]),
            Err(Reject::NoPacket),
            "{cut} bytes"
        );
    }
}

#[test]
fn good_super_packets_pass_and_what_the_packet_tells_is_taken_from_it() {
    for (header, packet) in good() {
        assert_eq!(check(&header, &packet, ALL), Ok(header));
        for hdr_len in [0, 1, 65_535] {
            let claim = VnetHeader { hdr_len, ..header };
            assert_eq!(
                check(&claim, &packet, ALL),
                Ok(header),
                "hdr_len {hdr_len} is not asked"
            );
        }
        let claim = VnetHeader {
            flags: NEEDS_CSUM | DATA_VALID,
            ..header
        };
        assert_eq!(
            check(&claim, &packet, ALL),
            Ok(header),
            "nothing is verified but by us"
        );
    }
    for (header, packet) in [tcp4(), tcp6()] {
        let ecn = VnetHeader {
            gso_type: header.gso_type | GSO_ECN,
            ..header
        };
        assert_eq!(check(&ecn, &packet, ALL), Ok(ecn));
    }
}

#[test]
fn each_kind_needs_its_own_feature() {
    let kinds = [
        (tcp4(), Features::TSO4),
        (tcp6(), Features::TSO6),
        (tcp6_extended(), Features::TSO6),
        (udp4(), Features::USO4),
        (udp6(), Features::USO6),
    ];
    for ((header, packet), feature) in kinds {
        assert!(check(&header, &packet, Features::VNET | feature).is_ok());
        let others = check(&header, &packet, ALL.without(feature));
        assert_eq!(others, Err(Reject::NotAgreed), "{feature}");
        let ecn = VnetHeader {
            gso_type: header.gso_type | GSO_ECN,
            ..header
        };
        let refusal = check(&ecn, &packet, Features::VNET | feature).unwrap_err();
        let udp = header.gso_type == GSO_UDP_L4;
        assert_eq!(
            refusal,
            if udp {
                Reject::UnknownGsoType
            } else {
                Reject::NotAgreed
            }
        );
    }
}

#[test]
fn unknown_flags_and_types_are_refused() {
    let (header, packet) = tcp4();
    for flags in 0..=255 {
        let verdict = check(&VnetHeader { flags, ..header }, &packet, ALL);
        match flags {
            0 | 2 => assert_eq!(verdict, Err(Reject::Checksum), "flags {flags}"),
            1 | 3 => assert_eq!(verdict, Ok(header), "flags {flags}"),
            _ => assert_eq!(verdict, Err(Reject::UnknownFlag), "flags {flags}"),
        }
    }
    for gso_type in 0..=255 {
        let verdict = check(&VnetHeader { gso_type, ..header }, &packet, ALL);
        match gso_type {
            0 | 1 | 0x81 => assert!(verdict.is_ok(), "type {gso_type}"),
            4 | 0x84 => assert_eq!(verdict, Err(Reject::IpHeader), "type {gso_type}"),
            5 => assert_eq!(verdict, Err(Reject::Protocol)),
            _ => assert_eq!(verdict, Err(Reject::UnknownGsoType), "type {gso_type}"),
        }
    }
}

#[test]
fn a_packet_without_its_header_is_never_taken_for_a_header() {
    // A frame's flags have no checksum: with VNET flipped in, an IP packet's own first bytes are
    // read as a header, and 4 and 6 in the upper half of the first are flags that nobody knows.
    for (_, packet) in good() {
        let (header, rest) = VnetHeader::parse(&packet).unwrap();
        assert_eq!(check(&header, rest, ALL), Err(Reject::UnknownFlag));
    }
}

#[test]
fn the_checksum_lies_in_the_packet_and_behind_the_ip_header() {
    for gso_type in [GSO_NONE, GSO_TCPV4] {
        let (header, packet) = tcp4();
        let placed = |csum_start, csum_offset| {
            check(
                &VnetHeader {
                    gso_type,
                    csum_start,
                    csum_offset,
                    ..header
                },
                &packet,
                ALL,
            )
            .err()
        };
        for (start, offset) in [(19, 16), (0, 0), (20, 2031), (65_535, 65_535), (2051, 0)] {
            assert_eq!(
                placed(start, offset),
                Some(Reject::Checksum),
                "{start}+{offset}"
            );
        }
        assert_eq!(placed(20, 16), None);
        // Anywhere inside, where no segment is to be made of it; at TCP's place, where one is.
        let elsewhere = (gso_type == GSO_TCPV4).then_some(Reject::Checksum);
        for (start, offset) in [(20, 6), (21, 16), (20, 2030), (2050, 0)] {
            assert_eq!(placed(start, offset), elsewhere, "{start}+{offset}");
        }
    }
}

#[test]
fn the_ip_header_must_agree_with_the_packet() {
    let (header, packet) = tcp4();
    let sum_only = VnetHeader {
        gso_type: GSO_NONE,
        ..header
    };
    let with_byte = |header: &VnetHeader, at: usize, value: u8| {
        let mut packet = packet.clone();
        packet[at] = value;
        check(header, &packet, ALL).err()
    };
    for first in [0x44, 0x05, 0x55, 0x65] {
        assert_eq!(
            with_byte(&header, 0, first),
            Some(Reject::IpHeader),
            "{first:#x}"
        );
    }
    assert_eq!(
        with_byte(&header, 0, 0x46),
        Some(Reject::Checksum),
        "TCP is four bytes further on"
    );
    assert_eq!(
        with_byte(&header, 3, 5),
        Some(Reject::IpLength),
        "a byte more than there is"
    );
    assert_eq!(
        with_byte(&header, 3, 3),
        Some(Reject::IpLength),
        "a byte less"
    );
    assert_eq!(
        with_byte(&sum_only, 3, 5),
        Some(Reject::IpLength),
        "a byte more than there is"
    );
    assert_eq!(
        with_byte(&sum_only, 3, 3),
        None,
        "a byte less: the kernel cuts it off"
    );
    assert_eq!(with_byte(&header, 9, 17), Some(Reject::Protocol));
    assert_eq!(
        with_byte(&header, 6, 0x20),
        Some(Reject::Protocol),
        "a fragment"
    );
    assert_eq!(
        with_byte(&header, 7, 1),
        Some(Reject::Protocol),
        "a fragment"
    );
    assert_eq!(with_byte(&header, 6, 0x40), None, "DF is no fragment");
    assert_eq!(
        with_byte(&header, 32, 4 << 4),
        Some(Reject::TransportHeader),
        "16 bytes of TCP"
    );
}

#[test]
fn a_tcp_header_does_not_end_beyond_its_packet() {
    let (header, mut packet) = tcp4();
    packet[20 + 12] = 15 << 4;
    for (length, verdict) in [(79, Some(Reject::TransportHeader)), (80, None)] {
        packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        let header = VnetHeader {
            gso_size: 8,
            ..header
        };
        assert_eq!(
            check(&header, &packet[..length], ALL).err(),
            verdict,
            "{length} bytes"
        );
    }
}

#[test]
fn ipv6_extension_headers_are_walked_and_no_further_than_the_packet() {
    let (header, packet) = tcp6_extended();
    let with_byte = |at: usize, value: u8| {
        let mut packet = packet.clone();
        packet[at] = value;
        check(&header, &packet, ALL).err()
    };
    assert_eq!(with_byte(6, 44), Some(Reject::Protocol), "a fragment");
    assert_eq!(with_byte(40, 59), Some(Reject::Protocol), "no next header");
    assert_eq!(
        with_byte(49, 0),
        Some(Reject::Checksum),
        "TCP not where the checksum starts"
    );
    assert_eq!(
        with_byte(49, 255),
        Some(Reject::Checksum),
        "TCP beyond the packet"
    );
    assert_eq!(
        with_byte(41, 255),
        Some(Reject::Protocol),
        "a header beyond the packet"
    );
    // A chain of headers of 8 bytes to the packet's end, and beyond it.
    let mut chain = packet.clone();
    chain[40..].fill(0);
    assert_eq!(check(&header, &chain, ALL), Err(Reject::Protocol));
}

#[test]
fn segments_are_neither_none_nor_too_many() {
    let sized = |(header, packet): (VnetHeader, Vec<u8>), gso_size| {
        check(&VnetHeader { gso_size, ..header }, &packet, ALL)
    };
    for gso_size in [0, 1, 7, 2053, 65_535] {
        assert_eq!(
            sized(tcp4(), gso_size),
            Err(Reject::SegmentSize),
            "{gso_size}"
        );
    }
    assert!(sized(tcp4(), 8).is_ok());
    // 2,000 bytes in 128 datagrams are 15.6 each.
    for gso_size in [0, 1, 15, 2029, 65_535] {
        assert_eq!(
            sized(udp4(), gso_size),
            Err(Reject::SegmentSize),
            "{gso_size}"
        );
    }
    assert!(sized(udp4(), 16).is_ok());
    // Not even nothing is cut into segments of nothing.
    let (header, mut packet) = udp4();
    packet.truncate(28);
    packet[2..4].copy_from_slice(&28u16.to_be_bytes());
    assert_eq!(sized((header, packet.clone()), 0), Err(Reject::SegmentSize));
    assert_eq!(sized((header, packet), 1).unwrap().gso_type, GSO_NONE);
    // One segment is no super-packet.
    let (header, packet) = tcp4();
    let plain = VnetHeader {
        gso_type: GSO_NONE,
        hdr_len: 0,
        gso_size: 0,
        ..header
    };
    for gso_size in [2000, 2052] {
        assert_eq!(
            check(&VnetHeader { gso_size, ..header }, &packet, ALL),
            Ok(plain)
        );
    }
    assert_eq!(sized(tcp4(), 1999).unwrap().gso_type, GSO_TCPV4);
}

#[test]
fn every_cut_of_a_super_packet_is_refused() {
    for (header, packet) in good() {
        for cut in 0..packet.len() {
            assert!(
                check(&header, &packet[..cut], ALL).is_err(),
                "{cut} bytes of {header:?}"
            );
            let sum_only = VnetHeader {
                gso_type: GSO_NONE,
                ..header
            };
            assert!(
                check(&sum_only, &packet[..cut], ALL).is_err(),
                "{cut} bytes, checksum only"
            );
        }
    }
}

#[test]
fn every_flipped_bit_is_refused_or_borne_out() {
    for (header, packet) in good() {
        let payload = [&header.encode()[..], &packet].concat();
        for bit in 0..(VNET_HEADER_BYTES + 100) * 8 {
            let mut bad = payload.clone();
            bad[bit / 8] ^= 0x80 >> (bit % 8);
            let (header, packet) = VnetHeader::parse(&bad).unwrap();
            if let Ok(checked) = check(&header, packet, ALL) {
                assert!(bears_out(&checked, packet), "bit {bit}: {checked:?}");
            }
        }
    }
}

#[test]
fn no_header_says_more_than_its_packet_bears_out() {
    let header = (
        0u8..4,
        0u8..8,
        any::<bool>(),
        any::<u16>(),
        0u16..3000,
        0u16..100,
        0u16..30,
    );
    let changes = prop::collection::vec((0usize..100, any::<u8>()), 0..4);
    let strategy = (0usize..5, header, changes, 0usize..2100, any::<u32>());
    let accepted = std::cell::Cell::new(0);
    property(
        "headers",
        20_000,
        &strategy,
        |(which, fields, changes, cut, allowed)| {
            let (right, mut packet) = good()[which].clone();
            let (flags, gso_type, ecn, hdr_len, gso_size, csum_start, csum_offset) = fields;
            let mut header = VnetHeader {
                flags,
                gso_type: gso_type | if ecn { GSO_ECN } else { 0 },
                hdr_len,
                gso_size,
                csum_start,
                csum_offset,
            };
            // Mostly right headers reach the checks behind the first.
            if cut % 2 == 0 {
                header.csum_start = right.csum_start;
                header.csum_offset = right.csum_offset;
                header.flags = NEEDS_CSUM;
            }
            if cut % 4 == 0 {
                header.gso_type = right.gso_type;
            }
            for (at, value) in changes {
                packet[at] = value;
            }
            if cut % 3 == 0 {
                packet.truncate(cut);
            }
            if let Ok(checked) = check(&header, &packet, Features(allowed)) {
                prop_assert!(bears_out(&checked, &packet), "{:?}", checked);
                prop_assert_eq!(
                    check(&checked, &packet, Features(allowed)),
                    Ok(checked),
                    "stable"
                );
                accepted.set(accepted.get() + u32::from(checked.gso_type != GSO_NONE));
            }
            Ok(())
        },
    );
    assert!(
        accepted.get() > 100,
        "only {} super-packets got through",
        accepted.get()
    );
}

#[test]
fn noise_is_refused_or_borne_out() {
    let noise = prop::collection::vec(any::<u8>(), 11..300);
    property(
        "noise",
        20_000,
        &(noise, 0u8..4, 0u8..6),
        |(mut noise, flags, gso_type)| {
            noise[0] = flags;
            noise[1] = gso_type;
            let (header, packet) = VnetHeader::parse(&noise).unwrap();
            if let Ok(checked) = check(&header, packet, ALL) {
                prop_assert!(bears_out(&checked, packet), "{:?}", checked);
            }
            Ok(())
        },
    );
}

#[test]
fn each_reason_counts_at_its_own_place() {
    for (index, reason) in Reject::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, index);
    }
}
