//! What a tunnel's thread and the holders of its handle share.

use std::sync::{Arc, Mutex};

use super::changeable::Changeable;
use super::desk::Desk;
use crate::error::Error;
use crate::lock::held;
use crate::notices::Notices;
use crate::route::Routing;
use crate::stats::Stats;
use crate::words::Words;

/// What the tunnel's thread shares with others.
pub(super) struct Shared {
    pub(super) stats: Stats,
    pub(super) notices: Notices,
    pub(super) words: Words,
    pub(super) changeable: Changeable,
    pub(super) routing: Routing,
    pub(super) desk: Mutex<Desk>,
}

impl Shared {
    pub(super) fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        held(&self.desk)
    }

    /// Makes the thread look at its requests.
    pub(super) fn wake(&self) {
        if let Some(wake) = self.desk().wake() {
            wake.wake();
        }
    }

    /// Makes the thread end; it may have ended.
    pub(super) fn request_close(&self) {
        if let Some(wake) = self.desk().wake() {
            wake.request_close();
        }
    }

    /// Answers everybody who waits for a session or for its end.
    pub(super) fn settle_end(&self, end: Error) {
        let (wanted, replies, end) = {
            let mut desk = self.desk();
            let wanted = desk.take_wanted();
            // A session that never was has not ended: its request alone hears why.
            let (refusal, end) = match &wanted {
                Some(_) => (Some(end), Error::Closed),
                None => (None, end),
            };
            let end = Arc::new(end);
            // The desk is free again before anybody hears of it, and asks for the next session.
            let replies = desk.end(&end);
            (wanted.zip(refusal), replies, end)
        };
        if let Some((reply, refusal)) = wanted {
            reply(Err(refusal));
        }
        for reply in replies {
            reply(Arc::clone(&end));
        }
    }

    /// Answers everybody who waits for the end of the thread.
    pub(super) fn finish(&self) {
        let waiting = self.desk().finish();
        if let Some(reply) = waiting.wanted {
            reply(Err(Error::Closed));
        }
        for reply in waiting.ends {
            reply(Arc::new(Error::Closed));
        }
        for reply in waiting.closes {
            reply();
        }
    }
}
