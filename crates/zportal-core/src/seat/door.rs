//! The door of a server: newcomers wait here, many at a time, until it is clear who gets the seat.
//!
//! Nobody's silence keeps another out, and a flood costs a bounded number of descriptors and bytes:
//! when the door is full, whoever came first has to leave first. Everything is looked at by one
//! descriptor, an epoll instance, so that a session's ring has one thing to poll.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use super::admission::Admission;
use super::candidate::Candidate;
use super::rules::{Ruling, Seat, Shown, rule};
use crate::error::Error;
use crate::link::{Listener, Stream};
use crate::lock::held;
use crate::notices::Notices;
use crate::stats::Stats;
use crate::wire::decoder::Decoder;
use crate::wire::hello::{HELLO_BYTES, Hello};

/// Newcomers that are known at the same time. A flood pushes each of them out after so many others,
/// and a peer shows who it is in its first packet.
pub const CANDIDATES_MAX: usize = 256;
/// Newcomers let in at one look, so that the seated peer gets its turn.
const WELCOMES_PER_LOOK: usize = 16;
/// Those looked at for what they have sent, likewise.
const EVENTS_PER_LOOK: usize = 16;
/// How long one who was refused has to read why.
const LEAVING_TIME: Duration = Duration::from_secs(1);
/// How long newcomers are left waiting after one could not be let in: with no descriptors left they
/// would wake us without end.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// The code of the notice that somebody came to a taken seat.
const SEAT_TAKEN: &str = "seat-taken";

/// What epoll calls the listener; candidates count from 1.
const LISTENER: u64 = 0;

/// A listener and those who came to it.
pub struct Door {
    listener: Listener,
    /// May be replaced by others while newcomers come.
    admission: Arc<Mutex<Admission>>,
    epoll: OwnedFd,
    ours: Hello,
    decoder: Decoder,
    /// In the order in which they came.
    candidates: Vec<Candidate>,
    next_token: u64,
    /// Who gets the seat next.
    winner: Option<Stream>,
    /// After a shortage: when to let newcomers in again.
    shut_until: Option<Instant>,
    events: Vec<epoll::Event>,
    /// Whether the last look found nothing to do.
    is_quiet: bool,
}

impl Door {
    /// Opens the door. `ours` is what this end says of itself.
    pub fn new(
        listener: Listener,
        admission: Arc<Mutex<Admission>>,
        ours: Hello,
    ) -> io::Result<Door> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(LISTENER);
        epoll::add(&epoll, &listener, data, epoll::EventFlags::IN)?;
        // As a session begins: nothing is agreed, and a HELLO may be larger than a tiny MTU.
        let limit_bytes = u32::from(ours.mtu_bytes).max(HELLO_BYTES as u32);
        Ok(Door {
            listener,
            admission,
            epoll,
            ours,
            decoder: Decoder::new(limit_bytes, 0),
            candidates: Vec::new(),
            next_token: LISTENER + 1,
            winner: None,
            shut_until: None,
            events: Vec::with_capacity(EVENTS_PER_LOOK),
            is_quiet: false,
        })
    }

    /// Where it is, with the real port.
    pub fn local(&self) -> String {
        self.listener.local()
    }

    /// Whoever was given the seat.
    pub fn take_winner(&mut self) -> Option<Stream> {
        self.winner.take()
    }

    /// Lets newcomers in, hears them, and decides; never waits. True once somebody is to be seated.
    /// To be called when the door is readable and at [`Door::look_at`].
    pub fn look(&mut self, seat: Seat, stats: &Stats, notices: &Notices) -> bool {
        if self.winner.is_some() {
            return true;
        }
        self.reopen();
        let none = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        // A failure is an interruption, and the next look comes.
        let buffer = rustix::buffer::spare_capacity(&mut events);
        let _ = epoll::wait(&self.epoll, buffer, Some(&none));
        for event in &events {
            match event.data.u64() {
                LISTENER => self.let_in(stats, notices),
                token => self.hear(token, stats, notices),
            }
        }
        self.is_quiet = events.is_empty();
        self.events = events;
        self.decide(seat, stats, notices);
        self.winner.is_some()
    }

    /// Whether the last look found nothing to do, so that the next event will be announced.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// When to look again even if nothing happens; never later than `now` if it is time already.
    pub fn look_at(&self, seat: Seat, now: Instant) -> Option<Instant> {
        if self.winner.is_some() {
            return Some(now);
        }
        if self.candidates.is_empty() {
            return self.shut_until;
        }
        let candidates = self.candidates.iter().map(|candidate| {
            candidate
                .leaves_at
                .unwrap_or_else(|| match ruling(seat, candidate, now) {
                    Ruling::Wait { until_ms } => {
                        candidate.came_at + Duration::from_millis(until_ms)
                    }
                    _ => now,
                })
        });
        candidates.chain(self.shut_until).min()
    }

    /// Takes those who wait in the backlog.
    fn let_in(&mut self, stats: &Stats, notices: &Notices) {
        for _ in 0..WELCOMES_PER_LOOK {
            let candidates = &mut self.candidates;
            let accepted = self.listener.try_accept_making_room(|| {
                let first = make_way(candidates);
                if let Some(first) = &first {
                    let why = "there is no descriptor for those who came after it";
                    turned_away(first, "door-full", why, stats, notices);
                }
                first.is_some()
            });
            match accepted {
                Ok(Some(stream)) => self.welcome(stream, stats, notices),
                Ok(None) => return,
                Err(error) => {
                    notices.warn(error.code(), error.to_string());
                    self.shut();
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, stream: Stream, stats: &Stats, notices: &Notices) {
        let judged = held(&self.admission).judge(&stream.socket);
        if let Err(why) = judged {
            stats.peers_refused.add(1);
            notices.warn("not-allowed", format!("refused {}: {why}", stream.peer));
            return;
        }
        if self.candidates.len() >= CANDIDATES_MAX {
            let first = self.candidates.remove(0);
            turned_away(
                &first,
                "door-full",
                "too many came after it",
                stats,
                notices,
            );
        }
        let token = self.next_token;
        self.next_token += 1;
        let candidate = Candidate::new(token, stream);
        let data = epoll::EventData::new_u64(token);
        let interest = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        match epoll::add(&self.epoll, candidate.socket(), data, interest) {
            Ok(()) => self.candidates.push(candidate),
            Err(errno) => turned_away(
                &candidate,
                "turned-away",
                &errno.to_string(),
                stats,
                notices,
            ),
        }
        // What it has to say is mostly there already.
        self.hear(token, stats, notices);
    }

    fn hear(&mut self, token: u64, stats: &Stats, notices: &Notices) {
        let Some(place) = self.place_of(token) else {
            return;
        };
        let candidate = &mut self.candidates[place];
        if candidate.leaves_at.is_some() {
            // It has read why and gone, or is gone anyway.
            self.candidates.remove(place);
            return;
        }
        if let Err(error) = candidate.read(&self.decoder) {
            stats.peers_refused.add(1);
            let message = format!("{} is no peer: {error}", candidate.name());
            notices.warn(error.code(), message);
            self.candidates.remove(place);
        }
    }

    /// Rules on everybody, the earliest first; the first that gets the seat ends it.
    fn decide(&mut self, seat: Seat, stats: &Stats, notices: &Notices) {
        let now = Instant::now();
        // Who has shown something goes before whoever only was here earlier.
        let shown = self.candidates.iter().position(|candidate| {
            candidate.leaves_at.is_none()
                && candidate.shown != Shown::Nothing
                && ruling(seat, candidate, now) == Ruling::Seat
        });
        if let Some(place) = shown {
            self.seat(place);
            return;
        }
        let mut place = 0;
        while place < self.candidates.len() {
            let candidate = &mut self.candidates[place];
            if let Some(leaves_at) = candidate.leaves_at {
                if now >= leaves_at {
                    self.candidates.remove(place);
                } else {
                    place += 1;
                }
                continue;
            }
            match ruling(seat, candidate, now) {
                Ruling::Seat => {
                    self.seat(place);
                    return;
                }
                Ruling::Refuse => {
                    turned_away(candidate, SEAT_TAKEN, "a peer is connected", stats, notices);
                    candidate.refuse(&self.ours);
                    candidate.leaves_at = Some(now + LEAVING_TIME);
                    // Not for what it still sends, which nobody reads: for its own end.
                    let data = epoll::EventData::new_u64(candidate.token);
                    let interest = epoll::EventFlags::RDHUP;
                    let _ = epoll::modify(&self.epoll, candidate.socket(), data, interest);
                    place += 1;
                }
                Ruling::Drop => {
                    let (code, why) = match candidate.shown {
                        Shown::Nothing => ("turned-away", "it has said nothing"),
                        Shown::Packet | Shown::Hello(_) => (SEAT_TAKEN, "a peer is connected"),
                    };
                    turned_away(candidate, code, why, stats, notices);
                    self.candidates.remove(place);
                }
                Ruling::Wait { .. } => place += 1,
            }
        }
    }

    fn seat(&mut self, place: usize) {
        let winner = self.candidates.remove(place);
        // A failure means that it was not watched any more.
        let _ = epoll::delete(&self.epoll, winner.socket());
        self.winner = Some(winner.into_stream());
    }

    fn place_of(&self, token: u64) -> Option<usize> {
        // Tokens only grow, and whoever leaves leaves the order as it is.
        self.candidates
            .binary_search_by_key(&token, |candidate| candidate.token)
            .ok()
    }

    fn shut(&mut self) {
        self.shut_until = Some(Instant::now() + SHORTAGE_PAUSE);
        self.watch_listener(epoll::EventFlags::empty());
    }

    fn reopen(&mut self) {
        if self.shut_until.is_some_and(|until| Instant::now() >= until) {
            self.shut_until = None;
            self.watch_listener(epoll::EventFlags::IN);
        }
    }

    fn watch_listener(&self, interest: epoll::EventFlags) {
        let data = epoll::EventData::new_u64(LISTENER);
        // It cannot fail for a descriptor that was added.
        let _ = epoll::modify(&self.epoll, &self.listener, data, interest);
    }
}

impl AsFd for Door {
    /// For polling; readable means that [`Door::look`] is worth calling.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// Takes out whoever came first and has no word to be judged by, or was judged: a peer shows who it
/// is in its first packet, and must not be shut out because others are silent.
fn make_way(candidates: &mut Vec<Candidate>) -> Option<Candidate> {
    let place = candidates
        .iter()
        .position(|candidate| candidate.shown == Shown::Nothing || candidate.leaves_at.is_some())?;
    Some(candidates.remove(place))
}

fn ruling(seat: Seat, candidate: &Candidate, now: Instant) -> Ruling {
    let waited = now.saturating_duration_since(candidate.came_at);
    let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    rule(seat, candidate.shown, waited_ms)
}

fn turned_away(
    candidate: &Candidate,
    code: &'static str,
    why: &str,
    stats: &Stats,
    notices: &Notices,
) {
    stats.peers_refused.add(1);
    notices.warn(code, format!("refused {}: {why}", candidate.name()));
}

/// What is wrong with a door that cannot be opened.
pub fn not_opened(cause: &io::Error) -> Error {
    Error::Internal(format!("epoll: {cause}"))
}
