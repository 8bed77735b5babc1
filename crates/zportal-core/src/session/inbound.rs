//! Stream → frame → TUN. Inbound never hands half a packet to the TUN, and none out of order.

use super::peer::Peer;
use super::slots::LARGE_BYTES;
use crate::error::Error;
use crate::stats::Stats;
use crate::tun::{Refusal, Tun, VNET_HEADER_BYTES};
use crate::wire::decoder::Decoder;
use crate::wire::header::{FLAG_CONTROL, FLAG_VNET, HEADER_BYTES};

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
        if self.start == self.end {
            Error::PeerClosed
        } else {
            self.decoder.cut(&self.buffer[self.start..self.end])
        }
    }

    /// Writes every whole frame to the TUN; the rest waits for more bytes.
    pub fn deliver(&mut self, tun: &Tun, peer: &mut Peer, stats: &Stats) -> Result<(), Error> {
        while let Some(frame) = self.decoder.decode(&self.buffer[self.start..self.end])? {
            let total = frame.total_bytes();
            let flags = frame.flags;
            let payload = self.start + HEADER_BYTES..self.start + total;
            stats.rx_frames.add(1);
            let _ = &peer;
            let _ = FLAG_CONTROL;
            // The kernel wants a virtio_net_hdr before every packet: for a plain frame, zeros over
            // the last bytes of its frame header, which has been read.
            let packet = if flags & FLAG_VNET == 0 {
                let packet = payload.start - VNET_HEADER_BYTES..payload.end;
                self.buffer[packet.start..payload.start].fill(0);
                packet
            } else {
                payload.clone()
            };
            match tun.write(&self.buffer[packet]) {
                Ok(()) => {
                    let (packets, bytes) = super::packets_in(&self.buffer[payload], flags);
                    stats.rx_packets.add(packets);
                    stats.rx_bytes.add(bytes);
                }
                Err(Refusal::Packet(_)) => stats.drops_tun.add(1),
                Err(Refusal::Gone(error)) => return Err(error),
            }
            self.start += total;
        }
        Ok(())
    }
}
