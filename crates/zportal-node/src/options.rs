//! Options as JavaScript passes them, parsed into types that cannot be wrong.

use std::time::Duration;

use napi_derive::napi;
use zportal_core::error::Error;
use zportal_core::tun::TunOptions;
use zportal_core::tunnel::{Options, Role};

/// What `NativeTunnel.open` takes; exactly one of `bind` and `connect` is set.
#[napi(object, object_to_js = false)]
pub struct NativeOptions {
    /// `zt0`, or a pattern such as `tun%d` that the kernel numbers.
    pub name: String,
    /// 68 to 65535.
    pub mtu_bytes: u32,
    /// Addresses with prefix lengths, as in `10.10.0.1/24`.
    pub addresses: Vec<String>,
    /// Where to listen.
    pub bind: Option<String>,
    /// Where the peer listens.
    pub connect: Option<String>,
    /// SOCKS5 proxies on the way, the nearest first.
    pub proxies: Vec<String>,
    /// For the whole dial, in milliseconds.
    pub dial_timeout_ms: u32,
    /// Whether super-packets may be carried, if the peer can.
    pub offload: bool,
    /// Congestion control of the stream, if it is TCP; by default BBR where the kernel has it.
    pub congestion: Option<String>,
}

impl NativeOptions {
    /// Parses every string once.
    pub fn parse(self) -> Result<Options, Error> {
        let mtu_bytes = u16::try_from(self.mtu_bytes)
            .ok()
            .filter(|mtu_bytes| *mtu_bytes >= 68)
            .ok_or_else(|| {
                Error::Option(format!(
                    "an MTU of {} is not possible: it is 68 to 65535 bytes",
                    self.mtu_bytes
                ))
            })?;
        let addresses = self.addresses.iter().map(|address| address.parse());
        let role = match (self.bind, self.connect) {
            (Some(bind), None) => Role::Serve {
                bind: bind.parse()?,
            },
            (None, Some(connect)) => {
                let proxies = self.proxies.iter().map(|proxy| proxy.parse());
                Role::Dial {
                    target: connect.parse()?,
                    proxies: proxies.collect::<Result<_, _>>()?,
                    timeout: Duration::from_millis(self.dial_timeout_ms.into()),
                }
            }
            _ => {
                return Err(Error::Option(
                    "exactly one of bind and connect must be given".into(),
                ));
            }
        };
        Ok(Options {
            tun: TunOptions {
                name: self.name,
                mtu_bytes,
                addresses: addresses.collect::<Result<_, _>>()?,
            },
            role,
            offload: self.offload,
            congestion: self.congestion,
        })
    }
}
