//! Values to ranks: each feature is compared with its thresholds once per row.
//!
//! A value's rank is the number of the feature's thresholds below it, so
//! `value <= threshold[k]` exactly when `rank <= k`. Missing values and category sets
//! are settled here too: they cost a slot, not a test in every node.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their bits")]

use crate::trees::Missing;
use crate::word::Word;
use alloc::vec::Vec;

/// LightGBM's zero: its `kZeroThreshold` is the float 1e-35 as a double.
const ZERO: f64 = 1e-35f32 as f64;

/// Whether LightGBM takes a value for zero.
pub(crate) fn is_zero(value: f64) -> bool {
    (-ZERO..=ZERO).contains(&value)
}

/// How a row of values becomes a row of slots.
#[derive(Debug, Default)]
pub struct Ranks {
    features: Vec<FeatureRanks>,
    sets: Vec<SetSlot>,
    /// Number of slots.
    pub(crate) slots: usize,
    /// The most thresholds that a feature has.
    pub(crate) highest_rank: u32,
    /// Values within 1e-35 of zero count as zero (LightGBM drops them on input).
    tiny_is_zero: bool,
}

/// One feature's thresholds and the slots that its rank goes to.
#[derive(Debug)]
struct FeatureRanks {
    feature: usize,
    /// Ascending, padded with infinity to one of a few sizes.
    thresholds: Vec<f64>,
    /// Rank of zero, which a missing value counts as where nothing else is said.
    zero: u32,
    slots: Vec<NumberSlot>,
}

/// Where a rank goes, and what a missing value does there.
#[derive(Debug)]
struct NumberSlot {
    slot: usize,
    missing: Missing,
    default_left: bool,
}

/// A slot for "category is in this set".
#[derive(Debug)]
struct SetSlot {
    slot: usize,
    feature: usize,
    /// Bit c of the set: words of 32 bits.
    bits: Vec<u32>,
}

impl FeatureRanks {
    /// Pads the thresholds so that every search takes the same steps.
    fn new(feature: usize, mut thresholds: Vec<f64>) -> Self {
        let zero = thresholds.partition_point(|threshold| *threshold < 0.0) as u32;
        let count = thresholds.len() + 1;
        let padded = PADDED.into_iter().find(|size| count <= *size).unwrap_or(count.next_power_of_two());
        thresholds.resize(padded, f64::INFINITY);
        Self { feature, thresholds, zero, slots: Vec::new() }
    }

    /// Number of thresholds below the value; 0 for NaN.
    #[inline(always)]
    fn rank(&self, value: f64) -> u32 {
        let thresholds = self.thresholds.as_slice();
        if let Some(table) = thresholds.as_array::<256>() {
            search(table, value)
        } else if let Some(table) = thresholds.as_array::<64>() {
            search(table, value)
        } else if let Some(table) = thresholds.as_array::<16>() {
            search(table, value)
        } else {
            thresholds.partition_point(|threshold| *threshold < value) as u32
        }
    }
}

/// Sizes that thresholds are padded to; each has a search without a branch or a bound
/// to check.
const PADDED: [usize; 3] = [16, 64, 256];

/// Binary search in a table that ends with at least one infinity. N is a power of two.
#[inline(always)]
fn search<const N: usize>(table: &[f64; N], value: f64) -> u32 {
    let mut rank = 0;
    let mut half = N / 2;
    while half > 0 {
        // INVARIANT: rank + half <= N, so the mask changes nothing and proves the index.
        rank += if table[(rank + half - 1) & (N - 1)] < value { half } else { 0 };
        half /= 2;
    }
    rank as u32
}

/// How one slot is filled: what a split refers to.
#[derive(Clone, Debug)]
pub enum Rule {
    /// The rank of a feature's value.
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
    },
}

impl Ranks {
    /// Puts ranks together from each feature's ascending thresholds and the rules, whose
    /// positions are the slots. A rule of a feature without thresholds list is ignored.
    pub fn new(thresholds: Vec<Vec<f64>>, rules: Vec<Rule>, tiny_is_zero: bool) -> Self {
        let highest_rank = thresholds.iter().map(Vec::len).max().unwrap_or(0) as u32;
        let mut ranks = Self { slots: rules.len(), highest_rank, tiny_is_zero, ..Self::default() };
        ranks.features = thresholds.into_iter().enumerate().map(|(id, list)| FeatureRanks::new(id, list)).collect();
        for (slot, rule) in rules.into_iter().enumerate() {
            match rule {
                Rule::Set { feature, bits } => ranks.sets.push(SetSlot { slot, feature, bits }),
                Rule::Number { feature, missing, default_left } => {
                    if let Some(target) = ranks.features.get_mut(feature) {
                        target.slots.push(NumberSlot { slot, missing, default_left });
                    }
                }
            }
        }
        ranks.features.retain(|feature| !feature.slots.is_empty());
        ranks
    }

    /// Fills the slots for one row.
    pub(crate) fn fill<W: Word>(&self, row: &[f64], slots: &mut Vec<W>) {
        slots.resize(self.slots.max(W::SLOTS), W::default());
        for feature in &self.features {
            let mut value = row.get(feature.feature).copied().unwrap_or(f64::NAN);
            if self.tiny_is_zero && is_zero(value) {
                value = 0.0;
            }
            let nan = value.is_nan();
            let rank = if nan { feature.zero } else { feature.rank(value) };
            for target in &feature.slots {
                let missing = match target.missing {
                    Missing::IsZero => false,
                    Missing::Nan => nan,
                    Missing::ZeroOrNan => nan || is_zero(value),
                };
                let default = if target.default_left { 0 } else { W::HIGHEST_RANK };
                if let Some(slot) = slots.get_mut(target.slot) {
                    *slot = W::rank(if missing { default } else { rank });
                }
            }
        }
        for set in &self.sets {
            let value = row.get(set.feature).copied().unwrap_or(f64::NAN);
            if let Some(slot) = slots.get_mut(set.slot) {
                *slot = W::rank(if set.contains(value) { 0 } else { W::HIGHEST_RANK });
            }
        }
    }
}

impl SetSlot {
    /// Whether the value, truncated to an integer, is in the set; NaN, negative and
    /// unlisted categories are not.
    fn contains(&self, value: f64) -> bool {
        let truncated = libm::trunc(value);
        if !(truncated >= 0.0 && truncated < (self.bits.len() * 32) as f64) {
            return false;
        }
        let category = truncated as usize;
        self.bits.get(category / 32).is_some_and(|word| word >> (category % 32) & 1 == 1)
    }
}
