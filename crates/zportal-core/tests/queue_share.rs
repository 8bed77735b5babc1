//! Who goes when: equal shares for those who want all, precedence for those who want little, and
//! the one who fills the memory pays.

mod queue_support;

use queue_support::{NOT_ECT, jain_index, numbered};
use zportal_core::queue::DropCause;
use zportal_core::queue::fq_codel::{Config, FqCodel};

/// So many bytes that CoDel and the bound stay out of it.
const LIMIT_BYTES: usize = 64 << 20;
const SPARSE: u16 = 999;

type Queue = FqCodel<queue_support::Numbered>;

fn queue(limit_memory_bytes: usize) -> Queue {
    // A key under which the flows of these tests do not meet in one queue.
    let mut config = Config::new(limit_memory_bytes, [21, 24]);
    config.target_ns = u64::MAX;
    FqCodel::new(config)
}

/// Keeps 8 flows backlogged with their sizes of packets, and returns what each could send.
fn shares(sizes: [usize; 8], turns: u64) -> [f64; 8] {
    let mut queue = queue(LIMIT_BYTES);
    let mut sent = [0.0; 8];
    let enqueue = |queue: &mut Queue, flow: usize| {
        let packet = numbered(0, flow as u16, sizes[flow], NOT_ECT);
        queue.enqueue(0, packet, &mut |_, _| panic!("nothing is to be dropped"));
    };
    for flow in (0..8).cycle().take(24) {
        enqueue(&mut queue, flow);
    }
    for _ in 0..turns {
        let dequeued = queue.dequeue(0, &mut |_, _| panic!("nothing is to be dropped"));
        let packet = dequeued.expect("all flows have packets").packet;
        sent[usize::from(packet.flow)] += packet.wire_bytes as f64;
        enqueue(&mut queue, packet.flow.into());
    }
    sent
}

#[test]
fn eight_flows_share_by_bytes() {
    for sizes in [
        [1500; 8],
        [64_000; 8],
        [60, 100, 200, 400, 800, 1000, 1200, 1500],
        [60, 1500, 1500, 64_000, 64_000, 30_000, 9000, 200],
    ] {
        let sent = shares(sizes, 100_000);
        let index = jain_index(&sent);
        assert!(index >= 0.999, "{sizes:?}: {index} of {sent:?}");
    }
}

/// The other end gathers what follows each other, so on a fast link more of one flow does.
#[test]
fn a_larger_quantum_keeps_packets_of_a_flow_together() {
    let mut queue = queue(LIMIT_BYTES);
    let mut no_drops = |_, _| panic!("nothing is to be dropped");
    // One that is too small leaves what was.
    for (quantum_bytes, together) in [(0, 1), (100, 1), (1514, 1), (15_000, 10)] {
        queue.set_quantum(quantum_bytes);
        for number in 0..40 {
            for flow in 0..4 {
                queue.enqueue(0, numbered(number, flow, 1500, NOT_ECT), &mut no_drops);
            }
        }
        let flows: Vec<u16> = (0..160)
            .map(|_| queue.dequeue(0, &mut no_drops).expect("it is there"))
            .map(|dequeued| dequeued.packet.flow)
            .collect();
        let longest = flows.chunk_by(|one, next| one == next).map(<[u16]>::len);
        // What was left of a turn before may let one more through.
        let most = longest.clone().max().expect("there are flows");
        assert!((together..=together + 1).contains(&most), "{flows:?}");
        // A flow that has just come goes before the others once.
        assert!(longest.count() <= 160 / together + 4, "{flows:?}");
        assert!(queue.is_empty());
    }
}

/// What goes before all others is as little as on a slow link.
#[test]
fn a_larger_quantum_makes_no_flow_sparse() {
    let mut queue = queue(LIMIT_BYTES);
    let mut no_drops = |_, _| panic!("nothing is to be dropped");
    queue.set_quantum(15_000);
    queue.enqueue(0, numbered(0, 1, 2000, NOT_ECT), &mut no_drops);
    assert!(!queue.has_sparse());
    for number in 0..4 {
        queue.enqueue(0, numbered(number, 2, 1000, NOT_ECT), &mut no_drops);
    }
    let sparse = (0..5)
        .map(|_| queue.dequeue(0, &mut no_drops).expect("it is there"))
        .filter(|dequeued| dequeued.is_sparse)
        .count();
    assert_eq!(sparse, 2);
}

/// A packet of a flow that had nothing waiting is the next but those of other such flows.
#[test]
fn a_sparse_flow_goes_first() {
    let mut queue = queue(LIMIT_BYTES);
    let mut no_drops = |_, _| panic!("nothing is to be dropped");
    for round in 0..200u64 {
        for flow in 0..8 {
            let wire_bytes = if flow < 4 { 64_000 } else { 1500 };
            queue.enqueue(0, numbered(round, flow, wire_bytes, NOT_ECT), &mut no_drops);
        }
        if round % 10 == 9 {
            // Another flow each time, as of lookups from new ports.
            let sparse = SPARSE + round as u16;
            queue.enqueue(0, numbered(round, sparse, 100, NOT_ECT), &mut no_drops);
            let first = queue.dequeue(0, &mut no_drops).expect("it is there");
            assert_eq!(first.packet.flow, sparse, "round {round}");
            assert!(first.is_sparse, "round {round}");
        }
        queue.dequeue(0, &mut no_drops);
    }
}

/// Where there is no room for those who want all, those who want little still go.
#[test]
fn only_a_sparse_flow_goes_past_a_limit() {
    let mut queue = queue(LIMIT_BYTES);
    let mut no_drops = |_, _| panic!("nothing is to be dropped");
    for number in 0..4 {
        queue.enqueue(0, numbered(number, 1, 64_000, NOT_ECT), &mut no_drops);
    }
    queue.dequeue(0, &mut no_drops).expect("it is there");
    assert!(queue.dequeue_sparse(0, &mut no_drops).is_none());
    queue.enqueue(0, numbered(0, SPARSE, 100, NOT_ECT), &mut no_drops);
    assert!(queue.has_sparse());
    let first = queue.dequeue_sparse(0, &mut no_drops);
    assert_eq!(first.map(|first| first.packet.flow), Some(SPARSE));
    assert!(queue.dequeue_sparse(0, &mut no_drops).is_none());
    assert!(!queue.has_sparse());
    // The downloads have lost nothing, not even their turn.
    let next = queue.dequeue(0, &mut no_drops);
    assert_eq!(next.map(|next| next.packet.flow), Some(1));
    assert_eq!(queue.packets(), 2);
}

/// Eight downloads wake up at once, with 64 KiB each, and then somebody looks a name up.
#[test]
fn super_packets_of_new_flows_do_not_go_before_a_lookup() {
    let mut queue = queue(LIMIT_BYTES);
    let mut no_drops = |_, _| panic!("nothing is to be dropped");
    for flow in 0..8 {
        queue.enqueue(0, numbered(0, flow, 64_000, NOT_ECT), &mut no_drops);
    }
    queue.enqueue(0, numbered(0, SPARSE, 100, NOT_ECT), &mut no_drops);
    let first = queue.dequeue(0, &mut no_drops).expect("it is there");
    assert_eq!(first.packet.flow, SPARSE);
}

/// Flows that always seem new must not keep old ones from their turn (RFC 8290, 4.2): one that
/// runs empty after each large packet gets no more than one that always has small ones.
#[test]
fn new_flows_do_not_starve_old_ones() {
    let mut queue = queue(LIMIT_BYTES);
    let mut no_drops = |_, _| panic!("nothing is to be dropped");
    for number in 0..20_000 {
        queue.enqueue(0, numbered(number, 0, 100, NOT_ECT), &mut no_drops);
    }
    let mut sent = [0.0; 2];
    let mut waits = false;
    let mut last_flow = 0;
    for number in 0..15_000 {
        // Only once the old flow had a turn, so that the other is known to be empty.
        if !waits && last_flow == 0 {
            queue.enqueue(0, numbered(number, 1, 1500, NOT_ECT), &mut no_drops);
            waits = true;
        }
        let dequeued = queue.dequeue(0, &mut no_drops);
        let packet = dequeued.expect("the old flow has packets").packet;
        last_flow = packet.flow;
        waits &= packet.flow == 0;
        sent[usize::from(packet.flow)] += packet.wire_bytes as f64;
    }
    assert!(jain_index(&sent) >= 0.99, "{sent:?}");
}

#[test]
fn the_one_who_fills_the_memory_pays() {
    const LIMIT: usize = 1 << 20;
    let mut queue = queue(LIMIT);
    let mut number = 0;
    let mut oldest = 0;
    let mut dropped = 0;
    for flow in 1..4 {
        queue.enqueue(0, numbered(0, flow, 1500, NOT_ECT), &mut |_, _| {
            panic!("room")
        });
    }
    for _ in 0..5000 {
        queue.enqueue(
            0,
            numbered(number, 0, 100, NOT_ECT),
            &mut |packet, cause| {
                assert_eq!(cause, DropCause::Overlimit);
                assert_eq!(
                    (packet.flow, packet.number),
                    (0, oldest),
                    "its oldest first"
                );
                oldest += 1;
                dropped += 1;
            },
        );
        number += 1;
        assert!(queue.memory_bytes() <= LIMIT);
    }
    assert!(dropped > 4000);
    let mut others = 0;
    queue.clear(&mut |packet| others += u64::from(packet.flow != 0));
    assert_eq!(others, 3);
}

/// One search for the fattest flow is worth many small packets, but few super-packets.
#[test]
fn drops_come_in_batches_that_fit_the_packets() {
    for (limit_bytes, wire_bytes, most) in [(8 << 20, 100, 64), (2 << 20, 64_000, 2)] {
        let mut queue = queue(limit_bytes);
        let mut largest = 0;
        for number in 0..5000 {
            let mut dropped = 0;
            let packet = numbered(number, 0, wire_bytes, NOT_ECT);
            queue.enqueue(0, packet, &mut |_, _| dropped += 1);
            largest = largest.max(dropped);
        }
        assert!(largest > most / 4);
        assert!(largest <= most, "{largest} packets of {wire_bytes} bytes");
    }
}

#[test]
fn a_packet_above_the_bound_is_dropped_itself() {
    let mut queue = queue(10_000);
    let mut dropped = Vec::new();
    queue.enqueue(0, numbered(1, 0, 64_000, NOT_ECT), &mut |packet, cause| {
        dropped.push((packet.number, cause));
    });
    assert_eq!(dropped, [(1, DropCause::Overlimit)]);
    assert!(queue.is_empty());
    assert!(queue.dequeue(0, &mut |_, _| {}).is_none());
}

/// After a clear the queue is as new: flows that waited then are new ones, and CoDel begins again.
#[test]
fn a_cleared_queue_is_as_new() {
    const MS: u64 = 1_000_000;
    let mut config = Config::new(LIMIT_BYTES, [21, 24]);
    config.interval_ns = 10 * MS;
    let mut queue = FqCodel::new(config);
    for number in 0..500 {
        queue.enqueue(0, numbered(number, 0, 1500, NOT_ECT), &mut |_, _| {});
    }
    let mut dropped = 0;
    for now_ms in 100..200 {
        queue.dequeue(now_ms * MS, &mut |_, _| dropped += 1);
    }
    assert!(
        dropped > 10,
        "CoDel is dropping fast when the queue is cleared"
    );
    queue.clear(&mut |_| {});
    let now_ns = 200 * MS;
    queue.enqueue(now_ns, numbered(0, 1, 64_000, NOT_ECT), &mut |_, _| {});
    for number in 0..3 {
        queue.enqueue(now_ns, numbered(number, 0, 1500, NOT_ECT), &mut |_, _| {});
    }
    let mut late = |_, _| panic!("dropped by what was learnt before");
    let first = queue
        .dequeue(now_ns + 20 * MS, &mut late)
        .expect("four wait");
    assert_eq!(first.packet.flow, 0, "a new flow goes first");
    let second = queue.dequeue(now_ns + 21 * MS, &mut late);
    assert!(second.is_some());
}
