//! What lies between the two ends: a buffer before the slow link, the link, and the way back.

use std::collections::VecDeque;

use super::source::Inner;
use super::{MS, SECOND};

/// Where the buffer before the slow link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Our own socket: the link begins behind it.
    Direct,
    /// A proxy that takes this many bytes as fast as we send them.
    Proxy { buffer_bytes: u64 },
}

/// What goes through the stream.
#[derive(Debug, Clone)]
pub enum Frame {
    Data(Inner),
    Ping { sent_ns: u64 },
}

impl Frame {
    pub fn wire_bytes(&self) -> u64 {
        match self {
            Frame::Data(inner) => u64::from(inner.bytes) + 16,
            Frame::Ping { .. } => 48,
        }
    }
}

/// The link from one moment on.
#[derive(Debug, Clone, Copy)]
pub struct Leg {
    pub from_ns: u64,
    pub bytes_per_second: u64,
    pub base_rtt_ns: u64,
    /// From when on it counts how well we do, nanoseconds.
    pub settled_ns: u64,
}

#[derive(Debug)]
pub struct Path {
    pub kind: Kind,
    pub leg: Leg,
    /// Deliveries vary by this much.
    pub jitter_ns: u64,
    buffer: VecDeque<Frame>,
    pub buffer_bytes: u64,
    pub in_service: Option<Frame>,
    pub served_bytes: u64,
    last_arrival_ns: u64,
}

impl Path {
    pub fn new(kind: Kind, leg: Leg, jitter_ns: u64) -> Path {
        Path {
            kind,
            leg,
            jitter_ns,
            buffer: VecDeque::new(),
            buffer_bytes: 0,
            in_service: None,
            served_bytes: 0,
            last_arrival_ns: 0,
        }
    }

    pub fn push(&mut self, frame: Frame) {
        self.buffer_bytes += frame.wire_bytes();
        self.buffer.push_back(frame);
    }

    /// Begins to send the next frame; returns when it will be out.
    pub fn serve(&mut self, now_ns: u64) -> Option<u64> {
        if self.in_service.is_some() {
            return None;
        }
        let frame = self.buffer.pop_front()?;
        let time_ns = frame.wire_bytes() * SECOND / self.leg.bytes_per_second;
        self.in_service = Some(frame);
        Some(now_ns + time_ns)
    }

    /// The frame is out; returns it and when it will arrive. Order is kept, as by TCP.
    pub fn served(&mut self, now_ns: u64, jitter: u64) -> (Frame, u64) {
        let frame = self.in_service.take().expect("a frame is in service");
        self.buffer_bytes -= frame.wire_bytes();
        self.served_bytes += frame.wire_bytes();
        let jitter_ns = jitter % (self.jitter_ns + 1);
        let arrival_ns = now_ns + self.leg.base_rtt_ns / 2 + jitter_ns;
        self.last_arrival_ns = self.last_arrival_ns.max(arrival_ns);
        (frame, self.last_arrival_ns)
    }

    /// How long the buffer takes to empty, milliseconds.
    pub fn standing_ms(&self) -> f64 {
        self.buffer_bytes as f64 / self.leg.bytes_per_second as f64 * (SECOND / MS) as f64
    }

    pub fn is_idle(&self) -> bool {
        self.in_service.is_none()
    }
}
