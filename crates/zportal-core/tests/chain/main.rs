//! The limit of bytes under way through chains of proxies that stall: their links are kept busy, and
//! little stands before them, whichever way the data goes. No kernel, and no clock but its own.
//!
//! ```text
//!  client ──► proxy ──► proxy ──► proxy ══ slow link ══► server
//!      near, Nagle's algorithm on, acknowledgements delayed
//! ```
//!
//! Each proxy is at its worst all the time: it always hopes to send its acknowledgement with data.

mod line;

use std::collections::VecDeque;

use line::{Line, Slow};
use zportal_core::window::feedback::Feedback;
use zportal_core::window::inflight::Inflight;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const PACKET_BYTES: u64 = 1400;
/// A piece of a super-packet, and its frame.
const PIECE_BYTES: u64 = 3 * 1400;
const HEADER_BYTES: u64 = 16;
const MESSAGE_BYTES: u64 = 48;
/// What a host behind the far end answers for each piece: TCP's acknowledgement.
const ANSWER_BYTES: u64 = 52;
const PEER_CLOCK_NS: u64 = 77 * SECOND;
const WARM_UP_NS: u64 = 2 * SECOND;
const MEASURED_NS: u64 = 10 * SECOND;

#[derive(Debug, Clone, Copy)]
enum Frame {
    Data {
        bytes: u64,
    },
    Ping {
        sent_ns: u64,
    },
    Pong {
        ping_sent_ns: u64,
        peer_ns: u64,
        taken_bytes: u64,
    },
}

/// One end of the tunnel.
struct End {
    window: Inflight,
    has_data: bool,
    taken_bytes: u64,
    /// Frames under way to the other end, with the place in the stream where each is over.
    under_way: VecDeque<(u64, Frame)>,
}

impl End {
    fn new(has_data: bool) -> End {
        End {
            window: Inflight::new(0, PACKET_BYTES),
            has_data,
            taken_bytes: 0,
            under_way: VecDeque::new(),
        }
    }
}

struct World {
    line: Line,
    slow: Slow,
    ends: [End; 2],
    now_ns: u64,
}

/// What was seen of one way.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Of what the link carries.
    goodput: f64,
    /// The mean that is under way beyond what the path holds, as time, milliseconds.
    standing_ms: f64,
}

impl World {
    fn new(proxies: usize, slow: Slow, has_data: [bool; 2]) -> World {
        World {
            line: Line::new(proxies, slow),
            slow,
            ends: has_data.map(End::new),
            now_ns: 0,
        }
    }

    fn run(&mut self) -> [Seen; 2] {
        self.run_until(WARM_UP_NS);
        let before = [0, 1].map(|way| self.ends[1 - way].taken_bytes);
        let mut standing_bytes_ns = [0.0; 2];
        while self.now_ns < WARM_UP_NS + MEASURED_NS {
            let from_ns = self.now_ns;
            let under_way = [0, 1].map(|way| self.line.entered(way) - self.line.arrived(way));
            self.run_until(from_ns + MS);
            let passed_ns = (self.now_ns - from_ns) as f64;
            for way in [0, 1] {
                standing_bytes_ns[way] += under_way[way] as f64 * passed_ns;
            }
        }
        [0, 1].map(|way| {
            let taken = (self.ends[1 - way].taken_bytes - before[way]) as f64;
            let rate = self.slow.bytes_per_second as f64;
            let under_way = standing_bytes_ns[way] / MEASURED_NS as f64;
            let delay_ms = self.slow.delay_ns as f64 / MS as f64;
            Seen {
                goodput: taken / (rate * (MEASURED_NS / SECOND) as f64),
                standing_ms: under_way / rate * 1e3 - delay_ms,
            }
        })
    }

    fn run_until(&mut self, until_ns: u64) {
        loop {
            for way in [0, 1] {
                self.send(way);
            }
            let pings = self.ends.iter().map(|end| end.window.ping_at(false));
            let ping_ns = pings.min().unwrap_or(u64::MAX).max(self.now_ns + 1);
            let next_ns = self.line.next_at().unwrap_or(u64::MAX).min(ping_ns);
            if next_ns >= until_ns {
                self.now_ns = until_ns;
                return;
            }
            self.now_ns = next_ns;
            while self.line.next_at().is_some_and(|at_ns| at_ns <= next_ns) {
                self.line.step();
            }
            for way in [0, 1] {
                self.arrive(way);
            }
        }
    }

    /// Lets out what may go: a PING ahead of each batch, as a session does.
    fn send(&mut self, way: usize) {
        loop {
            let window = &mut self.ends[way].window;
            let pings = window.ping_due(self.now_ns);
            if pings {
                window.on_ping(self.now_ns);
                let sent_ns = self.now_ns;
                self.push(way, MESSAGE_BYTES, Frame::Ping { sent_ns });
            }
            let end = &mut self.ends[way];
            if !end.has_data {
                end.window.on_app_limited();
            }
            let sends = end.has_data && end.window.may_send() > 0;
            if sends {
                self.push_data(way, PIECE_BYTES);
            } else if !pings {
                return;
            }
        }
    }

    fn push_data(&mut self, way: usize, bytes: u64) {
        self.ends[way].window.on_sent(self.now_ns, bytes);
        self.push(way, bytes + HEADER_BYTES, Frame::Data { bytes });
    }

    fn push(&mut self, way: usize, bytes: u64, frame: Frame) {
        let place = self.line.entered(way) + bytes;
        self.ends[way].under_way.push_back((place, frame));
        self.line.write(self.now_ns, way, bytes);
    }

    fn arrive(&mut self, way: usize) {
        let arrived = self.line.arrived(way);
        let back = 1 - way;
        let there = |(place, _): &mut (u64, Frame)| *place <= arrived;
        while let Some((_, frame)) = self.ends[way].under_way.pop_front_if(there) {
            match frame {
                Frame::Data { bytes } => {
                    self.ends[back].taken_bytes += bytes;
                    if bytes == PIECE_BYTES {
                        // A sparse flow: no limit is for it.
                        self.push_data(back, ANSWER_BYTES);
                    }
                }
                Frame::Ping { sent_ns } => {
                    let pong = Frame::Pong {
                        ping_sent_ns: sent_ns,
                        peer_ns: self.now_ns + PEER_CLOCK_NS,
                        taken_bytes: self.ends[back].taken_bytes,
                    };
                    self.push(back, MESSAGE_BYTES, pong);
                }
                Frame::Pong {
                    ping_sent_ns,
                    peer_ns,
                    taken_bytes,
                } => {
                    self.ends[back].window.on_feedback(Feedback {
                        now_ns: self.now_ns,
                        ping_sent_ns,
                        peer_ns,
                        delivered_bytes: taken_bytes,
                    });
                }
            }
        }
    }
}

/// What is simulated; a debug build, which takes 20 times as long, does a part of it.
const RATES_MBIT: &[u64] = if cfg!(debug_assertions) {
    &[20]
} else {
    &[5, 20, 100]
};
const DELAYS_US: &[u64] = if cfg!(debug_assertions) {
    &[NEAR_US, 10_000]
} else {
    &[NEAR_US, 2_000, 10_000, 40_000]
};
const NEAR_US: u64 = 50;

/// Runs every chain of one to three proxies with data on these ways; returns for each a name, the
/// number of proxies, the delay, and what was seen of the ways that had data.
fn each(has_data: [bool; 2]) -> Vec<(String, usize, u64, Vec<Seen>)> {
    let mut all = Vec::new();
    for proxies in 1..=3 {
        for mbit in RATES_MBIT {
            for delay_us in DELAYS_US {
                let slow = Slow {
                    bytes_per_second: mbit * 125_000,
                    delay_ns: delay_us * 1000,
                };
                let seen = World::new(proxies, slow, has_data).run();
                let ways = [0, 1].into_iter().filter(|way| has_data[*way]);
                let name = format!("{proxies} proxies, {mbit} Mbit/s, {delay_us} us, {has_data:?}");
                all.push((
                    name,
                    proxies,
                    *delay_us,
                    ways.map(|way| seen[way]).collect(),
                ));
            }
        }
    }
    all
}

/// Without what is added for stalls a chain of two before a near link of 20 Mbit/s carries 0.06.
#[test]
fn chains_that_stall_are_kept_busy_and_little_stands_in_them() {
    for has_data in [[true, false], [false, true]] {
        for (name, proxies, delay_us, ways) in each(has_data) {
            // A stall is longer where the report of its end takes longer.
            let least = match (proxies, delay_us) {
                (1, _) => 0.9,
                (_, NEAR_US) => 0.85,
                _ => 0.6,
            };
            for seen in ways {
                assert!(seen.goodput >= least, "{name}: {seen:?}");
                assert!(seen.standing_ms <= 60.0, "{name}: {seen:?}");
            }
        }
    }
}

/// Each way is the other's way back: reports and acknowledgements wait behind its data.
#[test]
fn data_both_ways_at_once_starves_neither() {
    let all = each([true, true]);
    let mut standing_ms: Vec<f64> = Vec::new();
    for (name, _, _, ways) in &all {
        for seen in ways {
            assert!(seen.goodput >= 0.5, "{name}: {seen:?}");
            standing_ms.push(seen.standing_ms);
        }
    }
    standing_ms.sort_by(f64::total_cmp);
    let median_ms = standing_ms[standing_ms.len() / 2];
    assert!(
        median_ms <= 20.0,
        "half of the ways hold more than {median_ms} ms"
    );
}
