//! How other threads interrupt a tunnel's thread: an eventfd (`eventfd(2)`) and one request.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// Readable once somebody has called [`Wake::wake`].
#[derive(Debug)]
pub struct Wake {
    event: OwnedFd,
    close_requested: AtomicBool,
}

impl Wake {
    /// Nothing requested.
    pub fn new() -> io::Result<Wake> {
        Ok(Wake {
            event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            close_requested: AtomicBool::new(false),
        })
    }

    /// Makes the tunnel's thread look at its commands.
    pub fn wake(&self) {
        // The counter is full only after 2^64 unread wakes; then it is readable anyway.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    /// Asks the tunnel to end.
    pub fn request_close(&self) {
        self.close_requested.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether the tunnel was asked to end.
    pub fn close_requested(&self) -> bool {
        self.close_requested.load(Ordering::Acquire)
    }

    /// Makes the descriptor unreadable again; what woke must be looked at after this.
    pub fn clear(&self) {
        // EAGAIN says that it was clear.
        let _ = rustix::io::read(&self.event, &mut [0_u8; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
