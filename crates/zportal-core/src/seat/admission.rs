//! Who may come to the door at all: judged by what the kernel says of the other end, before a byte
//! of it is read.
//!
//! A Unix socket with a file has its mode, which the kernel itself minds. An abstract one has none,
//! so whoever is in the same network namespace could connect: there the other end has to run as the
//! same user, or as root.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::str::FromStr;

use rustix::net::getpeername;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;

use crate::address::Address;
use crate::error::Error;

/// Addresses that begin alike, as in `192.0.2.0/24`. Bits behind the prefix mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// Whether an address is one of them. An IPv4 address is never in an IPv6 network, nor the
    /// reverse.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                u32::from(self.prefix_bits) <= differing.leading_zeros()
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                u32::from(self.prefix_bits) <= differing.leading_zeros()
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || {
            Error::Option(format!(
                "{text:?} is no network, such as 192.0.2.0/24 or 2001:db8::/32"
            ))
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            Some(bits) => bits.parse().map_err(|_| refuse())?,
            None => longest,
        };
        if prefix_bits > longest {
            return Err(refuse());
        }
        Ok(Network {
            address,
            prefix_bits,
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix_bits)
    }
}

/// Who may come.
#[derive(Debug, Clone)]
pub enum Admission {
    /// Whoever can connect.
    Everybody,
    /// Whoever comes from one of these networks.
    From(Vec<Network>),
    /// The same user, and root.
    SameUser,
}

impl Admission {
    /// What is right where a server listens there; no networks mean all of them.
    pub fn at(bind: &Address, networks: &[Network]) -> Admission {
        match bind {
            Address::UnixAbstract(_) => Admission::SameUser,
            Address::Tcp { .. } if !networks.is_empty() => Admission::From(networks.to_vec()),
            Address::Tcp { .. } | Address::UnixPath(_) => Admission::Everybody,
        }
    }

    /// Judges the other end of a connection.
    ///
    /// # Errors
    /// A few words that say why it may not come.
    pub fn judge(&self, socket: impl AsFd) -> Result<(), String> {
        match self {
            Admission::Everybody => Ok(()),
            Admission::From(networks) => {
                // Who is gone already has no address, and no claim.
                let from = getpeername(socket)
                    .ok()
                    .and_then(|from| SocketAddr::try_from(from?).ok());
                let is_allowed = from
                    .is_some_and(|from| networks.iter().any(|network| network.contains(from.ip())));
                is_allowed
                    .then_some(())
                    .ok_or_else(|| "its address is not among those that are allowed".into())
            }
            Admission::SameUser => match socket_peercred(socket) {
                Ok(credentials) if credentials.uid.is_root() || credentials.uid == geteuid() => {
                    Ok(())
                }
                Ok(credentials) => Err(format!(
                    "it runs as user {}, and an abstract socket is for the same user and root",
                    credentials.uid.as_raw()
                )),
                Err(errno) => Err(format!("the kernel does not say who it is: {errno}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, Network};

    #[test]
    fn a_network_contains_what_begins_alike() {
        let contains = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.contains(address.parse().unwrap())
        };
        for (network, address, is_in) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.77/24", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "203.0.113.9", false),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("2001:db8::1/128", "2001:db8::1", true),
        ] {
            assert_eq!(contains(network, address), is_in, "{address} in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_and_quoted() {
        for text in [
            "",
            "x",
            "192.0.2.0/33",
            "192.0.2.0/-1",
            "192.0.2/24",
            "::/129",
            "1.2.3.4/",
        ] {
            let error = text.parse::<Network>().expect_err(text);
            assert_eq!(error.code(), "ZP_OPTION");
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn the_same_user_may_come() {
        let (here, _there) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(Admission::SameUser.judge(&here), Ok(()));
        // A Unix socket comes from no network.
        let from = Admission::From(vec!["0.0.0.0/0".parse().unwrap()]);
        assert!(from.judge(&here).is_err());
    }
}
