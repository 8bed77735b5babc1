//! Control messages: what a later version adds is skipped, what a defective one leaves out is seen.

mod wire_support;

use proptest::prelude::*;
use wire_support::{property, recorded};
use zportal_core::wire::control::{
    CLOSE_TEXT_MAX_BYTES, CONTROL_MAX_BYTES, CloseReason, Control, Delivered, Ping, Pong,
    TruncatedControl, WORD_TEXT_MAX_BYTES,
};
use zportal_core::wire::decoder::Decoder;

const PING: Control = Control::Ping(Ping {
    sequence: 0x0102_0304,
    sent_ns: 0x1112_1314_1516_1718,
    delivered: Delivered {
        frames: 0x2122_2324_2526_2728,
        bytes: 0x3132_3334_3536_3738,
    },
});
const PONG: Control = Control::Pong(Pong {
    sequence: 0x0102_0304,
    ping_sent_ns: 0x1112_1314_1516_1718,
    delivered: Delivered {
        frames: 0x2122_2324_2526_2728,
        bytes: 0x3132_3334_3536_3738,
    },
    sent_ns: 0x4142_4344_4546_4748,
});
const CLOSE: Control = Control::Close {
    reason: CloseReason::SHUTDOWN,
    text: "bye",
};
const WORD: Control = Control::Word { text: "{}" };

fn encoded(control: &Control) -> Vec<u8> {
    // Filled, so that a byte left unwritten shows.
    control.encode(&mut [0xee; CONTROL_MAX_BYTES]).to_vec()
}

#[test]
fn every_field_lies_where_the_specification_says() {
    let mut ping = vec![1, 0, 0, 0, 1, 2, 3, 4];
    for tens in [0x10, 0x20, 0x30] {
        ping.extend((1..=8).map(|ones| tens + ones));
    }
    assert_eq!(encoded(&PING), ping);
    let mut pong = ping;
    pong[0] = 2;
    pong.extend((1..=8).map(|ones| 0x40 + ones));
    assert_eq!(encoded(&PONG), pong);
    assert_eq!(encoded(&CLOSE), *b"\x03\0\0\x01\0\x03bye");
    assert_eq!(encoded(&WORD), *b"\x04\0\0\x02{}");
}

#[test]
fn what_was_said_is_what_is_heard() {
    let numbers = any::<(u32, u64, u64, u64, u64)>();
    let text = "[^\\pC]{0,60}";
    property(
        "control",
        1024,
        &(numbers, any::<u16>(), text),
        |(numbers, reason, text)| {
            let (sequence, sent_ns, frames, bytes, own_ns) = numbers;
            let delivered = Delivered { frames, bytes };
            let ping = Control::Ping(Ping {
                sequence,
                sent_ns,
                delivered,
            });
            let pong = Control::Pong(Pong {
                sequence,
                ping_sent_ns: sent_ns,
                delivered,
                sent_ns: own_ns,
            });
            let close = Control::Close {
                reason: CloseReason(reason),
                text: &text,
            };
            let word = Control::Word { text: &text };
            for control in [ping, pong, close, word] {
                let message = encoded(&control);
                prop_assert_eq!(Control::parse(&message), Ok(control));
            }
            Ok(())
        },
    );
}

#[test]
fn a_known_kind_cut_anywhere_is_refused_and_one_that_grew_is_not() {
    for control in [PING, PONG, CLOSE, WORD] {
        let whole = encoded(&control);
        for cut in 1..whole.len() {
            let TruncatedControl { kind, got, wanted } = Control::parse(&whole[..cut]).unwrap_err();
            assert_eq!((kind, got), (whole[0], cut));
            assert!(cut < wanted && wanted <= whole.len());
        }
        let mut grown = whole;
        for more in 0..100 {
            assert_eq!(Control::parse(&grown), Ok(control), "{more} bytes more");
            grown.push(more);
        }
    }
    assert_eq!(
        Control::parse(&[]),
        Err(TruncatedControl {
            kind: 0,
            got: 0,
            wanted: 1
        })
    );
}

#[test]
fn every_other_kind_is_unknown_whatever_follows() {
    let rest = prop::collection::vec(any::<u8>(), 0..100);
    property(
        "unknown kinds",
        512,
        &(any::<u8>(), rest),
        |(kind, rest)| {
            let mut message = vec![kind];
            message.extend_from_slice(&rest);
            if !(1..=4).contains(&kind) {
                prop_assert_eq!(Control::parse(&message), Ok(Control::Unknown { kind }));
            }
            Ok(())
        },
    );
    assert_eq!(encoded(&Control::Unknown { kind: 200 }), [200]);
}

#[test]
fn zeros_kept_for_later_are_not_looked_at() {
    for (control, zeros) in [(PING, 1..4), (PONG, 1..4), (CLOSE, 1..2), (WORD, 1..2)] {
        let mut message = encoded(&control);
        assert!(message[zeros.clone()].iter().all(|byte| *byte == 0));
        message[zeros].fill(0xff);
        assert_eq!(Control::parse(&message), Ok(control));
    }
}

#[test]
fn a_packet_whose_frame_lost_a_flag_is_never_a_message_that_means_something() {
    // The header has no checksum: with the flag CONTROL flipped into a packet's frame it is read
    // as a message. Packets begin with 4 or 6, and no kind does.
    let recording = recorded("original-client-to-server.bin");
    let mut rest = &recording[..];
    while let Some(frame) = Decoder::new(1400, 0).decode(rest).unwrap() {
        assert!(matches!(
            Control::parse(frame.payload),
            Ok(Control::Unknown { .. })
        ));
        rest = &rest[frame.total_bytes()..];
    }
    // And the other way round no message is a packet.
    for control in [PING, PONG, CLOSE, WORD] {
        assert!(!matches!(encoded(&control)[0] >> 4, 4 | 6));
    }
}

#[test]
fn the_text_of_a_close_is_bounded_and_safe_to_print() {
    let heard = |text: &[u8]| {
        let mut message = vec![3, 0, 0, 0];
        message.extend_from_slice(&(text.len() as u16).to_be_bytes());
        message.extend_from_slice(text);
        match Control::parse(&message) {
            Ok(Control::Close { text, .. }) => text.to_owned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(heard(b""), "");
    assert_eq!(heard("für später".as_bytes()), "für später");
    assert_eq!(heard(b"good\xff\xfebad"), "good");
    assert_eq!(heard(b"one\nERROR forged=line"), "one");
    assert_eq!(heard(b"plain\x1b[2J"), "plain");
    assert_eq!(heard(&[b'x'; 300]).len(), CLOSE_TEXT_MAX_BYTES);
    // A character of two bytes does not straddle the bound.
    let odd = format!("x{}", "ü".repeat(200));
    assert_eq!(heard(odd.as_bytes()).len(), CLOSE_TEXT_MAX_BYTES - 1);

    for text in [&odd, "tab\tand more", &"y".repeat(70_000)] {
        let message = encoded(&Control::Close {
            reason: CloseReason::OTHER,
            text,
        });
        assert!(message.len() <= CONTROL_MAX_BYTES);
        match Control::parse(&message) {
            Ok(Control::Close { text: said, .. }) => assert!(text.starts_with(said)),
            other => panic!("{other:?}"),
        }
    }
    // The same rules hold for the text of a WORD, which is JSON and never long enough to lose any.
    let long = "z".repeat(70_000);
    let message = encoded(&Control::Word { text: &long });
    assert_eq!(message.len(), CONTROL_MAX_BYTES);
    let text = &long[..WORD_TEXT_MAX_BYTES];
    assert_eq!(Control::parse(&message), Ok(Control::Word { text }));
    let escape = [&[4, 0, 0, 8][..], b"safe\x1b[2J"].concat();
    assert_eq!(Control::parse(&escape), Ok(Control::Word { text: "safe" }));
    property(
        "texts",
        512,
        &prop::collection::vec(any::<u8>(), 0..400),
        |text| {
            let said = heard(&text);
            prop_assert!(said.len() <= CLOSE_TEXT_MAX_BYTES && !said.contains(char::is_control));
            prop_assert!(text.starts_with(said.as_bytes()));
            Ok(())
        },
    );
}
