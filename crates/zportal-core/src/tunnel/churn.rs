//! When an announcement of the network may end the pause before a dial: the first one at once, later
//! ones each after twice the time, as long as they follow each other without a session in between. So
//! a network that comes back is used at once, and where routes come and go all day (a router, a node
//! of a cluster), a client whose server is down still backs off.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// How long the second of several pauses in which something was announced lasts at least.
const FLOOR_FIRST: Duration = Duration::from_millis(250);
/// As long as the longest pause, or longer: then nothing ends one.
const FLOOR_MAX: Duration = Duration::from_secs(8);

/// What was announced in the pauses before.
#[derive(Debug, Default)]
pub(super) struct Churn {
    floor: Duration,
}

impl Churn {
    /// From when on an announcement ends a pause that began then.
    pub(super) fn heard_from(&self, begun_at: Instant) -> Instant {
        begun_at + self.floor
    }

    /// A pause is over, in which something was announced, or nothing was.
    pub(super) fn paused(&mut self, is_announced: bool) {
        self.floor = match is_announced {
            true => (self.floor * 2).clamp(FLOOR_FIRST, FLOOR_MAX),
            false => Duration::ZERO,
        };
    }

    /// There was a session: the next announcement is a first one.
    pub(super) fn forget(&mut self) {
        self.floor = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Churn;

    const PAUSE: Duration = Duration::from_secs(5);

    /// How long pauses last where something is announced at every moment.
    fn under_churn(churn: &mut Churn, pauses: usize) -> Vec<u128> {
        let begun_at = Instant::now();
        let pause = |_| {
            let ended_at = churn.heard_from(begun_at).min(begun_at + PAUSE);
            churn.paused(true);
            (ended_at - begun_at).as_millis()
        };
        (0..pauses).map(pause).collect()
    }

    #[test]
    fn the_first_announcement_ends_a_pause_at_once_and_later_ones_ever_later() {
        let mut churn = Churn::default();
        let lasted = under_churn(&mut churn, 9);
        assert_eq!(lasted, [0, 250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
    }

    #[test]
    fn after_a_session_or_a_pause_in_silence_the_next_is_a_first_one() {
        let after: [fn(&mut Churn); 2] = [Churn::forget, |churn| churn.paused(false)];
        for after in after {
            let mut churn = Churn::default();
            under_churn(&mut churn, 9);
            after(&mut churn);
            assert_eq!(under_churn(&mut churn, 3), [0, 250, 500]);
        }
    }
}
