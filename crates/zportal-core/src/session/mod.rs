//! One peer, from its first byte to the reason of its end: both directions turn in one loop.
//!
//! A turn enters the kernel once, to submit and to wait; a blocked send never stops receiving,
//! and the reverse. The session owns its socket and buffers and borrows the rest.

mod count;
mod inbound;
mod outbound;
mod pace;
pub mod peer;
pub mod ring;
mod slots;

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::link::{Listener, Stream};
use crate::notices::Notices;
use crate::stats::Stats;
use crate::tun::Tun;
use crate::wake::Wake;
use crate::window::batch::Sizes;
use crate::window::probe::Probe;
use crate::wire::control::{CONTROL_MAX_BYTES, CloseReason, Control, Delivered, Pong};
use crate::wire::header::FLAG_CONTROL;
use crate::wire::hello::Hello;
use inbound::{Hear, Inbound};
use outbound::{Drained, Outbound};
use pace::Pace;
use peer::{Peer, Speech};
use ring::{Operation, Ring, Wait};

/// A peer that says nothing is believed after this time: an original may have nothing to send.
const SILENT_PROOF: Duration = Duration::from_secs(1);

/// A closing end lets the frame under way go out, so that the peer sees no torn one; not longer.
const CLOSING_TIME: Duration = Duration::from_millis(300);

/// A TUN that gave so many packets at one waking gives them faster than a waking is worth...
const BURST_PACKETS: usize = 4;
/// ...so it is left alone for this long, and the next batch is a larger one: what network cards
/// call interrupt moderation. A lone ping never waits.
const BURST_PAUSE: Duration = Duration::from_micros(60);

/// How long newcomers are left waiting after one could not be accepted.
const DOOR_PAUSE: Duration = Duration::from_millis(100);

/// How many newcomers are turned away in one turn while a peer is seated.
const REFUSALS_PER_TURN: usize = 16;

/// What a session borrows from its tunnel.
pub struct Surroundings<'a> {
    /// The packet device.
    pub tun: &'a Tun,
    /// Where newcomers knock, on a server.
    pub listener: Option<&'a Listener>,
    /// How another thread interrupts the session.
    pub wake: &'a Wake,
    /// Where everything is counted.
    pub stats: &'a Stats,
    /// Where people are told.
    pub notices: &'a Notices,
}

/// Both directions of one link.
pub struct Session<'a> {
    ring: &'a mut Ring,
    around: Surroundings<'a>,
    stream: Stream,
    peer: Peer,
    inbound: Inbound,
    outbound: Outbound,
    tun_ready: bool,
    /// While packets come in bursts: when to look for the next.
    tun_paused_until: Option<Instant>,
    /// Called once, with the first valid frame or after [`SILENT_PROOF`].
    on_proven: Option<OnProven<'a>>,
    proven_at: Instant,
    /// After a failure to accept: when to look for newcomers again.
    door_paused_until: Option<Instant>,
    /// Set once this end was asked to close: when it closes, finished or not.
    closing_at: Option<Instant>,
    /// Goodbye is said, and nothing more is sent.
    is_half_closed: bool,
    pace: Pace,
    probe: Probe,
    /// While enough of ours stands on the path: when to send the next batch, by `now_ns`.
    send_paused_until: Option<u64>,
    clock: Instant,
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
            tun_ready: true,
            tun_paused_until: None,
            on_proven: Some(on_proven),
            proven_at: Instant::now() + SILENT_PROOF,
            door_paused_until: None,
            closing_at: None,
            is_half_closed: false,
            pace: Pace::new(transport, packet_bytes),
            probe: Probe::new(0, packet_bytes),
            send_paused_until: None,
            clock,
        }
    }

    /// Nanoseconds since the session began.
    fn now_ns(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX)
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
        self.keep_pace(now_ns);
        self.submit(now_ns);
        let wait = self.wait();
        self.ring.enter(wait).map_err(ring_failed)?;
        while let Some((operation, result)) = self.ring.completed() {
            let completed = self.complete(operation, result);
            if self.closing_at.is_some() && completed.is_err() {
                // However the link ends now, it is what this end was asked for.
                return Err(Error::Closed);
            }
            completed?;
        }
        if self
            .door_paused_until
            .is_some_and(|until| Instant::now() >= until)
        {
            self.door_paused_until = None;
        }
        if self
            .tun_paused_until
            .is_some_and(|until| Instant::now() >= until)
        {
            self.tun_ready = true;
        }
        if self.reads_tun() {
            let now_ns = self.now_ns();
            let around = &self.around;
            self.tun_paused_until = None;
            match self
                .outbound
                .fill(now_ns, around.tun, &self.peer, around.stats)?
            {
                Drained::Perhaps => {}
                Drained::Empty { packets } => {
                    self.tun_ready = false;
                    if packets >= BURST_PACKETS {
                        self.tun_paused_until = Some(Instant::now() + BURST_PAUSE);
                    }
                }
            }
        }
        if self.on_proven.is_some() && Instant::now() >= self.proven_at {
            self.prove();
        }
        self.finish_closing()
    }

    /// Whether a packet may be there; it is read whatever the socket does, and waits in our queue.
    fn reads_tun(&self) -> bool {
        self.tun_ready && self.closing_at.is_none()
    }

    /// Gives the kernel whatever can be under way.
    fn submit(&mut self, now_ns: u64) {
        if !self.ring.in_flight(Operation::Receive) {
            let space = self.inbound.space();
            let length = u32::try_from(space.len()).unwrap_or(u32::MAX);
            // SAFETY: the space belongs to the inbound, which lets it be until `received`, and
            // our Drop quiesces the ring before the inbound goes.
            unsafe {
                self.ring
                    .receive(self.stream.socket.as_fd(), space.as_mut_ptr(), length);
            }
        }
        self.send(now_ns);
        if !self.tun_ready
            && self.tun_paused_until.is_none()
            && !self.ring.in_flight(Operation::TunReady)
        {
            self.ring
                .poll_readable(Operation::TunReady, self.around.tun.as_fd());
        }
        if let Some(listener) = self.around.listener
            && self.door_paused_until.is_none()
            && !self.ring.in_flight(Operation::DoorReady)
        {
            self.ring
                .poll_readable(Operation::DoorReady, listener.as_fd());
        }
        if !self.ring.in_flight(Operation::Woken) {
            self.ring
                .poll_readable(Operation::Woken, self.around.wake.as_fd());
        }
    }

    /// Sends batches until nothing waits or the socket is full; then the ring sends on when it can.
    ///
    /// A send that does not block is a plain system call: through the ring it would cost a
    /// completion, and often a second entry to fetch it.
    fn send(&mut self, now_ns: u64) {
        if self.send_paused_until.is_some_and(|until| now_ns < until) {
            return;
        }
        self.send_paused_until = None;
        while !self.ring.in_flight(Operation::Send) && self.has_to_send(now_ns) {
            if let Some(pause_ns) = self.pace.pause_ns(self.stream.socket.as_fd()) {
                self.send_paused_until = Some(now_ns + pause_ns);
                return;
            }
            let taken = self.inbound.taken();
            let stats = self.around.stats;
            let batch = (self.outbound).next_batch(now_ns, &mut self.probe, taken, stats);
            let Some(message) = batch else {
                return;
            };
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: the message and all it points to are valid until `sent`.
            let sent = unsafe { libc::sendmsg(self.stream.socket.as_raw_fd(), message, flags) };
            match usize::try_from(sent) {
                Ok(bytes) => self.outbound.sent(bytes, self.around.stats),
                Err(_) => {
                    // Full, or broken, which the ring reports. SAFETY: the batch stays as it is
                    // until `sent`, and our Drop quiesces the ring before the outbound goes.
                    unsafe { self.ring.send(self.stream.socket.as_fd(), message) };
                }
            }
        }
    }

    fn has_to_send(&self, now_ns: u64) -> bool {
        !self.outbound.is_idle() || self.ping_at().is_some_and(|at_ns| now_ns >= at_ns)
    }

    /// When a PING is due; none is while the link closes.
    fn ping_at(&self) -> Option<u64> {
        self.probe.ping_at().filter(|_| self.closing_at.is_none())
    }

    /// Looks how fast the link takes what it is given, and makes batches, pieces and what stands
    /// unsent in the socket as small as that rate allows.
    fn keep_pace(&mut self, now_ns: u64) {
        let blocked = self.ring.in_flight(Operation::Send) || self.send_paused_until.is_some();
        let socket = self.stream.socket.as_fd();
        let handed_bytes = self.outbound.sent_bytes();
        if self.pace.look(now_ns, socket, handed_bytes, blocked) {
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
    }

    fn wait(&self) -> Wait {
        if self.reads_tun() {
            return Wait::Not;
        }
        let proof = self.on_proven.is_some().then_some(self.proven_at);
        // While a send is under way or paused, a PING goes behind it.
        let send = match self.send_paused_until {
            None if self.ring.in_flight(Operation::Send) => None,
            None => self.ping_at(),
            paused => paused,
        };
        let send = send.map(|at_ns| self.clock + Duration::from_nanos(at_ns));
        let times = [
            proof,
            self.closing_at,
            self.tun_paused_until,
            self.door_paused_until,
            send,
        ];
        let next = times.into_iter().flatten().min();
        next.map_or(Wait::Completion, |at| {
            Wait::AtMost(at.saturating_duration_since(Instant::now()))
        })
    }

    fn complete(&mut self, operation: Operation, result: io::Result<u32>) -> Result<(), Error> {
        match operation {
            Operation::Receive => match result {
                Ok(0) => Err(self.inbound.end_of_stream()),
                Ok(bytes) => {
                    self.probe.heard(self.now_ns());
                    self.inbound.received(bytes as usize, self.around.stats);
                    // The kernel answers many a packet while it takes it: the answer is there.
                    self.tun_ready = true;
                    self.deliver()
                }
                Err(cause) if is_passing(&cause) => Ok(()),
                Err(cause) => Err(Error::LinkLost { cause }),
            },
            Operation::Send => match result {
                Ok(bytes) => {
                    self.outbound.sent(bytes as usize, self.around.stats);
                    Ok(())
                }
                Err(cause) if is_passing(&cause) => Ok(()),
                Err(cause) => Err(Error::LinkLost { cause }),
            },
            Operation::TunReady => {
                self.tun_ready = true;
                Ok(())
            }
            Operation::DoorReady => {
                self.refuse_newcomers();
                Ok(())
            }
            Operation::Woken => {
                // Cleared before it is read, so that no request falls between the two.
                self.around.wake.clear();
                if self.around.wake.close_requested() {
                    self.begin_closing();
                }
                Ok(())
            }
        }
    }

    fn deliver(&mut self) -> Result<(), Error> {
        let mut ear = Ear {
            now_ns: self.now_ns(),
            outbound: &mut self.outbound,
            probe: &mut self.probe,
            is_closing: self.closing_at.is_some(),
            around: &self.around,
        };
        let around = &self.around;
        let delivered = self
            .inbound
            .deliver(around.tun, &mut self.peer, around.stats, &mut ear);
        if *self.peer.speech() != Speech::Unknown {
            self.prove();
        }
        delivered
    }

    fn prove(&mut self) {
        if let Some(on_proven) = self.on_proven.take() {
            on_proven(self.peer.speech());
        }
    }

    /// Drops what waits, and says goodbye where it is understood.
    fn begin_closing(&mut self) {
        if self.closing_at.is_some() {
            return;
        }
        self.closing_at = Some(Instant::now() + CLOSING_TIME);
        // The TUN is not read any more, so no pause of its reading may shorten the waits.
        self.tun_paused_until = None;
        self.outbound.clear();
        if let Speech::Extended { .. } = self.peer.speech() {
            let goodbye = Control::Close {
                reason: CloseReason::SHUTDOWN,
                text: "shutting down",
            };
            self.outbound
                .push_message(FLAG_CONTROL, goodbye.encode(&mut [0; CONTROL_MAX_BYTES]));
        }
    }

    /// Ends once everything went out, and where goodbye is understood, once the peer has answered
    /// it by closing: to close with its packets unread would destroy what it has not yet read.
    fn finish_closing(&mut self) -> Result<(), Error> {
        let Some(at) = self.closing_at else {
            return Ok(());
        };
        let is_out = self.outbound.is_idle() && !self.ring.in_flight(Operation::Send);
        let is_understood = matches!(self.peer.speech(), Speech::Extended { .. });
        if Instant::now() >= at || (is_out && !is_understood) {
            return Err(Error::Closed);
        }
        if is_out && !self.is_half_closed {
            self.is_half_closed = true;
            // A failure means that the peer was faster.
            let _ = rustix::net::shutdown(&self.stream.socket, rustix::net::Shutdown::Write);
        }
        Ok(())
    }

    /// The seat is taken: whoever knocks hears it by the close of the connection.
    fn refuse_newcomers(&mut self) {
        let Some(listener) = self.around.listener else {
            return;
        };
        for _ in 0..REFUSALS_PER_TURN {
            match listener.try_accept() {
                Ok(Some(newcomer)) => {
                    self.around.stats.peers_refused.add(1);
                    self.around.notices.warn(
                        "seat-taken",
                        format!("refused {}: a peer is connected", newcomer.peer),
                    );
                }
                Ok(None) => return,
                Err(error) => {
                    self.around.notices.warn(error.code(), error.to_string());
                    // Out of descriptors: whoever knocks stays at the door, and would wake us
                    // without end.
                    self.door_paused_until = Some(Instant::now() + DOOR_PAUSE);
                    return;
                }
            }
        }
    }
}

/// Hears what the peer says to this end rather than to its network.
struct Ear<'s, 'a> {
    now_ns: u64,
    outbound: &'s mut Outbound,
    probe: &'s mut Probe,
    /// Behind CLOSE nothing follows.
    is_closing: bool,
    around: &'s Surroundings<'a>,
}

impl Hear for Ear<'_, '_> {
    fn learnt(&mut self, peer: &Peer) {
        let around = self.around;
        self.probe.learnt(peer.agreed());
        if let Err(cause) = around.tun.set_offloads(peer.agreed()) {
            // The kernel took them when the TUN was opened; without them packets are only smaller.
            let message = format!("the kernel refused the offloads {}: {cause}", peer.agreed());
            around.notices.warn("offloads-refused", message);
        }
        let Speech::Extended { hello: theirs, .. } = peer.speech() else {
            return;
        };
        let ours = peer.ours();
        if theirs.mtu_bytes != ours.mtu_bytes {
            let message = format!(
                "the MTUs differ: {} bytes here, {} at the peer; give both ends the same (-m)",
                ours.mtu_bytes, theirs.mtu_bytes
            );
            around.notices.warn("mtu-differs", message);
        }
        if theirs.shares_address_with(ours) {
            let message = "both ends have the same inner address: give each its own (-a)";
            around.notices.warn("same-address", message.into());
        }
    }

    fn control(&mut self, message: Control<'_>, taken: Delivered) -> Result<(), Error> {
        match message {
            Control::Ping(_) if self.is_closing => Ok(()),
            Control::Ping(ping) => {
                self.outbound.push_pong(Pong {
                    sequence: ping.sequence,
                    ping_sent_ns: ping.sent_ns,
                    delivered: taken,
                    sent_ns: self.now_ns,
                });
                Ok(())
            }
            Control::Pong(pong) => {
                self.probe.on_pong(self.now_ns, &pong);
                let stats = self.around.stats;
                stats.rtt_us.set(self.probe.rtt_ns() / 1000);
                stats.min_rtt_us.set(self.probe.min_rtt_ns() / 1000);
                Ok(())
            }
            Control::Close { text, .. } => Err(Error::PeerClosed {
                said: Some(text.to_owned()),
            }),
            Control::Unknown { .. } => {
                self.around.stats.unknown_controls.add(1);
                Ok(())
            }
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.around.stats.forget_link();
        // Ends what is pending on the socket at once; a failure means it has ended already.
        let _ = rustix::net::shutdown(&self.stream.socket, rustix::net::Shutdown::Both);
        self.ring.quiesce();
    }
}

/// Interrupted or cancelled by nobody's wish: the operation is simply begun again.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINTR | libc::EAGAIN | libc::ENOBUFS)
    )
}

fn ring_failed(cause: io::Error) -> Error {
    Error::Internal(format!("io_uring_enter failed: {cause}"))
}
