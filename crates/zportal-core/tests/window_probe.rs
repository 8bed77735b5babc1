//! When the peer is asked, and what its answers tell.

use zportal_core::window::asking::{IDLE_PING_NS, WATCH_PING_NS};
use zportal_core::window::beyond::LATE_ANSWERS;
use zportal_core::window::inflight::INITIAL_BYTES;
use zportal_core::window::probe::{FAST_BYTES_PER_SECOND, Probe};
use zportal_core::wire::control::{Delivered, Ping, Pong};
use zportal_core::wire::features::Features;

const MS: u64 = 1_000_000;
const PACKET_BYTES: u64 = 4200;
const NOTHING: Delivered = Delivered {
    frames: 0,
    bytes: 0,
};

fn probe() -> Probe {
    let mut probe = Probe::new(0, PACKET_BYTES, false);
    probe.learnt(0, Features::PING, false);
    probe
}

fn answer(probe: &mut Probe, now_ns: u64, ping: Ping, delivered_bytes: u64) {
    let delivered = Delivered {
        frames: 1,
        bytes: delivered_bytes,
    };
    let pong = Pong {
        sequence: ping.sequence,
        ping_sent_ns: ping.sent_ns,
        delivered,
        sent_ns: now_ns,
    };
    probe.on_pong(now_ns, &pong);
}

#[test]
fn nothing_is_asked_before_the_peer_has_shown_that_it_can_answer() {
    let mut probe = Probe::new(0, PACKET_BYTES, false);
    probe.on_sent(0, 100_000);
    assert_eq!(probe.ping_at(), None);
    assert_eq!(probe.ping(IDLE_PING_NS, false, NOTHING), None);
    probe.learnt(0, Features::VNET, false);
    assert_eq!(probe.ping(IDLE_PING_NS, false, NOTHING), None);
    probe.learnt(0, Features::PING, false);
    assert!(probe.ping(IDLE_PING_NS, false, NOTHING).is_some());
}

#[test]
fn packets_take_a_question_along_and_an_idle_link_is_rarely_asked() {
    let mut probe = probe();
    let first = probe.ping(0, false, NOTHING).unwrap();
    assert_eq!(probe.ping(0, true, NOTHING), None, "once is enough");
    assert_eq!(probe.ping_at(), Some(IDLE_PING_NS));
    probe.on_sent(MS, 1000);
    assert_eq!(
        probe.ping_at(),
        Some(IDLE_PING_NS),
        "alone it would only be in the way"
    );
    assert_eq!(probe.ping(WATCH_PING_NS, false, NOTHING), None);
    assert_eq!(probe.ping(WATCH_PING_NS - 1, true, NOTHING), None);
    let second = probe.ping(WATCH_PING_NS, true, NOTHING).unwrap();
    assert_eq!((first.sequence, second.sequence), (1, 2));
    assert_eq!(probe.ping_at(), Some(WATCH_PING_NS + IDLE_PING_NS));
}

#[test]
fn whether_a_question_would_go_along_is_told_before_it_does() {
    let mut probe = probe();
    for now_ns in (0..3_000_000_000).step_by(7_000_000) {
        let is_due = probe.is_due_along(now_ns);
        let ping = probe.ping(now_ns, true, NOTHING);
        assert_eq!(is_due, ping.is_some(), "{now_ns}");
    }
}

/// An end answers the newest of several PINGs, for all of them.
#[test]
fn the_answer_to_a_later_ping_answers_the_earlier_ones() {
    let mut probe = probe();
    for number in 0..5 {
        probe.ping(number * IDLE_PING_NS, false, NOTHING).unwrap();
    }
    let last = probe.ping(5 * IDLE_PING_NS, false, NOTHING).unwrap();
    answer(&mut probe, 5 * IDLE_PING_NS + MS, last, 0);
    assert_eq!(probe.rtt_ns(), MS);
}

#[test]
fn the_round_trip_is_smoothed_and_the_shortest_is_kept() {
    let mut probe = probe();
    let mut now_ns = 0;
    for rtt_ms in [20, 20, 28] {
        let ping = probe.ping(now_ns, false, NOTHING).unwrap();
        answer(&mut probe, now_ns + rtt_ms * MS, ping, 0);
        now_ns += IDLE_PING_NS;
    }
    assert_eq!(probe.rtt_ns(), 21 * MS);
    assert_eq!(probe.min_rtt_ns(), 20 * MS);
    // An answer that was never asked for, or comes twice, changes nothing.
    let ping = probe.ping(now_ns, false, NOTHING).unwrap();
    answer(&mut probe, now_ns + 21 * MS, ping, 0);
    answer(&mut probe, now_ns + 900 * MS, ping, 0);
    answer(
        &mut probe,
        now_ns + 900 * MS,
        Ping {
            sent_ns: 77,
            ..ping
        },
        0,
    );
    assert_eq!(probe.rtt_ns(), 21 * MS);
}

/// Sends `bytes`, asks along with the next, and has all of it reported after `rtt_ns`; returns when that was.
fn exchange(probe: &mut Probe, now_ns: u64, bytes: u64, sent: &mut u64, rtt_ns: u64) -> u64 {
    probe.on_sent(now_ns, bytes);
    *sent += bytes;
    let asked_ns = probe
        .ping_at()
        .unwrap()
        .clamp(now_ns, now_ns + WATCH_PING_NS);
    let ping = probe.ping(asked_ns, true, NOTHING).unwrap();
    answer(probe, asked_ns + rtt_ns, ping, *sent);
    asked_ns + rtt_ns
}

#[test]
fn only_a_relayed_link_is_held_back_and_either_end_may_know_that_it_is() {
    let direct = probe();
    assert_eq!(
        (direct.room_bytes(), direct.limit_bytes()),
        (u64::MAX, None)
    );
    let mut told = Probe::new(0, PACKET_BYTES, false);
    told.learnt(0, Features::PING, true);
    assert_eq!(told.room_bytes(), INITIAL_BYTES);
    // Before anything is known of the peer as well, but not if it never will be.
    let mut knows = Probe::new(0, PACKET_BYTES, true);
    assert_eq!(knows.room_bytes(), INITIAL_BYTES);
    knows.learnt(0, Features::NONE, false);
    assert_eq!(knows.room_bytes(), u64::MAX);
    knows.learnt(0, Features::PING, false);
    assert_eq!(knows.room_bytes(), INITIAL_BYTES);
}

#[test]
fn a_relay_of_which_nobody_knows_is_noticed_by_late_answers_under_load() {
    let (mut probe, mut now_ns, mut sent) = (probe(), 0, 0);
    probe.on_tcp_rtt(MS);
    for _ in 0..10 {
        // Late, but next to nothing was under way: a busy peer.
        now_ns = exchange(&mut probe, now_ns, 1000, &mut sent, 400 * MS);
    }
    for _ in 0..LATE_ANSWERS - 1 {
        now_ns = exchange(&mut probe, now_ns, INITIAL_BYTES, &mut sent, 400 * MS);
    }
    now_ns = exchange(&mut probe, now_ns, INITIAL_BYTES, &mut sent, 3 * MS);
    for _ in 0..LATE_ANSWERS {
        assert_eq!(probe.limit_bytes(), None);
        now_ns = exchange(&mut probe, now_ns, INITIAL_BYTES, &mut sent, 400 * MS);
    }
    assert!(probe.limit_bytes().is_some());
}

#[test]
fn a_long_way_is_no_relay() {
    let (mut probe, mut now_ns, mut sent) = (probe(), 0, 0);
    probe.on_tcp_rtt(300 * MS);
    for _ in 0..20 {
        now_ns = exchange(&mut probe, now_ns, 1 << 20, &mut sent, 400 * MS);
    }
    assert_eq!(probe.limit_bytes(), None);
}

#[test]
fn at_full_speed_a_relayed_link_is_not_held_back() {
    let mut probe = Probe::new(0, PACKET_BYTES, true);
    probe.learnt(0, Features::PING, false);
    let (mut now_ns, mut sent) = (0, 0);
    let bytes = FAST_BYTES_PER_SECOND / 10;
    for _ in 0..20 {
        now_ns = exchange(&mut probe, now_ns, bytes, &mut sent, 20 * MS);
    }
    assert_eq!(probe.room_bytes(), u64::MAX);
    for _ in 0..50 {
        now_ns = exchange(&mut probe, now_ns, bytes / 100, &mut sent, 20 * MS);
    }
    assert!(probe.limit_bytes().is_some(), "it has become slow");
}
