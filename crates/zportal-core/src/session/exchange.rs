//! A session's dealings with the kernel: what is handed to it, how long it may sleep, and what its
//! completions mean.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use super::peer::Speech;
use super::ring::{Operation, Wait};
use super::turn::Session;
use crate::error::Error;
use crate::wire::control::{CONTROL_MAX_BYTES, Control};
use crate::wire::header::FLAG_CONTROL;

/// So many bytes received at once are bulk, and not the last of it.
const BULK_BYTES: u32 = 32 * 1024;

impl Session<'_> {
    /// Gives the kernel whatever can be under way, but for what is sent.
    pub(super) fn submit(&mut self) {
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
        self.await_tun();
        if let Some(door) = &self.around.door
            && self.closing_at.is_none()
            && !self.ring.in_flight(Operation::DoorReady)
        {
            self.ring.poll_readable(Operation::DoorReady, door.as_fd());
        }
        if let Some(network) = self.around.network
            && !self.ring.in_flight(Operation::NetworkChanged)
        {
            self.ring
                .poll_readable(Operation::NetworkChanged, network.borrow().as_fd());
        }
        if !self.ring.in_flight(Operation::Woken) {
            self.ring
                .poll_readable(Operation::Woken, self.around.wake.as_fd());
        }
    }

    /// Sends batches until nothing waits or the socket is full; then the ring sends on when it can.
    /// While enough stands in the socket or behind it, only what is urgent goes.
    ///
    /// A send that does not block is a plain system call: through the ring it would cost a
    /// completion, and often a second entry to fetch it.
    pub(super) fn send(&mut self, now_ns: u64) {
        if self.send_paused_until.is_some_and(|until| now_ns >= until) {
            self.send_paused_until = None;
        }
        if self.has_words {
            self.pass_words_on();
        }
        while !self.ring.in_flight(Operation::Send) && self.has_to_send(now_ns) {
            if self.send_paused_until.is_none() {
                let pause_ns = self.pace.pause_ns(self.stream.socket.as_fd());
                self.send_paused_until = pause_ns.map(|pause_ns| now_ns + pause_ns);
            }
            let is_held = self.send_paused_until.is_some();
            if is_held && !self.outbound.is_urgent() {
                return;
            }
            let taken = self.inbound.taken();
            let stats = self.around.stats;
            let batch = (self.outbound).next_batch(now_ns, &mut self.probe, taken, is_held, stats);
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
            if self.has_words {
                self.pass_words_on();
            }
        }
    }

    pub(super) fn has_to_send(&self, now_ns: u64) -> bool {
        !self.outbound.is_idle() || self.ping_at().is_some_and(|at_ns| now_ns >= at_ns)
    }

    /// When a PING is due; none is while the link closes.
    pub(super) fn ping_at(&self) -> Option<u64> {
        self.probe.ping_at().filter(|_| self.closing_at.is_none())
    }

    pub(super) fn wait(&self) -> Wait {
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
        let look = self.look_at();
        let times = [
            proof,
            self.closing_at,
            self.from_tun.paused_until,
            self.door_at(Instant::now()),
            send,
            look,
        ];
        let next = times.into_iter().flatten().min();
        next.map_or(Wait::Completion, Wait::Until)
    }

    pub(super) fn complete(
        &mut self,
        operation: Operation,
        result: io::Result<u32>,
    ) -> Result<(), Error> {
        match operation {
            Operation::Receive => match result {
                Ok(0) => Err(self.inbound.end_of_stream()),
                Ok(bytes) => {
                    self.inbound.received(bytes as usize, self.around.stats);
                    if self.probe.is_relayed() {
                        self.pace.acknowledge(self.stream.socket.as_fd());
                    }
                    let before = self.inbound.taken();
                    let delivered = self.deliver();
                    self.tun_written(before);
                    if bytes >= BULK_BYTES {
                        // Whoever reads it goes first: here it is still in cache, and if it had to
                        // wait for us, another core would take it over.
                        std::thread::yield_now();
                    }
                    delivered
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
                self.from_tun.is_ready = true;
                Ok(())
            }
            Operation::TunRead => {
                let read = match result {
                    Ok(bytes) => Some(bytes as usize),
                    Err(cause) => self.around.tun.unread(cause)?,
                };
                if let Some(bytes) = read {
                    self.tun_read(bytes);
                }
                Ok(())
            }
            Operation::DoorReady => self.look_at_door(),
            Operation::NetworkChanged => {
                self.network_changed();
                Ok(())
            }
            // Whoever waited for it looks at the clock in every turn.
            Operation::Alarm => Ok(()),
            Operation::Woken => {
                // Cleared before it is read, so that no request falls between the two.
                self.around.wake.clear();
                if self.around.wake.close_requested() {
                    self.begin_closing();
                }
                self.pass_words_on();
                Ok(())
            }
        }
    }
}

impl Session<'_> {
    /// Queues what this end's shell has to say to the peer's, where it is understood, as far as there
    /// is room.
    fn pass_words_on(&mut self) {
        let is_understood =
            self.closing_at.is_none() && matches!(self.peer.speech(), Speech::Extended { .. });
        self.has_words = true;
        while !is_understood || self.outbound.takes_word() {
            let Some(text) = self.around.words.next() else {
                self.has_words = false;
                return;
            };
            if is_understood {
                let word = Control::Word { text: &text };
                self.outbound
                    .push_message(FLAG_CONTROL, word.encode(&mut [0; CONTROL_MAX_BYTES]));
            }
        }
    }
}

/// Interrupted or cancelled by nobody's wish: the operation is simply begun again.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINTR | libc::EAGAIN | libc::ENOBUFS)
    )
}
