//! Drives a handshake with a proxy as a link does, from an answer that is known beforehand.

use zportal_core::proxy::{Failure, Handshake, Step};

/// What became of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Joined; what followed the answer.
    Joined(Vec<u8>),
    Failed(Failure),
    /// Everything was eaten and more is wanted.
    Waiting,
}

pub struct Driven {
    pub outcome: Outcome,
    /// Each message that was written to the proxy.
    pub sent: Vec<Vec<u8>>,
}

/// The law: the outcome depends on the bytes, not on the cuts, it is final, and three messages
/// are sent at most.
pub fn drive(
    mut machine: Handshake,
    answer: &[u8],
    mut next_cut: impl FnMut(usize) -> usize,
) -> Driven {
    let (mut input, mut given, mut sent): (Vec<u8>, usize, Vec<Vec<u8>>) = (vec![], 0, vec![]);
    let outcome = loop {
        match machine.advance(&input) {
            Step::Send { bytes, consumed } => {
                assert!(!bytes.is_empty());
                sent.push(bytes);
                assert!(sent.len() <= 3, "a fourth message");
                input.drain(..consumed);
            }
            Step::NeedMore => {
                if given == answer.len() {
                    break Outcome::Waiting;
                }
                let size = next_cut(answer.len() - given).clamp(1, answer.len() - given);
                input = answer[given..given + size].to_vec();
                given += size;
            }
            Step::Done { consumed } => {
                let mut surplus = input.split_off(consumed);
                surplus.extend_from_slice(&answer[given..]);
                assert_eq!(machine.advance(&[1, 2, 3]), Step::Done { consumed: 0 });
                break Outcome::Joined(surplus);
            }
            Step::Failed(failure) => {
                let again = machine.advance(&[5, 0]);
                assert_eq!(again, Step::Failed(failure.clone()), "not final");
                break Outcome::Failed(failure);
            }
        }
    };
    Driven { outcome, sent }
}
