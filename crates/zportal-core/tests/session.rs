//! Both directions of a session: what crosses it, what it refuses, how it ends.

mod common;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use common::{Bench, MTU_BYTES, frame, hello, packet, their_hello};
use zportal_core::error::Error;
use zportal_core::window::asking::IDLE_PING_NS;
use zportal_core::window::inflight::INITIAL_BYTES;
use zportal_core::wire::control::{CONTROL_MAX_BYTES, CloseReason, Control, Delivered, Ping};
use zportal_core::wire::features::Features;
use zportal_core::wire::header::{FLAG_CONTROL, FLAG_VNET};
use zportal_core::wire::vnet::{DATA_VALID, VNET_HEADER_BYTES};

const EVERYTHING: Features = Features(
    Features::VNET.0
        | Features::TSO4.0
        | Features::TSO6.0
        | Features::USO4.0
        | Features::USO6.0
        | Features::TSO_ECN.0
        | Features::PING.0,
);

#[test]
fn packets_cross_both_ways_to_an_original() {
    let mut bench = Bench::start(EVERYTHING, &[]);
    assert_eq!(bench.read_hello(), hello(EVERYTHING));
    for size in [20, 100, 1399, 1400] {
        let packet = packet(size, size as u8);
        bench.write_frame(0, &packet);
        assert_eq!(bench.receive_packet(), packet);
        bench.send_packet(&packet);
        assert_eq!(bench.read_frame(), (0, packet));
    }
    assert_eq!(bench.proven.recv().unwrap(), "original");
    let stats = std::sync::Arc::clone(&bench.stats);
    bench.peer.shutdown(Shutdown::Both).unwrap();
    assert!(matches!(bench.end(), Error::PeerClosed { said: None }));
    // A send is counted after the peer may have read it: only the end settles the totals.
    assert_eq!(stats.tx_packets.total(), 4);
    assert_eq!(stats.rx_packets.total(), 4);
    assert_eq!(stats.rx_bytes.total(), 20 + 100 + 1399 + 1400);
}

#[test]
fn a_tun_that_the_ring_cannot_read_is_read_without_it() {
    let mut bench = Bench::start_never_waiting(Features::NONE);
    bench.read_hello();
    for number in 1..=20 {
        let packet = packet(100, number);
        bench.send_packet(&packet);
        assert_eq!(bench.read_frame(), (0, packet.clone()));
        bench.write_frame(0, &packet);
        assert_eq!(bench.receive_packet(), packet);
    }
    bench.wake.request_close();
    assert!(matches!(bench.end(), Error::Closed));
}

#[test]
fn what_came_with_the_link_is_delivered_before_what_follows() {
    let (first, second) = (packet(60, 1), packet(61, 2));
    let mut stream = frame(0, &first);
    stream.extend(frame(0, &second));
    for cut in 0..=stream.len() {
        let (early, rest) = stream.split_at(cut);
        let mut bench = Bench::start(Features::NONE, early);
        bench.peer.write_all(rest).unwrap();
        assert_eq!(bench.receive_packet(), first, "cut at {cut}");
        assert_eq!(bench.receive_packet(), second, "cut at {cut}");
    }
}

#[test]
fn the_order_of_packets_is_kept_in_both_directions_at_once() {
    const PACKETS: u32 = 20_000;
    let mut bench = Bench::start(Features::NONE, &[]);
    bench.read_hello();
    let numbered = |number: u32| {
        let mut packet = packet(20 + (number as usize * 37) % 1200, 3);
        packet[4..8].copy_from_slice(&number.to_be_bytes());
        packet
    };
    std::thread::scope(|scope| {
        let kernel = bench.kernel.try_clone().unwrap();
        let mut peer = bench.peer.try_clone().unwrap();
        // The queue is right to drop from a flow that a slow reader lets stand.
        let (take, taken) = std::sync::mpsc::sync_channel(64);
        scope.spawn(move || {
            for number in 0..PACKETS {
                take.send(()).unwrap();
                let packet = [&[0; VNET_HEADER_BYTES], &numbered(number)[..]].concat();
                rustix::net::send(&kernel, &packet, rustix::net::SendFlags::empty()).unwrap();
            }
        });
        // A TUN takes every packet; a packet socket only so many before they are read.
        let (write, read) = std::sync::mpsc::sync_channel(64);
        scope.spawn(move || {
            for number in 0..PACKETS {
                write.send(()).unwrap();
                peer.write_all(&frame(0, &numbered(number))).unwrap();
            }
        });
        let kernel = bench.kernel.try_clone().unwrap();
        let reader = scope.spawn(move || {
            let mut buffer = [0; 2048];
            for number in 0..PACKETS {
                let (bytes, _) =
                    rustix::net::recv(&kernel, &mut buffer[..], rustix::net::RecvFlags::empty())
                        .unwrap();
                assert!(
                    buffer[VNET_HEADER_BYTES..bytes] == numbered(number),
                    "packet {number} is another"
                );
                read.recv().unwrap();
            }
        });
        for number in 0..PACKETS {
            assert!(
                bench.read_frame() == (0, numbered(number)),
                "frame {number} is another"
            );
            taken.recv().unwrap();
        }
        reader.join().unwrap();
    });
}

/// Sends until nothing more fits anywhere between here and the peer, who reads nothing.
fn fill_the_way(bench: &Bench) {
    let raw = [&[0; VNET_HEADER_BYTES], &packet(1400, 9)[..]].concat();
    let full = || rustix::net::send(&bench.kernel, &raw, rustix::net::SendFlags::DONTWAIT).is_err();
    let mut stuck = 0;
    while stuck < 50 {
        stuck = if full() { stuck + 1 } else { 0 };
        std::thread::yield_now();
    }
}

#[test]
fn a_peer_that_reads_nothing_does_not_stop_what_it_sends() {
    let mut bench = Bench::start(Features::NONE, &[]);
    fill_the_way(&bench);
    for seed in 0..100 {
        let packet = packet(500, seed);
        bench.write_frame(0, &packet);
        assert_eq!(bench.receive_packet(), packet);
    }
}

#[test]
fn a_stream_that_is_no_peer_ends_with_its_code_and_puts_nothing_on_the_tun() {
    let good = frame(0, &packet(40, 1));
    let mut magic = good.clone();
    magic[0] ^= 1;
    let mut flags = good.clone();
    flags[7] = 4;
    let mut empty = good.clone();
    empty[8..12].fill(0);
    let too_large = frame(0, &packet(usize::from(MTU_BYTES) + 1, 1));
    let mut damaged = good.clone();
    damaged[20] ^= 0x40;
    let cases: [(&str, &[u8]); 7] = [
        ("ZP_FRAME_MAGIC", &magic),
        ("ZP_FRAME_FLAGS", &flags),
        ("ZP_FRAME_SIZE", &empty),
        ("ZP_FRAME_SIZE", &too_large),
        ("ZP_FRAME_CRC", &damaged),
        ("ZP_FRAME_CUT", &good[..good.len() - 1]),
        ("ZP_PEER_CLOSED", b""),
    ];
    for (code, bytes) in cases {
        let mut bench = Bench::start(Features::NONE, &[]);
        bench.peer.write_all(bytes).unwrap();
        bench.peer.shutdown(Shutdown::Write).unwrap();
        let (end, rest) = bench.end_and_rest();
        assert_eq!(end.code(), code);
        assert_eq!(rest, Vec::<Vec<u8>>::new(), "{code}");
    }
}

#[test]
fn every_cut_inside_a_frame_leaves_the_frames_before_it_and_no_half() {
    let (first, second) = (packet(33, 1), packet(47, 2));
    let mut stream = frame(0, &first);
    let boundary = stream.len();
    stream.extend(frame(0, &second));
    for cut in boundary + 1..stream.len() {
        let mut bench = Bench::start(Features::NONE, &[]);
        bench.peer.write_all(&stream[..cut]).unwrap();
        bench.peer.shutdown(Shutdown::Write).unwrap();
        let (end, rest) = bench.end_and_rest();
        assert_eq!(end.code(), "ZP_FRAME_CUT", "cut at {cut}");
        assert_eq!(rest.len(), 1, "cut at {cut}");
        assert_eq!(rest[0][VNET_HEADER_BYTES..], first[..]);
    }
}

#[test]
fn two_zportals_agree_on_what_both_can() {
    let theirs = Features::VNET | Features::TSO4 | Features(1 << 30);
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.read_hello();
    bench.write_frame(0, &their_hello(theirs));
    assert_eq!(bench.proven.recv().unwrap(), "v1 VNET+TSO4");
    // A partial checksum: the header goes with the packet, unchanged.
    let mut udp = packet(100, 5);
    udp[9] = 17;
    let vnet = [1, 0, 0, 0, 0, 0, 20, 0, 6, 0];
    let raw = [&vnet[..], &udp].concat();
    bench.send_raw(&raw);
    assert_eq!(bench.read_frame(), (FLAG_VNET, raw));
    // A packet with nothing to say in its header goes without one.
    bench.send_packet(&udp);
    assert_eq!(bench.read_frame(), (0, udp));
}

#[test]
fn a_packet_that_the_kernel_has_verified_reaches_every_peer_as_a_plain_frame() {
    let verified = |seed| [&[DATA_VALID][..], &[0; 9], &packet(100, seed)].concat();
    let none = their_hello(Features::NONE).to_vec();
    let everything = their_hello(EVERYTHING).to_vec();
    for first in [None, Some(packet(40, 1)), Some(none), Some(everything)] {
        let mut bench = Bench::start(EVERYTHING, &[]);
        bench.read_hello();
        if let Some(first) = first {
            bench.write_frame(0, &first);
            bench.proven.recv().unwrap();
        }
        bench.send_raw(&verified(3));
        assert_eq!(bench.read_frame(), (0, packet(100, 3)));
        assert_eq!(bench.stats.drops_oversize.total(), 0);
    }
}

#[test]
fn a_hostile_header_is_dropped_and_counted_and_the_session_lives() {
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.read_hello();
    bench.write_frame(0, &their_hello(EVERYTHING));
    // A checksum beyond the packet's end; an unknown kind of super-packet; nothing but a header.
    let beyond = [&[1, 0, 0, 0, 0, 0, 0xff, 0xff, 16, 0][..], &packet(60, 1)].concat();
    let unknown = [&[1, 77, 40, 0, 100, 0, 20, 0, 16, 0][..], &packet(60, 1)].concat();
    for payload in [&beyond[..], &unknown[..], &[0; VNET_HEADER_BYTES][..]] {
        bench.write_frame(FLAG_VNET, payload);
    }
    let after = packet(60, 2);
    bench.write_frame(0, &after);
    assert_eq!(bench.receive_packet(), after);
    assert_eq!(bench.stats.drops_header.total(), 3);
}

#[test]
fn vnet_and_control_frames_are_refused_from_whoever_did_not_announce_them() {
    for flags in [FLAG_VNET, FLAG_CONTROL] {
        let mut bench = Bench::start(EVERYTHING, &[]);
        bench.write_frame(0, &packet(40, 1));
        bench.write_frame(flags, &packet(40, 1));
        assert_eq!(bench.end().code(), "ZP_FRAME_FLAGS");
    }
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.write_frame(0, &their_hello(Features::PING));
    bench.write_frame(FLAG_VNET, &packet(40, 1));
    assert_eq!(bench.end().code(), "ZP_FRAME_FLAGS");
}

#[test]
fn a_ping_is_answered_with_what_was_delivered_and_the_unknown_is_counted() {
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.read_hello();
    bench.write_frame(0, &their_hello(EVERYTHING));
    bench.write_frame(0, &packet(40, 1));
    bench.write_frame(FLAG_CONTROL, &[200, 1, 2, 3]);
    let ping = Control::Ping(Ping {
        sequence: 5,
        sent_ns: 77,
        delivered: Delivered::default(),
    });
    bench.write_frame(FLAG_CONTROL, ping.encode(&mut [0; CONTROL_MAX_BYTES]));
    let (flags, payload) = bench.read_frame();
    assert_eq!(flags, FLAG_CONTROL);
    let Ok(Control::Pong(pong)) = Control::parse(&payload) else {
        panic!("{payload:?} is no PONG");
    };
    assert_eq!((pong.sequence, pong.ping_sent_ns), (5, 77));
    assert_eq!((pong.delivered.frames, pong.delivered.bytes), (1, 40));
    assert_eq!(bench.stats.unknown_controls.total(), 1);
}

#[test]
fn the_shells_of_both_ends_hear_each_other_and_an_original_hears_nothing() {
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.read_hello();
    bench.write_frame(0, &their_hello(EVERYTHING));
    let theirs = Control::Word { text: "question" };
    bench.write_frame(FLAG_CONTROL, theirs.encode(&mut [0; CONTROL_MAX_BYTES]));
    let heard = bench.words_heard.recv_timeout(common::PATIENCE);
    assert_eq!(heard.as_deref(), Ok("question"));
    for answer in ["one", "two"] {
        assert!(bench.words.say(answer.into()));
        bench.wake.wake();
    }
    for answer in ["one", "two"] {
        let (flags, payload) = bench.read_frame();
        assert_eq!(flags, FLAG_CONTROL);
        assert_eq!(Control::parse(&payload), Ok(Control::Word { text: answer }));
    }
    assert_eq!(bench.stats.unknown_controls.total(), 0);

    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.read_hello();
    bench.write_frame(0, &packet(40, 1));
    bench.receive_packet();
    assert!(bench.words.say("lost".into()));
    bench.wake.wake();
    // What comes next is what the original understands.
    bench.send_packet(&packet(60, 2));
    assert_eq!(bench.read_any_frame(), (0, packet(60, 2)));
}

#[test]
fn words_to_a_peer_that_reads_nothing_stay_few_and_go_when_it_reads_again() {
    const ROUNDS: usize = 20;
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.read_hello();
    bench.write_frame(0, &their_hello(EVERYTHING));
    bench.proven.recv().unwrap();
    fill_the_way(&bench);
    let mut said = Vec::new();
    for _ in 0..ROUNDS {
        let word = |number: usize| number.to_string();
        while bench.words.say(word(said.len())) {
            said.push(word(said.len()));
        }
        bench.wake.wake();
        // The second packet enters a turn behind the one that was woken.
        for seed in 0..2 {
            bench.write_frame(0, &packet(60, seed));
            assert_eq!(bench.receive_packet(), packet(60, seed));
        }
    }
    assert!(said.len() < ROUNDS, "{} words wait", said.len());
    let mut heard = Vec::new();
    while heard.len() < said.len() {
        if let (FLAG_CONTROL, payload) = bench.read_frame()
            && let Ok(Control::Word { text }) = Control::parse(&payload)
        {
            heard.push(text.to_owned());
        }
    }
    assert_eq!(heard, said);
}

#[test]
fn of_many_pings_at_once_the_newest_is_answered() {
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.read_hello();
    let mut flood = frame(0, &their_hello(EVERYTHING));
    for sequence in 1..=500 {
        let ping = Control::Ping(Ping {
            sequence,
            sent_ns: sequence.into(),
            delivered: Delivered::default(),
        });
        flood.extend(frame(
            FLAG_CONTROL,
            ping.encode(&mut [0; CONTROL_MAX_BYTES]),
        ));
    }
    bench.peer.write_all(&flood).unwrap();
    let mut answers = Vec::new();
    while answers.last() != Some(&500) {
        if let (FLAG_CONTROL, payload) = bench.read_frame()
            && let Ok(Control::Pong(pong)) = Control::parse(&payload)
        {
            answers.push(pong.sequence);
        }
    }
    assert!(answers.is_sorted());
    assert!(answers.len() < 500, "{}", answers.len());
}

#[test]
fn a_peer_that_can_answer_is_asked_at_once_and_the_round_trip_is_known() {
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.read_hello();
    bench.write_frame(0, &their_hello(EVERYTHING));
    bench.write_frame(0, &packet(300, 1));
    let (flags, payload) = bench.read_any_frame();
    assert_eq!(flags, FLAG_CONTROL);
    let Ok(Control::Ping(ping)) = Control::parse(&payload) else {
        panic!("{payload:?} is no PING");
    };
    assert_eq!(ping.sequence, 1);
    bench.answer(&ping);
    let deadline = std::time::Instant::now() + common::PATIENCE;
    while bench.stats.rtt_us.total() == 0 {
        assert!(std::time::Instant::now() < deadline, "no round trip");
        std::thread::yield_now();
    }
    // The next one tells what has come meanwhile; it goes in front of a packet once it is due.
    let payload = loop {
        assert!(std::time::Instant::now() < deadline, "not asked again");
        // Each alone.
        std::thread::sleep(Duration::from_micros(100));
        bench.send_packet(&packet(40, 1));
        let (flags, payload) = bench.read_any_frame();
        if flags == FLAG_CONTROL {
            break payload;
        }
    };
    assert_eq!(bench.read_any_frame(), (0, packet(40, 1)));
    let Ok(Control::Ping(second)) = Control::parse(&payload) else {
        panic!("{payload:?} is no PING");
    };
    assert_eq!((second.sequence, second.delivered.bytes), (2, 300));
    assert!(
        second.sent_ns - ping.sent_ns < IDLE_PING_NS,
        "it went by itself"
    );
}

/// No more goes into a relay than comes out at its far end, but for a batch of sparse flows' packets.
#[test]
fn only_so_much_is_under_way_as_the_peer_reports() {
    // Together, and each alone.
    for gap in [Duration::ZERO, Duration::from_micros(100)] {
        only_so_much_is_under_way(gap);
    }
}

fn only_so_much_is_under_way(gap: Duration) {
    let mut bench = Bench::start_on(EVERYTHING, &[], true);
    assert!(bench.read_hello().is_relayed);
    bench.write_frame(0, &their_hello(EVERYTHING));
    for number in 0..60 {
        bench.send_packet(&packet(1400, number));
        std::thread::sleep(gap);
    }
    let (mut bytes, mut last_ping) = (0, None);
    bench
        .peer
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    while let Some((flags, payload)) = bench.try_read_frame() {
        match Control::parse(&payload) {
            Ok(Control::Ping(ping)) if flags & FLAG_CONTROL != 0 => last_ping = Some(ping),
            _ => bytes += payload.len() as u64,
        }
    }
    let most = INITIAL_BYTES + 1400 + 3 * 1400;
    assert!((INITIAL_BYTES..=most).contains(&bytes), "{bytes} bytes");
    // Every waiting packet comes once what was sent is reported.
    bench.peer.set_read_timeout(Some(common::PATIENCE)).unwrap();
    bench.finished.bytes = bytes;
    bench.answer(&last_ping.expect("what was sent was asked about"));
    while bytes < 60 * 1400 {
        bytes += bench.read_frame().1.len() as u64;
    }
}

#[test]
fn a_peer_that_cannot_answer_is_never_asked() {
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.read_hello();
    bench.write_frame(0, &their_hello(EVERYTHING.without(Features::PING)));
    for number in 0..3 {
        let packet = packet(100, number);
        bench.send_packet(&packet);
        assert_eq!(bench.read_any_frame(), (0, packet));
    }
}

#[test]
fn a_closing_end_says_so_and_the_other_names_the_reason() {
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.read_hello();
    bench.write_frame(0, &their_hello(EVERYTHING));
    bench.proven.recv().unwrap();
    bench.wake.request_close();
    let (flags, payload) = bench.read_frame();
    assert_eq!(flags, FLAG_CONTROL);
    assert!(matches!(
        Control::parse(&payload),
        Ok(Control::Close {
            reason: CloseReason::SHUTDOWN,
            ..
        })
    ));
    // It waits for the answer to its goodbye, and takes what was under way.
    let late = packet(60, 1);
    bench.write_frame(0, &late);
    assert_eq!(bench.receive_packet(), late);
    assert_eq!(bench.peer.read(&mut [0]).unwrap(), 0);
    bench.peer.shutdown(Shutdown::Both).unwrap();
    assert_eq!(bench.end().code(), "ZP_CLOSED");

    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.write_frame(0, &their_hello(EVERYTHING));
    bench.write_frame(FLAG_CONTROL, &payload);
    let end = bench.end();
    assert_eq!(end.code(), "ZP_PEER_CLOSED");
    assert_eq!(
        end.to_string(),
        "the peer closed the connection: shutting down"
    );
}

#[test]
fn the_commonest_mistakes_are_told() {
    let mut theirs = hello(Features::NONE);
    theirs.session_id = [9; 16];
    theirs.mtu_bytes = 1500;
    let mut bench = Bench::start(Features::NONE, &[]);
    bench.write_frame(0, &theirs.encode());
    assert_eq!(
        bench.notices.recv_timeout(common::PATIENCE).unwrap(),
        "mtu-differs"
    );
}

#[test]
fn a_malformed_hello_ends_the_link_with_its_code() {
    let mut bytes = hello(EVERYTHING).encode();
    bytes[28] = 0;
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.write_frame(0, &bytes);
    assert_eq!(bench.end().code(), "ZP_MESSAGE");
}

#[test]
fn a_tunnel_that_is_connected_to_itself_says_so() {
    let mut bench = Bench::start(EVERYTHING, &[]);
    let own = bench.read_hello().encode();
    bench.write_frame(0, &own);
    let end = bench.end();
    assert_eq!(end.code(), "ZP_MESSAGE");
    assert!(end.to_string().contains("own HELLO"), "{end}");
}

#[test]
fn a_packet_above_the_peers_limit_is_dropped_and_counted() {
    let mut bench = Bench::start(Features::NONE, &[]);
    bench.read_hello();
    bench.send_packet(&packet(1401, 1));
    bench.send_packet(&packet(1400, 2));
    assert_eq!(bench.read_frame(), (0, packet(1400, 2)));
    assert_eq!(bench.stats.drops_oversize.total(), 1);
}

#[test]
fn a_peer_that_answers_no_question_any_more_is_dead_within_twelve_seconds() {
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.read_hello();
    bench.write_frame(0, &their_hello(EVERYTHING));
    // It answers, as it has announced...
    bench.write_frame(0, &packet(40, 1));
    bench.send_packet(&packet(40, 2));
    bench.read_frame();
    let silent_since = std::time::Instant::now();
    // ...and then never again, though its end of the stream stays open and is read.
    let mut reader = bench.peer.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while reader.read(&mut bytes).is_ok_and(|count| count > 0) {}
    });
    let end = bench.end();
    assert_eq!(end.code(), "ZP_PEER_SILENT");
    let silent = silent_since.elapsed();
    assert!(
        silent.as_secs_f64() > 8.0 && silent.as_secs_f64() < 12.0,
        "{silent:?}"
    );
    reading.join().unwrap();
}

#[test]
fn a_peer_that_cannot_be_asked_may_be_silent() {
    let mut bench = Bench::start(EVERYTHING, &[]);
    bench.read_hello();
    bench.write_frame(0, &their_hello(Features::NONE));
    bench.proven.recv().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(12));
    let packet = packet(40, 1);
    bench.write_frame(0, &packet);
    assert_eq!(bench.receive_packet(), packet);
}

#[test]
fn a_peer_that_has_spoken_before_is_none_while_it_is_mute() {
    let mut bench = Bench::start_again(EVERYTHING);
    let since = std::time::Instant::now();
    bench.read_hello();
    assert_eq!(bench.notices.recv().unwrap(), "mute-peer");
    let mut reader = bench.peer.try_clone().unwrap();
    let reading =
        std::thread::spawn(
            move || while reader.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {},
        );
    // Hung up without a word: it was never proven.
    assert!(bench.proven.recv().is_err());
    assert_eq!(bench.end().code(), "ZP_PEER_SILENT");
    assert!((8.0..12.0).contains(&since.elapsed().as_secs_f64()));
    reading.join().unwrap();
}

#[test]
fn a_mute_peer_is_believed_with_its_first_word() {
    for hello in [true, false] {
        let mut bench = Bench::start_again(EVERYTHING);
        bench.read_hello();
        assert_eq!(bench.notices.recv().unwrap(), "mute-peer");
        if hello {
            bench.write_frame(0, &their_hello(EVERYTHING));
        } else {
            bench.write_frame(0, &packet(40, 1));
        }
        let speech = bench.proven.recv().unwrap();
        assert_eq!(speech == "original", !hello, "{speech}");
    }
}
