//! A thread that keeps destinations outside the tunnel's routes, for as long as it lives: it looks
//! again whenever the kernel's routes, addresses or devices change, so that a new gateway or a
//! network that comes back is followed at once. What it made is gone when it is dropped.

use std::collections::BTreeMap;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::StreamExt;
use rtnetlink::MulticastGroup;
use rtnetlink::packet_route::route::RouteMessage;
use tokio::sync::{mpsc, oneshot};

use super::cidr::Cidr;
use super::kernel::Kernel;
use super::plan::{Choice, choose};
use crate::error::Error;

/// A change seldom comes alone: what a network manager does takes many, and is looked at once.
const SETTLE: Duration = Duration::from_millis(50);

/// Everything after which another way may be the right one.
const CHANGES: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv6Route,
];

/// A handle on the thread. Dropping it removes what was kept, and waits for that.
pub struct Keeper {
    requests: Option<mpsc::UnboundedSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// What is to be kept outside from now on, instead of what was.
struct Request {
    targets: Vec<Cidr>,
    reply: oneshot::Sender<Result<Vec<Cidr>, Error>>,
}

impl Keeper {
    /// Starts it for the tunnel of that device, into which `tunnel` is routed.
    ///
    /// # Errors
    /// [`Error::Internal`] where no thread can be started.
    pub fn start(device: u32, tunnel: Vec<Cidr>) -> Result<Keeper, Error> {
        let (requests, inbox) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("zp-routes".into())
            .spawn(move || live(device, tunnel, inbox))
            .map_err(|cause| Error::Internal(format!("cannot start a thread: {cause}")))?;
        Ok(Keeper {
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    /// Sees to it that these destinations are reached outside the tunnel; those that are, now.
    /// Those left out have no way but through the tunnel, and must not be tried.
    ///
    /// # Errors
    /// [`Error::Route`] with the kernel's answer.
    pub async fn keep_outside(&self, targets: Vec<Cidr>) -> Result<Vec<Cidr>, Error> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::Internal("the thread that keeps routes has ended".into());
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests
            .send(Request { targets, reply })
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The thread ends when nobody can ask it for anything any more.
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn live(device: u32, tunnel: Vec<Cidr>, inbox: mpsc::UnboundedReceiver<Request>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(cause) => return log::error!("no runtime for routes: {cause}"),
    };
    runtime.block_on(async {
        match Kept::start(device, tunnel) {
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
        let _ = request.reply.send(Err(refused(cause)));
    }
}

/// News from the kernel; what they say does not matter.
type Changes = futures_channel::mpsc::UnboundedReceiver<(
    rtnetlink::packet_core::NetlinkMessage<rtnetlink::packet_route::RouteNetlinkMessage>,
    rtnetlink::sys::SocketAddr,
)>;

/// What is kept outside, and what the kernel was told for it.
struct Kept {
    kernel: Kernel,
    device: u32,
    tunnel: Vec<Cidr>,
    targets: Vec<Cidr>,
    routes: BTreeMap<Cidr, RouteMessage>,
}

impl Kept {
    fn start(device: u32, tunnel: Vec<Cidr>) -> io::Result<(Kept, Changes)> {
        let (connection, _, changes) = rtnetlink::new_multicast_connection(&CHANGES)?;
        tokio::spawn(connection);
        let kept = Kept {
            kernel: Kernel::connect()?,
            device,
            tunnel,
            targets: Vec::new(),
            routes: BTreeMap::new(),
        };
        Ok((kept, changes))
    }

    /// Serves requests and follows changes until nobody can ask any more.
    async fn follow(mut self, mut inbox: mpsc::UnboundedReceiver<Request>, mut changes: Changes) {
        loop {
            tokio::select! {
                request = inbox.recv() => match request {
                    Some(Request { targets, reply }) => {
                        self.targets = targets;
                        // Who asked may have given up waiting.
                        let _ = reply.send(self.look().await.map_err(refused));
                    }
                    None => break,
                },
                Some(_) = changes.next() => {
                    tokio::time::sleep(SETTLE).await;
                    while changes.try_recv().is_ok() {}
                    if let Err(cause) = self.look().await {
                        log::warn!("cannot follow a change of routes: {cause}");
                    }
                }
            }
        }
        for route in self.routes.values() {
            if let Err(cause) = self.kernel.forget(route).await {
                log::warn!("cannot remove a route that kept the first hop outside: {cause}");
            }
        }
    }

    /// Makes the kernel's routes what they should be now; the targets that are outside.
    async fn look(&mut self) -> io::Result<Vec<Cidr>> {
        self.kernel.sweep().await?;
        let mut outside = Vec::new();
        let mut wanted = BTreeMap::new();
        for ipv4 in [true, false] {
            let targets = self
                .targets
                .iter()
                .filter(|target| target.network().is_ipv4() == ipv4);
            let targets: Vec<Cidr> = targets.copied().collect();
            if targets.is_empty() {
                continue;
            }
            let table = self.kernel.main_table(ipv4).await?;
            let candidates: Vec<_> = table
                .iter()
                .map(|route| route.candidate(self.device))
                .collect();
            for target in targets {
                let place = match choose(target, &self.tunnel, &candidates) {
                    Choice::Outside => {
                        outside.push(target);
                        continue;
                    }
                    // The kernel looks for its own addresses before it looks into the main table.
                    _ if self.kernel.is_local(target.network()).await? => {
                        outside.push(target);
                        continue;
                    }
                    Choice::Like(place) => place,
                    Choice::Nowhere => continue,
                };
                outside.push(target);
                let route = table[place].narrowed(target, self.device);
                let is_there = table.iter().any(|known| known.is(&route));
                wanted.insert(target, (route, is_there));
            }
        }
        for (target, (route, is_there)) in &wanted {
            // What is there is left alone: each change is news, and would bring us here again.
            if !is_there {
                self.kernel.keep_outside(route).await?;
            }
            self.routes.insert(*target, route.clone());
        }
        let unwanted = self
            .routes
            .extract_if(.., |target, _| !wanted.contains_key(target));
        for (_, route) in unwanted.collect::<Vec<_>>() {
            self.kernel.forget(&route).await?;
        }
        Ok(outside)
    }
}

fn refused(cause: io::Error) -> Error {
    let what = "to keep the way to the first hop outside the tunnel".into();
    match cause.raw_os_error() {
        Some(libc::EPERM) => Error::TunPermission { what, cause },
        _ => Error::Route { what, cause },
    }
}
