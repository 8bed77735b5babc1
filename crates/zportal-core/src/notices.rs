//! What people should hear of besides the ends of sessions: at most one notice of a kind in a
//! second, however many there were, so that a flood of strangers floods no log.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Notices of one kind within this time are counted, not told.
const QUIET_TIME: Duration = Duration::from_secs(1);

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Info,
    /// Something is not as it should be, and the tunnel goes on.
    Warn,
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// Its kind: an error code, or a short word such as `seat-taken`.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
}

/// Whoever hears the notices; called on the tunnel's thread, so it must not block.
pub type Listener = Box<dyn Fn(Notice) + Send + Sync>;

/// Where the core says things.
pub struct Notices {
    listener: Listener,
    recent: Mutex<HashMap<&'static str, Recent>>,
}

struct Recent {
    told_at: Instant,
    untold: u64,
}

impl Notices {
    /// Everything said goes to `listener`, thinned out.
    pub fn new(listener: Listener) -> Notices {
        Notices {
            listener,
            recent: Mutex::default(),
        }
    }

    /// Good to know.
    pub fn info(&self, code: &'static str, message: String) {
        self.say(Instant::now(), Level::Info, code, message);
    }

    /// Something is not as it should be.
    pub fn warn(&self, code: &'static str, message: String) {
        self.say(Instant::now(), Level::Warn, code, message);
    }

    fn say(&self, now: Instant, level: Level, code: &'static str, mut message: String) {
        {
            let Ok(mut recent) = self.recent.lock() else {
                return;
            };
            if let Some(last) = recent.get_mut(code) {
                if now.duration_since(last.told_at) < QUIET_TIME {
                    last.untold += 1;
                    return;
                }
                if last.untold > 0 {
                    message = format!("{message} (and {} more like it before)", last.untold);
                }
            }
            let told = Recent {
                told_at: now,
                untold: 0,
            };
            recent.insert(code, told);
        }
        (self.listener)(Notice {
            level,
            code,
            message,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::{Level, Notices, QUIET_TIME};

    #[test]
    fn a_flood_of_one_kind_is_told_once_and_then_counted() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let notices = Notices::new(Box::new(move |notice| {
            ear.lock().unwrap().push(notice.message);
        }));
        let start = Instant::now();
        for number in 0..1000 {
            notices.say(start, Level::Warn, "flood", format!("stranger {number}"));
        }
        notices.say(start, Level::Warn, "other", "another kind".into());
        notices.say(
            start + QUIET_TIME + Duration::from_millis(1),
            Level::Warn,
            "flood",
            "stranger 1000".into(),
        );
        assert_eq!(
            *heard.lock().unwrap(),
            [
                "stranger 0",
                "another kind",
                "stranger 1000 (and 999 more like it before)"
            ]
        );
    }
}
