//! A tunnel is one OS thread that owns its TUN, its listener and its session, and does one thing
//! when asked: open, establish one peer, close. When to ask is the caller's policy.
//!
//! Every request is answered exactly once, also when the thread panics.

mod announce;
mod changeable;
mod churn;
mod desk;
mod idle;
mod reach;
mod request;
mod routes;
mod shared;
mod thread;

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::Error;
use crate::notices::{self, Notices};
use crate::route::Routing;
use crate::stats::Stats;
use crate::wake::Wake;
use crate::words::{self, Words};
use changeable::Changeable;
use desk::Desk;
pub use request::{DoneReply, EndReply, Opened, Options, PeerInfo, Reply, Role};
use shared::Shared;

/// A handle on a tunnel's thread; dropping it closes the tunnel and waits for the thread.
pub struct Tunnel {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Tunnel {
    /// Starts the thread; `opened` hears when the TUN is up and a server listens, or why not.
    /// `listener` hears notices, `ear` what the peer's shell says.
    pub fn open(
        options: Options,
        listener: notices::Listener,
        ear: words::Listener,
        opened: Reply<Opened>,
    ) -> Result<Tunnel, Error> {
        let wake = Wake::new().map_err(|cause| Error::Internal(format!("eventfd: {cause}")))?;
        let wake = Arc::new(wake);
        let shared = Arc::new(Shared {
            stats: Stats::default(),
            notices: Notices::new(listener),
            words: Words::new(ear),
            changeable: Changeable::new(&options),
            routing: Routing::default(),
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
    /// A dial begins after `pause`, or earlier when the network comes back.
    pub fn establish(&self, pause: Duration, reply: Reply<PeerInfo>) {
        let refused = self.shared.desk().want_session(pause, reply);
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

    /// Takes from other options what may change while a tunnel is open: of a client where it dials,
    /// and how; of a server who may come; of both the congestion control, and the routes. These
    /// hold at once, and the kernel is waited for; the others from the next dial, newcomer or
    /// session on. The rest of the options is not looked at.
    ///
    /// # Errors
    /// [`Error::Option`], [`Error::SoMark`], those of [`Routing::set`]; then nothing changes.
    pub fn change(&self, options: &Options) -> Result<(), Error> {
        self.shared.changeable.check(options)?;
        // What the kernel may refuse comes first.
        routes::set(&self.shared, options)?;
        self.shared.changeable.change(options)
    }

    /// Says a word to the peer's shell; nothing tells whether it hears it. False if too many wait.
    pub fn say(&self, text: String) -> bool {
        let fits = self.shared.words.say(text);
        self.shared.wake();
        fits
    }

    /// Asks the thread for a sign of life; whether it has given the last one. One that was asked
    /// less than a second ago may simply not have come to it.
    pub fn is_alive(&self) -> bool {
        self.shared.desk().wake().is_some_and(Wake::is_heard)
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
