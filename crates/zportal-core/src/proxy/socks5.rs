//! SOCKS5 (RFC 1928) as a client: greeting, choice of a method, name and password where the
//! proxy chooses that (RFC 1929), CONNECT, reply.
//!
//! The target's name goes to the proxy as a name and is never resolved here.
//!
//! The machine is strict about what would make the rest unreadable (versions, address types)
//! and liberal where servers in use differ: the reserved byte may have any value, the bound
//! address may be anything including an empty name, and a refusal counts as soon as its code
//! has arrived, because some servers close without sending the rest.

mod answers;
mod requests;

use super::credentials::{Credentials, Hidden};
use super::step::{Failure, Step};
use crate::address::Address;
use crate::error::Error;
use answers::{ANSWER_LIMIT_BYTES, Verdict, judge_login, judge_method, judge_reply};

const VERSION: u8 = 0x05;

const METHOD_NONE: u8 = 0x00;
const METHOD_GSSAPI: u8 = 0x01;
const METHOD_PASSWORD: u8 = 0x02;
const METHOD_NOT_ACCEPTABLE: u8 = 0xff;

/// The client's side of one handshake.
#[derive(Debug)]
pub struct Socks5 {
    state: State,
    /// The methods that the proxy may choose from.
    offered: &'static [u8],
    /// Name and password as RFC 1929 has them; empty where there are none.
    login: Hidden,
    request: Vec<u8>,
    /// The part of the current answer that has arrived; never above [`ANSWER_LIMIT_BYTES`].
    answer: Vec<u8>,
    /// Whether the target is an onion service and the proxy a Tor, which can say more.
    wants_onion: bool,
}

#[derive(Debug)]
enum State {
    Greeting,
    Method,
    Login,
    Reply,
    Joined,
    Failed(Failure),
}

impl Socks5 {
    /// A handshake that asks for a connection to `target`.
    ///
    /// # Errors
    /// [`Error::Option`] if SOCKS5 has no words for the target (a Unix socket, an address with
    /// an interface, a name of no or of more than 255 bytes) or for the credentials.
    pub fn new(target: &Address, credentials: Option<&Credentials>) -> Result<Self, Error> {
        let request = requests::connect(target).map_err(|reason| {
            Error::Option(format!("a SOCKS5 proxy cannot reach {target}: {reason}"))
        })?;
        let (offered, login): (&[u8], _) = match credentials {
            None => (&[METHOD_NONE], Vec::new()),
            Some(credentials) => (
                &[METHOD_NONE, METHOD_PASSWORD],
                requests::login(credentials).map_err(Error::Option)?,
            ),
        };
        Ok(Self {
            state: State::Greeting,
            offered,
            login: Hidden(login),
            request,
            answer: Vec::with_capacity(ANSWER_LIMIT_BYTES),
            wants_onion: false,
        })
    }

    /// The same with Tor, which puts streams with different credentials on different circuits:
    /// only the method that carries them is offered, so that no shared circuit can come of it.
    ///
    /// # Errors
    /// As [`Socks5::new`].
    pub fn tor(target: &Address, credentials: Option<&Credentials>) -> Result<Self, Error> {
        let mut machine = Self::new(target, credentials)?;
        if credentials.is_some() {
            machine.offered = &[METHOD_PASSWORD];
        }
        machine.wants_onion = target.is_onion();
        Ok(machine)
    }

    /// Goes on with the bytes that arrived, in order and each once, however they were cut. The
    /// first call takes none.
    pub fn advance(&mut self, input: &[u8]) -> Step {
        match &self.state {
            State::Greeting => {
                self.state = State::Method;
                let mut bytes = vec![VERSION, self.offered.len() as u8];
                bytes.extend_from_slice(self.offered);
                return Step::Send { bytes, consumed: 0 };
            }
            State::Joined => return Step::Done { consumed: 0 },
            State::Failed(failure) => return Step::Failed(failure.clone()),
            State::Method | State::Login | State::Reply => {}
        }
        let mut consumed = 0;
        loop {
            match self.judge() {
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

    fn judge(&self) -> Verdict {
        match self.state {
            State::Method => judge_method(&self.answer, self.offered),
            State::Login => judge_login(&self.answer),
            _ => judge_reply(&self.answer, self.wants_onion),
        }
    }

    fn answered(&mut self, consumed: usize) -> Step {
        let wants_login =
            matches!(self.state, State::Method) && self.answer.get(1) == Some(&METHOD_PASSWORD);
        self.answer.clear();
        let (state, bytes) = match self.state {
            State::Method if wants_login => (State::Login, std::mem::take(&mut self.login.0)),
            State::Method | State::Login => (State::Reply, std::mem::take(&mut self.request)),
            _ => {
                self.state = State::Joined;
                return Step::Done { consumed };
            }
        };
        self.state = state;
        Step::Send { bytes, consumed }
    }

    /// What the proxy owes us now, as it reads behind "waiting for".
    pub fn awaiting(&self) -> &'static str {
        match self.state {
            State::Greeting | State::Method => "its choice of an authentication method",
            State::Login => "its answer to the name and password",
            State::Reply => "its reply to the request to connect",
            State::Joined | State::Failed(_) => "nothing more",
        }
    }
}
