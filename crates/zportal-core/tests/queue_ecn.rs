//! Marks: who gets one, and what it changes.

mod queue_support;
mod wire_support;

use proptest::prelude::*;
use queue_support::{CE, ECT0, ECT1, NOT_ECT, TCP, ipv4, ipv6, is_sealed, seal_ipv4};
use wire_support::property;
use zportal_core::queue::ecn::mark_ce;

#[test]
fn ipv4_is_marked_if_it_asks_for_it() {
    for (ecn, marked) in [(NOT_ECT, false), (ECT1, true), (ECT0, true), (CE, true)] {
        let before = ipv4(TCP, 1, 2, ecn);
        let mut after = before.clone();
        assert_eq!(mark_ce(&mut after), marked, "ECN bits {ecn}");
        assert_eq!(after, ipv4(TCP, 1, 2, if marked { CE } else { ecn }));
    }
}

#[test]
fn ipv6_is_marked_if_it_asks_for_it() {
    for (ecn, marked) in [(NOT_ECT, false), (ECT1, true), (ECT0, true), (CE, true)] {
        let mut packet = ipv6(&[], TCP, &[0; 20], ecn);
        assert_eq!(mark_ce(&mut packet), marked, "ECN bits {ecn}");
        let expected = if marked { CE } else { ecn };
        assert_eq!(packet, ipv6(&[], TCP, &[0; 20], expected));
    }
}

/// Over any header, so also over the sums whose carries are rare.
#[test]
fn a_right_checksum_stays_right_and_a_wrong_one_wrong() {
    let header = prop::collection::vec(any::<u8>(), 60);
    property(
        "checksums",
        20_000,
        &(header, 5..16u8, any::<bool>()),
        |(mut packet, words, right)| {
            packet[0] = 0x40 | words;
            if right {
                seal_ipv4(&mut packet);
            }
            let before = packet.clone();
            let was_right = is_sealed(&packet);
            let marked = mark_ce(&mut packet);
            prop_assert_eq!(marked, before[1] & CE != NOT_ECT);
            prop_assert_eq!(is_sealed(&packet), was_right);
            prop_assert_eq!(packet[1], if marked { before[1] | CE } else { before[1] });
            prop_assert_eq!(&packet[2..10], &before[2..10]);
            prop_assert_eq!(&packet[12..], &before[12..]);
            Ok(())
        },
    );
}

#[test]
fn what_is_no_whole_header_is_left_alone() {
    let whole4 = ipv4(TCP, 1, 2, ECT0);
    let whole6 = ipv6(&[], TCP, &[], ECT0);
    let cut4 = (0..20).map(|bytes| whole4[..bytes].to_vec());
    let cut6 = (0..40).map(|bytes| whole6[..bytes].to_vec());
    let other = [vec![0xff; 60], vec![0x02; 60]];
    for packet in cut4.chain(cut6).chain(other) {
        let mut after = packet.clone();
        assert!(!mark_ce(&mut after));
        assert_eq!(after, packet);
    }
}
