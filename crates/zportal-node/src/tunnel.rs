//! The class that JavaScript holds: a handle on a tunnel's thread.
//!
//! Promises are settled from that thread; it is stopped and joined when the environment ends,
//! so that neither a worker's end nor `process.exit` leaves a TUN behind.

use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError, Weak};
use std::thread::ThreadId;
use std::time::Duration;

use napi::bindgen_prelude::{Env, Function, Object, Result};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use zportal_core::notices::Level;
use zportal_core::tunnel::Tunnel;

use crate::options::NativeOptions;
use crate::outcome::{EstablishOutcome, NativeFailure, NativePeer, OpenOutcome, promise};
use crate::stats::NativeStats;

/// Notices that may wait for a busy JavaScript thread; more are dropped.
const NOTICES_WAITING: usize = 64;
/// The same for what the peer's shell says.
const WORDS_WAITING: usize = 16;

/// Something that people should hear of.
#[napi(object, object_from_js = false)]
pub struct NativeNotice {
    /// `info` or `warn`.
    #[napi(ts_type = "'info' | 'warn'")]
    pub level: &'static str,
    /// Its kind: an error code, or a short word.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
}

/// An open tunnel.
#[napi]
pub struct NativeTunnel {
    tunnel: Arc<Tunnel>,
    name: String,
    local: Option<String>,
}

#[napi]
impl NativeTunnel {
    /// Opens TUN and listener; resolves once they are there.
    #[napi(ts_return_type = "Promise<OpenOutcome>")]
    pub fn open<'env>(
        env: &'env Env,
        options: NativeOptions,
        on_notice: Function<'_, NativeNotice, ()>,
        on_word: Function<'_, String, ()>,
    ) -> Result<Object<'env>> {
        let (settle, promised) = promise::<OpenOutcome>(env)?;
        let notice_function = on_notice
            .build_threadsafe_function()
            // A weak one does not keep Node alive for ever.
            .weak::<true>()
            .max_queue_size::<NOTICES_WAITING>()
            .callee_handled::<false>()
            .build()?;
        let word_function = on_word
            .build_threadsafe_function()
            .weak::<true>()
            .max_queue_size::<WORDS_WAITING>()
            .callee_handled::<false>()
            .build()?;
        let options = match options.parse() {
            Ok(options) => options,
            Err(error) => {
                settle(Box::new(move |_| Ok(failed_open(&error))));
                return Ok(promised);
            }
        };
        let handle = Arc::new(OnceLock::<Arc<Tunnel>>::new());
        let for_reply = Arc::clone(&handle);
        let opened = Tunnel::open(
            options,
            Box::new(move |notice| {
                let notice = NativeNotice {
                    level: match notice.level {
                        Level::Info => "info",
                        Level::Warn => "warn",
                    },
                    code: notice.code,
                    message: notice.message,
                };
                // A full queue means a busy listener: the notice is lost, the tunnel is not.
                notice_function.call(notice, ThreadsafeFunctionCallMode::NonBlocking);
            }),
            Box::new(move |word| {
                // A full queue likewise.
                word_function.call(word, ThreadsafeFunctionCallMode::NonBlocking);
            }),
            Box::new(move |opened| {
                settle(Box::new(move |_| {
                    Ok(match (opened, for_reply.get()) {
                        (Ok(opened), Some(tunnel)) => OpenOutcome {
                            value: Some(NativeTunnel {
                                tunnel: Arc::clone(tunnel),
                                name: opened.name,
                                local: opened.local,
                            }),
                            failure: None,
                        },
                        (Ok(_), None) => OpenOutcome {
                            value: None,
                            failure: None,
                        },
                        (Err(error), _) => failed_open(&error),
                    })
                }));
            }),
        );
        match opened {
            Ok(tunnel) => {
                let tunnel = Arc::new(tunnel);
                close_with_environment(env, &tunnel)?;
                // The reply runs on this thread, so it finds the handle set.
                let _ = handle.set(tunnel);
            }
            Err(error) => return Err(napi::Error::from_reason(error.to_string())),
        }
        Ok(promised)
    }

    /// The kernel's name of the device.
    #[napi(getter)]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where a server listens, port 0 resolved.
    #[napi(getter)]
    pub fn local(&self) -> Option<&str> {
        self.local.as_deref()
    }

    /// Dials or accepts one peer, whose packets flow from then on. A dial begins after so many
    /// milliseconds, or earlier when the network comes back.
    #[napi(ts_return_type = "Promise<EstablishOutcome>")]
    pub fn establish<'env>(&self, env: &'env Env, pause_ms: u32) -> Result<Object<'env>> {
        let (settle, promised) = promise::<EstablishOutcome>(env)?;
        let pause = Duration::from_millis(pause_ms.into());
        self.tunnel.establish(
            pause,
            Box::new(move |established| {
                settle(Box::new(move |_| {
                    Ok(match established {
                        Ok(peer) => EstablishOutcome {
                            value: Some(NativePeer::from(peer)),
                            failure: None,
                        },
                        Err(error) => EstablishOutcome {
                            value: None,
                            failure: Some(NativeFailure::from(&error)),
                        },
                    })
                }));
            }),
        );
        Ok(promised)
    }

    /// Resolves with the reason when the current session ends, or at once if it has.
    #[napi(ts_return_type = "Promise<NativeFailure>")]
    pub fn ended<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (settle, promised) = promise::<NativeFailure>(env)?;
        self.tunnel.ended(Box::new(move |end| {
            settle(Box::new(move |_| Ok(NativeFailure::from(&*end))));
        }));
        Ok(promised)
    }

    /// Takes from other options what may change while the tunnel is open; the failure, if they are
    /// refused.
    #[napi]
    pub fn change(&self, options: NativeOptions) -> Option<NativeFailure> {
        let changed = options
            .parse()
            .and_then(|options| self.tunnel.change(&options));
        changed.err().map(|error| NativeFailure::from(&error))
    }

    /// Says a word to the peer's shell; whether it hears it, only its answer tells. False if too
    /// many wait to be sent.
    #[napi]
    pub fn say(&self, word: String) -> bool {
        self.tunnel.say(word)
    }

    /// Asks the thread for a sign of life; whether it has given the last one. Ask seconds apart.
    #[napi]
    pub fn is_alive(&self) -> bool {
        self.tunnel.is_alive()
    }

    /// The counters now.
    #[napi]
    pub fn stats(&self) -> NativeStats {
        NativeStats::from(self.tunnel.stats())
    }

    /// Ends everything; resolves once TUN, socket file and thread are gone.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (settle, promised) = promise::<()>(env)?;
        self.tunnel
            .close(Box::new(move || settle(Box::new(|_| Ok(())))));
        Ok(promised)
    }
}

fn failed_open(error: &zportal_core::error::Error) -> OpenOutcome {
    OpenOutcome {
        value: None,
        failure: Some(NativeFailure::from(error)),
    }
}

/// The tunnels of all environments of the process.
static TUNNELS: Mutex<Vec<(ThreadId, Weak<Tunnel>)>> = Mutex::new(Vec::new());

/// Sees to it that the tunnel ends with its environment, and with the process.
fn close_with_environment(env: &Env, tunnel: &Arc<Tunnel>) -> Result<()> {
    let this_thread = std::thread::current().id();
    let is_first = {
        let mut tunnels = tunnels();
        let is_first = tunnels.iter().all(|(thread, _)| *thread != this_thread);
        tunnels.retain(|(_, known)| known.strong_count() > 0);
        tunnels.push((this_thread, Arc::downgrade(tunnel)));
        is_first
    };
    if is_first {
        // Each environment has a thread of its own. The main one's hooks are not run when
        // `process.exit` ends it, but exit handlers are.
        env.add_env_cleanup_hook((), move |()| close_all(|thread| thread == this_thread))?;
        static AT_EXIT: Once = Once::new();
        AT_EXIT.call_once(|| {
            extern "C" fn close_at_exit() {
                close_all(|_| true);
            }
            // SAFETY: the function touches only what lives as long as the process. A failure
            // leaves the socket file behind when a program exits without closing.
            unsafe { libc::atexit(close_at_exit) };
        });
    }
    Ok(())
}

fn close_all(is_meant: impl Fn(ThreadId) -> bool) {
    let meant: Vec<_> = {
        let mut tunnels = tunnels();
        tunnels
            .extract_if(.., |(thread, _)| is_meant(*thread))
            .collect()
    };
    for tunnel in meant.iter().filter_map(|(_, tunnel)| tunnel.upgrade()) {
        tunnel.close_and_wait();
    }
}

fn tunnels() -> MutexGuard<'static, Vec<(ThreadId, Weak<Tunnel>)>> {
    TUNNELS.lock().unwrap_or_else(PoisonError::into_inner)
}
