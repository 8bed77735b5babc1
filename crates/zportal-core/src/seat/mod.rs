//! One seat and those who want it: `rules` says who gets it, `candidate` finds out who they are,
//! `door` keeps them.

mod candidate;
mod door;
pub mod rules;

pub use door::{CANDIDATES_MAX, Door, not_opened};
