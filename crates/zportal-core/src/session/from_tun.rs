//! How a session reads the TUN: the ring waits for a packet and reads it in one; what comes faster
//! than waits are worth is read at once, without the ring.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::outbound::Drained;
use super::ring::Operation;
use super::turn::Session;
use crate::error::Error;
use crate::wire::control::Delivered;

/// A TUN that gave so many packets at one waking gives them faster than a waking is worth...
const BURST_PACKETS: usize = 4;
/// ...so it is left alone for this long, and the next batch is a larger one: what network cards
/// call interrupt moderation. A lone ping never waits.
const BURST_PAUSE: Duration = Duration::from_micros(60);
/// The same for datagrams that were merged: the longer the run, the less each of them costs.
const RUN_PAUSE: Duration = Duration::from_micros(150);
/// A packet that comes so long after the one before, nanoseconds, is sent before another is looked
/// for: most likely there is none.
const ALONE_NS: u64 = 20_000;
/// Nobody waits for the end of a larger packet, bytes, as for that of a question or an answer: where
/// one is, more of its flow are likely, and together they cost less.
const ALONE_MAX_BYTES: usize = 2048;

/// What is known of the packets in the TUN.
#[derive(Debug, Default)]
pub struct FromTun {
    /// There may be more, to be read at once.
    pub is_ready: bool,
    /// While packets come in bursts: when to look for the next.
    pub paused_until: Option<Instant>,
    /// The bytes that the ring has read into the outbound's space.
    read: Option<usize>,
    /// When a packet was read last, or had left, by `now_ns`.
    read_at_ns: u64,
    /// Something was written to the TUN since the ring was last asked.
    is_written: bool,
    /// Several packets were written to the TUN at once, so that more than one answer is likely: each
    /// that was sent by itself would cost a packet of the stream, and an acknowledgement of that.
    is_much_written: bool,
}

impl FromTun {
    /// Nothing is known: the TUN is read at once.
    pub fn new() -> FromTun {
        FromTun {
            is_ready: true,
            ..FromTun::default()
        }
    }

    /// Whether the ring has read a packet that is not queued yet.
    pub fn has_read(&self) -> bool {
        self.read.is_some()
    }

    /// So many packets of the peer were written to the TUN at once.
    fn on_written(&mut self, packets: u64) {
        self.is_written = true;
        self.is_much_written |= packets > 1;
    }

    /// Whether a packet that was read now came alone, and is sent before another is looked for.
    fn is_alone(&self, now_ns: u64) -> bool {
        !self.is_much_written && now_ns.saturating_sub(self.read_at_ns) >= ALONE_NS
    }

    /// The bytes of what the ring has read, if that is small and came alone, as far as `now_ns` tells.
    pub fn came_alone(&self, now_ns: u64) -> Option<usize> {
        let small = self.read.filter(|read| *read <= ALONE_MAX_BYTES);
        small.filter(|_| self.is_alone(now_ns))
    }

    /// Takes out what the ring has read, if anything; other packets may be read now, or have left.
    pub fn take_read(&mut self, now_ns: u64) -> Option<usize> {
        self.is_much_written = false;
        self.read_at_ns = now_ns;
        self.read.take()
    }
}

/// For how long to leave a TUN alone that gave this.
fn pause_after(drained: Drained) -> Option<Duration> {
    match drained {
        Drained::Empty { run, .. } if run >= BURST_PACKETS => Some(RUN_PAUSE),
        Drained::Empty { packets, .. } if packets >= BURST_PACKETS => Some(BURST_PAUSE),
        _ => None,
    }
}

impl Session<'_> {
    /// Lets the ring wait for the next packet, unless it does, or there is no need to wait.
    pub(super) fn await_tun(&mut self) {
        let from_tun = &self.from_tun;
        if from_tun.is_ready || from_tun.paused_until.is_some() || self.closing_at.is_some() {
            return;
        }
        let tun = self.around.tun;
        if !tun.may_wait() {
            if !self.ring.in_flight(Operation::TunReady) {
                self.ring.poll_readable(Operation::TunReady, tun.as_fd());
            }
        } else if !self.ring.in_flight(Operation::TunRead) {
            let space = self.outbound.space();
            let length = u32::try_from(space.len()).unwrap_or(u32::MAX);
            // SAFETY: the space belongs to the outbound, which lets it be until it is told of what is
            // in it, as it never is while this read is in flight; our Drop quiesces the ring before
            // it goes.
            unsafe { self.ring.read(tun.as_fd(), space.as_mut_ptr(), length) };
        }
    }

    /// Notes that the ring has read a packet of so many bytes.
    pub(super) fn tun_read(&mut self, bytes: usize) {
        if self.closing_at.is_some() {
            self.outbound.leave_behind(bytes, self.around.stats);
            return;
        }
        self.from_tun.read = Some(bytes);
    }

    /// The peer's packets are written to the TUN, but for those of `before`. The kernel answers many
    /// a packet while it takes it: if nobody waits for the answer, it is looked for.
    pub(super) fn tun_written(&mut self, before: Delivered) {
        let frames = self.inbound.taken().frames - before.frames;
        self.from_tun.on_written(frames);
        if !self.ring.in_flight(Operation::TunRead) {
            self.from_tun.is_ready = true;
        }
    }

    /// Whether the kernel may have answered already what was just written to the TUN, and no packet
    /// is to be sent: then the ring is asked first, before anything else is handed to it, and what
    /// messages there are go together with the answer.
    pub(super) fn expects_answer(&mut self) -> bool {
        std::mem::take(&mut self.from_tun.is_written)
            && self.ring.in_flight(Operation::TunRead)
            && !self.outbound.has_packets()
    }

    /// Whether a packet may be there; it is read whatever the socket does, and waits in our queue.
    pub(super) fn reads_tun(&self) -> bool {
        (self.from_tun.is_ready || self.from_tun.read.is_some()) && self.closing_at.is_none()
    }

    /// Queues what the ring has read, and reads what else is there.
    pub(super) fn read_tun(&mut self, now: Instant) -> Result<(), Error> {
        let from_tun = &mut self.from_tun;
        if from_tun.paused_until.is_some_and(|until| now >= until) {
            from_tun.is_ready = true;
        }
        if !self.reads_tun() {
            return Ok(());
        }
        let now_ns = self.since_begin_ns(now);
        let from_tun = &mut self.from_tun;
        let alone = from_tun.came_alone(now_ns);
        let first = from_tun.take_read(now_ns);
        from_tun.paused_until = None;
        let (tun, stats) = (self.around.tun, self.around.stats);
        if let Some(read) = alone {
            self.outbound.take(now_ns, read, &self.peer, stats);
            return Ok(());
        }
        let drained = (self.outbound).fill(now_ns, first, tun, &self.peer, stats)?;
        from_tun.is_ready = drained == Drained::Perhaps;
        from_tun.paused_until = pause_after(drained).map(|pause| Instant::now() + pause);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ALONE_MAX_BYTES, ALONE_NS, BURST_PACKETS, BURST_PAUSE, Drained, FromTun, RUN_PAUSE,
        pause_after,
    };

    /// Whether a packet that is read now comes alone.
    fn is_alone(from_tun: &mut FromTun, now_ns: u64) -> bool {
        let is_alone = from_tun.is_alone(now_ns);
        from_tun.take_read(now_ns);
        is_alone
    }

    #[test]
    fn a_packet_comes_alone_unless_another_came_just_before() {
        let mut from_tun = FromTun::new();
        assert!(is_alone(&mut from_tun, ALONE_NS));
        assert!(!is_alone(&mut from_tun, 2 * ALONE_NS - 1));
        assert!(is_alone(&mut from_tun, 3 * ALONE_NS - 1));
    }

    #[test]
    fn a_large_packet_is_never_alone() {
        for (bytes, comes_alone) in [(ALONE_MAX_BYTES, true), (ALONE_MAX_BYTES + 1, false)] {
            let mut from_tun = FromTun::new();
            from_tun.read = Some(bytes);
            let alone = from_tun.came_alone(ALONE_NS);
            assert_eq!(alone, comes_alone.then_some(bytes));
        }
    }

    #[test]
    fn the_answer_to_one_packet_goes_alone_and_those_to_several_together() {
        let mut from_tun = FromTun::new();
        from_tun.on_written(1);
        assert!(is_alone(&mut from_tun, ALONE_NS));
        from_tun.on_written(2);
        from_tun.on_written(1);
        assert!(!is_alone(&mut from_tun, 2 * ALONE_NS));
        assert!(is_alone(&mut from_tun, 3 * ALONE_NS));
    }

    #[test]
    fn a_tun_is_left_alone_after_bursts_and_for_longer_after_runs() {
        let gave = |packets, run| pause_after(Drained::Empty { packets, run });
        assert_eq!(gave(BURST_PACKETS - 1, 0), None);
        assert_eq!(gave(BURST_PACKETS, 0), Some(BURST_PAUSE));
        assert_eq!(gave(BURST_PACKETS, BURST_PACKETS - 1), Some(BURST_PAUSE));
        assert_eq!(gave(BURST_PACKETS, BURST_PACKETS), Some(RUN_PAUSE));
        assert_eq!(pause_after(Drained::Perhaps), None);
    }
}
