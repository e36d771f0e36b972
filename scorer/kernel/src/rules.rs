//! What splits refer to, and the values that they look at.

use alloc::vec::Vec;

use crate::trees::Missing;

/// LightGBM's zero: its `kZeroThreshold` is the float 1e-35 as a double.
pub(crate) const ZERO: f64 = 1e-35f32 as f64;

/// Whether LightGBM takes a value for zero.
pub(crate) fn is_zero(value: f64) -> bool {
    (-ZERO..=ZERO).contains(&value)
}

/// What a split refers to.
#[derive(Clone, Debug)]
pub enum Rule {
    /// The feature's value against a threshold.
    Number {
        /// Position of the feature.
        feature: usize,
        /// What counts as missing.
        missing: Missing,
        /// Missing goes left.
        default_left: bool,
    },
    /// Whether a feature's category is in a set; bit c is category c.
    Set {
        /// Position of the feature.
        feature: usize,
        /// Words of 32 bits.
        bits: Vec<u32>,
        /// Missing values count as in it.
        missing_in: bool,
    },
    /// Whether a feature's value equals one of these numbers.
    OneOf {
        /// Position of the feature.
        feature: usize,
        /// The numbers.
        numbers: Vec<f64>,
        /// Missing values count as one of them.
        missing_in: bool,
    },
}

impl Rule {
    /// Position of the feature.
    pub fn feature(&self) -> usize {
        match self {
            Self::Number { feature, .. } | Self::Set { feature, .. } | Self::OneOf { feature, .. } => *feature,
        }
    }
}

/// What happens to a value before it is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Input {
    /// Nothing.
    #[default]
    AsIs,
    /// Values within 1e-35 of zero become zero: LightGBM drops them on input.
    TinyIsZero,
    /// It is rounded to single precision, as XGBoost and most ONNX graphs read it.
    Single,
}

/// Rows of values, in whatever order they lie: row by row or column by column.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'v> {
    /// The values; NaN stands for a missing one.
    pub values: &'v [f64],
    /// Number of rows.
    pub count: usize,
    /// From a value to that of the next row.
    pub row_stride: usize,
    /// From a value to that of the next feature.
    pub feature_stride: usize,
}

impl<'v> Rows<'v> {
    /// Rows that lie one after the other, with `width` values each.
    pub fn by_row(values: &'v [f64], width: usize) -> Self {
        let width = width.max(1);
        Self { values, count: values.len() / width, row_stride: width, feature_stride: 1 }
    }

    /// Columns that lie one after the other, with `count` values each.
    pub fn by_column(values: &'v [f64], count: usize) -> Self {
        Self { values, count, row_stride: 1, feature_stride: count }
    }

    /// At most `count` rows from this one on.
    pub fn part(&self, first: usize, count: usize) -> Self {
        let values = self.values.get(first * self.row_stride..).unwrap_or_default();
        Self { values, count: count.min(self.count.saturating_sub(first)), ..*self }
    }

    /// The values of one feature; fewer than there are rows where values are lacking.
    #[inline(always)]
    pub(crate) fn column(&self, feature: usize) -> impl Iterator<Item = f64> + use<'v> {
        let values = self.values.get(feature * self.feature_stride..).unwrap_or_default();
        values.iter().step_by(self.row_stride.max(1)).take(self.count).copied()
    }

    /// Copies one row of so many features; what is lacking is missing.
    pub fn copy_row(&self, row: usize, features: usize, to: &mut Vec<f64>) {
        to.clear();
        to.extend((0..features).map(|feature| {
            let at = row * self.row_stride + feature * self.feature_stride;
            self.values.get(at).copied().unwrap_or(f64::NAN)
        }));
    }
}
