//! What happens in a world, drawn from a seed: three legs of different rates and lengths.

use super::path::{Kind, Leg};
use super::random::Random;
use super::source::{Habits, MSS_BYTES};
use super::{MS, SECOND};

const LEGS: usize = 3;
/// Worlds in which more packets are under way take longer than they teach.
const UNDER_WAY_PACKETS: f64 = 150.0;
const SLOWEST: f64 = 125_000.0;
const FASTEST: f64 = 12_500_000.0;
const PROXY_BUFFER_BYTES: u64 = 4 << 20;

/// What is to be simulated.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub seed: u64,
    pub kind: Kind,
    pub legs: Vec<Leg>,
    pub until_ns: u64,
    /// Deliveries and reports vary by this much.
    pub jitter_ns: u64,
    /// How long it takes us to wake up when the socket has room.
    pub wake_ns: u64,
    pub flows: u16,
    pub habits: Habits,
    /// When the senders pause, and for how long.
    pub pause: Option<(u64, u64)>,
}

impl Scenario {
    pub fn new(seed: u64, is_proxied: bool) -> Scenario {
        let mut random = Random::new(seed);
        let mut legs: Vec<Leg> = Vec::new();
        let mut from_ns = 0;
        for _ in 0..LEGS {
            let last = legs.last().copied();
            let leg = leg(&mut random, from_ns, last);
            from_ns = leg.settled_ns + SECOND / 2 + 10 * leg.base_rtt_ns;
            legs.push(leg);
        }
        // In some worlds nobody sends while the path changes for the last time.
        let pause_ns = random.within(SECOND / 5, 3 * SECOND);
        let pause = random.chance(3).then(|| {
            let last = &mut legs[LEGS - 1];
            last.settled_ns += pause_ns;
            (last.from_ns - SECOND / 5, pause_ns)
        });
        Scenario {
            seed,
            kind: if is_proxied {
                Kind::Proxy {
                    buffer_bytes: PROXY_BUFFER_BYTES,
                }
            } else {
                Kind::Direct
            },
            until_ns: from_ns + pause.map_or(0, |(_, pause_ns)| pause_ns),
            legs,
            jitter_ns: if random.chance(2) {
                0
            } else {
                random.within(0, 2 * MS)
            },
            wake_ns: random.within(20_000, 200_000),
            flows: [1, 2, 8][random.within(0, 3) as usize],
            habits: Habits {
                decrease: if random.chance(2) { 0.5 } else { 0.7 },
                increase: random.magnitude(1.0, 10.0),
                ecn: random.chance(3),
            },
            pause,
        }
    }
}

fn leg(random: &mut Random, from_ns: u64, last: Option<Leg>) -> Leg {
    let mut base_rtt_ns = random.magnitude(1e6, 200e6) as u64;
    // Mostly the rate changes, and sometimes the way too.
    if let Some(last) = last
        && !random.chance(3)
    {
        base_rtt_ns = last.base_rtt_ns;
    }
    let seconds = base_rtt_ns as f64 / SECOND as f64;
    let most = UNDER_WAY_PACKETS * f64::from(MSS_BYTES) / seconds;
    let bytes_per_second = random.magnitude(SLOWEST, most.clamp(2.0 * SLOWEST, FASTEST));
    // So many round trips, and the time that it takes until what the last leg had under way is
    // gone, two and a half times over.
    let settle_ns = match last {
        None => SECOND / 2 + 15 * base_rtt_ns,
        Some(last) => {
            let held_seconds = last.base_rtt_ns as f64 / SECOND as f64 + 0.03;
            let held = last.bytes_per_second as f64 * held_seconds / bytes_per_second;
            SECOND / 2 + 25 * base_rtt_ns + (2.5 * held * SECOND as f64) as u64
        }
    };
    Leg {
        from_ns,
        bytes_per_second: bytes_per_second as u64,
        base_rtt_ns,
        settled_ns: from_ns + settle_ns,
    }
}
