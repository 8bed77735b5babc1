//! When the limit of what is under way holds something back, when it gives up, and what it adds
//! where a path runs dry.

use zportal_core::window::feedback::Sample;
use zportal_core::window::gate::Gate;
use zportal_core::window::look::{Look, Seen};
use zportal_core::window::margin::Margin;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

fn sample(rtt_ms: u64, is_app_limited: bool) -> Sample {
    Sample {
        rtt_ns: rtt_ms * MS,
        bytes_per_second: 1_000_000,
        prior_delivered_bytes: 0,
        prior_inflight_bytes: 0,
        delivered_bytes: 0,
        inflight_bytes: 0,
        is_app_limited,
    }
}

fn standing(ms: u64) -> Seen {
    Seen {
        standing_ns: ms * MS,
        is_app_limited: false,
    }
}

#[test]
fn a_look_lasts_long_enough_and_sees_what_stood_there_all_the_time() {
    let mut look = Look::default();
    let mut seen = None;
    for (at_ms, rtt_ms) in [(0, 40), (30, 12), (60, 50), (90, 45)] {
        assert_eq!(
            look.on_sample(at_ms * MS, &sample(rtt_ms, false), 10 * MS),
            None
        );
    }
    seen = seen.or(look.on_sample(101 * MS, &sample(60, true), 10 * MS));
    let expected = Seen {
        standing_ns: 2 * MS,
        is_app_limited: true,
    };
    assert_eq!(seen, Some(expected));
    // Two round trips where those are long, and not fewer than four answers.
    let late: Vec<_> = (0..6)
        .map(|number| look.on_sample(SECOND + 300 * MS * number, &sample(300, false), 10 * MS))
        .map(|seen| seen.is_some())
        .collect();
    assert_eq!(late, [false, false, false, true, false, false]);
    look.begin_anew();
    assert_eq!(
        look.on_sample(9 * SECOND, &sample(300, false), 10 * MS),
        None
    );
}

#[test]
fn while_it_works_or_there_is_nothing_to_do_it_stays() {
    let mut gate = Gate::default();
    for _ in 0..100 {
        gate.on_look(0, standing(3));
        gate.on_steady_look(0, standing(3));
        let idle = Seen {
            standing_ns: 0,
            is_app_limited: true,
        };
        gate.on_steady_look(0, idle);
    }
    assert!(gate.is_shut());
}

#[test]
fn a_limit_that_shortens_nothing_or_starves_the_path_is_lifted_for_a_while() {
    for in_vain in [
        (|gate: &mut Gate, now_ns| gate.on_look(now_ns, standing(40))) as fn(&mut Gate, u64),
        |gate, now_ns| gate.on_steady_look(now_ns, standing(0)),
    ] {
        let mut gate = Gate::default();
        for _ in 0..9 {
            in_vain(&mut gate, SECOND);
        }
        // One look at what it should be like, and all is forgiven.
        gate.on_steady_look(SECOND, standing(2));
        for _ in 0..9 {
            in_vain(&mut gate, SECOND);
        }
        assert!(gate.is_shut());
        in_vain(&mut gate, SECOND);
        assert!(!gate.is_shut());
        gate.on_look(10 * SECOND, standing(40));
        assert!(!gate.is_shut());
        gate.on_look(11 * SECOND, standing(40));
        assert!(gate.is_shut());
    }
}

#[test]
fn a_dry_path_gets_more_and_a_full_one_less() {
    let mut margin = Margin::default();
    margin.on_look(standing(0));
    assert_eq!(margin.ns(), 0, "once is no habit");
    let grown: Vec<u64> = (0..8)
        .map(|_| {
            margin.on_look(standing(0));
            margin.ns() / MS
        })
        .collect();
    assert_eq!(grown, [1, 2, 4, 8, 16, 32, 50, 50]);
    margin.on_look(standing(2));
    assert_eq!(margin.ns(), 50 * MS, "enough and not too much");
    margin.on_look(standing(23));
    assert_eq!(margin.ns(), 40 * MS);
    margin.on_look(Seen {
        standing_ns: 0,
        is_app_limited: true,
    });
    margin.on_look(Seen {
        standing_ns: 0,
        is_app_limited: true,
    });
    assert_eq!(margin.ns(), 40 * MS, "there was nothing to send");
    margin.on_look(standing(900));
    assert_eq!(margin.ns(), 0);
}
