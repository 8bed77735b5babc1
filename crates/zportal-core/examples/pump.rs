//! What `npm run bench` shows beside the tunnels as the ceiling of them all: a tunnel that does what
//! none can do without, and nothing else. A read of the TUN, a checksum, a send; a receive, a
//! checksum, a write. It has no queue, so ping under load is as bad as can be, knows no peer but this
//! program, and ends with the stream.
//!
//! ```text
//! pump listen 192.0.2.1:7000 zt0 10.10.0.1/24 1400
//! pump connect 192.0.2.1:7000 zt0 10.10.0.2/24 1400
//! ```

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use zportal_core::crc::crc32c;
use zportal_core::tun::{InterfaceAddress, Refusal, Tun, TunOptions};

/// A frame begins with the bytes of its payload and their CRC32C, each four bytes.
const HEADER_BYTES: usize = 8;
/// A packet of 64 KiB with its virtio_net_hdr.
const PAYLOAD_MAX_BYTES: usize = 65_536 + 10;
/// No packet is added to so many bytes.
const BATCH_BYTES: usize = 64 * 1024;
const RECEIVE_BYTES: usize = 256 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, at, device, inner, mtu] = &arguments[..] else {
        return Err("pump listen|connect ADDR:PORT DEVICE ADDRESS/BITS MTU".into());
    };
    let (address, bits) = inner.split_once('/').ok_or("an address has /BITS")?;
    let stream = match role.as_str() {
        "listen" => TcpListener::bind(at)?.accept()?.0,
        _ => TcpStream::connect(at)?,
    };
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let options = TunOptions {
        name: device.clone(),
        mtu_bytes: mtu.parse()?,
        addresses: vec![InterfaceAddress {
            address: address.parse()?,
            prefix_bits: bits.parse()?,
        }],
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tun = runtime.block_on(Tun::open(&options))?;
    tun.set_offloads(tun.offloads())?;
    pump(&tun, stream)
}

/// Carries until the stream ends.
fn pump(tun: &Tun, mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let mut outward = Outward::new();
    let mut inward = Inward::new();
    loop {
        let (mut tun_wish, mut stream_wish) = (PollFlags::IN, PollFlags::IN);
        if outward.has_unsent() {
            tun_wish = PollFlags::empty();
            stream_wish |= PollFlags::OUT;
        }
        let mut watched = [
            PollFd::from_borrowed_fd(tun.as_fd(), tun_wish),
            PollFd::from_borrowed_fd(stream.as_fd(), stream_wish),
        ];
        poll(&mut watched, None)?;
        let [of_tun, of_stream] = watched.map(|each| each.revents());
        if of_stream.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)
            && !inward.carry(&mut stream, tun)?
        {
            return Ok(());
        }
        if of_tun.contains(PollFlags::IN) {
            outward.fill(tun)?;
        }
        outward.send(&mut stream)?;
    }
}

/// TUN → stream.
struct Outward {
    buffer: Vec<u8>,
    sent: usize,
    end: usize,
}

impl Outward {
    fn new() -> Outward {
        Outward {
            buffer: vec![0; BATCH_BYTES + HEADER_BYTES + PAYLOAD_MAX_BYTES],
            sent: 0,
            end: 0,
        }
    }

    fn has_unsent(&self) -> bool {
        self.sent < self.end
    }

    fn fill(&mut self, tun: &Tun) -> Result<(), Box<dyn Error>> {
        (self.sent, self.end) = (0, 0);
        while self.end < BATCH_BYTES {
            let (header, space) = self.buffer[self.end..].split_at_mut(HEADER_BYTES);
            let Some(bytes) = tun.read(space)? else {
                break;
            };
            header[..4].copy_from_slice(&u32::try_from(bytes)?.to_be_bytes());
            header[4..].copy_from_slice(&crc32c(&space[..bytes]).to_be_bytes());
            self.end += HEADER_BYTES + bytes;
        }
        Ok(())
    }

    fn send(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        while self.has_unsent() {
            match stream.write(&self.buffer[self.sent..self.end]) {
                Ok(bytes) => self.sent += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Stream → TUN.
struct Inward {
    buffer: Vec<u8>,
    end: usize,
}

impl Inward {
    fn new() -> Inward {
        Inward {
            buffer: vec![0; RECEIVE_BYTES],
            end: 0,
        }
    }

    /// False at the end of the stream.
    fn carry(&mut self, stream: &mut TcpStream, tun: &Tun) -> Result<bool, Box<dyn Error>> {
        match stream.read(&mut self.buffer[self.end..]) {
            Ok(0) => return Ok(false),
            Ok(bytes) => self.end += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        let mut start = 0;
        while let Some((header, rest)) =
            self.buffer[start..self.end].split_first_chunk::<HEADER_BYTES>()
        {
            let [bytes, sum] = [&header[..4], &header[4..]]
                .map(|field| u32::from_be_bytes([field[0], field[1], field[2], field[3]]));
            let Some(payload) = rest.get(..bytes as usize) else {
                break;
            };
            if crc32c(payload) != sum {
                return Err("a frame is not what was sent".into());
            }
            if let Err(Refusal::Gone(error)) = tun.write(payload) {
                return Err(error.into());
            }
            start += HEADER_BYTES + payload.len();
        }
        self.buffer.copy_within(start..self.end, 0);
        self.end -= start;
        Ok(true)
    }
}
