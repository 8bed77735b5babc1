//! A network as routes know it: an address whose bits behind the prefix are all zero.

#![forbid(unsafe_code)]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::error::Error;

/// `10.0.0.0/8`, `fd00::/8`, `0.0.0.0/0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    network: IpAddr,
    prefix_bits: u8,
}

impl Cidr {
    /// The network of that prefix that the address lies in.
    pub fn around(address: IpAddr, prefix_bits: u8) -> Cidr {
        let prefix_bits = prefix_bits.min(width(address));
        let network = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(prefix_bits))
                    .unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(prefix_bits))
                    .unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        Cidr {
            network,
            prefix_bits,
        }
    }

    /// The address alone.
    pub fn host(address: IpAddr) -> Cidr {
        Cidr::around(address, width(address))
    }

    /// Its first address.
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// Length of the prefix in bits.
    pub fn prefix_bits(&self) -> u8 {
        self.prefix_bits
    }

    /// Whether all of `other` lies within.
    pub fn covers(&self, other: &Cidr) -> bool {
        self.network.is_ipv4() == other.network.is_ipv4()
            && self.prefix_bits <= other.prefix_bits
            && Cidr::around(other.network, self.prefix_bits) == *self
    }

    /// What is to be routed for it. The default route in two halves: they are more specific than
    /// the default route that is there, so that one stays as it is and counts again once they are
    /// gone.
    pub fn halves_of_default(self) -> Vec<Cidr> {
        if self.prefix_bits > 0 {
            return vec![self];
        }
        let upper = match self.network {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(128, 0, 0, 0)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0x8000, 0, 0, 0, 0, 0, 0, 0)),
        };
        [self.network, upper]
            .map(|network| Cidr {
                network,
                prefix_bits: 1,
            })
            .to_vec()
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |why: &str| {
            Error::Option(format!(
                "{text:?} is no network to route: {why}; accepted are 10.0.0.0/8, fd00::/8 and the like"
            ))
        };
        let (address, prefix) = text
            .split_once('/')
            .ok_or_else(|| refuse("the prefix length is missing"))?;
        let address: IpAddr = address
            .parse()
            .map_err(|_| refuse("what stands before the / is no address"))?;
        let prefix_bits = Some(prefix)
            .filter(|prefix| prefix.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|prefix| prefix.parse().ok())
            .filter(|prefix_bits| *prefix_bits <= width(address))
            .ok_or_else(|| refuse("the prefix length is no number of that family"))?;
        let network = Cidr::around(address, prefix_bits);
        if network.network != address {
            let why = format!("it has bits behind its prefix; the network is {network}");
            return Err(refuse(&why));
        }
        Ok(network)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::Cidr;

    fn cidr(text: &str) -> Cidr {
        text.parse().expect(text)
    }

    #[test]
    fn networks_round_trip() {
        for text in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "192.0.2.1/32",
            "::/0",
            "fd00::/8",
            "2001:db8::1/128",
        ] {
            assert_eq!(cidr(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_network_is_refused_and_quoted() {
        for (text, why) in [
            ("10.0.0.0", "missing"),
            ("ten/8", "no address"),
            ("10.0.0.0/33", "prefix length"),
            ("10.0.0.0/+8", "prefix length"),
            ("fd00::/129", "prefix length"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("128.0.0.0/0", "0.0.0.0/0"),
            ("fd00::1/64", "fd00::/64"),
        ] {
            let error = text.parse::<Cidr>().expect_err(text);
            assert_eq!(error.code(), "ZP_OPTION");
            let said = error.to_string();
            assert!(
                said.contains(&format!("{text:?}")) && said.contains(why),
                "{said}"
            );
        }
    }

    #[test]
    fn the_halves_of_a_default_route_cover_what_it_covers() {
        for (whole, halves, inside) in [
            (
                "0.0.0.0/0",
                ["0.0.0.0/1", "128.0.0.0/1"],
                ["9.9.9.9/32", "192.0.2.1/32"],
            ),
            (
                "::/0",
                ["::/1", "8000::/1"],
                ["2001:db8::1/128", "fd00::1/128"],
            ),
        ] {
            assert_eq!(cidr(whole).halves_of_default(), halves.map(cidr));
            for inside in inside {
                let covering = halves
                    .iter()
                    .filter(|half| cidr(half).covers(&cidr(inside)));
                assert_eq!(covering.count(), 1, "{inside}");
            }
        }
        assert_eq!(cidr("10.0.0.0/8").halves_of_default(), [cidr("10.0.0.0/8")]);
    }

    #[test]
    fn covering_is_of_one_family_and_by_prefix() {
        assert!(cidr("10.0.0.0/8").covers(&cidr("10.0.0.0/8")));
        assert!(cidr("0.0.0.0/0").covers(&cidr("10.0.0.0/8")));
        assert!(!cidr("10.0.0.0/8").covers(&cidr("0.0.0.0/0")));
        assert!(!cidr("10.0.0.0/8").covers(&cidr("11.0.0.1/32")));
        assert!(!cidr("0.0.0.0/0").covers(&cidr("::1/128")));
    }
}
