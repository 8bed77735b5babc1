//! A small packet that comes alone leaves before this thread does anything else, and whoever it woke
//! goes before what this thread does next.

use rustix::net::SendFlags;

use super::turn::Session;

impl Session<'_> {
    /// Sends what the ring has read, if it came alone and is small. `before_ns` is the time at which
    /// the turn began. Where that tells enough, the clock is not looked at first: after a rest this
    /// costs as much as any other step here. So a question that has become due meanwhile goes along
    /// with the next packet.
    pub(super) fn send_alone(&mut self, before_ns: u64) {
        if !self.from_tun.has_read() || self.closing_at.is_some() {
            return;
        }
        let from_tun = &self.from_tun;
        let alone = from_tun.came_alone(before_ns);
        let alone = alone.or_else(|| from_tun.came_alone(self.now_ns()));
        let Some(read) = alone else {
            return;
        };
        if !self.is_limited(before_ns) && self.send_past_queue(read) {
            return;
        }
        let now_ns = self.now_ns();
        let before_bytes = self.outbound.sent_bytes();
        self.from_tun.take_read(now_ns);
        self.outbound
            .take(now_ns, read, &self.peer, self.around.stats);
        self.send(now_ns);
        if self.outbound.is_idle() && self.outbound.sent_bytes() > before_bytes {
            self.give_way(now_ns);
        }
    }

    /// Whether there is more to see to than that nothing waits: how much may be sent now, or that a
    /// question to the peer goes along.
    fn is_limited(&self, now_ns: u64) -> bool {
        self.send_paused_until.is_some()
            || self.pace.asks_socket()
            || self.probe.limit_bytes().is_some()
            || self.probe.is_due_along(now_ns)
    }

    /// Sends the packet of `read` bytes from where it was read to; false if it has to queue.
    fn send_past_queue(&mut self, read: usize) -> bool {
        let Some(direct) = self.outbound.direct(read, &self.peer) else {
            return false;
        };
        let frame = self.outbound.frame(direct);
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        // The socket may be full, or broken: what it did not take is sent on as any batch is, and
        // then that is found out.
        let sent = rustix::net::send(&self.stream.socket, frame, flags).unwrap_or(0);
        let has_left = sent == frame.len();
        let now_ns = self.now_ns();
        if has_left {
            self.give_way(now_ns);
        }
        self.from_tun.take_read(now_ns);
        (self.outbound).sent_direct(now_ns, direct, sent, &mut self.probe, self.around.stats);
        true
    }

    /// Lets whoever the packet woke go before the preparations for the next wait: a proxy or the
    /// other end may stand in line for this very processor.
    fn give_way(&mut self, now_ns: u64) {
        if self.crowd.lets_offer(now_ns) {
            let looked = self.ring.glance();
            self.crowd.on_offer(now_ns, looked.others);
            self.has_come = looked.is_found;
        }
    }
}
