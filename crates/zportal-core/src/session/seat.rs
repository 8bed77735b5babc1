//! The seat as its session sees it: who sits there, and whether a newcomer gets it.

use std::time::Instant;

use super::peer::Speech;
use super::turn::Session;
use crate::error::Error;
use crate::seat::rules::Seat;

impl Session<'_> {
    /// Lets the door decide about newcomers; the end of this session if one of them gets the seat.
    pub(super) fn look_at_door(&mut self) -> Result<(), Error> {
        let seat = self.seat();
        if self.closing_at.is_some() {
            return Ok(());
        }
        let Some(door) = &mut self.around.door else {
            return Ok(());
        };
        if door.look(seat, self.around.stats, self.around.notices) {
            let returned = matches!(seat, Seat::Proven { .. });
            return Err(Error::PeerReplaced { returned });
        }
        Ok(())
    }

    /// When to look at the door even if nobody knocks; `now` or before if it is time already.
    pub(super) fn door_at(&self, now: Instant) -> Option<Instant> {
        let door = self.around.door.as_ref()?;
        door.look_at(self.seat(), now)
            .filter(|_| self.closing_at.is_none())
    }

    fn seat(&self) -> Seat {
        match self.peer.speech() {
            Speech::Unknown => Seat::Unproven {
                for_ms: u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX),
            },
            Speech::Original => Seat::Proven { session_id: None },
            Speech::Extended { hello, .. } => Seat::Proven {
                session_id: Some(hello.session_id),
            },
        }
    }
}
