//! A clock that jumps from event to event, and everything that happens at each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use zportal_core::window::feedback::Feedback;

use super::path::{Frame, Path};
use super::random::Random;
use super::scenario::Scenario;
use super::sender::{Left, Sender};
use super::source::{Bulk, Inner};
use super::{MS, SECOND};

/// The flow of the host that rarely says something.
pub const SPARSE: u16 = 500;
const SPARSE_BYTES: u32 = 100;
const SPARSE_EVERY_NS: u64 = 23 * MS;
const CHECK_EVERY_NS: u64 = 50 * MS;
/// The peer's clock began at another time.
const PEER_CLOCK_NS: u64 = 77 * SECOND;

/// What was seen in one leg, once it was settled.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub measured_ns: u64,
    /// The link was idle although packets waited.
    pub starved_ns: u64,
    pub served_bytes: u64,
    pub capacity_bytes: f64,
    /// Standing in the buffer before the link, time-weighted, milliseconds.
    pub standing_ms: f64,
    /// How long the rare packets waited in our queue, milliseconds.
    pub sparse_sojourn_ms: Vec<f64>,
    /// From source to sink, above half of the base round trip, milliseconds.
    pub sparse_extra_ms: Vec<f64>,
    pub delivered_of_flow: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Leg(usize),
    Sparse,
    Check,
    Wake,
    Served,
    Arrival,
    Acknowledged {
        flow: u16,
        number: u64,
        sent_ns: u64,
        marked: bool,
    },
    Pong {
        ping_sent_ns: u64,
        peer_ns: u64,
        delivered_bytes: u64,
    },
}

pub struct World {
    pub scenario: Scenario,
    random: Random,
    now_ns: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    pub sender: Sender,
    path: Path,
    bulk: Vec<Bulk>,
    /// What is on the way to the peer; it arrives in this order.
    flying: std::collections::VecDeque<Frame>,
    taken_bytes: u64,
    timer_at: u64,
    room_at: u64,
    leg: usize,
    pub seen: Vec<Seen>,
    pub arrived: u64,
}

impl World {
    pub fn new(scenario: Scenario) -> World {
        let first = scenario.legs[0];
        let seen = Seen {
            delivered_of_flow: vec![0.0; scenario.flows.into()],
            ..Seen::default()
        };
        let mut world = World {
            random: Random::new(scenario.seed ^ 0xabcd),
            now_ns: 0,
            events: BinaryHeap::new(),
            order: 0,
            sender: Sender::new(scenario.seed),
            path: Path::new(scenario.kind, first, scenario.jitter_ns),
            bulk: (0..scenario.flows)
                .map(|flow| Bulk::new(flow, scenario.habits))
                .collect(),
            flying: std::collections::VecDeque::new(),
            taken_bytes: 0,
            timer_at: u64::MAX,
            room_at: 0,
            leg: 0,
            seen: vec![seen; scenario.legs.len()],
            arrived: 0,
            scenario,
        };
        for (number, leg) in world.scenario.legs.clone().into_iter().enumerate() {
            world.at(leg.from_ns, Event::Leg(number));
        }
        world.at(7 * MS, Event::Sparse);
        world.at(0, Event::Check);
        world
    }

    pub fn run(&mut self) {
        while let Some(Reverse((at_ns, _, event))) = self.events.pop() {
            if at_ns > self.scenario.until_ns {
                break;
            }
            self.pass(at_ns);
            self.happen(event);
        }
    }

    fn at(&mut self, at_ns: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at_ns, self.order, event)));
    }

    fn measured(&mut self) -> Option<&mut Seen> {
        (self.now_ns >= self.path.leg.settled_ns).then(|| &mut self.seen[self.leg])
    }

    /// Time passes, in the state that the last event left.
    fn pass(&mut self, until_ns: u64) {
        let passed_ns = until_ns - self.now_ns;
        let is_starved = self.path.is_idle() && !self.sender.queue.is_empty();
        let standing_ms = self.path.standing_ms() * passed_ns as f64;
        let bytes = self.path.leg.bytes_per_second as f64 * passed_ns as f64 / SECOND as f64;
        if let Some(seen) = self.measured() {
            seen.measured_ns += passed_ns;
            seen.starved_ns += if is_starved { passed_ns } else { 0 };
            seen.standing_ms += standing_ms;
            seen.capacity_bytes += bytes;
        }
        self.now_ns = until_ns;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Leg(number) => {
                self.leg = number;
                self.path.leg = self.scenario.legs[number];
            }
            Event::Sparse => {
                self.at(self.now_ns + SPARSE_EVERY_NS, Event::Sparse);
                // Each from another port, as lookups of names are.
                let port = 20_000 + (self.order % 20_000) as u16;
                let inner = Inner::new(SPARSE, port, 0, SPARSE_BYTES, self.now_ns, false);
                self.sender.enqueue(self.now_ns, inner);
            }
            Event::Check => {
                self.at(self.now_ns + CHECK_EVERY_NS, Event::Check);
                for flow in 0..self.bulk.len() {
                    self.bulk[flow].check_timeout(self.now_ns);
                    self.send_from(flow);
                }
            }
            Event::Wake => {
                if self.timer_at <= self.now_ns {
                    self.timer_at = u64::MAX;
                }
            }
            Event::Served => {
                let (frame, arrival_ns) = self.path.served(self.now_ns, self.random.next());
                let bytes = frame.wire_bytes();
                if let Some(seen) = self.measured() {
                    seen.served_bytes += bytes;
                }
                self.flying.push_back(frame);
                self.at(arrival_ns, Event::Arrival);
                self.serve();
                // The socket has room now, which we notice a little later.
                if self.room_at <= self.now_ns {
                    self.room_at = self.now_ns + self.scenario.wake_ns;
                    self.at(self.room_at, Event::Wake);
                }
                return;
            }
            Event::Arrival => {
                if let Some(frame) = self.flying.pop_front() {
                    self.arrive(frame);
                }
                return;
            }
            Event::Acknowledged {
                flow,
                number,
                sent_ns,
                marked,
            } => {
                self.bulk[usize::from(flow)].acknowledged(self.now_ns, number, sent_ns, marked);
                self.send_from(flow.into());
            }
            Event::Pong {
                ping_sent_ns,
                peer_ns,
                delivered_bytes,
            } => {
                self.sender.on_feedback(Feedback {
                    now_ns: self.now_ns,
                    ping_sent_ns,
                    peer_ns,
                    delivered_bytes,
                });
            }
        }
        self.pump();
    }

    fn send_from(&mut self, flow: usize) {
        if let Some((from_ns, for_ns)) = self.scenario.pause
            && (from_ns..from_ns + for_ns).contains(&self.now_ns)
        {
            return;
        }
        while let Some(inner) = self.bulk[flow].send(self.now_ns) {
            self.sender.enqueue(self.now_ns, inner);
        }
    }

    fn pump(&mut self) {
        let is_measured = self.measured().is_some();
        let seen = &mut self.seen[self.leg];
        self.sender
            .pump(self.now_ns, &mut self.path, &mut |left: Left| {
                if is_measured && left.flow == SPARSE {
                    seen.sparse_sojourn_ms
                        .push(left.sojourn_ns as f64 / MS as f64);
                }
            });
        self.serve();
        if let Some(at_ns) = self.sender.timer_at(self.scenario.kind) {
            let at_ns = at_ns.max(self.now_ns + 1);
            if at_ns < self.timer_at {
                self.timer_at = at_ns;
                self.at(at_ns, Event::Wake);
            }
        }
    }

    fn serve(&mut self) {
        if let Some(done_ns) = self.path.serve(self.now_ns) {
            self.at(done_ns, Event::Served);
        }
    }

    /// The peer takes a frame.
    fn arrive(&mut self, frame: Frame) {
        let half_ns = self.path.leg.base_rtt_ns / 2;
        let now_ns = self.now_ns;
        match frame {
            Frame::Ping { sent_ns } => {
                let back_ns = half_ns + self.random.next() % (self.scenario.jitter_ns + 1);
                let pong = Event::Pong {
                    ping_sent_ns: sent_ns,
                    peer_ns: now_ns + PEER_CLOCK_NS,
                    delivered_bytes: self.taken_bytes,
                };
                self.at(now_ns + back_ns, pong);
            }
            Frame::Data(inner) => {
                self.taken_bytes += u64::from(inner.bytes);
                self.arrived += 1;
                if inner.flow == SPARSE {
                    let extra_ns = (now_ns - inner.sent_ns).saturating_sub(half_ns);
                    if let Some(seen) = self.measured() {
                        seen.sparse_extra_ms.push(extra_ns as f64 / MS as f64);
                    }
                    return;
                }
                if let Some(seen) = self.measured() {
                    seen.delivered_of_flow[usize::from(inner.flow)] += f64::from(inner.bytes);
                }
                let acknowledged = Event::Acknowledged {
                    flow: inner.flow,
                    number: inner.number,
                    sent_ns: inner.sent_ns,
                    marked: inner.is_marked(),
                };
                self.at(now_ns + half_ns, acknowledged);
            }
        }
    }
}
