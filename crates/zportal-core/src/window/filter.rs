//! The largest of what was seen within a window of time, in three samples of memory.
//!
//! Kathleen Nichols' algorithm, as in Linux (lib/win_minmax.c) for BBR. What it gives is one of the
//! values seen within the window, and never less than the newest; it may be less than the true
//! maximum for a while after that has left the window.

#![forbid(unsafe_code)]

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: u64,
    value: u64,
}

/// The largest value of a window.
#[derive(Debug, Clone, Copy, Default)]
pub struct MaxFilter {
    /// The best, the best since that one, and the best since that one.
    best: Option<[Sample; 3]>,
}

impl MaxFilter {
    /// The largest value, as of the last update; `None` before the first.
    pub fn value(&self) -> Option<u64> {
        self.best.map(|[best, _, _]| best.value)
    }

    /// Forgets everything but this value.
    pub fn reset(&mut self, at: u64, value: u64) {
        self.best = Some([Sample { at, value }; 3]);
    }

    /// Takes a value in; what is older than `window` counts no longer.
    pub fn update(&mut self, window: u64, at: u64, value: u64) {
        let sample = Sample { at, value };
        let Some(mut best) = self.best else {
            return self.reset(at, value);
        };
        let age = |sample: Sample| at.saturating_sub(sample.at);
        if value >= best[0].value || age(best[2]) > window {
            return self.reset(at, value);
        }
        if value >= best[1].value {
            best[1] = sample;
            best[2] = sample;
        } else if value >= best[2].value {
            best[2] = sample;
        }
        if age(best[0]) > window {
            best = [best[1], best[2], sample];
            if age(best[0]) > window {
                best = [best[1], best[2], sample];
            }
        } else if best[1].at == best[0].at && age(best[0]) > window / 4 {
            // A quarter of the window without a second best: take this one.
            best[1] = sample;
            best[2] = sample;
        } else if best[2].at == best[1].at && age(best[0]) > window / 2 {
            best[2] = sample;
        }
        self.best = Some(best);
    }
}
