//! Listening and accepting, against real sockets of every kind.

mod link_support;

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::{Arc, Barrier};

use link_support::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use zportal_core::address::Address;
use zportal_core::error::Error;
use zportal_core::link::{Listener, Transport};

fn here() -> [Address; 4] {
    [
        address("127.0.0.1:0"),
        address("[::1]:0"),
        address("localhost:0"),
        address(format!("unixa:{}", unique())),
    ]
}

#[test]
fn accepts_on_every_kind_of_address() {
    let _turn = Turn::take();
    let directory = Directory::new();
    run(async {
        for asked in here().into_iter().chain([directory.socket()]) {
            let listener = Listener::bind(&asked).unwrap();
            assert!(
                listener.try_accept().unwrap().is_none(),
                "{asked}: nobody is there yet"
            );
            let local = address(listener.local());
            let (accepted, dialed) = tokio::join!(listener.accept(), dial(&local, &[], PATIENT));
            let (accepted, dialed) = (accepted.unwrap(), dialed.unwrap());
            assert_ready_for_packets(&accepted);
            assert_joined(&accepted, &dialed);
            assert!(accepted.early.is_empty());
            let tcp = matches!(asked, Address::Tcp { .. });
            assert_eq!(accepted.transport == Transport::Tcp, tcp, "{asked}");
            assert!(listener.try_accept().unwrap().is_none());
        }
    });
}

#[test]
fn try_accept_needs_no_runtime_and_takes_who_is_there() {
    let _turn = Turn::take();
    let listener = Listener::bind(&address("127.0.0.1:0")).unwrap();
    let newcomers: Vec<_> = (0..3)
        .map(|_| TcpStream::connect(listener.local()).unwrap())
        .collect();
    for newcomer in &newcomers {
        let stream = listener
            .try_accept()
            .unwrap()
            .expect("connect returned, so it is there");
        assert_eq!(stream.peer, newcomer.local_addr().unwrap().to_string());
        assert_ready_for_packets(&stream);
    }
    assert!(listener.try_accept().unwrap().is_none());
}

#[test]
fn newcomers_that_died_in_the_backlog_do_no_harm() {
    let _turn = Turn::take();
    run(async {
        let listener = Listener::bind(&address("127.0.0.1:0")).unwrap();
        for _ in 0..50 {
            let newcomer = TcpStream::connect(listener.local()).unwrap();
            let linger = Some(std::time::Duration::ZERO);
            rustix::net::sockopt::set_socket_linger(&newcomer, linger).unwrap();
        }
        let good = TcpStream::connect(listener.local()).unwrap();
        loop {
            let stream = listener.accept().await.unwrap();
            if stream.peer == good.local_addr().unwrap().to_string() {
                break;
            }
        }
    });
}

#[test]
fn a_dropped_accept_loses_nobody_and_frees_the_port() {
    let _turn = Turn::take();
    run(async {
        let asked = {
            let listener = Listener::bind(&address("127.0.0.1:0")).unwrap();
            tokio::select! {
                biased;
                _ = listener.accept() => panic!("nobody is there"),
                () = tokio::task::yield_now() => {}
            }
            let newcomer = TcpStream::connect(listener.local()).unwrap();
            let stream = listener.try_accept().unwrap().expect("still there");
            assert_eq!(stream.peer, newcomer.local_addr().unwrap().to_string());
            address(listener.local())
        };
        Listener::bind(&asked).expect("the port is free as soon as the listener is dropped");
    });
}

#[test]
fn both_families_arrive_at_the_unspecified_v6_address() {
    let _turn = Turn::take();
    let listener = Listener::bind(&address("[::]:0")).unwrap();
    let Address::Tcp { port, .. } = address(listener.local()) else {
        panic!()
    };
    for near in ["127.0.0.1", "::1"] {
        let newcomer = TcpStream::connect((near, port)).unwrap();
        let stream = listener.try_accept().unwrap().unwrap();
        assert_eq!(stream.peer, newcomer.local_addr().unwrap().to_string());
    }
}

#[test]
fn an_address_in_use_is_said_so() {
    let _turn = Turn::take();
    let directory = Directory::new();
    for asked in here().into_iter().chain([directory.socket()]) {
        let first = Listener::bind(&asked).unwrap();
        let again = address(first.local());
        let error = Listener::bind(&again).unwrap_err();
        assert!(matches!(error, Error::BindInUse { .. }), "{error}");
        assert_eq!(error.errno(), Some(libc::EADDRINUSE));
        assert!(error.to_string().contains(&first.local()), "{error}");
        // The one who was there is not disturbed, its file neither.
        if let Address::UnixPath(path) = &asked {
            UnixStream::connect(path).unwrap();
        }
        drop(first);
        Listener::bind(&again).unwrap();
    }
}

#[test]
fn what_cannot_be_listened_on_is_refused_with_the_cure() {
    let _turn = Turn::take();
    let error = Listener::bind(&address("192.0.2.1:7000")).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EADDRNOTAVAIL));
    // The address alone, and the cure behind what the kernel said.
    assert!(
        matches!(&error, Error::Bind { address, cure: Some(_), .. } if address == "192.0.2.1:7000"),
        "{error:?}"
    );
    assert!(error.to_string().contains("0.0.0.0"), "{error}");

    let error = Listener::bind(&address("unix:/nonexistent-zp/s")).unwrap_err();
    assert_eq!(
        (error.code(), error.errno()),
        ("ZP_BIND", Some(libc::ENOENT))
    );
    assert!(error.to_string().contains("create it"), "{error}");

    let error = Listener::bind(&address("[fe80::1%nosuchif0]:7000")).unwrap_err();
    assert_eq!(
        (error.code(), error.errno()),
        ("ZP_BIND", Some(libc::ENODEV))
    );

    let error = Listener::bind(&address("[fe80::1]:7000")).unwrap_err();
    assert!(error.to_string().contains("%eth0"), "{error}");
}

#[test]
fn the_socket_file_is_ours_alone_and_goes_with_us() {
    let _turn = Turn::take();
    let directory = Directory::new();
    let path = directory.0.join("s");
    let listener = Listener::bind(&directory.socket()).unwrap();
    let found = std::fs::symlink_metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    drop(listener);
    assert!(!path.exists());
    // Nothing else was left in the directory either.
    assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 0);
}

#[test]
fn the_file_of_a_dead_process_is_replaced() {
    let _turn = Turn::take();
    let directory = Directory::new();
    let path = directory.0.join("s");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "std leaves it");
    let listener = Listener::bind(&directory.socket()).unwrap();
    let _newcomer = UnixStream::connect(&path).unwrap();
    assert!(listener.try_accept().unwrap().is_some());
}

#[test]
fn what_is_not_a_dead_stream_socket_is_never_removed() {
    let _turn = Turn::take();
    let directory = Directory::new();
    let path = directory.0.join("s");
    let refused = |code: &str| {
        let error = Listener::bind(&directory.socket()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(
            std::fs::symlink_metadata(&path).is_ok(),
            "{code}: it is gone"
        );
        error.to_string()
    };

    std::fs::write(&path, "precious").unwrap();
    assert!(refused("ZP_BIND").contains("not a socket"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();

    std::os::unix::fs::symlink(directory.0.join("elsewhere"), &path).unwrap();
    refused("ZP_BIND");
    std::fs::remove_file(&path).unwrap();

    std::fs::create_dir(&path).unwrap();
    refused("ZP_BIND");
    std::fs::remove_dir(&path).unwrap();

    let _datagrams = UnixDatagram::bind(&path).unwrap();
    refused("ZP_BIND_IN_USE");
}

#[test]
fn a_file_that_took_our_place_survives_us() {
    let _turn = Turn::take();
    let directory = Directory::new();
    let path = directory.0.join("s");
    let first = Listener::bind(&directory.socket()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let second = Listener::bind(&directory.socket()).unwrap();
    drop(first);
    let _newcomer = UnixStream::connect(&path).expect("the second one's file is still there");
    assert!(second.try_accept().unwrap().is_some());
    drop(second);
    assert!(!path.exists());
}

#[test]
fn of_many_that_find_a_dead_file_at_once_one_wins_and_is_reachable() {
    const RIVALS: usize = 4;
    let _turn = Turn::take();
    for _ in 0..50 {
        let directory = Directory::new();
        let path = directory.0.join("s");
        drop(UnixListener::bind(&path).unwrap());
        let start = Arc::new(Barrier::new(RIVALS));
        let rivals: Vec<_> = (0..RIVALS)
            .map(|_| {
                let (start, asked) = (start.clone(), directory.socket());
                std::thread::spawn(move || {
                    start.wait();
                    Listener::bind(&asked)
                })
            })
            .collect();
        let outcomes: Vec<_> = rivals.into_iter().map(|one| one.join().unwrap()).collect();
        let winners: Vec<_> = outcomes.iter().flatten().collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        let _newcomer = UnixStream::connect(&path).unwrap();
        assert!(winners[0].try_accept().unwrap().is_some());
    }
}

/// Lowers the limit of open descriptors to what is open, and raises it again.
struct NoMoreDescriptors(Rlimit);

impl NoMoreDescriptors {
    fn begin() -> Self {
        let before = getrlimit(Resource::Nofile);
        // The lowest free number: everything from it on is out of bounds. Numbers below are all
        // taken, because the kernel always gives the lowest.
        let lowest = std::fs::File::open("/dev/null").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&lowest);
        let limit = Rlimit {
            current: Some(number as u64),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, limit).unwrap();
        Self(before)
    }
}

impl Drop for NoMoreDescriptors {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).unwrap();
    }
}

#[test]
fn without_descriptors_somebody_else_can_make_room_for_a_newcomer() {
    let _turn = Turn::take();
    run(async {
        let listener = Listener::bind(&address("127.0.0.1:0")).unwrap();
        let local = address(listener.local());
        let _first = dial(&local, &[], PATIENT).await.unwrap();
        let mut earlier = listener.try_accept().unwrap();
        let second = dial(&local, &[], PATIENT).await.unwrap();
        let _limit = NoMoreDescriptors::begin();
        let newcomer = listener.try_accept_making_room(|| earlier.take().is_some());
        let newcomer = newcomer.unwrap().expect("there is room for it");
        // It is the second: what that says arrives here.
        assert_eq!(rustix::io::write(&second.socket, b"x"), Ok(1));
        assert_eq!(rustix::io::read(&newcomer.socket, &mut [0; 2]), Ok(1));
        let nobody = listener.try_accept_making_room(|| panic!("nobody needs room"));
        assert!(nobody.unwrap().is_none());
    });
}

#[test]
fn without_descriptors_newcomers_are_shut_out_and_listening_goes_on() {
    let _turn = Turn::take();
    for asked in [
        address("127.0.0.1:0"),
        address(format!("unixa:{}", unique())),
    ] {
        run(async {
            let listener = Listener::bind(&asked).unwrap();
            let local = address(listener.local());
            let refused = [
                dial(&local, &[], PATIENT).await.unwrap(),
                dial(&local, &[], PATIENT).await.unwrap(),
            ];
            let limit = NoMoreDescriptors::begin();
            for newcomer in &refused {
                let error = listener.try_accept().unwrap_err();
                assert_eq!(
                    (error.code(), error.errno()),
                    ("ZP_BIND", Some(libc::EMFILE))
                );
                assert_ended(&newcomer.socket);
            }
            assert!(
                listener.try_accept().unwrap().is_none(),
                "nobody is left in the backlog"
            );
            drop(limit);

            let refused = dial(&local, &[], PATIENT).await.unwrap();
            let limit = NoMoreDescriptors::begin();
            let mut accept = Box::pin(listener.accept());
            tokio::select! {
                biased;
                _ = &mut accept => panic!("there was no descriptor for it"),
                () = tokio::task::yield_now() => {}
            }
            // The runtime is left to run until the newcomer has heard.
            let mut rest = [0; 1];
            let watcher = std::thread::spawn(move || {
                let mut ended = std::fs::File::from(refused.socket);
                ended.read(&mut rest).unwrap_or(0)
            });
            while !watcher.is_finished() {
                tokio::select! {
                    biased;
                    _ = &mut accept => panic!("there was no descriptor for it"),
                    () = tokio::task::yield_now() => {}
                }
            }
            assert_eq!(watcher.join().unwrap(), 0);
            drop(limit);
            let (accepted, dialed) = tokio::join!(accept, dial(&local, &[], PATIENT));
            assert_joined(&accepted.unwrap(), &dialed.unwrap());
        });
    }
}
