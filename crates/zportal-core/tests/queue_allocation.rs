//! Once as many packets have waited as ever will, the queue allocates nothing.

mod allocation_support;
mod queue_support;

use allocation_support::{ALLOCATIONS_HERE, Counting};
use queue_support::{NOT_ECT, numbered};
use zportal_core::queue::fq_codel::{Config, FqCodel};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_warm_queue_does_not_allocate() {
    const PACKETS: usize = 300;
    let mut queue = FqCodel::new(Config::new(1 << 20, [1, 2]));
    let mut packets: Vec<_> = (0..PACKETS)
        .map(|number| numbered(number as u64, number as u16 % 20, 1500, NOT_ECT))
        .collect();
    let mut carried = 0u64;
    let mut before = 0;
    for round in 0..200u64 {
        if round == 1 {
            before = ALLOCATIONS_HERE.get();
        }
        let now_ns = round * 50_000_000;
        let mut free = std::mem::take(&mut packets);
        for packet in free.drain(..) {
            queue.enqueue(now_ns, packet, &mut |_, _| panic!("room for all"));
        }
        let mut drops = 0;
        while let Some(dequeued) =
            queue.dequeue(now_ns + 20_000_000 * (round % 9), &mut |packet, _| {
                free.push(packet);
                drops += 1;
            })
        {
            free.push(dequeued.packet);
        }
        packets = free;
        assert_eq!(packets.len(), PACKETS);
        carried += (PACKETS - drops) as u64;
    }
    let allocations = ALLOCATIONS_HERE.get() - before;
    assert!(carried > 0);
    assert_eq!(allocations, 0, "while {carried} packets were carried");
}
