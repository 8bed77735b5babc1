//! Whether the peer of a session still lives, and whether the network still leads to it.

use std::time::{Duration, Instant};

use super::turn::Session;
use crate::error::Error;
use crate::liveness::{Liveness, Verdict};
use crate::wire::features::Features;

const MS_NS: u64 = 1_000_000;

impl Session<'_> {
    /// Notes that bytes of the peer have come.
    pub(super) fn hear_peer(&mut self) {
        let now_ns = self.now_ns();
        if let Some(liveness) = &mut self.liveness {
            liveness.heard(now_ns);
        }
    }

    /// Ends the session when a peer that answers questions answers none. One that cannot is left
    /// to the kernel's keepalive.
    pub(super) fn judge_peer(&mut self) -> Result<(), Error> {
        let now_ns = self.now_ns();
        let Some(liveness) = &mut self.liveness else {
            if self.peer.agreed().contains(Features::PING) {
                self.liveness = Some(Liveness::new(now_ns));
            }
            return Ok(());
        };
        // While this end closes, it waits no longer anyway.
        if now_ns < liveness.look_at() || self.closing_at.is_some() {
            return Ok(());
        }
        match liveness.look(now_ns) {
            Verdict::Lives => Ok(()),
            Verdict::Silent(silent_ns) => Err(Error::PeerSilent {
                silent_ms: silent_ns / MS_NS,
                network_changed: false,
            }),
            Verdict::LostOnTheWay(silent_ns) => Err(Error::PeerSilent {
                silent_ms: silent_ns / MS_NS,
                network_changed: true,
            }),
        }
    }

    /// When to judge next.
    pub(super) fn look_at(&self) -> Option<Instant> {
        let liveness = self.liveness.as_ref()?;
        let is_due = self.closing_at.is_none();
        is_due.then(|| self.clock + Duration::from_nanos(liveness.look_at()))
    }

    /// The kernel has announced something: if the way to the peer may be another one now, the peer
    /// is asked at once.
    pub(super) fn network_changed(&mut self) {
        let came_back = self
            .around
            .network
            .is_some_and(|network| network.borrow_mut().came_back());
        let now_ns = self.now_ns();
        if came_back && let Some(liveness) = &mut self.liveness {
            liveness.network_changed(now_ns, self.probe.rtt_ns());
            self.probe.hurry();
        }
    }
}
