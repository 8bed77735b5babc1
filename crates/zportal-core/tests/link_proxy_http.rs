//! Dialing through HTTP proxies and through proxies with passwords: scripted ones that say anything
//! and die anywhere.

mod link_support;

use link_support::Act::{Expect, Finish, Hold, Reset, Send, SendSingly};
use link_support::*;
use zportal_core::address::Address;
use zportal_core::error::Error;
use zportal_core::link::{Stream, Way, dial as dial_way};
use zportal_core::proxy::{Credentials, Kind, Proxy};

const TARGET: &str = "peer.invalid:7000";
const REQUEST: &[u8] = b"CONNECT peer.invalid:7000 HTTP/1.1\r\nHost: peer.invalid:7000\r\n\r\n";
const JOINED: &[u8] = b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n";

fn proxy(kind: Kind, address: &Address, password: Option<&str>) -> Proxy {
    Proxy {
        kind,
        address: address.clone(),
        credentials: password.map(|password| Credentials {
            name: "alice".into(),
            password: password.into(),
        }),
    }
}

async fn through(proxies: Vec<Proxy>, timeout: std::time::Duration) -> Result<Stream, Error> {
    dial_way(&Way {
        target: address(TARGET),
        proxies,
        timeout,
        mark: None,
    })
    .await
}

fn http(at: &Address) -> Vec<Proxy> {
    vec![proxy(Kind::Http, at, None)]
}

/// What the dial makes of a proxy that acts like this, with nothing left open afterwards.
fn outcome(acts: Vec<Act>) -> Result<Stream, Error> {
    let scripted = Scripted::start(acts);
    let outcome = run(through(http(&scripted.address), PATIENT));
    scripted.join();
    outcome
}

#[test]
fn what_follows_the_answer_is_the_tunnels() {
    let _turn = Turn::take();
    for early in [&b""[..], b"Z", b"HTTP/1.1 200 OK\r\n\r\n", &[b'\n'; 4000]] {
        let answer = [JOINED, early].concat();
        for send in [Send(answer.clone()), SendSingly(answer)] {
            let scripted = Scripted::start(vec![Expect(REQUEST.into()), send, Hold]);
            let stream = run(through(http(&scripted.address), PATIENT)).unwrap();
            let named = format!("{TARGET} through http://{}", scripted.address);
            assert_eq!(stream.peer, named);
            assert_ready_for_packets(&stream);
            let kinds: Vec<_> = stream.hops.iter().map(|hop| hop.proxy).collect();
            assert_eq!(kinds, [Some(Kind::Http), None]);
            let mut got = stream.early.clone();
            while got.len() < early.len() {
                let mut buffer = [0; 4096];
                let count = rustix::io::read(&stream.socket, &mut buffer).unwrap();
                assert_ne!(count, 0);
                got.extend_from_slice(&buffer[..count]);
            }
            assert_eq!(got, early);
            drop(stream);
            scripted.join();
        }
    }
}

/// Every state in which a proxy can die before it has said what will become of the tunnel.
fn states() -> Vec<Vec<Act>> {
    let mut states = vec![vec![], vec![Expect(REQUEST.into())]];
    for end in 1..JOINED.len() {
        states.push(vec![Expect(REQUEST.into()), Send(JOINED[..end].into())]);
    }
    states
}

#[test]
fn a_proxy_that_closes_in_any_state_is_named_with_what_it_owed() {
    let _turn = Turn::take();
    for acts in states() {
        // FIN while it still listens, FIN with the socket, RST.
        for end in [vec![Finish, Hold], vec![], vec![Reset]] {
            let acts = [acts.clone(), end].concat();
            let error = outcome(acts.clone()).unwrap_err();
            // Reset before our side noticed that it was connected: then the dial itself failed.
            if acts.len() == 1 && error.errno() == Some(libc::ECONNRESET) {
                assert_eq!((error.code(), error.hop()), ("ZP_DIAL", Some(0)));
                continue;
            }
            let Error::ProxyClosed {
                address,
                hop: 0,
                detail,
            } = &error
            else {
                panic!("{acts:?}: {error:?}")
            };
            assert!(address.starts_with("http://") && address.ends_with(" (hop 0)"));
            assert!(
                detail.contains("answer to CONNECT") && detail.contains(TARGET),
                "{detail}"
            );
        }
    }
}

#[test]
fn a_proxy_that_falls_silent_in_any_state_runs_into_the_deadline() {
    let _turn = Turn::take();
    for acts in states() {
        let scripted = Scripted::start([acts, vec![Hold]].concat());
        let error = run(through(http(&scripted.address), SHORT)).unwrap_err();
        let Error::DialTimeout { hop: 0, stage, .. } = &error else {
            panic!("{error:?}")
        };
        for part in ["answer to CONNECT", TARGET, &scripted.address.to_string()] {
            assert!(stage.contains(part), "{stage}");
        }
        // Its Hold ends because our side is closed.
        scripted.join();
    }
}

#[test]
fn noise_and_refusals_have_their_codes() {
    let _turn = Turn::take();
    for (noise, code) in [
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), "ZP_PROXY_PROTOCOL"),
        (vec![0; 60_000], "ZP_PROXY_PROTOCOL"),
        (vec![5, 0], "ZP_PROXY_PROTOCOL"),
        (
            [b"HTTP/1.1 200 ".as_slice(), &[b'x'; 60_000]].concat(),
            "ZP_PROXY_PROTOCOL",
        ),
        (
            [
                b"HTTP/1.1 200 OK\r\n".as_slice(),
                &b"a: b\r\n".repeat(10_000),
            ]
            .concat(),
            "ZP_PROXY_PROTOCOL",
        ),
        (b"HTTP/1.1 403 No\r\n\r\n".to_vec(), "ZP_PROXY_REFUSED"),
        (b"HTTP/1.0 502 No\r\n".to_vec(), "ZP_PROXY_REFUSED"),
        (b"HTTP/1.1 407 Who?\r\n\r\n".to_vec(), "ZP_PROXY_AUTH"),
        (b"HTTP/1.1 401 Who?\r\n\r\n".to_vec(), "ZP_PROXY_AUTH"),
    ] {
        // Without waiting for our request; what we close on may be lost in a RST.
        let error = outcome(vec![Send(noise), Hold]).unwrap_err();
        assert_eq!((error.code(), error.hop()), (code, Some(0)), "{error}");
    }
    // The status line is enough, also when the stream ends behind it.
    let acts = vec![
        Expect(REQUEST.into()),
        Send(b"HTTP/1.1 407 Who?\r\n".into()),
    ];
    assert_eq!(outcome(acts).unwrap_err().code(), "ZP_PROXY_AUTH");
}

#[test]
fn a_mixed_chain_speaks_to_each_in_its_own_way_and_names_who_refuses_the_password() {
    let _turn = Turn::take();
    let (second, third) = (address("192.0.2.2:3128"), address("192.0.2.3:1080"));
    let ask_second = b"\x05\x01\x00\x01\xc0\x00\x02\x02\x0c\x38".to_vec();
    let ask_third = b"CONNECT 192.0.2.3:1080 HTTP/1.1\r\nHost: 192.0.2.3:1080\r\n\
                      Proxy-Authorization: Basic YWxpY2U6c2VzYW1l\r\n\r\n";
    let acts = |verdict: u8| {
        vec![
            Expect(vec![5, 1, 0]),
            Send(vec![5, 0]),
            Expect(ask_second.clone()),
            SendSingly(vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
            Expect(ask_third.to_vec()),
            SendSingly(JOINED.into()),
            Expect(vec![5, 2, 0, 2]),
            Send(vec![5, 2]),
            Expect(b"\x01\x05alice\x06sesame".into()),
            Send(vec![1, verdict]),
        ]
    };
    let chain = |first: &Address| {
        vec![
            Proxy::from(first.clone()),
            proxy(Kind::Http, &second, Some("sesame")),
            proxy(Kind::Socks5, &third, Some("sesame")),
        ]
    };
    let request = b"\x05\x01\x00\x03\x0cpeer.invalid\x1b\x58".to_vec();
    let reply = vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let good = [acts(0), vec![Expect(request), Send(reply), Hold]].concat();
    let scripted = Scripted::start(good);
    let stream = run(through(chain(&scripted.address), PATIENT)).unwrap();
    assert_eq!(stream.hops.len(), 4);
    assert!(!format!("{stream:?}").contains("sesame"));
    drop(stream);
    scripted.join();

    let scripted = Scripted::start([acts(1), vec![Hold]].concat());
    let error = run(through(chain(&scripted.address), PATIENT)).unwrap_err();
    scripted.join();
    assert_eq!((error.code(), error.hop()), ("ZP_PROXY_AUTH", Some(2)));
    let told = format!("{error} {error:?}");
    assert!(told.contains("socks5://192.0.2.3:1080 (hop 2)"), "{told}");
    assert!(
        !told.contains("alice") && !told.contains("sesame"),
        "{told}"
    );
}

#[test]
fn tor_is_given_other_credentials_at_each_dial() {
    let _turn = Turn::take();
    let mut seen = Vec::new();
    for _ in 0..2 {
        // The login cannot be foreseen, so this Tor takes whatever comes in its place.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = address(listener.local_addr().unwrap().to_string());
        let tor = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut stream, _) = listener.accept().unwrap();
            let mut greeting = [0; 3];
            stream.read_exact(&mut greeting).unwrap();
            assert_eq!(greeting, [5, 1, 2]);
            stream.write_all(&[5, 2]).unwrap();
            let mut login = vec![0; 2 + 7 + 1 + 32];
            stream.read_exact(&mut login).unwrap();
            login
        });
        let error = run(through(vec![proxy(Kind::Tor, &at, None)], PATIENT)).unwrap_err();
        assert_eq!(error.code(), "ZP_PROXY_CLOSED");
        seen.push(tor.join().unwrap());
    }
    assert!(seen[0].starts_with(b"\x01\x07zportal\x20"));
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn a_mark_is_on_the_socket_before_it_connects() {
    let _turn = Turn::take();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = address(listener.local_addr().unwrap().to_string());
    let marked = |mark| Way {
        target: target.clone(),
        proxies: vec![],
        timeout: PATIENT,
        mark,
    };
    match run(dial_way(&marked(Some(31)))) {
        Ok(stream) => assert_eq!(socket2::SockRef::from(&stream.socket).mark().unwrap(), 31),
        // Without CAP_NET_ADMIN.
        Err(error) => assert_eq!(
            (error.code(), error.errno()),
            ("ZP_SO_MARK", Some(libc::EPERM))
        ),
    }
    let plain = run(dial_way(&marked(None))).unwrap();
    assert_eq!(socket2::SockRef::from(&plain.socket).mark().unwrap(), 0);
}
