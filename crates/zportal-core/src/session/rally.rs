//! A rally is packets that go back and forth one at a time, fast, as between a client and a server
//! nearby: while it lasts, the next one is looked for instead of slept for.
//!
//! To be woken costs more than all else that a small packet needs here. Where answers come from
//! far away, or packets come in numbers, there is no rally, and nobody looks.

#![forbid(unsafe_code)]

/// In a rally a packet follows the one before within this time, nanoseconds, wake-ups included.
const STROKE_NS: u64 = 250_000;
/// So many packets make a rally.
const RALLY_STROKES: u32 = 16;
/// How long to look for the next packet, nanoseconds: wake-ups are what is saved.
pub const LOOK_NS: u64 = 100_000;

/// The packets of one link, as far as they come one by one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rally {
    /// Packets in the rally, or in what may become one.
    strokes: u32,
    /// Those sent less those received.
    lead: i32,
    stroke_at_ns: u64,
    /// Packets that were ever sent and received.
    carried: (u64, u64),
}

impl Rally {
    /// Takes in, at the end of a turn, how many packets were ever sent and received.
    pub fn on_turn(&mut self, now_ns: u64, sent: u64, received: u64) {
        let before = std::mem::replace(&mut self.carried, (sent, received));
        let (out, back) = (sent - before.0, received - before.1);
        if (out, back) == (0, 0) {
            return;
        }
        let is_late = now_ns.saturating_sub(self.stroke_at_ns) > STROKE_NS;
        let lead = self.lead + i32::from(out > 0) - i32::from(back > 0);
        self.stroke_at_ns = now_ns;
        if is_late || out > 1 || back > 1 || lead.abs() > 1 {
            self.strokes = 0;
            self.lead = 0;
        } else {
            self.strokes = self.strokes.saturating_add(1);
            self.lead = lead;
        }
    }

    /// Whether to look for the next packet before sleeping.
    pub fn is_on(&self) -> bool {
        self.strokes >= RALLY_STROKES
    }

    /// The next packet was looked for in vain.
    pub fn end(&mut self) {
        self.strokes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{RALLY_STROKES, Rally, STROKE_NS};

    /// Turns that each carry `out` and `back` packets and take `turn_ns`, from a time on.
    struct Play {
        rally: Rally,
        now_ns: u64,
        carried: (u64, u64),
    }

    impl Play {
        fn new() -> Play {
            Play {
                rally: Rally::default(),
                now_ns: 1_000_000_000,
                carried: (70, 80),
            }
        }

        fn turns(&mut self, turns: u32, turn_ns: u64, (out, back): (u64, u64)) -> bool {
            for _ in 0..turns {
                self.now_ns += turn_ns;
                self.carried = (self.carried.0 + out, self.carried.1 + back);
                self.rally
                    .on_turn(self.now_ns, self.carried.0, self.carried.1);
            }
            self.rally.is_on()
        }
    }

    /// What makes a rally, with one to spare: the first turn may be late.
    const ENOUGH: u32 = RALLY_STROKES + 1;

    #[test]
    fn a_packet_each_way_again_and_again_is_a_rally() {
        let mut play = Play::new();
        assert!(!play.turns(RALLY_STROKES, 50_000, (1, 1)));
        assert!(play.turns(1, 50_000, (1, 1)));
        // Turns that carry nothing do not end it.
        assert!(play.turns(5, 10_000, (0, 0)));
    }

    #[test]
    fn so_is_one_whose_packets_go_and_come_in_turns_of_their_own() {
        let mut play = Play::new();
        for _ in 0..ENOUGH {
            play.turns(1, 30_000, (1, 0));
            play.turns(1, 30_000, (0, 1));
        }
        assert!(play.rally.is_on());
    }

    #[test]
    fn a_stream_one_way_is_none_however_fast() {
        assert!(!Play::new().turns(1000, 20_000, (1, 0)));
        assert!(!Play::new().turns(1000, 20_000, (0, 1)));
    }

    #[test]
    fn nor_are_packets_that_come_in_numbers() {
        assert!(!Play::new().turns(1000, 50_000, (2, 1)));
        assert!(!Play::new().turns(1000, 50_000, (1, 2)));
    }

    #[test]
    fn answers_from_far_away_make_none_and_end_one() {
        let mut play = Play::new();
        assert!(!play.turns(1000, STROKE_NS + 1, (1, 1)));
        assert!(play.turns(ENOUGH, STROKE_NS, (1, 1)));
        assert!(!play.turns(1, STROKE_NS + 1, (1, 1)));
    }

    #[test]
    fn a_look_in_vain_ends_it() {
        let mut play = Play::new();
        assert!(play.turns(ENOUGH, 50_000, (1, 1)));
        play.rally.end();
        assert!(!play.rally.is_on());
        assert!(play.turns(RALLY_STROKES, 50_000, (1, 1)));
    }
}
