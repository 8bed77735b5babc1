//! What waits is counted to the byte, and never pins more memory than the bound: above it, the
//! flow that pins most loses its oldest packets.
//!
//! The scheduler and AQM of RFC 8290: packets are hashed to flows, flows take turns by
//! [`Rounds`], and each flow has a [`CoDel`] of its own.

#![forbid(unsafe_code)]

use super::codel::{self, CoDel, Head, Parameters};
use super::ecn;
use super::flow::FlowHash;
use super::rounds::Rounds;
use super::store::{Fifo, NOWHERE, Store, Waiting};
use super::{Dequeued, DropCause, Packet};

/// How many queues the flows are hashed to (RFC 8290, 5.2.4).
pub const FLOWS: usize = 1024;
/// One packet of an ordinary network, bytes (RFC 8290, 5.2.3).
pub const QUANTUM_BYTES: usize = codel::MTU_BYTES as usize;

/// Below this a super-packet would cost too many rounds.
const QUANTUM_MIN_BYTES: usize = 256;
/// Packets dropped for one search for the fattest flow, at most, as in Linux: under a flood of
/// small packets the search must not be paid for each.
const DROP_BATCH_PACKETS: usize = 64;
/// The part of the memory bound that is freed for one search, less if that is already half of the
/// flow: Linux always drops half of it, which would take several super-packets off one download.
const DROP_BATCH_FRACTION: usize = 32;

/// What a queue is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Acceptable standing delay, nanoseconds.
    pub target_ns: u64,
    /// How long the delay may stand above target, nanoseconds.
    pub interval_ns: u64,
    /// What a flow may send in one round, bytes on the link, and what a sparse one may send before all
    /// others; at least 256.
    pub quantum_bytes: usize,
    /// How many queues flows are hashed to; at least 1.
    pub flows: usize,
    /// Memory that all waiting packets may pin together, bytes.
    pub limit_memory_bytes: usize,
    /// Key of the flow hash: random, and secret from those who send packets.
    pub seed: [u64; 2],
}

impl Config {
    /// The RFC's values.
    pub fn new(limit_memory_bytes: usize, seed: [u64; 2]) -> Config {
        Config {
            target_ns: codel::TARGET_NS,
            interval_ns: codel::INTERVAL_NS,
            quantum_bytes: QUANTUM_BYTES,
            flows: FLOWS,
            limit_memory_bytes,
            seed,
        }
    }
}

/// One queue of the many.
#[derive(Debug, Clone)]
struct Flow {
    packets: Fifo,
    /// What waits, bytes on the link.
    backlog_bytes: u64,
    codel: CoDel,
}

/// The queue.
#[derive(Debug)]
pub struct FqCodel<P> {
    parameters: Parameters,
    limit_memory_bytes: usize,
    hash: FlowHash,
    store: Store<P>,
    flows: Box<[Flow]>,
    /// Memory that each flow pins, apart from the flows so that the fattest is found quickly.
    memory_of_flow: Box<[u64]>,
    rounds: Rounds,
    packets: usize,
    wire_bytes: u64,
    memory_bytes: u64,
    marks: u64,
}

impl<P: Packet> FqCodel<P> {
    /// An empty queue.
    pub fn new(config: Config) -> FqCodel<P> {
        let flow = Flow {
            packets: Fifo::EMPTY,
            backlog_bytes: 0,
            codel: CoDel::default(),
        };
        let flows = config.flows.clamp(1, NOWHERE as usize);
        FqCodel {
            parameters: Parameters {
                target_ns: config.target_ns,
                interval_ns: config.interval_ns,
            },
            limit_memory_bytes: config.limit_memory_bytes,
            hash: FlowHash::new(config.seed),
            store: Store::new(),
            flows: vec![flow; flows].into_boxed_slice(),
            memory_of_flow: vec![0; flows].into_boxed_slice(),
            rounds: Rounds::new(flows, config.quantum_bytes.max(QUANTUM_MIN_BYTES)),
            packets: 0,
            wire_bytes: 0,
            memory_bytes: 0,
            marks: 0,
        }
    }

    /// Queues a packet, and drops from the head of the fattest flow whatever is then above the
    /// memory bound; that may be the packet itself.
    pub fn enqueue(&mut self, now_ns: u64, packet: P, dropped: &mut impl FnMut(P, DropCause)) {
        let index = self.flow_of(packet.ip());
        // Its place in the store counts too, so that the bound also bounds their number.
        let memory_bytes = packet
            .memory_bytes()
            .saturating_add(Store::<P>::PLACE_BYTES);
        let waiting = Waiting {
            enqueued_ns: now_ns,
            wire_bytes: u32::try_from(packet.wire_bytes()).unwrap_or(u32::MAX),
            memory_bytes: u32::try_from(memory_bytes).unwrap_or(u32::MAX),
            packet,
        };
        self.packets += 1;
        self.wire_bytes += u64::from(waiting.wire_bytes);
        self.memory_bytes += u64::from(waiting.memory_bytes);
        self.memory_of_flow[index as usize] += u64::from(waiting.memory_bytes);
        self.rounds.join(index, waiting.wire_bytes);
        let flow = &mut self.flows[index as usize];
        flow.backlog_bytes += u64::from(waiting.wire_bytes);
        self.store.push_back(&mut flow.packets, waiting);
        while self.memory_bytes() > self.limit_memory_bytes && self.packets > 0 {
            self.drop_from_fattest(dropped);
        }
    }

    /// The packet whose turn it is; on the way to it, packets that CoDel drops.
    pub fn dequeue(
        &mut self,
        now_ns: u64,
        dropped: &mut impl FnMut(P, DropCause),
    ) -> Option<Dequeued<P>> {
        loop {
            let index = self.rounds.current()?;
            if let Some(dequeued) = self.dequeue_from(index, now_ns, dropped) {
                return Some(dequeued);
            }
            self.rounds.leave();
        }
    }

    /// Whether a flow may wait that sends less than its share.
    pub fn has_sparse(&self) -> bool {
        self.rounds.has_new()
    }

    /// The same as [`FqCodel::dequeue`], but only from a flow that sends less than its share.
    pub fn dequeue_sparse(
        &mut self,
        now_ns: u64,
        dropped: &mut impl FnMut(P, DropCause),
    ) -> Option<Dequeued<P>> {
        while self.rounds.has_new() {
            let index = self.rounds.current()?;
            if !self.rounds.is_new(index) {
                break;
            }
            if let Some(dequeued) = self.dequeue_from(index, now_ns, dropped) {
                return Some(dequeued);
            }
            self.rounds.leave();
        }
        None
    }

    /// Hands out every packet, flow by flow, and forgets what it learnt of the flows.
    pub fn clear(&mut self, cleared: &mut impl FnMut(P)) {
        for index in 0..self.flows.len() as u32 {
            while let Some(waiting) = self.take(index) {
                cleared(waiting.packet);
            }
            self.flows[index as usize].codel = CoDel::default();
        }
        self.rounds.clear();
    }

    /// Takes another target: on a link so slow that a packet takes longer than the usual one,
    /// [`codel::target_for`] its rate.
    pub fn set_target(&mut self, target_ns: u64) {
        self.parameters.target_ns = target_ns;
    }

    /// Takes another quantum, bytes on the link; never less than that of [`Config`].
    pub fn set_quantum(&mut self, quantum_bytes: usize) {
        self.rounds.set_quantum(quantum_bytes);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Packets that wait.
    pub fn packets(&self) -> usize {
        self.packets
    }

    /// Bytes that the waiting packets will occupy on the link.
    pub fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }

    /// Memory that the waiting packets pin, their places in the queue included, bytes.
    pub fn memory_bytes(&self) -> usize {
        usize::try_from(self.memory_bytes).unwrap_or(usize::MAX)
    }

    /// Packets marked CE since the queue was made.
    pub fn marks(&self) -> u64 {
        self.marks
    }

    fn flow_of(&self, ip: &[u8]) -> u32 {
        let hash = self.hash.hash(ip) >> 32;
        ((hash * self.flows.len() as u64) >> 32) as u32
    }

    fn dequeue_from(
        &mut self,
        index: u32,
        now_ns: u64,
        dropped: &mut impl FnMut(P, DropCause),
    ) -> Option<Dequeued<P>> {
        loop {
            let waiting = self.take(index);
            let flow = &mut self.flows[index as usize];
            let Some(mut waiting) = waiting else {
                flow.codel.ran_empty();
                return None;
            };
            let sojourn_ns = now_ns.saturating_sub(waiting.enqueued_ns);
            let head = Head {
                sojourn_ns,
                wire_bytes: waiting.wire_bytes,
                backlog_bytes: flow.backlog_bytes,
            };
            if flow.codel.signals(now_ns, head, self.parameters) {
                if !ecn::mark_ce(waiting.packet.ip_mut()) {
                    dropped(waiting.packet, DropCause::CoDel);
                    continue;
                }
                self.marks += 1;
            }
            let is_sparse = self.rounds.is_new(index);
            self.rounds.spend(index, waiting.wire_bytes);
            return Some(Dequeued {
                packet: waiting.packet,
                sojourn_ns,
                is_sparse,
            });
        }
    }

    /// Takes the first packet of a flow out of all accounts.
    fn take(&mut self, index: u32) -> Option<Waiting<P>> {
        let flow = &mut self.flows[index as usize];
        let waiting = self.store.pop_front(&mut flow.packets)?;
        flow.backlog_bytes -= u64::from(waiting.wire_bytes);
        self.memory_of_flow[index as usize] -= u64::from(waiting.memory_bytes);
        self.packets -= 1;
        self.wire_bytes -= u64::from(waiting.wire_bytes);
        self.memory_bytes -= u64::from(waiting.memory_bytes);
        Some(waiting)
    }

    /// Drops from the head, whose loss the sender notices first (RFC 8290, 4.1.3).
    fn drop_from_fattest(&mut self, dropped: &mut impl FnMut(P, DropCause)) {
        let fattest = self.memory_of_flow.iter().copied().max().unwrap_or(0);
        let index = self.memory_of_flow.iter().position(|of| *of == fattest);
        let index = index.unwrap_or(0) as u32;
        let share_bytes = (self.limit_memory_bytes / DROP_BATCH_FRACTION) as u64;
        let batch_bytes = share_bytes.min(fattest / 2);
        let mut freed_bytes = 0;
        for _ in 0..DROP_BATCH_PACKETS {
            let Some(waiting) = self.take(index) else {
                return;
            };
            freed_bytes += u64::from(waiting.memory_bytes);
            dropped(waiting.packet, DropCause::Overlimit);
            if freed_bytes >= batch_bytes {
                return;
            }
        }
    }
}
