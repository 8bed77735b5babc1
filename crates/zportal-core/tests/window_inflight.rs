//! The limit of what a proxy's buffers hold, on paths so simple that the right answer is known.

mod wire_support;

use std::collections::VecDeque;

use proptest::prelude::*;
use wire_support::property;
use zportal_core::window::asking::IDLE_PING_NS;
use zportal_core::window::feedback::Feedback;
use zportal_core::window::inflight::{INITIAL_BYTES, Inflight};
use zportal_core::window::phase::Phase;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const PACKET_BYTES: u64 = 1400;
/// The peer's clock runs from another moment.
const PEER_CLOCK_NS: u64 = 99 * SECOND;

/// A path with a queue without end and a sender that always has something to send.
struct Path {
    window: Inflight,
    now_ns: u64,
    bytes_per_second: u64,
    base_rtt_ns: u64,
    /// When the link has sent all that it was given.
    link_free_ns: u64,
    sent_bytes: u64,
    delivered_bytes: u64,
    /// PINGs on their way: when they are answered, when they were sent, what is delivered then.
    pings: VecDeque<(u64, u64, u64)>,
    ping_bytes: u64,
    has_data: bool,
}

impl Path {
    fn new(bytes_per_second: u64, base_rtt_ns: u64) -> Path {
        Path {
            window: Inflight::new(0, PACKET_BYTES),
            now_ns: 0,
            bytes_per_second,
            base_rtt_ns,
            link_free_ns: 0,
            sent_bytes: 0,
            delivered_bytes: 0,
            pings: VecDeque::new(),
            ping_bytes: 0,
            has_data: true,
        }
    }

    fn run(&mut self, for_ns: u64) {
        let until_ns = self.now_ns + for_ns;
        loop {
            self.send();
            let answer_ns = self.pings.front().map_or(u64::MAX, |ping| ping.0);
            let ping_ns = self.window.ping_at(false).max(self.now_ns + 1);
            self.now_ns = answer_ns.min(ping_ns).min(until_ns);
            if let Some((_, sent_ns, delivered_bytes)) =
                self.pings.pop_front_if(|ping| ping.0 <= self.now_ns)
            {
                self.delivered_bytes = delivered_bytes;
                self.window.on_feedback(Feedback {
                    now_ns: self.now_ns,
                    ping_sent_ns: sent_ns,
                    peer_ns: self.now_ns + PEER_CLOCK_NS - self.base_rtt_ns / 2,
                    delivered_bytes,
                });
            }
            if self.now_ns >= until_ns {
                return;
            }
        }
    }

    fn send(&mut self) {
        loop {
            let may_send = self.has_data && self.window.may_send() > 0;
            if may_send {
                self.occupy(PACKET_BYTES);
                self.sent_bytes += PACKET_BYTES;
                self.window.on_sent(self.now_ns, PACKET_BYTES);
            } else if !self.has_data {
                self.window.on_app_limited();
            }
            if self.window.ping_due(self.now_ns) {
                self.occupy(48);
                self.ping_bytes += 48;
                self.window.on_ping(self.now_ns);
                let answer_ns = self.link_free_ns + self.base_rtt_ns;
                self.pings
                    .push_back((answer_ns, self.now_ns, self.sent_bytes));
            } else if !may_send {
                return;
            }
        }
    }

    fn occupy(&mut self, bytes: u64) {
        let from_ns = self.link_free_ns.max(self.now_ns);
        self.link_free_ns = from_ns + bytes * SECOND / self.bytes_per_second;
    }

    /// What stands before the link, as time.
    fn queue_ns(&self) -> u64 {
        self.link_free_ns.saturating_sub(self.now_ns)
    }

    /// Runs on, and returns the part of the link that was used and the mean queue, milliseconds.
    fn measured(&mut self, for_ns: u64) -> (f64, f64) {
        let before = self.delivered_bytes;
        let mut queue_ms = 0.0;
        for _ in 0..200 {
            self.run(for_ns / 200);
            queue_ms += self.queue_ns() as f64 / MS as f64 / 200.0;
        }
        let bytes = (self.delivered_bytes - before) as f64;
        let capacity = self.bytes_per_second as f64 * for_ns as f64 / SECOND as f64;
        (bytes / capacity, queue_ms)
    }
}

#[test]
fn a_steady_path_is_full_and_its_queue_short() {
    for (mbit, rtt_ms, most_ms) in [
        (5, 40, 16.0),
        (20, 40, 10.0),
        (20, 2, 6.0),
        (100, 100, 14.0),
    ] {
        let mut path = Path::new(mbit * 125_000, rtt_ms * MS);
        path.run(5 * SECOND);
        let (used, queue_ms) = path.measured(5 * SECOND);
        assert!(used >= 0.95, "{mbit} Mbit/s, {rtt_ms} ms: used {used}");
        assert!(
            queue_ms <= most_ms,
            "{mbit} Mbit/s, {rtt_ms} ms: {queue_ms} ms"
        );
        let seen = path.window.path().bytes_per_second();
        assert!(seen.abs_diff(path.bytes_per_second) < path.bytes_per_second / 10);
    }
}

#[test]
fn startup_fills_a_fast_path_in_a_few_round_trips() {
    let mut path = Path::new(125_000_000, 50 * MS);
    assert_eq!(path.window.may_send(), INITIAL_BYTES);
    // 32 KiB to 6.25 MB are less than eight doublings.
    path.run(12 * 50 * MS);
    let (used, _) = path.measured(10 * 50 * MS);
    assert!(used > 0.9, "{used}");
}

#[test]
fn a_rise_of_the_rate_is_found_and_a_drop_is_followed() {
    let mut path = Path::new(625_000, 40 * MS);
    path.run(5 * SECOND);
    path.bytes_per_second = 12_500_000;
    path.run(3 * SECOND);
    let (used, _) = path.measured(2 * SECOND);
    assert!(used > 0.9, "after the rise: {used}");
    path.bytes_per_second = 625_000;
    // A second to drain what 100 Mbit/s had under way, and some to find out.
    path.run(3 * SECOND);
    let (used, queue_ms) = path.measured(2 * SECOND);
    assert!(used > 0.9, "after the drop: {used}");
    assert!(queue_ms < 30.0, "after the drop: {queue_ms} ms");
}

/// The trap of every limit made of a base round trip: half the limit, half the rate, and again.
#[test]
fn a_longer_path_is_not_starved() {
    for (before_ms, after_ms) in [(20, 30), (20, 60), (5, 150), (60, 100)] {
        let mut path = Path::new(2_500_000, before_ms * MS);
        path.run(5 * SECOND);
        path.base_rtt_ns = after_ms * MS;
        path.run(30 * after_ms * MS);
        let (used, queue_ms) = path.measured(20 * after_ms * MS);
        assert!(used > 0.85, "{before_ms} to {after_ms} ms: {used}");
        assert!(
            queue_ms < 25.0,
            "{before_ms} to {after_ms} ms: {queue_ms} ms"
        );
    }
}

#[test]
fn a_shorter_path_gets_a_shorter_limit() {
    let mut path = Path::new(2_500_000, 100 * MS);
    path.run(5 * SECOND);
    path.base_rtt_ns = 10 * MS;
    path.run(3 * SECOND);
    let (used, queue_ms) = path.measured(2 * SECOND);
    assert!(used > 0.95 && queue_ms < 10.0, "{used}, {queue_ms} ms");
}

/// A drop to a fortieth with two seconds under way: the queue lasts longer than the memory of
/// the base round trip, and must not become it.
#[test]
fn a_huge_queue_is_never_taken_for_the_length_of_the_path() {
    let mut path = Path::new(12_500_000, 150 * MS);
    path.run(5 * SECOND);
    path.bytes_per_second = 125_000;
    for _ in 0..60 {
        path.run(SECOND);
        let limit = path.window.limit_bytes();
        assert!(
            limit < 4_000_000,
            "the limit is {limit} at {} s",
            path.now_ns / SECOND
        );
    }
    let (used, queue_ms) = path.measured(5 * SECOND);
    assert!(used > 0.9 && queue_ms < 60.0, "{used}, {queue_ms} ms");
}

#[test]
fn after_an_idle_time_it_goes_on_as_before() {
    let mut path = Path::new(2_500_000, 40 * MS);
    path.run(5 * SECOND);
    path.has_data = false;
    path.run(20 * SECOND);
    let pings = path.ping_bytes;
    path.run(60 * SECOND);
    let idle_pings = (path.ping_bytes - pings) / 48;
    assert!(
        idle_pings <= 60 * SECOND / IDLE_PING_NS + 1,
        "{idle_pings} in a minute"
    );
    assert!(idle_pings >= 10, "{idle_pings} in a minute");
    assert_eq!(path.window.inflight_bytes(), 0);
    path.has_data = true;
    path.run(5 * 40 * MS);
    let (used, _) = path.measured(SECOND);
    assert!(used > 0.9, "{used}");
}

#[test]
fn pings_cost_little() {
    for mbit in [1, 5, 20, 100, 1000] {
        let mut path = Path::new(mbit * 125_000, 30 * MS);
        path.run(3 * SECOND);
        let share = path.ping_bytes as f64 / path.sent_bytes as f64;
        assert!(share < 0.03, "{mbit} Mbit/s: {share}");
    }
}

/// Whatever has been sent, a PING for it comes due by itself: without one, a full window would
/// wait for ever.
#[test]
fn what_is_sent_is_asked_about_in_time() {
    let mut window = Inflight::new(0, PACKET_BYTES);
    assert!(window.ping_due(0), "at once, to learn the round trip");
    window.on_ping(0);
    assert!(!window.ping_due(IDLE_PING_NS - 1));
    assert!(window.ping_due(IDLE_PING_NS));
    window.on_sent(10, 100);
    assert!(window.ping_at(false) <= 50 * MS);
    while window.may_send() > 0 {
        window.on_sent(10, PACKET_BYTES);
    }
    assert!(window.ping_due(10), "a burst does not wait for the time");
    window.on_ping(10);
    assert!(!window.ping_due(11), "nothing new to ask about");
}

#[test]
fn reports_beyond_what_was_sent_or_from_nowhere_change_nothing() {
    let mut window = Inflight::new(0, PACKET_BYTES);
    window.on_sent(0, 10_000);
    window.on_ping(0);
    let report = |ping_sent_ns, delivered_bytes| Feedback {
        now_ns: 10 * MS,
        ping_sent_ns,
        peer_ns: 0,
        delivered_bytes,
    };
    window.on_feedback(report(5, 4000));
    assert_eq!(
        window.inflight_bytes(),
        6000,
        "no PING, but a report all the same"
    );
    assert_eq!(window.path().latest_rtt_ns(), 0);
    window.on_feedback(report(0, u64::MAX));
    assert_eq!(window.inflight_bytes(), 0);
    window.on_sent(0, 500);
    window.on_feedback(report(0, 100));
    assert_eq!(window.inflight_bytes(), 500, "reports do not go back");
}

/// No peer and no clock makes it panic, or shut for good.
#[test]
fn any_reports_leave_it_open() {
    #[derive(Debug, Clone)]
    enum Event {
        Sent(u64),
        Ping,
        AppLimited,
        Pong {
            nth: usize,
            peer_ns: u64,
            delivered: u64,
        },
        Wait(u64),
    }
    let event = prop_oneof![
        4 => (1..70_000u64).prop_map(Event::Sent),
        4 => Just(Event::Ping),
        1 => Just(Event::AppLimited),
        4 => (0..6usize, any::<u64>(), any::<u64>(), any::<bool>()).prop_map(
            |(nth, peer_ns, delivered, wild)| Event::Pong {
                nth,
                peer_ns,
                delivered: if wild { delivered } else { delivered & 0xf_ffff },
            }
        ),
        3 => prop_oneof![0..50 * MS, 0..100 * SECOND, any::<u64>()].prop_map(Event::Wait),
    ];
    property(
        "any reports",
        500,
        &prop::collection::vec(event, 0..400),
        |events| {
            let mut window = Inflight::new(0, PACKET_BYTES);
            let mut now_ns = 0u64;
            let mut pings = vec![0u64];
            for event in events {
                match event {
                    Event::Sent(bytes) => window.on_sent(now_ns, bytes),
                    Event::Ping => {
                        window.on_ping(now_ns);
                        pings.push(now_ns);
                    }
                    Event::AppLimited => window.on_app_limited(),
                    Event::Pong {
                        nth,
                        peer_ns,
                        delivered,
                    } => {
                        let place = pings.len().saturating_sub(nth + 1);
                        window.on_feedback(Feedback {
                            now_ns,
                            ping_sent_ns: pings[place],
                            peer_ns,
                            delivered_bytes: delivered,
                        });
                    }
                    Event::Wait(step_ns) => now_ns = now_ns.saturating_add(step_ns),
                }
                prop_assert!(window.limit_bytes() >= PACKET_BYTES, "{:?}", window.phase());
                let _ = (window.may_send(), window.ping_at(false));
                match window.phase() {
                    Phase::Down(down) => prop_assert!(down.target_bytes >= PACKET_BYTES),
                    Phase::Doubt(doubt) => prop_assert!(doubt.target_bytes >= PACKET_BYTES),
                    _ => {}
                }
            }
            Ok(())
        },
    );
}
