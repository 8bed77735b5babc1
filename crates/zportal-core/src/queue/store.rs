//! The packets of all flows lie in one pool, each in one place of it, in the order of its flow.
//!
//! A place that was freed last is taken next, because it is still in cache; the pool grows only
//! when more packets wait than ever before.

#![forbid(unsafe_code)]

/// No place.
pub const NOWHERE: u32 = u32::MAX;

/// A waiting packet and what was noted when it came.
#[derive(Debug)]
pub struct Waiting<P> {
    /// The packet.
    pub packet: P,
    /// When it came, nanoseconds.
    pub enqueued_ns: u64,
    /// Its size on the link, bytes.
    pub wire_bytes: u32,
    /// Memory that it pins, its place here included, bytes.
    pub memory_bytes: u32,
}

/// The ends of one flow's packets.
#[derive(Debug, Clone, Copy)]
pub struct Fifo {
    head: u32,
    tail: u32,
}

impl Fifo {
    /// No packets.
    pub const EMPTY: Fifo = Fifo {
        head: NOWHERE,
        tail: NOWHERE,
    };
}

/// One place of the pool.
#[derive(Debug)]
struct Place<P> {
    waiting: Option<Waiting<P>>,
    /// The next packet of the flow, or the next free place.
    next: u32,
}

/// The pool.
#[derive(Debug)]
pub struct Store<P> {
    places: Vec<Place<P>>,
    free: u32,
}

impl<P> Store<P> {
    /// Memory of one place, bytes.
    pub const PLACE_BYTES: usize = size_of::<Place<P>>();

    /// No places yet.
    pub fn new() -> Store<P> {
        Store {
            places: Vec::new(),
            free: NOWHERE,
        }
    }

    /// Puts a packet behind the others of its flow.
    pub fn push_back(&mut self, fifo: &mut Fifo, waiting: Waiting<P>) {
        let index = self.place(waiting);
        match self.places.get_mut(fifo.tail as usize) {
            Some(last) => last.next = index,
            None => fifo.head = index,
        }
        fifo.tail = index;
    }

    /// Takes the packet that has waited longest in its flow.
    pub fn pop_front(&mut self, fifo: &mut Fifo) -> Option<Waiting<P>> {
        let index = fifo.head;
        let place = self.places.get_mut(index as usize)?;
        let waiting = place.waiting.take();
        fifo.head = std::mem::replace(&mut place.next, self.free);
        self.free = index;
        if fifo.head == NOWHERE {
            fifo.tail = NOWHERE;
        }
        waiting
    }

    fn place(&mut self, waiting: Waiting<P>) -> u32 {
        let index = self.free;
        if let Some(place) = self.places.get_mut(index as usize) {
            self.free = std::mem::replace(&mut place.next, NOWHERE);
            place.waiting = Some(waiting);
            return index;
        }
        let index = self.places.len() as u32;
        self.places.push(Place {
            waiting: Some(waiting),
            next: NOWHERE,
        });
        index
    }
}
