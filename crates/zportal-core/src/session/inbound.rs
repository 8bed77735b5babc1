//! Stream → frame → TUN. Inbound never hands half a packet to the TUN, and none out of order.

use std::io::IoSlice;
use std::ops::Range;

use super::count::packets_in;
use super::peer::{Peer, Speech};
use super::slots::LARGE_BYTES;
use crate::error::Error;
use crate::gather::{Gathered, SEGMENTS_MAX};
use crate::stats::Stats;
use crate::tun::{Refusal, Tun};
use crate::wire::control::{Control, Delivered};
use crate::wire::decoder::Decoder;
use crate::wire::header::{FLAG_CONTROL, FLAG_VNET, HEADER_BYTES};
use crate::wire::vnet::{self, GSO_UDP_L4, VNET_HEADER_BYTES, VnetHeader};

/// Small enough to stay in a core's L2 cache between the kernel's copy in and the copy out.
pub const BUFFER_BYTES: usize = 256 * 1024;

/// After so many datagrams written to the TUN, others on this core get their turn: they enter the
/// kernel faster than programs run, and whoever receives them has room for a few hundred in its
/// socket. TCP waits for its receiver by itself.
const DATAGRAMS_PER_TURN: u64 = 128;

/// Bytes from the peer that are not yet whole frames.
pub struct Inbound {
    buffer: Box<[u8]>,
    /// Where the unread bytes begin.
    start: usize,
    /// Where they end and the next receive goes.
    end: usize,
    decoder: Decoder,
    taken: Delivered,
    /// Written to the TUN since the others had their turn.
    datagrams: u64,
    /// TCP segments that will enter the TUN together; never kept beyond one `deliver`.
    gathering: Option<Gathering>,
    /// The payloads of the segments behind the first, where they were received.
    bodies: Vec<Range<usize>>,
}

/// What is being gathered, and where its first segment was received.
struct Gathering {
    gathered: Gathered,
    first: Range<usize>,
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
            datagrams: 0,
            gathering: None,
            bodies: Vec::with_capacity(SEGMENTS_MAX),
        }
    }

    /// What was taken off the stream for the TUN.
    pub fn taken(&self) -> Delivered {
        self.taken
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
        let delivered = self.deliver_frames(tun, peer, stats, ear);
        // What came before a broken frame was whole.
        let flushed = self.flush(tun, stats);
        delivered.and(flushed)
    }

    fn deliver_frames(
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
                // An answer tells what the TUN has taken, so it must have it.
                self.flush(tun, stats)?;
                let message = Control::parse(&self.buffer[payload]);
                let message = message.map_err(|truncated| Error::Message {
                    detail: truncated.to_string(),
                })?;
                ear.control(message, self.taken)?;
                continue;
            }
            self.taken.frames += 1;
            self.taken.bytes += payload.len() as u64;
            if flags & FLAG_VNET == 0 {
                self.deliver_plain(payload, tun, stats)?;
            } else {
                self.deliver_vnet(payload, tun, peer, stats)?;
            }
        }
        Ok(())
    }

    /// Gathers a TCP segment with those around it, or writes the packet as it is.
    fn deliver_plain(
        &mut self,
        payload: Range<usize>,
        tun: &Tun,
        stats: &Stats,
    ) -> Result<(), Error> {
        if let Some(gathering) = &mut self.gathering {
            let first = &self.buffer[gathering.first.clone()];
            let next = &self.buffer[payload.clone()];
            if let Some(body) = gathering.gathered.take(first, next) {
                self.bodies
                    .push(payload.start + body.start..payload.start + body.end);
                return Ok(());
            }
            self.flush(tun, stats)?;
        }
        if let Some(gathered) = Gathered::begin(&self.buffer[payload.clone()]) {
            self.gathering = Some(Gathering {
                gathered,
                first: payload,
            });
            return Ok(());
        }
        let vnet = self.put_vnet(&payload, VnetHeader::default());
        let written = tun.write(&self.buffer[vnet..payload.end]);
        self.entered(1);
        settle(written, (1, payload.len() as u64), stats)
    }

    /// Writes what was gathered, if anything was.
    fn flush(&mut self, tun: &Tun, stats: &Stats) -> Result<(), Error> {
        let Some(Gathering { gathered, first }) = self.gathering.take() else {
            return Ok(());
        };
        let header = gathered.finish(&mut self.buffer[first.clone()]);
        let vnet = self.put_vnet(&first, header);
        let mut parts = [IoSlice::new(&[]); SEGMENTS_MAX];
        parts[0] = IoSlice::new(&self.buffer[vnet..first.end]);
        for (part, body) in parts[1..].iter_mut().zip(&self.bodies) {
            *part = IoSlice::new(&self.buffer[body.clone()]);
        }
        let written = tun.write_parts(&parts[..=self.bodies.len()]);
        self.bodies.clear();
        settle(written, gathered.packets_and_bytes(), stats)
    }

    /// Puts a virtio_net_hdr in front of a plain payload, over the last bytes of the frame header,
    /// which has been read; returns where it begins.
    fn put_vnet(&mut self, payload: &Range<usize>, header: VnetHeader) -> usize {
        let vnet = payload.start - VNET_HEADER_BYTES;
        self.buffer[vnet..payload.start].copy_from_slice(&header.encode());
        vnet
    }

    /// Writes a packet that came with a virtio_net_hdr, once that is checked.
    fn deliver_vnet(
        &mut self,
        payload: Range<usize>,
        tun: &Tun,
        peer: &Peer,
        stats: &Stats,
    ) -> Result<(), Error> {
        // In order with what came before.
        self.flush(tun, stats)?;
        let checked = VnetHeader::parse(&self.buffer[payload.clone()])
            .and_then(|(header, packet)| vnet::check(&header, packet, peer.agreed()));
        let Ok(header) = checked else {
            stats.drops_header.add(1);
            return Ok(());
        };
        self.buffer[payload.start..payload.start + VNET_HEADER_BYTES]
            .copy_from_slice(&header.encode());
        let payload = &self.buffer[payload];
        let (packets, bytes) = packets_in(payload, FLAG_VNET);
        let written = tun.write(payload);
        if header.gso_type == GSO_UDP_L4 {
            self.entered(packets);
        }
        settle(written, (packets, bytes), stats)
    }

    /// Lets the receivers of datagrams run once enough of them have entered the TUN.
    fn entered(&mut self, datagrams: u64) {
        self.datagrams += datagrams;
        if self.datagrams >= DATAGRAMS_PER_TURN {
            self.datagrams = 0;
            std::thread::yield_now();
        }
    }
}

/// Counts what became of so many packets of so many bytes together.
fn settle(
    written: Result<(), Refusal>,
    (packets, bytes): (u64, u64),
    stats: &Stats,
) -> Result<(), Error> {
    match written {
        Ok(()) => {
            stats.rx_packets.add(packets);
            stats.rx_bytes.add(bytes);
            Ok(())
        }
        Err(Refusal::Packet(_)) => {
            stats.drops_tun.add(packets);
            Ok(())
        }
        Err(Refusal::Gone(error)) => Err(error),
    }
}
