//! A tunnel is one OS thread that owns its TUN, its listener and its session, and does one thing
//! when asked: open, establish one peer, close. When to ask is the caller's policy.
//!
//! Every request is answered exactly once, also when the thread panics.

mod desk;
mod thread;

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::address::Address;
use crate::error::Error;
use crate::notices::{self, Notices};
use crate::stats::Stats;
use crate::tun::TunOptions;
use crate::wake::Wake;
use desk::Desk;

/// Which end of the link this is.
#[derive(Debug, Clone)]
pub enum Role {
    /// Waits for peers.
    Serve {
        /// Where.
        bind: Address,
    },
    /// Goes to the peer.
    Dial {
        /// Where the peer listens.
        target: Address,
        /// SOCKS5 proxies on the way, the nearest first.
        proxies: Vec<Address>,
        /// For the whole dial: resolution, connection and every proxy.
        timeout: Duration,
    },
}

/// Everything a tunnel needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// The packet device.
    pub tun: TunOptions,
    /// Which end this is.
    pub role: Role,
    /// Whether super-packets may be carried, if the peer can.
    pub offload: bool,
    /// Congestion control of the TCP stream to the peer; by default BBR where the kernel has it,
    /// which keeps the buffers on the way short, else the kernel's own default.
    pub congestion: Option<String>,
}

/// What was opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The kernel's name of the device.
    pub name: String,
    /// Where a server listens, port 0 resolved.
    pub local: Option<String>,
}

/// Who the peer is.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// Its address, or the way to it.
    pub address: String,
    /// How long the dial took, milliseconds; on a server, how long it was waited for.
    pub established_ms: u64,
    /// How it speaks: `original`, `silent` (nothing came yet), or version and features.
    pub speech: String,
}

/// Takes one answer, on the tunnel's thread.
pub type Reply<T> = Box<dyn FnOnce(Result<T, Error>) + Send>;
/// Takes the reason of a session's end, on the tunnel's thread.
pub type EndReply = Box<dyn FnOnce(Arc<Error>) + Send>;
/// Hears that something is done, on the tunnel's thread.
pub type DoneReply = Box<dyn FnOnce() + Send>;

/// What the tunnel's thread shares with others.
struct Shared {
    stats: Stats,
    notices: Notices,
    desk: Mutex<Desk>,
}

impl Shared {
    fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        // Nothing runs under the lock that could leave the desk half-changed.
        self.desk
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Makes the thread look at its requests.
    fn wake(&self) {
        if let Some(wake) = self.desk().wake() {
            wake.wake();
        }
    }

    /// Makes the thread end; it may have ended.
    fn request_close(&self) {
        if let Some(wake) = self.desk().wake() {
            wake.request_close();
        }
    }

    /// Answers everybody who waits for a session or for its end.
    fn settle_end(&self, end: Error) {
        let wanted = self.desk().take_wanted();
        let end = match wanted {
            Some(reply) => {
                reply(Err(end));
                Error::Closed
            }
            None => end,
        };
        let end = Arc::new(end);
        let replies = self.desk().end(&end);
        for reply in replies {
            reply(Arc::clone(&end));
        }
    }

    /// Answers everybody who waits for the end of the thread.
    fn finish(&self) {
        let waiting = self.desk().finish();
        if let Some(reply) = waiting.wanted {
            reply(Err(Error::Closed));
        }
        for reply in waiting.ends {
            reply(Arc::new(Error::Closed));
        }
        for reply in waiting.closes {
            reply();
        }
    }
}

/// A handle on a tunnel's thread; dropping it closes the tunnel and waits for the thread.
pub struct Tunnel {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Tunnel {
    /// Starts the thread; `opened` hears when the TUN is up and a server listens, or why not.
    pub fn open(
        options: Options,
        listener: notices::Listener,
        opened: Reply<Opened>,
    ) -> Result<Tunnel, Error> {
        let wake = Wake::new().map_err(|cause| Error::Internal(format!("eventfd: {cause}")))?;
        let wake = Arc::new(wake);
        let shared = Arc::new(Shared {
            stats: Stats::default(),
            notices: Notices::new(listener),
            desk: Mutex::new(Desk::new(Arc::clone(&wake))),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("zportal".into())
            .spawn(move || thread::main(&for_thread, wake, &options, opened))
            .map_err(|cause| Error::Internal(format!("cannot start a thread: {cause}")))?;
        Ok(Tunnel {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Dials or accepts one peer; from then on packets flow, until [`Tunnel::ended`] says why not.
    pub fn establish(&self, reply: Reply<PeerInfo>) {
        let refused = self.shared.desk().want_session(reply);
        match refused {
            Some((reply, error)) => reply(Err(error)),
            None => self.shared.wake(),
        }
    }

    /// Answers when the current session ends, or at once if the last one has ended.
    pub fn ended(&self, reply: EndReply) {
        let answer = self.shared.desk().await_end(reply);
        if let Some((reply, end)) = answer {
            reply(end);
        }
    }

    /// What has gone through.
    pub fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// Ends the session, removes TUN and socket file, ends the thread; answers when that is done.
    pub fn close(&self, reply: DoneReply) {
        let finished = self.shared.desk().await_finish(reply);
        match finished {
            Some(reply) => reply(),
            None => self.shared.request_close(),
        }
    }
}

impl Tunnel {
    /// Closes as [`Tunnel::close`] does, and returns when the thread is gone.
    pub fn close_and_wait(&self) {
        self.shared.request_close();
        let thread = match self.thread.lock() {
            Ok(mut thread) => thread.take(),
            Err(_) => None,
        };
        if let Some(thread) = thread {
            // A panic in there has been answered as ZP_INTERNAL already.
            let _ = thread.join();
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.close_and_wait();
    }
}
