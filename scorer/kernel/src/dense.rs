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
const WIDE: usize = 8 * LANES;
/// Inputs whose zeros are looked for at once: the bits of a word.
const BLOCK: usize = 64;

/// Sums for one row of inputs: bias plus inputs times weights; what is below `least` becomes
/// that.
///
/// `weights` are those of [`dense_tiles`], all finite. Each output's sum starts with its bias
/// and goes through the inputs in order; an input of zero may be left out, for it changes no
/// sum but the sign of a zero, which no comparison tells.
///
/// ```
/// let weights = tollgate_kernel::dense_tiles(&[0.5], &[2.0]);
/// let mut outputs = [0.0];
/// tollgate_kernel::dense(&weights, &[3.0], f32::NEG_INFINITY, &mut outputs);
/// assert_eq!(outputs, [6.5]);
/// ```
// Not inlined: where it is called, code is compiled for size and without vectors.
#[inline(never)]
pub fn dense(weights: &[[u8; 4]], inputs: &[f32], least: f32, outputs: &mut [f32]) {
    let row = Row { inputs, least };
    let mut rest = weights;
    let (wide, narrow) = outputs.as_chunks_mut::<WIDE>();
    for outputs in wide {
        let (sums, after) = row.tile::<{ WIDE / LANES }>(rest);
        outputs.as_chunks_mut().0.iter_mut().zip(sums).for_each(|(outputs, sums)| *outputs = sums);
        rest = after;
    }
    for outputs in narrow.chunks_mut(LANES) {
        let (sums, after) = row.tile::<1>(rest);
        outputs.iter_mut().zip(sums.as_flattened()).for_each(|(output, sum)| *output = *sum);
        rest = after;
    }
}

/// Biases and weights, input by input those of all outputs, as [`dense`] reads them: tile after
/// tile, [`WIDE`] outputs as long as there are so many, then [`LANES`] outputs, the last of
/// them filled up with zeros. In a tile come the biases of its outputs, then input by input
/// their weights, four bytes little-endian each.
pub fn dense_tiles(bias: &[f32], weights: &[f32]) -> Vec<[u8; 4]> {
    let outputs = bias.len();
    let wide = outputs / WIDE * WIDE;
    let tiles = (0..wide).step_by(WIDE).map(|first| (first, WIDE));
    let tiles = tiles.chain((wide..outputs).step_by(LANES).map(|first| (first, LANES)));
    let mut numbers = Vec::new();
    for (first, width) in tiles {
        for row in core::iter::once(bias).chain(weights.chunks_exact(outputs)) {
            let lane = |at: usize| row.get(at).copied().unwrap_or_default().to_le_bytes();
            numbers.extend((first..first + width).map(lane));
        }
    }
    numbers
}

struct Row<'r> {
    inputs: &'r [f32],
    least: f32,
}

impl Row<'_> {
    /// One tile of outputs, whose sums stay in registers, and the weights behind it.
    #[inline(always)]
    fn tile<'w, const VECTORS: usize>(&self, weights: &'w [[u8; 4]]) -> ([[f32; LANES]; VECTORS], &'w [[u8; 4]]) {
        let (own, rest) = weights.split_at_checked((self.inputs.len() + 1) * VECTORS * LANES).unwrap_or_default();
        let (rows, _) = own.as_chunks::<LANES>().0.as_chunks::<VECTORS>();
        let Some((bias, rows)) = rows.split_first() else { return ([[0.0; LANES]; VECTORS], rest) };
        let mut sums = bias.each_ref().map(Four::load);
        for (inputs, rows) in self.inputs.chunks(BLOCK).zip(rows.chunks(BLOCK)) {
            let mut places = not_zero(inputs);
            // Of narrow tiles there are too few to be worth the code.
            if VECTORS > 1 && places.count_ones() as usize == inputs.len() {
                inputs.iter().zip(rows).for_each(|(input, row)| add(&mut sums, *input, row));
                continue;
            }
            while places != 0 {
                let place = places.trailing_zeros() as usize;
                places &= places - 1;
                let (Some(input), Some(row)) = (inputs.get(place), rows.get(place)) else { break };
                add(&mut sums, *input, row);
            }
        }
        (sums.map(|sum| sum.at_least(self.least).numbers()), rest)
    }
}

/// A bit for each of up to [`BLOCK`] inputs: it is not zero.
#[inline(always)]
fn not_zero(inputs: &[f32]) -> u64 {
    let (fours, rest) = inputs.as_chunks::<LANES>();
    let mut found = 0;
    for (at, four) in fours.iter().enumerate() {
        found |= u64::from(Four::of(*four).not_zero()) << (at * LANES);
    }
    for (at, input) in rest.iter().enumerate() {
        found |= u64::from(*input != 0.0) << (fours.len() * LANES + at);
    }
    found
}

#[inline(always)]
fn add<const VECTORS: usize>(sums: &mut [Four; VECTORS], input: f32, weights: &[[[u8; 4]; LANES]; VECTORS]) {
    let input = Four::splat(input);
    sums.iter_mut().zip(weights).for_each(|(sum, weights)| *sum = sum.plus_product(input, Four::load(weights)));
}
