//! From a value to how many thresholds lie below it.
//!
//! The same steps for every value: what is missing or zero is settled after the search by
//! choosing among whole numbers. A branch here would be guessed wrong as often as data vary.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their bits")]

use crate::rules::{Input, ZERO, is_zero};
use crate::trees::Missing;
use alloc::vec::Vec;

/// The thresholds of one rule.
#[derive(Debug)]
pub(crate) struct Search {
    /// Ascending, padded with infinity to one of a few sizes.
    table: Vec<f64>,
    /// What NaN comes to.
    nan: usize,
    /// What values come to that are as near to zero as `band`.
    zero: usize,
    band: f64,
    single: bool,
}

/// Sizes that tables are padded to; each has a search of fixed steps. Larger ones have none.
pub(crate) const SIZES: [usize; 3] = [16, 64, 256];

impl Search {
    /// `thresholds` ascend.
    #[inline]
    pub(crate) fn new(mut thresholds: Vec<f64>, missing: Missing, default_left: bool, input: Input) -> Self {
        let count = thresholds.len();
        let default = if default_left { 0 } else { count };
        let of_zero = thresholds.partition_point(|threshold| *threshold < 0.0);
        let zero = if missing == Missing::ZeroOrNan { default } else { of_zero };
        let banded = missing == Missing::ZeroOrNan || input == Input::TinyIsZero;
        let padded = SIZES.into_iter().find(|size| count < *size).unwrap_or(count);
        thresholds.resize(padded, f64::INFINITY);
        Self {
            table: thresholds,
            nan: if missing == Missing::IsZero { of_zero } else { default },
            zero,
            band: if banded { ZERO } else { -1.0 },
            single: input == Input::Single,
        }
    }

    /// Size of the padded table.
    pub(crate) fn size(&self) -> usize {
        self.table.len()
    }

    /// How many thresholds lie below the value, in a table of this size; 0 stands for any.
    #[inline(always)]
    pub(crate) fn below<const SIZE: usize>(&self, value: f64) -> usize {
        let value = if self.single { f64::from(value as f32) } else { value };
        let found = match self.table.first_chunk::<SIZE>() {
            Some(table) if SIZE > 0 => steps(table, value),
            _ => self.table.partition_point(|threshold| *threshold < value),
        };
        let found = if value.abs() <= self.band { self.zero } else { found };
        if value.is_nan() { self.nan } else { found }
    }
}

/// Binary search in a table that ends with at least one infinity. SIZE is a power of two.
#[inline(always)]
fn steps<const SIZE: usize>(table: &[f64; SIZE], value: f64) -> usize {
    let mut found = 0;
    let mut half = SIZE / 2;
    while half > 0 {
        // INVARIANT: found | half - 1 < SIZE, so the mask changes nothing and proves the index.
        found |= usize::from(table[(found | (half - 1)) & (SIZE - 1)] < value) * half;
        half /= 2;
    }
    found
}

impl Input {
    /// A value as the trees read it.
    #[inline(always)]
    pub(crate) fn apply(self, value: f64) -> f64 {
        match self {
            Self::TinyIsZero if is_zero(value) => 0.0,
            Self::AsIs | Self::TinyIsZero => value,
            Self::Single => f64::from(value as f32),
        }
    }
}
