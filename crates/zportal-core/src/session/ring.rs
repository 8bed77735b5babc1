//! The io_uring of a tunnel's thread: at most one operation of each kind is in the kernel.
//!
//! The packet loop has a ring of its own beside the runtime's: a wait in `io_uring_enter` that
//! also submits is one system call and one wake-up, where tokio's epoll around tokio-uring's
//! ring takes two of each (measured in ARCHITECTURE.md).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use io_uring::{IoUring, opcode, squeue, types};

use crate::error::Error;

/// Entries of the submission queue: one for each kind of operation and for its cancellation.
const ENTRIES: u32 = 16;

/// The kinds of operation; each is in flight at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Operation {
    /// Bytes from the stream.
    Receive = 0,
    /// A batch of frames to the stream.
    Send = 1,
    /// The TUN has a packet, where it cannot be read by the ring.
    TunReady = 2,
    /// Somebody connects while a peer is seated.
    DoorReady = 3,
    /// Another thread has a command.
    Woken = 4,
    /// The kernel announces something of the network.
    NetworkChanged = 5,
    /// A time has come that was waited for; set by [`Ring::enter`].
    Alarm = 6,
    /// A packet from the TUN.
    TunRead = 7,
}

const OPERATIONS: [Operation; 8] = [
    Operation::Receive,
    Operation::Send,
    Operation::TunReady,
    Operation::DoorReady,
    Operation::Woken,
    Operation::NetworkChanged,
    Operation::Alarm,
    Operation::TunRead,
];

/// A time at least this far away is left to an alarm that stays in the kernel from wait to wait.
/// To set a timer for each wait and clear it again was a quarter of a flood ping's round trip.
const ALARM_FROM: Duration = Duration::from_millis(5);

/// Marks the completion of a cancellation, which nobody waits for by itself.
const CANCELLATION: u64 = u64::MAX;

/// How long [`Ring::enter`] may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: there is work.
    Not,
    /// Until something completes.
    Completion,
    /// Until something completes or the time has come.
    Until(Instant),
}

/// How a look for a completion went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looked {
    /// Whether something has completed, or will when the kernel is entered.
    pub is_found: bool,
    /// The longest time for which others had the processor meanwhile.
    pub others: Duration,
}

/// What the kernel has still done when it was told to let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rest {
    /// The bytes of a packet that was read from the TUN.
    pub read_bytes: Option<usize>,
    /// How much of the batch the socket took.
    pub sent_bytes: usize,
}

/// The ring and what of it is in flight.
pub struct Ring {
    ring: IoUring,
    in_flight: [bool; OPERATIONS.len()],
    /// When the alarm in flight goes off, and how long that was away when it was set, which the
    /// kernel reads there.
    alarm_at: Instant,
    alarm_time: Box<types::Timespec>,
}

impl Ring {
    /// Makes the ring, with the best flags that this kernel has.
    pub fn new() -> Result<Ring, Error> {
        // DEFER_TASKRUN (6.1) completes operations only when this thread asks, SINGLE_ISSUER (6.0)
        // spares locks; COOP_TASKRUN (5.19) spares interrupts. Each older kernel gets what it has.
        let attempts = [
            IoUring::builder()
                .setup_single_issuer()
                .setup_defer_taskrun()
                .setup_taskrun_flag()
                .build(ENTRIES),
            IoUring::builder()
                .setup_coop_taskrun()
                .setup_taskrun_flag()
                .build(ENTRIES),
            IoUring::builder().build(ENTRIES),
        ];
        let mut refusal = None;
        for attempt in attempts {
            match attempt {
                Ok(ring) => {
                    return Ok(Ring {
                        ring,
                        in_flight: [false; OPERATIONS.len()],
                        alarm_at: Instant::now(),
                        alarm_time: Box::default(),
                    });
                }
                Err(cause) => refusal = Some(cause),
            }
        }
        let cause = refusal.unwrap_or_else(|| io::Error::from_raw_os_error(libc::ENOSYS));
        Err(forbidden(cause))
    }

    /// Whether an operation of that kind is in the kernel.
    pub fn in_flight(&self, operation: Operation) -> bool {
        self.in_flight[operation as usize]
    }

    /// Receives into `length` bytes at `buffer`.
    ///
    /// # Safety
    /// The memory stays valid and untouched until the operation has completed or
    /// [`Ring::quiesce`] has returned.
    pub unsafe fn receive(&mut self, socket: BorrowedFd<'_>, buffer: *mut u8, length: u32) {
        let entry = opcode::Recv::new(types::Fd(socket.as_raw_fd()), buffer, length).build();
        // SAFETY: passed on to the caller.
        unsafe { self.push(Operation::Receive, entry) };
    }

    /// Reads a packet of at most `length` bytes to `buffer` from a TUN that may be waited for.
    ///
    /// # Safety
    /// As for [`Ring::receive`].
    pub unsafe fn read(&mut self, tun: BorrowedFd<'_>, buffer: *mut u8, length: u32) {
        let entry = opcode::Read::new(types::Fd(tun.as_raw_fd()), buffer, length).build();
        // SAFETY: passed on to the caller.
        unsafe { self.push(Operation::TunRead, entry) };
    }

    /// Sends what the message describes; the kernel tries to send all of it, but may send less.
    ///
    /// # Safety
    /// The message and all it points to stay valid and untouched until the operation has
    /// completed or [`Ring::quiesce`] has returned.
    pub unsafe fn send(&mut self, socket: BorrowedFd<'_>, message: *const libc::msghdr) {
        let flags = (libc::MSG_NOSIGNAL | libc::MSG_WAITALL).cast_unsigned();
        let entry = opcode::SendMsg::new(types::Fd(socket.as_raw_fd()), message)
            .flags(flags)
            .build();
        // SAFETY: passed on to the caller.
        unsafe { self.push(Operation::Send, entry) };
    }

    /// Completes once the descriptor is readable, or broken.
    pub fn poll_readable(&mut self, operation: Operation, descriptor: BorrowedFd<'_>) {
        let interest = libc::POLLIN.cast_unsigned().into();
        let entry = opcode::PollAdd::new(types::Fd(descriptor.as_raw_fd()), interest).build();
        // SAFETY: a poll touches no memory of ours.
        unsafe { self.push(operation, entry) };
    }

    /// # Safety
    /// As for the operation that `entry` describes.
    unsafe fn push(&mut self, operation: Operation, entry: squeue::Entry) {
        debug_assert!(!self.in_flight(operation), "{operation:?} is in flight");
        self.in_flight[operation as usize] = true;
        let entry = entry.user_data(operation as u64);
        // SAFETY: passed on to the caller.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        // ENTRIES exceeds the number of kinds, each is there at most once, and every enter
        // empties the queue.
        pushed.expect("the submission queue has room for one of each kind");
    }

    /// Hands new operations to the kernel and looks for a completion, for `time` at the most, without
    /// sleeping; who else wants the processor meanwhile gets it.
    pub fn look(&mut self, time: Duration) -> io::Result<Looked> {
        let begun = Instant::now();
        let mut now = begun;
        let mut others = Duration::ZERO;
        loop {
            self.enter(Wait::Not)?;
            let is_found = !self.ring.completion().is_empty();
            if is_found || now.saturating_duration_since(begun) >= time {
                return Ok(Looked { is_found, others });
            }
            std::thread::yield_now();
            let before = std::mem::replace(&mut now, Instant::now());
            others = others.max(now.saturating_duration_since(before));
        }
    }

    /// Lets others have the processor, once, and looks whether something came meanwhile. New
    /// operations stay here.
    pub fn glance(&mut self) -> Looked {
        let begun = Instant::now();
        std::thread::yield_now();
        let others = begun.elapsed();
        let is_deferred = self.ring.submission().taskrun();
        Looked {
            is_found: is_deferred || !self.ring.completion().is_empty(),
            others,
        }
    }

    /// Hands new operations to the kernel, and waits for completions as told.
    pub fn enter(&mut self, wait: Wait) -> io::Result<()> {
        let entered = match wait {
            // Nothing to hand over and nothing deferred: no reason to enter the kernel.
            Wait::Not if self.is_quiet() => return Ok(()),
            Wait::Not => self.ring.submit_and_wait(0),
            Wait::Completion => self.ring.submit_and_wait(1),
            Wait::Until(at) if self.is_alarm_set(at) => self.ring.submit_and_wait(1),
            Wait::Until(at) => {
                let time = types::Timespec::from(at.saturating_duration_since(Instant::now()));
                let arguments = types::SubmitArgs::new().timespec(&time);
                self.ring.submitter().submit_with_args(1, &arguments)
            }
        };
        match entered {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY)
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether an alarm goes off at that time or before; sets one if there is none and it is worth
    /// it. One that goes off too early only costs a turn.
    fn is_alarm_set(&mut self, at: Instant) -> bool {
        if self.in_flight(Operation::Alarm) {
            return self.alarm_at <= at;
        }
        let time = at.saturating_duration_since(Instant::now());
        if time < ALARM_FROM {
            return false;
        }
        self.alarm_at = at;
        *self.alarm_time = types::Timespec::from(time);
        let entry = opcode::Timeout::new(&raw const *self.alarm_time).build();
        // SAFETY: the time is the ring's own, and written only while no alarm is in flight.
        unsafe { self.push(Operation::Alarm, entry) };
        true
    }

    /// Whether the kernel has nothing of ours to do and no completion to post.
    fn is_quiet(&mut self) -> bool {
        let submission = self.ring.submission();
        submission.is_empty() && !submission.taskrun() && !submission.cq_overflow()
    }

    /// The next completion, with its result (bytes or poll bits).
    pub fn completed(&mut self) -> Option<(Operation, io::Result<u32>)> {
        loop {
            let completion = self.ring.completion().next()?;
            if completion.user_data() == CANCELLATION {
                continue;
            }
            let operation = usize::try_from(completion.user_data())
                .ok()
                .and_then(|place| OPERATIONS.get(place).copied())?;
            self.in_flight[operation as usize] = false;
            let result = u32::try_from(completion.result())
                .map_err(|_| io::Error::from_raw_os_error(-completion.result()));
            return Some((operation, result));
        }
    }

    /// Cancels everything and returns when nothing is left in the kernel, so that buffers may go.
    /// Returns what the kernel has done meanwhile.
    pub fn quiesce(&mut self) -> Rest {
        let mut rest = Rest::default();
        let mut cancelled = [false; OPERATIONS.len()];
        while self.in_flight.contains(&true) {
            for operation in OPERATIONS {
                if self.in_flight(operation) && !cancelled[operation as usize] {
                    cancelled[operation as usize] = true;
                    let entry = opcode::AsyncCancel::new(operation as u64)
                        .build()
                        .user_data(CANCELLATION);
                    // SAFETY: a cancellation touches no memory of ours.
                    let pushed = unsafe { self.ring.submission().push(&entry) };
                    pushed.expect("the submission queue has room for the cancellations");
                }
            }
            if let Err(error) = self.enter(Wait::Completion) {
                // Without the kernel's word that it let go, freeing the buffers would be unsound.
                log::error!("io_uring does not answer while stopping: {error}");
                std::process::abort();
            }
            while let Some((operation, result)) = self.completed() {
                match (operation, result) {
                    (Operation::TunRead, Ok(bytes)) => rest.read_bytes = Some(bytes as usize),
                    (Operation::Send, Ok(bytes)) => rest.sent_bytes = bytes as usize,
                    _ => {}
                }
            }
        }
        rest
    }
}

/// Names what keeps io_uring from working here.
pub(crate) fn forbidden(cause: io::Error) -> Error {
    let sysctl = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    let cure = match (cause.raw_os_error(), sysctl.trim()) {
        (Some(libc::EPERM), "1" | "2") => {
            "the sysctl kernel.io_uring_disabled forbids it; set it to 0"
        }
        (Some(libc::EPERM | libc::EACCES), _) => {
            "a seccomp filter forbids it, as Docker's default profile does; allow io_uring_setup, io_uring_enter and io_uring_register"
        }
        (Some(libc::ENOSYS), _) => {
            "this kernel is older than 5.11 or built without CONFIG_IO_URING, or a seccomp filter hides it"
        }
        (Some(libc::ENOMEM), _) => "the limit of locked memory is too low; raise ulimit -l",
        _ => "see docs/ERRORS.md",
    };
    Error::IoUring { cure, cause }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use super::{Operation, Rest, Ring, Wait};

    const TIME: Duration = Duration::from_millis(2);

    #[test]
    fn a_look_ends_with_what_it_finds_or_with_its_time() {
        let mut ring = Ring::new().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        ring.poll_readable(Operation::Woken, reader.as_fd());
        let begun = Instant::now();
        assert!(!ring.look(TIME).unwrap().is_found);
        assert!(begun.elapsed() >= TIME);
        assert!(!ring.glance().is_found);

        let writing = std::thread::spawn(move || {
            std::io::Write::write_all(&mut &writer, b"x").unwrap();
            writer
        });
        // Whether it comes before the look or during it.
        assert!(ring.look(Duration::from_secs(60)).unwrap().is_found);
        let (operation, _) = ring.completed().unwrap();
        assert_eq!(operation, Operation::Woken);
        assert!(!ring.in_flight(Operation::Woken));
        writing.join().unwrap();
    }

    #[test]
    fn a_glance_sees_what_the_kernel_has_and_hands_it_nothing() {
        let mut ring = Ring::new().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        ring.poll_readable(Operation::Woken, reader.as_fd());
        std::io::Write::write_all(&mut writer, b"x").unwrap();
        assert!(!ring.glance().is_found);
        let (reader, mut writer) = std::io::pipe().unwrap();
        ring.poll_readable(Operation::DoorReady, reader.as_fd());
        ring.enter(Wait::Completion).unwrap();
        assert_eq!(ring.completed().unwrap().0, Operation::Woken);
        assert!(ring.completed().is_none());
        assert!(!ring.glance().is_found);
        std::io::Write::write_all(&mut writer, b"x").unwrap();
        assert!(ring.glance().is_found);
        ring.enter(Wait::Not).unwrap();
        assert_eq!(ring.completed().unwrap().0, Operation::DoorReady);
    }
    #[test]
    fn what_the_kernel_does_while_it_lets_go_is_told() {
        let mut ring = Ring::new().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        let (socket, _peer) = UnixStream::pair().unwrap();
        let (mut packet, mut frame) = ([0; 8], *b"frame");
        let mut part = libc::iovec {
            iov_base: frame.as_mut_ptr().cast(),
            iov_len: frame.len(),
        };
        // SAFETY: a message is plain numbers and pointers, for which all zeros is a value.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
        std::io::Write::write_all(&mut writer, b"abc").unwrap();
        // SAFETY: all of it lives until the ring is quiet.
        unsafe {
            ring.read(reader.as_fd(), packet.as_mut_ptr(), 8);
        }
        // SAFETY: the same.
        unsafe {
            ring.send(socket.as_fd(), &raw const message);
        }
        let done = Rest {
            read_bytes: Some(3),
            sent_bytes: frame.len(),
        };
        assert_eq!(ring.quiesce(), done);
        // Nothing is there any more.
        // SAFETY: the same.
        unsafe {
            ring.read(reader.as_fd(), packet.as_mut_ptr(), 8);
        }
        assert_eq!(ring.quiesce(), Rest::default());
    }
}
