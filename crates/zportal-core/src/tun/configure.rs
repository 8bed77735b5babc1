//! MTU, addresses and link state, by rtnetlink (`linux/rtnetlink.h`); no `ip` program.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;

use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags};
use rtnetlink::{Handle, LinkUnspec};

use crate::error::{Error, GRANT_NET_ADMIN};

/// An address with its prefix length, as in `10.10.0.1/24` or `fd00::1/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The host's own address.
    pub address: IpAddr,
    /// Length of the network part, in bits.
    pub prefix_bits: u8,
}

impl FromStr for InterfaceAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || {
            Error::Option(format!(
                "{text:?} is not an address with a prefix length, such as 10.10.0.1/24 or fd00::1/64"
            ))
        };
        let (address, prefix) = text.split_once('/').ok_or_else(refuse)?;
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let prefix_bits: u8 = prefix.parse().map_err(|_| refuse())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if prefix_bits > longest {
            return Err(refuse());
        }
        Ok(InterfaceAddress {
            address,
            prefix_bits,
        })
    }
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix_bits)
    }
}

/// Whether a device of that name exists in this network namespace.
pub(super) fn exists(name: &str) -> bool {
    index(name).is_ok()
}

/// The kernel's number of the device.
pub(crate) fn index(name: &str) -> io::Result<u32> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    Ok(rustix::net::netdevice::name_to_index(&socket, name)?)
}

/// Sets everything on a device that was just created, then brings it up.
pub(super) async fn configure(
    name: &str,
    mtu_bytes: u16,
    addresses: &[InterfaceAddress],
) -> Result<(), Error> {
    let refused = |what: String| {
        move |cause: io::Error| match cause.raw_os_error() {
            Some(libc::EPERM) => Error::TunPermission {
                what: format!("set {what} on {name}"),
                cure: GRANT_NET_ADMIN,
                cause,
            },
            _ => Error::TunConfigure {
                name: name.to_owned(),
                what,
                cause,
            },
        }
    };
    let (connection, handle, _) =
        rtnetlink::new_connection().map_err(refused("its configuration".into()))?;
    let connection = tokio::spawn(connection);
    let index = index(name).map_err(refused("its index".into()))?;
    let result = async {
        let mtu = LinkUnspec::new_with_index(index)
            .mtu(u32::from(mtu_bytes))
            .build();
        let sent = handle.link().set(mtu).execute().await;
        sent.map_err(into_io)
            .map_err(refused(format!("an MTU of {mtu_bytes} bytes")))?;
        for address in addresses {
            add_address(&handle, index, *address)
                .await
                .map_err(refused(format!("the address {address}")))?;
        }
        let up = LinkUnspec::new_with_index(index).up().build();
        let sent = handle.link().set(up).execute().await;
        sent.map_err(into_io).map_err(refused("the link up".into()))
    }
    .await;
    connection.abort();
    result
}

async fn add_address(handle: &Handle, index: u32, address: InterfaceAddress) -> io::Result<()> {
    let mut request = handle
        .address()
        .add(index, address.address, address.prefix_bits);
    if address.address.is_ipv6() {
        // Nobody answers duplicate address detection at the far end of a tunnel; without this
        // the address could not be used for its first second.
        let message = request.message_mut();
        message.header.flags |= AddressHeaderFlags::Nodad;
        message
            .attributes
            .push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    request.execute().await.map_err(into_io)
}

/// Gives the device an address back that the kernel may have taken away; whoever has it keeps it.
pub(crate) async fn restore_address(
    handle: &Handle,
    index: u32,
    address: InterfaceAddress,
) -> io::Result<()> {
    match add_address(handle, index, address).await {
        Err(cause) if cause.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        done => done,
    }
}

/// Keeps the kernel's errno where there is one.
fn into_io(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::InterfaceAddress;

    #[test]
    fn addresses_round_trip() {
        for text in ["10.10.0.1/24", "192.0.2.1/32", "fd00::1/64", "2001:db8::/0"] {
            let address: InterfaceAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_quoted() {
        for text in [
            "",
            "10.10.0.1",
            "10.10.0.1/33",
            "fd00::1/129",
            "10.10.0/24",
            "a/8",
            "10.0.0.1/",
        ] {
            let error = text.parse::<InterfaceAddress>().expect_err(text);
            assert_eq!(error.code(), "ZP_OPTION");
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
