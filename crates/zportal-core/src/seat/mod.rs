//! One seat and those who want it: `admission` says who may come, `candidate` finds out who they
//! are, `rules` says who gets it, `door` keeps them meanwhile.

mod admission;
mod candidate;
mod door;
pub mod rules;

pub use admission::{Admission, Network};
pub use door::{CANDIDATES_MAX, Door, not_opened};
