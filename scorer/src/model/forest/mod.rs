//! Decision trees, exactly as trained.
//!
//! A bundle stores trees in pre-order, where a cycle, a lost node or a wild child
//! index cannot be written down. `wire.rs` reads and checks them; `tollgate-kernel` lays
//! them out and walks them. The layout is not part of the signed format and may change
//! without a new bundle.

mod wire;

pub use tollgate_kernel::{Aggregate, Input, LEAF, Missing, Scratch};
pub use wire::{CoverWire, ForestWire, LinearLeavesWire, RuleWire};

use super::Link;
use alloc::string::String;
use alloc::vec::Vec;
use tollgate_kernel::Trees;

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
    /// How leaves come together.
    pub aggregate: Aggregate,
    /// Per output, what the sum starts with; empty for zeros.
    pub start: Vec<f64>,
    /// Per output, what is added last; empty for zeros.
    pub offset: Vec<f64>,
    trees: Trees,
}

impl Forest {
    /// Raw scores of one row, one per output; `row` has one value per feature.
    pub fn raw(&self, row: &[f64], scratch: &mut Scratch, outputs: &mut Vec<f64>) {
        outputs.clear();
        outputs.extend_from_slice(&self.start);
        outputs.resize(self.outputs, self.aggregate.nothing());
        self.trees.add(row, scratch, outputs);
        for (output, offset) in outputs.iter_mut().zip(&self.offset) {
            *output = match self.aggregate {
                Aggregate::SingleSum => f64::from(*output as f32 + *offset as f32),
                _ => *output + offset,
            };
        }
    }
}
