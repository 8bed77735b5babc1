//! What counts as a stall of the path, and what is added for it.

use zportal_core::window::stall::{AT_ONCE_NS, LATE_NS, LONGEST_NS, Report, SLACK_MAX_NS, Stalls};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const UNDER_WAY_BYTES: u64 = 10_000;

/// A report after a wait of so long, which tells of so many bytes of those under way.
fn report(now_ns: u64, waited_ns: u64, delivered_bytes: u64) -> Report {
    Report {
        now_ns,
        waited_ns,
        expected_ns: 5 * MS,
        before_bytes: UNDER_WAY_BYTES,
        delivered_bytes,
    }
}

#[test]
fn what_was_held_up_and_came_at_once_is_a_stall() {
    let mut stalls = Stalls::default();
    assert!(stalls.on_report(report(SECOND, 45 * MS, UNDER_WAY_BYTES)));
    let slack_ns = stalls.slack_ns();
    assert!(slack_ns > 0);
    // In two reports, the second right behind the first.
    assert!(!stalls.on_report(report(2 * SECOND, 45 * MS, UNDER_WAY_BYTES / 4)));
    let soon_ns = 2 * SECOND + AT_ONCE_NS;
    assert!(stalls.on_report(report(soon_ns, 0, UNDER_WAY_BYTES / 2)));
    assert!(stalls.slack_ns() > slack_ns);
}

#[test]
fn what_comes_bit_by_bit_has_met_a_slower_link_or_a_longer_way() {
    let mut stalls = Stalls::default();
    for round in 1..100 {
        let now_ns = round * 20 * MS;
        assert!(!stalls.on_report(report(now_ns, 60 * MS, UNDER_WAY_BYTES / 4)));
        let later_ns = now_ns + AT_ONCE_NS + 1;
        assert!(!stalls.on_report(report(later_ns, 0, UNDER_WAY_BYTES)));
    }
    assert_eq!(stalls.slack_ns(), 0);
}

#[test]
fn what_is_under_way_may_take_its_time_and_what_takes_for_ever_is_no_stall() {
    let mut stalls = Stalls::default();
    assert!(!stalls.on_report(report(SECOND, 5 * MS + LATE_NS - 1, UNDER_WAY_BYTES)));
    assert!(!stalls.on_report(report(2 * SECOND, 5 * MS + LONGEST_NS, UNDER_WAY_BYTES)));
    assert_eq!(stalls.slack_ns(), 0);
}

#[test]
fn what_is_added_is_bounded_and_goes_again() {
    let mut stalls = Stalls::default();
    for round in 1..100 {
        stalls.on_report(report(round * 50 * MS, 45 * MS, UNDER_WAY_BYTES));
        assert!(stalls.slack_ns() <= SLACK_MAX_NS);
    }
    assert_eq!(stalls.slack_ns(), SLACK_MAX_NS);
    let mut last_ns = stalls.slack_ns();
    for second in 5..30 {
        stalls.on_report(report(second * SECOND, 0, UNDER_WAY_BYTES));
        assert!(stalls.slack_ns() <= last_ns);
        last_ns = stalls.slack_ns();
    }
    assert_eq!(last_ns, 0);
}
