//! Leaves that hold a linear function instead of a number (LightGBM `linear_tree`).

use super::rank;
use super::wire::LinearLeavesWire;
use crate::error::{Code, Result, ensure};
use alloc::vec;
use alloc::vec::Vec;

/// The linear functions of a forest, by node position.
#[derive(Debug)]
pub(super) struct LinearLeaves {
    /// Per position: the constant and the range of terms.
    leaves: Vec<(f64, u32, u32)>,
    /// Feature and weight.
    terms: Vec<(u32, f64)>,
}

/// The part's linear functions, checked, by leaf number.
pub(super) struct LinearTable {
    pub(super) leaves: Vec<(f64, u32, u32)>,
    terms: Vec<(u32, f64)>,
}

impl LinearTable {
    /// Checks counts, features and numbers.
    pub(super) fn parse(wire: &LinearLeavesWire<'_>, leaves: usize, features: usize) -> Result<Self> {
        let (constants, rest_a) = wire.constants.as_chunks::<8>();
        let (counts, rest_b) = wire.counts.as_chunks::<2>();
        let (ids, rest_c) = wire.features.as_chunks::<4>();
        let (weights, rest_d) = wire.weights.as_chunks::<8>();
        let whole = [rest_a, rest_b, rest_c, rest_d].iter().all(|rest| rest.is_empty());
        let matching = constants.len() == leaves && counts.len() == leaves && ids.len() == weights.len();
        ensure(whole && matching, Code::Model, "model: linear leaves do not match the leaves")?;
        let terms: Vec<(u32, f64)> =
            ids.iter().zip(weights).map(|(id, w)| (u32::from_le_bytes(*id), f64::from_le_bytes(*w))).collect();
        let known = terms.iter().all(|(id, weight)| (*id as usize) < features && weight.is_finite());
        ensure(known, Code::Model, "model: linear leaf with an unknown feature or a weight not finite")?;
        let mut end = 0u32;
        let mut table = Vec::with_capacity(leaves);
        for (constant, count) in constants.iter().zip(counts) {
            let start = end;
            end = end.saturating_add(u32::from(u16::from_le_bytes(*count)));
            table.push((f64::from_le_bytes(*constant), start, end));
        }
        ensure(end as usize == terms.len(), Code::Model, "model: linear leaves do not add up to the terms")?;
        let finite = table.iter().all(|(constant, ..)| constant.is_finite());
        ensure(finite, Code::Model, "model: linear leaf with a constant not finite")?;
        Ok(Self { leaves: table, terms })
    }

    /// Reorders by node position; `positions` gives the position of each leaf.
    pub(super) fn place(self, positions: &[usize], total: usize) -> LinearLeaves {
        let mut leaves = vec![(0.0, 0, 0); total];
        for (leaf, position) in self.leaves.into_iter().zip(positions) {
            if let Some(entry) = leaves.get_mut(*position) {
                *entry = leaf;
            }
        }
        LinearLeaves { leaves, terms: self.terms }
    }
}

impl LinearLeaves {
    /// The leaf's function of the row, or `plain` when one of its features is missing.
    pub(super) fn value(&self, position: u32, row: &[f64], plain: f64) -> f64 {
        let Some((constant, start, end)) = self.leaves.get(position as usize) else { return f64::NAN };
        let mut sum = *constant;
        for (feature, weight) in self.terms.get(*start as usize..*end as usize).unwrap_or_default() {
            let value = row.get(*feature as usize).copied().unwrap_or(f64::NAN);
            if value.is_nan() {
                return plain;
            }
            // Values within 1e-35 of zero reach LightGBM's trees as zero.
            sum += weight * if rank::is_zero(value) { 0.0 } else { value };
        }
        sum
    }
}
