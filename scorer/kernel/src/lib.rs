//! Walks decision trees, exactly as trained.
//!
//! The measured part of the core, in a crate of its own: compiled for speed and without
//! overflow checks, while the rest of the module is compiled small and with them. Still
//! safe Rust; the inputs were checked by `tollgate-scorer`, and wrong ones would give a
//! wrong number, never a wild access.
//!
//! | file | what it does |
//! |---|---|
//! | `trees.rs` | trees as they come in |
//! | `rank.rs` | values to ranks: thresholds are compared once per feature, not per node |
//! | `layout.rs` | trees to groups of carry nodes |
//! | `word.rs` | a node in one word: a step is one addition and one shift |
//! | `walk.rs` | the walk, eight trees side by side |
//! | `linear_leaves.rs` | leaves that hold a linear function |

#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

extern crate alloc;

mod layout;
mod linear_leaves;
mod rank;
mod trees;
mod walk;
mod word;

pub use linear_leaves::LinearTable;
pub use rank::{Ranks, Rule};
pub use trees::{LEAF, Missing, Split, Streams, TreeSpan};

use alloc::vec;
use alloc::vec::Vec;
use layout::Layout;
use linear_leaves::LinearLeaves;
use word::Word;

/// Trees laid out for evaluation.
#[derive(Debug)]
pub struct Trees {
    ranks: Ranks,
    nodes: Nodes,
    linear: Option<LinearLeaves>,
}

/// The nodes in one of two widths: four bytes where everything fits, else eight.
#[derive(Debug)]
enum Nodes {
    Narrow(Layout<u32>),
    Wide(Layout<u64>),
}

/// Working memory of one evaluation: per slot the row's rank, where the carry needs it.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    narrow: Vec<u32>,
    wide: Vec<u64>,
}

impl Trees {
    /// Lays trees out; `None` when a tree is too large for any layout.
    pub fn build(spans: &[TreeSpan], streams: &Streams<'_>, ranks: Ranks, linear: Option<LinearTable>) -> Option<Self> {
        let mut positions = vec![0; if linear.is_some() { streams.leaves.len() } else { 0 }];
        let leaf_at = |leaf: usize, position: usize| {
            if let Some(entry) = positions.get_mut(leaf) {
                *entry = position;
            }
        };
        let (nodes, total) = if Layout::<u32>::fits(spans, ranks.slots, ranks.highest_rank) {
            let layout = Layout::<u32>::build(spans, streams, leaf_at);
            let total = layout.positions();
            (Nodes::Narrow(layout), total)
        } else if Layout::<u64>::fits(spans, ranks.slots, ranks.highest_rank) {
            let layout = Layout::<u64>::build(spans, streams, leaf_at);
            let total = layout.positions();
            (Nodes::Wide(layout), total)
        } else {
            return None;
        };
        Some(Self { ranks, nodes, linear: linear.map(|table| LinearLeaves::place(table, &positions, total)) })
    }

    /// Adds the leaves of one row to its outputs; tree t goes to output t mod outputs.
    ///
    /// `row` has one value per feature, NaN for missing. Leaves are added in source
    /// order, so that the sums have the trainer's bits.
    pub fn add(&self, row: &[f64], scratch: &mut Scratch, outputs: &mut [f64]) {
        match &self.nodes {
            Nodes::Narrow(layout) => self.add_from(layout, row, &mut scratch.narrow, outputs),
            Nodes::Wide(layout) => self.add_from(layout, row, &mut scratch.wide, outputs),
        }
    }

    fn add_from<W: Word>(&self, layout: &Layout<W>, row: &[f64], slots: &mut Vec<W>, outputs: &mut [f64]) {
        self.ranks.fill(row, slots);
        if let (None, [single]) = (&self.linear, &mut *outputs) {
            let mut sum = *single;
            layout.walk(slots, |_, value| sum += value);
            *single = sum;
            return;
        }
        let mut next = 0;
        layout.walk(slots, |exit, plain| {
            if let Some(output) = outputs.get_mut(next) {
                *output += self.linear.as_ref().map_or(plain, |linear| linear.value(exit, row, plain));
            }
            next = if next + 1 == outputs.len() { 0 } else { next + 1 };
        });
    }
}
