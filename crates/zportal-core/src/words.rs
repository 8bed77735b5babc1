//! What the shells of the two ZPortals say to each other beside the packets: short texts, whose
//! meaning is not the core's. Few wait in either direction, however many are said.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock::held;

/// Words of this end that may wait for the session's next turn.
const WAITING_MAX: usize = 8;
/// Of the peer's, so many are heard...
const HEARD_MAX: u32 = 16;
/// ...in this time; more are dropped. Shells have little to say, and a flood must not keep
/// JavaScript busy.
const HEARD_TIME: Duration = Duration::from_secs(1);

/// Whoever hears the peer's words; called on the tunnel's thread, so it must not block.
pub type Listener = Box<dyn Fn(String) + Send + Sync>;

/// The words of a tunnel, both ways.
pub struct Words {
    listener: Listener,
    heard: Mutex<Heard>,
    waiting: Mutex<VecDeque<String>>,
}

struct Heard {
    since: Option<Instant>,
    words: u32,
}

impl Words {
    /// What the peer says goes to `listener`.
    pub fn new(listener: Listener) -> Words {
        Words {
            listener,
            heard: Mutex::new(Heard {
                since: None,
                words: 0,
            }),
            waiting: Mutex::default(),
        }
    }

    /// The peer has said something.
    pub fn hear(&self, text: &str) {
        if self.is_bearable(Instant::now()) {
            (self.listener)(text.to_owned());
        }
    }

    /// Leaves a word for the session to send; false if too many wait already.
    pub fn say(&self, text: String) -> bool {
        let mut waiting = held(&self.waiting);
        let fits = waiting.len() < WAITING_MAX;
        if fits {
            waiting.push_back(text);
        }
        fits
    }

    /// The word that has waited longest.
    pub fn next(&self) -> Option<String> {
        held(&self.waiting).pop_front()
    }

    /// Forgets what waits: it was meant for a peer that is gone.
    pub fn forget(&self) {
        held(&self.waiting).clear();
    }

    fn is_bearable(&self, now: Instant) -> bool {
        let mut heard = held(&self.heard);
        let is_over = |since: Instant| now.duration_since(since) >= HEARD_TIME;
        if heard.since.is_none_or(is_over) {
            *heard = Heard {
                since: Some(now),
                words: 0,
            };
        }
        heard.words = heard.words.saturating_add(1);
        heard.words <= HEARD_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{HEARD_MAX, HEARD_TIME, WAITING_MAX, Words};

    #[test]
    fn of_a_flood_a_few_are_heard_each_second() {
        let words = Words::new(Box::new(|_| {}));
        let start = Instant::now();
        let heard = |at| (0..1000).filter(|_| words.is_bearable(at)).count();
        assert_eq!(heard(start), HEARD_MAX as usize);
        assert_eq!(heard(start + HEARD_TIME / 2), 0);
        assert_eq!(heard(start + HEARD_TIME), HEARD_MAX as usize);
    }

    #[test]
    fn what_waits_is_bounded_and_keeps_its_order() {
        let words = Words::new(Box::new(|_| {}));
        let said = (0..100)
            .filter(|number| words.say(number.to_string()))
            .count();
        assert_eq!(said, WAITING_MAX);
        assert_eq!(words.next().as_deref(), Some("0"));
        assert!(words.say("100".into()));
        words.forget();
        assert_eq!(words.next(), None);
    }
}
