//! After warm-up, no packet costs a heap allocation, in either direction.

mod allocation_support;
mod common;

use std::sync::atomic::Ordering;

use allocation_support::{ALLOCATIONS, COUNTED, Counting};
use common::{Bench, packet, their_hello};
use zportal_core::wire::features::Features;
use zportal_core::wire::header::FLAG_VNET;
use zportal_core::wire::vnet::VNET_HEADER_BYTES;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn no_packet_costs_an_allocation_once_the_session_is_warm() {
    // Every other thread of this process counts; this one, which plays kernel and peer, does not.
    COUNTED.set(false);
    let everything = Features::VNET | Features::TSO4 | Features::PING;
    let mut bench = Bench::start(everything, &[]);
    bench.read_hello();
    bench.write_frame(0, &their_hello(everything));
    let mut super_packet = packet(60_000, 1);
    super_packet[2..4].copy_from_slice(&60_000_u16.to_be_bytes());
    super_packet[6..8].fill(0);
    super_packet[9] = 6;
    super_packet[32] = 0x50;
    let super_packet = [&[1, 1, 40, 0, 0x78, 5, 20, 0, 16, 0], &super_packet[..]].concat();
    let sizes = [40, 1400, 5000, 40, 2032, 1000];
    let mut round = |number: u8| {
        for size in sizes {
            let packet = packet(size.min(1400), number);
            bench.send_packet(&packet);
            assert_eq!(bench.read_frame(), (0, packet.clone()));
            bench.write_frame(0, &packet);
            assert_eq!(bench.receive_packet(), packet);
        }
        // Whole or in pieces, as the rate that was measured has it.
        bench.send_raw(&super_packet);
        let mut body_bytes = 60_000 - 40;
        while body_bytes > 0 {
            let (flags, piece) = bench.read_frame();
            assert_eq!(flags, FLAG_VNET);
            body_bytes -= piece.len() - VNET_HEADER_BYTES - 40;
        }
        bench.write_frame(FLAG_VNET, &super_packet);
        assert!(bench.receive_raw()[VNET_HEADER_BYTES..] == super_packet[VNET_HEADER_BYTES..]);
    };
    (0..50).for_each(&mut round);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    assert!(
        before > 0,
        "the session's start was not counted: this test sees nothing"
    );
    // Once more buffers may be out than ever before: when a busy machine makes the link look slow,
    // super-packets are cut finer. What every packet costs would show each time.
    let in_rounds = [(); 4].map(|()| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (0..100).for_each(&mut round);
        ALLOCATIONS.load(Ordering::Relaxed) - before
    });
    assert!(in_rounds.contains(&0), "{in_rounds:?}");
    assert!(in_rounds.iter().sum::<u64>() < 100, "{in_rounds:?}");
}
