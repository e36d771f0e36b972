//! Fully connected layers of neural nets, in single precision.
//!
//! Only additions and multiplications of single numbers in a fixed order, four lanes side by
//! side: the same bits on every runtime, natively too. No fused multiply-add, no relaxed
//! instructions, no summation order that depends on the machine.

use crate::four::Four;
use alloc::vec::Vec;

/// Outputs in a vector.
pub const LANES: usize = 4;
/// Outputs that are summed side by side: what the registers hold.
pub const WIDE: usize = 8 * LANES;

/// Sums for one row of inputs: bias plus inputs times weights; what is below `least` becomes
/// that.
///
/// `weights`, four bytes little-endian each, hold tile after tile: [`WIDE`] outputs as long as there are so many, then [`LANES`]
/// outputs, the last of them filled up with zeros. In a tile come the biases of its outputs,
/// then input by input their weights, all finite. Each output's sum starts with its bias and
/// goes through the inputs in order; an input of zero is left out. `places` is working memory.
///
/// ```
/// let weights = [0.5_f32, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0].map(f32::to_le_bytes);
/// let mut outputs = [0.0];
/// tollgate_kernel::dense(&weights, &[3.0], f32::NEG_INFINITY, &mut Vec::new(), &mut outputs);
/// assert_eq!(outputs, [6.5]);
/// ```
// Not inlined: where it is called, code is compiled for size and without vectors.
#[inline(never)]
pub fn dense(weights: &[[u8; 4]], inputs: &[f32], least: f32, places: &mut Vec<u32>, outputs: &mut [f32]) {
    let count = find(inputs, places);
    let row = Row { inputs, places: places.get(..count).unwrap_or_default(), least };
    let mut rest = weights;
    let (wide, narrow) = outputs.as_chunks_mut::<WIDE>();
    wide.iter_mut().for_each(|outputs| rest = row.tile::<{ WIDE / LANES }>(rest, outputs));
    narrow.chunks_mut(LANES).for_each(|outputs| rest = row.tile::<1>(rest, outputs));
}

/// Notes where inputs are not zero, without a branch; returns how many are.
fn find(inputs: &[f32], places: &mut Vec<u32>) -> usize {
    if places.len() < inputs.len() {
        places.resize(inputs.len(), 0);
    }
    let mut count = 0;
    for (place, input) in (0..).zip(inputs) {
        if let Some(slot) = places.get_mut(count) {
            *slot = place;
        }
        count += usize::from(*input != 0.0);
    }
    count
}

struct Row<'r> {
    inputs: &'r [f32],
    places: &'r [u32],
    least: f32,
}

impl Row<'_> {
    /// One tile of outputs, whose sums stay in registers; returns the weights behind it.
    #[inline(always)]
    fn tile<'w, const VECTORS: usize>(&self, weights: &'w [[u8; 4]], outputs: &mut [f32]) -> &'w [[u8; 4]] {
        let (own, rest) = weights.split_at_checked((self.inputs.len() + 1) * VECTORS * LANES).unwrap_or_default();
        let (rows, _) = own.as_chunks::<LANES>().0.as_chunks::<VECTORS>();
        let Some((bias, rows)) = rows.split_first() else { return rest };
        let mut sums = bias.each_ref().map(Four::load);
        for place in self.places {
            let (Some(row), Some(input)) = (rows.get(*place as usize), self.inputs.get(*place as usize)) else {
                continue;
            };
            let input = Four::splat(*input);
            for (sum, weights) in sums.iter_mut().zip(row) {
                *sum = sum.plus_product(input, Four::load(weights));
            }
        }
        // NaN is not below anything, so it stays.
        let kept = |sum: f32| if sum < self.least { self.least } else { sum };
        let sums = sums.map(Four::numbers);
        outputs.iter_mut().zip(sums.as_flattened()).for_each(|(output, sum)| *output = kept(*sum));
        rest
    }
}
