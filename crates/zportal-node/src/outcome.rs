//! Results as JavaScript sees them: a value, or a failure with all its fields.

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use zportal_core::error::Error;
use zportal_core::link::Hop;
use zportal_core::proxy::Kind;
use zportal_core::tunnel::PeerInfo;

use crate::tunnel::NativeTunnel;

/// An error of the core, field by field.
#[napi(object, object_from_js = false)]
pub struct NativeFailure {
    /// The stable code.
    pub code: String,
    /// What happened, with what was got, and what to do.
    pub message: String,
    /// The operating system's error number.
    pub errno: Option<i32>,
    /// Which hop failed, 0 for the nearest.
    pub hop: Option<u32>,
    /// The message of the cause.
    pub cause: Option<String>,
}

impl From<&Error> for NativeFailure {
    fn from(error: &Error) -> NativeFailure {
        NativeFailure {
            code: error.code().to_owned(),
            message: error.to_string(),
            errno: error.errno(),
            hop: error.hop().and_then(|hop| u32::try_from(hop).ok()),
            cause: std::error::Error::source(error).map(ToString::to_string),
        }
    }
}

/// Who the peer is.
#[napi(object, object_from_js = false)]
pub struct NativePeer {
    /// Its address, or the way to it.
    pub address: String,
    /// How long the dial took, or how long a server waited; milliseconds.
    pub dial_ms: f64,
    /// The hops to it that were dialed, the peer last; none on a server.
    pub hops: Vec<NativeHop>,
    /// How it speaks: `original`, `silent` (nothing came yet), or version and features.
    pub speech: String,
}

/// One hop on the way to the peer.
#[napi(object, object_from_js = false)]
pub struct NativeHop {
    /// Where it is.
    pub address: String,
    /// What it is.
    #[napi(ts_type = "'socks5' | 'http' | 'tor' | 'peer'")]
    pub kind: &'static str,
    /// How long it took to get there from the hop before, in milliseconds.
    pub ms: f64,
}

impl From<Hop> for NativeHop {
    fn from(hop: Hop) -> NativeHop {
        NativeHop {
            address: hop.address,
            kind: hop.proxy.map_or("peer", Kind::word),
            // To the tenth: what is beyond is the clock's and the scheduler's.
            ms: (hop.took.as_secs_f64() * 10_000.0).round() / 10.0,
        }
    }
}

impl From<PeerInfo> for NativePeer {
    fn from(peer: PeerInfo) -> NativePeer {
        NativePeer {
            hops: peer.hops.into_iter().map(NativeHop::from).collect(),
            address: peer.address,
            dial_ms: peer.established_ms as f64,
            speech: peer.speech,
        }
    }
}

/// What `open` resolves to.
#[napi(object, object_from_js = false)]
pub struct OpenOutcome {
    /// The open tunnel.
    pub value: Option<NativeTunnel>,
    /// Why there is none.
    pub failure: Option<NativeFailure>,
}

/// What `establish` resolves to.
#[napi(object, object_from_js = false)]
pub struct EstablishOutcome {
    /// The peer, whose packets flow now.
    pub value: Option<NativePeer>,
    /// Why there is none.
    pub failure: Option<NativeFailure>,
}

/// What settles a promise, on the JavaScript thread.
pub type Resolver<T> = Box<dyn FnOnce(Env) -> Result<T> + Send>;

/// A promise and the means to settle it from any thread.
pub fn promise<T: napi::bindgen_prelude::ToNapiValue>(
    env: &Env,
) -> Result<(impl FnOnce(Resolver<T>) + Send + use<T>, Object<'_>)> {
    let (deferred, promise) = env.create_deferred::<T, Resolver<T>>()?;
    Ok((move |resolver| deferred.resolve(resolver), promise))
}
