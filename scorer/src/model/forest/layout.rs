//! Trees laid out in blocks of eight for the kernel.

use super::kernel::Word;
use super::wire::{Split, Streams, TreeSpan};
use alloc::vec;
use alloc::vec::Vec;

/// Trees that are walked side by side.
pub(super) const LANES: usize = 8;
/// Steps that all trees of a block take together; deeper ones go to the worklist.
const COMMON_STEPS: u32 = 8;

/// Blocks of trees with their leaf values.
#[derive(Debug)]
pub(super) struct Layout<W> {
    /// Nodes of all blocks; the eight roots of a block come first in it.
    pub(super) nodes: Vec<W>,
    /// In walking order.
    pub(super) blocks: Vec<Block>,
    /// Per tree in source order: where its block starts.
    pub(super) bases: Vec<u32>,
    /// Number of trees.
    pub(super) trees: usize,
    /// Per node position: the leaf's value; zero for inner nodes.
    values: Vec<f64>,
}

/// Eight trees.
#[derive(Debug)]
pub(super) struct Block {
    /// Position of the first node.
    pub(super) base: u32,
    /// Steps taken by all eight.
    pub(super) steps: u32,
    /// Source positions of the trees; beyond the last tree, `u32::MAX`.
    pub(super) trees: [u32; LANES],
}

impl<W: Word> Layout<W> {
    /// Whether the trees fit this width of node.
    pub(super) fn fits(spans: &[TreeSpan], slots: usize, highest_rank: u32) -> bool {
        let widest = spans.iter().map(TreeSpan::nodes).max().unwrap_or(1);
        let slots_fit = W::SLOTS == 0 || slots <= W::SLOTS;
        slots_fit && highest_rank <= W::HIGHEST_RANK && widest * LANES <= W::BLOCK_NODES
    }

    /// Lays trees out, shallow ones first so that blocks hold trees of like depth.
    ///
    /// `leaf_at` is told the position that each leaf of the part is placed at.
    pub(super) fn build(spans: &[TreeSpan], streams: &Streams<'_>, mut leaf_at: impl FnMut(usize, usize)) -> Self {
        let mut order: Vec<(usize, &TreeSpan)> = spans.iter().enumerate().collect();
        order.sort_by_key(|(_, span)| span.depth);
        let nodes: usize = spans.iter().map(TreeSpan::nodes).sum::<usize>() + LANES;
        let mut layout = Self {
            nodes: Vec::with_capacity(nodes),
            blocks: Vec::with_capacity(spans.len().div_ceil(LANES)),
            bases: vec![0; spans.len()],
            trees: spans.len(),
            values: Vec::with_capacity(nodes),
        };
        for group in order.chunks(LANES) {
            layout.push_block(group, streams, &mut leaf_at);
        }
        layout
    }

    /// The value at a leaf's position.
    pub(super) fn value(&self, position: u32) -> f64 {
        self.values.get(position as usize).copied().unwrap_or(f64::NAN)
    }

    /// How many node positions there are.
    pub(super) fn positions(&self) -> usize {
        self.nodes.len()
    }

    fn push_block(&mut self, group: &[(usize, &TreeSpan)], streams: &Streams<'_>, leaf_at: &mut impl FnMut(usize, usize)) {
        let base = self.nodes.len();
        let mut trees = [u32::MAX; LANES];
        for (lane, tree) in trees.iter_mut().enumerate() {
            self.nodes.push(W::leaf(lane));
            self.values.push(0.0);
            if let Some((source, _)) = group.get(lane) {
                *tree = *source as u32;
                if let Some(entry) = self.bases.get_mut(*source) {
                    *entry = base as u32;
                }
            }
        }
        for (lane, (_, span)) in group.iter().enumerate() {
            self.push_tree(base, lane, span, streams, leaf_at);
        }
        let deepest = group.iter().map(|(_, span)| span.depth).max().unwrap_or(0);
        // The roots are loaded before the first step, so depth d takes d steps.
        let steps = deepest.min(COMMON_STEPS);
        self.blocks.push(Block { base: base as u32, steps, trees });
    }

    /// Reads one tree in pre-order; each inner node gets a pair of places for its children.
    fn push_tree(
        &mut self,
        base: usize,
        root: usize,
        span: &TreeSpan,
        streams: &Streams<'_>,
        leaf_at: &mut impl FnMut(usize, usize),
    ) {
        let (mut ranks, mut leaves) = (span.first_rank, span.first_leaf);
        let mut places = vec![root];
        for index in span.splits.clone() {
            let Some(place) = places.pop() else { return };
            let word = match streams.split(index) {
                Split::Leaf => {
                    self.set_value(base + place, streams.leaf(leaves));
                    leaf_at(leaves, base + place);
                    leaves += 1;
                    W::leaf(place)
                }
                Split::Inner { slot } => {
                    let left = self.nodes.len() - base;
                    self.nodes.extend([W::default(); 2]);
                    self.values.extend([0.0; 2]);
                    places.extend([left + 1, left]);
                    let rank = streams.rank(ranks);
                    ranks += 1;
                    W::inner(slot, rank, left)
                }
            };
            if let Some(node) = self.nodes.get_mut(base + place) {
                *node = word;
            }
        }
    }

    fn set_value(&mut self, position: usize, value: f64) {
        if let Some(entry) = self.values.get_mut(position) {
            *entry = value;
        }
    }
}
