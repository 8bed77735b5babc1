//! What a path is like, from reports: its rate is the best of the last round trips, its base round
//! trip the best of the last seconds, and neither is ever a value that was not seen.

#![forbid(unsafe_code)]

use super::feedback::Sample;
use super::filter::MaxFilter;
use super::{bytes_in, time_of};

/// How long the shortest round trip is held for the base one, nanoseconds. After that the next
/// empty path gives another: not just any, or a queue would become part of the base in time.
pub const MIN_RTT_FILTER_NS: u64 = 10_000_000_000;

/// How long a rate is remembered, in base round trips. These are shorter than the rounds of a path
/// with a queue, so a drop of the rate, which makes a queue, is believed sooner than in BBR.
const MAX_BW_FILTER_BASE_RTTS: u64 = 10;
/// The same in round trips as they are now, so that one bad moment is not believed.
const MAX_BW_FILTER_RTTS: u64 = 3;

/// Round trips vary by this much for no reason, nanoseconds.
pub const JITTER_NS: u64 = 2_000_000;

/// One round trip's samples: what is under way at its begin is delivered at its end.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// It ends with a PING that was sent after this much had been delivered, bytes,
    ends_at_bytes: u64,
    /// or at this time, nanoseconds.
    ends_at_ns: u64,
    /// The shortest round trip in it, nanoseconds,
    pub min_rtt_ns: u64,
    /// and what was under way when that PING was sent, bytes.
    pub inflight_bytes: u64,
    sum_rtt_ns: u64,
    samples: u64,
    /// The best rate in it, bytes a second.
    pub max_bw: u64,
    /// Whether there was always less to send than might have been sent.
    pub is_app_limited: bool,
}

impl Round {
    /// A round that begins when this much has been delivered, and ends by that time.
    pub fn new(delivered_bytes: u64, ends_at_ns: u64) -> Round {
        Round {
            ends_at_bytes: delivered_bytes,
            ends_at_ns,
            min_rtt_ns: u64::MAX,
            inflight_bytes: 0,
            sum_rtt_ns: 0,
            samples: 0,
            max_bw: 0,
            is_app_limited: true,
        }
    }

    /// Takes a sample in; returns whether the round ends with it.
    pub fn observe(&mut self, now_ns: u64, sample: &Sample) -> bool {
        if sample.rtt_ns < self.min_rtt_ns {
            self.min_rtt_ns = sample.rtt_ns;
            self.inflight_bytes = sample.prior_inflight_bytes;
        }
        self.sum_rtt_ns = self.sum_rtt_ns.saturating_add(sample.rtt_ns);
        self.samples += 1;
        self.max_bw = self.max_bw.max(sample.bytes_per_second);
        self.is_app_limited &= sample.is_app_limited;
        sample.prior_delivered_bytes >= self.ends_at_bytes || now_ns >= self.ends_at_ns
    }

    /// The mean round trip in it, nanoseconds.
    fn mean_rtt_ns(&self) -> u64 {
        self.sum_rtt_ns / self.samples.max(1)
    }
}

/// The estimates.
#[derive(Debug, Clone, Copy, Default)]
pub struct Path {
    max_bw: MaxFilter,
    min_rtt_ns: Option<u64>,
    min_rtt_at_ns: u64,
    /// What round trips are above the base one although nothing of ours is queued, nanoseconds.
    variation_ns: u64,
    latest_rtt_ns: u64,
}

impl Path {
    /// Takes a sample in.
    pub fn observe(&mut self, now_ns: u64, sample: &Sample) {
        self.latest_rtt_ns = sample.rtt_ns;
        if self.min_rtt_ns.is_none_or(|min| sample.rtt_ns <= min) {
            self.set_base(now_ns, sample.rtt_ns);
        }
        if !sample.is_app_limited || sample.bytes_per_second > self.bytes_per_second() {
            let window_ns = (self.base_rtt_ns().saturating_mul(MAX_BW_FILTER_BASE_RTTS))
                .max(sample.rtt_ns.saturating_mul(MAX_BW_FILTER_RTTS));
            self.max_bw
                .update(window_ns, now_ns, sample.bytes_per_second);
        }
    }

    /// Learns from a round in which nothing of ours was queued, or `allowed_bytes` at the most, how
    /// much round trips vary. If all were far above the base one, that is none any more.
    pub fn observe_empty(&mut self, now_ns: u64, round: &Round, allowed_bytes: u64) {
        let is_longer = round.min_rtt_ns > self.longest_above(self.base_rtt_ns(), allowed_bytes);
        if is_longer || self.is_base_old(now_ns) {
            self.set_base(now_ns, round.min_rtt_ns);
        }
        self.variation_ns = round.mean_rtt_ns().saturating_sub(self.base_rtt_ns());
    }

    /// Whether the base round trip was last seen so long ago that it may have become another.
    pub fn is_base_old(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.min_rtt_at_ns) > MIN_RTT_FILTER_NS
    }

    /// Takes the round trips of this round for those of an empty path, whatever was seen before.
    pub fn rebase(&mut self, now_ns: u64, round: &Round) {
        self.set_base(now_ns, round.min_rtt_ns);
        self.variation_ns = 0;
    }

    /// Takes the rate of a round in which there was a queue: that keeps the link busy, so what was
    /// delivered is what can be.
    pub fn observe_busy(&mut self, now_ns: u64, round: &Round) {
        if round.max_bw < self.bytes_per_second() {
            self.max_bw.reset(now_ns, round.max_bw);
        }
    }

    /// Whether even the shortest round trip of the round was so long that more than
    /// `allowed_bytes` must have been queued all the time.
    pub fn is_queued(&self, round: &Round, allowed_bytes: u64) -> bool {
        round.min_rtt_ns > self.longest_rtt_ns(allowed_bytes)
    }

    /// How long round trips may be with `allowed_bytes` queued, nanoseconds.
    pub fn longest_rtt_ns(&self, allowed_bytes: u64) -> u64 {
        self.longest_above(self.empty_rtt_ns(), allowed_bytes)
    }

    fn longest_above(&self, rtt_ns: u64, allowed_bytes: u64) -> u64 {
        let slack_ns = (self.base_rtt_ns() / 4).max(JITTER_NS);
        let allowed_ns = time_of(allowed_bytes, self.bytes_per_second());
        rtt_ns.saturating_add(allowed_ns).saturating_add(slack_ns)
    }

    /// The delivery rate, bytes a second; 0 until it is known.
    pub fn bytes_per_second(&self) -> u64 {
        self.max_bw.value().unwrap_or(0)
    }

    /// The shortest round trip, nanoseconds; 0 until it is known.
    pub fn base_rtt_ns(&self) -> u64 {
        self.min_rtt_ns.unwrap_or(0)
    }

    /// The round trip as it usually is without a queue of ours, nanoseconds.
    pub fn empty_rtt_ns(&self) -> u64 {
        self.base_rtt_ns().saturating_add(self.variation_ns)
    }

    /// The newest round trip, nanoseconds; 0 until it is known.
    pub fn latest_rtt_ns(&self) -> u64 {
        self.latest_rtt_ns
    }

    /// What the path delivers in this time, bytes.
    pub fn bytes_in(&self, time_ns: u64) -> u64 {
        bytes_in(self.bytes_per_second(), time_ns)
    }

    fn set_base(&mut self, now_ns: u64, rtt_ns: u64) {
        self.min_rtt_ns = Some(rtt_ns);
        self.min_rtt_at_ns = now_ns;
    }
}
