//! The way to the peer, hop after hop: each is dialed by itself through those before it, so that
//! each has a time and an answer of its own.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;

use crate::error::Error;
use crate::link::{self, Stream, Way};
use crate::wire::decoder::Decoder;
use crate::wire::header::{FLAG_CONTROL, HEADER_BYTES, MAX_PAYLOAD_BYTES};
use crate::wire::hello::{HELLO_BYTES, Hello, digest};

/// A ZPortal says HELLO as its first frame at once, so this is for the round trip through the
/// proxies. An original may have nothing to say, however long it is waited for.
const FIRST_WORD: Duration = Duration::from_millis(1500);
/// A server whose seat is taken says so right behind its HELLO, or hangs up.
const SECOND_THOUGHT: Duration = Duration::from_millis(150);
/// More than HELLO and CLOSE have together.
const HEARD_BYTES: usize = 1024;

/// What to ask.
#[derive(Debug, Clone)]
pub struct Questions {
    /// The way; its timeout is for the dial to each hop.
    pub way: Way,
    /// The MTU that this end will have.
    pub mtu_bytes: u16,
    /// The addresses that this end will have inside the tunnel.
    pub addresses: Vec<IpAddr>,
}

/// What came of one hop.
#[derive(Debug)]
pub struct HopReport {
    /// The hop as it was given.
    pub address: String,
    /// Until it was connected to, or until that failed.
    pub took: Duration,
    /// What it said. A proxy that led on to the next hop has said all there is to ask.
    pub outcome: Result<Answer, Error>,
}

/// What a hop has to say once it is connected to.
#[derive(Debug)]
pub enum Answer {
    /// A proxy that accepts connections; the next hop shows whether it leads anywhere.
    Reached,
    /// A ZPortal.
    Hello {
        /// The highest version that it speaks.
        version: u8,
        /// Its MTU in bytes, if it is not ours.
        other_mtu_bytes: Option<u16>,
        /// Whether it has an inner address that this end was given too.
        shares_address: bool,
        /// It has a peer already, and takes no other now.
        busy: bool,
    },
    /// The first frame is an original's.
    Original,
    /// It is connected and says nothing: an original, or something that waits for a first word.
    Silent,
    /// It ended the connection at once.
    HungUp,
    /// What it says is not of ZPortal's protocol.
    Stranger(Error),
}

/// Goes as far as it gets; the last report is the first that failed, or the peer's. Nobody is told
/// anything: a server takes the connection for a stranger's and waits on.
///
/// # Errors
/// [`Error::Option`] for a way that cannot work, [`Error::Internal`] where no runtime starts.
pub fn way(questions: &Questions) -> Result<Vec<HopReport>, Error> {
    questions.way.check()?;
    // No tokio-uring here: where io_uring is forbidden the way can be asked for all the same.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::Internal(format!("no runtime: {cause}")))?;
    let proxies = &questions.way.proxies;
    let mut reports = Vec::new();
    for place in 0..=proxies.len() {
        let is_peer = place == proxies.len();
        let hop = match is_peer {
            true => &questions.way.target,
            false => &proxies[place].address,
        };
        let until_there = Way {
            target: hop.clone(),
            proxies: proxies[..place].to_vec(),
            ..questions.way
        };
        let started = Instant::now();
        let dialed = runtime.block_on(link::dial(&until_there));
        let took = started.elapsed();
        let outcome = dialed.map(|stream| match is_peer {
            true => listen_to(stream, questions),
            false => Answer::Reached,
        });
        let failed = outcome.is_err();
        reports.push(HopReport {
            address: hop.to_string(),
            took,
            outcome,
        });
        if failed {
            break;
        }
    }
    Ok(reports)
}

fn listen_to(stream: Stream, questions: &Questions) -> Answer {
    let Stream { socket, early, .. } = stream;
    let mut heard = Heard {
        socket,
        bytes: early,
        over: false,
    };
    // As much as any end may send before it knows us: a plain frame, of HELLO's size at least.
    let first = Decoder::new(MAX_PAYLOAD_BYTES as u32, 0);
    let deadline = Instant::now() + FIRST_WORD;
    let (hello, rest) = loop {
        match first.decode(&heard.bytes) {
            Err(error) => return Answer::Stranger(error),
            Ok(Some(frame)) => match Hello::parse(frame.payload) {
                Ok(Some(hello)) => break (hello, frame.total_bytes()),
                Ok(None) => return Answer::Original,
                Err(malformed) => {
                    let detail = malformed.to_string();
                    return Answer::Stranger(Error::Message { detail });
                }
            },
            // An original's first packet may be as large as its MTU: its header is enough.
            Ok(None) if heard.bytes.len() > HEADER_BYTES + HELLO_BYTES => return Answer::Original,
            Ok(None) if heard.over && heard.bytes.is_empty() => return Answer::HungUp,
            Ok(None) if heard.over => return Answer::Stranger(first.cut(&heard.bytes)),
            Ok(None) => {
                if !heard.more(deadline) {
                    return Answer::Silent;
                }
            }
        }
    };
    let rest = rest.min(heard.bytes.len());
    heard.bytes.drain(..rest);
    if heard.bytes.is_empty() {
        heard.more(Instant::now() + SECOND_THOUGHT);
    }
    // The only message to somebody who has said nothing yet is CLOSE.
    let follows = Decoder::new(MAX_PAYLOAD_BYTES as u32, FLAG_CONTROL);
    let is_message = |frame: crate::wire::decoder::Frame<'_>| frame.flags & FLAG_CONTROL != 0;
    let dismissed = matches!(follows.decode(&heard.bytes), Ok(Some(frame)) if is_message(frame));
    Answer::Hello {
        version: hello.version,
        other_mtu_bytes: Some(hello.mtu_bytes).filter(|theirs| *theirs != questions.mtu_bytes),
        shares_address: shares_address(&hello, &questions.addresses),
        busy: heard.over || dismissed,
    }
}

fn shares_address(hello: &Hello, ours: &[IpAddr]) -> bool {
    ours.iter().any(|address| match address {
        IpAddr::V4(address) => hello.inner_ipv4 == Some(*address),
        IpAddr::V6(address) => {
            hello.inner_ipv6_digest.is_some() && hello.inner_ipv6_digest == digest(*address)
        }
    })
}

/// What has come on a blocking socket so far.
struct Heard {
    socket: OwnedFd,
    bytes: Vec<u8>,
    over: bool,
}

impl Heard {
    /// Waits for more, the end included; false when nothing has come until the deadline.
    fn more(&mut self, deadline: Instant) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).unwrap_or_default();
            let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut watched, Some(&left)) {
                Ok(0) => return false,
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        let mut buffer = [0; HEARD_BYTES];
        match rustix::net::recv(&self.socket, &mut buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => self.over = true,
            Ok((count, _)) => self.bytes.extend_from_slice(&buffer[..count]),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => self.over = true,
        }
        true
    }
}
