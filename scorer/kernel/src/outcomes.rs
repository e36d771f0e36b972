//! Values to outcomes: every distinct split is decided once per row, not once per node.
//!
//! A split of a feature at a threshold, with its way of treating missing values, is a
//! *condition*, and forests repeat conditions. Per row one binary search a feature gives
//! the outcomes of all its conditions: those whose threshold lies below the value go
//! right. Missing values and category sets are settled here too; no node tests for them.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their bits")]

use crate::node::{CONDITIONS, Row};
use crate::trees::{Missing, Split, Streams, TreeSpan};
use alloc::vec::Vec;

/// LightGBM's zero: its `kZeroThreshold` is the float 1e-35 as a double.
const ZERO: f64 = 1e-35f32 as f64;

/// The condition that always goes left: leaves stand still on it.
pub(crate) const NEVER: usize = 0;

/// Outcomes are written by whole chunks, so the last one of a rule runs on into the next
/// rules' outcomes; those are written after it, sets last.
const CHUNK: usize = 64;

/// A chunk of rights, then one of lefts: every chunk of outcomes is cut out of it.
static RIGHT_LEFT: [bool; 2 * CHUNK] = {
    let mut both = [false; 2 * CHUNK];
    both.split_at_mut(CHUNK).0.copy_from_slice(&[true; CHUNK]);
    both
};

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

/// How a row of values becomes a row of outcomes.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    numbers: Vec<Number>,
    sets: Vec<Set>,
    /// Conditions, padding included.
    pub(crate) conditions: usize,
    input: Input,
    used: Vec<Used>,
}

/// What splits make of a rule.
#[derive(Debug)]
struct Used {
    feature: u32,
    /// Its first condition.
    first: usize,
    /// The ranks that splits use, ascending.
    ranks: Vec<u16>,
}

/// The conditions of one rule.
#[derive(Debug)]
struct Number {
    feature: usize,
    missing: Missing,
    default_left: bool,
    /// Ascending, padded with infinity to one of a few sizes.
    thresholds: Vec<f64>,
    /// Number of conditions, without padding.
    count: usize,
    /// The first one's position.
    first: usize,
}

/// The one condition "value is in this set".
#[derive(Debug)]
struct Set {
    condition: usize,
    feature: usize,
    members: Members,
    missing_in: bool,
}

#[derive(Debug)]
enum Members {
    Categories(Vec<u32>),
    Numbers(Vec<f64>),
}

impl Outcomes {
    /// Collects the conditions that the splits use; `thresholds` are ascending, per
    /// feature. A rule of a feature without a list of thresholds is ignored.
    pub(crate) fn new(
        thresholds: &[Vec<f64>],
        rules: &[Rule],
        spans: &[TreeSpan],
        streams: &Streams<'_>,
        input: Input,
    ) -> Self {
        let mut all = Self { conditions: NEVER + 1, input, ..Self::default() };
        for (rule, used) in rules.iter().cloned().zip(used_ranks(spans, streams)) {
            let first = all.conditions;
            all.conditions += used.len();
            let feature = rule.feature() as u32;
            match rule {
                Rule::Set { feature, bits, missing_in } => {
                    all.sets.push(Set { condition: first, feature, members: Members::Categories(bits), missing_in });
                }
                Rule::OneOf { feature, numbers, missing_in } => {
                    all.sets.push(Set { condition: first, feature, members: Members::Numbers(numbers), missing_in });
                }
                Rule::Number { feature, missing, default_left } => {
                    let list = thresholds.get(feature).map(Vec::as_slice).unwrap_or_default();
                    let list = used.iter().filter_map(|rank| list.get(usize::from(*rank)).copied()).collect();
                    all.numbers.push(Number::new(feature, missing, default_left, list, first));
                }
            }
            all.used.push(Used { feature, first, ranks: used });
        }
        all.numbers.retain(|number| number.count > 0);
        all
    }

    /// The condition of a split.
    pub(crate) fn condition(&self, rule: usize, rank: u16) -> usize {
        let Some(used) = self.used.get(rule) else { return NEVER };
        used.ranks.binary_search(&rank).map_or(NEVER, |at| used.first + at)
    }

    /// The feature of a rule.
    pub(crate) fn feature(&self, rule: usize) -> u32 {
        self.used.get(rule).map_or(0, |used| used.feature)
    }

    /// Fills in the outcomes for one row of values; true is right.
    pub(crate) fn fill<'o>(&self, row: &[f64], outcomes: &'o mut Vec<bool>) -> Option<&'o Row> {
        outcomes.resize(CONDITIONS + CHUNK, false);
        for number in &self.numbers {
            let right = number.right(self.input.value(row, number.feature));
            if let Some(outcomes) = outcomes.get_mut(number.first..) {
                spread(outcomes, number.count, right);
            }
        }
        for set in &self.sets {
            let value = self.input.value(row, set.feature);
            if let Some(outcome) = outcomes.get_mut(set.condition) {
                *outcome = !set.contains(self.input, value);
            }
        }
        outcomes.first_chunk()
    }
}

/// Per rule, the ranks that splits use, ascending.
fn used_ranks(spans: &[TreeSpan], streams: &Streams<'_>) -> impl Iterator<Item = Vec<u16>> {
    let mut used: Vec<Vec<u16>> = Vec::new();
    for span in spans {
        let inner = span.splits.clone().filter_map(|node| match streams.split(node) {
            Split::Inner { slot } => Some(slot),
            Split::Leaf => None,
        });
        for (slot, rank) in inner.zip(span.first_rank..) {
            if used.len() <= slot {
                used.resize(slot + 1, Vec::new());
            }
            if let Some(ranks) = used.get_mut(slot) {
                ranks.push(streams.rank(rank));
            }
        }
    }
    // By flags: a sort is as fast, but is code that travels with every module.
    let mut flags = Vec::new();
    used.into_iter().chain(core::iter::repeat(Vec::new())).map(move |ranks| {
        flags.clear();
        flags.resize(ranks.iter().max().map_or(0, |highest| usize::from(*highest) + 1), false);
        for rank in ranks {
            if let Some(flag) = flags.get_mut(usize::from(rank)) {
                *flag = true;
            }
        }
        (0..).zip(&flags).filter_map(|(rank, flag)| flag.then_some(rank)).collect()
    })
}

impl Number {
    /// Pads the thresholds so that every search takes the same steps.
    fn new(feature: usize, missing: Missing, default_left: bool, mut thresholds: Vec<f64>, first: usize) -> Self {
        let count = thresholds.len();
        let padded = PADDED.into_iter().find(|size| count < *size).unwrap_or((count + 1).next_power_of_two());
        thresholds.resize(padded, f64::INFINITY);
        Self { feature, missing, default_left, thresholds, count, first }
    }

    /// How many conditions go right: those whose threshold lies below the value.
    #[inline(always)]
    fn right(&self, value: f64) -> usize {
        let missing = match self.missing {
            Missing::IsZero => false,
            Missing::Nan => value.is_nan(),
            Missing::ZeroOrNan => value.is_nan() || is_zero(value),
        };
        if missing {
            return if self.default_left { 0 } else { self.count };
        }
        below(&self.thresholds, if value.is_nan() { 0.0 } else { value })
    }
}

/// The first `right` of `count` outcomes are right, the others left.
#[inline(never)]
fn spread(outcomes: &mut [bool], count: usize, mut right: usize) {
    let (chunks, _) = outcomes.as_chunks_mut::<CHUNK>();
    for chunk in chunks.iter_mut().take(count.div_ceil(CHUNK)) {
        let here = right.min(CHUNK);
        right -= here;
        if let Some(outcomes) = RIGHT_LEFT.get(CHUNK - here..).and_then(<[bool]>::first_chunk) {
            *chunk = *outcomes;
        }
    }
}

/// How many thresholds lie below the value.
#[inline(never)]
fn below(thresholds: &[f64], value: f64) -> usize {
    if let Some(table) = thresholds.as_array::<256>() {
        search(table, value)
    } else if let Some(table) = thresholds.as_array::<64>() {
        search(table, value)
    } else if let Some(table) = thresholds.as_array::<16>() {
        search(table, value)
    } else {
        thresholds.partition_point(|threshold| *threshold < value)
    }
}

/// Sizes that thresholds are padded to; each has a search without a branch or a bound
/// to check.
const PADDED: [usize; 3] = [16, 64, 256];

/// Binary search in a table that ends with at least one infinity. N is a power of two.
#[inline(always)]
fn search<const N: usize>(table: &[f64; N], value: f64) -> usize {
    let mut rank = 0;
    let mut half = N / 2;
    while half > 0 {
        // INVARIANT: rank + half <= N, so the mask changes nothing and proves the index.
        rank += if table[(rank + half - 1) & (N - 1)] < value { half } else { 0 };
        half /= 2;
    }
    rank
}

impl Input {
    #[inline(always)]
    fn value(self, row: &[f64], feature: usize) -> f64 {
        let value = row.get(feature).copied().unwrap_or(f64::NAN);
        match self {
            Self::TinyIsZero if is_zero(value) => 0.0,
            Self::AsIs | Self::TinyIsZero => value,
            Self::Single => f64::from(value as f32),
        }
    }
}

impl Set {
    fn contains(&self, input: Input, value: f64) -> bool {
        match &self.members {
            _ if value.is_nan() => self.missing_in,
            // For LightGBM -0.5 is category 0, for XGBoost nothing below zero is a category.
            Members::Categories(_) if input == Input::Single && value < 0.0 => false,
            Members::Categories(bits) => has_category(bits, value),
            Members::Numbers(numbers) => numbers.contains(&value),
        }
    }
}

/// Whether the value, truncated to an integer, is in the set; negative and unlisted
/// categories are not.
fn has_category(bits: &[u32], value: f64) -> bool {
    let truncated = libm::trunc(value);
    if !(truncated >= 0.0 && truncated < (bits.len() * 32) as f64) {
        return false;
    }
    let category = truncated as usize;
    bits.get(category / 32).is_some_and(|word| word >> (category % 32) & 1 == 1)
}
