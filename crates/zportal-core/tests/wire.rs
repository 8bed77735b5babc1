//! The laws of the framing, over every cut, every chunking and every flipped bit.

mod wire_support;

use proptest::prelude::*;
use wire_support::{property, recorded, stream_of};
use zportal_core::crc::crc32c;
use zportal_core::error::Error;
use zportal_core::wire::decoder::Decoder;
use zportal_core::wire::header::{
    FLAG_CONTROL, FLAG_VNET, HEADER_BYTES, MAGIC, MAX_PAYLOAD_BYTES, encode,
};

const LIMIT_BYTES: u32 = 1400;

/// What a receiver made of a stream: the frames, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    frames: Vec<(u32, Vec<u8>)>,
    end: String,
}

/// A receiver as the session is one: it appends what arrives, takes every whole frame out, and
/// ends with the first refusal or with the stream.
fn receive<'a>(decoder: &Decoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Verdict {
    let mut buffer: Vec<u8> = Vec::new();
    let mut frames = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&buffer) {
                Ok(Some(frame)) => {
                    frames.push((frame.flags, frame.payload.to_vec()));
                    let total_bytes = frame.total_bytes();
                    buffer.drain(..total_bytes);
                }
                Ok(None) => break,
                Err(error) => {
                    return Verdict {
                        frames,
                        end: format!("{error:?}"),
                    };
                }
            }
        }
    }
    Verdict {
        frames,
        end: format!("{:?}", decoder.cut(&buffer)),
    }
}

/// The end of a stream between two frames.
fn clean() -> String {
    format!("{:?}", Error::PeerClosed { said: None })
}

fn plain() -> Decoder {
    Decoder::new(LIMIT_BYTES, 0)
}

fn extended() -> Decoder {
    Decoder::new(MAX_PAYLOAD_BYTES as u32, FLAG_CONTROL | FLAG_VNET)
}

fn frame(flags: u32, payload: &[u8]) -> Vec<u8> {
    stream_of(&[(flags, payload.to_vec())])
}

/// A header with each field as given, right or wrong.
fn header(magic: u32, flags: u32, size: u32, crc: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    for (field, word) in bytes.chunks_exact_mut(4).zip([magic, flags, size, crc]) {
        field.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

#[test]
fn the_recorded_session_of_two_originals_is_read_to_its_last_byte_and_written_equal() {
    for (name, count) in [
        ("original-client-to-server.bin", 194),
        ("original-server-to-client.bin", 127),
    ] {
        let recording = recorded(name);
        let verdict = receive(&plain(), [&recording[..]]);
        assert_eq!(verdict.frames.len(), count, "{name}");
        assert_eq!(verdict.end, clean(), "{name} ends on a frame's boundary");
        assert!(
            verdict.frames.iter().all(|(flags, _)| *flags == 0),
            "{name}"
        );
        assert!(
            stream_of(&verdict.frames) == recording,
            "{name} encoded again differs"
        );
    }
}

#[test]
fn every_cut_of_a_stream_gives_the_whole_frames_before_it_and_names_the_rest() {
    let frames: Vec<_> = [1, 2, 15, 16, 17, 64, 1399, 1400]
        .into_iter()
        .map(|size| {
            (
                0,
                (0..size).map(|i| (i * 7 + size) as u8).collect::<Vec<u8>>(),
            )
        })
        .collect();
    let stream = stream_of(&frames);
    let mut boundaries = vec![0];
    for (_, payload) in &frames {
        boundaries.push(boundaries[boundaries.len() - 1] + HEADER_BYTES + payload.len());
    }
    for cut in 0..=stream.len() {
        let whole = boundaries
            .iter()
            .filter(|boundary| **boundary <= cut)
            .count()
            - 1;
        let got = cut - boundaries[whole];
        let end = if got == 0 {
            Error::PeerClosed { said: None }
        } else if got < HEADER_BYTES {
            Error::FrameCut {
                got,
                wanted: HEADER_BYTES,
            }
        } else {
            Error::FrameCut {
                got,
                wanted: boundaries[whole + 1] - boundaries[whole],
            }
        };
        let expected = Verdict {
            frames: frames[..whole].to_vec(),
            end: format!("{end:?}"),
        };
        assert_eq!(
            receive(&plain(), [&stream[..cut]]),
            expected,
            "cut after {cut} bytes"
        );
        // The same in the two pieces that the cut makes: nothing is lost between them.
        let both = receive(&plain(), [&stream[..cut], &stream[cut..]]);
        assert_eq!(both.frames, frames, "in two pieces, cut after {cut} bytes");
    }
}

#[test]
fn a_stream_that_comes_byte_by_byte_is_the_same_stream() {
    for name in [
        "original-client-to-server.bin",
        "original-server-to-client.bin",
    ] {
        let recording = recorded(name);
        let at_once = receive(&plain(), [&recording[..]]);
        assert!(receive(&plain(), recording.chunks(1)) == at_once, "{name}");
    }
}

#[test]
fn the_verdict_on_any_stream_does_not_depend_on_its_pieces() {
    // A good stream, with one byte changed in half of the cases, cut into random pieces.
    let payload = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 1..100),
        1 => prop::collection::vec(any::<u8>(), 1..3000),
    ];
    let frames = prop::collection::vec((0u32..3, payload), 1..12);
    let damage = prop::option::of((any::<prop::sample::Index>(), 1u8..));
    let pieces = prop::collection::vec(1usize..200, 1..200);
    property(
        "chunkings",
        512,
        &(frames, damage, pieces),
        |(frames, damage, pieces)| {
            let mut stream = stream_of(&frames);
            if let Some((at, mask)) = damage {
                let at = at.index(stream.len());
                stream[at] ^= mask;
            }
            let at_once = receive(&extended(), [&stream[..]]);
            let mut rest = &stream[..];
            let mut chunks = Vec::new();
            let mut sizes = pieces.iter().cycle();
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                chunks.push(chunk);
                rest = after;
            }
            prop_assert_eq!(&receive(&extended(), chunks), &at_once);
            if damage.is_none() {
                prop_assert_eq!(at_once.frames, frames);
                prop_assert_eq!(at_once.end, clean());
            }
            Ok(())
        },
    );
}

#[test]
fn no_single_flipped_bit_of_a_frame_changes_a_payload_unseen() {
    let payloads = [
        vec![0],
        vec![0; 64],
        vec![0xff; 64],
        (0..=255).collect(),
        vec![0x5a; 1400],
    ];
    for payload in payloads {
        // Enough good bytes follow for every size that a flipped size can announce.
        let mut good = frame(0, &payload);
        let frame_bits = good.len() * 8;
        for _ in 0..3 {
            let next = good.clone();
            good.extend_from_slice(&next);
        }
        for bit in 0..frame_bits {
            let mut bad = good.clone();
            bad[bit / 8] ^= 0x80 >> (bit % 8);
            let verdict = receive(&plain(), [&bad[..]]);
            let field = ["magic", "flags", "size", "crc"].get(bit / 32).copied();
            let codes: &[&str] = match field {
                Some("magic") => &["FrameMagic"],
                Some("flags") => &["FrameFlags"],
                Some("size") => &["FrameSize", "FrameCrc", "FrameCut"],
                _ => &["FrameCrc"],
            };
            assert_eq!(
                verdict.frames,
                [],
                "bit {bit} of a frame of {} bytes",
                payload.len()
            );
            assert!(
                codes.iter().any(|code| verdict.end.starts_with(code)),
                "bit {bit} ({field:?}): {}",
                verdict.end
            );
            // Where both flags are allowed, a flipped flag can pass: the header has no checksum of
            // its own. The payload is still the sender's.
            match extended().decode(&bad) {
                Ok(Some(frame)) => {
                    assert_eq!(field, Some("flags"), "bit {bit}");
                    assert_eq!(frame.payload, payload, "bit {bit}");
                    assert!(frame.flags == FLAG_CONTROL || frame.flags == FLAG_VNET);
                }
                Ok(None) => assert_eq!(field, Some("size"), "bit {bit}"),
                Err(_) => {}
            }
        }
    }
}

#[test]
fn bursts_and_scattered_errors_of_a_few_bits_are_refused() {
    // CRC32C finds every burst of at most 32 bits, and every 1 to 3 flipped bits of a payload as
    // long as ours (its Hamming distance is 4 or more up to 2^31 bits).
    let payload = prop::collection::vec(any::<u8>(), 5..2000);
    let scattered = prop::collection::btree_set(any::<u32>(), 1..4);
    let strategy = (payload, scattered, any::<u32>(), 1u32..);
    property(
        "bit errors",
        512,
        &strategy,
        |(payload, scattered, start, pattern)| {
            let good = frame(0, &payload);
            let bits = payload.len() as u32 * 8 + 32;
            let flip = |bytes: &mut Vec<u8>, bit: u32| {
                bytes[HEADER_BYTES - 4 + bit as usize / 8] ^= 0x80 >> (bit % 8)
            };
            let mut few = good.clone();
            let places: std::collections::BTreeSet<u32> =
                scattered.iter().map(|at| at % bits).collect();
            places.iter().for_each(|bit| flip(&mut few, *bit));
            let mut burst = good.clone();
            let start = start % (bits - 32);
            (0..32)
                .filter(|i| pattern >> i & 1 == 1)
                .for_each(|i| flip(&mut burst, start + i));
            for bad in [few, burst] {
                let refusal = Decoder::new(2000, 0).decode(&bad).unwrap_err();
                prop_assert_eq!(refusal.code(), "ZP_FRAME_CRC");
            }
            Ok(())
        },
    );
}

#[test]
fn noise_never_becomes_a_packet() {
    let noise = prop::collection::vec(any::<u8>(), 0..4096);
    property("noise", 256, &noise, |noise| {
        let mut magical = MAGIC.to_be_bytes().to_vec();
        magical.extend_from_slice(&noise);
        for stream in [noise, magical] {
            prop_assert_eq!(receive(&plain(), [&stream[..]]).frames, []);
            prop_assert_eq!(receive(&extended(), [&stream[..]]).frames, []);
        }
        Ok(())
    });
}

#[test]
fn a_wrong_magic_is_refused_once_its_four_bytes_are_there() {
    for (wrong, got) in [
        (*b"GET ", 0x4745_5420),
        (*b"ZPRU", 0x5a50_5255),
        (*b"\x00PRT", 0x0050_5254),
    ] {
        for bytes in 0..4 {
            assert!(
                matches!(plain().decode(&wrong[..bytes]), Ok(None)),
                "{bytes} bytes"
            );
        }
        let refusal = plain().decode(&wrong).unwrap_err();
        assert!(
            matches!(refusal, Error::FrameMagic { got: g } if g == got),
            "{refusal:?}"
        );
    }
    for bytes in 0..HEADER_BYTES {
        assert!(
            matches!(plain().decode(&frame(0, b"x")[..bytes]), Ok(None)),
            "{bytes} bytes"
        );
    }
}

#[test]
fn flags_are_refused_unless_allowed_and_both_of_them_always() {
    let known = FLAG_CONTROL | FLAG_VNET;
    for allowed in 0..=known {
        let decoder = Decoder::new(LIMIT_BYTES, allowed);
        for flags in (0..=known).chain((2..32).map(|bit| 1 << bit)) {
            let bytes = frame(flags, b"payload");
            let accepted = flags & !allowed == 0 && flags != known;
            match decoder.decode(&bytes[..HEADER_BYTES]) {
                Ok(None) => assert!(accepted, "flags {flags:#x} where {allowed:#x} are allowed"),
                Err(Error::FrameFlags { got }) => assert!(!accepted && got == flags),
                other => panic!("flags {flags:#x}: {other:?}"),
            }
            assert_eq!(decoder.decode(&bytes).is_ok(), accepted);
        }
    }
}

#[test]
fn sizes_are_refused_from_the_header_alone_and_exactly_outside_the_limit() {
    for limit in [1, 68, LIMIT_BYTES, 65_535, MAX_PAYLOAD_BYTES as u32] {
        for (got, accepted) in [
            (0, false),
            (1, true),
            (limit, true),
            (limit + 1, false),
            (u32::MAX, false),
        ] {
            let bytes = header(MAGIC, 0, got, 0);
            match Decoder::new(limit, 0).decode(&bytes) {
                Ok(None) => assert!(accepted, "{got} of {limit}"),
                Err(Error::FrameSize { got: g, limit: l }) => {
                    assert!(!accepted && g == got && l == limit, "{got} of {limit}");
                }
                other => panic!("{got} of {limit}: {other:?}"),
            }
        }
    }
}

#[test]
fn no_limit_goes_beyond_the_largest_payload_there_is() {
    let mut decoder = Decoder::new(u32::MAX, 0);
    let max = MAX_PAYLOAD_BYTES as u32;
    assert!(matches!(
        decoder.decode(&header(MAGIC, 0, max, 0)),
        Ok(None)
    ));
    let refusal = decoder.decode(&header(MAGIC, 0, max + 1, 0)).unwrap_err();
    assert!(matches!(refusal, Error::FrameSize { limit, .. } if limit == max));
    decoder.accept(100, 0);
    assert!(decoder.decode(&header(MAGIC, 0, 101, 0)).is_err());
    let whole = vec![7; MAX_PAYLOAD_BYTES];
    let bytes = frame(FLAG_VNET, &whole);
    decoder.accept(u32::MAX, FLAG_VNET);
    assert_eq!(decoder.decode(&bytes).unwrap().unwrap().payload, whole);
}

#[test]
fn what_is_accepted_changes_with_the_next_frame() {
    let mut decoder = plain();
    let control = frame(FLAG_CONTROL, b"message");
    assert_eq!(
        decoder.decode(&control).unwrap_err().code(),
        "ZP_FRAME_FLAGS"
    );
    decoder.accept(LIMIT_BYTES, FLAG_CONTROL);
    assert_eq!(
        decoder.decode(&control).unwrap().unwrap().flags,
        FLAG_CONTROL
    );
    decoder.accept(LIMIT_BYTES, 0);
    assert_eq!(
        decoder.decode(&control).unwrap_err().code(),
        "ZP_FRAME_FLAGS"
    );
}

#[test]
fn a_wrong_checksum_is_refused_with_both_values() {
    let computed = crc32c(b"payload");
    let mut bytes = header(MAGIC, 0, 7, !computed).to_vec();
    bytes.extend_from_slice(b"payload");
    assert!(matches!(
        plain().decode(&bytes[..bytes.len() - 1]),
        Ok(None)
    ));
    let refusal = plain().decode(&bytes).unwrap_err();
    assert!(
        matches!(refusal, Error::FrameCrc { got, computed: c } if got == !computed && c == computed)
    );
}

#[test]
fn refusals_come_in_the_order_of_the_fields() {
    let all_wrong = [
        (MAGIC + 1, 4, 0, 1),
        (MAGIC, 4, 0, 1),
        (MAGIC, 0, 0, 1),
        (MAGIC, 0, 1, 1),
    ];
    let codes = [
        "ZP_FRAME_MAGIC",
        "ZP_FRAME_FLAGS",
        "ZP_FRAME_SIZE",
        "ZP_FRAME_CRC",
    ];
    for ((magic, flags, size, crc), code) in all_wrong.into_iter().zip(codes) {
        let mut bytes = header(magic, flags, size, crc).to_vec();
        bytes.push(b'x');
        assert_eq!(plain().decode(&bytes).unwrap_err().code(), code);
    }
}

#[test]
fn a_cut_names_what_is_missing_as_far_as_the_header_tells() {
    let decoder = plain();
    let bytes = frame(0, &[1; 100]);
    for (got, wanted) in [(1, 16), (15, 16), (16, 116), (115, 116)] {
        let cut = decoder.cut(&bytes[..got]);
        assert!(
            matches!(cut, Error::FrameCut { got: g, wanted: w } if g == got && w == wanted),
            "{cut:?}"
        );
    }
    assert!(matches!(decoder.cut(&[]), Error::PeerClosed { said: None }));
    // No more is ever waited for than is accepted.
    let cut = decoder.cut(&header(MAGIC, 0, u32::MAX, 0));
    assert!(
        matches!(
            cut,
            Error::FrameCut {
                got: 16,
                wanted: 1416
            }
        ),
        "{cut:?}"
    );
}

#[test]
fn a_frame_is_a_slice_of_what_arrived() {
    let bytes = frame(0, b"no copy");
    let frame = plain().decode(&bytes).unwrap().unwrap();
    assert_eq!(frame.payload.as_ptr(), bytes[HEADER_BYTES..].as_ptr());
    assert_eq!(frame.total_bytes(), bytes.len());
    assert_eq!(encode(0, frame.payload), bytes[..HEADER_BYTES]);
}
