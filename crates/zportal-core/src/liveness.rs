//! Whether the peer still lives, judged by when something of it was last heard: a function of times,
//! so the same times always give the same verdict. A peer that is asked every two seconds and says
//! nothing for [`SILENCE_MAX_NS`] is dead, or the way to it is.
//!
//! This end's own sleep is not the peer's silence: a process that was stopped, or a machine that was
//! paused, finds a peer that could not be heard, and gives it the whole time anew.

#![forbid(unsafe_code)]

/// A peer that answers questions is believed dead after so much silence, nanoseconds. With the
/// question every two seconds and a look every second, that is known within 12 s.
pub const SILENCE_MAX_NS: u64 = 10_000_000_000;
/// How often to look, nanoseconds.
pub const LOOK_EVERY_NS: u64 = 1_000_000_000;
/// Looks that are further apart than this mean that this end did not run, nanoseconds. Below, it is
/// only a busy machine.
pub const SLEPT_NS: u64 = 3 * LOOK_EVERY_NS;
/// After the network has changed, a peer that answers nothing within this time and a few round trips
/// is not reached any more over this link, nanoseconds: TCP would ask again only after a pause that
/// has doubled with every loss.
pub const CHANGED_MAX_NS: u64 = 1_000_000_000;
/// Round trips that are added to that.
const CHANGED_ROUND_TRIPS: u64 = 4;

/// What is to be thought of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was heard not long ago, or had no chance yet.
    Lives,
    /// It is silent for so long, nanoseconds.
    Silent(u64),
    /// It has answered nothing since the network has changed, for so long, nanoseconds.
    LostOnTheWay(u64),
}

/// What is known of one peer's life.
#[derive(Debug, Clone, Copy)]
pub struct Liveness {
    /// When it was last heard, or got its chance anew.
    heard_ns: u64,
    looked_ns: u64,
    /// When the network changed, and by when something must have been answered since.
    changed: Option<(u64, u64)>,
}

impl Liveness {
    /// Begins now: the peer has its whole time.
    pub fn new(now_ns: u64) -> Liveness {
        Liveness {
            heard_ns: now_ns,
            looked_ns: now_ns,
            changed: None,
        }
    }

    /// When to look next.
    pub fn look_at(&self) -> u64 {
        let regular_ns = self.looked_ns.saturating_add(LOOK_EVERY_NS);
        self.changed
            .map_or(regular_ns, |(_, by_ns)| by_ns.min(regular_ns))
    }

    /// Notes that bytes of the peer have come, whatever they are.
    pub fn heard(&mut self, now_ns: u64) {
        self.heard_ns = self.heard_ns.max(now_ns);
    }

    /// Notes that the peer has answered: so this end is heard, too. After a change of the network
    /// only that counts, because one direction may flow while the other waits for a timer of TCP's.
    pub fn answered(&mut self, now_ns: u64) {
        self.heard(now_ns);
        self.changed = None;
    }

    /// Notes that the way to the peer may have become another one. `rtt_ns` is the round trip, 0 if
    /// it is not known.
    pub fn network_changed(&mut self, now_ns: u64, rtt_ns: u64) {
        // A second change does not lengthen the time of the first.
        let by_ns = now_ns + CHANGED_MAX_NS + CHANGED_ROUND_TRIPS * rtt_ns;
        self.changed.get_or_insert((now_ns, by_ns));
    }

    /// Looks; to be called at [`Liveness::look_at`].
    pub fn look(&mut self, now_ns: u64) -> Verdict {
        let slept = now_ns.saturating_sub(self.looked_ns) > SLEPT_NS;
        self.looked_ns = now_ns;
        if slept {
            self.heard_ns = now_ns;
            self.changed = None;
            return Verdict::Lives;
        }
        let silent_ns = now_ns.saturating_sub(self.heard_ns);
        if silent_ns >= SILENCE_MAX_NS {
            return Verdict::Silent(silent_ns);
        }
        match self.changed {
            Some((since_ns, by_ns)) if now_ns >= by_ns => Verdict::LostOnTheWay(now_ns - since_ns),
            _ => Verdict::Lives,
        }
    }
}
