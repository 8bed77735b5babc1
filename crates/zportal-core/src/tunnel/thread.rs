//! The body of a tunnel's thread, on a tokio-uring runtime of its own.

use std::cell::Cell;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use rustix::rand::GetRandomFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::request::{Opened, Options, PeerInfo, Reply, Role};
use super::shared::Shared;
use crate::error::Error;
use crate::link::{self, Listener, Stream, Transport};
use crate::session::peer::Speech;
use crate::session::ring::Ring;
use crate::session::{Session, Surroundings};
use crate::tun::Tun;
use crate::wake::Wake;
use crate::wire::features::Features;
use crate::wire::header::MAX_PAYLOAD_BYTES;
use crate::wire::hello::{Hello, VERSION, digest};

/// Submission entries of the runtime's own ring, which serves the dial only.
const RUNTIME_ENTRIES: u32 = 16;
/// Keeps no more on the way than the path needs (draft-ietf-ccwg-bbr).
const DEFAULT_CONGESTION: &str = "bbr";
/// Room for the beginning of a packet that is thrown away.
const DISCARD_BYTES: usize = 2048;

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
            local: thread.listener.as_ref().map(Listener::local),
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

struct TunnelThread<'a> {
    shared: &'a Shared,
    wake: &'a Wake,
    options: &'a Options,
    ring: Ring,
    listener: Option<Listener>,
    tun: Tun,
    wake_events: AsyncFd<RawFd>,
    hello: Hello,
}

impl<'a> TunnelThread<'a> {
    async fn open(
        shared: &'a Shared,
        wake: &'a Wake,
        options: &'a Options,
        ring: Ring,
    ) -> Result<TunnelThread<'a>, Error> {
        // The listener first: an address in use is the commoner mistake, and a TUN that appears
        // and goes again disturbs routing daemons.
        let listener = match &options.role {
            Role::Serve { bind } => Some(Listener::bind(bind)?),
            Role::Dial {
                target, proxies, ..
            } => {
                link::check_way(target, proxies)?;
                None
            }
        };
        let tun = Tun::open(&options.tun).await?;
        Ok(TunnelThread {
            shared,
            wake,
            options,
            ring,
            listener,
            wake_events: watch(wake)?,
            hello: hello(options, &tun)?,
            tun,
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
        let wanted_at = Instant::now();
        loop {
            let stream = match self.while_down(self.reach_peer()).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) | Err(error) => return error,
            };
            let end = self.carry(stream, wanted_at);
            let proven = !self.shared.desk().is_session_wanted();
            if proven || self.listener.is_none() || is_final(&end) {
                return end;
            }
            // A stranger, who never showed a valid frame: not worth anybody's decision.
            self.shared.stats.peers_refused.add(1);
            let message = format!("a connection was no peer: {end}");
            self.shared.notices.warn(end.code(), message);
        }
    }

    async fn reach_peer(&self) -> Result<Stream, Error> {
        match (&self.options.role, &self.listener) {
            (Role::Serve { .. }, Some(listener)) => listener.accept().await,
            (Role::Serve { .. }, None) => Err(Error::Internal("a server without listener".into())),
            (
                Role::Dial {
                    target,
                    proxies,
                    timeout,
                },
                _,
            ) => link::dial(target, proxies, *timeout).await,
        }
    }

    /// Blocks this thread, and with it the runtime, until the link ends: the session does all
    /// there is to do meanwhile.
    fn carry(&mut self, stream: Stream, wanted_at: Instant) -> Error {
        let shared = self.shared;
        let established_ms = u64::try_from(wanted_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let address = stream.peer.clone();
        if let Err(cause) = self.tun.set_offloads(Features::NONE) {
            let message = format!("the kernel refused to end its offloads: {cause}");
            shared.notices.warn("offloads-refused", message);
        }
        match self.tun.discard_queued(&mut [0; DISCARD_BYTES]) {
            Ok(stale) => shared.stats.drops_down.add(stale),
            Err(gone) => return gone,
        }
        self.choose_congestion_control(&stream);
        let on_proven = Box::new(move |speech: &Speech| {
            shared.stats.peers_accepted.add(1);
            let wanted = shared.desk().take_wanted();
            if let Some(reply) = wanted {
                reply(Ok(PeerInfo {
                    address,
                    established_ms,
                    speech: speech.to_string(),
                }));
            }
        });
        let around = Surroundings {
            tun: &self.tun,
            listener: self.listener.as_ref(),
            wake: self.wake,
            stats: &shared.stats,
            notices: &shared.notices,
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
        let wanted = self.options.congestion.as_deref();
        let name = wanted.unwrap_or(DEFAULT_CONGESTION);
        let set = rustix::net::sockopt::set_tcp_congestion(&stream.socket, name);
        if let Err(errno) = set {
            let message = format!("the kernel refused the congestion control {name}: {errno}");
            match wanted {
                Some(_) => self.shared.notices.warn("congestion", message),
                None => self.shared.notices.info("congestion", message),
            }
        }
    }

    /// Does `work` while no peer is connected; the TUN is emptied meanwhile, and a close is heard.
    async fn while_down<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            end = self.close_requested() => Err(end),
            result = work => Ok(result),
            end = self.discard_packets() => Err(end),
        }
    }

    async fn close_requested(&self) -> Error {
        while !self.wake.close_requested() {
            self.woken().await;
        }
        Error::Closed
    }

    /// Returns after some other thread has called.
    async fn woken(&self) {
        if let Ok(mut event) = self.wake_events.readable().await {
            event.clear_ready();
            self.wake.clear();
        }
    }

    async fn discard_packets(&self) -> Error {
        let mut scratch = [0; DISCARD_BYTES];
        let packets = match watch(&self.tun) {
            Ok(packets) => packets,
            Err(error) => return error,
        };
        loop {
            match packets.ready(Interest::READABLE | Interest::ERROR).await {
                Ok(mut event) => {
                    if event.ready().is_error() {
                        // A TUN reports an error, and nothing else, once it is deleted.
                        return self.tun.gone();
                    }
                    event.clear_ready();
                }
                Err(cause) => return not_watched(&cause),
            }
            loop {
                match self.tun.discard_queued(&mut scratch) {
                    Ok(0) => break,
                    Ok(discarded) => self.shared.stats.drops_down.add(discarded),
                    Err(gone) => return gone,
                }
                // Whoever floods the device must not keep a peer from being found.
                tokio::task::yield_now().await;
            }
        }
    }
}

/// Bytes that nobody guesses.
fn random<const BYTES: usize>() -> Result<[u8; BYTES], Error> {
    let mut bytes = [0; BYTES];
    rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|errno| Error::Internal(format!("getrandom: {errno}")))?;
    Ok(bytes)
}

/// What this end says of itself, for the life of the tunnel.
fn hello(options: &Options, tun: &Tun) -> Result<Hello, Error> {
    let session_id = random()?;
    let offloads = if options.offload {
        tun.offloads()
    } else {
        Features::NONE
    };
    let addresses = options.tun.addresses.iter().map(|address| address.address);
    let mut hello = Hello {
        version: VERSION,
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

fn watch(descriptor: &impl AsFd) -> Result<AsyncFd<RawFd>, Error> {
    // SAFETY: every descriptor watched here is borrowed from the tunnel's thread, which owns it
    // for longer than it is watched.
    let watched = unsafe {
        AsyncFd::register_with_interest(
            descriptor.as_fd().as_raw_fd(),
            Interest::READABLE | Interest::ERROR,
        )
    };
    watched.map_err(|error| not_watched(&error.into()))
}

fn not_watched(cause: &std::io::Error) -> Error {
    Error::Internal(format!("epoll: {cause}"))
}
