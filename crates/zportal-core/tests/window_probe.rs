//! When the peer is asked, and what its answers tell.

use zportal_core::window::asking::{IDLE_PING_NS, WATCH_PING_NS};
use zportal_core::window::probe::Probe;
use zportal_core::wire::control::{Delivered, Ping, Pong};
use zportal_core::wire::features::Features;

const MS: u64 = 1_000_000;
const PACKET_BYTES: u64 = 4200;
const NOTHING: Delivered = Delivered {
    frames: 0,
    bytes: 0,
};

fn probe() -> Probe {
    let mut probe = Probe::new(0, PACKET_BYTES);
    probe.learnt(Features::PING);
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
    let mut probe = Probe::new(0, PACKET_BYTES);
    probe.on_sent(0, 100_000);
    assert_eq!(probe.ping_at(), None);
    assert_eq!(probe.ping(IDLE_PING_NS, NOTHING), None);
    probe.learnt(Features::VNET);
    assert_eq!(probe.ping(IDLE_PING_NS, NOTHING), None);
    probe.learnt(Features::PING);
    assert!(probe.ping(IDLE_PING_NS, NOTHING).is_some());
}

#[test]
fn a_load_is_asked_about_often_and_an_idle_link_rarely() {
    let mut probe = probe();
    let first = probe.ping(0, NOTHING).unwrap();
    assert_eq!(probe.ping(0, NOTHING), None, "once is enough");
    assert_eq!(probe.ping_at(), Some(IDLE_PING_NS));
    probe.on_sent(MS, 1000);
    assert_eq!(probe.ping_at(), Some(WATCH_PING_NS));
    assert_eq!(probe.ping(WATCH_PING_NS - 1, NOTHING), None);
    let second = probe.ping(WATCH_PING_NS, NOTHING).unwrap();
    assert_eq!((first.sequence, second.sequence), (1, 2));
    assert_eq!(probe.ping_at(), Some(WATCH_PING_NS + IDLE_PING_NS));
}

#[test]
fn what_has_no_answer_is_known_with_its_time() {
    let mut probe = probe();
    assert_eq!(probe.unanswered_since_ns(), None);
    let first = probe.ping(5, NOTHING).unwrap();
    let second = probe.ping(5 + IDLE_PING_NS, NOTHING).unwrap();
    assert_eq!(probe.unanswered_since_ns(), Some(5));
    answer(&mut probe, 6 + IDLE_PING_NS, first, 0);
    assert_eq!(probe.unanswered_since_ns(), Some(second.sent_ns));
    answer(&mut probe, 7 + IDLE_PING_NS, second, 0);
    assert_eq!(probe.unanswered_since_ns(), None);
    assert_eq!(probe.last_heard_ns(), 0);
    probe.heard(9);
    assert_eq!(probe.last_heard_ns(), 9);
}

/// An end answers the newest of several PINGs, for all of them.
#[test]
fn the_answer_to_a_later_ping_answers_the_earlier_ones() {
    let mut probe = probe();
    for number in 0..5 {
        probe.ping(number * IDLE_PING_NS, NOTHING).unwrap();
    }
    let last = probe.ping(5 * IDLE_PING_NS, NOTHING).unwrap();
    answer(&mut probe, 5 * IDLE_PING_NS + MS, last, 0);
    assert_eq!(probe.unanswered_since_ns(), None);
    assert_eq!(probe.rtt_ns(), MS);
}

#[test]
fn the_round_trip_is_smoothed_and_the_shortest_is_kept() {
    let mut probe = probe();
    let mut now_ns = 0;
    for rtt_ms in [20, 20, 28] {
        let ping = probe.ping(now_ns, NOTHING).unwrap();
        answer(&mut probe, now_ns + rtt_ms * MS, ping, 0);
        now_ns += IDLE_PING_NS;
    }
    assert_eq!(probe.rtt_ns(), 21 * MS);
    assert_eq!(probe.min_rtt_ns(), 20 * MS);
    // An answer that was never asked for, or comes twice, changes nothing.
    let ping = probe.ping(now_ns, NOTHING).unwrap();
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
