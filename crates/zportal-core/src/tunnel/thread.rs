//! The body of a tunnel's thread, on a tokio-uring runtime of its own.

use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tokio::io::unix::AsyncFd;

use super::announce::{hello, random};
use super::churn::Churn;
use super::idle::{DISCARD_BYTES, watch};
use super::reach::watch_network;
use super::request::{Opened, Options, PeerInfo, Reply, Role};
use super::routes::OpenRoutes;
use super::shared::Shared;
use crate::error::Error;
use crate::link::{Approach, Listener, NetworkWatch, Stream, Transport};
use crate::seat::{Door, not_opened};
use crate::session::peer::Speech;
use crate::session::ring::Ring;
use crate::session::{Acquaintance, Session, Surroundings};
use crate::tun::{self, Tun};
use crate::wake::Wake;
use crate::wire::features::Features;
use crate::wire::hello::Hello;

/// Submission entries of the runtime's own ring, which serves the dial only.
const RUNTIME_ENTRIES: u32 = 16;
/// Keeps no more on the way than the path needs (draft-ietf-ccwg-bbr).
const DEFAULT_CONGESTION: &str = "bbr";

/// Runs the tunnel until it is closed or cannot go on, and answers everybody who still waits.
pub(super) fn main(shared: &Shared, wake: Arc<Wake>, options: &Options, opened: Reply<Opened>) {
    let opened = Cell::new(Some(opened));
    precise_timers();
    let body = || -> Error {
        // Asked before the runtime, which would panic where io_uring is forbidden.
        let ring = match Ring::new() {
            Ok(ring) => ring,
            Err(error) => return error,
        };
        tokio_uring::builder()
            .entries(RUNTIME_ENTRIES)
            .start(live(shared, &wake, options, ring, &opened))
    };
    // TUN, listener and sockets belong to the future and are gone when this returns, also by panic.
    let end = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned());
        Error::Internal(text.unwrap_or_else(|| "a panic without words".into()))
    });
    drop(wake);
    match opened.take() {
        Some(opened) => opened(Err(end)),
        None => shared.settle_end(end),
    }
    shared.finish();
}

/// By default the kernel may be 50 µs late with every timer, as long as a pause between bursts.
fn precise_timers() {
    let slack_ns: libc::c_ulong = 1_000;
    // SAFETY: PR_SET_TIMERSLACK takes a number for the calling thread. A failure costs precision.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, slack_ns) };
}

/// Opens everything, then serves requests until the tunnel ends; the reason is the value.
async fn live(
    shared: &Shared,
    wake: &Wake,
    options: &Options,
    ring: Ring,
    opened: &Cell<Option<Reply<Opened>>>,
) -> Error {
    let mut thread = match TunnelThread::open(shared, wake, options, ring).await {
        Ok(thread) => thread,
        Err(error) => return error,
    };
    if let Some(reply) = opened.take() {
        reply(Ok(Opened {
            name: thread.tun.name().to_owned(),
            local: thread.door.as_ref().map(|door| door.borrow().local()),
        }));
    }
    loop {
        match thread.one_session().await {
            end if is_final(&end) => return end,
            end => shared.settle_end(end),
        }
    }
}

/// Whether the tunnel cannot go on after this.
fn is_final(end: &Error) -> bool {
    matches!(
        end,
        Error::Closed | Error::TunGone { .. } | Error::TunIo { .. } | Error::Internal(_)
    )
}

/// What the thread owns, and lends to a session for as long as that lasts.
pub(super) struct TunnelThread<'a> {
    pub(super) shared: &'a Shared,
    pub(super) wake: &'a Wake,
    ring: Ring,
    /// Where newcomers wait, on a server.
    pub(super) door: Option<RefCell<Door>>,
    /// What tells that the network is back: for a client that dialing again is worth it, for both
    /// that what waits to be sent can be.
    pub(super) network: Option<RefCell<NetworkWatch>>,
    /// When that may end a pause.
    pub(super) churn: RefCell<Churn>,
    /// How a client comes to hop 0, whatever routes are in the way.
    pub(super) approach: Option<Approach<'a>>,
    /// Before the TUN goes, what keeps hop 0 outside of its routes does.
    _routes: OpenRoutes<'a>,
    pub(super) tun: Tun,
    pub(super) wake_events: AsyncFd<RawFd>,
    hello: Hello,
    /// What a client knows of its peer.
    acquaintance: Acquaintance,
    /// What was last said of the congestion control.
    told_congestion: RefCell<String>,
}

impl<'a> TunnelThread<'a> {
    async fn open(
        shared: &'a Shared,
        wake: &'a Wake,
        options: &Options,
        ring: Ring,
    ) -> Result<TunnelThread<'a>, Error> {
        // The listener first: an address in use is the commoner mistake, and a TUN that appears
        // and goes again disturbs routing daemons.
        let listener = match &options.role {
            Role::Serve { bind, mark, .. } => Some(Listener::bind_marked(bind, *mark)?),
            Role::Dial(way) => {
                way.check()?;
                None
            }
        };
        let tun = Tun::open(&options.tun).await?;
        let hello = hello(options, &tun)?;
        let door =
            listener.map(|listener| Door::new(listener, shared.changeable.admission(), hello));
        let door = match door {
            Some(door) => Some(RefCell::new(door.map_err(|cause| not_opened(&cause))?)),
            None => None,
        };
        let routes = OpenRoutes::begin(&tun, options, shared).await?;
        Ok(TunnelThread {
            shared,
            wake,
            ring,
            network: watch_network(&options.role, tun::index(tun.name()).unwrap_or_default()),
            churn: RefCell::default(),
            approach: door.is_none().then(|| Approach::new(&shared.routing)),
            _routes: routes,
            door,
            wake_events: watch(wake)?,
            hello,
            acquaintance: Acquaintance::default(),
            tun,
            told_congestion: RefCell::default(),
        })
    }

    /// Waits until a session is wanted, finds its peer and carries its packets; the value is why
    /// there is none, or why it ended.
    async fn one_session(&mut self) -> Error {
        while !self.shared.desk().is_session_wanted() {
            if let Err(end) = self.while_down(self.woken()).await {
                return end;
            }
        }
        let pause = self.shared.desk().pause();
        if let Err(end) = self.while_down(self.pause(pause)).await {
            return end;
        }
        let wanted_at = Instant::now();
        loop {
            let stream = match self.while_down(self.reach_peer()).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) | Err(error) => return error,
            };
            let end = self.carry(stream, wanted_at);
            let proven = !self.shared.desk().is_session_wanted();
            if proven {
                self.churn.get_mut().forget();
            }
            if proven || self.door.is_none() || is_final(&end) {
                return end;
            }
            // A stranger, who never showed a valid frame: not worth anybody's decision.
            self.shared.stats.peers_refused.add(1);
            let message = format!("a connection was no peer: {end}");
            self.shared.notices.warn(end.code(), message);
        }
    }

    /// Blocks this thread, and with it the runtime, until the link ends: the session does all
    /// there is to do meanwhile.
    fn carry(&mut self, stream: Stream, wanted_at: Instant) -> Error {
        let shared = self.shared;
        let established_ms = u64::try_from(wanted_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let address = stream.peer.clone();
        let hops = stream.hops.clone();
        if let Err(cause) = self.tun.set_offloads(Features::NONE) {
            let message = format!("the kernel refused to end its offloads: {cause}");
            shared.notices.warn("offloads-refused", message);
        }
        match self.tun.discard_queued(&mut [0; DISCARD_BYTES]) {
            Ok(stale) => shared.stats.drops_down.add(stale),
            Err(gone) => return gone,
        }
        self.choose_congestion_control(&stream);
        shared.words.forget();
        let dials = self.door.is_none();
        let on_proven = Box::new(move |speech: &Speech| {
            if dials && shared.stats.peers_accepted.total() > 0 {
                shared.stats.reconnects.add(1);
            }
            shared.stats.peers_accepted.add(1);
            let wanted = shared.desk().take_wanted();
            if let Some(reply) = wanted {
                reply(Ok(PeerInfo {
                    address,
                    established_ms,
                    hops,
                    speech: speech.to_string(),
                }));
            }
        });
        if !dials {
            // Anybody may come, and an original too.
            self.acquaintance = Acquaintance::default();
        }
        let around = Surroundings {
            tun: &self.tun,
            door: self.door.as_mut().map(RefCell::get_mut),
            network: self.network.as_ref(),
            acquaintance: &self.acquaintance,
            wake: self.wake,
            stats: &shared.stats,
            notices: &shared.notices,
            words: &shared.words,
        };
        let seed = match random::<16>() {
            Ok(bytes) => u128::from_ne_bytes(bytes),
            Err(error) => return error,
        };
        let seed = [seed as u64, (seed >> 64) as u64];
        Session::new(&mut self.ring, around, stream, self.hello, seed, on_proven).run()
    }

    fn choose_congestion_control(&self, stream: &Stream) {
        if stream.transport != Transport::Tcp {
            return;
        }
        let wanted = self.shared.changeable.congestion();
        let wanted = wanted.as_deref();
        let name = wanted.unwrap_or(DEFAULT_CONGESTION);
        let set = rustix::net::sockopt::set_tcp_congestion(&stream.socket, name);
        let used = rustix::net::sockopt::tcp_congestion(&stream.socket);
        let used = used.unwrap_or_else(|_| "its default".into());
        let message = match set {
            Ok(()) => format!("the stream uses the congestion control {used}"),
            Err(errno) => {
                format!("the kernel has no {name} for us ({errno}): the stream uses {used}")
            }
        };
        // Once, unless it changes: not for each of many reconnects.
        if self.told_congestion.replace(message.clone()) == message {
            return;
        }
        match (set, wanted) {
            (Err(_), Some(_)) => self.shared.notices.warn("congestion", message),
            _ => self.shared.notices.info("congestion", message),
        }
    }
}
