//! When a peer is believed dead: a law of times.

use proptest::prelude::*;
use zportal_core::liveness::{
    CHANGED_MAX_NS, LOOK_EVERY_NS, Liveness, SILENCE_MAX_NS, SLEPT_NS, Verdict,
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;

/// Looks when it is due until the verdict is another than that it lives; when that was.
fn until_dead(liveness: &mut Liveness, mut now_ns: u64) -> (u64, Verdict) {
    loop {
        now_ns = now_ns.max(liveness.look_at());
        match liveness.look(now_ns) {
            Verdict::Lives => {}
            verdict => return (now_ns, verdict),
        }
    }
}

#[test]
fn a_peer_that_falls_silent_is_dead_after_its_time_and_not_a_look_later() {
    for silent_from in [0, 1, 999 * MS, 5 * SECOND, 61 * SECOND] {
        let mut liveness = Liveness::new(0);
        let mut now = 0;
        while now < silent_from {
            liveness.heard(now);
            assert_eq!(liveness.look(now), Verdict::Lives);
            now += 500 * MS;
        }
        liveness.heard(silent_from);
        let (dead_at, verdict) = until_dead(&mut liveness, silent_from);
        assert!(dead_at - silent_from >= SILENCE_MAX_NS);
        assert!(dead_at - silent_from <= SILENCE_MAX_NS + LOOK_EVERY_NS);
        assert_eq!(verdict, Verdict::Silent(dead_at - silent_from));
    }
}

#[test]
fn own_sleep_is_not_the_peers_silence() {
    let mut liveness = Liveness::new(0);
    let mut now = 0;
    for _ in 0..20 {
        // A minute's sleep, and then a second awake without a word.
        now += 60 * SECOND;
        assert_eq!(liveness.look(now), Verdict::Lives);
        now += SECOND;
        assert_eq!(liveness.look(now), Verdict::Lives);
    }
    // Awake it gets its whole time, and no more.
    let (dead_at, _) = until_dead(&mut liveness, now);
    assert!(dead_at <= now + SILENCE_MAX_NS + LOOK_EVERY_NS);
}

#[test]
fn a_sleep_while_the_network_changed_gives_a_fresh_chance_too() {
    let mut liveness = Liveness::new(0);
    liveness.network_changed(0, 0);
    assert_eq!(liveness.look(60 * SECOND), Verdict::Lives);
    assert_eq!(liveness.look(61 * SECOND), Verdict::Lives);
}

#[test]
fn after_a_change_of_the_network_the_time_is_short() {
    let mut liveness = Liveness::new(0);
    liveness.heard(100 * MS);
    liveness.network_changed(200 * MS, 20 * MS);
    liveness.network_changed(900 * MS, 20 * MS);
    let (lost_at, verdict) = until_dead(&mut liveness, 200 * MS);
    assert_eq!(lost_at, 200 * MS + CHANGED_MAX_NS + 80 * MS);
    assert_eq!(verdict, Verdict::LostOnTheWay(CHANGED_MAX_NS + 80 * MS));
}

#[test]
fn whoever_answers_after_the_change_has_the_whole_time() {
    let mut liveness = Liveness::new(0);
    liveness.network_changed(200 * MS, 20 * MS);
    liveness.answered(300 * MS);
    let (dead_at, verdict) = until_dead(&mut liveness, 300 * MS);
    assert!(dead_at >= 300 * MS + SILENCE_MAX_NS);
    assert!(matches!(verdict, Verdict::Silent(_)));
}

#[test]
fn to_be_heard_after_the_change_is_not_to_answer() {
    let mut liveness = Liveness::new(0);
    liveness.network_changed(200 * MS, 0);
    liveness.heard(300 * MS);
    liveness.heard(1600 * MS);
    let (lost_at, verdict) = until_dead(&mut liveness, 300 * MS);
    assert_eq!(lost_at, 200 * MS + CHANGED_MAX_NS);
    assert_eq!(verdict, Verdict::LostOnTheWay(CHANGED_MAX_NS));
}

proptest! {
    /// Whatever comes when: nobody is called dead who was heard within the time, and everybody is
    /// who was not, unless this end slept.
    #[test]
    fn the_verdict_follows_the_times(steps in prop::collection::vec((0..4000_u64, any::<bool>()), 1..200)) {
        let mut liveness = Liveness::new(0);
        let (mut now, mut heard, mut looked) = (0_u64, 0_u64, 0_u64);
        for (ms, speaks) in steps {
            now += ms * MS;
            if speaks {
                liveness.heard(now);
                heard = now;
            }
            if now - looked > SLEPT_NS {
                heard = now;
            }
            looked = now;
            let verdict = liveness.look(now);
            prop_assert_eq!(verdict != Verdict::Lives, now - heard >= SILENCE_MAX_NS);
        }
    }
}
