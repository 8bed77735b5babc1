//! Hears from the kernel that the network may have come back, so that nobody has to wait a pause
//! out: a link that runs again, a new address, a new route (rtnetlink(7)).

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::route;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// Multicast groups of linux/rtnetlink.h.
const GROUPS: u32 = (libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV6_ROUTE)
    .cast_unsigned();

/// Room for what the kernel says at once; a notification has a few hundred bytes to a few KiB.
const READ_BYTES: usize = 16 * 1024;
/// Reads in one look, so that a storm of routes (a router's full table) keeps nobody here.
const READS_MAX: usize = 64;
/// Links whose state is remembered; with more, they are forgotten and learnt anew.
const LINKS_MAX: usize = 1024;
/// How long a network settles that came back.
const SETTLING: Duration = Duration::from_secs(4);

const MESSAGE_HEADER_BYTES: usize = 16;
/// linux/rtnetlink.h, `struct ifinfomsg`.
const LINK_HEADER_BYTES: usize = 16;
/// linux/rtnetlink.h, `struct rtmsg`, behind which stand attributes.
const ROUTE_HEADER_BYTES: usize = 12;
/// linux/rtnetlink.h, `struct rtattr`.
const ATTRIBUTE_HEADER_BYTES: usize = 4;

/// The kernel's announcements since it was opened.
#[derive(Debug)]
pub struct NetworkWatch {
    socket: OwnedFd,
    links: Links,
    came_back_at: Option<Instant>,
    buffer: Box<[u8]>,
}

impl NetworkWatch {
    /// Begins to listen. Needs no privilege. What becomes of the device of that number is no news:
    /// the kernel gives the tunnel's own one an IPv6 address seconds after it has made it, and
    /// nobody is reached by that.
    pub fn open(own_device: u32) -> io::Result<NetworkWatch> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        // NETLINK_ROUTE is protocol 0.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(NetworkWatch {
            socket,
            links: Links {
                own_device,
                running: HashMap::new(),
            },
            came_back_at: None,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        })
    }

    /// Reads what was announced; whether something of it means that the network may have come
    /// back. Never waits.
    pub fn came_back(&mut self) -> bool {
        let mut came_back = false;
        for _ in 0..READS_MAX {
            match recv(&self.socket, &mut self.buffer[..], RecvFlags::TRUNC) {
                Ok((bytes, _)) => came_back |= self.links.came_back(&self.buffer[..bytes]),
                // More was announced than the kernel kept for us: among it may be what we wait for.
                Err(Errno::NOBUFS) => came_back = true,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        if came_back {
            self.came_back_at = Some(Instant::now());
        }
        came_back
    }

    /// Whether that was so recently that a host may not be reached yet although it can be: whoever
    /// the kernel asked for the host's hardware address before has not heard it, and it asks three
    /// times, a second apart (arp(7), mcast_solicit), before it asks anew.
    pub fn is_settling(&self) -> bool {
        (self.came_back_at).is_some_and(|moment| moment.elapsed() < SETTLING)
    }
}

impl AsFd for NetworkWatch {
    /// For polling; readable means that [`NetworkWatch::came_back`] is worth calling.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Which links run. The kernel announces much of a link that changes nothing for us (a scan of a
/// wireless card, an address that it leaves), so only the change from down to running counts.
#[derive(Debug, Default)]
struct Links {
    own_device: u32,
    running: HashMap<i32, bool>,
}

impl Links {
    fn came_back(&mut self, mut messages: &[u8]) -> bool {
        let mut came_back = false;
        while let Some(header) = messages.first_chunk::<MESSAGE_HEADER_BYTES>() {
            let bytes = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
            let kind = u16::from_ne_bytes([header[4], header[5]]);
            let Some(message) = messages.get(MESSAGE_HEADER_BYTES..bytes) else {
                break; // Cut short: the next look finds whole ones again.
            };
            came_back |= match kind {
                libc::RTM_NEWLINK | libc::RTM_NEWADDR | libc::RTM_NEWROUTE
                    if device_of(kind, message) == Some(self.own_device) =>
                {
                    false
                }
                libc::RTM_NEWADDR => true,
                // What this program routes itself is no news to it (`struct rtmsg`).
                libc::RTM_NEWROUTE => message.get(5) != Some(&route::PROTOCOL_NUMBER),
                libc::RTM_NEWLINK => self.link_runs_again(message),
                libc::RTM_DELLINK => {
                    if let Some((index, _)) = link(message) {
                        self.running.remove(&index);
                    }
                    false
                }
                _ => false,
            };
            let aligned = bytes.next_multiple_of(4).min(messages.len());
            messages = &messages[aligned..];
        }
        came_back
    }

    fn link_runs_again(&mut self, message: &[u8]) -> bool {
        let Some((index, flags)) = link(message) else {
            return false;
        };
        let wanted = (libc::IFF_UP | libc::IFF_RUNNING).cast_unsigned();
        let runs = flags & wanted == wanted;
        if self.running.len() >= LINKS_MAX {
            self.running.clear();
        }
        let ran = self.running.insert(index, runs);
        runs && ran != Some(true)
    }
}

/// The number of the device that an announcement is about, if it is about one.
fn device_of(kind: u16, message: &[u8]) -> Option<u32> {
    if kind != libc::RTM_NEWROUTE {
        // `struct ifinfomsg` and `struct ifaddrmsg` have it in the same place.
        return message.get(4..8).and_then(number);
    }
    let mut attributes = message.get(ROUTE_HEADER_BYTES..)?;
    while let Some([low, high, kind @ ..]) = attributes.first_chunk::<ATTRIBUTE_HEADER_BYTES>() {
        let bytes = usize::from(u16::from_ne_bytes([*low, *high]));
        // Shorter than its own header: no attribute, and there would be no end.
        let value = attributes.get(ATTRIBUTE_HEADER_BYTES..bytes)?;
        if u16::from_ne_bytes(*kind) == libc::RTA_OIF {
            return number(value);
        }
        attributes = attributes.get(bytes.next_multiple_of(4)..)?;
    }
    None
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

/// Index and flags of a link, from `struct ifinfomsg`.
fn link(message: &[u8]) -> Option<(i32, u32)> {
    let header = message.first_chunk::<LINK_HEADER_BYTES>()?;
    let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
    Some((i32::from_ne_bytes(word(4)), u32::from_ne_bytes(word(8))))
}

#[cfg(test)]
mod tests {
    use super::{Links, NetworkWatch};

    const RUNNING: u32 = (libc::IFF_UP | libc::IFF_RUNNING).cast_unsigned();
    const NO_CARRIER: u32 = libc::IFF_UP.cast_unsigned();

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = vec![0; 16];
        message[..4].copy_from_slice(&(16 + body.len() as u32).to_ne_bytes());
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message.extend(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    fn link(kind: u16, index: i32, flags: u32) -> Vec<u8> {
        let mut body = vec![0; 16];
        body[4..8].copy_from_slice(&index.to_ne_bytes());
        body[8..12].copy_from_slice(&flags.to_ne_bytes());
        message(kind, &body)
    }

    #[test]
    fn a_link_counts_when_it_runs_again_and_not_when_it_is_only_talked_of() {
        let mut links = Links::default();
        let mut hear = |flags| links.came_back(&link(libc::RTM_NEWLINK, 3, flags));
        assert!(hear(RUNNING), "the first word of it may be its beginning");
        assert!(!hear(RUNNING));
        assert!(!hear(NO_CARRIER));
        assert!(!hear(0));
        assert!(hear(RUNNING));
        assert!(!links.came_back(&link(libc::RTM_DELLINK, 3, 0)));
        assert!(links.came_back(&link(libc::RTM_NEWLINK, 3, RUNNING)));
    }

    #[test]
    fn a_new_address_or_route_counts_and_a_lost_one_does_not() {
        let mut links = Links {
            own_device: 7,
            ..Links::default()
        };
        for (kind, counts) in [
            (libc::RTM_NEWADDR, true),
            (libc::RTM_DELADDR, false),
            (libc::RTM_NEWROUTE, true),
            (libc::RTM_DELROUTE, false),
        ] {
            assert_eq!(links.came_back(&message(kind, &[0; 9])), counts, "{kind}");
        }
        let mut own = [0; 12];
        own[5] = crate::route::PROTOCOL_NUMBER;
        assert!(!links.came_back(&message(libc::RTM_NEWROUTE, &own)));
        let several = [
            message(libc::RTM_DELROUTE, &[0; 13]),
            message(libc::RTM_NEWROUTE, &[0; 12]),
        ];
        assert!(links.came_back(&several.concat()));
    }

    #[test]
    fn what_becomes_of_the_own_device_is_no_news() {
        let route_by = |device: u32| {
            let mut body = vec![0; 12];
            // RTA_TABLE before RTA_OIF, as the kernel orders them.
            for (kind, value) in [(15_u16, 254_u32), (libc::RTA_OIF, device)] {
                body.extend(8_u16.to_ne_bytes());
                body.extend(kind.to_ne_bytes());
                body.extend(value.to_ne_bytes());
            }
            message(libc::RTM_NEWROUTE, &body)
        };
        let address_of = |device: u32| {
            let mut body = vec![10, 64, 0, 253];
            body.extend(device.to_ne_bytes());
            message(libc::RTM_NEWADDR, &body)
        };
        for (device, counts) in [(7, false), (8, true)] {
            let mut links = Links {
                own_device: 7,
                ..Links::default()
            };
            assert_eq!(
                links.came_back(&route_by(device)),
                counts,
                "route, {device}"
            );
            assert_eq!(
                links.came_back(&address_of(device)),
                counts,
                "address, {device}"
            );
            let link = link(libc::RTM_NEWLINK, device as i32, RUNNING);
            assert_eq!(links.came_back(&link), counts, "link, {device}");
        }
        // An attribute that has no length has no end either.
        assert!(Links::default().came_back(&message(libc::RTM_NEWROUTE, &[0; 16])));
    }

    #[test]
    fn bytes_that_are_no_messages_are_passed_over() {
        let mut links = Links::default();
        let mut endless = message(libc::RTM_NEWADDR, &[0; 8]);
        endless[..4].fill(0);
        let mut cut = link(libc::RTM_NEWLINK, 1, RUNNING);
        cut.truncate(20);
        for bytes in [&[][..], &[1, 2, 3], &endless, &cut, &[255; 64]] {
            assert!(!links.came_back(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn listening_needs_no_privilege_and_never_waits() {
        let mut watch = NetworkWatch::open(0).expect("a netlink socket");
        watch.came_back();
    }
}
