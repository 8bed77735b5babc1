//! The turn of a session: what can be submitted, one wait, what was completed.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::ear::Ear;
use super::from_tun::FromTun;
use super::inbound::Inbound;
use super::life::Heard;
use super::outbound::Outbound;
use super::pace::Pace;
use super::peer::{Peer, Speech};
use super::rally::{LOOK_NS, Rally};
use super::ring::{Operation, Ring, Wait};
use super::surroundings::Surroundings;
use crate::error::Error;
use crate::link::{Stream, Transport};
use crate::liveness::Liveness;
use crate::window::batch::Sizes;
use crate::window::probe::Probe;
use crate::wire::hello::Hello;

/// A peer that says nothing is believed after this time: an original may have nothing to send.
const SILENT_PROOF: Duration = Duration::from_secs(1);

/// How often the waits of the last seconds are summed up, nanoseconds.
const TELL_SOJOURNS_NS: u64 = 200_000_000;

/// Both directions of one link.
pub struct Session<'a> {
    pub(super) ring: &'a mut Ring,
    pub(super) around: Surroundings<'a>,
    pub(super) stream: Stream,
    pub(super) peer: Peer,
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
    pub(super) from_tun: FromTun,
    /// Words of this end's shell may wait for room among the outbound's messages.
    pub(super) has_words: bool,
    /// Called once, with the first valid frame, or after [`SILENT_PROOF`] where silence proves
    /// something.
    pub(super) on_proven: Option<OnProven<'a>>,
    /// When silence is judged.
    pub(super) proven_at: Instant,
    /// Set once this end was asked to close: when it closes, finished or not.
    pub(super) closing_at: Option<Instant>,
    /// Goodbye is said, and nothing more is sent.
    pub(super) is_half_closed: bool,
    pub(super) pace: Pace,
    rally: Rally,
    pub(super) crowd: Crowd,
    /// Something has completed already: it is seen to before anything is prepared.
    pub(super) has_come: bool,
    pub(super) probe: Probe,
    /// Judges a peer that answers questions, once it has shown that it does.
    pub(super) liveness: Option<Liveness>,
    /// What it is not yet told.
    pub(super) heard: Heard,
    tell_sojourns_at_ns: u64,
    /// Marks that the statistics have already.
    told_marks: u64,
    /// While enough of ours stands on the path: when to send the next batch, by `now_ns`.
    pub(super) send_paused_until: Option<u64>,
    pub(super) clock: Instant,
}

/// Told once that the other end has shown itself a peer, and how it speaks.
pub type OnProven<'a> = Box<dyn FnOnce(&Speech) + 'a>;

impl<'a> Session<'a> {
    /// Takes the link over. `on_proven` is called once the other end has shown itself a peer.
    pub fn new(
        ring: &'a mut Ring,
        around: Surroundings<'a>,
        mut stream: Stream,
        ours: Hello,
        seed: [u64; 2],
        on_proven: OnProven<'a>,
    ) -> Session<'a> {
        let ours = Hello {
            is_relayed: stream.is_relayed(),
            ..ours
        };
        let mut probe = Probe::new(0, ours.mtu_bytes.into(), stream.is_relayed());
        if stream.transport == Transport::Unix {
            // It has no round trip of its own, whatever it leads to.
            probe.on_tcp_rtt(0);
        }
        let peer = Peer::new(ours);
        let early = std::mem::take(&mut stream.early);
        let transport = stream.transport;
        let clock = Instant::now();
        let packet_bytes = 3 * u64::from(ours.mtu_bytes);
        let sizes = Sizes::at(0, packet_bytes);
        let mut outbound = Outbound::new(seed, sizes);
        // A packet like any other to an original, whose kernel drops it.
        outbound.push_message(0, &ours.encode());
        Session {
            inbound: Inbound::new(&early, &peer),
            outbound,
            ring,
            around,
            stream,
            peer,
            from_tun: FromTun::new(),
            has_words: false,
            on_proven: Some(on_proven),
            proven_at: Instant::now() + SILENT_PROOF,
            closing_at: None,
            is_half_closed: false,
            pace: Pace::new(transport, packet_bytes),
            rally: Rally::default(),
            crowd: Crowd::default(),
            has_come: false,
            probe,
            liveness: None,
            heard: Heard::Nothing,
            tell_sojourns_at_ns: 0,
            told_marks: 0,
            send_paused_until: None,
            clock,
        }
    }

    /// Nanoseconds since the session began.
    pub(super) fn now_ns(&self) -> u64 {
        self.since_begin_ns(Instant::now())
    }

    /// The same of a time that was asked for already.
    pub(super) fn since_begin_ns(&self, now: Instant) -> u64 {
        ns_between(self.clock, now)
    }

    /// Carries packets until the link ends, and says why it did.
    pub fn run(mut self) -> Error {
        if let Err(end) = self.deliver() {
            return end;
        }
        loop {
            if let Err(end) = self.turn() {
                return end;
            }
        }
    }

    fn turn(&mut self) -> Result<(), Error> {
        let now_ns = self.now_ns();
        let wait = if std::mem::take(&mut self.has_come) {
            Wait::Not
        } else {
            self.send(now_ns);
            self.submit();
            // Behind the send, so that no packet waits for a look.
            self.keep_pace(now_ns);
            self.look(now_ns, self.wait())?
        };
        self.enter(wait)?;
        if self.expects_answer() {
            self.enter(Wait::Not)?;
        }
        // Before anything else that the turn does.
        self.send_alone(now_ns);
        let now = Instant::now();
        self.read_tun(now)?;
        let turned_ns = self.since_begin_ns(now);
        let stats = self.around.stats;
        let (sent, received) = (stats.tx_packets.total(), stats.rx_packets.total());
        self.rally.on_turn(turned_ns, sent, received);
        self.judge_peer(turned_ns)?;
        if self.door_at(now).is_some_and(|at| now >= at) {
            self.look_at_door()?;
        }
        if self.on_proven.is_some() && now >= self.proven_at {
            self.judge_silence();
        }
        self.finish_closing()
    }

    /// Hands over what is submitted, waits as told, and takes in what has completed.
    fn enter(&mut self, wait: Wait) -> Result<(), Error> {
        self.ring.enter(wait).map_err(ring_failed)?;
        while let Some((operation, result)) = self.ring.completed() {
            let completed = self.complete(operation, result);
            if self.closing_at.is_some() && completed.is_err() {
                // However the link ends now, it is what this end was asked for.
                return Err(Error::Closed);
            }
            completed?;
        }
        Ok(())
    }

    /// In a rally, looks for its next packet; returns how to wait after that.
    fn look(&mut self, now_ns: u64, wait: Wait) -> Result<Wait, Error> {
        if wait == Wait::Not || !self.rally.is_on() || !self.crowd.lets_offer(now_ns) {
            return Ok(wait);
        }
        let looked = (self.ring.look(Duration::from_nanos(LOOK_NS))).map_err(ring_failed)?;
        self.crowd.on_offer(now_ns, looked.others);
        if looked.is_found {
            return Ok(Wait::Not);
        }
        self.rally.end();
        Ok(wait)
    }

    /// Looks how fast the link takes what it is given, and makes batches, pieces and what stands
    /// unsent in the socket as small as that rate allows.
    fn keep_pace(&mut self, now_ns: u64) {
        let blocked = self.ring.in_flight(Operation::Send) || self.send_paused_until.is_some();
        let socket = self.stream.socket.as_fd();
        let handed_bytes = self.outbound.sent_bytes();
        let relayed = self.probe.relayed_bytes_per_second();
        if (self.pace).look(now_ns, socket, handed_bytes, blocked, relayed) {
            if let Some(rtt_ns) = self.pace.tcp_rtt_ns() {
                self.probe.on_tcp_rtt(rtt_ns);
            }
            self.outbound
                .resize(self.pace.sizes(), self.pace.target_ns());
        }
        let (packets, bytes) = self.outbound.waiting();
        let stats = self.around.stats;
        stats.queue_packets.set(packets);
        stats.queue_bytes.set(bytes);
        stats
            .rate_bytes_per_second
            .set(self.pace.bytes_per_second());
        let limits = [self.probe.limit_bytes(), self.pace.standing_limit_bytes()];
        let window_bytes = limits.into_iter().flatten().min();
        stats.window_bytes.set(window_bytes.unwrap_or(0));
        if now_ns >= self.tell_sojourns_at_ns {
            self.tell_sojourns_at_ns = now_ns + TELL_SOJOURNS_NS;
            let waits = self.outbound.waits_us(now_ns);
            stats.sojourn_p50_us.set(waits.p50);
            stats.sojourn_p99_us.set(waits.p99);
            stats.sojourn_sparse_p99_us.set(waits.sparse_p99);
            let marks = self.outbound.marks();
            stats.marks_ce.add(marks - self.told_marks);
            self.told_marks = marks;
        }
    }

    pub(super) fn deliver(&mut self) -> Result<(), Error> {
        let mut ear = Ear {
            clock: self.clock,
            outbound: &mut self.outbound,
            probe: &mut self.probe,
            is_closing: self.closing_at.is_some(),
            is_answered: false,
            around: &self.around,
        };
        let around = &self.around;
        let delivered = self
            .inbound
            .deliver(around.tun, &mut self.peer, around.stats, &mut ear);
        self.heard = self.heard.max(match ear.is_answered {
            true => Heard::Answer,
            false => Heard::Bytes,
        });
        // A server that is busy says so in one breath with its HELLO: it never was the peer.
        let is_refused = matches!(delivered, Err(Error::PeerBusy { .. }));
        if *self.peer.speech() != Speech::Unknown && !is_refused {
            self.prove();
        }
        delivered
    }

    /// Tells, once, that the other end is a peer.
    pub(super) fn prove(&mut self) {
        if let Some(on_proven) = self.on_proven.take() {
            on_proven(self.peer.speech());
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let untold_marks = self.outbound.marks() - self.told_marks;
        self.around.stats.marks_ce.add(untold_marks);
        self.around.stats.forget_link();
        // Ends what is pending on the socket at once; a failure means it has ended already.
        let _ = rustix::net::shutdown(&self.stream.socket, rustix::net::Shutdown::Both);
        let rest = self.ring.quiesce();
        let stats = self.around.stats;
        if rest.sent_bytes > 0 {
            self.outbound.sent(rest.sent_bytes, stats);
        }
        // A packet that was read before is not yet followed by another.
        if let Some(bytes) = self.from_tun.take_read(0).or(rest.read_bytes) {
            self.outbound.leave_behind(bytes, stats);
        }
        self.outbound.abandon(stats);
    }
}

/// Nanoseconds from one time to another.
pub(super) fn ns_between(from: Instant, to: Instant) -> u64 {
    let elapsed = to.saturating_duration_since(from);
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

fn ring_failed(cause: std::io::Error) -> Error {
    Error::Internal(format!("io_uring_enter failed: {cause}"))
}
