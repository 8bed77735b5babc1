//! The way to hop 0 of a tunnel that has routes, or may get some: outside of them, or not at all.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::name_servers::name_servers;
use super::resolve::resolve;
use crate::address::Host;
use crate::error::Error;
use crate::route::{Cidr, Routing};

/// How long a name is asked for again that was known before. While the tunnel is down, a way to the
/// name servers may lead through it, and no answer can come.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Knows what keeps hop 0 outside, and where it was found last.
pub struct Approach<'a> {
    routing: &'a Routing,
    /// Of which host and port, and the addresses.
    known: RefCell<Option<(Host, u16, Vec<SocketAddr>)>>,
}

impl<'a> Approach<'a> {
    /// Nothing is known yet.
    pub fn new(routing: &'a Routing) -> Approach<'a> {
        Approach {
            routing,
            known: RefCell::default(),
        }
    }

    /// The addresses of hop 0: those it has now, or had last when nobody answers and routes into
    /// the tunnel may be why. As long as a name is asked for, and no longer, the name servers are
    /// outside of these: nobody could be asked through a tunnel that is down.
    pub(super) async fn resolve(&self, host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
        let known = match &*self.known.borrow() {
            Some((of_host, of_port, known))
                if of_host == host && *of_port == port && self.routing.is_used() =>
            {
                known.clone()
            }
            // A way that was changed begins anew.
            _ => Vec::new(),
        };
        let _meanwhile = match host {
            Host::Name(_) if self.routing.is_used() => {
                let servers = name_servers().into_iter().map(Cidr::host);
                Some(self.routing.outside_meanwhile(servers.collect()).await)
            }
            _ => None,
        };
        let answer = if known.is_empty() {
            resolve(host, port).await
        } else {
            tokio::time::timeout(ASK_AGAIN, resolve(host, port))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        };
        match answer {
            Ok(addresses) => {
                *self.known.borrow_mut() = Some((host.clone(), port, addresses.clone()));
                Ok(addresses)
            }
            Err(_) if !known.is_empty() => Ok(known),
            Err(cause) => Err(cause),
        }
    }

    /// Those that can be connected to outside the tunnel, in their order; `label` is the hop for
    /// messages.
    pub(super) async fn keep_outside(
        &self,
        addresses: Vec<SocketAddr>,
        label: &str,
    ) -> Result<Vec<SocketAddr>, Error> {
        let target = |address: &SocketAddr| Cidr::host(address.ip());
        let targets = addresses.iter().filter(|one| !is_bound(one)).map(target);
        let outside = self.routing.keep_outside(targets.collect()).await?;
        let reachable: Vec<_> = addresses
            .into_iter()
            .filter(|address| is_bound(address) || outside.contains(&target(address)))
            .collect();
        if reachable.is_empty() {
            return Err(Error::Dial {
                address: format!("{label} (no route leads there but the tunnel's own)"),
                hop: 0,
                cause: io::Error::from_raw_os_error(libc::ENETUNREACH),
            });
        }
        Ok(reachable)
    }
}

/// A link-local address is bound to its interface, whatever routes there are.
fn is_bound(address: &SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(address) if address.ip().is_unicast_link_local())
}
