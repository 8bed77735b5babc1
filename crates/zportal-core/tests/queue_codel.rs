//! When CoDel speaks, and when it must not.

mod queue_support;

use queue_support::{CE, ECT0, NOT_ECT, Numbered, numbered};
use zportal_core::queue::DropCause;
use zportal_core::queue::codel::{CoDel, Head, INTERVAL_NS, Parameters, TARGET_NS, target_for};
use zportal_core::queue::fq_codel::{Config, FqCodel};

const MS: u64 = 1_000_000;
const PARAMETERS: Parameters = Parameters {
    target_ns: TARGET_NS,
    interval_ns: INTERVAL_NS,
};

fn head(sojourn_ms: u64, wire_bytes: u32, backlog_bytes: u64) -> Head {
    Head {
        sojourn_ns: sojourn_ms * MS,
        wire_bytes,
        backlog_bytes,
    }
}

/// When signals come, in milliseconds, if `head` is at the head of the flow every millisecond.
fn signals(codel: &mut CoDel, from_ms: u64, until_ms: u64, head: Head) -> Vec<u64> {
    (from_ms..until_ms)
        .filter(|now_ms| codel.signals(now_ms * MS, head, PARAMETERS))
        .collect()
}

#[test]
fn the_first_signal_takes_an_interval_and_the_next_come_faster() {
    let times = signals(&mut CoDel::default(), 0, 600, head(6, 1500, 100_000));
    // 100, then steps of 100/sqrt(1), 100/sqrt(2), ...: each found at the next whole millisecond.
    assert_eq!(times, [100, 200, 271, 329, 379, 424, 464, 502, 538, 571]);
}

#[test]
fn a_delay_below_target_never_signals() {
    let below = Head {
        sojourn_ns: TARGET_NS - 1,
        ..head(0, 1500, 1_000_000)
    };
    assert!(signals(&mut CoDel::default(), 0, 5000, below).is_empty());
}

#[test]
fn one_low_moment_is_enough_to_be_no_standing_queue() {
    let mut codel = CoDel::default();
    for round in 0..50 {
        let from = round * 99;
        assert!(signals(&mut codel, from, from + 98, head(50, 1500, 100_000)).is_empty());
        assert!(!codel.signals((from + 98) * MS, head(4, 1500, 100_000), PARAMETERS));
    }
}

#[test]
fn a_flow_that_rises_again_soon_is_told_sooner() {
    let mut codel = CoDel::default();
    let standing = head(20, 1500, 100_000);
    assert!(signals(&mut codel, 0, 600, standing).len() >= 8);
    assert!(!codel.signals(600 * MS, head(1, 1500, 100_000), PARAMETERS));
    let again = signals(&mut codel, 601, 801, standing);
    assert!(again.len() >= 3, "within 200 ms: {again:?}");
    // After a long calm it begins from the beginning.
    assert!(!codel.signals(900 * MS, head(1, 1500, 100_000), PARAMETERS));
    let later = signals(&mut codel, 5000, 5201, standing);
    assert_eq!(later, [5100, 5200]);
}

#[test]
fn a_packet_that_leaves_at_most_a_packet_behind_is_never_signalled() {
    for (wire_bytes, backlog_bytes) in [
        (100, 0),
        (100, 1514),
        (1500, 1500),
        (64_000, 0),
        (64_000, 64_000),
    ] {
        let last = head(500, wire_bytes, backlog_bytes);
        let times = signals(&mut CoDel::default(), 0, 3000, last);
        assert!(times.is_empty(), "{last:?}: {times:?}");
    }
    // One super-packet is no excuse for as many bytes of small ones.
    assert!(!signals(&mut CoDel::default(), 0, 3000, head(500, 1500, 64_000)).is_empty());
    assert!(!signals(&mut CoDel::default(), 0, 3000, head(500, 64_000, 64_001)).is_empty());
}

#[test]
fn the_target_follows_a_slow_link() {
    assert_eq!(target_for(0), target_for(1));
    assert_eq!(target_for(125_000_000), TARGET_NS);
    assert_eq!(
        target_for(62_500),
        36_336_000,
        "500 kbit/s: 1.5 packets of 24.2 ms"
    );
}

/// A flow that does not listen: 1 packet in and 1 out each millisecond, with 50 waiting.
fn deaf_flow(ecn: u8) -> (u64, Vec<(u64, Numbered, DropCause)>, u64) {
    let mut queue = FqCodel::new(Config::new(1 << 20, [1, 2]));
    let mut dropped = Vec::new();
    let mut marked = 0;
    let mut number = 0;
    for now_ms in 0..1000 {
        while queue.packets() < 50 {
            queue.enqueue(now_ms * MS, numbered(number, 1, 1500, ecn), &mut |_, _| {});
            number += 1;
        }
        let dequeued = queue.dequeue(now_ms * MS, &mut |packet, cause| {
            dropped.push((now_ms, packet, cause));
        });
        marked += u64::from(dequeued.is_some_and(|dequeued| dequeued.packet.ip[1] & CE == CE));
    }
    assert_eq!(queue.marks(), marked);
    (marked, dropped, number)
}

#[test]
fn a_flow_without_ecn_loses_packets() {
    let (marked, dropped, _) = deaf_flow(NOT_ECT);
    assert_eq!(marked, 0);
    assert!((15..40).contains(&dropped.len()), "{} drops", dropped.len());
    assert!(
        dropped
            .iter()
            .all(|(_, _, cause)| *cause == DropCause::CoDel)
    );
    // The first after a target's worth of waiting and an interval.
    assert!((100..110).contains(&dropped[0].0), "at {} ms", dropped[0].0);
}

#[test]
fn a_flow_with_ecn_loses_none() {
    let (marked, dropped, _) = deaf_flow(ECT0);
    assert!(dropped.is_empty());
    assert!((15..40).contains(&marked), "{marked} marks");
}

/// Marks and drops follow the same law.
#[test]
fn a_mark_counts_as_a_drop() {
    let (marked, _, _) = deaf_flow(ECT0);
    let (_, dropped, _) = deaf_flow(NOT_ECT);
    assert!(marked.abs_diff(dropped.len() as u64) <= 3);
}

/// An empty moment is a low moment, even if nothing is dequeued in it.
#[test]
fn a_flow_that_runs_empty_begins_again() {
    let mut codel = CoDel::default();
    let standing = head(50, 1500, 100_000);
    assert!(signals(&mut codel, 0, 99, standing).is_empty());
    codel.ran_empty();
    assert!(signals(&mut codel, 99, 199, standing).is_empty());
}

/// The same for a flow that loses its last packet to the memory bound.
#[test]
fn a_flow_that_the_bound_empties_begins_again() {
    let mut queue = FqCodel::new(Config::new(68_000, [1, 2]));
    let mut evicted = 0;
    for (number, wire_bytes) in [(0, 100), (1, 64_000)] {
        queue.enqueue(0, numbered(number, 1, wire_bytes, NOT_ECT), &mut |_, _| {
            panic!("room")
        });
    }
    assert!(queue.dequeue(10 * MS, &mut |_, _| {}).is_some());
    for flow in 2..5 {
        queue.enqueue(
            10 * MS,
            numbered(0, flow, 100, NOT_ECT),
            &mut |packet, _| {
                evicted += packet.number;
            },
        );
    }
    assert_eq!(evicted, 1, "the large packet of flow 1");
    while queue.dequeue(20 * MS, &mut |_, _| {}).is_some() {}
    for number in 0..4 {
        queue.enqueue(500 * MS, numbered(number, 1, 1500, NOT_ECT), &mut |_, _| {
            panic!("room")
        });
    }
    let dequeued = queue.dequeue(510 * MS, &mut |_, _| panic!("after 10 ms"));
    assert!(dequeued.is_some());
}
