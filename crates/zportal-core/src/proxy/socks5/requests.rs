//! What is written to a SOCKS5 proxy, or why it cannot be said.

use crate::address::{Address, Host};
use crate::proxy::credentials::Credentials;

use super::VERSION;

const COMMAND_CONNECT: u8 = 0x01;
const LOGIN_VERSION: u8 = 0x01;

pub(super) const TYPE_V4: u8 = 0x01;
pub(super) const TYPE_NAME: u8 = 0x03;
pub(super) const TYPE_V6: u8 = 0x04;

/// RFC 1928 §4.
pub(super) fn connect(target: &Address) -> Result<Vec<u8>, String> {
    let (host, port) = match target {
        Address::Tcp { host, port } => (host, port),
        Address::UnixPath(_) | Address::UnixAbstract(_) => {
            return Err("it knows only hosts with ports, no Unix sockets".into());
        }
    };
    let mut bytes = vec![VERSION, COMMAND_CONNECT, 0x00];
    match host {
        Host::V4(address) => {
            bytes.push(TYPE_V4);
            bytes.extend_from_slice(&address.octets());
        }
        Host::V6(address) => {
            bytes.push(TYPE_V6);
            bytes.extend_from_slice(&address.octets());
        }
        Host::V6Zone(..) => {
            return Err("the interface in it has a meaning on this machine only".into());
        }
        Host::Name(name) => {
            let length = u8::try_from(name.len()).unwrap_or(0);
            if length == 0 {
                return Err(format!(
                    "its name has {} bytes, where 1 to 255 fit",
                    name.len()
                ));
            }
            bytes.extend_from_slice(&[TYPE_NAME, length]);
            bytes.extend_from_slice(name.as_bytes());
        }
    }
    bytes.extend_from_slice(&port.to_be_bytes());
    Ok(bytes)
}

/// RFC 1929 §2. An empty password is outside its letter, and what servers without one expect.
pub(super) fn login(credentials: &Credentials) -> Result<Vec<u8>, String> {
    let Credentials { name, password } = credentials;
    let (Ok(name_bytes @ 1..), Ok(password_bytes)) =
        (u8::try_from(name.len()), u8::try_from(password.len()))
    else {
        return Err(format!(
            "SOCKS5 carries names of 1 to 255 bytes and passwords of at most 255, \
             not {} and {}",
            name.len(),
            password.len()
        ));
    };
    let mut bytes = vec![LOGIN_VERSION, name_bytes];
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(password_bytes);
    bytes.extend_from_slice(password.as_bytes());
    Ok(bytes)
}
