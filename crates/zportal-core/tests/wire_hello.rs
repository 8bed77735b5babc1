//! HELLO: a packet that any kernel takes for IPv4 and drops, and that no other packet is taken for.

mod wire_support;

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use wire_support::{property, recorded};
use zportal_core::wire::decoder::Decoder;
use zportal_core::wire::features::{Features, negotiate};
use zportal_core::wire::header::{HEADER_BYTES, encode};
use zportal_core::wire::hello::{HELLO_BYTES, Hello, MalformedHello, TAG, VERSION, digest};

fn example() -> Hello {
    Hello {
        version: VERSION,
        is_relayed: false,
        features: Features::VNET | Features::TSO4 | Features::TSO6 | Features::PING,
        max_payload_bytes: 65_546,
        mtu_bytes: 1400,
        session_id: *b"0123456789abcdef",
        inner_ipv4: Some(Ipv4Addr::new(10, 10, 0, 1)),
        inner_ipv6_digest: digest(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
    }
}

/// The internet checksum written down a second time, so that the code is not its own judge.
fn header_is_right(packet: &[u8]) -> bool {
    let sum: u64 = packet[..20]
        .chunks(2)
        .map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    sum != 0 && sum.is_multiple_of(0xffff)
}

/// Writes the length into the IPv4 header and makes its checksum right again.
fn with_length(mut packet: Vec<u8>) -> Vec<u8> {
    let length = packet.len() as u16;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet[10..12].fill(0);
    let mut sum: u32 = packet[..20]
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    sum = (sum & 0xffff) + (sum >> 16);
    let checksum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet
}

fn hellos() -> impl Strategy<Value = Hello> {
    let ipv4 = prop::option::of((1u32..).prop_map(Ipv4Addr::from_bits));
    let ipv6 = prop::option::of(1u32..);
    (
        (1u8.., any::<bool>()),
        any::<u32>(),
        68u16..,
        any::<u32>(),
        any::<[u8; 16]>(),
        ipv4,
        ipv6,
    )
        .prop_map(
            |(
                (version, is_relayed),
                features,
                mtu_bytes,
                more,
                session_id,
                inner_ipv4,
                inner_ipv6_digest,
            )| {
                Hello {
                    version,
                    is_relayed,
                    features: Features(features),
                    max_payload_bytes: u32::from(mtu_bytes).saturating_add(more),
                    mtu_bytes,
                    session_id,
                    inner_ipv4,
                    inner_ipv6_digest,
                }
            },
        )
}

#[test]
fn a_hello_is_a_complete_martian_packet_that_any_original_accepts() {
    let packet = example().encode();
    assert_eq!(packet.len(), HELLO_BYTES);
    assert_eq!(packet[0], 0x45, "IPv4, no options");
    assert_eq!(
        u16::from_be_bytes([packet[2], packet[3]]),
        64,
        "total length"
    );
    assert_eq!(
        packet[6..8],
        [0x40, 0],
        "not a fragment, and never to be one"
    );
    assert_eq!(packet[8], 1, "TTL: no kernel forwards it");
    assert_eq!(packet[9], 253, "a protocol for experiments");
    assert_eq!(
        packet[12..20],
        [127, 0, 0, 1, 127, 0, 0, 1],
        "martian, so dropped"
    );
    assert!(header_is_right(&packet));
    // The least MTU that an original can have.
    let mut frame = encode(0, &packet).to_vec();
    frame.extend_from_slice(&packet);
    assert!(Decoder::new(68, 0).decode(&frame).unwrap().is_some());
}

#[test]
fn what_was_announced_is_what_is_read() {
    property("hello", 1024, &hellos(), |hello| {
        let packet = hello.encode();
        prop_assert!(header_is_right(&packet));
        prop_assert_eq!(Hello::parse(&packet), Ok(Some(hello)));
        Ok(())
    });
}

#[test]
fn no_packet_of_an_original_is_taken_for_a_hello() {
    for name in [
        "original-client-to-server.bin",
        "original-server-to-client.bin",
    ] {
        let recording = recorded(name);
        let mut rest = &recording[..];
        while let Some(frame) = Decoder::new(1400, 0).decode(rest).unwrap() {
            assert_eq!(Hello::parse(frame.payload), Ok(None));
            rest = &rest[frame.total_bytes()..];
        }
    }
    property(
        "packets",
        1024,
        &prop::collection::vec(any::<u8>(), 0..200),
        |packet| {
            prop_assert_eq!(Hello::parse(&packet), Ok(None));
            Ok(())
        },
    );
}

#[test]
fn a_hello_cut_anywhere_is_never_a_hello() {
    let packet = example().encode();
    for cut in 0..HELLO_BYTES {
        let verdict = Hello::parse(&packet[..cut]);
        if cut < 20 + TAG.len() {
            assert_eq!(verdict, Ok(None), "no tag in {cut} bytes");
        } else {
            assert_eq!(verdict, Err(MalformedHello::Length { got: cut, said: 64 }));
        }
    }
    // Cut, and its header made to agree: still less than version 1 has.
    let short = with_length(packet[..63].to_vec());
    assert_eq!(
        Hello::parse(&short),
        Err(MalformedHello::Length { got: 63, said: 63 })
    );
}

#[test]
fn every_flipped_bit_is_seen_or_is_another_announcement() {
    // Under the frame's CRC none of this arrives; it is what a defective sender might write.
    let good = example();
    let packet = good.encode();
    for bit in 0..HELLO_BYTES * 8 {
        let mut bad = packet;
        bad[bit / 8] ^= 0x80 >> (bit % 8);
        match (bit / 8, Hello::parse(&bad)) {
            // What tells a HELLO from a packet.
            (0 | 9 | 12..=27, verdict) => assert_eq!(verdict, Ok(None), "bit {bit}"),
            (2 | 3, verdict) => {
                assert!(
                    matches!(verdict, Err(MalformedHello::Length { .. })),
                    "bit {bit}"
                );
            }
            (1..=19, verdict) => assert_eq!(verdict, Err(MalformedHello::Checksum), "bit {bit}"),
            (29, verdict) if bit % 8 < 7 => assert_eq!(verdict, Ok(Some(good)), "bit {bit}"),
            (_, Ok(other)) => assert_ne!(other, Some(good), "bit {bit}"),
            (_, Err(refusal)) => assert!(
                matches!(
                    refusal,
                    MalformedHello::Version | MalformedHello::Limits { .. }
                ),
                "bit {bit}: {refusal:?}"
            ),
        }
    }
}

#[test]
fn limits_that_no_end_can_have_are_refused() {
    let refused = |mtu_bytes, max_payload_bytes| {
        let packet = Hello {
            mtu_bytes,
            max_payload_bytes,
            ..example()
        }
        .encode();
        let verdict = Hello::parse(&packet);
        let limits = Err(MalformedHello::Limits {
            mtu_bytes,
            max_payload_bytes,
        });
        assert!(verdict == limits || matches!(verdict, Ok(Some(_))));
        verdict.is_err()
    };
    assert!(refused(67, 1400) && !refused(68, 68) && refused(68, 67));
    assert!(refused(1400, 1399) && !refused(1400, 1400) && !refused(65_535, u32::MAX));
    let packet = Hello {
        version: 0,
        ..example()
    }
    .encode();
    assert_eq!(Hello::parse(&packet), Err(MalformedHello::Version));
}

#[test]
fn a_later_version_may_say_more() {
    let strategy = (hellos(), prop::collection::vec(any::<u8>(), 0..100));
    property("later versions", 256, &strategy, |(hello, more)| {
        let mut packet = hello.encode().to_vec();
        packet[29] |= 0xfe;
        packet.extend_from_slice(&more);
        prop_assert_eq!(Hello::parse(&with_length(packet)), Ok(Some(hello)));
        Ok(())
    });
    // Bytes that the packet's own header does not account for are a defect, not an extension.
    let mut packet = example().encode().to_vec();
    packet.push(0);
    assert_eq!(
        Hello::parse(&packet),
        Err(MalformedHello::Length { got: 65, said: 64 })
    );
}

#[test]
fn only_what_both_announced_is_used() {
    let bit = |bits: u32| Features(bits);
    let vnet = Features::VNET | Features::TSO4 | Features::USO6 | Features::PING;
    assert_eq!(negotiate(vnet, vnet), vnet);
    assert_eq!(negotiate(vnet, Features::NONE), Features::NONE);
    assert_eq!(
        negotiate(vnet, vnet.without(Features::VNET)),
        Features::PING,
        "super-packets need their header"
    );
    let ecn = Features::VNET | Features::TSO_ECN;
    assert_eq!(
        negotiate(ecn | Features::TSO6, ecn | Features::TSO6),
        ecn | Features::TSO6
    );
    assert_eq!(
        negotiate(ecn | Features::TSO6, ecn | Features::TSO4),
        Features::VNET
    );
    property(
        "negotiation",
        1024,
        &any::<(u32, u32)>(),
        |(ours, theirs)| {
            let agreed = negotiate(bit(ours), bit(theirs));
            prop_assert_eq!(
                agreed,
                negotiate(bit(theirs), bit(ours)),
                "both come to the same"
            );
            prop_assert!(bit(ours).contains(agreed) && bit(theirs).contains(agreed));
            prop_assert_eq!(
                negotiate(agreed, agreed),
                agreed,
                "nothing is left to take away"
            );
            Ok(())
        },
    );
}

#[test]
fn features_have_names_in_the_log() {
    assert_eq!(Features::NONE.to_string(), "none");
    assert_eq!(
        (Features::VNET | Features::USO6 | Features::PING).to_string(),
        "VNET+USO6+PING"
    );
    assert_eq!(
        (Features::TSO4 | Features(0x8000_0000)).to_string(),
        "TSO4+0x80000000"
    );
    for (index, (feature, _)) in Features::NAMED.iter().enumerate() {
        assert_eq!(feature.0, 1 << index);
    }
}

#[test]
fn the_same_inner_address_at_both_ends_is_found_out() {
    let ours = example();
    let other = Hello {
        inner_ipv4: Some(Ipv4Addr::new(10, 10, 0, 2)),
        inner_ipv6_digest: digest(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2)),
        ..ours
    };
    assert!(!ours.shares_address_with(&other));
    assert!(ours.shares_address_with(&Hello {
        inner_ipv4: ours.inner_ipv4,
        ..other
    }));
    let same_ipv6 = Hello {
        inner_ipv6_digest: ours.inner_ipv6_digest,
        ..other
    };
    assert!(ours.shares_address_with(&same_ipv6));
    let neither = Hello {
        inner_ipv4: None,
        inner_ipv6_digest: None,
        ..ours
    };
    assert!(
        !neither.shares_address_with(&neither),
        "no address is not a shared one"
    );
    assert_eq!(Hello::parse(&neither.encode()), Ok(Some(neither)));
}

#[test]
fn a_hello_frame_is_80_bytes() {
    assert_eq!(HEADER_BYTES + HELLO_BYTES, 80);
}
