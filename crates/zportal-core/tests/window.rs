//! The window's parts: what the filter remembers, what a socket's looks tell of its rate, and what
//! sizes follow from it.

mod wire_support;

use proptest::prelude::*;
use wire_support::property;
use zportal_core::window::batch::{BATCH_MAX_BYTES, NotsentLowat, Sizes, UNSENT_MAX_BYTES};
use zportal_core::window::filter::MaxFilter;
use zportal_core::window::rate::{
    ASSUMED_BYTES_PER_SECOND, LITTLE_BYTES, LOOK_IDLE_NS, LOOK_NS, LinkRate, Look, SAMPLE_MAX_NS,
    SAMPLE_NS,
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// It gives what was seen within the window, not less than the newest; and all of it, as long as
/// the best is not too old.
#[test]
fn the_filter_gives_a_recent_value_not_below_the_newest() {
    let steps = prop::collection::vec((0..30u64, 0..1000u64), 1..200);
    property(
        "maximum of a window",
        2000,
        &(steps, 1..100u64),
        |(steps, window)| {
            let mut filter = MaxFilter::default();
            let mut seen: Vec<(u64, u64)> = Vec::new();
            let mut now = 0;
            for (step, value) in steps {
                now += step;
                seen.push((now, value));
                filter.update(window, now, value);
                let best = filter.value().expect("a value was seen");
                prop_assert!(best >= value, "{best} is below the newest, {value}");
                let within = seen.iter().filter(|(at, _)| now - at <= window);
                let found = within.clone().any(|(_, value)| *value == best);
                prop_assert!(found, "{best} was not seen within the window");
                let record = seen.iter().map(|(_, value)| *value).max();
                let record_stands = within.clone().any(|(_, value)| Some(*value) == record);
                prop_assert!(
                    !record_stands || Some(best) == record,
                    "{best}, not {record:?}"
                );
            }
            Ok(())
        },
    );
}

/// While values only rise, or the window holds all, it is the true maximum.
#[test]
fn the_filter_is_exact_where_that_is_easy() {
    let mut filter = MaxFilter::default();
    for now in 0..1000 {
        filter.update(10, now, now / 3);
        assert_eq!(filter.value(), Some(now / 3));
    }
    let mut filter = MaxFilter::default();
    for (now, value) in [5, 9, 3, 9, 1, 4, 8].into_iter().enumerate() {
        filter.update(u64::MAX, now as u64, value);
    }
    assert_eq!(filter.value(), Some(9));
    filter.reset(100, 2);
    assert_eq!(filter.value(), Some(2));
}

/// A socket that passes on `bytes_per_second` and is looked at every [`LOOK_NS`].
struct Socket {
    now_ns: u64,
    passed_bytes: u64,
    rate: LinkRate,
}

impl Socket {
    fn new() -> Socket {
        Socket {
            now_ns: 0,
            passed_bytes: 0,
            rate: LinkRate::default(),
        }
    }

    fn run(&mut self, for_ns: u64, bytes_per_second: u64, unsent_bytes: u64) {
        let until_ns = self.now_ns + for_ns;
        while self.now_ns < until_ns {
            let handed_bytes = self.passed_bytes + unsent_bytes;
            self.rate.on_look(Look {
                now_ns: self.now_ns,
                handed_bytes,
                unsent_bytes,
                blocked: false,
            });
            assert!(!self.look_due(handed_bytes, false));
            self.now_ns += LOOK_NS;
            self.passed_bytes += bytes_per_second * LOOK_NS / SECOND;
        }
    }

    fn look_due(&self, handed_bytes: u64, blocked: bool) -> bool {
        self.rate.look_due(self.now_ns, handed_bytes, blocked)
    }
}

#[test]
fn a_socket_with_something_to_pass_on_is_looked_at_often() {
    let mut socket = Socket::new();
    assert!(socket.look_due(0, false));
    socket.run(LOOK_NS, 1_000_000, 100);
    assert!(socket.look_due(100, false));
}

#[test]
fn a_socket_that_gets_little_is_looked_at_seldom() {
    let mut socket = Socket::new();
    socket.run(LOOK_NS, 0, 0);
    assert!(!socket.look_due(LITTLE_BYTES, false));
    assert!(socket.look_due(LITTLE_BYTES + 1, false));
    assert!(socket.look_due(0, true));
    socket.now_ns = LOOK_IDLE_NS;
    assert!(socket.look_due(0, false));
}

#[test]
fn a_busy_socket_shows_its_rate_in_two_samples() {
    for bytes_per_second in [50_000, 2_500_000, 1_000_000_000] {
        let mut socket = Socket::new();
        assert_eq!(socket.rate.bytes_per_second(), None);
        socket.run(2 * SAMPLE_MAX_NS, bytes_per_second, 5000);
        let seen = socket
            .rate
            .bytes_per_second()
            .expect("two samples have passed");
        assert!(
            seen.abs_diff(bytes_per_second) <= bytes_per_second / 50,
            "{seen}"
        );
    }
}

/// A socket that has nothing to send shows how little we had for it, not how little it takes.
#[test]
fn an_idle_socket_is_not_a_slow_one() {
    let mut socket = Socket::new();
    socket.run(SECOND, 10_000, 0);
    assert_eq!(socket.rate.bytes_per_second(), None);
    socket.run(100 * MS, 2_500_000, 5000);
    let busy = socket.rate.bytes_per_second();
    assert!(busy.is_some());
    socket.run(10 * SECOND, 10_000, 0);
    assert_eq!(socket.rate.bytes_per_second(), busy);
    // Yet what it passed on while it was never full is surely what it can.
    let fast = 4 * ASSUMED_BYTES_PER_SECOND;
    socket.run(100 * MS, fast, 0);
    assert!(
        socket
            .rate
            .bytes_per_second()
            .is_some_and(|seen| seen > fast / 10 * 9)
    );
}

/// Batches for the old rate would stand in the socket.
#[test]
fn a_drop_of_the_rate_is_believed_soon_and_a_rise_at_once() {
    let mut socket = Socket::new();
    socket.rate.on_round_trip(20 * MS);
    socket.run(SECOND, 12_500_000, 5000);
    socket.run(3 * SAMPLE_NS, 625_000, 5000);
    let seen = socket.rate.bytes_per_second();
    assert!(
        seen.is_some_and(|seen| seen <= 1_300_000),
        "{seen:?} after 30 ms"
    );
    socket.run(SECOND, 625_000, 5000);
    let seen = socket.rate.bytes_per_second();
    assert!(
        seen.is_some_and(|seen| seen <= 650_000),
        "{seen:?} after a second"
    );
    socket.run(2 * SAMPLE_NS + LOOK_NS, 12_500_000, 5000);
    let seen = socket.rate.bytes_per_second();
    assert!(
        seen.is_some_and(|seen| seen >= 12_000_000),
        "{seen:?} after 20 ms"
    );
}

#[test]
fn a_socket_that_takes_nothing_has_no_rate_left() {
    let mut socket = Socket::new();
    socket.run(SECOND, 2_500_000, 5000);
    socket.run(2 * SAMPLE_MAX_NS + LOOK_NS, 0, 5000);
    assert_eq!(socket.rate.bytes_per_second(), Some(0));
}

/// Of a few batches, one more or less must not be taken for another rate.
#[test]
fn a_slow_link_is_not_taken_for_a_faster_one_because_it_passes_on_whole_batches() {
    const BATCH_BYTES: u64 = 8400;
    for bytes_per_second in [250_000, 625_000, 1_250_000] {
        let mut rate = LinkRate::default();
        rate.on_round_trip(15 * MS);
        for look in 0..1000 {
            let now_ns = look * LOOK_NS;
            let passed_bytes = bytes_per_second * now_ns / SECOND / BATCH_BYTES * BATCH_BYTES;
            rate.on_look(Look {
                now_ns,
                handed_bytes: passed_bytes + BATCH_BYTES,
                unsent_bytes: BATCH_BYTES,
                blocked: true,
            });
            let seen = rate.bytes_per_second().unwrap_or(bytes_per_second);
            assert!(
                seen <= 2 * bytes_per_second,
                "{seen} for {bytes_per_second}"
            );
        }
        assert!(
            rate.bytes_per_second()
                .is_some_and(|seen| seen > bytes_per_second / 2)
        );
    }
}

#[test]
fn any_looks_give_an_answer() {
    let look = (
        any::<u64>(),
        any::<u64>(),
        any::<u64>(),
        any::<bool>(),
        any::<u64>(),
    );
    property(
        "any looks",
        1000,
        &prop::collection::vec(look, 0..50),
        |looks| {
            let mut rate = LinkRate::default();
            for (now_ns, handed_bytes, unsent_bytes, blocked, rtt_ns) in looks {
                rate.on_round_trip(rtt_ns);
                rate.on_look(Look {
                    now_ns,
                    handed_bytes,
                    unsent_bytes,
                    blocked,
                });
                let known = rate.bytes_per_second().unwrap_or(ASSUMED_BYTES_PER_SECOND);
                let sizes = Sizes::at(known, rtt_ns);
                prop_assert!(sizes.batch_bytes <= BATCH_MAX_BYTES);
                prop_assert!(sizes.unsent_bytes <= UNSENT_MAX_BYTES);
            }
            Ok(())
        },
    );
}

#[test]
fn sizes_are_a_little_of_the_rate_within_bounds() {
    let sizes = |bytes_per_second| {
        let Sizes {
            batch_bytes,
            unsent_bytes,
            quantum_bytes,
        } = Sizes::at(bytes_per_second, 1416);
        (batch_bytes, unsent_bytes, quantum_bytes)
    };
    assert_eq!(sizes(0), (1416, 2832, 0), "never below one packet");
    assert_eq!(sizes(625_000), (1416, 2832, 62), "5 Mbit/s");
    let at_20_mbit = sizes(2_500_000);
    assert_eq!(at_20_mbit, (2500, 5000, 250), "1 ms, 2 ms and 0.1 ms");
    assert_eq!(sizes(12_500_000), (12_500, 25_000, 1250), "100 Mbit/s");
    assert_eq!(sizes(125_000_000), (65_536, 250_000, 12_500), "1 Gbit/s");
    assert_eq!(sizes(1_000_000_000), (65_536, 262_144, 32_768), "8 Gbit/s");
    assert_eq!(Sizes::at(0, 70_000).batch_bytes, 65_536);
}

#[test]
fn the_socket_is_told_only_what_matters() {
    let mut lowat = NotsentLowat::default();
    assert_eq!(lowat.change(10_000), Some(10_000));
    for close in [10_000, 12_500, 7_500] {
        assert_eq!(lowat.change(close), None);
    }
    assert_eq!(lowat.change(7_499), Some(7_499));
    assert_eq!(lowat.change(10_000), Some(10_000));
}
