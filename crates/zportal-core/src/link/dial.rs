//! From nothing to a stream that ends at the peer, through any number of proxies, in one
//! deadline.
//!
//! Hops are counted from 0: the proxies in order, then the peer. Only hop 0 is resolved and
//! connected to from here; each proxy is asked for the hop behind it, by name where it has one.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use super::endpoint::Endpoint;
use super::race::{connect_any, most_telling};
use super::resolve::resolve;
use super::socket::Socket;
use super::stream::{Stream, Transport};
use crate::address::{Address, Host};
use crate::error::Error;
use crate::proxy::socks5::Socks5;
use crate::proxy::{Failure, Handshake, Step};

/// Proxies answer in a few dozen bytes; what is above that is the peer's first frames.
const READ_BYTES: usize = 4096;

/// Refuses a way to the peer that cannot work whatever the network does: a port 0, or a hop that
/// the proxy before it has no words for. [`dial`] asks this itself; ask it earlier to refuse
/// before anything is created.
///
/// # Errors
/// [`Error::Option`].
pub fn check_way(target: &Address, proxies: &[Address]) -> Result<(), Error> {
    Way::plan(target, proxies).map(drop)
}

/// Connects to `target` through `proxies`, the nearest first; `timeout` covers everything.
///
/// Runs on the tunnel's runtime. May be dropped at any time and leaves nothing behind, except
/// that a name lookup under way ends when the system's resolver gives up.
///
/// # Errors
/// [`Error::Option`] before anything is tried; [`Error::Resolve`], [`Error::DialRefused`],
/// [`Error::Dial`], [`Error::DialTimeout`] and the four `Proxy*` errors name the hop.
pub async fn dial(
    target: &Address,
    proxies: &[Address],
    timeout: Duration,
) -> Result<Stream, Error> {
    let way = Way::plan(target, proxies)?;
    let progress = RefCell::new(Progress {
        hop: 0,
        stage: String::new(),
    });
    let started = Instant::now();
    let budget_left = || timeout.saturating_sub(started.elapsed());
    let work = async {
        let (socket, transport, answered_by) = way.connect_first(&progress, &budget_left).await?;
        let (socket, early) = way.pass_proxies(socket, &progress).await?;
        let socket = socket
            .into_blocking()
            .map_err(|cause| way.dial_error(0, cause))?;
        Ok(Stream {
            socket,
            early,
            peer: way.describe_peer(answered_by),
            transport,
        })
    };
    match tokio::time::timeout(timeout, work).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => {
            let Progress { hop, stage } = progress.into_inner();
            let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            Err(Error::DialTimeout {
                timeout_ms,
                hop,
                stage,
            })
        }
    }
}

/// What the dial is waiting for, for the message when the deadline passes.
struct Progress {
    hop: usize,
    stage: String,
}

/// All hops, the peer last, and what each proxy will be told.
struct Way<'a> {
    hops: Vec<&'a Address>,
}

impl<'a> Way<'a> {
    fn plan(target: &'a Address, proxies: &'a [Address]) -> Result<Self, Error> {
        let hops: Vec<&Address> = proxies.iter().chain([target]).collect();
        for hop in &hops {
            if let Address::Tcp { port: 0, .. } = hop {
                return Err(Error::Option(format!(
                    "cannot connect to {hop}: port 0 is for listening only, 1 to 65535 are accepted"
                )));
            }
        }
        if let Address::Tcp {
            host: Host::V6(address),
            port,
        } = hops[0]
            && address.is_unicast_link_local()
        {
            return Err(Error::Option(format!(
                "cannot connect to {}: a link-local address needs its interface, \
                 as in [{address}%eth0]:{port}",
                hops[0]
            )));
        }
        for next in &hops[1..] {
            Socks5::new(next)?;
        }
        Ok(Self { hops })
    }

    /// The hop as messages show it; its number is left out where there is only one.
    fn label(&self, hop: usize) -> String {
        match self.hops.len() {
            1 => self.hops[hop].to_string(),
            _ => format!("{} (hop {hop})", self.hops[hop]),
        }
    }

    fn describe_peer(&self, answered_by: Option<String>) -> String {
        let (peer, proxies) = self.hops.split_last().expect("the peer is always a hop");
        if proxies.is_empty() {
            return answered_by.unwrap_or_else(|| peer.to_string());
        }
        let through: Vec<String> = proxies.iter().map(ToString::to_string).collect();
        format!("{peer} through {}", through.join(", "))
    }

    /// Hop 0, and who answered there if its address alone does not say.
    async fn connect_first(
        &self,
        progress: &RefCell<Progress>,
        budget_left: &impl Fn() -> Duration,
    ) -> Result<(Socket, Transport, Option<String>), Error> {
        let note = |stage: String| *progress.borrow_mut() = Progress { hop: 0, stage };
        let Address::Tcp { host, port } = self.hops[0] else {
            note(format!(
                "waiting for a place in the backlog of {}",
                self.label(0)
            ));
            let endpoint = Endpoint::unix(self.hops[0])
                .and_then(|unix| unix.ok_or(io::ErrorKind::InvalidInput.into()))
                .map_err(|cause| self.dial_error(0, cause))?;
            let socket = Socket::connect(&endpoint)
                .await
                .map_err(|c| self.dial_error(0, c))?;
            return Ok((socket, endpoint.transport(), None));
        };
        note(format!("resolving the name of {}", self.label(0)));
        let addresses = match (resolve(host, *port).await, host) {
            (Ok(addresses), _) => addresses,
            (Err(cause), Host::Name(name)) => {
                return Err(Error::Resolve {
                    host: name.clone(),
                    hop: 0,
                    cause,
                });
            }
            (Err(cause), _) => return Err(self.dial_error(0, cause)),
        };
        let tried: Vec<String> = addresses.iter().map(|one| one.ip().to_string()).collect();
        let tried = match host {
            Host::Name(_) => format!(" at {}", tried.join(", ")),
            _ => String::new(),
        };
        note(format!(
            "waiting for {}{tried} to accept the connection",
            self.label(0)
        ));
        match connect_any(&addresses, budget_left()).await {
            Ok((socket, address)) => {
                let answered_by = match host {
                    Host::Name(_) => Some(format!("{} ({})", self.hops[0], address.ip())),
                    _ => None,
                };
                Ok((socket, Transport::Tcp, answered_by))
            }
            Err(failures) => {
                let cause = most_telling(failures).unwrap_or(io::ErrorKind::NotFound.into());
                Err(self.dial_error_at(format!("{}{tried}", self.label(0)), 0, cause))
            }
        }
    }

    /// Each proxy in turn joins us to the hop behind it. Bytes that follow one proxy's answer
    /// come from the next hop; those that follow the last one's belong to the tunnel.
    async fn pass_proxies(
        &self,
        socket: Socket,
        progress: &RefCell<Progress>,
    ) -> Result<(Socket, Vec<u8>), Error> {
        let mut input = Vec::new();
        let mut buffer = [0; READ_BYTES];
        for hop in 0..self.hops.len() - 1 {
            let mut handshake = Handshake::Socks5(Socks5::new(self.hops[hop + 1])?);
            loop {
                match handshake.advance(&input) {
                    Step::Send { bytes, consumed } => {
                        input.drain(..consumed);
                        self.note_handshake(progress, hop, &handshake);
                        let sent = socket.write_all(&bytes).await;
                        sent.map_err(|cause| self.lost(hop, &handshake, Some(cause)))?;
                    }
                    Step::NeedMore => {
                        input.clear();
                        self.note_handshake(progress, hop, &handshake);
                        match socket.read(&mut buffer).await {
                            Ok(0) => return Err(self.lost(hop, &handshake, None)),
                            Ok(count) => input.extend_from_slice(&buffer[..count]),
                            Err(cause) => return Err(self.lost(hop, &handshake, Some(cause))),
                        }
                    }
                    Step::Done { consumed } => {
                        input.drain(..consumed);
                        break;
                    }
                    Step::Failed(failure) => return Err(self.refused(hop, failure)),
                }
            }
        }
        Ok((socket, input))
    }

    fn note_handshake(&self, progress: &RefCell<Progress>, hop: usize, handshake: &Handshake) {
        let (proxy, next) = (self.label(hop), self.label(hop + 1));
        let awaiting = handshake.awaiting();
        let stage = format!("proxy {proxy}, asked for {next}, still owes {awaiting}");
        *progress.borrow_mut() = Progress { hop, stage };
    }

    fn lost(&self, hop: usize, handshake: &Handshake, cause: Option<io::Error>) -> Error {
        let awaiting = handshake.awaiting();
        let how = match cause {
            None => "it ended the stream".to_owned(),
            Some(cause) => cause.to_string(),
        };
        Error::ProxyClosed {
            address: self.label(hop),
            hop,
            detail: format!(
                "it owed {awaiting}, asked for {}: {how}",
                self.label(hop + 1)
            ),
        }
    }

    fn refused(&self, hop: usize, failure: Failure) -> Error {
        let address = self.label(hop);
        match failure {
            Failure::Auth(detail) => Error::ProxyAuth {
                address,
                hop,
                detail,
            },
            Failure::Refused(detail) => Error::ProxyRefused {
                address,
                hop,
                target: self.label(hop + 1),
                detail,
            },
            Failure::Protocol(detail) => Error::ProxyProtocol {
                address,
                hop,
                detail,
            },
        }
    }

    fn dial_error(&self, hop: usize, cause: io::Error) -> Error {
        self.dial_error_at(self.label(hop), hop, cause)
    }

    fn dial_error_at(&self, address: String, hop: usize, cause: io::Error) -> Error {
        match cause.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Error::DialRefused {
                address,
                hop,
                cause,
            },
            _ => Error::Dial {
                address,
                hop,
                cause,
            },
        }
    }
}
