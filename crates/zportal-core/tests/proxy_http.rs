//! The HTTP CONNECT machine alone: its bytes, the answers of proxies, and every way to cut them.

mod proxy_support;

use std::str::FromStr;

use proptest::prelude::*;
use proxy_support::{Driven, Outcome, drive};
use zportal_core::address::{Address, Host};
use zportal_core::error::Error;
use zportal_core::proxy::http::{HEAD_LIMIT_BYTES, Http};
use zportal_core::proxy::{Credentials, Failure, Handshake, Kind};

fn address(text: &str) -> Address {
    Address::from_str(text).unwrap()
}

fn credentials(name: &str, password: &str) -> Credentials {
    Credentials {
        name: name.into(),
        password: password.into(),
    }
}

fn asked(answer: &[u8], next_cut: impl FnMut(usize) -> usize) -> Driven {
    let target = address("peer.example:7000");
    let machine = Handshake::new(Kind::Http, &target, None).unwrap();
    drive(machine, answer, next_cut)
}

fn whole(answer: impl AsRef<[u8]>) -> Outcome {
    asked(answer.as_ref(), |left| left).outcome
}

fn request(target: &Address, credentials: Option<&Credentials>) -> String {
    let machine = Handshake::new(Kind::Http, target, credentials).unwrap();
    String::from_utf8(drive(machine, b"", |left| left).sent.remove(0)).unwrap()
}

#[test]
fn says_exactly_what_rfc_9110_and_7617_say() {
    for (target, written) in [
        ("192.0.2.1:7000", "192.0.2.1:7000"),
        ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ("peer.example:443", "peer.example:443"),
    ] {
        let wanted = format!("CONNECT {written} HTTP/1.1\r\nHost: {written}\r\n\r\n");
        assert_eq!(request(&address(target), None), wanted);
    }
    let secret = credentials("Aladdin", "open sesame");
    let wanted = "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\
                  Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
    assert_eq!(request(&address("h:1"), Some(&secret)), wanted);
}

#[test]
fn refuses_what_it_has_no_words_for() {
    let name = |name: &str| Address::Tcp {
        host: Host::Name(name.into()),
        port: 1,
    };
    for (target, reason) in [
        (Address::UnixPath("/run/s".into()), "Unix"),
        (Address::UnixAbstract("s".into()), "Unix"),
        (address("[fe80::1%eth0]:7000"), "this machine only"),
        (name(""), "name"),
        (name("a\r\nEvil: header"), "name"),
        (name("a b"), "name"),
    ] {
        let Err(Error::Option(message)) = Http::new(&target, None) else {
            panic!("{target}")
        };
        assert!(message.contains(reason), "{message}");
    }
    for (name, password, reason) in [
        ("se:cret", "secret", "colon"),
        ("a\r\nsecret", "", "control"),
        ("a", "secret\n", "control"),
        ("a", &"secret".repeat(1000), "4096"),
    ] {
        let refused = Http::new(&address("h:1"), Some(&credentials(name, password)));
        let Err(Error::Option(message)) = refused else {
            panic!("accepted")
        };
        assert!(
            message.contains(reason) && !message.contains("secret"),
            "{message}"
        );
    }
}

/// Heads of successes as servers in use send them, and as they might.
fn good_heads() -> Vec<Vec<u8>> {
    [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 200 \r\n\r\n",
        "HTTP/1.1 299 why not\n\n",
        // A success has no body whatever is said of one.
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Folded: one\r\n two\r\n\tthree\r\nEmpty:\r\n\r\n",
        "HTTP/1.1 200 \u{fc}mlaut\r\n\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

#[test]
fn good_answers_end_exactly_where_they_end() {
    let surplus = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    for head in good_heads() {
        for end in 0..head.len() {
            assert_eq!(whole(&head[..end]), Outcome::Waiting, "done {end} bytes in");
        }
        assert_eq!(whole(&head), Outcome::Joined(vec![]));
        let more = [head.as_slice(), &surplus].concat();
        for cut in 1..more.len() {
            let mut first = Some(cut);
            let driven = asked(&more, |left| first.take().unwrap_or(left));
            assert_eq!(
                driven.outcome,
                Outcome::Joined(surplus.clone()),
                "cut at {cut}"
            );
            assert_eq!(driven.sent.len(), 1);
        }
    }
}

#[test]
fn every_status_means_what_it_means() {
    for status in 0..1000 {
        let line = format!("HTTP/1.1 {status:03} Some Words");
        let outcome = whole(format!("{line}\r\n\r\n"));
        let fits = match (status, &outcome) {
            (101 | 300..401 | 402..407 | 408..600, Outcome::Failed(Failure::Refused(said))) => {
                *said == line
            }
            (100..200, Outcome::Waiting) => status != 101,
            (200..300, Outcome::Joined(rest)) => rest.is_empty(),
            (401 | 407, Outcome::Failed(Failure::Auth(said))) => said.contains(&line),
            (0..100 | 600.., Outcome::Failed(Failure::Protocol(said))) => said.contains(&line),
            _ => false,
        };
        assert!(fits, "{status}: {outcome:?}");
    }
    // A refusal counts as soon as its line is there: many close without sending the rest.
    let line = "HTTP/1.0 403 Filtered";
    assert_eq!(
        whole(format!("{line}\n")),
        Outcome::Failed(Failure::Refused(line.into()))
    );
}

#[test]
fn who_wants_to_know_us_says_how() {
    let answer = |headers: &str| format!("HTTP/1.1 407 Who?\r\n{headers}\r\n");
    for (headers, given, said) in [
        ("", false, "it wants a name and password"),
        ("", true, "it refused the name and password"),
        (
            "Proxy-Authenticate: Basic realm=\"x\"\r\n",
            false,
            "it wants",
        ),
        ("proxy-authenticate:bASIC\r\n", true, "it refused"),
        (
            "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n",
            true,
            "only Negotiate, NTLM",
        ),
        (
            "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: Basic\r\n",
            true,
            "it refused",
        ),
    ] {
        let secret = credentials("alice", "sesame");
        let machine = || {
            let given = given.then_some(&secret);
            Handshake::new(Kind::Http, &address("h:1"), given).unwrap()
        };
        let answer = answer(headers);
        let outcome = drive(machine(), answer.as_bytes(), |_| 1).outcome;
        let Outcome::Failed(Failure::Auth(detail)) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(
            detail.contains(said) && detail.contains("407 Who?"),
            "{detail}"
        );
        assert!(!detail.contains("alice") && !detail.contains("sesame"));
        // Also when the stream ends behind the status line.
        let mut cut = machine();
        cut.advance(&[]);
        cut.advance(&answer.as_bytes()[..20]);
        assert!(matches!(cut.ended(), Some(Failure::Auth(_))));
    }
    let mut silent = Handshake::new(Kind::Http, &address("h:1"), None).unwrap();
    silent.advance(&[]);
    assert_eq!(silent.ended(), None);
    silent.advance(b"HTTP/1.1 200 OK\r\n");
    assert_eq!(silent.ended(), None);
}

#[test]
fn what_is_no_http_fails_at_the_first_byte_that_shows_it() {
    for (answer, needed, guess) in [
        (&[5, 0][..], 1, "SOCKS5"),
        (b"SSH-2.0-OpenSSH\r\n", 1, "SSH"),
        (&[0x15, 3, 1], 1, "TLS"),
        (b"HTTP/2.0 200", 6, "HTTP/2"),
        (b"HTTP1.1 200", 5, "HTTP1"),
        (b"\r\nHTTP/1.1 200", 1, "\\r"),
        (b"\n", 1, "status line"),
    ] {
        let Outcome::Failed(Failure::Protocol(detail)) = whole(&answer[..needed]) else {
            panic!("{answer:?}")
        };
        assert!(detail.contains(guess), "{detail}");
        assert_eq!(whole(&answer[..needed - 1]), Outcome::Waiting);
    }
    for line in [
        "HTTP/1. 200 OK",
        "HTTP/1.12 200",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.x 200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1",
        "HTTP/1.1 200 O\u{0}K",
        "HTTP/1.1 200 O\rK",
    ] {
        let outcome = whole(format!("{line}\r\n"));
        let is_protocol = matches!(outcome, Outcome::Failed(Failure::Protocol(_)));
        assert!(is_protocol, "{line:?}: {outcome:?}");
    }
    for header in [
        "no colon",
        ": no name",
        "a b: c",
        "Name : x",
        "X: a\u{1b}[2J",
    ] {
        let outcome = whole(format!("HTTP/1.1 200 OK\r\n{header}\r\n"));
        let Outcome::Failed(Failure::Protocol(detail)) = outcome else {
            panic!("{header:?}: {outcome:?}")
        };
        assert!(!detail.contains(char::is_control), "{detail:?}");
    }
}

#[test]
fn a_head_without_end_is_not_read_to_its_end() {
    for endless in [
        [b"HTTP/1.1 200 ".as_slice(), &[b'x'; HEAD_LIMIT_BYTES]].concat(),
        [
            b"HTTP/1.1 200 OK\r\n".as_slice(),
            &b"a: b\r\n".repeat(HEAD_LIMIT_BYTES / 6),
        ]
        .concat(),
        b"HTTP/1.1 100 Continue\r\n\r\n".repeat(HEAD_LIMIT_BYTES / 25 + 1),
    ] {
        assert!(endless.len() > HEAD_LIMIT_BYTES);
        assert_eq!(whole(&endless[..HEAD_LIMIT_BYTES]), Outcome::Waiting);
        let Outcome::Failed(Failure::Protocol(detail)) = whole(&endless[..=HEAD_LIMIT_BYTES])
        else {
            panic!()
        };
        assert!(detail.contains("16384"), "{detail}");
    }
    let long = format!("HTTP/1.1 500 {}\r\n", "x".repeat(1000));
    let Outcome::Failed(Failure::Refused(said)) = whole(long) else {
        panic!()
    };
    assert!(
        said.ends_with("x…") && said.chars().count() == 121,
        "{said}"
    );
}

proptest! {
    #[test]
    fn noise_has_one_outcome_however_it_is_cut(
        start in 0..6_usize,
        noise in "[ -~\r\n:]{0,300}",
        raw in prop::collection::vec(any::<u8>(), 0..40),
        cuts in prop::collection::vec(1..40_usize, 1..64),
    ) {
        let start = [
            "", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 407 \r\n", "HTTP/1.1 100 \r\n\r\n",
            "HTTP/1.1 407 \r\nProxy-Authenticate: ",
        ][start];
        let answer = [start.as_bytes(), noise.as_bytes(), &raw].concat();
        let mut cuts = cuts.into_iter().cycle();
        prop_assert_eq!(asked(&answer, |_| cuts.next().unwrap()).outcome, whole(&answer));
    }
}
