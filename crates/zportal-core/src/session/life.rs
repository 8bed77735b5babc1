//! Whether the peer of a session still lives, and whether the network still leads to it.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::peer::Speech;
use super::turn::Session;
use crate::error::Error;
use crate::liveness::{Liveness, Verdict};
use crate::wire::features::Features;

const MS_NS: u64 = 1_000_000;
/// After a mute beginning only words prove a peer, and its liveness is what ends the wait.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The most that was heard of the peer since its liveness was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Heard {
    #[default]
    Nothing,
    /// Bytes, whatever they are.
    Bytes,
    /// Something that shows that it hears us, too.
    Answer,
}

impl Heard {
    /// Tells it, once.
    fn tell(&mut self, liveness: &mut Liveness, now_ns: u64) {
        match std::mem::take(self) {
            Heard::Nothing => {}
            Heard::Bytes => liveness.heard(now_ns),
            Heard::Answer => liveness.answered(now_ns),
        }
    }
}

impl Session<'_> {
    /// Ends the session when a peer that answers questions answers none. One that cannot is left
    /// to the kernel's keepalive.
    pub(super) fn judge_peer(&mut self, now_ns: u64) -> Result<(), Error> {
        let owes_words = match self.peer.speech() {
            // It would have spoken first, as it did before.
            Speech::Unknown => self.around.acquaintance.speaks_first(),
            Speech::Original | Speech::Extended { .. } => {
                self.peer.agreed().contains(Features::PING)
            }
        };
        if !owes_words {
            self.liveness = None;
            return Ok(());
        }
        let liveness = self.liveness.get_or_insert_with(|| Liveness::new(now_ns));
        self.heard.tell(liveness, now_ns);
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

    /// The other end has said nothing since the link began. It may be an original that has nothing
    /// to say; but not if it has spoken over an earlier link: then it is no peer before it speaks.
    pub(super) fn judge_silence(&mut self) {
        let acquaintance = self.around.acquaintance;
        if !acquaintance.speaks_first() {
            let now_ns = self.now_ns();
            self.probe.learnt(now_ns, Features::NONE, false);
            self.prove();
            return;
        }
        self.proven_at += NEVER;
        if acquaintance.tell_mute() {
            let message = format!(
                "{} takes connections, but the peer, which has spoken before, says nothing: it \
                 stands still, or a proxy has lost it",
                self.stream.peer
            );
            self.around.notices.warn("mute-peer", message);
        }
    }

    /// When to judge next.
    pub(super) fn look_at(&self) -> Option<Instant> {
        let liveness = self.liveness.as_ref()?;
        let is_due = self.closing_at.is_none();
        is_due.then(|| self.clock + Duration::from_nanos(liveness.look_at()))
    }

    /// The kernel has announced something: if the way to the peer may be there again, or another one,
    /// what waits goes out, and the peer is asked at once.
    pub(super) fn network_changed(&mut self) {
        let came_back = self
            .around
            .network
            .is_some_and(|network| network.borrow_mut().came_back());
        if !came_back {
            return;
        }
        self.pace.push(self.stream.socket.as_fd());
        let now_ns = self.now_ns();
        if let Some(liveness) = &mut self.liveness {
            // What was heard before the change says nothing of what is so after it.
            self.heard.tell(liveness, now_ns);
            self.probe.hurry();
            // Only a client has another way to the peer; a server waits for what the peer does.
            if self.around.door.is_none() {
                liveness.network_changed(now_ns, self.probe.rtt_ns());
            }
        }
    }
}
