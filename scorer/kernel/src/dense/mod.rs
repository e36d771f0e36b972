//! Layers of neural nets, in single precision.
//!
//! Only additions, multiplications and divisions of single numbers in a fixed order, four lanes
//! side by side: the same bits on every runtime, natively too. No fused multiply-add, no
//! relaxed instructions, no summation order that depends on the machine.

mod functions;

pub use functions::Activation;

use alloc::vec;
use alloc::vec::Vec;

/// Numbers in a vector.
const LANES: usize = 4;
/// Vectors of outputs that are summed side by side: what sixteen registers hold.
const WIDE: usize = 8;

type Lanes = [f32; LANES];

/// A fully connected layer: bias plus inputs times weights.
///
/// Each output's sum starts with its bias and goes through the inputs in order; an input of
/// zero is left out.
#[derive(Clone, Debug)]
pub struct Dense {
    inputs: usize,
    /// Vectors of outputs, the last one filled up with zeros.
    vectors: usize,
    /// Tile by tile, in a tile input by input, the weights of the tile's outputs.
    weights: Vec<Lanes>,
    bias: Vec<Lanes>,
}

impl Dense {
    /// Lays a layer out. `weights` lie input by input, one per output; all are finite, and as
    /// many as `inputs` times the outputs.
    #[inline]
    pub fn new(inputs: usize, weights: &[f32], bias: &[f32]) -> Self {
        let vectors = bias.len().div_ceil(LANES);
        let mut laid = Vec::with_capacity(vectors * inputs);
        for (first, width) in tiles(vectors) {
            for row in weights.chunks_exact(bias.len().max(1)).take(inputs) {
                laid.extend((first..first + width).map(|vector| lanes(row, vector)));
            }
        }
        let bias = (0..vectors).map(|vector| lanes(bias, vector)).collect();
        Self { inputs, vectors, weights: laid, bias }
    }

    /// Sums for one row of `inputs` numbers; writes to `outputs`, and reads no more of them
    /// than there are. `places` is working memory.
    pub fn apply(&self, inputs: &[f32], places: &mut Vec<u32>, outputs: &mut [f32]) {
        let count = find(inputs, places);
        let places = places.get(..count).unwrap_or_default();
        let mut weights = self.weights.as_slice();
        for (first, width) in tiles(self.vectors) {
            let (own, rest) = weights.split_at_checked(self.inputs * width).unwrap_or_default();
            weights = rest;
            let bias = self.bias.get(first..).unwrap_or_default();
            let outputs = outputs.get_mut(first * LANES..).unwrap_or_default();
            match width {
                WIDE => tile::<WIDE>(own, bias, inputs, places, outputs),
                _ => tile::<1>(own, bias, inputs, places, outputs),
            }
        }
    }
}

/// First vector and number of vectors of each tile.
fn tiles(vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    let wide = vectors / WIDE;
    (0..wide).map(|tile| (tile * WIDE, WIDE)).chain((wide * WIDE..vectors).map(|vector| (vector, 1)))
}

/// Notes where inputs are not zero, without a branch; returns how many are.
fn find(inputs: &[f32], places: &mut Vec<u32>) -> usize {
    if places.len() < inputs.len() {
        *places = vec![0; inputs.len()];
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

/// One tile of outputs, whose sums stay in registers.
#[inline(always)]
fn tile<const VECTORS: usize>(weights: &[Lanes], bias: &[Lanes], inputs: &[f32], places: &[u32], out: &mut [f32]) {
    let mut sums = [[0.0; LANES]; VECTORS];
    sums.iter_mut().zip(bias).for_each(|(sum, bias)| *sum = *bias);
    let (rows, _) = weights.as_chunks::<VECTORS>();
    for place in places {
        let (Some(row), Some(input)) = (rows.get(*place as usize), inputs.get(*place as usize)) else { continue };
        for (sum, weights) in sums.iter_mut().zip(row) {
            for (sum, weight) in sum.iter_mut().zip(weights) {
                *sum += input * weight;
            }
        }
    }
    out.iter_mut().zip(sums.as_flattened()).for_each(|(out, sum)| *out = *sum);
}

/// One vector of a row, filled up with zeros.
fn lanes(row: &[f32], vector: usize) -> Lanes {
    let mut lanes = [0.0; LANES];
    let from = row.get(vector * LANES..).unwrap_or_default();
    lanes.iter_mut().zip(from).for_each(|(lane, number)| *lane = *number);
    lanes
}
