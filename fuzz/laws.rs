//! What must hold for any bytes that somebody else chooses, one law a parser. The fuzzer looks for
//! bytes that break one; `cargo test` replays those in `corpus/`.
//!
//! The first byte of an input chooses the circumstances (limits, features, where the rest is cut).

use zportal_core::address::{Address, Host};
use zportal_core::proxy::http::HEAD_LIMIT_BYTES;
use zportal_core::proxy::{Credentials, Failure, Handshake, Kind, Step};
use zportal_core::queue::flow::FlowHash;
use zportal_core::wire::control::{CONTROL_MAX_BYTES, Control};
use zportal_core::wire::decoder::Decoder;
use zportal_core::wire::features::Features;
use zportal_core::wire::header::{FLAG_CONTROL, FLAG_VNET, MAX_PAYLOAD_BYTES, encode};
use zportal_core::wire::hello::Hello;
use zportal_core::wire::vnet::{VnetHeader, check};

/// Panics where the bytes break the law.
pub type Law = fn(&[u8]);

/// Every law by its name, which is also its folder in `corpus/`.
pub const LAWS: [(&str, Law); 7] = [
    ("decoder", decoder),
    ("control", control),
    ("hello", hello),
    ("vnet", vnet),
    ("socks5", socks5),
    ("http", http),
    ("flow", flow),
];

/// A verdict on the front of a stream is final: more bytes never change it, and a frame is there
/// exactly when its last byte is. What was decoded encodes to the same bytes.
fn decoder(data: &[u8]) {
    let Some((choice, stream)) = data.split_first() else {
        return;
    };
    let flags = u32::from(choice & 3) & (FLAG_CONTROL | FLAG_VNET);
    let limit = if choice & 4 == 0 {
        MAX_PAYLOAD_BYTES as u32
    } else {
        64
    };
    let decoder = Decoder::new(limit, flags);
    let mut rest = stream;
    while let Ok(Some(frame)) = decoder.decode(rest) {
        let total = frame.total_bytes();
        assert_eq!(&rest[..16], encode(frame.flags, frame.payload));
        assert!(frame.payload.len() <= limit as usize && frame.flags & !flags == 0);
        assert!(matches!(decoder.decode(&rest[..total]), Ok(Some(same)) if same == frame));
        assert!(matches!(decoder.decode(&rest[..total - 1]), Ok(None)));
        rest = &rest[total..];
    }
    let verdict = decoder
        .decode(rest)
        .map(|frame| frame.is_some())
        .map_err(|e| e.to_string());
    match &verdict {
        Ok(_) => assert!(decoder.wanted_bytes(rest) > rest.len()),
        Err(said) => {
            let longer = [rest, &[0; 32]].concat();
            assert_eq!(decoder.decode(&longer).unwrap_err().to_string(), *said);
        }
    }
    // Nobody guesses a CRC: so the same bytes as the payload of a frame that has the right one.
    if !stream.is_empty() && stream.len() <= limit as usize {
        let sent = [&encode(0, stream)[..], stream, rest].concat();
        let frame = decoder.decode(&sent).unwrap().expect("it is whole");
        assert_eq!((frame.flags, frame.payload), (0, stream));
        let mut damaged = sent.clone();
        damaged[16] ^= 1;
        assert!(decoder.decode(&damaged).is_err());
    }
}

/// What is read can be written, and reads as the same again; a text can be shown.
fn control(data: &[u8]) {
    let Ok(message) = Control::parse(data) else {
        return;
    };
    if let Control::Close { text, .. } | Control::Word { text } = message {
        assert!(!text.chars().any(char::is_control));
    }
    let mut buffer = [0; CONTROL_MAX_BYTES];
    assert_eq!(Control::parse(message.encode(&mut buffer)), Ok(message));
}

/// What is read can be written, and reads as the same again.
fn hello(data: &[u8]) {
    if let Ok(Some(hello)) = Hello::parse(data) {
        assert_eq!(Hello::parse(&hello.encode()), Ok(Some(hello)));
    }
}

/// What passes the check passes it unchanged again, and points into the packet only.
fn vnet(data: &[u8]) {
    let Some((choice, payload)) = data.split_first() else {
        return;
    };
    let allowed = Features(u32::from(*choice));
    let Ok((header, packet)) = VnetHeader::parse(payload) else {
        return;
    };
    if let Ok(safe) = check(&header, packet, allowed) {
        assert_eq!(check(&safe, packet, allowed), Ok(safe));
        assert!(usize::from(safe.hdr_len) <= packet.len());
        if safe.flags & 1 != 0 {
            let stored_at = usize::from(safe.csum_start) + usize::from(safe.csum_offset);
            assert!(stored_at + 2 <= packet.len());
        }
    }
}

fn socks5(data: &[u8]) {
    proxy(data, |choice| {
        if choice & 2 == 0 {
            Kind::Socks5
        } else {
            Kind::Tor
        }
    });
}

fn http(data: &[u8]) {
    proxy(data, |_| Kind::Http);
}

/// The outcome depends on the bytes and not on where they are cut; what follows the answer is left;
/// no message shows the password.
fn proxy(data: &[u8], kind: fn(u8) -> Kind) {
    let Some((&choice, answer)) = data.split_first() else {
        return;
    };
    let whole = outcome(kind(choice), choice, answer, answer.len());
    let cut = outcome(kind(choice), choice, answer, usize::from(choice >> 2) + 1);
    assert_eq!(whole, cut);
    if let Outcome::Failed(Failure::Auth(said) | Failure::Refused(said) | Failure::Protocol(said)) =
        whole
    {
        // The proxy may say the password itself; ours is what it must not have from us.
        let told = String::from_utf8_lossy(answer).contains("tUnGuEsSaBlE");
        assert!(told || !said.contains("tUnGuEsSaBlE"));
        assert!(!said.contains(char::is_control), "{said:?}");
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Joined(Vec<u8>),
    Failed(Failure),
    Waiting,
}

fn outcome(kind: Kind, choice: u8, answer: &[u8], cut_bytes: usize) -> Outcome {
    let target = Address::Tcp {
        host: Host::Name("peer.example".into()),
        port: 7000,
    };
    let credentials = (choice & 1 != 0).then(|| Credentials {
        name: "user".into(),
        password: "tUnGuEsSaBlE".into(),
    });
    let mut machine = Handshake::new(kind, &target, credentials.as_ref()).expect("it has words");
    let (mut input, mut given, mut sent): (&[u8], usize, usize) = (&[], 0, 0);
    loop {
        match machine.advance(input) {
            Step::Send { consumed, .. } => {
                sent += 1;
                assert!(sent <= 3, "it talks without end");
                input = &input[consumed..];
            }
            Step::NeedMore if given == answer.len() => {
                assert!(kind != Kind::Http || answer.len() <= HEAD_LIMIT_BYTES);
                return Outcome::Waiting;
            }
            Step::NeedMore => {
                let end = (given + cut_bytes.max(1)).min(answer.len());
                input = &answer[given..end];
                given = end;
            }
            Step::Done { consumed } => {
                let left = [&input[consumed..], &answer[given..]].concat();
                return Outcome::Joined(left);
            }
            Step::Failed(failure) => {
                assert_eq!(machine.advance(&[5]), Step::Failed(failure.clone()));
                return Outcome::Failed(failure);
            }
        }
    }
}

/// Any bytes have a hash, always the same; a router on the way, which counts down hops, does not
/// change the flow.
fn flow(data: &[u8]) {
    let hash = FlowHash::new([1, 2]);
    let first = hash.hash(data);
    assert_eq!(first, hash.hash(data));
    let hops_at = match data.first().map(|byte| byte >> 4) {
        Some(4) if data.len() >= 20 => 8,
        Some(6) if data.len() >= 40 => 7,
        _ => return,
    };
    let mut later = data.to_vec();
    later[hops_at] = later[hops_at].wrapping_sub(1);
    assert_eq!(hash.hash(&later), first);
}
