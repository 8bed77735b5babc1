//! Four accumulators over a message, whatever their width.
//!
//! A macro, because it has to be written out in a function that is compiled for the instructions it
//! uses: a closure passed to a function that knows nothing of AVX is inlined by luck only, and costs
//! three quarters of the speed where it is not.

/// Loads four accumulators from the first stride, `started` applied to the first of them, moves
/// them over all other strides, and then onto the last; that is the value.
///
/// Where it stands there are `LANE_BYTES`, `load` (of one accumulator) and `moved`. A stride is an
/// array of four times `LANE_BYTES`.
macro_rules! four_lanes {
    ($first:expr, $strides:expr, |$lane:ident| $started:expr) => {{
        let (lanes, _) = $first.as_chunks::<LANE_BYTES>();
        let $lane = load(&lanes[0]);
        let mut a = $started;
        let [mut b, mut c, mut d] = [load(&lanes[1]), load(&lanes[2]), load(&lanes[3])];
        for stride in $strides {
            let (next, _) = stride.as_chunks::<LANE_BYTES>();
            a = moved(a, const { by(4 * LANE_BYTES) }, load(&next[0]));
            b = moved(b, const { by(4 * LANE_BYTES) }, load(&next[1]));
            c = moved(c, const { by(4 * LANE_BYTES) }, load(&next[2]));
            d = moved(d, const { by(4 * LANE_BYTES) }, load(&next[3]));
        }
        // Each goes straight to the last one's place, so that the moves overlap.
        let last = moved(c, const { by(LANE_BYTES) }, d);
        let last = moved(b, const { by(2 * LANE_BYTES) }, last);
        moved(a, const { by(3 * LANE_BYTES) }, last)
    }};
}

pub(super) use four_lanes;
