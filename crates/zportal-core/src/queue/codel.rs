//! CoDel signals a flow only after its packets have waited above target for a whole interval, and
//! never about a packet that leaves no more behind than one packet (RFC 8289).
//!
//! One [`CoDel`] judges one flow's packets as they come to the head; names are the RFC's.

#![forbid(unsafe_code)]

/// Acceptable standing delay, nanoseconds (RFC 8290, 5.2.2).
pub const TARGET_NS: u64 = 5_000_000;
/// About the longest round trip of the flows, nanoseconds (RFC 8290, 5.2.1).
pub const INTERVAL_NS: u64 = 100_000_000;
/// One packet of an ordinary network, bytes: the RFC's `maxpacket` for packets below it.
pub const MTU_BYTES: u32 = 1514;

/// After this many intervals without a signal, what was learnt of the flow is forgotten.
const MEMORY_INTERVALS: u64 = 16;

/// What all flows of a queue share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Acceptable standing delay, nanoseconds.
    pub target_ns: u64,
    /// How long the delay may stand above target before the first signal, nanoseconds.
    pub interval_ns: u64,
}

/// A packet that has come to the head of its flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How long it waited, nanoseconds.
    pub sojourn_ns: u64,
    /// Its size on the link, bytes.
    pub wire_bytes: u32,
    /// What its flow holds behind it, bytes on the link.
    pub backlog_bytes: u64,
}

/// The control state of one flow.
#[derive(Debug, Clone, Copy, Default)]
pub struct CoDel {
    /// When the delay will have stood above target for an interval; `None` while it is below.
    first_above_time: Option<u64>,
    /// When to signal next, while dropping.
    drop_next: u64,
    /// Signals since the dropping state was entered.
    count: u32,
    /// `count` when the dropping state was last entered.
    lastcount: u32,
    /// Whether the flow is in the dropping state.
    dropping: bool,
}

impl CoDel {
    /// Whether this packet is to be dropped, or marked: its sender sends too fast.
    ///
    /// After a drop, judge the next packet, at the same time; after a mark, deliver the packet.
    pub fn signals(&mut self, now_ns: u64, head: Head, parameters: Parameters) -> bool {
        let ok_to_drop = self.ok_to_drop(now_ns, head, parameters);
        if self.dropping {
            if !ok_to_drop {
                self.dropping = false;
                return false;
            }
            if now_ns < self.drop_next {
                return false;
            }
            self.count = self.count.saturating_add(1);
            self.drop_next = self.control_law(self.drop_next, parameters.interval_ns);
            return true;
        }
        if !ok_to_drop {
            return false;
        }
        self.dropping = true;
        // A flow that was signalled lately begins near the rate of signals that held it then.
        let since = now_ns.saturating_sub(self.drop_next);
        let delta = self.count.saturating_sub(self.lastcount);
        let lately = since < MEMORY_INTERVALS.saturating_mul(parameters.interval_ns);
        self.count = if delta > 1 && lately { delta } else { 1 };
        self.lastcount = self.count;
        self.drop_next = self.control_law(now_ns, parameters.interval_ns);
        true
    }

    /// Notes that the flow has run empty, so that no queue stands.
    pub fn ran_empty(&mut self) {
        self.first_above_time = None;
        self.dropping = false;
    }

    fn ok_to_drop(&mut self, now_ns: u64, head: Head, parameters: Parameters) -> bool {
        // With one packet or less behind it the delay is the link's, not a queue's, and a drop
        // could only idle the link. A super-packet is one packet in this sense: its sender hands
        // out no less at a time, so a queue of one of them behind another cannot be made shorter.
        // Hence maxpacket is the packet's own size, not the largest ever seen: one super-packet
        // must not excuse 64 KiB of small packets.
        let maxpacket = head.wire_bytes.max(MTU_BYTES);
        if head.sojourn_ns < parameters.target_ns || head.backlog_bytes <= maxpacket.into() {
            self.first_above_time = None;
            return false;
        }
        match self.first_above_time {
            Some(time) => now_ns >= time,
            None => {
                self.first_above_time = Some(now_ns.saturating_add(parameters.interval_ns));
                false
            }
        }
    }

    /// The next signal comes sooner with the square root of their number, which makes TCP's rate
    /// fall linearly.
    fn control_law(&self, from_ns: u64, interval_ns: u64) -> u64 {
        let step = interval_ns as f64 / f64::from(self.count.max(1)).sqrt();
        from_ns.saturating_add(step as u64)
    }
}

/// The target for a link of this rate: [`TARGET_NS`], or the time of one and a half packets of an
/// ordinary network where that is longer, because CoDel cannot hold less than a packet
/// (RFC 8289, 3.2 and 4.4).
pub fn target_for(bytes_per_second: u64) -> u64 {
    let packet_ns = u64::from(MTU_BYTES) * 1_000_000_000 / bytes_per_second.max(1);
    TARGET_NS.max(packet_ns.saturating_mul(3) / 2)
}
