//! Decision trees, exactly as trained.
//!
//! A bundle stores trees in pre-order, where a cycle, a lost node or a wild child
//! index cannot be written down. `wire.rs` reads and checks them; `tollgate-kernel` lays
//! them out and walks them. The layout is not part of the signed format and may change
//! without a new bundle.

mod wire;

pub use tollgate_kernel::{Aggregate, Input, LEAF, Missing, Rows, Scratch};
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
        self.add_offsets(outputs);
    }

    /// Raw scores of many rows: row by row one per output.
    pub fn raw_rows(&self, rows: &Rows<'_>, scratch: &mut Scratch, outputs: &mut Vec<f64>) {
        outputs.clear();
        for row in 1..=rows.count {
            outputs.extend_from_slice(&self.start);
            outputs.resize(row * self.outputs, self.aggregate.nothing());
        }
        self.trees.add_rows(rows, self.features.len(), scratch, outputs);
        outputs.chunks_mut(self.outputs.max(1)).for_each(|outputs| self.add_offsets(outputs));
    }

    fn add_offsets(&self, outputs: &mut [f64]) {
        for (output, offset) in outputs.iter_mut().zip(&self.offset) {
            *output = match self.aggregate {
                Aggregate::SingleSum => f64::from(*output as f32 + *offset as f32),
                _ => *output + offset,
            };
        }
    }

    /// Whether this forest can be explained: its leaves add up, and the training data that
    /// they saw is known.
    pub fn explains(&self) -> bool {
        self.trees.expectations().is_some()
    }

    /// Per output each feature's Shapley value, then the expectation; they add up to the
    /// raw score.
    pub(crate) fn contributions(&self, row: &[f64], scratch: &mut Scratch, contributions: &mut Vec<f64>) {
        let features = self.features.len();
        let mut values = alloc::vec![0.0; features * self.outputs];
        self.trees.add_contributions(row, scratch, &mut values);
        for (output, values) in values.chunks_exact(features).enumerate() {
            contributions.extend_from_slice(values);
            let own = self.trees.expectations().unwrap_or_default().iter().skip(output).step_by(self.outputs);
            let constants = [&self.start, &self.offset].map(|list| list.get(output).copied().unwrap_or_default());
            contributions.push(own.chain(&constants).sum());
        }
    }
}
