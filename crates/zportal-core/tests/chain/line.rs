//! A line of TCP connections through proxies that leave Nagle's algorithm on and delay their
//! acknowledgements, the last of them over a slow link: bytes in, bytes out, and what happens when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

const MSS_BYTES: u64 = 1448;
/// TCP's longest delay of an acknowledgement that it hopes to send with data (Linux, TCP_DELACK_MIN).
const DELAYED_ACK_NS: u64 = 40_000_000;
/// One way between two hosts that stand side by side.
const NEAR_NS: u64 = 30_000;
const SECOND_NS: u64 = 1_000_000_000;

/// The slow link at the far end of the line.
#[derive(Debug, Clone, Copy)]
pub struct Slow {
    pub bytes_per_second: u64,
    pub delay_ns: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Segment {
        cable: usize,
        way: usize,
        bytes: u64,
    },
    Acknowledged {
        cable: usize,
        way: usize,
        until: u64,
    },
    DelayedAck {
        cable: usize,
        way: usize,
    },
}

/// One direction of one connection.
#[derive(Debug, Clone, Copy, Default)]
struct Half {
    written: u64,
    sent: u64,
    acknowledged: u64,
    received: u64,
    /// What the receiver has acknowledged, and until when it will do so at the latest.
    ack_sent: u64,
    ack_by_ns: Option<u64>,
    link_free_ns: u64,
}

/// Connections 0 to `proxies`; way 0 leads from the client to the server, 1 back.
#[derive(Debug)]
pub struct Line {
    cables: Vec<[Half; 2]>,
    slow: Slow,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
}

impl Line {
    pub fn new(proxies: usize, slow: Slow) -> Line {
        Line {
            cables: vec![[Half::default(); 2]; proxies + 1],
            slow,
            events: BinaryHeap::new(),
            order: 0,
        }
    }

    /// Bytes that an end gives to its socket.
    pub fn write(&mut self, now_ns: u64, way: usize, bytes: u64) {
        let cable = self.first(way);
        self.cables[cable][way].written += bytes;
        self.send(now_ns, cable, way);
    }

    /// All that ever came out at the other end.
    pub fn arrived(&self, way: usize) -> u64 {
        self.cables[self.last(way)][way].received
    }

    /// All that ever went in.
    pub fn entered(&self, way: usize) -> u64 {
        self.cables[self.first(way)][way].written
    }

    pub fn next_at(&self) -> Option<u64> {
        self.events.peek().map(|Reverse((at_ns, _, _))| *at_ns)
    }

    /// Lets the next thing happen.
    pub fn step(&mut self) {
        let Some(Reverse((now_ns, _, event))) = self.events.pop() else {
            return;
        };
        match event {
            Event::Segment { cable, way, bytes } => self.receive(now_ns, cable, way, bytes),
            Event::Acknowledged { cable, way, until } => {
                let half = &mut self.cables[cable][way];
                half.acknowledged = half.acknowledged.max(until);
                self.send(now_ns, cable, way);
            }
            Event::DelayedAck { cable, way } => {
                let is_due = |by_ns| by_ns <= now_ns;
                if self.cables[cable][way].ack_by_ns.is_some_and(is_due) {
                    self.acknowledge(now_ns + self.delay_ns(cable), cable, way);
                }
            }
        }
    }

    fn receive(&mut self, now_ns: u64, cable: usize, way: usize, bytes: u64) {
        let is_end = cable == self.last(way);
        let half = &mut self.cables[cable][way];
        half.received += bytes;
        // Our own ends acknowledge at once, others when there is much, or late.
        if is_end || half.received - half.ack_sent >= 2 * MSS_BYTES {
            self.acknowledge(now_ns + self.delay_ns(cable), cable, way);
        } else if half.ack_by_ns.is_none() {
            let by_ns = now_ns + DELAYED_ACK_NS;
            half.ack_by_ns = Some(by_ns);
            self.at(by_ns, Event::DelayedAck { cable, way });
        }
        if !is_end {
            let next = if way == 0 { cable + 1 } else { cable - 1 };
            self.cables[next][way].written += bytes;
            self.send(now_ns, next, way);
        }
    }

    fn send(&mut self, now_ns: u64, cable: usize, way: usize) {
        let is_proxy = cable != self.first(way);
        loop {
            let delay_ns = self.delay_ns(cable);
            let is_slow = cable + 1 == self.cables.len();
            let half = &mut self.cables[cable][way];
            let bytes = MSS_BYTES.min(half.written - half.sent);
            // Nagle: less than a full segment only when nothing is unacknowledged.
            let is_held = is_proxy && bytes < MSS_BYTES && half.sent > half.acknowledged;
            if bytes == 0 || is_held {
                return;
            }
            half.sent += bytes;
            let sending_ns = match is_slow {
                true => bytes * SECOND_NS / self.slow.bytes_per_second,
                false => 0,
            };
            half.link_free_ns = half.link_free_ns.max(now_ns) + sending_ns;
            let arrives_ns = half.link_free_ns + delay_ns;
            // It carries an acknowledgement of what has come the other way.
            let back = self.cables[cable][1 - way];
            if back.received > back.ack_sent {
                self.acknowledge(arrives_ns, cable, 1 - way);
            }
            self.at(arrives_ns, Event::Segment { cable, way, bytes });
        }
    }

    fn acknowledge(&mut self, arrives_ns: u64, cable: usize, way: usize) {
        let half = &mut self.cables[cable][way];
        half.ack_sent = half.received;
        half.ack_by_ns = None;
        let until = half.received;
        self.at(arrives_ns, Event::Acknowledged { cable, way, until });
    }

    fn delay_ns(&self, cable: usize) -> u64 {
        if cable + 1 == self.cables.len() {
            self.slow.delay_ns
        } else {
            NEAR_NS
        }
    }

    fn first(&self, way: usize) -> usize {
        if way == 0 { 0 } else { self.cables.len() - 1 }
    }

    fn last(&self, way: usize) -> usize {
        self.first(1 - way)
    }

    fn at(&mut self, at_ns: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at_ns, self.order, event)));
    }
}
