//! The frames that the kernel is sending now, as the one message that `sendmsg` takes them in.

use super::super::slots::{Slot, Slots};

/// Frames with their headers written, and where the kernel has got to in them.
pub struct Batch {
    slots: Vec<Slot>,
    vectors: Vec<libc::iovec>,
    /// The first vector with unsent bytes.
    first: usize,
    message: Box<libc::msghdr>,
}

impl Batch {
    /// Empty, with room for that many frames.
    pub fn new(frames_max: usize) -> Batch {
        Batch {
            slots: Vec::with_capacity(frames_max),
            vectors: Vec::with_capacity(frames_max),
            first: 0,
            // SAFETY: all-zero is a valid msghdr: null pointers and zero lengths.
            message: Box::new(unsafe { std::mem::zeroed::<libc::msghdr>() }),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The frames in it, sent ones included.
    pub fn frames(&self) -> usize {
        self.slots.len()
    }

    /// The frames that the kernel has not taken whole.
    pub fn unsent(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().skip(self.first)
    }

    /// Writes a frame's header and adds it; returns its bytes.
    pub fn push(&mut self, mut slot: Slot) -> usize {
        slot.seal();
        self.push_sealed(slot)
    }

    /// Adds a frame whose header is written; returns its bytes.
    pub fn push_sealed(&mut self, slot: Slot) -> usize {
        let frame = slot.frame();
        let bytes = frame.len();
        self.vectors.push(libc::iovec {
            iov_base: frame.as_ptr().cast_mut().cast(),
            iov_len: bytes,
        });
        self.slots.push(slot);
        bytes
    }

    /// What the kernel has not taken yet. The pointer and all it leads to stay valid until
    /// something is pushed or given back, or the batch is dropped.
    pub fn message(&mut self) -> *const libc::msghdr {
        let unsent = &mut self.vectors[self.first..];
        self.message.msg_iov = unsent.as_mut_ptr();
        self.message.msg_iovlen = unsent.len();
        &raw const *self.message
    }

    /// Notes that the kernel took `bytes`, and tells of every frame that it has all of now; returns
    /// whether those are all.
    pub fn sent(&mut self, mut bytes: usize, mut on_gone: impl FnMut(&Slot)) -> bool {
        while let Some(vector) = self.vectors.get_mut(self.first) {
            if bytes < vector.iov_len {
                vector.iov_base = vector.iov_base.wrapping_byte_add(bytes);
                vector.iov_len -= bytes;
                return false;
            }
            bytes -= vector.iov_len;
            on_gone(&self.slots[self.first]);
            self.first += 1;
        }
        true
    }

    /// Empties it, and gives the buffers back.
    pub fn give_back(&mut self, slots: &mut Slots) {
        self.vectors.clear();
        self.first = 0;
        for slot in self.slots.drain(..).rev() {
            slots.put_back(slot.bytes);
        }
    }
}
