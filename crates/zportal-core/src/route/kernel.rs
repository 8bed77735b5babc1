//! The main routing table, by rtnetlink (`linux/rtnetlink.h`); no `ip` program.

use std::io;
use std::net::IpAddr;

use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{RouteHeader, RouteMessage, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder};

use super::cidr::Cidr;
use super::known::{Known, PROTOCOL, into};
use crate::tun::{self, InterfaceAddress};

/// Who takes host routes.
pub(super) trait Table {
    /// Puts it there, in the place of what this tunnel had for the same destination.
    async fn keep_outside(&self, route: &RouteMessage) -> io::Result<()>;
    /// Takes it away; it may have gone with its device.
    async fn forget(&self, route: &RouteMessage) -> io::Result<()>;
}

/// A connection to the kernel. It ends when this is dropped.
pub(super) struct Kernel {
    handle: Handle,
    driver: tokio::task::JoinHandle<()>,
}

impl Kernel {
    /// Must be called on a tokio runtime. Dumps are filtered by the kernel, not by us.
    pub(super) fn connect() -> io::Result<Kernel> {
        let (connection, handle, _) = rtnetlink::new_connection_with_strict_check()?;
        Ok(Kernel {
            handle,
            driver: tokio::spawn(connection),
        })
    }

    /// The main table's routes for one family.
    pub(super) async fn main_table(&self, ipv4: bool) -> io::Result<Vec<Known>> {
        let mut filter = RouteMessage::default();
        filter.header.address_family = family(ipv4);
        filter.header.table = RouteHeader::RT_TABLE_MAIN;
        self.dump(filter).await
    }

    /// What any tunnel of ours keeps or kept outside, in one family.
    async fn outside(&self, ipv4: bool) -> io::Result<Vec<Known>> {
        let mut filter = RouteMessage::default();
        filter.header.address_family = family(ipv4);
        filter.header.table = RouteHeader::RT_TABLE_MAIN;
        filter.header.protocol = PROTOCOL;
        let routes = self.dump(filter).await?;
        // Older kernels do not filter.
        let ours = routes
            .into_iter()
            .filter(|route| route.message.header.protocol == PROTOCOL && route.owner().is_some());
        Ok(ours.collect())
    }

    async fn dump(&self, filter: RouteMessage) -> io::Result<Vec<Known>> {
        use futures_util::TryStreamExt;
        let mut answers = Box::pin(self.handle.route().get(filter).execute());
        let mut routes = Vec::new();
        loop {
            match answers.try_next().await {
                Ok(Some(message)) => routes.extend(Known::read(message)),
                Ok(None) => return Ok(routes),
                Err(error) => {
                    let error = into_io(error);
                    // Nothing there yet to filter in: no table, or no IPv6.
                    return match error.raw_os_error() {
                        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::EAFNOSUPPORT) => Ok(routes),
                        _ => Err(error),
                    };
                }
            }
        }
    }

    /// Whether this machine itself has the address, so that no route of the main table matters.
    pub(super) async fn is_local(&self, address: IpAddr) -> io::Result<bool> {
        use futures_util::TryStreamExt;
        let question = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(address, Cidr::host(address).prefix_bits())
            .map_err(io::Error::other)?
            .build();
        let mut answers = Box::pin(self.handle.route().get(question).execute());
        match answers.try_next().await {
            Ok(answer) => Ok(answer.is_some_and(|route| route.header.kind == RouteType::Local)),
            // No way there at all.
            Err(_) => Ok(false),
        }
    }

    /// Gives the device an address back, unless it has it.
    pub(super) async fn restore_address(
        &self,
        device: u32,
        address: InterfaceAddress,
    ) -> io::Result<()> {
        tun::restore_address(&self.handle, device, address).await
    }

    /// Adds a route into the device, in nobody's place.
    pub(super) async fn add_into(&self, device: u32, destination: Cidr) -> io::Result<()> {
        let route = into(device, destination)?;
        let added = self.handle.route().add(route).execute().await;
        added.map_err(into_io)
    }

    /// Takes a route into the device away.
    pub(super) async fn remove_into(&self, device: u32, destination: Cidr) -> io::Result<()> {
        self.forget(&into(device, destination)?).await
    }
}

impl Table for Kernel {
    async fn keep_outside(&self, route: &RouteMessage) -> io::Result<()> {
        let request = self.handle.route().add(route.clone()).replace();
        request.execute().await.map_err(into_io)
    }

    async fn forget(&self, route: &RouteMessage) -> io::Result<()> {
        match self.handle.route().del(route.clone()).execute().await {
            Ok(()) => Ok(()),
            Err(error) => match into_io(error) {
                gone if matches!(gone.raw_os_error(), Some(libc::ESRCH | libc::ENODEV)) => Ok(()),
                other => Err(other),
            },
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Removes what tunnels keep outside that are gone: killed before they could do it themselves.
pub async fn sweep() -> io::Result<()> {
    let kernel = Kernel::connect()?;
    kernel.sweep().await
}

impl Kernel {
    pub(super) async fn sweep(&self) -> io::Result<()> {
        for ipv4 in [true, false] {
            for route in self.outside(ipv4).await? {
                let is_abandoned = route.owner().is_some_and(|owner| !device_exists(owner));
                if is_abandoned {
                    self.forget(&route.message).await?;
                }
            }
        }
        Ok(())
    }
}

fn device_exists(index: u32) -> bool {
    let Ok(socket) = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    ) else {
        return true;
    };
    rustix::net::netdevice::index_to_name(&socket, index).is_ok()
}

fn family(ipv4: bool) -> AddressFamily {
    if ipv4 {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    }
}

/// Keeps the kernel's errno where there is one.
fn into_io(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}
