//! One route of the kernel's, as rtnetlink tells of it: what it says, whose it is, and routes of ours
//! that are made of it (`linux/rtnetlink.h`).

use std::io;
use std::net::IpAddr;

use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_core::Nla;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
    RouteType,
};

use super::cidr::Cidr;
use super::plan::Candidate;

/// Who made the route, for `ip route show proto 90`: no program of those that the kernel's headers
/// name has this number. 90 is the Z of ZPortal.
pub const PROTOCOL_NUMBER: u8 = 90;
pub(super) const PROTOCOL: RouteProtocol = RouteProtocol::Other(PROTOCOL_NUMBER);
/// What keeps a destination outside carries its tunnel's device in its metric, because nothing
/// else in a route can say to whom it belongs. These bits, then the device's number.
const OWNER_MARK: u32 = 0x5a00_0000;
const OWNER_BITS: u32 = 0x00ff_ffff;

/// A route as it came.
pub(super) struct Known {
    destination: Cidr,
    pub(super) message: RouteMessage,
}

impl Known {
    /// Of the main table, alive, and for every source; `None` otherwise.
    pub(super) fn read(message: RouteMessage) -> Option<Known> {
        let any = match message.header.address_family {
            AddressFamily::Inet => IpAddr::from([0; 4]),
            AddressFamily::Inet6 => IpAddr::from([0; 16]),
            _ => return None,
        };
        let address = message.attributes.iter().find_map(|one| match one {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => Some((*address).into()),
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => Some((*address).into()),
            _ => None,
        });
        let prefix_bits = message.header.destination_prefix_length;
        // The kernel gives up a dead route by itself, but only once its device is gone.
        let is_dead = message.header.flags.contains(RouteFlags::Dead);
        let is_main = table(&message) == u32::from(RouteHeader::RT_TABLE_MAIN);
        (is_main && !is_dead && message.header.source_prefix_length == 0).then(|| Known {
            destination: Cidr::around(address.unwrap_or(any), prefix_bits),
            message,
        })
    }

    fn number(&self, wanted: impl Fn(&RouteAttribute) -> Option<u32>) -> Option<u32> {
        self.message.attributes.iter().find_map(wanted)
    }

    fn metric(&self) -> u32 {
        let metric = self.number(|one| match one {
            RouteAttribute::Priority(metric) => Some(*metric),
            _ => None,
        });
        metric.unwrap_or(0)
    }

    fn device(&self) -> Option<u32> {
        self.number(|one| match one {
            RouteAttribute::Oif(device) => Some(*device),
            _ => None,
        })
    }

    /// The tunnel whose destination it keeps outside, by the number of its device.
    pub(super) fn owner(&self) -> Option<u32> {
        let is_kept =
            self.message.header.protocol == PROTOCOL && self.metric() & !OWNER_BITS == OWNER_MARK;
        is_kept.then(|| self.metric() & OWNER_BITS)
    }

    /// As a choice for the tunnel of that device.
    pub(super) fn candidate(&self, device: u32) -> Candidate {
        Candidate {
            destination: self.destination,
            metric: self.metric(),
            carries: self.message.header.kind == RouteType::Unicast,
            ours: self.device() == Some(device) || self.owner() == Some(device & OWNER_BITS),
        }
    }

    /// Whether it is that route, made earlier, and leads the same way.
    pub(super) fn is(&self, route: &RouteMessage) -> bool {
        // With a next hop object the kernel tells what it stands for as well.
        let is_object = |one: &RouteAttribute| matches!(one, RouteAttribute::NhId(_));
        let by_object = route.attributes.iter().any(is_object);
        let way = |message: &RouteMessage| {
            let attributes = message.attributes.iter();
            let mut way: Vec<_> = match by_object {
                true => attributes.filter(|one| is_object(one)).cloned().collect(),
                false => attributes.filter(leads).cloned().collect(),
            };
            way.sort_by_key(RouteAttribute::kind);
            way
        };
        let other = Known::read(route.clone());
        other.is_some_and(|other| {
            other.destination == self.destination && other.owner() == self.owner()
        }) && self.owner().is_some()
            && way(&self.message) == way(route)
    }

    /// A route to `target` that goes the same way, marked as that tunnel's.
    pub(super) fn narrowed(&self, target: Cidr, device: u32) -> RouteMessage {
        let mut route = RouteMessageBuilder::<IpAddr>::new()
            .protocol(PROTOCOL)
            .priority(OWNER_MARK | (device & OWNER_BITS))
            .scope(self.message.header.scope)
            .build();
        let attributes = &self.message.attributes;
        route.header.address_family = self.message.header.address_family;
        route.header.destination_prefix_length = target.prefix_bits();
        route.header.flags = self.message.header.flags & RouteFlags::Onlink;
        route
            .attributes
            .push(RouteAttribute::Destination(match target.network() {
                IpAddr::V4(address) => RouteAddress::Inet(address),
                IpAddr::V6(address) => RouteAddress::Inet6(address),
            }));
        // A next hop object stands for all the rest, and excludes it.
        let next_hop = attributes
            .iter()
            .find(|one| matches!(one, RouteAttribute::NhId(_)));
        match next_hop {
            Some(next_hop) => route.attributes.push(next_hop.clone()),
            None => route
                .attributes
                .extend(attributes.iter().filter(leads).cloned()),
        }
        route
    }
}

/// Whether it says where a route leads, and not what it is.
fn leads(attribute: &&RouteAttribute) -> bool {
    matches!(
        attribute,
        RouteAttribute::Gateway(_)
            | RouteAttribute::Via(_)
            | RouteAttribute::Oif(_)
            | RouteAttribute::PrefSource(_)
            | RouteAttribute::MultiPath(_)
            | RouteAttribute::Encap(_)
            | RouteAttribute::EncapType(_)
    )
}

/// The route of a destination into a tunnel's device.
pub(super) fn into(device: u32, destination: Cidr) -> io::Result<RouteMessage> {
    let scope = match destination.network() {
        IpAddr::V4(_) => RouteScope::Link,
        IpAddr::V6(_) => RouteScope::Universe,
    };
    let route = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(destination.network(), destination.prefix_bits())
        .map_err(io::Error::other)?
        .output_interface(device)
        .protocol(PROTOCOL)
        .scope(scope);
    Ok(route.build())
}

/// The table: small numbers stand in the header as well.
fn table(message: &RouteMessage) -> u32 {
    let attribute = message.attributes.iter().find_map(|one| match one {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    attribute.unwrap_or_else(|| message.header.table.into())
}
