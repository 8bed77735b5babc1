//! How a session ends when this end was asked to close: what is half sent goes out, goodbye is said
//! where it is understood, and the peer gets its time to read it.

use std::time::{Duration, Instant};

use super::peer::Speech;
use super::ring::Operation;
use super::turn::Session;
use crate::error::Error;
use crate::wire::control::{CONTROL_MAX_BYTES, CloseReason, Control};
use crate::wire::header::FLAG_CONTROL;

/// A closing end lets the frame under way go out, so that the peer sees no torn one; not longer.
const CLOSING_TIME: Duration = Duration::from_millis(300);

impl Session<'_> {
    /// Drops what waits, and says goodbye where it is understood.
    pub(super) fn begin_closing(&mut self) {
        if self.closing_at.is_some() {
            return;
        }
        self.closing_at = Some(Instant::now() + CLOSING_TIME);
        // The TUN is not read any more, so no pause of its reading may shorten the waits.
        self.from_tun.paused_until = None;
        self.outbound.clear(self.around.stats);
        if let Speech::Extended { .. } = self.peer.speech() {
            let goodbye = Control::Close {
                reason: CloseReason::SHUTDOWN,
                text: "shutting down",
            };
            self.outbound
                .push_message(FLAG_CONTROL, goodbye.encode(&mut [0; CONTROL_MAX_BYTES]));
        }
    }

    /// Ends once everything went out, and where goodbye is understood, once the peer has answered
    /// it by closing: to close with its packets unread would destroy what it has not yet read.
    pub(super) fn finish_closing(&mut self) -> Result<(), Error> {
        let Some(at) = self.closing_at else {
            return Ok(());
        };
        let is_out = self.outbound.is_idle() && !self.ring.in_flight(Operation::Send);
        let is_understood = matches!(self.peer.speech(), Speech::Extended { .. });
        if Instant::now() >= at || (is_out && !is_understood) {
            return Err(Error::Closed);
        }
        if is_out && !self.is_half_closed {
            self.is_half_closed = true;
            // A failure means that the peer was faster.
            let _ = rustix::net::shutdown(&self.stream.socket, rustix::net::Shutdown::Write);
        }
        Ok(())
    }
}
