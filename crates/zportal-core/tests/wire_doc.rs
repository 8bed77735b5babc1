//! The worked bytes of docs/WIRE.md are what the code writes, and what it reads.

mod wire_support;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use wire_support::stream_of;
use zportal_core::wire::control::{CONTROL_MAX_BYTES, CloseReason, Control, Delivered, Ping, Pong};
use zportal_core::wire::decoder::Decoder;
use zportal_core::wire::features::Features;
use zportal_core::wire::header::{FLAG_CONTROL, FLAG_VNET, MAX_PAYLOAD_BYTES};
use zportal_core::wire::hello::{Hello, digest};
use zportal_core::wire::vnet::{self, GSO_TCPV4, NEEDS_CSUM, VnetHeader};

const SPECIFICATION: &str = include_str!("../../../docs/WIRE.md");

/// The blocks that begin with "```hex NAME", as bytes; what follows a `;` is for people.
fn blocks() -> BTreeMap<String, Vec<u8>> {
    let mut blocks = BTreeMap::new();
    let mut current: Option<(String, Vec<u8>)> = None;
    for line in SPECIFICATION.lines() {
        if let Some(name) = line.strip_prefix("```hex ") {
            current = Some((name.to_owned(), Vec::new()));
        } else if line.starts_with("```") {
            blocks.extend(current.take());
        } else if let Some((name, bytes)) = &mut current {
            let digits = line.split(';').next().unwrap_or("");
            for pair in digits.split_whitespace() {
                let byte = u8::from_str_radix(pair, 16);
                bytes.push(byte.unwrap_or_else(|_| panic!("{name}: {pair:?} is no byte")));
            }
        }
    }
    blocks
}

fn hello() -> Hello {
    Hello {
        version: 1,
        is_relayed: false,
        features: Features(0x7f),
        max_payload_bytes: 65_546,
        mtu_bytes: 1400,
        session_id: std::array::from_fn(|i| 0xa0 + i as u8),
        inner_ipv4: Some(Ipv4Addr::new(10, 10, 0, 1)),
        inner_ipv6_digest: digest(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
    }
}

/// An echo request of 32 bytes, from 10.10.0.2 to 10.10.0.1.
fn echo_request() -> Vec<u8> {
    vec![
        0x45, 0, 0, 0x20, 0x12, 0x34, 0x40, 0, 0x40, 1, 0x14, 0x93, 10, 10, 0, 2, 10, 10, 0,
        1, //
        8, 0, 0x19, 0x27, 0, 7, 0, 1, b'p', b'i', b'n', b'g',
    ]
}

/// A TCP super-packet of two segments of 8 bytes, checksum partial.
fn super_packet() -> Vec<u8> {
    let header = VnetHeader {
        flags: NEEDS_CSUM,
        gso_type: GSO_TCPV4,
        hdr_len: 40,
        gso_size: 8,
        csum_start: 20,
        csum_offset: 16,
    };
    let mut payload = header.encode().to_vec();
    payload.extend_from_slice(&[
        0x45, 0, 0, 0x38, 0x56, 0x78, 0x40, 0, 0x40, 6, 0xd0, 0x31, 10, 10, 0, 2, 10, 10, 0, 1,
    ]);
    payload.extend_from_slice(&[
        0xc0, 0, 0x13, 0x89, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0x01, 0xf6, 0x14, 0x41, 0, 0,
    ]);
    payload.extend_from_slice(b"first...second..");
    payload
}

fn control(message: Control) -> Vec<u8> {
    message.encode(&mut [0; CONTROL_MAX_BYTES]).to_vec()
}

/// Name, flags and payload of each worked frame.
fn worked() -> [(&'static str, u32, Vec<u8>); 7] {
    let delivered = Delivered {
        frames: 1000,
        bytes: 1_400_000,
    };
    let ping = Ping {
        sequence: 3,
        sent_ns: 5_000_000_000,
        delivered,
    };
    let pong = Pong {
        sequence: 3,
        ping_sent_ns: 5_000_000_000,
        delivered,
        sent_ns: 77,
    };
    let close = Control::Close {
        reason: CloseReason::SHUTDOWN,
        text: "shutting down",
    };
    [
        ("plain", 0, echo_request()),
        ("hello", 0, hello().encode().to_vec()),
        ("ping", FLAG_CONTROL, control(Control::Ping(ping))),
        ("pong", FLAG_CONTROL, control(Control::Pong(pong))),
        ("close", FLAG_CONTROL, control(close)),
        (
            "word",
            FLAG_CONTROL,
            control(Control::Word {
                text: r#"{"bench":"no","id":"a1b2","why":"off"}"#,
            }),
        ),
        ("vnet", FLAG_VNET, super_packet()),
    ]
}

#[test]
fn every_worked_frame_is_what_the_code_writes() {
    let mut blocks = blocks();
    let mut wrong = String::new();
    for (name, flags, payload) in worked() {
        let written = stream_of(&[(flags, payload)]);
        let specified = blocks.remove(name).unwrap_or_default();
        let as_hex = |bytes: &[u8]| {
            let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x} ")).collect();
            bytes
                .chunks(16)
                .map(line)
                .collect::<Vec<String>>()
                .join("\n")
        };
        if specified != written {
            wrong += &format!("```hex {name}\n{}\n```\n", as_hex(&written));
        }
    }
    assert!(wrong.is_empty(), "the code writes:\n{wrong}");
    assert!(blocks.is_empty(), "nothing writes {:?}", blocks.keys());
}

#[test]
fn every_worked_frame_is_read_back() {
    let decoder = Decoder::new(MAX_PAYLOAD_BYTES as u32, FLAG_CONTROL | FLAG_VNET);
    assert_eq!(blocks().len(), worked().len());
    for (name, bytes) in blocks() {
        let frame = decoder.decode(&bytes).unwrap().unwrap();
        assert_eq!(frame.total_bytes(), bytes.len(), "{name}");
        match name.as_str() {
            "plain" => assert_eq!(Hello::parse(frame.payload), Ok(None)),
            "hello" => assert_eq!(Hello::parse(frame.payload), Ok(Some(hello()))),
            "vnet" => {
                let (header, packet) = VnetHeader::parse(frame.payload).unwrap();
                assert_eq!(vnet::check(&header, packet, Features(0x7f)), Ok(header));
            }
            _ => assert!(Control::parse(frame.payload).is_ok(), "{name}"),
        }
    }
}

#[test]
fn every_feature_and_number_of_the_specification_is_the_code_s() {
    for (feature, name) in Features::NAMED {
        let row = format!("| {} | {name} |", feature.0.trailing_zeros());
        assert!(SPECIFICATION.contains(&row), "{row}");
    }
    let reasons = [
        (CloseReason::OTHER, "OTHER"),
        (CloseReason::SHUTDOWN, "SHUTDOWN"),
        (CloseReason::REPLACED, "REPLACED"),
        (CloseReason::REFUSED, "REFUSED"),
        (CloseReason::FAILED, "FAILED"),
        (CloseReason::BUSY, "BUSY"),
    ];
    for (reason, name) in reasons {
        let row = format!("| {} | {name} |", reason.0);
        assert!(SPECIFICATION.contains(&row), "{row}");
    }
    for reason in vnet::Reject::ALL {
        let row = format!("| `{reason:?}` |");
        assert!(SPECIFICATION.contains(&row), "{row}");
    }
}
