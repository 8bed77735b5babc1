//! How other threads interrupt a tunnel's thread: an eventfd (`eventfd(2)`) and one request.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// Readable once somebody has called [`Wake::wake`].
#[derive(Debug)]
pub struct Wake {
    event: OwnedFd,
    close_requested: AtomicBool,
    /// How often a sign of life was asked for, and how much of that was heard.
    asked: AtomicU64,
    heard: AtomicU64,
}

impl Wake {
    /// Nothing requested.
    pub fn new() -> io::Result<Wake> {
        Ok(Wake {
            event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            close_requested: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            heard: AtomicU64::new(0),
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
        // Only now: what is asked for after this makes the descriptor readable once more.
        let asked = self.asked.load(Ordering::Acquire);
        self.heard.store(asked, Ordering::Release);
    }

    /// Asks the thread for a sign of life; the value is whether it has given all that were asked
    /// for before. To be asked again after longer than a turn can take.
    pub fn is_heard(&self) -> bool {
        let heard = self.heard.load(Ordering::Acquire);
        let asked = self.asked.fetch_add(1, Ordering::AcqRel);
        self.wake();
        heard == asked
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::Wake;

    #[test]
    fn a_thread_that_never_looks_gives_no_sign_of_life() {
        let wake = Wake::new().expect("eventfd");
        assert!(wake.is_heard(), "nothing was asked for before");
        assert!(!wake.is_heard());
        wake.clear();
        assert!(wake.is_heard(), "all of it was heard");
        assert!(!wake.is_heard());
        assert!(!wake.is_heard());
        wake.clear();
        assert!(wake.is_heard());
    }
}
