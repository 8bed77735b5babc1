//! The class that JavaScript holds: a handle on a tunnel's thread.
//!
//! Promises are settled from that thread; it is stopped and joined when the environment ends,
//! so that neither a worker's end nor `process.exit` leaves a TUN behind.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock, Weak};

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
    ) -> Result<Object<'env>> {
        let (settle, promised) = promise::<OpenOutcome>(env)?;
        let notice_function = on_notice
            .build_threadsafe_function()
            // A weak one does not keep Node alive for ever.
            .weak::<true>()
            .max_queue_size::<NOTICES_WAITING>()
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

    /// Dials or accepts one peer, whose packets flow from then on.
    #[napi(ts_return_type = "Promise<EstablishOutcome>")]
    pub fn establish<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (settle, promised) = promise::<EstablishOutcome>(env)?;
        self.tunnel.establish(Box::new(move |established| {
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
        }));
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

thread_local! {
    /// The tunnels of this environment (each has a thread of its own), once it has opened one.
    static TUNNELS: RefCell<Option<Vec<Weak<Tunnel>>>> = const { RefCell::new(None) };
}

fn close_with_environment(env: &Env, tunnel: &Arc<Tunnel>) -> Result<()> {
    let is_first = TUNNELS.with_borrow_mut(|tunnels| {
        let is_first = tunnels.is_none();
        let tunnels = tunnels.get_or_insert_default();
        tunnels.retain(|known| known.strong_count() > 0);
        tunnels.push(Arc::downgrade(tunnel));
        is_first
    });
    if is_first {
        env.add_env_cleanup_hook((), |()| {
            for tunnel in TUNNELS.take().unwrap_or_default() {
                if let Some(tunnel) = tunnel.upgrade() {
                    tunnel.close_and_wait();
                }
            }
        })?;
    }
    Ok(())
}
