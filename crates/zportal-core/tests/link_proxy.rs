//! Dialing through SOCKS5 proxies: scripted ones that say anything and die anywhere, and real
//! ones.

mod link_support;

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Stdio};

use link_support::Act::{Expect, Finish, Hold, Reset, Send, SendSingly};
use link_support::*;
use zportal_core::address::Address;
use zportal_core::error::Error;
use zportal_core::link::{Listener, Stream, Transport};

const GREETING: [u8; 3] = [5, 1, 0];
const CHOICE: [u8; 2] = [5, 0];
const JOINED: [u8; 10] = [5, 0, 0, 1, 127, 0, 0, 1, 0x1b, 0x58];

/// A target that only the proxy could know; it is never resolved or dialed here.
const TARGET: &str = "peer.invalid:7000";
const REQUEST: &[u8] = b"\x05\x01\x00\x03\x0cpeer.invalid\x1b\x58";

fn through(proxy: &Address) -> Result<Stream, Error> {
    run(dial(&address(TARGET), std::slice::from_ref(proxy), PATIENT))
}

/// What the dial makes of a proxy that acts like this, with nothing left open afterwards.
fn outcome(acts: Vec<Act>) -> Result<Stream, Error> {
    let proxy = Scripted::start(acts);
    let outcome = through(&proxy.address);
    proxy.join();
    outcome
}

#[test]
fn a_name_goes_to_the_proxy_as_a_name_and_what_follows_its_reply_is_the_tunnels() {
    let _turn = Turn::take();
    for early in [&b""[..], b"Z", b"ZPRT and more of a frame", &[5; 4000]] {
        let reply = [&JOINED, early].concat();
        for send in [Send(reply.clone()), SendSingly(reply)] {
            let proxy = Scripted::start(vec![
                Expect(GREETING.into()),
                SendSingly(CHOICE.into()),
                Expect(REQUEST.into()),
                send,
                Expect(b"to the peer".into()),
                Hold,
            ]);
            let stream = through(&proxy.address).unwrap();
            assert_eq!(
                stream.peer,
                format!("{TARGET} through socks5://{}", proxy.address)
            );
            assert_eq!(stream.transport, Transport::Tcp);
            assert_ready_for_packets(&stream);
            rustix::io::write(&stream.socket, b"to the peer").unwrap();
            // However the bytes were cut, early ones first, then the socket's: all of them.
            let mut got = stream.early.clone();
            while got.len() < early.len() {
                let mut buffer = [0; 4096];
                let count = rustix::io::read(&stream.socket, &mut buffer).unwrap();
                assert_ne!(count, 0);
                got.extend_from_slice(&buffer[..count]);
            }
            assert_eq!(got, early);
            drop(stream);
            proxy.join();
        }
    }
}

/// The first proxy in a chain is all that we connect to; the others speak through it. So one
/// script plays all of them.
fn chain(first: &Address) -> [Address; 3] {
    [
        first.clone(),
        address("192.0.2.2:1080"),
        address("[2001:db8::3]:1080"),
    ]
}

/// What is asked of the proxies of [`chain`]: the next one, the next one, the peer.
fn requests() -> [Vec<u8>; 3] {
    let second = vec![5, 1, 0, 1, 192, 0, 2, 2, 4, 0x38];
    let mut third = vec![5, 1, 0, 4, 0x20, 0x01, 0x0d, 0xb8];
    third.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4, 0x38]);
    [second, third, REQUEST.into()]
}

#[test]
fn a_chain_of_three_asks_each_for_the_next() {
    let _turn = Turn::take();
    let mut acts = Vec::new();
    for request in requests() {
        acts.extend([Expect(GREETING.into()), Send(CHOICE.into())]);
        acts.extend([Expect(request), SendSingly(JOINED.into())]);
    }
    acts.extend([Send(b"early".into()), Hold]);
    let proxy = Scripted::start(acts);
    let proxies = chain(&proxy.address);
    let stream = run(dial(&address(TARGET), &proxies, PATIENT)).unwrap();
    let [first, second, third] = &proxies;
    assert_eq!(
        stream.peer,
        format!("{TARGET} through socks5://{first}, socks5://{second}, socks5://{third}")
    );
    drop(stream);
    proxy.join();
}

#[test]
fn bytes_behind_one_proxys_reply_are_the_next_ones_answer() {
    let _turn = Turn::take();
    // Everything that all three will ever say, and the peer's first bytes, in one go: each
    // machine must take its own and leave the rest to the next.
    let each = [CHOICE.as_slice(), &JOINED].concat();
    let all = [each.as_slice(), &each, &each, b"early"].concat();
    for cut in 0..all.len() {
        let (before, after) = all.split_at(cut);
        let proxy = Scripted::start(vec![
            Expect(GREETING.into()),
            Send(before.into()),
            Send(after.into()),
            Hold,
        ]);
        let stream = run(dial(&address(TARGET), &chain(&proxy.address), PATIENT)).unwrap();
        let mut got = stream.early.clone();
        while got.len() < 5 {
            let mut buffer = [0; 5];
            let count = rustix::io::read(&stream.socket, &mut buffer).unwrap();
            got.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(got, b"early");
        drop(stream);
        proxy.join();
    }
}

#[test]
fn the_failing_hop_of_a_chain_is_named() {
    let _turn = Turn::take();
    for failing in 0..3 {
        let mut acts = Vec::new();
        for (hop, request) in requests().into_iter().enumerate().take(failing + 1) {
            let reply = if hop == failing {
                vec![5, 4]
            } else {
                JOINED.into()
            };
            acts.extend([Expect(GREETING.into()), Send(CHOICE.into())]);
            acts.extend([Expect(request), Send(reply)]);
        }
        acts.push(Hold);
        let proxy = Scripted::start(acts);
        let proxies = chain(&proxy.address);
        let error = run(dial(&address(TARGET), &proxies, PATIENT)).unwrap_err();
        proxy.join();
        let Error::ProxyRefused {
            address,
            hop,
            target,
            detail,
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!((*hop, error.hop()), (failing, Some(failing)));
        let named = |hop: usize| match proxies.get(hop) {
            Some(proxy) => format!("socks5://{proxy}"),
            None => TARGET.to_owned(),
        };
        assert_eq!(*address, format!("{} (hop {failing})", named(failing)));
        let next = named(failing + 1);
        assert_eq!(*target, format!("{next} (hop {})", failing + 1));
        assert!(
            detail.contains("host unreachable") && detail.contains("0x04"),
            "{detail}"
        );
    }
}

/// Every state in which a proxy can die: what it has done until then, and what it still owes.
fn states() -> Vec<(Vec<Act>, &'static str)> {
    let mut states = vec![
        (vec![], "method"),
        (vec![Expect(GREETING.into())], "method"),
        (vec![Expect(GREETING.into()), Send(vec![5])], "method"),
    ];
    for part in 0..JOINED.len() {
        let mut acts = vec![
            Expect(GREETING.into()),
            Send(CHOICE.into()),
            Expect(REQUEST.into()),
        ];
        if part > 0 {
            acts.push(Send(JOINED[..part].into()));
        }
        states.push((acts, "reply"));
    }
    states
}

#[test]
fn a_proxy_that_closes_in_any_state_is_named_with_what_it_owed() {
    let _turn = Turn::take();
    for (acts, owed) in states() {
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
            assert!(address.ends_with(" (hop 0)"), "{address}");
            assert!(detail.contains(owed) && detail.contains(TARGET), "{detail}");
        }
    }
}

#[test]
fn a_proxy_that_falls_silent_in_any_state_runs_into_the_deadline() {
    let _turn = Turn::take();
    for (acts, owed) in states() {
        let proxy = Scripted::start([acts, vec![Hold]].concat());
        run(async {
            let before = descriptors();
            let proxies = [proxy.address.clone()];
            let error = dial(&address(TARGET), &proxies, SHORT).await.unwrap_err();
            let Error::DialTimeout { hop: 0, stage, .. } = &error else {
                panic!("{error:?}")
            };
            for part in [owed, TARGET, &proxies[0].to_string()] {
                assert!(stage.contains(part), "{stage}");
            }
            // The script's own socket may be there or not yet; ours is gone.
            let ours = descriptors().len().saturating_sub(before.len());
            assert!(ours <= 1, "{before:?}");
        });
        // Its Hold ends because our side is closed.
        proxy.join();
    }
}

#[test]
fn the_deadline_is_one_for_all_hops_and_names_the_silent_one() {
    let _turn = Turn::take();
    let mut acts = vec![Expect(GREETING.into()), Send(CHOICE.into())];
    acts.extend([Expect(requests()[0].clone()), Send(JOINED.into()), Hold]);
    let proxy = Scripted::start(acts);
    let proxies = chain(&proxy.address);
    let error = run(dial(&address(TARGET), &proxies, SHORT)).unwrap_err();
    proxy.join();
    let Error::DialTimeout { hop: 1, stage, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(stage.contains("192.0.2.2:1080 (hop 1)"), "{stage}");
}

#[test]
fn a_proxy_that_talks_without_end_and_sense_is_refused() {
    let _turn = Turn::take();
    for (noise, code) in [
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            "ZP_PROXY_PROTOCOL",
        ),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), "ZP_PROXY_PROTOCOL"),
        (vec![0; 60_000], "ZP_PROXY_PROTOCOL"),
        (vec![5; 60_000], "ZP_PROXY_PROTOCOL"),
        (vec![5, 0xff], "ZP_PROXY_AUTH"),
        (vec![5, 2], "ZP_PROXY_AUTH"),
        (vec![5, 0, 5, 2], "ZP_PROXY_REFUSED"),
        (vec![5, 0, 4, 0], "ZP_PROXY_PROTOCOL"),
        (vec![5, 0, 5, 0, 0, 9], "ZP_PROXY_PROTOCOL"),
    ] {
        // Noise without waiting for our greeting; what we close on may be lost in a RST.
        let error = outcome(vec![Send(noise), Hold]).unwrap_err();
        assert_eq!((error.code(), error.hop()), (code, Some(0)), "{error}");
    }
}

#[test]
fn a_first_proxy_that_is_not_there_is_named_as_hop_0() {
    let _turn = Turn::take();
    let directory = Directory::new();
    let error = through(&directory.socket()).unwrap_err();
    assert_eq!((error.code(), error.hop()), ("ZP_DIAL_REFUSED", Some(0)));
    let wanted = format!("socks5+{} (hop 0)", directory.socket());
    assert!(error.to_string().contains(&wanted), "{error}");

    let (_listener, hole, _streams) = black_hole();
    let error = run(dial(&address(TARGET), &[hole], SHORT)).unwrap_err();
    assert_eq!((error.code(), error.hop()), ("ZP_DIAL_TIMEOUT", Some(0)));
}

#[test]
fn a_proxy_may_sit_behind_a_unix_socket() {
    let _turn = Turn::take();
    let directory = Directory::new();
    for asked in [directory.socket(), address(format!("unixa:{}", unique()))] {
        let listener = Listener::bind(&asked).unwrap();
        run(async {
            let (target, proxies) = (address(TARGET), [asked.clone()]);
            let proxy = async {
                let stream = listener.accept().await.unwrap();
                // The answers are small enough for the socket's buffer, whoever reads them when.
                rustix::io::write(&stream.socket, &[&CHOICE[..], &JOINED, b"early"].concat())
                    .unwrap();
                stream
            };
            let (proxy, dialed) = tokio::join!(proxy, dial(&target, &proxies, PATIENT));
            let dialed = dialed.unwrap();
            assert_eq!(
                (dialed.transport, &dialed.early[..]),
                (Transport::Unix, &b"early"[..])
            );
            let mut said = [0; 64];
            let count = rustix::io::read(&proxy.socket, &mut said).unwrap();
            assert_eq!(said[..count], *[&GREETING[..], REQUEST].concat());
            assert_joined(&dialed, &proxy);
        });
    }
}

/// A real microsocks on a free port, ended with the test.
struct Microsocks {
    child: Child,
    address: Address,
}

impl Microsocks {
    /// Nothing where it is not installed.
    fn start(arguments: &[&str]) -> Option<Self> {
        // Its port must be chosen for it; one that was just free is free again at once, because
        // nothing was ever connected to it.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("microsocks")
            .args(["-i", "127.0.0.1", "-p", &port.to_string()])
            .args(arguments)
            .stderr(Stdio::null())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(cause) => {
                eprintln!("skipped: no microsocks ({cause})");
                return None;
            }
        };
        // It says nothing when it is ready, so it is asked.
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Some(Self {
            child,
            address: address(format!("127.0.0.1:{port}")),
        })
    }
}

impl Drop for Microsocks {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn real_proxies_alone_and_in_a_chain_lead_to_every_kind_of_host() {
    let _turn = Turn::take();
    let Some(real) = (0..3)
        .map(|_| Microsocks::start(&[]))
        .collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let all: Vec<Address> = real.iter().map(|one| one.address.clone()).collect();
    for near in ["127.0.0.1", "[::1]", "localhost"] {
        let listener = Listener::bind(&address(format!("{near}:0"))).unwrap();
        let port = listener.local().rsplit(':').next().unwrap().to_owned();
        let target = address(format!("{near}:{port}"));
        for proxies in [&all[..1], &all[..]] {
            run(async {
                let dialed = dial(&target, proxies, PATIENT).await.unwrap();
                assert_ready_for_packets(&dialed);
                assert_joined(&dialed, &listener.accept().await.unwrap());
            });
        }
    }
    // The last one says no, and is the one that is named.
    let target = address("127.0.0.1:1");
    let error = run(dial(&target, &all, PATIENT)).unwrap_err();
    assert_eq!(
        (error.code(), error.hop()),
        ("ZP_PROXY_REFUSED", Some(2)),
        "{error}"
    );
}

#[test]
fn a_real_proxy_that_wants_a_password_says_so() {
    let _turn = Turn::take();
    let Some(real) = Microsocks::start(&["-u", "user", "-P", "secret"]) else {
        return;
    };
    let error = through(&real.address).unwrap_err();
    assert_eq!(
        (error.code(), error.hop()),
        ("ZP_PROXY_AUTH", Some(0)),
        "{error}"
    );
}

#[test]
fn a_listener_that_is_no_proxy_at_all_runs_into_the_deadline() {
    let _turn = Turn::take();
    let directory = Directory::new();
    let _listener = UnixListener::bind(directory.0.join("s")).unwrap();
    let error = run(dial(&address(TARGET), &[directory.socket()], SHORT)).unwrap_err();
    assert_eq!(error.code(), "ZP_DIAL_TIMEOUT");
}
