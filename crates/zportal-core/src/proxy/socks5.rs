//! SOCKS5 (RFC 1928) as a client: greeting, choice of a method, CONNECT, reply.
//!
//! The target's name goes to the proxy as a name and is never resolved here.
//!
//! The machine is strict about what would make the rest unreadable (versions, address types)
//! and liberal where servers in use differ: the reserved byte may have any value, the bound
//! address may be anything including an empty name, and a refusal counts as soon as its code
//! has arrived, because some servers close without sending the rest.

use super::step::{Failure, Step};
use crate::address::{Address, Host};
use crate::error::Error;

const VERSION: u8 = 0x05;
const COMMAND_CONNECT: u8 = 0x01;

const METHOD_NONE: u8 = 0x00;
const METHOD_GSSAPI: u8 = 0x01;
const METHOD_PASSWORD: u8 = 0x02;
const METHOD_NOT_ACCEPTABLE: u8 = 0xff;

/// The methods offered, in the order of preference. RFC 1929 adds [`METHOD_PASSWORD`] here, and
/// a state between [`State::Method`] and [`State::Reply`].
const OFFERED: &[u8] = &[METHOD_NONE];

const TYPE_V4: u8 = 0x01;
const TYPE_NAME: u8 = 0x03;
const TYPE_V6: u8 = 0x04;

const REPLY_SUCCEEDED: u8 = 0x00;

/// Version, reply, reserved byte, address type, and the length of a name: as far as a reply has
/// to be read to know its length.
const REPLY_HEAD_BYTES: usize = 4;
/// The longest answer: a reply whose bound address is a name of 255 bytes.
const ANSWER_LIMIT_BYTES: usize = REPLY_HEAD_BYTES + 1 + 255 + 2;

/// The client's side of one handshake.
#[derive(Debug)]
pub struct Socks5 {
    state: State,
    request: Vec<u8>,
    /// The part of the current answer that has arrived; never above [`ANSWER_LIMIT_BYTES`].
    answer: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Greeting,
    Method,
    Reply,
    Joined,
    Failed(Failure),
}

/// What the answer read so far amounts to.
enum Verdict {
    /// It has at least this many bytes.
    Needs(usize),
    /// It ends here and is good.
    Good,
    Bad(Failure),
}

impl Socks5 {
    /// A handshake that asks for a connection to `target`.
    ///
    /// # Errors
    /// [`Error::Option`] if SOCKS5 has no words for the target: a Unix socket, an address with
    /// an interface, a name of no or of more than 255 bytes.
    pub fn new(target: &Address) -> Result<Self, Error> {
        let request = request(target).map_err(|reason| {
            Error::Option(format!("a SOCKS5 proxy cannot reach {target}: {reason}"))
        })?;
        Ok(Self {
            state: State::Greeting,
            request,
            answer: Vec::with_capacity(ANSWER_LIMIT_BYTES),
        })
    }

    /// Goes on with the bytes that arrived, in order and each once, however they were cut. The
    /// first call takes none.
    pub fn advance(&mut self, input: &[u8]) -> Step {
        let judge = match &self.state {
            State::Greeting => {
                self.state = State::Method;
                let mut bytes = vec![VERSION, OFFERED.len() as u8];
                bytes.extend_from_slice(OFFERED);
                return Step::Send { bytes, consumed: 0 };
            }
            State::Method => judge_method,
            State::Reply => judge_reply,
            State::Joined => return Step::Done { consumed: 0 },
            State::Failed(failure) => return Step::Failed(failure.clone()),
        };
        let mut consumed = 0;
        loop {
            match judge(&self.answer) {
                Verdict::Needs(wanted) => {
                    let missing = wanted - self.answer.len();
                    let rest = &input[consumed..];
                    let taken = &rest[..missing.min(rest.len())];
                    self.answer.extend_from_slice(taken);
                    consumed += taken.len();
                    if taken.len() < missing {
                        return Step::NeedMore;
                    }
                }
                Verdict::Good => return self.answered(consumed),
                Verdict::Bad(failure) => {
                    self.state = State::Failed(failure.clone());
                    return Step::Failed(failure);
                }
            }
        }
    }

    fn answered(&mut self, consumed: usize) -> Step {
        self.answer.clear();
        if let State::Method = self.state {
            self.state = State::Reply;
            return Step::Send {
                bytes: std::mem::take(&mut self.request),
                consumed,
            };
        }
        self.state = State::Joined;
        Step::Done { consumed }
    }

    /// What the proxy owes us now, as it reads behind "waiting for".
    pub fn awaiting(&self) -> &'static str {
        match self.state {
            State::Greeting | State::Method => "its choice of an authentication method",
            State::Reply => "its reply to the request to connect",
            State::Joined | State::Failed(_) => "nothing more",
        }
    }
}

fn request(target: &Address) -> Result<Vec<u8>, String> {
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

fn judge_method(answer: &[u8]) -> Verdict {
    match *answer {
        [] => Verdict::Needs(1),
        [VERSION] => Verdict::Needs(2),
        [VERSION, method, ..] if OFFERED.contains(&method) => Verdict::Good,
        [VERSION, METHOD_NOT_ACCEPTABLE, ..] => Verdict::Bad(Failure::Auth(
            "it accepts no client without a name and password or another proof (method 0xff)"
                .into(),
        )),
        [VERSION, METHOD_PASSWORD, ..] => Verdict::Bad(Failure::Auth(
            "it insists on a name and password (method 0x02)".into(),
        )),
        [VERSION, METHOD_GSSAPI, ..] => {
            Verdict::Bad(Failure::Auth("it insists on GSSAPI (method 0x01)".into()))
        }
        [VERSION, method, ..] => Verdict::Bad(Failure::Protocol(format!(
            "it chose authentication method {method:#04x}, which was not offered"
        ))),
        [version, ..] => wrong_version(version),
    }
}

fn judge_reply(answer: &[u8]) -> Verdict {
    match *answer {
        [] => Verdict::Needs(1),
        [VERSION] => Verdict::Needs(2),
        [VERSION, REPLY_SUCCEEDED] | [VERSION, REPLY_SUCCEEDED, _] => {
            Verdict::Needs(REPLY_HEAD_BYTES)
        }
        [VERSION, REPLY_SUCCEEDED, _, kind, ref bound @ ..] => {
            let address_bytes = match (kind, bound) {
                (TYPE_V4, _) => 4,
                (TYPE_V6, _) => 16,
                (TYPE_NAME, []) => return Verdict::Needs(REPLY_HEAD_BYTES + 1),
                (TYPE_NAME, [length, ..]) => 1 + usize::from(*length),
                _ => {
                    return Verdict::Bad(Failure::Protocol(format!(
                        "its reply has the unknown address type {kind:#04x}"
                    )));
                }
            };
            let wanted = REPLY_HEAD_BYTES + address_bytes + 2;
            if answer.len() < wanted {
                Verdict::Needs(wanted)
            } else {
                Verdict::Good
            }
        }
        [VERSION, code, ..] => Verdict::Bad(Failure::Refused(refusal(code))),
        [version, ..] => wrong_version(version),
    }
}

fn wrong_version(version: u8) -> Verdict {
    let guess = match version {
        b'H' => " (an HTTP server?)",
        b'S' => " (an SSH server?)",
        0x00 => " (a SOCKS4 proxy?)",
        0x15 | 0x16 => " (a TLS server?)",
        _ => "",
    };
    Verdict::Bad(Failure::Protocol(format!(
        "its answer starts with {version:#04x} instead of SOCKS version 0x05{guess}"
    )))
}

/// RFC 1928 §6, with what each usually means.
fn refusal(code: u8) -> String {
    let sentence = match code {
        0x01 => "general failure of the SOCKS server",
        0x02 => "its rules do not allow this connection",
        0x03 => "network unreachable from there",
        0x04 => "host unreachable from there, or its name is unknown there",
        0x05 => "the target refused the connection",
        0x06 => "TTL expired on the way: the target did not answer in time",
        0x07 => "it does not support the CONNECT command",
        0x08 => "it does not support this type of address (IPv4, IPv6 or name)",
        _ => "a reply code that RFC 1928 does not know",
    };
    format!("{sentence} (reply {code:#04x})")
}
