//! Every packet that goes in comes out exactly once, by dequeue, by drop or by clear; packets of
//! one flow come out in the order in which they went in; what waits never pins more memory than
//! its bound.
//!
//! FQ-CoDel (RFC 8290) over packets that are moved in and out by value: nothing is copied, and
//! nothing is allocated once as many packets have waited as ever will. Time is an argument.

#![forbid(unsafe_code)]

pub mod codel;
pub mod ecn;
pub mod flow;
pub mod fq_codel;
mod rounds;
pub mod sojourn;
mod store;

/// What the queue has to know of a packet. The sizes are asked once, when it goes in.
pub trait Packet {
    /// The IP packet, behind any virtio_net_hdr. It may be no IP packet at all.
    fn ip(&self) -> &[u8];
    /// The same, to mark it as having met congestion.
    fn ip_mut(&mut self) -> &mut [u8];
    /// Bytes that it occupies on the link, its frame header included.
    fn wire_bytes(&self) -> usize;
    /// Bytes of memory that it keeps from being reused.
    fn memory_bytes(&self) -> usize;
}

/// Why the queue dropped a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropCause {
    /// Its flow keeps a standing queue, and CoDel tells the sender so.
    CoDel,
    /// The memory bound was reached, and its flow held the most memory.
    Overlimit,
}

/// A packet at its turn.
#[derive(Debug)]
pub struct Dequeued<P> {
    /// The packet, marked CE if CoDel would have dropped it and its sender understands that.
    pub packet: P,
    /// How long it waited here, nanoseconds.
    pub sojourn_ns: u64,
    /// Whether its flow had precedence, as one that sends less than its share.
    pub is_sparse: bool,
}
