//! The SOCKS5 machine alone: its bytes, every answer a server can give, and every way to cut it.

mod proxy_support;

use std::str::FromStr;

use proptest::prelude::*;
use proxy_support::{Outcome, drive};
use zportal_core::address::{Address, Host};
use zportal_core::error::Error;
use zportal_core::proxy::socks5::Socks5;
use zportal_core::proxy::{Credentials, Failure, Handshake, Kind, Step};

const GREETING: [u8; 3] = [5, 1, 0];

fn whole(answer: &[u8]) -> Outcome {
    run(answer, |left| left)
}

fn run(answer: &[u8], next_cut: impl FnMut(usize) -> usize) -> Outcome {
    let target = Address::from_str("192.0.2.1:7000").unwrap();
    let machine = Handshake::new(Kind::Socks5, &target, None).unwrap();
    drive(machine, answer, next_cut).outcome
}

/// Method "none" chosen, then a reply that succeeds with this bound address.
fn success(kind_and_address: &[u8]) -> Vec<u8> {
    [&[5, 0, 5, 0, 0], kind_and_address, &[0x1b, 0x58]].concat()
}

fn named(length: u8) -> Vec<u8> {
    let name: Vec<u8> = (0..length).collect();
    success(&[&[3, length], name.as_slice()].concat())
}

fn good_answers() -> Vec<Vec<u8>> {
    let v4 = success(&[1, 0, 0, 0, 0]);
    let v6 = success(&[&[4], [0xfd; 16].as_slice()].concat());
    let mut all = vec![v4, v6];
    all.extend((0..=255).map(named));
    all
}

#[test]
fn says_exactly_what_rfc_1928_says() {
    let request = |target: &Address| {
        let mut machine = Socks5::new(target, None).unwrap();
        let greeting = Step::Send {
            bytes: GREETING.to_vec(),
            consumed: 0,
        };
        assert_eq!(machine.advance(&[]), greeting);
        assert!(machine.awaiting().contains("method"));
        assert_eq!(machine.advance(&[]), Step::NeedMore);
        let Step::Send { bytes, consumed: 2 } = machine.advance(&[5, 0]) else {
            panic!()
        };
        assert!(machine.awaiting().contains("reply"));
        bytes
    };
    let ask = |text: &str| request(&Address::from_str(text).unwrap());
    assert_eq!(
        ask("192.0.2.1:7000"),
        [5, 1, 0, 1, 192, 0, 2, 1, 0x1b, 0x58]
    );
    let mut v6 = vec![5, 1, 0, 4, 0x20, 0x01, 0x0d, 0xb8];
    v6.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80]);
    assert_eq!(ask("[2001:db8::1]:80"), v6);
    assert_eq!(ask("x.onion:443"), b"\x05\x01\x00\x03\x07x.onion\x01\xbb");
    let longest = Address::Tcp {
        host: Host::Name("n".repeat(255)),
        port: 1,
    };
    assert_eq!(request(&longest).len(), 4 + 1 + 255 + 2);
    assert_eq!(request(&longest)[4], 255);
}

#[test]
fn refuses_targets_that_it_has_no_words_for() {
    let name = |length: usize| Address::Tcp {
        host: Host::Name("n".repeat(length)),
        port: 1,
    };
    for (target, reason) in [
        (Address::UnixPath("/run/s".into()), "Unix"),
        (Address::UnixAbstract("s".into()), "Unix"),
        (
            Address::from_str("[fe80::1%eth0]:7000").unwrap(),
            "this machine only",
        ),
        (name(0), "0 bytes"),
        (name(256), "256 bytes"),
    ] {
        let Err(Error::Option(message)) = Socks5::new(&target, None) else {
            panic!("{target}")
        };
        assert!(message.contains(reason), "{message}");
        assert!(message.contains(&target.to_string()), "{message}");
    }
}

#[test]
fn every_reply_code_has_its_sentence() {
    let mut sentences = Vec::new();
    for code in 1..=255 {
        let Outcome::Failed(Failure::Refused(detail)) = whole(&[5, 0, 5, code]) else {
            panic!("reply {code:#04x} is not a refusal")
        };
        assert!(detail.contains(&format!("(reply {code:#04x})")), "{detail}");
        // The same with the rest of the reply, whatever it is.
        let full = [5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            whole(&full),
            Outcome::Failed(Failure::Refused(detail.clone()))
        );
        sentences.push(detail.split(" (reply").next().unwrap().to_owned());
    }
    let unknown = sentences[8].clone();
    let known = |code: usize| (0x01..=0x08).contains(&code) || (0xf0..=0xf7).contains(&code);
    for code in (1..=255).filter(|code| !known(*code)) {
        assert_eq!(sentences[code - 1], unknown, "{code:#04x}");
    }
    sentences.sort();
    sentences.dedup();
    assert_eq!(
        sentences.len(),
        8 + 8 + 1,
        "each of RFC 1928's, each of Tor's and the unknown ones read differently"
    );
}

#[test]
fn every_method_but_the_offered_one_is_refused() {
    for method in 1..=255 {
        match (method, whole(&[5, method])) {
            (1 | 2 | 255, Outcome::Failed(Failure::Auth(detail)))
            | (_, Outcome::Failed(Failure::Protocol(detail))) => {
                assert!(detail.contains(&format!("{method:#04x}")), "{detail}");
            }
            (_, other) => panic!("method {method:#04x}: {other:?}"),
        }
    }
    assert_eq!(whole(&[5, 0]), Outcome::Waiting);
}

fn credentials(name: &str, password: &str) -> Credentials {
    Credentials {
        name: name.into(),
        password: password.into(),
    }
}

fn with_password(answer: &[u8], next_cut: impl FnMut(usize) -> usize) -> (Outcome, Vec<Vec<u8>>) {
    let target = Address::from_str("192.0.2.1:7000").unwrap();
    let credentials = credentials("alice", "sesame");
    let machine = Handshake::new(Kind::Socks5, &target, Some(&credentials)).unwrap();
    let driven = drive(machine, answer, next_cut);
    (driven.outcome, driven.sent)
}

const LOGIN: &[u8] = b"\x01\x05alice\x06sesame";
const CONNECT: &[u8] = &[5, 1, 0, 1, 192, 0, 2, 1, 0x1b, 0x58];

#[test]
fn says_exactly_what_rfc_1929_says_where_the_proxy_chooses_it() {
    let reply = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for version in [1, 5] {
        let answer = [&[5, 2, version, 0], &reply[..], b"ZP"].concat();
        for size in 1..answer.len() {
            let (outcome, sent) = with_password(&answer, |_| size);
            assert_eq!(outcome, Outcome::Joined(b"ZP".into()));
            assert_eq!(sent, [&[5, 2, 0, 2][..], LOGIN, CONNECT]);
        }
    }
    let answer = [&[5, 0], &reply[..]].concat();
    let (outcome, sent) = with_password(&answer, |left| left);
    assert_eq!(outcome, Outcome::Joined(vec![]));
    assert_eq!(sent, [&[5, 2, 0, 2][..], CONNECT], "no password unasked");
}

#[test]
fn a_password_that_is_refused_is_a_matter_of_authentication() {
    for status in 1..=255 {
        let (outcome, sent) = with_password(&[5, 2, 1, status], |left| left);
        let Outcome::Failed(Failure::Auth(detail)) = outcome else {
            panic!("status {status:#04x}: {outcome:?}")
        };
        assert!(detail.contains(&format!("{status:#04x}")), "{detail}");
        assert_eq!(sent.len(), 2);
    }
    for version in (0..=255).filter(|version| ![1, 5].contains(version)) {
        let (outcome, _) = with_password(&[5, 2, version], |left| left);
        let is_protocol = matches!(outcome, Outcome::Failed(Failure::Protocol(_)));
        assert!(is_protocol, "version {version:#04x}: {outcome:?}");
    }
    let (outcome, _) = with_password(&[5, 0xff], |left| left);
    assert!(matches!(outcome, Outcome::Failed(Failure::Auth(_))));
}

#[test]
fn what_rfc_1929_cannot_carry_is_refused_without_showing_it() {
    let target = Address::from_str("192.0.2.1:7000").unwrap();
    let long = "x".repeat(256);
    for (name, password) in [("", "secret"), (&long, "secret"), ("secret", &long)] {
        let refused = Socks5::new(&target, Some(&credentials(name, password)));
        let Err(Error::Option(message)) = refused else {
            panic!("accepted")
        };
        assert!(!message.contains("secret") && !message.contains("xx"));
    }
    let longest = "x".repeat(255);
    Socks5::new(&target, Some(&credentials(&longest, &longest))).unwrap();
    Socks5::new(&target, Some(&credentials("token", ""))).unwrap();
}

#[test]
fn debug_output_of_a_machine_shows_no_password() {
    let target = Address::from_str("192.0.2.1:7000").unwrap();
    for kind in [Kind::Socks5, Kind::Http, Kind::Tor] {
        let secret = credentials("alice", "sesame");
        let mut machine = Handshake::new(kind, &target, Some(&secret)).unwrap();
        for input in [&[][..], &[5, 2], &[1, 1]] {
            let shown = format!("{machine:?}");
            // As text, as a list of bytes, and as Basic writes it.
            for part in ["alice", "sesame", "97, 108", "YWxpY2U"] {
                assert!(!shown.contains(part), "{shown}");
            }
            machine.advance(input);
        }
    }
}

#[test]
fn tor_is_offered_nothing_but_the_credentials_that_isolate() {
    let target = Address::from_str("x.onion:80").unwrap();
    let credentials = Credentials::isolation([1; 16]);
    let machine = || Handshake::new(Kind::Tor, &target, Some(&credentials)).unwrap();
    let refused = drive(machine(), &[5, 2, 1, 0, 5, 4], |left| left);
    assert_eq!(refused.sent[0], [5, 1, 2]);
    let Outcome::Failed(Failure::Refused(detail)) = refused.outcome else {
        panic!()
    };
    assert!(detail.contains("ExtendedErrors"), "{detail}");
    let refused = drive(machine(), &[5, 2, 1, 0, 5, 0xf0], |left| left);
    let Outcome::Failed(Failure::Refused(detail)) = refused.outcome else {
        panic!()
    };
    assert!(detail.contains("descriptor") && !detail.contains("ExtendedErrors"));
    let refused = drive(machine(), &[5, 0], |left| left);
    assert!(matches!(
        refused.outcome,
        Outcome::Failed(Failure::Protocol(_))
    ));
}

#[test]
fn every_wrong_version_is_refused_at_its_first_byte() {
    for version in (0..=255).filter(|version| *version != 5) {
        for answer in [vec![version], vec![5, 0, version]] {
            let Outcome::Failed(Failure::Protocol(detail)) = whole(&answer) else {
                panic!("version {version:#04x} was accepted")
            };
            assert!(detail.contains(&format!("{version:#04x}")), "{detail}");
        }
    }
    let Outcome::Failed(Failure::Protocol(detail)) = whole(b"HTTP/1.1 400 Bad Request") else {
        panic!()
    };
    assert!(detail.contains("HTTP"), "{detail}");
}

#[test]
fn every_unknown_address_type_is_refused() {
    for kind in (0..=255).filter(|kind| ![1, 3, 4].contains(kind)) {
        let Outcome::Failed(Failure::Protocol(detail)) = whole(&[5, 0, 5, 0, 0, kind]) else {
            panic!("address type {kind:#04x} was accepted")
        };
        assert!(detail.contains(&format!("{kind:#04x}")), "{detail}");
    }
}

#[test]
fn the_reserved_byte_may_be_anything() {
    for reserved in 0..=255 {
        let answer = [5, 0, 5, 0, reserved, 1, 9, 9, 9, 9, 9, 9];
        assert_eq!(whole(&answer), Outcome::Joined(vec![]));
    }
}

#[test]
fn good_answers_end_exactly_where_they_end() {
    // The surplus looks like an answer, so that one byte too many or too few would show.
    let surplus = [5, 0, 5, 0, 0, 1];
    for answer in good_answers() {
        for end in 0..answer.len() {
            assert_eq!(
                whole(&answer[..end]),
                Outcome::Waiting,
                "done {end} bytes in"
            );
        }
        assert_eq!(whole(&answer), Outcome::Joined(vec![]));
        let more = [answer.as_slice(), &surplus].concat();
        assert_eq!(whole(&more), Outcome::Joined(surplus.to_vec()));
        assert_eq!(run(&more, |_| 1), Outcome::Joined(surplus.to_vec()));
        for cut in 1..more.len() {
            let mut first = Some(cut);
            let outcome = run(&more, |left| first.take().unwrap_or(left));
            assert_eq!(outcome, Outcome::Joined(surplus.to_vec()), "cut at {cut}");
        }
    }
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        which in 0..258_usize,
        surplus in prop::collection::vec(any::<u8>(), 0..64),
        cuts in prop::collection::vec(1..40_usize, 1..64),
    ) {
        let answer = [good_answers()[which].clone(), surplus.clone()].concat();
        let mut cuts = cuts.into_iter().cycle();
        prop_assert_eq!(run(&answer, |_| cuts.next().unwrap()), Outcome::Joined(surplus));
    }

    #[test]
    fn noise_after_a_login_has_one_outcome_however_it_is_cut(
        start in 0..5_usize,
        noise in prop::collection::vec(any::<u8>(), 0..600),
        cuts in prop::collection::vec(1..40_usize, 1..64),
    ) {
        let start: &[u8] = [&[][..], &[5, 2], &[5, 2, 1], &[5, 2, 1, 0], &[5, 2, 1, 0, 5, 0]][start];
        let answer = [start, &noise].concat();
        let mut cuts = cuts.into_iter().cycle();
        let cut = with_password(&answer, |_| cuts.next().unwrap());
        prop_assert_eq!(cut, with_password(&answer, |left| left));
    }

    #[test]
    fn noise_has_one_outcome_however_it_is_cut(
        start in 0..5_usize,
        noise in prop::collection::vec(any::<u8>(), 0..600),
        cuts in prop::collection::vec(1..40_usize, 1..64),
    ) {
        let start: &[u8] = [&[][..], &[5], &[5, 0], &[5, 0, 5, 0], &[5, 0, 5, 0, 0, 3]][start];
        let answer = [start, &noise].concat();
        let mut cuts = cuts.into_iter().cycle();
        prop_assert_eq!(run(&answer, |_| cuts.next().unwrap()), whole(&answer));
    }
}
