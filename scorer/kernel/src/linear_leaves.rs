//! Leaves that hold a linear function instead of a number (LightGBM `linear_tree`).

use crate::rules::is_zero;
use alloc::vec;
use alloc::vec::Vec;

/// The linear functions of a forest, by leaf number.
#[derive(Clone, Debug)]
pub struct LinearTable {
    /// Per leaf: the constant and the range of its terms.
    pub leaves: Vec<(f64, u32, u32)>,
    /// Feature and weight, in the order of addition.
    pub terms: Vec<(u32, f64)>,
}

/// The linear functions of a forest, by node position.
#[derive(Debug)]
pub(crate) struct LinearLeaves(LinearTable);

impl LinearLeaves {
    /// Reorders by node position; `positions` gives the position of each leaf.
    #[inline]
    pub(crate) fn place(table: LinearTable, positions: &[usize], total: usize) -> Self {
        let mut leaves = vec![(0.0, 0, 0); total];
        for (leaf, position) in table.leaves.into_iter().zip(positions) {
            if let Some(entry) = leaves.get_mut(*position) {
                *entry = leaf;
            }
        }
        Self(LinearTable { leaves, terms: table.terms })
    }

    /// The leaf's function of the row, or `plain` when one of its features is missing.
    pub(crate) fn value(&self, position: usize, row: &[f64], plain: f64) -> f64 {
        let Some((constant, start, end)) = self.0.leaves.get(position) else { return f64::NAN };
        let mut sum = *constant;
        for (feature, weight) in self.0.terms.get(*start as usize..*end as usize).unwrap_or_default() {
            let value = row.get(*feature as usize).copied().unwrap_or(f64::NAN);
            if value.is_nan() {
                return plain;
            }
            // Values within 1e-35 of zero reach LightGBM's trees as zero.
            sum += weight * if is_zero(value) { 0.0 } else { value };
        }
        sum
    }
}
