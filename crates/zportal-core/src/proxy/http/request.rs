//! What is written to an HTTP proxy, or why it cannot be said.

use super::base64;
use crate::address::{Address, Host};
use crate::proxy::credentials::Credentials;

/// Name and password together, in bytes; more does not fit into the headers that servers take.
const CREDENTIALS_LIMIT_BYTES: usize = 4096;

/// The request with its head's end. Nothing in it tells who asks: no User-Agent.
pub(super) fn connect(
    target: &Address,
    credentials: Option<&Credentials>,
) -> Result<Vec<u8>, String> {
    let cannot = |reason: &str| format!("an HTTP proxy cannot reach {target}: {reason}");
    match target {
        Address::UnixPath(_) | Address::UnixAbstract(_) => {
            return Err(cannot("it knows only hosts with ports, no Unix sockets"));
        }
        Address::Tcp {
            host: Host::V6Zone(..),
            ..
        } => {
            return Err(cannot(
                "the interface in it has a meaning on this machine only",
            ));
        }
        // A line end in a name would begin a header of its own.
        Address::Tcp {
            host: Host::Name(name),
            ..
        } if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) => {
            return Err(cannot("its name cannot stand in a request"));
        }
        Address::Tcp { .. } => {}
    }
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(Credentials { name, password }) = credentials {
        if name.contains(':') {
            return Err("a name for an HTTP proxy cannot contain a colon (RFC 7617)".into());
        }
        if name.chars().chain(password.chars()).any(char::is_control) {
            return Err(
                "neither name nor password for an HTTP proxy can contain control characters".into(),
            );
        }
        if name.len() + password.len() > CREDENTIALS_LIMIT_BYTES {
            return Err(format!(
                "name and password for an HTTP proxy have at most {CREDENTIALS_LIMIT_BYTES} bytes"
            ));
        }
        let proof = base64::encode(format!("{name}:{password}").as_bytes());
        request.push_str(&format!("Proxy-Authorization: Basic {proof}\r\n"));
    }
    request.push_str("\r\n");
    Ok(request.into_bytes())
}
