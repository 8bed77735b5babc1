//! Flows take turns so that each sends as many bytes as any other, and a flow that sends less than
//! its share goes before those that send more.
//!
//! Deficit round robin with the two lists of RFC 8290. Two things differ from its letter, both
//! because our packets may be super-packets of 64 KiB, which stand for 45 packets of a network:
//!
//! - A flow that wakes up with more than the first quantum at once is no sparse flow, and so begins
//!   among the old flows: otherwise a lookup of a name could wait for 64 KiB of each of eight
//!   downloads.
//! - A flow's debt may be many quanta deep. It stays listed, and so keeps its debt, until it has
//!   waited as many rounds; only a flow that is alone is forgiven, since it owes nobody.
//!
//! And a fast link has larger quanta: packets of one flow that follow each other are cheaper at the
//! other end, which gathers them, and nobody waits the longer for it.

#![forbid(unsafe_code)]

use super::store::NOWHERE;

/// One flow's place in the rounds.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// What it may still send in this round, bytes on the link; a debt if negative.
    deficit_bytes: i64,
    /// Whether it is on one of the lists.
    listed: bool,
    /// The next flow on its list.
    next: u32,
}

/// Flows in the order of their turns, linked through [`Turn::next`].
#[derive(Debug, Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

impl List {
    const EMPTY: List = List {
        head: NOWHERE,
        tail: NOWHERE,
    };

    fn push_back(&mut self, turns: &mut [Turn], index: u32) {
        turns[index as usize].next = NOWHERE;
        match turns.get_mut(self.tail as usize) {
            Some(last) => last.next = index,
            None => self.head = index,
        }
        self.tail = index;
    }

    fn pop_front(&mut self, turns: &[Turn]) {
        if let Some(first) = turns.get(self.head as usize) {
            self.head = first.next;
            if self.head == NOWHERE {
                self.tail = NOWHERE;
            }
        }
    }
}

/// The flows that have, or lately had, something to send.
#[derive(Debug)]
pub struct Rounds {
    turns: Box<[Turn]>,
    /// What a flow may send before those that use their share up.
    sparse_bytes: i64,
    /// What each of those may send in one round.
    quantum_bytes: i64,
    new_flows: List,
    old_flows: List,
    listed: usize,
}

impl Rounds {
    /// None of `flows` has anything to send. In one round each may send `quantum_bytes`.
    pub fn new(flows: usize, quantum_bytes: usize) -> Rounds {
        let turn = Turn {
            deficit_bytes: 0,
            listed: false,
            next: NOWHERE,
        };
        let quantum_bytes = i64::try_from(quantum_bytes).unwrap_or(i64::MAX);
        Rounds {
            turns: vec![turn; flows].into_boxed_slice(),
            sparse_bytes: quantum_bytes,
            quantum_bytes,
            new_flows: List::EMPTY,
            old_flows: List::EMPTY,
            listed: 0,
        }
    }

    /// From now on each flow may send so much in one round, at least as much as at first. What is
    /// sparse stays what it was.
    pub fn set_quantum(&mut self, quantum_bytes: usize) {
        let quantum_bytes = i64::try_from(quantum_bytes).unwrap_or(i64::MAX);
        self.quantum_bytes = quantum_bytes.max(self.sparse_bytes);
    }

    /// Notes that the flow has a packet to send.
    pub fn join(&mut self, index: u32, packet_bytes: u32) {
        let turn = &mut self.turns[index as usize];
        if turn.listed {
            return;
        }
        turn.listed = true;
        turn.deficit_bytes = self.sparse_bytes;
        self.listed += 1;
        let list = if i64::from(packet_bytes) > self.sparse_bytes {
            &mut self.old_flows
        } else {
            &mut self.new_flows
        };
        list.push_back(&mut self.turns, index);
    }

    /// The flow whose turn it is. It stays so until it has spent its deficit, or leaves.
    pub fn current(&mut self) -> Option<u32> {
        loop {
            let index = self.first()?;
            let turn = &mut self.turns[index as usize];
            if turn.deficit_bytes > 0 {
                return Some(index);
            }
            let owed = if self.listed == 1 {
                0
            } else {
                turn.deficit_bytes
            };
            turn.deficit_bytes = owed + self.quantum_bytes;
            self.pop_first();
            self.old_flows.push_back(&mut self.turns, index);
        }
    }

    /// Whether a flow waits that goes before those that use their share up.
    pub fn has_new(&self) -> bool {
        self.new_flows.head != NOWHERE
    }

    /// Whether the current flow is this one, and goes before those that use their share up.
    pub fn is_new(&self, index: u32) -> bool {
        self.new_flows.head == index
    }

    /// Notes that the flow sends `packet_bytes` now.
    pub fn spend(&mut self, index: u32, packet_bytes: u32) {
        self.turns[index as usize].deficit_bytes -= i64::from(packet_bytes);
    }

    /// Notes that the current flow has nothing to send.
    pub fn leave(&mut self) {
        let Some(index) = self.first() else {
            return;
        };
        let was_new = self.new_flows.head == index;
        self.pop_first();
        if was_new && self.old_flows.head != NOWHERE {
            // One round among the old ones: a flow must not become new, and so have precedence,
            // as often as it manages to run empty.
            self.old_flows.push_back(&mut self.turns, index);
        } else {
            self.turns[index as usize].listed = false;
            self.listed -= 1;
        }
    }

    /// Forgets every flow.
    pub fn clear(&mut self) {
        while let Some(index) = self.first() {
            self.pop_first();
            self.turns[index as usize].listed = false;
        }
        self.listed = 0;
    }

    fn first(&self) -> Option<u32> {
        [self.new_flows.head, self.old_flows.head]
            .into_iter()
            .find(|head| *head != NOWHERE)
    }

    fn pop_first(&mut self) {
        if self.new_flows.head != NOWHERE {
            self.new_flows.pop_front(&self.turns);
        } else {
            self.old_flows.pop_front(&self.turns);
        }
    }
}
