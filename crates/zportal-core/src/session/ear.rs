//! What the peer says to this end rather than to its network, and what this end makes of it.

use std::time::Instant;

use super::inbound::Hear;
use super::outbound::Outbound;
use super::peer::{Peer, Speech};
use super::surroundings::Surroundings;
use super::turn::ns_between;
use crate::error::Error;
use crate::window::probe::Probe;
use crate::wire::control::{CloseReason, Control, Delivered, Pong};

/// Hears what the peer says to this end rather than to its network.
pub(super) struct Ear<'s, 'a> {
    /// When the session began.
    pub(super) clock: Instant,
    pub(super) outbound: &'s mut Outbound,
    pub(super) probe: &'s mut Probe,
    /// Behind CLOSE nothing follows.
    pub(super) is_closing: bool,
    /// Whether the peer has said something that shows that it hears us.
    pub(super) is_answered: bool,
    pub(super) around: &'s Surroundings<'a>,
}

impl Ear<'_, '_> {
    /// Nanoseconds since the session began; packets go by without a look at the clock.
    fn now_ns(&self) -> u64 {
        ns_between(self.clock, Instant::now())
    }
}

impl Hear for Ear<'_, '_> {
    fn learnt(&mut self, peer: &Peer) {
        let around = self.around;
        self.is_answered = true;
        (around.acquaintance).heard(matches!(peer.speech(), Speech::Extended { .. }));
        let theirs = match peer.speech() {
            Speech::Extended { hello, .. } => hello.is_relayed,
            Speech::Unknown | Speech::Original => false,
        };
        self.probe.learnt(self.now_ns(), peer.agreed(), theirs);
        if let Err(cause) = around.tun.set_offloads(peer.agreed()) {
            // The kernel took them when the TUN was opened; without them packets are only smaller.
            let message = format!("the kernel refused the offloads {}: {cause}", peer.agreed());
            around.notices.warn("offloads-refused", message);
        }
        let Speech::Extended { hello: theirs, .. } = peer.speech() else {
            return;
        };
        let ours = peer.ours();
        if theirs.mtu_bytes != ours.mtu_bytes {
            let message = format!(
                "the MTUs differ: {} bytes here, {} at the peer; give both ends the same (-m)",
                ours.mtu_bytes, theirs.mtu_bytes
            );
            around.notices.warn("mtu-differs", message);
        }
        if theirs.shares_address_with(ours) {
            let message = "both ends have the same inner address: give each its own (-a)";
            around.notices.warn("same-address", message.into());
        }
    }

    fn control(&mut self, message: Control<'_>, taken: Delivered) -> Result<(), Error> {
        match message {
            Control::Ping(_) if self.is_closing => Ok(()),
            Control::Ping(ping) => {
                self.outbound.push_pong(Pong {
                    sequence: ping.sequence,
                    ping_sent_ns: ping.sent_ns,
                    delivered: taken,
                    sent_ns: self.now_ns(),
                });
                Ok(())
            }
            Control::Pong(pong) => {
                self.is_answered = true;
                self.probe.on_pong(self.now_ns(), &pong);
                let stats = self.around.stats;
                stats.rtt_us.set(self.probe.rtt_ns() / 1000);
                stats.min_rtt_us.set(self.probe.min_rtt_ns() / 1000);
                Ok(())
            }
            Control::Close {
                reason: CloseReason::BUSY,
                text,
            } => Err(Error::PeerBusy {
                said: Some(text.to_owned()).filter(|said| !said.is_empty()),
            }),
            Control::Close { text, .. } => Err(Error::PeerClosed {
                said: Some(text.to_owned()),
            }),
            Control::Word { text } => {
                self.around.words.hear(text);
                Ok(())
            }
            Control::Unknown { .. } => {
                self.around.stats.unknown_controls.add(1);
                Ok(())
            }
        }
    }
}
