//! The laws of the queue, over any order of calls: each packet leaves exactly once, in the order
//! of its flow, changed in nothing but its ECN bits, and the memory bound holds after each call.

mod queue_support;
mod wire_support;

use std::collections::{HashMap, VecDeque};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use queue_support::{CE, NOT_ECT, Numbered, is_sealed, numbered};
use wire_support::property;
use zportal_core::queue::DropCause;
use zportal_core::queue::fq_codel::{Config, FqCodel};

const LIMIT_BYTES: usize = 256 * 1024;
const MS: u64 = 1_000_000;

#[derive(Debug, Clone)]
enum Call {
    Enqueue {
        flow: u16,
        wire_bytes: usize,
        ecn: u8,
    },
    Dequeue,
    Wait {
        ms: u64,
    },
    Clear,
    SetTarget {
        ms: u64,
    },
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let size = prop_oneof![4 => 60..1500usize, 1 => 20_000..65_000usize];
    let call = prop_oneof![
        40 => (0..6u16, size, 0..4u8)
            .prop_map(|(flow, wire_bytes, ecn)| Call::Enqueue { flow, wire_bytes, ecn }),
        30 => Just(Call::Dequeue),
        20 => (0..40u64).prop_map(|ms| Call::Wait { ms }),
        1 => Just(Call::Clear),
        1 => (1..10u64).prop_map(|ms| Call::SetTarget { ms }),
    ];
    prop::collection::vec(call, 1..600)
}

/// What the queue should hold, told by its calls alone.
#[derive(Default)]
struct Model {
    flows: HashMap<u16, VecDeque<(Numbered, u64)>>,
    marks: u64,
    codel_drops: u64,
}

impl Model {
    /// Whatever leaves is the oldest of its flow.
    fn leaves(&mut self, packet: &Numbered) -> Result<u64, TestCaseError> {
        let flow = self.flows.entry(packet.flow).or_default();
        let (entered, entered_ns) = flow
            .pop_front()
            .ok_or_else(|| TestCaseError::fail(format!("{} left a second time", packet.number)))?;
        prop_assert_eq!(packet.number, entered.number, "not the oldest of its flow");
        let mut expected = entered.clone();
        if packet.ip != entered.ip {
            prop_assert_ne!(entered.ip[1] & CE, NOT_ECT, "marked without asking");
            prop_assert_eq!(packet.ip[1], entered.ip[1] | CE);
            prop_assert!(
                is_sealed(&packet.ip),
                "the checksum is wrong: {:x?}",
                packet.ip
            );
            expected.ip[1] = packet.ip[1];
            expected.ip[10..12].copy_from_slice(&packet.ip[10..12]);
            self.marks += 1;
        }
        prop_assert_eq!(packet, &expected, "changed");
        Ok(entered_ns)
    }

    fn waiting(&self) -> impl Iterator<Item = &Numbered> {
        self.flows.values().flatten().map(|(packet, _)| packet)
    }
}

#[test]
fn each_packet_leaves_once_in_order_and_within_the_bound() {
    let total = std::cell::Cell::new((0, 0));
    property("laws of the queue", 400, &calls(), |calls| {
        let mut config = Config::new(LIMIT_BYTES, [1, 2]);
        config.interval_ns = 20 * MS;
        let mut queue = FqCodel::new(config);
        let mut model = Model::default();
        let mut now_ns = 0;
        for (number, call) in calls.into_iter().enumerate() {
            let mut dropped = Vec::new();
            let mut on_drop = |packet, cause| dropped.push((packet, cause));
            match call {
                Call::Enqueue {
                    flow,
                    wire_bytes,
                    ecn,
                } => {
                    let packet = numbered(number as u64, flow, wire_bytes, ecn);
                    let waiting = (packet.clone(), now_ns);
                    model.flows.entry(flow).or_default().push_back(waiting);
                    queue.enqueue(now_ns, packet, &mut on_drop);
                    for (packet, cause) in &dropped {
                        prop_assert_eq!(*cause, DropCause::Overlimit);
                        model.leaves(packet)?;
                    }
                }
                Call::Dequeue => {
                    let was_empty = queue.is_empty();
                    let dequeued = queue.dequeue(now_ns, &mut on_drop);
                    for (packet, cause) in &dropped {
                        prop_assert_eq!(*cause, DropCause::CoDel);
                        prop_assert_eq!(packet.ip[1] & CE, NOT_ECT, "dropped, not marked");
                        model.leaves(packet)?;
                    }
                    model.codel_drops += dropped.len() as u64;
                    prop_assert_eq!(dequeued.is_none(), was_empty, "CoDel emptied the queue");
                    if let Some(dequeued) = dequeued {
                        let entered_ns = model.leaves(&dequeued.packet)?;
                        prop_assert_eq!(dequeued.sojourn_ns, now_ns - entered_ns);
                    }
                }
                Call::Wait { ms } => now_ns += ms * MS,
                Call::Clear => {
                    let mut cleared = Vec::new();
                    queue.clear(&mut |packet| cleared.push(packet));
                    for packet in &cleared {
                        model.leaves(packet)?;
                    }
                    prop_assert!(queue.is_empty());
                }
                Call::SetTarget { ms } => queue.set_target(ms * MS),
            }
            prop_assert!(queue.memory_bytes() <= LIMIT_BYTES);
            prop_assert_eq!(queue.packets(), model.waiting().count());
            let wire_bytes: usize = model.waiting().map(|packet| packet.wire_bytes).sum();
            prop_assert_eq!(queue.wire_bytes(), wire_bytes as u64);
            let memory_bytes: usize = model.waiting().map(|packet| packet.memory_bytes).sum();
            prop_assert!(queue.memory_bytes() >= memory_bytes);
        }
        let mut rest = 0;
        while let Some(dequeued) = queue.dequeue(now_ns, &mut |packet, _| {
            model.leaves(&packet).expect("a law holds to the end");
        }) {
            model.leaves(&dequeued.packet)?;
            rest += 1;
        }
        prop_assert!(rest <= LIMIT_BYTES / 2048);
        prop_assert_eq!(model.waiting().count(), 0, "lost in the queue");
        prop_assert_eq!(queue.memory_bytes(), 0);
        prop_assert!(queue.marks() >= model.marks);
        let (marks, drops) = total.get();
        total.set((marks + model.marks, drops + model.codel_drops));
        Ok(())
    });
    let (marks, drops) = total.get();
    assert!(
        marks > 100 && drops > 100,
        "the calls hardly reach CoDel: {marks} marks, {drops} drops"
    );
}

/// Bytes that are no packets, sizes that make no sense and parameters that nobody should give.
#[test]
fn no_bytes_and_no_parameters_panic() {
    let bytes = prop::collection::vec(any::<u8>(), 0..120);
    let version = prop_oneof![
        Just(0x40u8),
        Just(0x45),
        Just(0x4f),
        Just(0x60),
        any::<u8>()
    ];
    let packets = prop::collection::vec(
        (
            bytes,
            version,
            any::<u32>(),
            any::<u32>(),
            0..1_000_000_000u64,
        ),
        0..60,
    );
    let config = (
        any::<u64>(),
        any::<u64>(),
        0..3000usize,
        0..20usize,
        any::<u32>(),
    );
    property("any bytes", 300, &(packets, config), |(packets, config)| {
        let (target_ns, interval_ns, quantum_bytes, flows, limit) = config;
        let limit_memory_bytes = limit as usize;
        let mut queue = FqCodel::new(Config {
            target_ns: target_ns >> (target_ns & 63),
            interval_ns: interval_ns >> (interval_ns & 63),
            quantum_bytes,
            flows,
            limit_memory_bytes,
            seed: [target_ns, interval_ns],
        });
        let mut now_ns = 0u64;
        let mut entered = 0;
        let mut left = 0;
        for (mut ip, first, wire_bytes, memory_bytes, step_ns) in packets {
            if let Some(byte) = ip.first_mut() {
                *byte = first;
            }
            let packet = Numbered {
                number: 0,
                flow: 0,
                ip,
                wire_bytes: (wire_bytes & 0x1_ffff) as usize,
                memory_bytes: memory_bytes as usize,
            };
            entered += 1;
            // Clocks that step back are somebody else's fault, but must not be our end.
            queue.enqueue(now_ns, packet, &mut |_, _| left += 1);
            now_ns = now_ns.wrapping_add(step_ns).wrapping_sub(step_ns / 3 * 4);
            prop_assert!(queue.memory_bytes() <= limit_memory_bytes);
            if step_ns % 3 == 0 && queue.dequeue(now_ns, &mut |_, _| left += 1).is_some() {
                left += 1;
            }
        }
        queue.clear(&mut |_| left += 1);
        prop_assert_eq!(entered, left);
        Ok(())
    });
}
