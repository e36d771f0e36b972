//! Decision trees, exactly as trained.
//!
//! A bundle stores trees in pre-order, where a cycle, a lost node or a wild child
//! index cannot be written down. At load they are laid out for the kernel; the layout
//! is this module's own business and may change without a new bundle.
//!
//! | file | what it does |
//! |---|---|
//! | `wire.rs` | the part's encoding and its checks |
//! | `rank.rs` | values to ranks: thresholds are compared once per feature, not per node |
//! | `layout.rs` | trees to groups of carry nodes |
//! | `kernel.rs` | the walk: eight trees at a time, one addition and one shift a step |
//! | `linear_leaves.rs` | leaves that hold a linear function |

mod kernel;
mod layout;
mod linear_leaves;
mod rank;
mod wire;

pub use wire::{ForestWire, LEAF, LinearLeavesWire, Missing, RuleWire};

use super::Link;
use alloc::string::String;
use alloc::vec::Vec;
use kernel::Word;
use layout::Layout;
use linear_leaves::LinearLeaves;
use rank::Ranks;

/// A forest, laid out for evaluation.
#[derive(Debug)]
pub struct Forest {
    /// Feature names, in model order.
    pub features: Vec<String>,
    /// Raw scores per row.
    pub outputs: usize,
    /// Outputs whose responses add up to the risk, where there are several outputs.
    pub risk: Vec<usize>,
    /// From raw scores to responses.
    pub link: Link,
    /// Random forests: responses are the sums divided by this many iterations.
    pub averaged_over: Option<u32>,
    ranks: Ranks,
    trees: Trees,
    linear: Option<LinearLeaves>,
}

/// The trees in one of two node widths: four bytes where everything fits, else eight.
#[derive(Debug)]
enum Trees {
    Narrow(Layout<u32>),
    Wide(Layout<u64>),
}

/// Working memory of one evaluation: per slot the row's rank, where the carry needs it.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    narrow: Vec<u32>,
    wide: Vec<u64>,
}

impl Forest {
    /// Raw scores of one row, one per output; `row` has one value per feature.
    ///
    /// Leaf values are added in the trainer's order of trees, starting from zero, so
    /// the sums have the trainer's bits.
    pub fn raw(&self, row: &[f64], scratch: &mut Scratch, outputs: &mut Vec<f64>) {
        outputs.clear();
        outputs.resize(self.outputs, 0.0);
        match &self.trees {
            Trees::Narrow(layout) => self.sum(layout, row, &mut scratch.narrow, outputs),
            Trees::Wide(layout) => self.sum(layout, row, &mut scratch.wide, outputs),
        }
    }

    fn sum<W: Word>(&self, layout: &Layout<W>, row: &[f64], slots: &mut Vec<W>, outputs: &mut [f64]) {
        self.ranks.fill(row, slots);
        if let (None, [single]) = (&self.linear, &mut *outputs) {
            let mut sum = 0.0;
            layout.walk(slots, |exit| sum += layout.value(exit));
            *single = sum;
            return;
        }
        let mut next = 0;
        layout.walk(slots, |exit| {
            let plain = layout.value(exit);
            if let Some(output) = outputs.get_mut(next) {
                *output += self.linear.as_ref().map_or(plain, |linear| linear.value(exit, row, plain));
            }
            next = if next + 1 == self.outputs { 0 } else { next + 1 };
        });
    }
}
