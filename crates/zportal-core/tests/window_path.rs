//! What one report tells, and what a path is believed to be like from many.

use zportal_core::window::feedback::{Feedback, Flight, PINGS_MAX, Sample};
use zportal_core::window::path::{MIN_RTT_FILTER_NS, Path, Round};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const PEER_CLOCK_NS: u64 = 7 * SECOND;

fn pong(now_ns: u64, ping_sent_ns: u64, delivered_bytes: u64) -> Feedback {
    Feedback {
        now_ns,
        ping_sent_ns,
        peer_ns: now_ns + PEER_CLOCK_NS,
        delivered_bytes,
    }
}

/// 100 bytes each millisecond with a PING behind them, all of which come back after 50 ms.
fn steady(flight: &mut Flight, from_ms: u64, until_ms: u64) -> Vec<Sample> {
    let mut samples = Vec::new();
    let already_bytes = flight.sent_bytes();
    for ms in from_ms..until_ms {
        flight.on_sent(ms * MS, 100);
        flight.on_ping(ms * MS);
        if let Some(sent_ms) = ms.checked_sub(50).filter(|sent_ms| *sent_ms >= from_ms) {
            let delivered_bytes = already_bytes + (sent_ms - from_ms + 1) * 100;
            samples.extend(flight.on_feedback(pong(ms * MS, sent_ms * MS, delivered_bytes)));
        }
    }
    samples
}

#[test]
fn a_steady_stream_shows_its_rate_and_its_round_trip() {
    let mut flight = Flight::new(0);
    let samples = steady(&mut flight, 0, 300);
    assert_eq!(samples.len(), 250);
    for sample in &samples[80..] {
        assert_eq!(sample.rtt_ns, 50 * MS);
        assert_eq!(sample.bytes_per_second, 100_000);
        assert!(sample.prior_inflight_bytes.abs_diff(5000) <= 100);
        assert!(!sample.is_app_limited);
    }
}

/// The time in which nothing was under way is no part of a rate.
#[test]
fn an_idle_time_does_not_dilute_the_rate() {
    let mut flight = Flight::new(0);
    steady(&mut flight, 0, 300);
    let sent_bytes = flight.sent_bytes();
    flight.on_feedback(pong(400 * MS, 299 * MS, sent_bytes));
    assert_eq!(flight.inflight_bytes(), 0);
    let from_ms = 60_000;
    let samples = steady(&mut flight, from_ms, from_ms + 100);
    // The first tells of 100 bytes in one round trip, the last of 5,000.
    assert!(
        samples[0].bytes_per_second >= 2000,
        "{}",
        samples[0].bytes_per_second
    );
    assert!(
        samples[48].bytes_per_second >= 49_000,
        "{}",
        samples[48].bytes_per_second
    );
}

/// Reports that a slow way back lets pile up and come at once tell no rate that never was.
#[test]
fn reports_that_come_at_once_do_not_make_the_link_faster() {
    let mut flight = Flight::new(0);
    steady(&mut flight, 0, 300);
    let sent_bytes = flight.sent_bytes();
    for sent_ms in 250..300 {
        let delivered_bytes = sent_bytes - (299 - sent_ms) * 100;
        let feedback = Feedback {
            peer_ns: (sent_ms + 25) * MS + PEER_CLOCK_NS,
            ..pong(400 * MS, sent_ms * MS, delivered_bytes)
        };
        let sample = flight.on_feedback(feedback).expect("it was asked");
        assert!(sample.bytes_per_second <= 202_000, "{sample:?}");
    }
    // Nor does a peer whose clock stands still: it delivers no faster than we send.
    let mut flight = Flight::new(0);
    for ms in 0..200 {
        flight.on_sent(ms * MS, 100);
        flight.on_ping(ms * MS);
        if let Some(sent_ms) = ms.checked_sub(50) {
            let feedback = Feedback {
                peer_ns: 5,
                ..pong(ms * MS, sent_ms * MS, (sent_ms + 1) * 100)
            };
            let sample = flight.on_feedback(feedback).expect("it was asked");
            assert!(ms < 120 || sample.bytes_per_second <= 102_000, "{sample:?}");
        }
    }
}

#[test]
fn samples_of_a_sender_with_little_to_send_say_so() {
    let mut flight = Flight::new(0);
    steady(&mut flight, 0, 100);
    flight.on_app_limited();
    let samples = steady(&mut flight, 100, 260);
    let limited: Vec<bool> = samples.iter().map(|sample| sample.is_app_limited).collect();
    // Until all that had been sent by then has been reported, and its report is in a sample.
    assert!(limited[..50].iter().all(|limited| *limited));
    assert!(limited[55..].iter().all(|limited| !limited));
}

#[test]
fn no_more_pings_are_remembered_than_the_bound() {
    let mut flight = Flight::new(0);
    for number in 0..2 * PINGS_MAX as u64 {
        flight.on_ping(number);
        assert!(flight.pings() <= PINGS_MAX);
    }
    assert!(flight.on_feedback(pong(SECOND, 3, 0)).is_none());
    assert!(
        flight
            .on_feedback(pong(SECOND, PINGS_MAX as u64 + 3, 0))
            .is_some()
    );
    assert_eq!(flight.pings(), PINGS_MAX - 4);
}

fn sample(rtt_ms: u64, bytes_per_second: u64, is_app_limited: bool) -> Sample {
    Sample {
        rtt_ns: rtt_ms * MS,
        bytes_per_second,
        prior_delivered_bytes: 0,
        prior_inflight_bytes: 0,
        delivered_bytes: 0,
        inflight_bytes: 0,
        is_app_limited,
    }
}

fn round(samples: &[Sample]) -> Round {
    let mut round = Round::new(0, u64::MAX);
    for sample in samples {
        round.observe(0, sample);
    }
    round
}

#[test]
fn a_queue_older_than_the_memory_of_the_base_is_no_base() {
    let mut path = Path::default();
    path.observe(0, &sample(20, 1_000_000, false));
    for ms in 1..20_000 {
        path.observe(ms * MS, &sample(300, 1_000_000, false));
    }
    assert_eq!(path.base_rtt_ns(), 20 * MS);
    // An empty path, though, may give another, and a little longer one only in time.
    let empty = round(&[sample(22, 1_000_000, false), sample(26, 1_000_000, false)]);
    path.observe_empty(MIN_RTT_FILTER_NS, &empty, 0);
    assert_eq!(path.base_rtt_ns(), 20 * MS);
    assert_eq!(path.empty_rtt_ns(), 24 * MS, "the mean");
    path.observe_empty(MIN_RTT_FILTER_NS + 1, &empty, 0);
    assert_eq!(path.base_rtt_ns(), 22 * MS);
    let longer = round(&[sample(60, 1_000_000, false), sample(62, 1_000_000, false)]);
    path.observe_empty(MIN_RTT_FILTER_NS + 2, &longer, 0);
    assert_eq!(
        (path.base_rtt_ns(), path.empty_rtt_ns()),
        (60 * MS, 61 * MS)
    );
}

#[test]
fn a_rate_falls_by_a_queue_or_in_time_but_not_by_having_little_to_send() {
    let mut path = Path::default();
    path.observe(0, &sample(20, 1_000_000, false));
    for ms in 1..10_000 {
        path.observe(ms * MS, &sample(20, 1000, true));
    }
    assert_eq!(path.bytes_per_second(), 1_000_000);
    path.observe(10 * SECOND, &sample(20, 1_200_000, true));
    assert_eq!(
        path.bytes_per_second(),
        1_200_000,
        "more than thought is true in any case"
    );
    path.observe_busy(10 * SECOND, &round(&[sample(90, 700_000, false)]));
    assert_eq!(path.bytes_per_second(), 700_000);
    path.observe_busy(10 * SECOND, &round(&[sample(90, 900_000, false)]));
    assert_eq!(
        path.bytes_per_second(),
        700_000,
        "it is no news that it was less"
    );
    for ms in 10_000..11_000 {
        path.observe(ms * MS, &sample(20, 500_000, false));
    }
    assert_eq!(path.bytes_per_second(), 500_000);
}

#[test]
fn one_short_round_trip_in_a_round_means_no_standing_queue() {
    let mut path = Path::default();
    path.observe(0, &sample(20, 1_000_000, false));
    let long = sample(200, 1_000_000, false);
    assert!(path.is_queued(&round(&[long; 5]), 0));
    assert!(!path.is_queued(&round(&[long, sample(22, 1_000_000, false), long]), 0));
    // 300 KB take 300 ms at that rate.
    assert!(!path.is_queued(&round(&[long; 5]), 300_000));
}
