//! The walk through the trees.
//!
//! A node is one word: slot | complement of the split's rank | left child. Children
//! lie side by side. With the row's rank shifted below the child index, one addition
//! carries into it exactly when the rank is above the split's, and one shift reads the
//! child off: `next = (node + slots[slot]) >> CHILD`. A leaf has a complement of zero,
//! so nothing carries, and names itself as its child.

#![expect(clippy::indexing_slicing, reason = "lanes are fixed arrays walked by constant ranges")]

use super::layout::{Block, LANES, Layout};
use alloc::vec::Vec;

/// A node word of one width.
pub(super) trait Word: Copy + Default + PartialEq + core::fmt::Debug {
    /// The highest rank a slot can hold: above every split, so "go right".
    const HIGHEST_RANK: u32;
    /// Nodes a block may have.
    const BLOCK_NODES: usize;
    /// How many slots a row needs to have, at the least.
    const SLOTS: usize;

    /// An inner node; `rank` is below [`Word::HIGHEST_RANK`].
    fn inner(slot: usize, rank: u32, left: usize) -> Self;
    /// A leaf at this index of its block.
    fn leaf(at: usize) -> Self;
    /// A row's rank as it stands in a slot.
    fn rank(rank: u32) -> Self;
    /// The index after one step.
    fn step(self, slots: &[Self]) -> usize;
    /// For a leaf, its own index.
    fn at(self) -> usize;
    /// Whether this is a leaf.
    fn is_leaf(self) -> bool;
    /// The words of a block, as far as this width needs them.
    fn word(block: &[Self], index: usize) -> Self;
}

impl Word for u32 {
    const HIGHEST_RANK: u32 = 0xff;
    const BLOCK_NODES: usize = 1 << 16;
    const SLOTS: usize = 256;

    fn inner(slot: usize, rank: u32, left: usize) -> Self {
        (slot as u32 & 0xff) | (0xff - (rank & 0xff)) << 8 | (left as u32) << 16
    }
    fn leaf(at: usize) -> Self {
        (at as u32) << 16
    }
    fn rank(rank: u32) -> Self {
        rank << 8
    }
    #[inline(always)]
    fn step(self, slots: &[Self]) -> usize {
        // INVARIANT: a walk has 256 slots, see `Ranks::fill`.
        let slot = slots.get((self & 0xff) as usize).copied().unwrap_or_default();
        (self.wrapping_add(slot) >> 16) as usize
    }
    #[inline(always)]
    fn at(self) -> usize {
        (self >> 16) as usize
    }
    #[inline(always)]
    fn is_leaf(self) -> bool {
        self & 0xff00 == 0
    }
    #[inline(always)]
    fn word(block: &[Self], index: usize) -> Self {
        block.get(index).copied().unwrap_or_default()
    }
}

impl Word for u64 {
    const HIGHEST_RANK: u32 = 0xffff;
    const BLOCK_NODES: usize = 1 << 24;
    const SLOTS: usize = 0;

    fn inner(slot: usize, rank: u32, left: usize) -> Self {
        (slot as u64 & 0xffff) | u64::from(0xffff - (rank & 0xffff)) << 16 | (left as u64) << 32
    }
    fn leaf(at: usize) -> Self {
        (at as u64) << 32
    }
    fn rank(rank: u32) -> Self {
        u64::from(rank) << 16
    }
    #[inline(always)]
    fn step(self, slots: &[Self]) -> usize {
        let slot = slots.get((self & 0xffff) as usize).copied().unwrap_or_default();
        (self.wrapping_add(slot) >> 32) as usize
    }
    #[inline(always)]
    fn at(self) -> usize {
        (self >> 32) as usize
    }
    #[inline(always)]
    fn is_leaf(self) -> bool {
        self & 0xffff_0000 == 0
    }
    #[inline(always)]
    fn word(block: &[Self], index: usize) -> Self {
        block.get(index).copied().unwrap_or_default()
    }
}

impl<W: Word> Layout<W> {
    /// Walks every tree for one row; `exits` gets a leaf position per tree.
    ///
    /// Two phases: a fixed number of steps for the eight trees of a block, which costs
    /// no branch, then a worklist for the few trees that go deeper.
    pub(super) fn walk(&self, slots: &[W], exits: &mut Vec<u32>, deep: &mut Vec<u32>) {
        exits.resize(self.trees, 0);
        deep.resize(self.trees + LANES, 0);
        let mut waiting = 0;
        for block in &self.blocks {
            waiting = self.walk_block(block, slots, exits, deep, waiting);
        }
        for group in deep.get(..waiting).unwrap_or_default().chunks(LANES) {
            self.finish(group, slots, exits);
        }
    }

    /// Phase one for one block; returns the new length of the worklist.
    #[inline(always)]
    fn walk_block(&self, block: &Block, slots: &[W], exits: &mut [u32], deep: &mut [u32], mut waiting: usize) -> usize {
        let nodes = self.nodes.get(block.base as usize..).unwrap_or_default();
        let mut lanes = [W::default(); LANES];
        for lane in 0..LANES {
            lanes[lane] = W::word(nodes, lane);
        }
        for _ in 0..block.steps {
            for lane in 0..LANES {
                lanes[lane] = W::word(nodes, lanes[lane].step(slots));
            }
        }
        for lane in 0..LANES {
            let tree = block.trees[lane];
            if let Some(exit) = exits.get_mut(tree as usize) {
                // For a tree that is not done yet, the child it stands before.
                *exit = block.base + lanes[lane].at() as u32;
                if !lanes[lane].is_leaf() {
                    *exit = block.base + lanes[lane].step(slots) as u32;
                    if let Some(entry) = deep.get_mut(waiting) {
                        *entry = tree;
                        waiting += 1;
                    }
                }
            }
        }
        waiting
    }

    /// Phase two: up to eight unfinished trees to their leaves.
    fn finish(&self, trees: &[u32], slots: &[W], exits: &mut [u32]) {
        for tree in trees {
            let base = self.bases.get(*tree as usize).copied().unwrap_or_default();
            let nodes = self.nodes.get(base as usize..).unwrap_or_default();
            if let Some(exit) = exits.get_mut(*tree as usize) {
                let mut word = W::word(nodes, (*exit - base) as usize);
                while !word.is_leaf() {
                    word = W::word(nodes, word.step(slots));
                }
                *exit = base + word.at() as u32;
            }
        }
    }
}
