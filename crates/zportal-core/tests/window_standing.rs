//! The limit on what stands on the path, against a modelled bottleneck with its own clock.

use zportal_core::window::standing::{STANDING_NS, Seen, Standing};

const MS: u64 = 1_000_000;
const LOOK_NS: u64 = 2 * MS;
const PACKET_BYTES: u64 = 4200;
/// What a congestion control without regard for latency keeps on the way, bytes.
const GREEDY_BYTES: f64 = 200_000.0;

struct Path {
    bytes_per_second: f64,
    /// Base round trip, nanoseconds; what others do to it included.
    base_ns: f64,
    queue_bytes: f64,
    smoothed_ns: f64,
    min_ns: f64,
}

impl Path {
    fn new(megabit: f64, base_ms: f64) -> Path {
        let base_ns = base_ms * MS as f64;
        Path {
            bytes_per_second: megabit * 125_000.0,
            base_ns,
            queue_bytes: 0.0,
            smoothed_ns: base_ns,
            min_ns: base_ns,
        }
    }

    /// One look later, with a sender that keeps as much on the way as it may; the bytes carried.
    fn step(&mut self, limit_bytes: Option<u64>) -> f64 {
        let allowed = limit_bytes.map_or(GREEDY_BYTES, |limit| (limit as f64).min(GREEDY_BYTES));
        let pipe = self.bytes_per_second * self.base_ns / 1e9;
        self.queue_bytes = (allowed - pipe).max(0.0);
        let share = (allowed / pipe.max(1.0)).min(1.0);
        let rtt_ns = self.base_ns + self.queue_bytes / self.bytes_per_second * 1e9;
        self.smoothed_ns += (rtt_ns - self.smoothed_ns) / 2.0;
        self.min_ns = self.min_ns.min(rtt_ns);
        self.bytes_per_second * share * LOOK_NS as f64 / 1e9
    }
}

/// Runs for a while; the share of the link used, and the mean queueing delay in milliseconds.
fn run(path: &mut Path, standing: &mut Standing, start_ns: u64, looks: u64) -> (f64, f64) {
    let mut carried = 0.0;
    let mut delay_ms = 0.0;
    // The rate as it is measured: the largest of the last tenths of a second.
    let mut recent = std::collections::VecDeque::new();
    for look in 0..looks {
        let bytes = path.step(standing.limit_bytes());
        carried += bytes;
        delay_ms += path.queue_bytes / path.bytes_per_second * 1e3;
        recent.push_back(bytes * 1e9 / LOOK_NS as f64);
        if recent.len() > 100 {
            recent.pop_front();
        }
        let rate = recent.iter().copied().fold(0.0, f64::max);
        standing.on_look(Seen {
            now_ns: start_ns + look * LOOK_NS,
            rtt_ns: path.smoothed_ns as u64,
            min_rtt_ns: path.min_ns as u64,
            bytes_per_second: Some(rate as u64),
            packet_bytes: PACKET_BYTES,
        });
    }
    let possible = path.bytes_per_second * (looks * LOOK_NS) as f64 / 1e9;
    (carried / possible, delay_ms / looks as f64)
}

#[test]
fn a_queue_of_our_own_is_held_short_and_the_link_busy() {
    for megabit in [2.0, 5.0, 20.0, 100.0] {
        for base_ms in [0.2, 5.0, 40.0, 200.0] {
            let mut path = Path::new(megabit, base_ms);
            let (share, delay_ms) = run(&mut path, &mut Standing::default(), 0, 3000);
            // Without a limit it is what the greedy sender keeps.
            let pipe = path.bytes_per_second * path.base_ns / 1e9;
            let greedy_ms = (GREEDY_BYTES - pipe).max(0.0) / path.bytes_per_second * 1e3;
            let packet_ms = PACKET_BYTES as f64 / path.bytes_per_second * 1e3;
            let bound_ms = (STANDING_NS as f64 / 1e6 + packet_ms) * 1.5;
            assert!(
                delay_ms <= bound_ms.min(greedy_ms) + 1.0,
                "{megabit} {base_ms}: {delay_ms} ms"
            );
            let possible = (GREEDY_BYTES / pipe).min(1.0);
            assert!(
                share >= 0.97 * possible,
                "{megabit} {base_ms}: {share} of the link"
            );
        }
    }
}

#[test]
fn a_path_that_has_become_longer_does_not_starve() {
    for (before_ms, after_ms) in [(1.0, 30.0), (5.0, 60.0), (20.0, 200.0), (0.1, 15.0)] {
        let mut path = Path::new(20.0, before_ms);
        let mut standing = Standing::default();
        run(&mut path, &mut standing, 0, 1000);
        path.base_ns = after_ms * MS as f64;
        run(&mut path, &mut standing, 1000 * LOOK_NS, 1000);
        let (share, _) = run(&mut path, &mut standing, 2000 * LOOK_NS, 1000);
        let possible = (GREEDY_BYTES / (path.bytes_per_second * path.base_ns / 1e9)).min(1.0);
        assert!(
            share >= 0.95 * possible,
            "{before_ms} → {after_ms} ms: {share}"
        );
        // And back: the shorter base is seen, and the queue is short again.
        path.base_ns = before_ms * MS as f64;
        run(&mut path, &mut standing, 3000 * LOOK_NS, 6000);
        let (share, delay_ms) = run(&mut path, &mut standing, 9000 * LOOK_NS, 6000);
        assert!(share >= 0.95, "{share}");
        assert!(
            delay_ms <= 12.0,
            "{after_ms} → {before_ms} ms: {delay_ms} ms"
        );
    }
}

#[test]
fn a_link_that_has_become_slower_is_not_mistaken_for_a_longer_path() {
    for (before, after) in [(20.0, 2.0), (100.0, 20.0), (50.0, 5.0)] {
        let mut path = Path::new(before, 1.0);
        let mut standing = Standing::default();
        run(&mut path, &mut standing, 0, 1000);
        path.bytes_per_second = after * 125_000.0;
        run(&mut path, &mut standing, 1000 * LOOK_NS, 1000);
        let (share, delay_ms) = run(&mut path, &mut standing, 2000 * LOOK_NS, 1000);
        assert!(share >= 0.95, "{before} → {after}: {share}");
        let packet_ms = PACKET_BYTES as f64 / path.bytes_per_second * 1e3;
        assert!(
            delay_ms <= (5.0 + packet_ms) * 1.5,
            "{before} → {after}: {delay_ms} ms"
        );
    }
}

#[test]
fn while_nothing_stands_there_is_no_limit() {
    let mut standing = Standing::default();
    standing.on_look(Seen {
        now_ns: 0,
        rtt_ns: 20 * MS,
        min_rtt_ns: 17 * MS,
        bytes_per_second: Some(1_000_000),
        packet_bytes: PACKET_BYTES,
    });
    assert_eq!(standing.limit_bytes(), None);
}
