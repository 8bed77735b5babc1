//! What is told of the waits in the queue, beside a list of all of them.

mod wire_support;

use proptest::prelude::*;
use wire_support::property;
use zportal_core::queue::Dequeued;
use zportal_core::queue::sojourn::{HALF_NS, Sojourns, Waits};

#[test]
fn a_percentile_is_never_below_the_true_one_and_at_most_a_quarter_above() {
    let waits = prop::collection::vec(
        prop_oneof![0..20_u64, 0..5_000_u64, 0..60_000_000_u64],
        1..300,
    );
    property("percentiles", 300, &waits, |waits_us| {
        let mut sojourns = Sojourns::default();
        for us in &waits_us {
            sojourns.note(us * 1000 + 999);
        }
        let mut sorted = waits_us;
        sorted.sort_unstable();
        for (percent, told) in [50, 99, 100]
            .into_iter()
            .zip(sojourns.percentiles_us([50, 99, 100]))
        {
            let rank = (sorted.len() * percent).div_ceil(100);
            let true_us = sorted[rank - 1];
            prop_assert!(told >= true_us, "{percent} %: {told} for {true_us}");
            prop_assert!(
                told <= true_us + true_us / 4,
                "{percent} %: {told} for {true_us}"
            );
        }
        Ok(())
    });
}

#[test]
fn only_the_last_seconds_count() {
    let mut sojourns = Sojourns::default();
    assert_eq!(sojourns.percentiles_us([50, 99]), [0, 0]);
    sojourns.note(1_000_000);
    sojourns.pass(HALF_NS - 1);
    sojourns.pass(HALF_NS);
    assert!(sojourns.percentiles_us([50])[0] >= 1000);
    sojourns.pass(2 * HALF_NS);
    assert_eq!(sojourns.percentiles_us([50]), [0]);
    // After a long silence both halves are old.
    sojourns.note(1_000_000);
    sojourns.pass(10 * HALF_NS);
    assert_eq!(sojourns.percentiles_us([50]), [0]);
    sojourns.note(u64::MAX);
    assert!(sojourns.percentiles_us([99])[0] > 100_000_000);
}

#[test]
fn the_waits_of_sparse_flows_are_told_apart() {
    let mut waits = Waits::default();
    let mut note = |us: u64, is_sparse| {
        waits.note(&Dequeued {
            packet: (),
            sojourn_ns: us * 1000,
            is_sparse,
        });
    };
    (0..1000).for_each(|_| note(40_000, false));
    (0..10).for_each(|_| note(200, true));
    let told = waits.at(HALF_NS);
    assert!(told.p50 >= 40_000 && told.p99 >= 40_000, "{told:?}");
    assert!((200..=250).contains(&told.sparse_p99), "{told:?}");
    let told = waits.at(10 * HALF_NS);
    assert_eq!((told.p50, told.p99, told.sparse_p99), (0, 0, 0));
}
