//! Where requests to a tunnel's thread wait for their answers. Every request put here leaves it
//! with exactly one answer.

use std::sync::Arc;
use std::time::Duration;

use super::request::{DoneReply, EndReply, PeerInfo, Reply};
use crate::error::Error;
use crate::wake::Wake;

/// Requests without an answer yet, and how the last session ended.
pub(super) struct Desk {
    /// How to reach the thread; given up when it finishes, so that a tunnel that is closed holds
    /// no descriptor however long its handle lives.
    wake: Option<Arc<Wake>>,
    /// Asked for and not yet answered.
    wanted: Option<Reply<PeerInfo>>,
    /// What is to be waited before it is looked for.
    pause: Duration,
    /// A session has been asked for, and has neither failed nor ended.
    busy: bool,
    ends: Vec<EndReply>,
    last_end: Option<Arc<Error>>,
    closes: Vec<DoneReply>,
}

impl Desk {
    /// Nothing requested.
    pub(super) fn new(wake: Arc<Wake>) -> Desk {
        Desk {
            wake: Some(wake),
            wanted: None,
            pause: Duration::ZERO,
            busy: false,
            ends: Vec::new(),
            last_end: None,
            closes: Vec::new(),
        }
    }

    /// How to reach the thread, unless it has finished.
    pub(super) fn wake(&self) -> Option<&Wake> {
        self.wake.as_deref()
    }

    /// Asks for a session; gives the request back, with the reason, if there can be none.
    pub(super) fn want_session(
        &mut self,
        pause: Duration,
        reply: Reply<PeerInfo>,
    ) -> Option<(Reply<PeerInfo>, Error)> {
        if self.wake.is_none() {
            // Why the thread has ended is why there is no session, also for whoever asks late.
            let end = self.last_end.as_deref().map_or(Error::Closed, repeated);
            return Some((reply, end));
        }
        if self.busy {
            let twice = "establish was called while a session is wanted or runs already";
            return Some((reply, Error::Option(twice.into())));
        }
        self.busy = true;
        self.last_end = None;
        self.wanted = Some(reply);
        self.pause = pause;
        None
    }

    /// Whether a session is asked for and not yet answered.
    pub(super) fn is_session_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// How long to wait before the session that is asked for is looked for.
    pub(super) fn pause(&self) -> Duration {
        self.pause
    }

    /// The request for a session, to be answered without the lock.
    pub(super) fn take_wanted(&mut self) -> Option<Reply<PeerInfo>> {
        self.wanted.take()
    }

    /// Waits for the end of the session; gives the request back with the answer if that is known.
    pub(super) fn await_end(&mut self, reply: EndReply) -> Option<(EndReply, Arc<Error>)> {
        if self.busy && self.wake.is_some() {
            self.ends.push(reply);
            return None;
        }
        let end = self.last_end.clone();
        Some((reply, end.unwrap_or_else(|| Arc::new(Error::Closed))))
    }

    /// Notes the end of a session; those returned are to be answered without the lock.
    pub(super) fn end(&mut self, end: &Arc<Error>) -> Vec<EndReply> {
        self.busy = false;
        self.last_end = Some(Arc::clone(end));
        std::mem::take(&mut self.ends)
    }

    /// Waits for the thread to finish; gives the request back if it has.
    pub(super) fn await_finish(&mut self, reply: DoneReply) -> Option<DoneReply> {
        if self.wake.is_none() {
            return Some(reply);
        }
        self.closes.push(reply);
        None
    }

    /// Notes that the thread does nothing more; everybody returned is to be answered without the
    /// lock. Taken together, so that a request that comes at the last moment is among them.
    pub(super) fn finish(&mut self) -> Waiting {
        self.wake = None;
        self.busy = false;
        Waiting {
            wanted: self.wanted.take(),
            ends: std::mem::take(&mut self.ends),
            closes: std::mem::take(&mut self.closes),
        }
    }
}

/// The reason of a thread's end once more, for another who asks.
fn repeated(end: &Error) -> Error {
    match end {
        Error::TunGone { name } => Error::TunGone { name: name.clone() },
        Error::TunIo { name, what, cause } => Error::TunIo {
            name: name.clone(),
            what,
            cause: cause.raw_os_error().map_or_else(
                || std::io::Error::other(cause.to_string()),
                std::io::Error::from_raw_os_error,
            ),
        },
        Error::Internal(detail) => Error::Internal(detail.clone()),
        _ => Error::Closed,
    }
}

/// Requests that nobody works on any more.
pub(super) struct Waiting {
    pub(super) wanted: Option<Reply<PeerInfo>>,
    pub(super) ends: Vec<EndReply>,
    pub(super) closes: Vec<DoneReply>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::Desk;
    use crate::error::Error;
    use crate::wake::Wake;

    #[test]
    fn a_request_between_the_end_and_the_finish_is_answered() {
        let mut desk = Desk::new(Arc::new(Wake::new().unwrap()));
        let answers = Arc::new(AtomicUsize::new(0));
        let count = || {
            let answers = Arc::clone(&answers);
            move || {
                answers.fetch_add(1, Ordering::Relaxed);
            }
        };
        assert!(desk.end(&Arc::new(Error::Closed)).is_empty());
        let (wanted, ended, closed) = (count(), count(), count());
        assert!(
            desk.want_session(Duration::ZERO, Box::new(move |_| wanted()))
                .is_none()
        );
        assert!(desk.await_end(Box::new(move |_| ended())).is_none());
        assert!(desk.await_finish(Box::new(closed)).is_none());
        let waiting = desk.finish();
        waiting.wanted.expect("the request")(Err(Error::Closed));
        for reply in waiting.ends {
            reply(Arc::new(Error::Closed));
        }
        for reply in waiting.closes {
            reply();
        }
        assert_eq!(answers.load(Ordering::Relaxed), 3);
        assert!(
            desk.want_session(Duration::ZERO, Box::new(|_| {}))
                .is_some()
        );
    }

    #[test]
    fn whoever_asks_after_the_finish_hears_why_it_came() {
        let mut desk = Desk::new(Arc::new(Wake::new().unwrap()));
        desk.end(&Arc::new(Error::TunGone { name: "zt0".into() }));
        desk.finish();
        let refused = desk.want_session(Duration::ZERO, Box::new(|_| {}));
        assert!(matches!(refused, Some((_, Error::TunGone { .. }))));
    }
}
