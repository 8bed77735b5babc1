//! A queue that our own TCP does not see is noticed by the peer's answers coming later than TCP's
//! acknowledgements, again and again under load; not by one bad moment.
//!
//! Where this end dialed through a proxy it knows that there may be such a queue. But a stream can
//! be passed on by things of which neither end knows: a load balancer, a forwarded port, a proxy
//! that the system imposes.

#![forbid(unsafe_code)]

use super::feedback::Sample;
use super::inflight::INITIAL_BYTES;

/// Answers may be later than twice TCP's round trip by this much, nanoseconds, before it counts:
/// our own unsent bytes and a busy peer are part of it.
pub const LATE_NS: u64 = 50_000_000;
/// So many answers in a row must be late.
pub const LATE_ANSWERS: u32 = 3;

/// What TCP and the peer's answers say of the way, side by side.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beyond {
    tcp_rtt_ns: Option<u64>,
    late: u32,
}

impl Beyond {
    /// Takes in how long TCP's own round trip is.
    pub fn on_tcp_rtt(&mut self, rtt_ns: u64) {
        self.tcp_rtt_ns = Some(rtt_ns);
    }

    /// Takes an answer in; true once there have been enough late ones.
    pub fn on_sample(&mut self, sample: &Sample) -> bool {
        let Some(tcp_rtt_ns) = self.tcp_rtt_ns else {
            return false;
        };
        let in_time_ns = tcp_rtt_ns.saturating_mul(2).saturating_add(LATE_NS);
        let is_late = sample.rtt_ns > in_time_ns && sample.prior_inflight_bytes >= INITIAL_BYTES;
        self.late = if is_late { self.late + 1 } else { 0 };
        self.late >= LATE_ANSWERS
    }
}
