//! Who gets the one seat: a function of what the seat holds, what a newcomer has shown, and times.
//!
//! A proven peer is displaced by its own client's return and by nobody else. Whoever has shown
//! nothing keeps nobody out for longer than [`PROOF_MS`] and [`SILENT_WAIT_MS`] together.

#![forbid(unsafe_code)]

/// Tells apart the tunnels of all clients; a client keeps its own in every session.
pub type SessionId = [u8; 16];

/// Who has shown nothing for so long has no more claim than the next, milliseconds.
pub const PROOF_MS: u64 = 5000;
/// Where another has sat without a word for [`PROOF_MS`], a silent newcomer takes over after this,
/// milliseconds: a connection that is closed again at once displaces nobody.
pub const SILENT_WAIT_MS: u64 = 500;

/// What the seat holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// Nobody.
    Free,
    /// Somebody who has shown nothing.
    Unproven {
        /// For how long, milliseconds.
        for_ms: u64,
    },
    /// A peer that has sent a valid frame.
    Proven {
        /// What its HELLO said; an original says none.
        session_id: Option<SessionId>,
    },
}

/// What a newcomer has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// No whole frame yet.
    Nothing,
    /// A valid frame, as an original sends it.
    Packet,
    /// A HELLO.
    Hello(SessionId),
}

/// What happens to a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// It gets the seat; whoever sat there leaves.
    Seat,
    /// It hears that the seat is taken, and leaves.
    Refuse,
    /// It leaves without a word: it would not understand one.
    Drop,
    /// Nothing yet; look again when it has been here for so long, milliseconds, or sooner.
    Wait {
        /// Since it came.
        until_ms: u64,
    },
}

/// The ruling on a newcomer that came `waited_ms` ago.
pub fn rule(seat: Seat, shown: Shown, waited_ms: u64) -> Ruling {
    match (seat, shown) {
        // An original may have nothing to say until it is sent something.
        (Seat::Free, _) => Ruling::Seat,
        (Seat::Unproven { .. }, Shown::Packet | Shown::Hello(_)) => Ruling::Seat,
        (Seat::Proven { session_id }, Shown::Hello(theirs)) if session_id == Some(theirs) => {
            Ruling::Seat
        }
        (Seat::Proven { .. }, Shown::Hello(_)) => Ruling::Refuse,
        (Seat::Proven { .. }, Shown::Packet) => Ruling::Drop,
        (Seat::Unproven { for_ms }, Shown::Nothing) => {
            // Both clocks run at the same speed: when will both have run long enough?
            let holder_ms = waited_ms.saturating_add(PROOF_MS.saturating_sub(for_ms));
            seat_at(holder_ms.max(SILENT_WAIT_MS), waited_ms)
        }
        (Seat::Proven { .. }, Shown::Nothing) if waited_ms >= PROOF_MS => Ruling::Drop,
        (Seat::Proven { .. }, Shown::Nothing) => Ruling::Wait { until_ms: PROOF_MS },
    }
}

fn seat_at(moment_ms: u64, waited_ms: u64) -> Ruling {
    if waited_ms >= moment_ms {
        Ruling::Seat
    } else {
        Ruling::Wait {
            until_ms: moment_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PROOF_MS, Ruling, SILENT_WAIT_MS, Seat, Shown, rule};

    const OURS: [u8; 16] = [1; 16];
    const STRANGER: [u8; 16] = [2; 16];
    const TAKEN: Seat = Seat::Proven {
        session_id: Some(OURS),
    };
    const BY_ORIGINAL: Seat = Seat::Proven { session_id: None };

    #[test]
    fn a_proven_peer_leaves_for_its_own_return_only() {
        for waited_ms in [0, PROOF_MS, 10 * PROOF_MS] {
            assert_eq!(rule(TAKEN, Shown::Hello(OURS), waited_ms), Ruling::Seat);
            assert_eq!(
                rule(TAKEN, Shown::Hello(STRANGER), waited_ms),
                Ruling::Refuse
            );
            assert_eq!(rule(TAKEN, Shown::Packet, waited_ms), Ruling::Drop);
            assert_eq!(
                rule(BY_ORIGINAL, Shown::Hello(OURS), waited_ms),
                Ruling::Refuse
            );
            assert_eq!(rule(BY_ORIGINAL, Shown::Packet, waited_ms), Ruling::Drop);
            assert_ne!(rule(TAKEN, Shown::Nothing, waited_ms), Ruling::Seat);
        }
        assert_eq!(
            rule(TAKEN, Shown::Nothing, PROOF_MS - 1),
            Ruling::Wait { until_ms: PROOF_MS }
        );
        assert_eq!(rule(TAKEN, Shown::Nothing, PROOF_MS), Ruling::Drop);
    }

    #[test]
    fn whoever_shows_something_sits_at_once_where_nobody_has() {
        for seat in [Seat::Free, Seat::Unproven { for_ms: 0 }] {
            for shown in [Shown::Packet, Shown::Hello(STRANGER)] {
                assert_eq!(rule(seat, shown, 0), Ruling::Seat);
            }
        }
    }

    #[test]
    fn a_silent_one_sits_where_nobody_does() {
        assert_eq!(rule(Seat::Free, Shown::Nothing, 0), Ruling::Seat);
    }

    #[test]
    fn a_silent_squatter_keeps_a_silent_peer_out_for_less_than_six_seconds() {
        for came_after_ms in 0..2 * PROOF_MS {
            let seat = |waited_ms| Seat::Unproven {
                for_ms: came_after_ms + waited_ms,
            };
            let mut waited_ms = 0;
            // Looked at when the last ruling said.
            while let Ruling::Wait { until_ms } = rule(seat(waited_ms), Shown::Nothing, waited_ms) {
                assert!(until_ms > waited_ms);
                waited_ms = until_ms;
            }
            assert_eq!(
                rule(seat(waited_ms), Shown::Nothing, waited_ms),
                Ruling::Seat
            );
            assert!(waited_ms < 6000);
            assert!(waited_ms >= SILENT_WAIT_MS, "a passer-by displaces nobody");
        }
    }
}
