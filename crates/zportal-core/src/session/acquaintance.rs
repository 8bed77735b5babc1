//! What a client remembers of its peer from one link to the next: whoever has spoken the extension
//! speaks first on every link, and a link on which it does not is no peer yet.
//!
//! The kernel of a host whose server stands still goes on taking connections, and so does a proxy
//! that has lost its other side: without this memory such a link would pass for an original that has
//! nothing to say.

use std::cell::Cell;

/// What earlier links of this tunnel have taught.
#[derive(Debug, Default)]
pub struct Acquaintance {
    speaks_first: Cell<bool>,
    is_told: Cell<bool>,
}

impl Acquaintance {
    /// Whether the peer's silence at the beginning means that it is not reached.
    pub fn speaks_first(&self) -> bool {
        self.speaks_first.get()
    }

    /// Notes that the peer was heard, and whether with a HELLO. A server may be replaced by an
    /// original, which is to be believed as such from then on.
    pub fn heard(&self, is_extended: bool) {
        self.speaks_first.set(is_extended);
        self.is_told.set(false);
    }

    /// Whether this is the first mute link since the peer was heard: only that is worth a word.
    pub(super) fn tell_mute(&self) -> bool {
        !self.is_told.replace(true)
    }
}
