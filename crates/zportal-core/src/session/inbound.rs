//! Stream → frame → TUN. Inbound never hands half a packet to the TUN, and none out of order.

use std::ops::Range;

use super::count::packets_in;
use super::peer::{Peer, Speech};
use super::slots::LARGE_BYTES;
use crate::error::Error;
use crate::stats::Stats;
use crate::tun::{Refusal, Tun};
use crate::wire::control::{Control, Delivered};
use crate::wire::decoder::Decoder;
use crate::wire::header::{FLAG_CONTROL, FLAG_VNET, HEADER_BYTES};
use crate::wire::vnet::{self, VNET_HEADER_BYTES, VnetHeader};

/// Small enough to stay in a core's L2 cache between the kernel's copy in and the copy out.
pub const BUFFER_BYTES: usize = 256 * 1024;

/// Bytes from the peer that are not yet whole frames.
pub struct Inbound {
    buffer: Box<[u8]>,
    /// Where the unread bytes begin.
    start: usize,
    /// Where they end and the next receive goes.
    end: usize,
    decoder: Decoder,
    taken: Delivered,
}

/// Whoever hears what is for the session and not for the TUN.
pub trait Hear {
    /// The first frame has shown how the peer speaks.
    fn learnt(&mut self, peer: &Peer);
    /// A control message, with what was handed to the TUN before it.
    fn control(&mut self, message: Control<'_>, taken: Delivered) -> Result<(), Error>;
}

impl Inbound {
    /// Begins with the bytes that came with the link.
    pub fn new(early: &[u8], peer: &Peer) -> Inbound {
        let mut buffer = vec![0; BUFFER_BYTES.max(early.len() + LARGE_BYTES)].into_boxed_slice();
        buffer[..early.len()].copy_from_slice(early);
        Inbound {
            buffer,
            start: 0,
            end: early.len(),
            decoder: Decoder::new(peer.accepted_bytes(), peer.accepted_flags()),
            taken: Delivered::default(),
        }
    }

    /// Where the next receive goes; never empty. The bytes stay untouched until
    /// [`Inbound::received`] is called, and valid until the inbound is dropped.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.buffer.len() - self.end < LARGE_BYTES {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.buffer[self.end..]
    }

    /// Notes that `bytes` were received into [`Inbound::space`].
    pub fn received(&mut self, bytes: usize, stats: &Stats) {
        self.end += bytes;
        stats.stream_rx_bytes.add(bytes as u64);
    }

    /// How the stream's end is to be understood here: between two frames, or inside one.
    pub fn end_of_stream(&self) -> Error {
        self.decoder.cut(&self.buffer[self.start..self.end])
    }

    /// Writes every whole frame to the TUN; the rest waits for more bytes.
    pub fn deliver(
        &mut self,
        tun: &Tun,
        peer: &mut Peer,
        stats: &Stats,
        ear: &mut impl Hear,
    ) -> Result<(), Error> {
        while let Some(frame) = self.decoder.decode(&self.buffer[self.start..self.end])? {
            let flags = frame.flags;
            let total = frame.total_bytes();
            stats.rx_frames.add(1);
            let payload = self.start + HEADER_BYTES..self.start + total;
            self.start += total;
            if *peer.speech() == Speech::Unknown {
                let hello = peer.learn(&self.buffer[payload.clone()])?;
                self.decoder
                    .accept(peer.accepted_bytes(), peer.accepted_flags());
                ear.learnt(peer);
                if hello {
                    continue;
                }
            }
            if flags & FLAG_CONTROL != 0 {
                let message = Control::parse(&self.buffer[payload]);
                let message = message.map_err(|truncated| Error::Message {
                    detail: truncated.to_string(),
                })?;
                ear.control(message, self.taken)?;
                continue;
            }
            self.taken.frames += 1;
            self.taken.bytes += payload.len() as u64;
            self.deliver_one(payload, flags, tun, peer, stats)?;
        }
        Ok(())
    }

    /// Writes one packet to the TUN, which wants a virtio_net_hdr in front of each.
    fn deliver_one(
        &mut self,
        payload: Range<usize>,
        flags: u32,
        tun: &Tun,
        peer: &Peer,
        stats: &Stats,
    ) -> Result<(), Error> {
        let packet = if flags & FLAG_VNET == 0 {
            // Zeros over the last bytes of the frame header, which has been read.
            let packet = payload.start - VNET_HEADER_BYTES..payload.end;
            self.buffer[packet.start..payload.start].fill(0);
            packet
        } else {
            let checked = VnetHeader::parse(&self.buffer[payload.clone()])
                .and_then(|(header, packet)| vnet::check(&header, packet, peer.agreed()));
            let Ok(header) = checked else {
                stats.drops_header.add(1);
                return Ok(());
            };
            self.buffer[payload.start..payload.start + VNET_HEADER_BYTES]
                .copy_from_slice(&header.encode());
            payload.clone()
        };
        match tun.write(&self.buffer[packet]) {
            Ok(()) => {
                let (packets, bytes) = packets_in(&self.buffer[payload], flags);
                stats.rx_packets.add(packets);
                stats.rx_bytes.add(bytes);
                Ok(())
            }
            Err(Refusal::Packet(_)) => {
                stats.drops_tun.add(1);
                Ok(())
            }
            Err(Refusal::Gone(error)) => Err(error),
        }
    }
}
