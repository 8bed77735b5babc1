//! The way to a peer: the peer, the proxies before it, and what is known to be impossible about
//! them before anything is tried.
//!
//! Hops are counted from 0: the proxies in order, then the peer. Only hop 0 is resolved and
//! connected to from here; each proxy is asked for the hop behind it, by name where it has one.

use std::io;
use std::time::Duration;

use super::options::check_mark;
use crate::address::{Address, Host};
use crate::error::Error;
use crate::proxy::{Credentials, Failure, Handshake, Kind, Proxy};

/// Where to, and how.
#[derive(Debug, Clone)]
pub struct Way {
    /// Where the peer listens, as the last proxy knows it.
    pub target: Address,
    /// The proxies to pass, the nearest first.
    pub proxies: Vec<Proxy>,
    /// For everything: resolution, connection and every proxy.
    pub timeout: Duration,
    /// SO_MARK for the packets of a TCP stream.
    pub mark: Option<u32>,
}

impl Way {
    /// Refuses a way that cannot work whatever the network does: a port 0, a hop that the proxy
    /// before it has no words for, a mark that the kernel does not let us set.
    /// [`dial`](super::dial) asks this itself; ask it earlier to refuse before anything is
    /// created.
    ///
    /// # Errors
    /// [`Error::Option`], [`Error::SoMark`].
    pub fn check(&self) -> Result<(), Error> {
        for hop in 0..=self.proxies.len() {
            let address = self.address(hop);
            if let Address::Tcp { port: 0, .. } = address {
                return Err(Error::Option(format!(
                    "cannot connect to {address}: port 0 is for listening only, \
                     1 to 65535 are accepted"
                )));
            }
        }
        let first = self.address(0);
        if let Address::Tcp {
            host: Host::V6(address),
            port,
        } = first
            && address.is_unicast_link_local()
        {
            return Err(Error::Option(format!(
                "cannot connect to {first}: a link-local address needs its interface, \
                 as in [{address}%eth0]:{port}"
            )));
        }
        if first.is_onion() {
            return Err(Error::Option(format!(
                "cannot connect to {first}: onion services are reached through Tor only"
            )));
        }
        // Whatever is fresh in each dial has the same form each time.
        let any = Credentials::isolation([0; 16]);
        for hop in 0..self.proxies.len() {
            self.handshake(hop, &any)?;
        }
        check_mark(self.mark)
    }

    /// What is said to the proxy at `hop`; a Tor without credentials gets the `fresh` ones.
    pub(super) fn handshake(&self, hop: usize, fresh: &Credentials) -> Result<Handshake, Error> {
        let Proxy {
            kind, credentials, ..
        } = &self.proxies[hop];
        let credentials = match (kind, credentials) {
            (Kind::Tor, None) => Some(fresh),
            _ => credentials.as_ref(),
        };
        Handshake::new(*kind, self.address(hop + 1), credentials)
    }

    /// Where the hop is.
    pub(super) fn address(&self, hop: usize) -> &Address {
        self.proxies
            .get(hop)
            .map_or(&self.target, |proxy| &proxy.address)
    }

    /// The hop as messages show it; its number is left out where there is only one.
    pub(super) fn label(&self, hop: usize) -> String {
        match self.proxies.get(hop) {
            Some(proxy) => format!("{proxy} (hop {hop})"),
            None if hop == 0 => self.target.to_string(),
            None => format!("{} (hop {hop})", self.target),
        }
    }

    /// The peer, and the way to it.
    pub(super) fn describe_peer(&self, answered_by: Option<String>) -> String {
        let peer = &self.target;
        if self.proxies.is_empty() {
            return answered_by.unwrap_or_else(|| peer.to_string());
        }
        let through: Vec<String> = self.proxies.iter().map(ToString::to_string).collect();
        format!("{peer} through {}", through.join(", "))
    }

    pub(super) fn lost(&self, hop: usize, awaiting: &str, cause: Option<&io::Error>) -> Error {
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

    pub(super) fn refused(&self, hop: usize, failure: Failure) -> Error {
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
}

/// The error for a first hop that could not be connected to.
pub(super) fn dial_error(address: String, cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Error::DialRefused {
            address,
            hop: 0,
            cause,
        },
        _ => Error::Dial {
            address,
            hop: 0,
            cause,
        },
    }
}
