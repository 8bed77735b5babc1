//! The core's probes for JavaScript, each on a thread of its own: some wait for the network.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use napi::bindgen_prelude::{Env, Object, Result, ToNapiValue};
use napi_derive::napi;
use zportal_core::error::Error;
use zportal_core::link::Way;
use zportal_core::probe::{self, Answer, HopReport, Questions};
use zportal_core::tun::InterfaceAddress;
use zportal_core::wire::features::Features;

use crate::options::NativeProxy;
use crate::outcome::{NativeFailure, promise};

/// What came of creating a device.
#[napi(object, object_from_js = false)]
pub struct DeviceProbe {
    /// The super-packets that the kernel takes there, by the names in HELLO.
    pub offloads: Option<Vec<&'static str>>,
    /// Why it could not be created.
    pub failure: Option<NativeFailure>,
}

/// What came of something that is there or not.
#[napi(object, object_from_js = false)]
pub struct PlainProbe {
    /// Why it is not.
    pub failure: Option<NativeFailure>,
}

/// What came of asking for a congestion control.
#[napi(object, object_from_js = false)]
pub struct CongestionProbe {
    /// The kernel's answer where it refused.
    pub errno: Option<i32>,
}

/// What came of the way to the peer.
#[napi(object, object_from_js = false)]
pub struct WayProbe {
    /// As far as it got; the last is the peer, or what failed.
    pub hops: Option<Vec<HopProbe>>,
    /// Why nothing was tried.
    pub failure: Option<NativeFailure>,
}

/// What came of one hop.
#[napi(object, object_from_js = false)]
pub struct HopProbe {
    /// The hop as it was given.
    pub address: String,
    /// Until it was connected to through the hops before, or until that failed; milliseconds.
    pub ms: f64,
    /// What it said: `reached` for a proxy; else of the peer.
    #[napi(ts_type = "'reached' | 'hello' | 'original' | 'silent' | 'hung-up' | 'stranger'")]
    pub answer: Option<&'static str>,
    /// The version that a ZPortal speaks.
    pub version: Option<u32>,
    /// Its MTU, if it is not ours.
    pub other_mtu_bytes: Option<u32>,
    /// Whether it has an inner address that this end was given too.
    pub shares_address: Option<bool>,
    /// Whether it has a peer already.
    pub busy: Option<bool>,
    /// Why it could not be reached, or why what it says is not ZPortal's protocol.
    pub failure: Option<NativeFailure>,
}

/// What to ask of the way to the peer.
#[napi(object, object_to_js = false)]
pub struct WayQuestions {
    /// Where the peer listens.
    pub connect: String,
    /// Proxies on the way, the nearest first.
    pub proxies: Vec<NativeProxy>,
    /// For the dial to each hop, in milliseconds.
    pub timeout_ms: u32,
    /// SO_MARK for the packets of the streams that are TCP.
    pub so_mark: Option<u32>,
    /// The MTU that this end will have.
    pub mtu_bytes: u32,
    /// The inner addresses of this end, with prefix lengths.
    pub addresses: Vec<String>,
}

/// Asks the machine and the network what a tunnel would meet. Nothing is left behind.
#[napi]
pub struct NativeProbe {}

#[napi]
impl NativeProbe {
    /// Creates the device of that name and removes it again.
    #[napi(ts_return_type = "Promise<DeviceProbe>")]
    pub fn device<'env>(env: &'env Env, name: String) -> Result<Object<'env>> {
        aside(env, move || match probe::device(&name) {
            Ok(offloads) => DeviceProbe {
                offloads: Some(names(offloads)),
                failure: None,
            },
            Err(error) => DeviceProbe {
                offloads: None,
                failure: Some(NativeFailure::from(&error)),
            },
        })
    }

    /// Sends one operation through an io_uring.
    #[napi(ts_return_type = "Promise<PlainProbe>")]
    pub fn ring<'env>(env: &'env Env) -> Result<Object<'env>> {
        aside(env, || PlainProbe {
            failure: failure(probe::ring()),
        })
    }

    /// Sets a congestion control on a TCP socket; may load the kernel's module for it.
    #[napi(ts_return_type = "Promise<CongestionProbe>")]
    pub fn congestion<'env>(env: &'env Env, name: String) -> Result<Object<'env>> {
        aside(env, move || CongestionProbe {
            errno: probe::congestion(&name)
                .err()
                .map(|cause| cause.raw_os_error().unwrap_or_default()),
        })
    }

    /// Listens there for a moment.
    #[napi(ts_return_type = "Promise<PlainProbe>")]
    pub fn listen<'env>(env: &'env Env, address: String) -> Result<Object<'env>> {
        aside(env, move || {
            let listened = address.parse().and_then(|address| probe::listen(&address));
            PlainProbe {
                failure: failure(listened),
            }
        })
    }

    /// Dials each hop in turn, and hears what the peer says.
    #[napi(ts_return_type = "Promise<WayProbe>")]
    pub fn way<'env>(env: &'env Env, questions: WayQuestions) -> Result<Object<'env>> {
        aside(env, move || {
            match questions
                .parse()
                .and_then(|questions| probe::way(&questions))
            {
                Ok(reports) => WayProbe {
                    hops: Some(reports.into_iter().map(HopProbe::from).collect()),
                    failure: None,
                },
                Err(error) => WayProbe {
                    hops: None,
                    failure: Some(NativeFailure::from(&error)),
                },
            }
        })
    }
}

impl WayQuestions {
    fn parse(self) -> std::result::Result<Questions, Error> {
        let proxies = self.proxies.into_iter().map(NativeProxy::parse);
        let addresses = self.addresses.iter().map(|address| {
            let parsed: InterfaceAddress = address.parse()?;
            Ok(parsed.address)
        });
        Ok(Questions {
            way: Way {
                target: self.connect.parse()?,
                proxies: proxies.collect::<std::result::Result<_, Error>>()?,
                timeout: Duration::from_millis(self.timeout_ms.into()),
                mark: self.so_mark,
            },
            mtu_bytes: u16::try_from(self.mtu_bytes).unwrap_or(u16::MAX),
            addresses: addresses.collect::<std::result::Result<Vec<IpAddr>, Error>>()?,
        })
    }
}

impl From<HopReport> for HopProbe {
    fn from(report: HopReport) -> HopProbe {
        let mut hop = HopProbe {
            address: report.address,
            ms: report.took.as_secs_f64() * 1000.0,
            answer: None,
            version: None,
            other_mtu_bytes: None,
            shares_address: None,
            busy: None,
            failure: None,
        };
        hop.answer = match report.outcome {
            Err(error) => {
                hop.failure = Some(NativeFailure::from(&error));
                None
            }
            Ok(Answer::Reached) => Some("reached"),
            Ok(Answer::Original) => Some("original"),
            Ok(Answer::Silent) => Some("silent"),
            Ok(Answer::HungUp) => Some("hung-up"),
            Ok(Answer::Stranger(error)) => {
                hop.failure = Some(NativeFailure::from(&error));
                Some("stranger")
            }
            Ok(Answer::Hello {
                version,
                other_mtu_bytes,
                shares_address,
                busy,
            }) => {
                hop.version = Some(version.into());
                hop.other_mtu_bytes = other_mtu_bytes.map(u32::from);
                hop.shares_address = Some(shares_address);
                hop.busy = Some(busy);
                Some("hello")
            }
        };
        hop
    }
}

fn names(features: Features) -> Vec<&'static str> {
    let named = Features::NAMED.into_iter();
    named
        .filter(|(feature, _)| features.contains(*feature))
        .map(|(_, name)| name)
        .collect()
}

fn failure<T>(outcome: std::result::Result<T, Error>) -> Option<NativeFailure> {
    outcome.err().as_ref().map(NativeFailure::from)
}

/// Does the work on a thread of its own and resolves with what it gives; a panic rejects.
fn aside<T: ToNapiValue + Send + 'static>(
    env: &Env,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Object<'_>> {
    let (settle, promised) = promise::<T>(env)?;
    std::thread::Builder::new()
        .name("zp-probe".into())
        .spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            settle(Box::new(move |_| {
                outcome.map_err(|_| napi::Error::from_reason("a probe panicked"))
            }));
        })
        .map_err(|cause| napi::Error::from_reason(format!("cannot start a thread: {cause}")))?;
    Ok(promised)
}
