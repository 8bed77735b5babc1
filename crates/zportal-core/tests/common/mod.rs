//! A session between two descriptors of the test's own: a SOCK_SEQPACKET pair in the TUN's place,
//! a Unix stream pair in the link's. No root, no network.

#![allow(dead_code, reason = "each test binary uses its part of this")]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, socketpair};
use zportal_core::error::Error;
use zportal_core::link::{Hop, Stream, Transport};
use zportal_core::notices::Notices;
use zportal_core::proxy::Kind;
use zportal_core::session::ring::Ring;
use zportal_core::session::{Acquaintance, Session, Surroundings};
use zportal_core::stats::Stats;
use zportal_core::tun::Tun;
use zportal_core::wake::Wake;
use zportal_core::wire::control::{CONTROL_MAX_BYTES, Control, Delivered, Ping, Pong};
use zportal_core::wire::features::Features;
use zportal_core::wire::header::{FLAG_CONTROL, MAX_PAYLOAD_BYTES, encode};
use zportal_core::wire::hello::{HELLO_BYTES, Hello, VERSION};
use zportal_core::wire::vnet::VNET_HEADER_BYTES;
use zportal_core::words::Words;

/// Nothing here takes long; whoever waits longer has found a defect.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const MTU_BYTES: u16 = 1400;

/// A running session and the far ends of its two descriptors.
pub struct Bench {
    /// Where the kernel would be: packets with a virtio_net_hdr.
    pub kernel: OwnedFd,
    /// Where the peer is: frames.
    pub peer: UnixStream,
    pub stats: Arc<Stats>,
    pub wake: Arc<Wake>,
    pub notices: Receiver<String>,
    /// What this end's shell says.
    pub words: Arc<Words>,
    /// What it hears from the peer's.
    pub words_heard: Receiver<String>,
    /// How the peer was said to speak.
    pub proven: Receiver<String>,
    /// What was read of packets behind HELLO, as PONG tells it.
    pub finished: Delivered,
    thread: JoinHandle<Error>,
}

fn hop(proxy: Option<Kind>) -> Hop {
    Hop {
        address: "test".into(),
        proxy,
        took: Duration::ZERO,
    }
}

pub fn hello(features: Features) -> Hello {
    Hello {
        version: VERSION,
        is_relayed: false,
        features,
        max_payload_bytes: MAX_PAYLOAD_BYTES as u32,
        mtu_bytes: MTU_BYTES,
        session_id: [7; 16],
        inner_ipv4: None,
        inner_ipv6_digest: None,
    }
}

/// What another ZPortal says of itself.
pub fn their_hello(features: Features) -> [u8; HELLO_BYTES] {
    let mut hello = hello(features);
    hello.session_id = [8; 16];
    hello.encode()
}

/// What is unusual about a session.
#[derive(Debug, Clone, Copy, Default)]
struct Setting {
    is_relayed: bool,
    has_spoken: bool,
    never_waits: bool,
}

impl Bench {
    pub fn start(features: Features, early: &[u8]) -> Bench {
        Bench::begin(features, early, Setting::default())
    }

    /// The same, on a link that is relayed or not.
    pub fn start_on(features: Features, early: &[u8], is_relayed: bool) -> Bench {
        let setting = Setting {
            is_relayed,
            ..Setting::default()
        };
        Bench::begin(features, early, setting)
    }

    /// The same as a client's further link, whose peer has spoken the extension before.
    pub fn start_again(features: Features) -> Bench {
        let setting = Setting {
            has_spoken: true,
            ..Setting::default()
        };
        Bench::begin(features, &[], setting)
    }

    /// The same with a TUN that the ring cannot read, as on a kernel before 6.4.
    pub fn start_never_waiting(features: Features) -> Bench {
        let setting = Setting {
            never_waits: true,
            ..Setting::default()
        };
        Bench::begin(features, &[], setting)
    }

    fn begin(features: Features, early: &[u8], setting: Setting) -> Bench {
        let flags = SocketFlags::CLOEXEC;
        let (kernel, tun) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let (peer, link) = UnixStream::pair().unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer.set_write_timeout(Some(PATIENCE)).unwrap();
        rustix::net::sockopt::set_socket_timeout(
            &kernel,
            rustix::net::sockopt::Timeout::Recv,
            Some(PATIENCE),
        )
        .unwrap();
        let stats = Arc::new(Stats::default());
        let wake = Arc::new(Wake::new().unwrap());
        let (told, notices) = channel();
        let (prove, proven): (Sender<String>, _) = channel();
        let (heard, words_heard) = channel();
        let heard = std::sync::Mutex::new(heard);
        let words = Arc::new(Words::new(Box::new(move |word| {
            let _ = heard.lock().unwrap().send(word);
        })));
        let for_words = Arc::clone(&words);
        let (for_stats, for_wake, early) = (Arc::clone(&stats), Arc::clone(&wake), early.to_vec());
        let thread = std::thread::spawn(move || {
            let tun = Tun::from_descriptor(tun, "test0".into(), MTU_BYTES).unwrap();
            if setting.never_waits {
                tun.never_wait().unwrap();
            }
            let mut ring = Ring::new().unwrap();
            let told = std::sync::Mutex::new(told);
            let notices = Notices::new(Box::new(move |notice| {
                let _ = told.lock().unwrap().send(notice.code.into());
            }));
            let stream = Stream {
                socket: link.into(),
                early,
                peer: "test".into(),
                transport: Transport::Unix,
                hops: if setting.is_relayed {
                    vec![hop(Some(Kind::Socks5)), hop(None)]
                } else {
                    Vec::new()
                },
            };
            let acquaintance = Acquaintance::default();
            acquaintance.heard(setting.has_spoken);
            let around = Surroundings {
                tun: &tun,
                door: None,
                network: None,
                acquaintance: &acquaintance,
                wake: &for_wake,
                stats: &for_stats,
                notices: &notices,
                words: &for_words,
            };
            let on_proven = Box::new(move |speech: &zportal_core::session::peer::Speech| {
                let _ = prove.send(speech.to_string());
            });
            Session::new(
                &mut ring,
                around,
                stream,
                hello(features),
                [1, 2],
                on_proven,
            )
            .run()
        });
        Bench {
            kernel,
            peer,
            stats,
            wake,
            notices,
            words,
            words_heard,
            proven,
            finished: Delivered::default(),
            thread,
        }
    }

    /// The HELLO that the session sends before anything else.
    pub fn read_hello(&mut self) -> Hello {
        let (flags, payload) = self.read_any_frame();
        assert_eq!((flags, payload.len()), (0, HELLO_BYTES));
        Hello::parse(&payload)
            .unwrap()
            .expect("the first frame is a HELLO")
    }

    /// The next frame that is no PING; those are answered, as a peer that announced PING does.
    pub fn read_frame(&mut self) -> (u32, Vec<u8>) {
        loop {
            let (flags, payload) = self.read_any_frame();
            if flags & FLAG_CONTROL == 0 {
                self.finished.frames += 1;
                self.finished.bytes += payload.len() as u64;
            } else if let Ok(Control::Ping(ping)) = Control::parse(&payload) {
                self.answer(&ping);
                continue;
            }
            return (flags, payload);
        }
    }

    /// Answers a PING with what was read so far.
    pub fn answer(&mut self, ping: &Ping) {
        let pong = Control::Pong(Pong {
            sequence: ping.sequence,
            ping_sent_ns: ping.sent_ns,
            delivered: self.finished,
            sent_ns: ping.sent_ns,
        });
        // Without a `Vec`, for the test that counts allocations. One that ends reads it no more.
        let mut payload = [0; CONTROL_MAX_BYTES];
        let payload = pong.encode(&mut payload);
        let _ = self.peer.write_all(&encode(FLAG_CONTROL, payload));
        let _ = self.peer.write_all(payload);
    }

    /// The next frame, whatever it is; `None` when none comes within the socket's read timeout.
    pub fn try_read_frame(&mut self) -> Option<(u32, Vec<u8>)> {
        let mut first = [0; 1];
        let peeked = rustix::net::recv(&self.peer, &mut first[..], RecvFlags::PEEK);
        peeked.ok().map(|_| self.read_any_frame())
    }

    /// The next frame, whatever it is.
    pub fn read_any_frame(&mut self) -> (u32, Vec<u8>) {
        let mut header = [0; 16];
        self.peer.read_exact(&mut header).unwrap();
        let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
        let mut payload = vec![0; word(8) as usize];
        self.peer.read_exact(&mut payload).unwrap();
        assert_eq!(encode(word(4), &payload), header);
        (word(4), payload)
    }

    pub fn write_frame(&mut self, flags: u32, payload: &[u8]) {
        self.peer.write_all(&frame(flags, payload)).unwrap();
    }

    /// Lets the kernel's side hand a packet over; its virtio_net_hdr is all zeros.
    pub fn send_packet(&self, packet: &[u8]) {
        self.send_raw(&[&[0; VNET_HEADER_BYTES], packet].concat());
    }

    pub fn send_raw(&self, packet: &[u8]) {
        rustix::net::send(&self.kernel, packet, SendFlags::empty()).unwrap();
    }

    /// What the session wrote to the TUN: virtio_net_hdr, packet.
    pub fn receive_raw(&self) -> Vec<u8> {
        let mut packet = vec![0; MAX_PAYLOAD_BYTES];
        let (bytes, _) =
            rustix::net::recv(&self.kernel, &mut packet[..], RecvFlags::empty()).unwrap();
        packet.truncate(bytes);
        packet
    }

    pub fn receive_packet(&self) -> Vec<u8> {
        let packet = self.receive_raw();
        assert_eq!(packet[..VNET_HEADER_BYTES], [0; VNET_HEADER_BYTES]);
        packet[VNET_HEADER_BYTES..].to_vec()
    }

    /// Why the session ended, once it has.
    pub fn end(self) -> Error {
        self.thread.join().unwrap()
    }

    /// The same, with everything that lay unread for the TUN.
    pub fn end_and_rest(self) -> (Error, Vec<Vec<u8>>) {
        let end = self.thread.join().unwrap();
        let mut rest = Vec::new();
        loop {
            let mut packet = vec![0; MAX_PAYLOAD_BYTES];
            match rustix::net::recv(&self.kernel, &mut packet[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) | Err(_) => return (end, rest),
                Ok((bytes, _)) => {
                    packet.truncate(bytes);
                    rest.push(packet);
                }
            }
        }
    }
}

pub fn frame(flags: u32, payload: &[u8]) -> Vec<u8> {
    [&encode(flags, payload)[..], payload].concat()
}

/// An IPv4 packet, as far as anybody here looks.
pub fn packet(bytes: usize, seed: u8) -> Vec<u8> {
    let mut packet: Vec<u8> = (0..bytes)
        .map(|at| (at as u8).wrapping_mul(31) ^ seed)
        .collect();
    packet[0] = 0x45;
    packet
}
