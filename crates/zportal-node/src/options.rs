//! Options as JavaScript passes them, parsed into types that cannot be wrong.

use std::time::Duration;

use napi_derive::napi;
use zportal_core::error::Error;
use zportal_core::link::Way;
use zportal_core::proxy::{Credentials, Kind, Proxy};
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
    /// Networks that a server's peer may come from over TCP; empty: all.
    pub allow: Vec<String>,
    /// Where the peer listens.
    pub connect: Option<String>,
    /// Proxies on the way, the nearest first.
    pub proxies: Vec<NativeProxy>,
    /// Networks to route into the tunnel.
    pub routes: Vec<String>,
    /// For the whole dial, in milliseconds.
    pub dial_timeout_ms: u32,
    /// Whether super-packets may be carried, if the peer can.
    pub offload: bool,
    /// Congestion control of the stream, if it is TCP; by default BBR where the kernel has it.
    pub congestion: Option<String>,
    /// SO_MARK for the packets of the stream, if it is TCP.
    pub so_mark: Option<u32>,
}

/// A proxy on the way.
#[napi(object, object_to_js = false)]
pub struct NativeProxy {
    /// What it speaks.
    #[napi(ts_type = "'socks5' | 'http' | 'tor'")]
    pub kind: String,
    /// Where it listens.
    pub address: String,
    /// Who we are there; a Tor without it gets random credentials at each dial.
    pub user: Option<String>,
    /// Goes with `user`.
    pub password: Option<String>,
}

impl NativeProxy {
    /// Parses its strings once.
    pub fn parse(self) -> Result<Proxy, Error> {
        let kind = [Kind::Socks5, Kind::Http, Kind::Tor]
            .into_iter()
            .find(|kind| kind.word() == self.kind)
            .ok_or_else(|| Error::Option(format!("there is no kind of proxy {:?}", self.kind)))?;
        Ok(Proxy {
            kind,
            address: self.address.parse()?,
            credentials: self.user.map(|name| Credentials {
                name,
                password: self.password.unwrap_or_default(),
            }),
        })
    }
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
        let routes = self.routes.iter().map(|route| route.parse());
        let routes = routes.collect::<Result<_, Error>>()?;
        let addresses = self.addresses.iter().map(|address| address.parse());
        let role = match (self.bind, self.connect) {
            (Some(bind), None) => Role::Serve {
                bind: bind.parse()?,
                mark: self.so_mark,
                allow: self
                    .allow
                    .iter()
                    .map(|network| network.parse())
                    .collect::<Result<_, _>>()?,
            },
            (None, Some(connect)) => {
                let proxies = self.proxies.into_iter().map(NativeProxy::parse);
                Role::Dial(Way {
                    target: connect.parse()?,
                    proxies: proxies.collect::<Result<_, _>>()?,
                    timeout: Duration::from_millis(self.dial_timeout_ms.into()),
                    mark: self.so_mark,
                })
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
            routes,
            offload: self.offload,
            congestion: self.congestion,
        })
    }
}
