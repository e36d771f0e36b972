//! Many rows at once: a bit a row.
//!
//! For each condition, the rows that go right form a *plane* of bits. Number the leaves of
//! a tree from left to right; then each inner node is a *cut* between two neighbours, and
//! the rows whose leaf lies at or after a cut are another plane. It follows from the cuts
//! on either side of the node's subtree, which lie above it in the tree:
//!
//! `after(cut) = after(end) | after(start) & right(condition)`
//!
//! Two operations a node serve all rows of a plane, whichever way each row goes. In Gray
//! code each cut changes one bit of the leaf's number, so one more operation a node gives
//! the numbers, and leaves lie in the table of values in that order. Sums are made row by
//! row and tree by tree, so they have the bits of a walk.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their type")]

use crate::outcomes::Outcomes;
use crate::plane::{Plane, ROWS};
use crate::preorder::{TreeNode, read_tree};
use crate::trees::{Streams, TreeSpan};
use alloc::vec::Vec;

/// Leaves of a tree, at the most: their numbers are bytes.
const LEAVES: usize = 256;
/// Bits of a leaf's number.
const BITS: usize = 8;

const NONE: Plane = [0; ROWS / 64];
const ALL: Plane = [u64::MAX; ROWS / 64];

/// Trees as cuts.
#[derive(Debug)]
pub(crate) struct Planes {
    trees: Vec<Tree>,
    cuts: Vec<Cut>,
    /// Leaf values, per tree by Gray code.
    values: Vec<f64>,
}

#[derive(Debug)]
struct Tree {
    /// Position of the first cut.
    cuts: usize,
    leaves: usize,
    /// Position of the first value.
    values: usize,
}

/// An inner node: number of the first leaf after it, and of the first and past the last
/// leaf below it. Nodes follow their parents.
#[derive(Clone, Copy, Debug)]
struct Cut {
    condition: u16,
    at: u16,
    start: u16,
    end: u16,
}

/// Working memory for one tree: per cut the rows at or after it.
type After = [Plane; LEAVES + 1];

impl Planes {
    /// `None` where a tree has more leaves than a byte can number.
    #[inline]
    pub(crate) fn build(spans: &[TreeSpan], streams: &Streams<'_>, outcomes: &Outcomes) -> Option<Self> {
        if spans.iter().any(|span| span.nodes() >= 2 * LEAVES) {
            return None;
        }
        let mut all = Self { trees: Vec::with_capacity(spans.len()), cuts: Vec::new(), values: Vec::new() };
        for span in spans {
            all.push(&read_tree(span, streams, outcomes), streams);
        }
        all.values.resize(all.values.len() + LEAVES, 0.0);
        Some(all)
    }

    #[inline]
    fn push(&mut self, nodes: &[TreeNode], streams: &Streams<'_>) {
        let leaves = nodes.len().div_ceil(2);
        let (cuts, values) = (self.cuts.len(), self.values.len());
        self.trees.push(Tree { cuts, leaves, values });
        self.values.resize(values + leaves.next_power_of_two(), 0.0);
        let mut start = 0;
        // Where the subtrees end that are still to come, outermost first.
        let mut ends = alloc::vec![leaves];
        for node in nodes {
            match *node {
                TreeNode::Inner { condition, left, right, .. } => {
                    // A subtree of l leaves has 2 l - 1 nodes.
                    let at = start + (right - left).div_ceil(2);
                    let end = ends.last().copied().unwrap_or(leaves);
                    self.cuts.push(Cut {
                        condition: condition as u16,
                        at: at as u16,
                        start: start as u16,
                        end: end as u16,
                    });
                    ends.push(at);
                }
                TreeNode::Leaf { leaf } => {
                    if let Some(value) = self.values.get_mut(values + (start ^ start >> 1)) {
                        *value = streams.leaf(leaf);
                    }
                    start += 1;
                    ends.pop();
                }
            }
        }
    }

    /// Walks every tree for all rows of a plane: `add` is told each tree's leaf per row, as
    /// a number among the values.
    #[inline(always)]
    pub(crate) fn walk(&self, conditions: &[Plane], mut add: impl FnMut(&[u8; ROWS], &[f64; LEAVES])) {
        let mut after: After = [NONE; _];
        let mut numbers = [0; ROWS];
        for tree in &self.trees {
            let cuts = self.cuts.get(tree.cuts..tree.cuts + tree.leaves - 1).unwrap_or_default();
            cut(cuts, tree.leaves, conditions, &mut after);
            number(tree.leaves, &after, &mut numbers);
            let values = self.values.get(tree.values..).and_then(<[f64]>::first_chunk);
            if let Some(values) = values {
                add(&numbers, values);
            }
        }
    }
}

/// Per output the numbers of all rows, from outputs row by row.
pub(crate) fn read(outputs: &[f64], width: usize, sums: &mut Vec<[f64; ROWS]>) {
    sums.resize(width, [0.0; ROWS]);
    for (row, outputs) in outputs.chunks(width.max(1)).enumerate() {
        sums.iter_mut().zip(outputs).for_each(|(sums, output)| sums[row % ROWS] = *output);
    }
}

/// The way back from [`read`].
pub(crate) fn write(sums: &[[f64; ROWS]], outputs: &mut [f64]) {
    for (row, outputs) in outputs.chunks_mut(sums.len().max(1)).enumerate() {
        outputs.iter_mut().zip(sums).for_each(|(output, sums)| *output = sums[row % ROWS]);
    }
}

/// Adds each row's leaf to its sum.
#[inline(always)]
pub(crate) fn each(
    numbers: &[u8; ROWS],
    values: &[f64; LEAVES],
    sums: &mut [f64; ROWS],
    add: impl Fn(f64, f64) -> f64,
) {
    for (sums, numbers) in sums.as_chunks_mut::<8>().0.iter_mut().zip(numbers.as_chunks::<8>().0) {
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum = add(*sum, values[usize::from(*number)]);
        }
    }
}

/// Per cut the rows at or after it.
#[inline(never)]
fn cut(cuts: &[Cut], leaves: usize, conditions: &[Plane], after: &mut After) {
    after[0] = ALL;
    after[leaves % (LEAVES + 1)] = NONE;
    for cut in cuts {
        let right = conditions.get(usize::from(cut.condition)).unwrap_or(&NONE);
        let at = |cut: u16| usize::from(cut).min(LEAVES);
        let (start, end) = (&after[at(cut.start)], &after[at(cut.end)]);
        after[at(cut.at)] = core::array::from_fn(|word| end[word] | start[word] & right[word]);
    }
}

/// The Gray code of each row's leaf.
#[inline(never)]
fn number(leaves: usize, after: &After, numbers: &mut [u8; ROWS]) {
    *numbers = [0; ROWS];
    for bit in 0..BITS {
        let mut plane = NONE;
        if 1 << bit >= leaves {
            return;
        }
        // Cut 2^bit and each 2^(bit + 1) after it.
        for at in after[..leaves].iter().skip(1 << bit).step_by(2 << bit) {
            plane.iter_mut().zip(at).for_each(|(plane, at)| *plane ^= at);
        }
        let (eights, _) = numbers.as_chunks_mut::<8>();
        for (eights, word) in eights.as_chunks_mut::<8>().0.iter_mut().zip(plane) {
            for (numbers, bits) in eights.iter_mut().zip(word.to_le_bytes()) {
                *numbers = (u64::from_le_bytes(*numbers) | SPREAD[usize::from(bits)] << bit).to_le_bytes();
            }
        }
    }
}

/// A byte's bits, one in each byte.
static SPREAD: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            table[byte] |= ((byte as u64 >> bit) & 1) << (8 * bit);
            bit += 1;
        }
        byte += 1;
    }
    table
};
