//! What this end says of itself, for the life of the tunnel: the same in every session, so that a
//! listening peer knows who comes back.

use std::net::IpAddr;

use rustix::rand::GetRandomFlags;

use super::request::Options;
use crate::error::Error;
use crate::tun::Tun;
use crate::wire::features::Features;
use crate::wire::header::MAX_PAYLOAD_BYTES;
use crate::wire::hello::{Hello, VERSION, digest};

/// Bytes that nobody guesses.
pub(super) fn random<const BYTES: usize>() -> Result<[u8; BYTES], Error> {
    let mut bytes = [0; BYTES];
    rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|errno| Error::Internal(format!("getrandom: {errno}")))?;
    Ok(bytes)
}

/// What this end says of itself, for the life of the tunnel.
pub(super) fn hello(options: &Options, tun: &Tun) -> Result<Hello, Error> {
    let session_id = random()?;
    let offloads = if options.offload {
        tun.offloads()
    } else {
        Features::NONE
    };
    let addresses = options.tun.addresses.iter().map(|address| address.address);
    let mut hello = Hello {
        version: VERSION,
        is_relayed: false,
        features: offloads | Features::PING,
        max_payload_bytes: MAX_PAYLOAD_BYTES as u32,
        mtu_bytes: tun.mtu_bytes(),
        session_id,
        inner_ipv4: None,
        inner_ipv6_digest: None,
    };
    for address in addresses {
        match address {
            IpAddr::V4(address) => hello.inner_ipv4 = hello.inner_ipv4.or(Some(address)),
            IpAddr::V6(address) => {
                hello.inner_ipv6_digest = hello.inner_ipv6_digest.or_else(|| digest(address));
            }
        }
    }
    Ok(hello)
}
