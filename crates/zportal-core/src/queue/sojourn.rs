//! How long packets waited, as quantiles over the last seconds, in a few hundred numbers of memory:
//! a quantile is never below the true one, and at most a quarter above it.
//!
//! Buckets grow as in HdrHistogram: four to each doubling. Two halves take turns, so that what is
//! told always covers the last full half and the one being filled.

#![forbid(unsafe_code)]

use super::Dequeued;

/// A half covers this time, nanoseconds.
pub const HALF_NS: u64 = 2_000_000_000;

/// Buckets to each doubling, as bits.
const SUB_BITS: u32 = 2;
const SUB: usize = 1 << SUB_BITS;
/// What waits longer than 2^27 µs, two minutes, counts as that.
const OCTAVES: usize = 26;
const BUCKETS: usize = OCTAVES * SUB;

/// The waits of one direction.
#[derive(Debug, Clone)]
pub struct Sojourns {
    halves: [[u32; BUCKETS]; 2],
    begun_ns: u64,
}

impl Default for Sojourns {
    fn default() -> Sojourns {
        Sojourns {
            halves: [[0; BUCKETS]; 2],
            begun_ns: 0,
        }
    }
}

impl Sojourns {
    /// Takes the wait of one packet in.
    pub fn note(&mut self, sojourn_ns: u64) {
        self.halves[0][bucket_of(sojourn_ns / 1000)] += 1;
    }

    /// Lets the older half go when its time is over.
    pub fn pass(&mut self, now_ns: u64) {
        let passed_ns = now_ns.saturating_sub(self.begun_ns);
        if passed_ns < HALF_NS {
            return;
        }
        self.begun_ns = now_ns;
        self.halves[1] = match passed_ns < 2 * HALF_NS {
            true => self.halves[0],
            false => [0; BUCKETS],
        };
        self.halves[0] = [0; BUCKETS];
    }

    /// The waits, microseconds, that so many per cent of the packets did not exceed, in ascending
    /// order of `percents`; 0 while there were none.
    pub fn percentiles_us<const N: usize>(&self, percents: [u64; N]) -> [u64; N] {
        let both = |bucket: usize| {
            let [newer, older] = &self.halves;
            u64::from(newer[bucket]) + u64::from(older[bucket])
        };
        let total: u64 = (0..BUCKETS).map(both).sum();
        percents.map(|percent| {
            let rank = (total * percent).div_ceil(100);
            let mut seen = 0;
            let bucket = (0..BUCKETS).find(|bucket| {
                seen += both(*bucket);
                seen >= rank
            });
            match bucket {
                Some(bucket) if total > 0 => upper_us(bucket),
                _ => 0,
            }
        })
    }
}

/// The waits of all packets, and those of flows that send less than their share apart: these are
/// what people notice, a lookup of a name or a key press, and they go under in the others' number.
#[derive(Debug, Clone, Default)]
pub struct Waits {
    all: Sojourns,
    sparse: Sojourns,
}

/// What the packets of the last seconds waited at the most, microseconds; 0 while there were none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitsUs {
    /// Half of them,
    pub p50: u64,
    /// and all but one in a hundred.
    pub p99: u64,
    /// All but one in a hundred of those of sparse flows.
    pub sparse_p99: u64,
}

impl Waits {
    /// Takes in how long a packet waited.
    pub fn note<P>(&mut self, dequeued: &Dequeued<P>) {
        self.all.note(dequeued.sojourn_ns);
        if dequeued.is_sparse {
            self.sparse.note(dequeued.sojourn_ns);
        }
    }

    /// The waits as of now.
    pub fn at(&mut self, now_ns: u64) -> WaitsUs {
        self.all.pass(now_ns);
        self.sparse.pass(now_ns);
        let [p50, p99] = self.all.percentiles_us([50, 99]);
        let [sparse_p99] = self.sparse.percentiles_us([99]);
        WaitsUs {
            p50,
            p99,
            sparse_p99,
        }
    }
}

/// Below [`SUB`] each microsecond has a bucket of its own.
fn bucket_of(us: u64) -> usize {
    let Some(octave) = us.checked_ilog2().filter(|octave| *octave >= SUB_BITS) else {
        return us as usize;
    };
    let sub = (us >> (octave - SUB_BITS)) as usize & (SUB - 1);
    (((octave - SUB_BITS + 1) as usize) * SUB + sub).min(BUCKETS - 1)
}

/// The longest wait that falls into a bucket, microseconds.
fn upper_us(bucket: usize) -> u64 {
    if bucket < SUB {
        return bucket as u64;
    }
    let shift = (bucket / SUB - 1) as u32;
    ((SUB + bucket % SUB + 1) as u64) * (1 << shift) - 1
}
