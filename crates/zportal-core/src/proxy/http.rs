//! HTTP CONNECT (RFC 9110 §9.3.6) as a client, with Basic authentication (RFC 7617).
//!
//! The head of the answer is read to its last byte and not beyond, and is bounded: at most
//! [`HEAD_LIMIT_BYTES`], interim answers included. What is no HTTP/1 fails at the first byte
//! that shows it. A success has no body, whatever its headers say, and the body of a refusal is
//! not read: the connection ends there.
//!
//! The target's name goes to the proxy as a name and is never resolved here.

mod base64;
mod request;

use super::credentials::{Credentials, Hidden};
use super::step::{Failure, Step};
use crate::address::Address;
use crate::error::Error;

/// Heads of answers, together, in bytes; who is above is turned away. Proxies in use send a few
/// hundred bytes; servers commonly bound what they read to 8 KiB.
pub const HEAD_LIMIT_BYTES: usize = 16 * 1024;
/// As much of a status line as a message shows, in characters.
const SHOWN_LIMIT_CHARS: usize = 120;
/// So many authentication schemes are kept for the message.
const SCHEMES_LIMIT: usize = 8;

const OPENING: &[u8] = b"HTTP/1.";

/// The client's side of one request.
#[derive(Debug)]
pub struct Http {
    state: State,
    request: Hidden,
    gave_credentials: bool,
    /// The line that is arriving, without its end.
    line: Vec<u8>,
    /// Bytes of all heads so far; never above [`HEAD_LIMIT_BYTES`].
    head_bytes: usize,
}

#[derive(Debug)]
enum State {
    Asking,
    /// The first line of an answer.
    Status,
    /// The lines after a status line that says this.
    Headers(Meaning),
    Joined,
    Failed(Failure),
}

#[derive(Debug)]
enum Meaning {
    /// Another answer follows (1xx).
    Interim,
    /// We are joined as soon as the head has ended (2xx).
    Success,
    /// It wants to know who we are (407), by one of these schemes. tinyproxy says 401 where the
    /// password is wrong, and no other proxy means anything else by it.
    Unauthorized {
        status_line: String,
        schemes: Vec<String>,
    },
}

impl Http {
    /// A request for a connection to `target`.
    ///
    /// # Errors
    /// [`Error::Option`] if HTTP has no words for the target (a Unix socket, an address with an
    /// interface) or Basic none for the credentials (a colon in the name, control characters).
    pub fn new(target: &Address, credentials: Option<&Credentials>) -> Result<Self, Error> {
        Ok(Self {
            state: State::Asking,
            request: Hidden(request::connect(target, credentials).map_err(Error::Option)?),
            gave_credentials: credentials.is_some(),
            line: Vec::new(),
            head_bytes: 0,
        })
    }

    /// Goes on with the bytes that arrived, in order and each once, however they were cut. The
    /// first call takes none.
    pub fn advance(&mut self, input: &[u8]) -> Step {
        match &self.state {
            State::Asking => {
                self.state = State::Status;
                let bytes = std::mem::take(&mut self.request.0);
                return Step::Send { bytes, consumed: 0 };
            }
            State::Joined => return Step::Done { consumed: 0 },
            State::Failed(failure) => return Step::Failed(failure.clone()),
            State::Status | State::Headers(_) => {}
        }
        for (index, byte) in input.iter().enumerate() {
            match self.take(*byte) {
                Ok(()) if matches!(self.state, State::Joined) => {
                    return Step::Done {
                        consumed: index + 1,
                    };
                }
                Ok(()) => {}
                Err(failure) => {
                    self.state = State::Failed(failure.clone());
                    return Step::Failed(failure);
                }
            }
        }
        Step::NeedMore
    }

    fn take(&mut self, byte: u8) -> Result<(), Failure> {
        self.head_bytes += 1;
        if self.head_bytes > HEAD_LIMIT_BYTES {
            return Err(Failure::Protocol(format!(
                "the head of its answer has more than {HEAD_LIMIT_BYTES} bytes"
            )));
        }
        if byte != b'\n' {
            self.line.push(byte);
            return match self.state {
                State::Status => self.check_opening(),
                _ => Ok(()),
            };
        }
        let mut line = std::mem::take(&mut self.line);
        // A lone LF ends a line as well (RFC 9112 §2.2).
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if let Some(odd) = line.iter().find(|byte| is_control(**byte)) {
            return Err(Failure::Protocol(format!(
                "the head of its answer contains the control character {odd:#04x}"
            )));
        }
        match &mut self.state {
            State::Status => self.state = State::Headers(read_status(&line)?),
            State::Headers(meaning) if !line.is_empty() => read_header(&line, meaning)?,
            State::Headers(Meaning::Interim) => self.state = State::Status,
            State::Headers(Meaning::Success) => self.state = State::Joined,
            _ => {
                if let Some(failure) = self.ended() {
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// Whatever is no HTTP/1 is recognized at once: it may never send an end of line.
    fn check_opening(&self) -> Result<(), Failure> {
        let seen = &self.line[..self.line.len().min(OPENING.len())];
        if OPENING.starts_with(seen) {
            return Ok(());
        }
        let guess = match self.line[0] {
            0x05 => " (a SOCKS5 proxy?)",
            0x00 => " (a SOCKS4 proxy?)",
            0x15 | 0x16 => " (a TLS server?)",
            b'S' => " (an SSH server?)",
            _ => "",
        };
        Err(Failure::Protocol(format!(
            "its answer starts with \"{}\" instead of \"HTTP/1.\"{guess}",
            seen.escape_ascii()
        )))
    }

    /// What the proxy had already said when it ended the stream before its answer was whole.
    pub fn ended(&self) -> Option<Failure> {
        let State::Headers(Meaning::Unauthorized {
            status_line,
            schemes,
        }) = &self.state
        else {
            return None;
        };
        let complaint = if !schemes.is_empty() && !schemes.iter().any(|one| is_basic(one)) {
            format!("it accepts only {}, not Basic", schemes.join(", "))
        } else if self.gave_credentials {
            "it refused the name and password that were given".into()
        } else {
            "it wants a name and password; give them as in http://NAME:PASSWORD@HOST:PORT".into()
        };
        Some(Failure::Auth(format!("{complaint} ({status_line})")))
    }

    /// What the proxy owes us now, as it reads behind "waiting for".
    pub fn awaiting(&self) -> &'static str {
        match self.state {
            State::Asking | State::Status => "its answer to CONNECT",
            State::Headers(_) => "the rest of its answer to CONNECT",
            State::Joined | State::Failed(_) => "nothing more",
        }
    }
}

/// `HTTP/1.1 200 Connection established`; the words may be missing (RFC 9112 §4).
fn read_status(line: &[u8]) -> Result<Meaning, Failure> {
    let shown = shown(line);
    let code = match line.strip_prefix(OPENING) {
        Some([b'0'..=b'9', b' ', a, b, c]) => [*a, *b, *c],
        Some([b'0'..=b'9', b' ', a, b, c, b' ', ..]) => [*a, *b, *c],
        _ => [0; 3],
    };
    match code {
        // Nothing was upgraded that we asked for.
        [b'1', b'0', b'1'] => Err(Failure::Refused(shown)),
        [b'4', b'0', b'1' | b'7'] => Ok(Meaning::Unauthorized {
            status_line: shown,
            schemes: Vec::new(),
        }),
        [first, b'0'..=b'9', b'0'..=b'9'] => match first {
            b'1' => Ok(Meaning::Interim),
            b'2' => Ok(Meaning::Success),
            b'3'..=b'5' => Err(Failure::Refused(shown)),
            _ => Err(no_status_line(&shown)),
        },
        _ => Err(no_status_line(&shown)),
    }
}

fn no_status_line(shown: &str) -> Failure {
    Failure::Protocol(format!(
        "its answer starts with \"{shown}\", which is no status line of HTTP/1"
    ))
}

/// A header is of interest only where it says how to authenticate; the others must be headers.
fn read_header(line: &[u8], meaning: &mut Meaning) -> Result<(), Failure> {
    // A folded line goes on with the header before it (RFC 9112 §5.2).
    if matches!(line, [b' ' | b'\t', ..]) {
        return Ok(());
    }
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(0);
    let (name, value) = line.split_at(colon);
    if name.is_empty() || name.iter().any(|byte| matches!(byte, b' ' | b'\t')) {
        return Err(Failure::Protocol(format!(
            "\"{}\" stands in its answer where a header belongs",
            shown(line)
        )));
    }
    if let Meaning::Unauthorized { schemes, .. } = meaning
        && name.eq_ignore_ascii_case(b"proxy-authenticate")
        && schemes.len() < SCHEMES_LIMIT
    {
        let value = value[1..].trim_ascii_start();
        let scheme = value.split(|byte| b" \t,".contains(byte)).next();
        schemes.push(shown(scheme.unwrap_or_default()));
    }
    Ok(())
}

fn is_basic(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("basic")
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut shown: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(SHOWN_LIMIT_CHARS)
        .collect();
    if text.chars().nth(SHOWN_LIMIT_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
