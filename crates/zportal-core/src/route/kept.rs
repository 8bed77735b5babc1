//! What a tunnel has of the kernel, held against what is there: its addresses, its routes, and those
//! that keep destinations outside of them. Looked at again whenever the kernel's routes, addresses or
//! devices change: a new gateway or a network that comes back is followed at once, and a device that
//! was taken down gets back what the kernel took from it.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc as blocking;
use std::time::Duration;

use futures_util::StreamExt;
use rtnetlink::MulticastGroup;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::cidr::Cidr;
use super::kernel::Kernel;
use super::outside::Outside;
use super::refusal::{is_down, is_there, not_changed, refused};
use crate::error::Error;
use crate::tun::InterfaceAddress;

/// A change seldom comes alone: what a network manager does takes many, and is looked at once.
const SETTLE: Duration = Duration::from_millis(50);
/// Looking takes no more than one part in so many of the time, whatever comes and goes: a table can
/// be a router's, with a million routes.
const LOOKS_SHARE: u32 = 20;
/// However long a look took, the next one is not put off for longer than this.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// Everything after which another way may be the right one.
const CHANGES: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv6Route,
];

/// What is to be so from now on, instead of what was.
pub(super) enum Request {
    KeepOutside {
        targets: Vec<Cidr>,
        reply: oneshot::Sender<Result<Vec<Cidr>, Error>>,
    },
    RouteInto {
        routes: BTreeSet<Cidr>,
        targets: Vec<Cidr>,
        reply: blocking::Sender<Result<bool, Error>>,
    },
}

/// The thread's body: serves until nobody can ask any more.
pub(super) fn live(device: Device, inbox: mpsc::UnboundedReceiver<Request>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(cause) => return log::error!("no runtime for routes: {cause}"),
    };
    runtime.block_on(async {
        match Kept::start(device) {
            Ok((kept, changes)) => kept.follow(inbox, changes).await,
            Err(cause) => refuse_all(inbox, cause).await,
        }
    });
}

/// Without a connection to the kernel there is one answer to everything.
async fn refuse_all(mut inbox: mpsc::UnboundedReceiver<Request>, cause: io::Error) {
    let errno = cause.raw_os_error();
    while let Some(request) = inbox.recv().await {
        let cause = errno.map_or_else(
            || io::Error::other("no connection to the kernel"),
            io::Error::from_raw_os_error,
        );
        let refusal = Err(refused(cause));
        // Who asked may have given up waiting.
        match request {
            Request::KeepOutside { reply, .. } => drop(reply.send(refusal)),
            Request::RouteInto { reply, .. } => drop(reply.send(refusal.map(|_: Vec<Cidr>| true))),
        }
    }
}

/// News from the kernel; what they say does not matter.
type Changes = futures_channel::mpsc::UnboundedReceiver<(
    rtnetlink::packet_core::NetlinkMessage<rtnetlink::packet_route::RouteNetlinkMessage>,
    rtnetlink::sys::SocketAddr,
)>;

/// The tunnel's device.
#[derive(Clone)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) index: u32,
    /// With the networks that the kernel routes into it by itself.
    pub(super) addresses: Vec<InterfaceAddress>,
}

impl Device {
    /// Whether the kernel takes something away that only this can give back: IPv6 addresses, when the
    /// device is taken down. IPv4 ones stay.
    pub(super) fn can_lose(&self) -> bool {
        self.fleeting().next().is_some()
    }

    fn fleeting(&self) -> impl Iterator<Item = InterfaceAddress> {
        let addresses = self.addresses.iter().copied();
        addresses.filter(|inner| inner.address.is_ipv6())
    }
}

/// What is routed into the tunnel, and what is kept outside.
struct Kept {
    kernel: Kernel,
    device: Device,
    /// The routes into the tunnel that are there, or come back with the device when that is up.
    into: BTreeSet<Cidr>,
    /// Those that will be, while they are changed.
    coming: BTreeSet<Cidr>,
    outside: Outside,
}

impl Kept {
    fn start(device: Device) -> io::Result<(Kept, Changes)> {
        let (connection, _, changes) = rtnetlink::new_multicast_connection(&CHANGES)?;
        tokio::spawn(connection);
        let kept = Kept {
            kernel: Kernel::connect()?,
            device,
            into: BTreeSet::new(),
            coming: BTreeSet::new(),
            outside: Outside::default(),
        };
        Ok((kept, changes))
    }

    /// Serves requests and follows changes until nobody can ask any more.
    async fn follow(mut self, mut inbox: mpsc::UnboundedReceiver<Request>, mut changes: Changes) {
        let mut settle = SETTLE;
        // The first look is for what changed before anybody listened.
        let mut look_at = Some(Instant::now());
        loop {
            let looks = look_at.is_some();
            let until_look = tokio::time::sleep_until(look_at.unwrap_or_else(Instant::now));
            tokio::select! {
                request = inbox.recv() => match request {
                    // Who asked may have given up waiting.
                    Some(Request::KeepOutside { targets, reply }) => {
                        self.outside.targets = targets;
                        let _ = reply.send(self.look().await.map_err(refused));
                    }
                    Some(Request::RouteInto { routes, targets, reply }) => {
                        self.outside.targets = targets;
                        let _ = reply.send(self.route_into(routes).await);
                    }
                    None => break,
                },
                Some(_) = changes.next() => {
                    look_at.get_or_insert_with(|| Instant::now() + settle);
                }
                () = until_look, if looks => {
                    let begun_at = Instant::now();
                    if let Err(cause) = self.look().await {
                        log::warn!("cannot follow a change of routes: {cause}");
                    }
                    settle = settle_after(begun_at.elapsed());
                    look_at = None;
                }
            }
        }
        self.outside.forget(&self.kernel, |_| true).await;
    }

    /// Makes these the routes into the tunnel, or leaves those that were.
    async fn route_into(&mut self, wanted: BTreeSet<Cidr>) -> Result<bool, Error> {
        if wanted == self.into {
            return Ok(false);
        }
        // First what stays outside: at no moment may a new route swallow the tunnel's own stream.
        self.coming.clone_from(&wanted);
        let before = self.into.clone();
        let mut outcome = self.look().await.map(|_| ()).map_err(refused);
        if outcome.is_ok() {
            outcome = self.apply(&wanted).await;
        }
        self.coming.clear();
        if outcome.is_err()
            && let Err(cause) = self.apply(&before).await
        {
            log::warn!("cannot bring back the routes as they were: {cause}");
        }
        // What no route covers any more needs nothing that keeps it outside.
        if let Err(cause) = self.look().await {
            log::warn!("cannot follow a change of routes: {cause}");
        }
        outcome.map(|()| true)
    }

    /// Adds what is missing, then removes what is too many.
    async fn apply(&mut self, wanted: &BTreeSet<Cidr>) -> Result<(), Error> {
        let device = self.device.index;
        for route in wanted.difference(&self.into.clone()) {
            let added = self.kernel.add_into(device, *route).await;
            if let Err(cause) = added
                && !is_down(&cause)
            {
                return Err(self.not_added(*route, cause));
            }
            self.into.insert(*route);
        }
        for route in self.into.clone().difference(wanted) {
            let removed = self.kernel.remove_into(device, *route).await;
            let what = || format!("to remove the route {route} from {}", self.device.name);
            removed.map_err(|cause| not_changed(what(), cause))?;
            self.into.remove(route);
        }
        Ok(())
    }

    fn not_added(&self, route: Cidr, cause: io::Error) -> Error {
        match cause.raw_os_error() {
            Some(libc::EEXIST) => Error::RouteExists {
                route: route.to_string(),
                name: self.device.name.clone(),
                cause,
            },
            _ => not_changed(format!("to route {route} into {}", self.device.name), cause),
        }
    }

    /// Makes the kernel's routes what they should be now; the targets that are outside.
    async fn look(&mut self) -> io::Result<Vec<Cidr>> {
        let tunnel = self.tunnel();
        let outside = self
            .outside
            .look(&self.kernel, self.device.index, &tunnel)
            .await;
        // Whatever became of that: what is routed into the tunnel must not go another way.
        self.restore().await;
        outside
    }

    /// Gives the device back what it lost when it was taken down. What is there is left alone: the
    /// kernel says so, and nobody hears of it. As long as the device is down, it takes no routes.
    async fn restore(&self) {
        let Device { name, index, .. } = &self.device;
        for address in self.device.fleeting() {
            if let Err(cause) = self.kernel.restore_address(*index, address).await {
                log::warn!("cannot give {name} its address {address} back: {cause}");
            }
        }
        for route in &self.into {
            match self.kernel.add_into(*index, *route).await {
                Err(cause) if !is_there(&cause) && !is_down(&cause) => {
                    log::warn!("cannot route {route} into {name} again: {cause}");
                }
                _ => {}
            }
        }
    }

    /// All that is routed into the tunnel, also by the kernel itself, once anything else is.
    fn tunnel(&self) -> Vec<Cidr> {
        let routes: Vec<Cidr> = self.into.union(&self.coming).copied().collect();
        if routes.is_empty() {
            return routes;
        }
        let addresses = self.device.addresses.iter();
        let networks = addresses.map(|inner| Cidr::around(inner.address, inner.prefix_bits));
        networks.chain(routes).collect()
    }
}

/// How long to let changes settle, after a look that took so long.
fn settle_after(look: Duration) -> Duration {
    (look * (LOOKS_SHARE - 1)).clamp(SETTLE, SETTLE_MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::settle_after;

    #[test]
    fn a_look_at_a_long_table_puts_the_next_one_off() {
        for (took_us, settle_ms) in [
            (0, 50),
            (300, 50),
            (20_000, 380),
            (200_000, 3800),
            (2_000_000, 5000),
        ] {
            let settle = settle_after(Duration::from_micros(took_us));
            assert_eq!(settle, Duration::from_millis(settle_ms), "{took_us} us");
        }
    }
}
