//! What a machine that speaks to a proxy wants next, or why there will be no tunnel.

#![forbid(unsafe_code)]

/// What a machine wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write `bytes` to the proxy, then advance with the input from `consumed` on.
    Send {
        /// What to write, whole.
        bytes: Vec<u8>,
        /// How many bytes of this input were used up.
        consumed: usize,
    },
    /// All of this input is used up and the answer is not complete: read more.
    NeedMore,
    /// The proxy joined us to the target; the input from `consumed` on came from there.
    Done {
        /// How many bytes of this input were still the proxy's own.
        consumed: usize,
    },
    /// There will be no tunnel through this proxy. Final.
    Failed(Failure),
}

/// Why a proxy does not join us to the target; each carries what it said, as a sentence's tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It wants to know who we are.
    Auth(String),
    /// It understood, and cannot or will not reach the target.
    Refused(String),
    /// What it said is not of its protocol.
    Protocol(String),
}
