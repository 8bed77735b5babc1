//! Dialing without proxies: every kind of address, every failure, every deadline.

mod link_support;

use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::time::Duration;

use link_support::*;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use zportal_core::address::{Address, Host};
use zportal_core::error::Error;
use zportal_core::link::{Listener, Transport};

#[test]
fn reaches_every_kind_of_address() {
    let _turn = Turn::take();
    let directory = Directory::new();
    run(async {
        for (asked, peer) in [
            (address("127.0.0.1:0"), "127.0.0.1:PORT"),
            (address("[::1]:0"), "[::1]:PORT"),
            (address(format!("unixa:{}", unique())), "unixa:zp-test-"),
            (directory.socket(), "unix:"),
        ] {
            let listener = Listener::bind(&asked).unwrap();
            let local = address(listener.local());
            let stream = dial(&local, &[], PATIENT).await.unwrap();
            assert_ready_for_packets(&stream);
            assert_joined(&stream, &listener.accept().await.unwrap());
            let tcp = matches!(asked, Address::Tcp { .. });
            assert_eq!(stream.transport == Transport::Tcp, tcp, "{asked}");
            let port = listener.local().rsplit(':').next().unwrap().to_owned();
            assert!(
                stream.peer.starts_with(&peer.replace("PORT", &port)),
                "{}",
                stream.peer
            );
            assert!(stream.early.is_empty());
        }
    });
}

#[test]
fn a_name_is_tried_at_all_its_addresses_and_the_one_that_answers_is_named() {
    let _turn = Turn::take();
    for near in ["127.0.0.1", "::1"] {
        let listener = TcpListener::bind((near, 0)).unwrap();
        let named = address(format!(
            "localhost:{}",
            listener.local_addr().unwrap().port()
        ));
        match run(dial(&named, &[], PATIENT)) {
            Ok(stream) => assert_eq!(stream.peer, format!("{named} ({near})")),
            // Where /etc/hosts gives localhost one family only.
            Err(error) => {
                assert_eq!((near, error.code()), ("::1", "ZP_DIAL_REFUSED"));
                assert!(error.to_string().contains("at 127.0.0.1"), "{error}");
            }
        }
    }
}

#[test]
fn nobody_there_is_a_refusal() {
    let _turn = Turn::take();
    let directory = Directory::new();
    // A port that is taken, so that nobody else gets it, and that nobody listens on.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let elsewhere = address(format!("127.0.0.2:{port}"));
    let stale = directory.0.join("stale");
    drop(UnixListener::bind(&stale).unwrap());
    for (asked, errno) in [
        (elsewhere, libc::ECONNREFUSED),
        (
            address(format!("unix:{}", stale.display())),
            libc::ECONNREFUSED,
        ),
        (address(format!("unixa:{}", unique())), libc::ECONNREFUSED),
        (directory.socket(), libc::ENOENT),
    ] {
        let error = run(dial(&asked, &[], PATIENT)).unwrap_err();
        assert!(
            matches!(error, Error::DialRefused { .. }),
            "{asked}: {error}"
        );
        assert_eq!((error.errno(), error.hop()), (Some(errno), Some(0)));
        assert!(error.to_string().contains(&asked.to_string()), "{error}");
    }
}

#[test]
fn other_failures_are_named_with_their_errno() {
    let _turn = Turn::take();
    let directory = Directory::new();
    std::fs::write(directory.0.join("file"), "").unwrap();
    for (asked, errno) in [
        (address("255.255.255.255:7000"), libc::ENETUNREACH),
        (address("[fe80::1%nosuchif0]:7000"), libc::ENODEV),
        (
            address(format!("unix:{}/file/s", directory.0.display())),
            libc::ENOTDIR,
        ),
    ] {
        let error = run(dial(&asked, &[], PATIENT)).unwrap_err();
        assert!(matches!(error, Error::Dial { .. }), "{asked}: {error:?}");
        // The kernel words it differently for broadcast addresses, with and without a route.
        let same = error.errno() == Some(errno) || error.errno() == Some(libc::EACCES);
        assert!(same, "{error:?}");
        assert_eq!(error.hop(), Some(0));
    }
}

#[test]
fn a_name_that_does_not_exist_says_so() {
    let _turn = Turn::take();
    // A name that the resolver refuses by itself, so that the test needs no name server.
    let host = Host::Name("no..name".into());
    let error = run(dial(&Address::Tcp { host, port: 7000 }, &[], PATIENT)).unwrap_err();
    let Error::Resolve { host, hop: 0, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(host, "no..name");
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_tried() {
    let _turn = Turn::take();
    for (target, proxies, reason) in [
        ("127.0.0.1:0", vec![], "port 0"),
        ("192.0.2.1:7000", vec!["127.0.0.1:0"], "port 0"),
        ("[fe80::1]:7000", vec![], "%eth0"),
        ("192.0.2.1:7000", vec!["[fe80::1]:1080"], "%eth0"),
        ("x.onion:80", vec![], "Tor"),
        ("192.0.2.1:7000", vec!["x.Onion.:1080"], "Tor"),
        ("unix:/p", vec!["127.0.0.1:1080"], "Unix"),
        ("192.0.2.1:7000", vec!["127.0.0.1:1080", "unixa:n"], "Unix"),
        (
            "[fe80::1%eth0]:7000",
            vec!["127.0.0.1:1080"],
            "this machine only",
        ),
    ] {
        let target = address(target);
        let proxies: Vec<Address> = proxies.into_iter().map(address).collect();
        let Err(Error::Option(message)) = way(&target, &proxies, PATIENT).check() else {
            panic!("{target} was accepted")
        };
        assert!(message.contains(reason), "{message}");
        // A Unix socket as the first proxy is fine; and dial asks the same question.
        let error = run(dial(&target, &proxies, PATIENT)).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let (target, proxies) = (
        address("x.onion:80"),
        [address("unix:/p"), address("h:1080")],
    );
    way(&target, &proxies, PATIENT).check().unwrap();
}

#[test]
fn a_black_hole_ends_at_the_deadline_and_leaves_nothing() {
    let _turn = Turn::take();
    let (_listener, hole, _streams) = black_hole();
    run(async {
        let before = descriptors();
        let error = dial(&hole, &[], SHORT).await.unwrap_err();
        let Error::DialTimeout {
            timeout_ms,
            hop: 0,
            stage,
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(u128::from(*timeout_ms), SHORT.as_millis());
        assert!(stage.contains(&hole.to_string()), "{stage}");
        assert!(stage.contains("to accept the connection"), "{stage}");
        assert_eq!(descriptors(), before, "while the runtime goes on");
    });
}

#[test]
fn a_dropped_dial_leaves_nothing() {
    let _turn = Turn::take();
    let (_listener, hole, _streams) = black_hole();
    run(async {
        let before = descriptors();
        for _ in 0..20 {
            tokio::select! {
                biased;
                outcome = dial(&hole, &[], PATIENT) => panic!("{outcome:?}"),
                () = tokio::task::yield_now() => {}
            }
            assert_eq!(descriptors(), before);
        }
    });
}

/// Fills the backlog of a Unix listener; std's is above a hundred.
fn full_unix_listener(path: &std::path::Path) -> (std::os::fd::OwnedFd, Vec<UnixStream>) {
    let flags = rustix::net::SocketFlags::CLOEXEC;
    let listener =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    rustix::net::bind(&listener, &SocketAddrUnix::new(path).unwrap()).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    (listener, vec![UnixStream::connect(path).unwrap()])
}

#[test]
fn a_full_unix_backlog_is_waited_for() {
    let _turn = Turn::take();
    let directory = Directory::new();
    let (listener, _streams) = full_unix_listener(&directory.0.join("s"));
    run(async {
        let error = dial(&directory.socket(), &[], SHORT).await.unwrap_err();
        let Error::DialTimeout { hop: 0, stage, .. } = &error else {
            panic!("{error:?}")
        };
        assert!(stage.contains("backlog"), "{stage}");

        let target = directory.socket();
        let mut dialing = Box::pin(dial(&target, &[], PATIENT));
        tokio::select! {
            biased;
            outcome = &mut dialing => panic!("{outcome:?}"),
            () = tokio::task::yield_now() => {}
        }
        drop(rustix::net::accept(&listener).unwrap());
        dialing.await.unwrap();
    });
}

#[test]
fn the_deadline_covers_whatever_its_length() {
    let _turn = Turn::take();
    let (_listener, hole, _streams) = black_hole();
    let error = run(dial(&hole, &[], Duration::ZERO)).unwrap_err();
    assert_eq!(error.code(), "ZP_DIAL_TIMEOUT");
    let listener = Listener::bind(&address("127.0.0.1:0")).unwrap();
    run(dial(&address(listener.local()), &[], Duration::MAX)).unwrap();
}

/// Runs in a network namespace of its own, which ends with the thread; without root it says that
/// it was skipped.
fn in_own_network(body: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        let flags = rustix::thread::UnshareFlags::NEWNET;
        // SAFETY: only the network namespace of this new thread changes; no memory or descriptor
        // is shared differently than before.
        if let Err(errno) = unsafe { rustix::thread::unshare_unsafe(flags) } {
            eprintln!("skipped: no network namespace of its own ({errno})");
            return;
        }
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status()
            .unwrap();
        assert!(up.success());
        body();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn a_connection_that_met_itself_is_a_refusal() {
    let _turn = Turn::take();
    in_own_network(|| {
        // The only port left for the dialing side is the one that it dials.
        let range = "/proc/sys/net/ipv4/ip_local_port_range";
        std::fs::write(range, "40000 40000").unwrap();
        let error = run(dial(&address("127.0.0.1:40000"), &[], PATIENT)).unwrap_err();
        assert_eq!(error.code(), "ZP_DIAL_REFUSED", "{error}");
    });
}

#[test]
fn a_link_local_peer_is_reached_through_its_interface() {
    let _turn = Turn::take();
    in_own_network(|| {
        let ip = |line: &str| {
            let status = Command::new("ip").args(line.split(' ')).status().unwrap();
            assert!(status.success(), "ip {line}");
        };
        ip("link add zpd0 type veth peer name zpd1");
        ip("link set zpd0 up");
        ip("link set zpd1 up");
        ip("addr add fe80::99/64 dev zpd0 nodad");
        let listener = Listener::bind(&address("[fe80::99%zpd0]:0")).unwrap();
        let local = address(listener.local());
        let Address::Tcp {
            host: Host::V6Zone(..),
            port,
        } = local
        else {
            panic!("{local}")
        };
        for near in [local.clone(), address(format!("[fe80::99%zpd0]:{port}"))] {
            run(async {
                let stream = dial(&near, &[], PATIENT).await.unwrap();
                assert_joined(&stream, &listener.accept().await.unwrap());
            });
        }
        // An unreachable network, rather than one that swallows packets.
        let error = run(dial(&address("192.0.2.1:7000"), &[], PATIENT)).unwrap_err();
        assert_eq!(
            (error.code(), error.errno()),
            ("ZP_DIAL", Some(libc::ENETUNREACH))
        );
    });
}

#[test]
fn a_datagram_socket_is_no_peer() {
    let _turn = Turn::take();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let asked = address(udp.local_addr().unwrap().to_string());
    assert_eq!(
        run(dial(&asked, &[], PATIENT)).unwrap_err().code(),
        "ZP_DIAL_REFUSED"
    );
}
