//! Where a stream can go: TCP host and port, a Unix socket's path, or an abstract Unix name.
//!
//! Whatever [`Address::from_str`] accepts, [`Display`](fmt::Display) writes back in a form that
//! parses to the same value; whatever it refuses, it refuses with what was got and what is
//! accepted. Nothing here resolves or connects.
//!
//! Port 0 parses, because listening on it means "any free port"; [`crate::link`] refuses it
//! where it would have to be dialed.

#![forbid(unsafe_code)]

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::Error;

/// Longest path or abstract name of a Unix socket, in bytes: `sun_path` has 108, one of which is
/// the closing (path) or leading (abstract) NUL. See unix(7).
pub const UNIX_NAME_LIMIT_BYTES: usize = 107;

/// Longest host name in its written form, in bytes (RFC 1035 §2.3.4).
pub const HOST_NAME_LIMIT_BYTES: usize = 253;

/// Longest label (the part between two dots) of a host name, in bytes (RFC 1035 §2.3.4).
const LABEL_LIMIT_BYTES: usize = 63;

/// Longest name of a network interface, in bytes (`IFNAMSIZ` without its NUL).
const ZONE_LIMIT_BYTES: usize = 15;

const ACCEPTED: &str = "accepted are 192.0.2.1:7000, [2001:db8::1]:7000, host.example:7000, \
                        unix:/path and unixa:name";

/// Where to listen, or where to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// `192.0.2.1:7000`, `[2001:db8::1]:7000`, `[fe80::1%eth0]:7000` or `host.example:7000`.
    Tcp {
        /// The machine.
        host: Host,
        /// The port; 0 is for listening only.
        port: u16,
    },
    /// `unix:/path`: a Unix socket in the file system.
    UnixPath(PathBuf),
    /// `unixa:name`: a Unix socket in Linux's abstract name space, without the leading NUL.
    UnixAbstract(String),
}

/// The machine in a TCP address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// A link-local IPv6 address with the interface it is meant on, by name or by number
    /// (RFC 4007 §11): two directly joined machines have these before anything is configured.
    V6Zone(Ipv6Addr, String),
    /// A name, resolved by whoever is nearest to the peer: the last proxy, or us without proxies.
    Name(String),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text)
            .map_err(|reason| Error::Option(format!("address {text:?}: {reason}; {ACCEPTED}")))
    }
}

impl Address {
    /// Whether it is an onion service's: a name that means something to Tor only, and that no
    /// name server may be asked for (RFC 7686 §2).
    pub fn is_onion(&self) -> bool {
        let Address::Tcp {
            host: Host::Name(name),
            ..
        } = self
        else {
            return false;
        };
        let last = name.strip_suffix('.').unwrap_or(name).rsplit('.').next();
        last.is_some_and(|label| label.eq_ignore_ascii_case("onion"))
    }
}

fn parse(text: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        check_unix("path", path)?;
        return Ok(Address::UnixPath(PathBuf::from(path)));
    }
    if let Some(name) = text.strip_prefix("unixa:") {
        check_unix("abstract name", name)?;
        return Ok(Address::UnixAbstract(name.to_owned()));
    }
    if text.contains("://") {
        return Err("it is a URL where an address is expected".into());
    }
    if text.starts_with('/') {
        return Err(format!("to mean a Unix socket, write unix:{text}"));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inner, after) = rest.split_once(']').ok_or("the closing ] is missing")?;
        let host = parse_bracketed(inner)?;
        let port = after.strip_prefix(':').ok_or("after ] comes :port")?;
        return Ok(Address::Tcp {
            host,
            port: parse_port(port)?,
        });
    }
    let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
    if host.contains(':') {
        return Err("an IPv6 address stands in brackets, before the port".into());
    }
    if host.is_empty() {
        return Err("the host is missing (to listen everywhere, 0.0.0.0 or [::])".into());
    }
    Ok(Address::Tcp {
        host: parse_host(host)?,
        port: parse_port(port)?,
    })
}

fn check_unix(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("the {what} is empty"));
    }
    if name.contains('\0') {
        return Err(format!("the {what} contains a NUL byte"));
    }
    if name.len() > UNIX_NAME_LIMIT_BYTES {
        let got = name.len();
        return Err(format!(
            "the {what} has {got} bytes, where Unix sockets allow {UNIX_NAME_LIMIT_BYTES}"
        ));
    }
    Ok(())
}

fn parse_port(text: &str) -> Result<u16, String> {
    // Digits are checked first because u16's own parser also takes a leading plus sign.
    if text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(port) = text.parse()
    {
        return Ok(port);
    }
    Err(format!(
        "the port is {text:?}, where a number from 0 to 65535 is expected"
    ))
}

fn parse_bracketed(text: &str) -> Result<Host, String> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let address: Ipv6Addr = address
        .parse()
        .map_err(|_| format!("{address:?} in brackets is not an IPv6 address"))?;
    let Some(zone) = zone else {
        return Ok(Host::V6(address));
    };
    if !address.is_unicast_link_local() {
        return Err(format!(
            "only link-local addresses (fe80::/10) take an interface, not {address}"
        ));
    }
    let fits = (1..=ZONE_LIMIT_BYTES).contains(&zone.len());
    if !fits
        || zone
            .bytes()
            .any(|byte| !byte.is_ascii_graphic() || b"/:%[]".contains(&byte))
    {
        return Err(format!("{zone:?} is not the name of a network interface"));
    }
    Ok(Host::V6Zone(address, zone.to_owned()))
}

fn parse_host(text: &str) -> Result<Host, String> {
    if let Ok(address) = text.parse() {
        return Ok(Host::V4(address));
    }
    if !text.is_ascii() {
        return Err(format!(
            "the host name {text:?} is not ASCII (write its xn-- form)"
        ));
    }
    // Underscores are no host names by the letter of RFC 1123, and are common in practice.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if let Some(bad) = text.bytes().find(|byte| !allowed(*byte)) {
        return Err(format!(
            "the host name {text:?} contains {:?}",
            char::from(bad)
        ));
    }
    if text.len() > HOST_NAME_LIMIT_BYTES {
        return Err(format!(
            "the host name has {} bytes, where {HOST_NAME_LIMIT_BYTES} are allowed",
            text.len()
        ));
    }
    // One closing dot is the root, and says that no search domain is to be appended.
    let labels = text.strip_suffix('.').unwrap_or(text);
    if labels
        .split('.')
        .any(|label| !(1..=LABEL_LIMIT_BYTES).contains(&label.len()))
    {
        return Err(format!(
            "between the dots of {text:?} belong 1 to {LABEL_LIMIT_BYTES} bytes"
        ));
    }
    // No top-level domain is a number. Without this check a mistyped 192.0.2.256 would be looked
    // up as a name, and 10.1 would quietly mean 10.0.0.1, as the C library reads it.
    let last = labels.rsplit('.').next().unwrap_or(labels);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    if last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(format!(
            "{text:?} is neither an IPv4 address nor a host name"
        ));
    }
    Ok(Host::Name(text.to_owned()))
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } => write!(out, "{host}:{port}"),
            Address::UnixPath(path) => write!(out, "unix:{}", path.display()),
            Address::UnixAbstract(name) => write!(out, "unixa:{name}"),
        }
    }
}

/// As it stands before the port: IPv6 in brackets.
impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::V4(address) => write!(out, "{address}"),
            Host::V6(address) => write!(out, "[{address}]"),
            Host::V6Zone(address, zone) => write!(out, "[{address}%{zone}]"),
            Host::Name(name) => write!(out, "{name}"),
        }
    }
}
