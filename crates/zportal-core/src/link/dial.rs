//! From nothing to a stream that ends at the peer, through any number of proxies, in one
//! deadline.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use rustix::rand::{GetRandomFlags, getrandom};

use super::approach::Approach;
use super::endpoint::Endpoint;
use super::race::{connect_any, most_telling};
use super::resolve::resolve;
use super::socket::Socket;
use super::stream::{Hop, Stream, Transport};
use super::way::{Way, dial_error};
use crate::address::{Address, Host};
use crate::error::Error;
use crate::proxy::{Credentials, Handshake, Step};

/// Proxies answer in a few dozen bytes; what is above that is the peer's first frames.
const READ_BYTES: usize = 4096;

/// Connects to the way's target through its proxies; its timeout covers everything.
///
/// Runs on the tunnel's runtime. May be dropped at any time and leaves nothing behind, except
/// that a name lookup under way ends when the system's resolver gives up.
///
/// # Errors
/// [`Error::Option`] and [`Error::SoMark`] before anything is tried; [`Error::Resolve`],
/// [`Error::DialRefused`], [`Error::Dial`], [`Error::DialTimeout`] and the four `Proxy*` errors
/// name the hop.
pub async fn dial(way: &Way) -> Result<Stream, Error> {
    dial_by(way, None).await
}

/// The same for a tunnel with routes: hop 0 is connected to outside of them.
///
/// # Errors
/// Those of [`dial`], and [`Error::Route`] when the kernel lets nothing be kept outside.
pub async fn dial_outside(way: &Way, approach: &Approach<'_>) -> Result<Stream, Error> {
    dial_by(way, Some(approach)).await
}

async fn dial_by(way: &Way, approach: Option<&Approach<'_>>) -> Result<Stream, Error> {
    way.check()?;
    let dialing = Dialing {
        way,
        approach,
        started: Instant::now(),
        progress: RefCell::default(),
        hops: RefCell::default(),
    };
    match tokio::time::timeout(way.timeout, dialing.run()).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => {
            let Progress { hop, stage } = dialing.progress.into_inner();
            let timeout_ms = u64::try_from(way.timeout.as_millis()).unwrap_or(u64::MAX);
            Err(Error::DialTimeout {
                timeout_ms,
                hop,
                stage,
            })
        }
    }
}

/// One dial under way.
struct Dialing<'a> {
    way: &'a Way,
    /// How hop 0 is come to where the tunnel's own routes may be in the way.
    approach: Option<&'a Approach<'a>>,
    started: Instant,
    /// What is being waited for, for the message when the deadline passes.
    progress: RefCell<Progress>,
    /// The hops that were reached.
    hops: RefCell<Vec<Hop>>,
}

#[derive(Default)]
struct Progress {
    hop: usize,
    stage: String,
}

impl Dialing<'_> {
    async fn run(&self) -> Result<Stream, Error> {
        let (socket, transport, answered_by) = self.connect_first().await?;
        self.reached();
        let early = self.pass_proxies(&socket).await?;
        let socket = socket
            .into_blocking()
            .map_err(|cause| self.first_failed(cause))?;
        Ok(Stream {
            socket,
            early,
            peer: self.way.describe_peer(answered_by),
            transport,
            hops: self.hops.take(),
        })
    }

    fn note(&self, hop: usize, stage: String) {
        *self.progress.borrow_mut() = Progress { hop, stage };
    }

    /// Notes that the next hop was reached, and how long it took from the one before.
    fn reached(&self) {
        let mut hops = self.hops.borrow_mut();
        let before: Duration = hops.iter().map(|hop| hop.took).sum();
        let hop = hops.len();
        hops.push(Hop {
            address: self.way.address(hop).to_string(),
            proxy: self.way.proxies.get(hop).map(|proxy| proxy.kind),
            took: self.started.elapsed().saturating_sub(before),
        });
    }

    fn first_failed(&self, cause: io::Error) -> Error {
        dial_error(self.way.label(0), cause)
    }

    /// Hop 0, and who answered there if its address alone does not say.
    async fn connect_first(&self) -> Result<(Socket, Transport, Option<String>), Error> {
        let (label, mark) = (self.way.label(0), self.way.mark);
        let first = self.way.address(0);
        let Address::Tcp { host, port } = first else {
            self.note(0, format!("waiting for a place in the backlog of {label}"));
            let endpoint = Endpoint::unix(first)
                .and_then(|unix| unix.ok_or(io::ErrorKind::InvalidInput.into()))
                .map_err(|cause| self.first_failed(cause))?;
            let socket = Socket::connect(&endpoint, mark)
                .await
                .map_err(|cause| self.first_failed(cause))?;
            return Ok((socket, endpoint.transport(), None));
        };
        self.note(0, format!("resolving the name of {label}"));
        let resolved = match self.approach {
            Some(approach) => approach.resolve(host, *port).await,
            None => resolve(host, *port).await,
        };
        let addresses = match (resolved, host) {
            (Ok(addresses), _) => addresses,
            (Err(cause), Host::Name(name)) => {
                return Err(Error::Resolve {
                    host: name.clone(),
                    hop: 0,
                    cause,
                });
            }
            (Err(cause), _) => return Err(self.first_failed(cause)),
        };
        let addresses = match self.approach {
            Some(approach) => approach.keep_outside(addresses, &label).await?,
            None => addresses,
        };
        let tried: Vec<String> = addresses.iter().map(|one| one.ip().to_string()).collect();
        let tried = match host {
            Host::Name(_) => format!(" at {}", tried.join(", ")),
            _ => String::new(),
        };
        self.note(
            0,
            format!("waiting for {label}{tried} to accept the connection"),
        );
        let budget = self.way.timeout.saturating_sub(self.started.elapsed());
        match connect_any(&addresses, mark, budget).await {
            Ok((socket, address)) => {
                let answered_by = match host {
                    Host::Name(_) => Some(format!("{first} ({})", address.ip())),
                    _ => None,
                };
                Ok((socket, Transport::Tcp, answered_by))
            }
            Err(failures) => {
                let cause = most_telling(failures).unwrap_or(io::ErrorKind::NotFound.into());
                Err(dial_error(format!("{label}{tried}"), cause))
            }
        }
    }

    /// Each proxy in turn joins us to the hop behind it. Bytes that follow one proxy's answer
    /// come from the next hop; those that follow the last one's belong to the tunnel.
    async fn pass_proxies(&self, socket: &Socket) -> Result<Vec<u8>, Error> {
        let mut input = Vec::new();
        let mut buffer = [0; READ_BYTES];
        for hop in 0..self.way.proxies.len() {
            let mut handshake = self.way.handshake(hop, &fresh_credentials()?)?;
            loop {
                match handshake.advance(&input) {
                    Step::Send { bytes, consumed } => {
                        input.drain(..consumed);
                        self.note_handshake(hop, &handshake);
                        let sent = socket.write_all(&bytes).await;
                        sent.map_err(|cause| self.lost(hop, &handshake, Some(&cause)))?;
                    }
                    Step::NeedMore => {
                        input.clear();
                        self.note_handshake(hop, &handshake);
                        match socket.read(&mut buffer).await {
                            Ok(0) => return Err(self.lost(hop, &handshake, None)),
                            Ok(count) => input.extend_from_slice(&buffer[..count]),
                            Err(cause) => return Err(self.lost(hop, &handshake, Some(&cause))),
                        }
                    }
                    Step::Done { consumed } => {
                        input.drain(..consumed);
                        break;
                    }
                    Step::Failed(failure) => return Err(self.way.refused(hop, failure)),
                }
            }
            self.reached();
        }
        Ok(input)
    }

    fn note_handshake(&self, hop: usize, handshake: &Handshake) {
        let (proxy, next) = (self.way.label(hop), self.way.label(hop + 1));
        let awaiting = handshake.awaiting();
        self.note(
            hop,
            format!("proxy {proxy}, asked for {next}, still owes {awaiting}"),
        );
    }

    /// The stream ended, or broke, before the proxy's answer was whole.
    fn lost(&self, hop: usize, handshake: &Handshake, cause: Option<&io::Error>) -> Error {
        match handshake.ended() {
            Some(failure) => self.way.refused(hop, failure),
            None => self.way.lost(hop, handshake.awaiting(), cause),
        }
    }
}

fn fresh_credentials() -> Result<Credentials, Error> {
    let mut random = [0; 16];
    getrandom(&mut random, GetRandomFlags::empty())
        .map_err(|errno| Error::Internal(format!("getrandom: {errno}")))?;
    Ok(Credentials::isolation(random))
}
