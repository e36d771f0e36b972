//! Segments: predicates on features that choose other cut-offs or caps.

use super::costs::{CostMatrix, CutOffs};
use crate::action::Action;
use crate::features::FeatureRow;
use crate::schema::FeatureId;
use alloc::string::String;
use alloc::vec::Vec;

/// One segment of the policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// All must hold.
    pub when: Vec<Condition>,
    /// Its own cut-offs.
    pub cutoffs: Option<CutOffs>,
    /// The costs behind its cut-offs.
    pub costs: Option<CostMatrix>,
    /// The strongest action it allows.
    pub at_most: Action,
}

/// A test on one feature. It never holds while something stands in for the value.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The feature.
    pub feature: FeatureId,
    /// The test.
    pub test: Test,
}

/// How a value is tested; categories by code, booleans as 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// One of these.
    In(Vec<f64>),
    /// None of these.
    NotIn(Vec<f64>),
    /// From the first number (included) up to the second (excluded).
    Within(f64, f64),
}

impl Segment {
    /// Whether a row falls in the segment.
    pub fn matches(&self, row: &FeatureRow) -> bool {
        self.when.iter().all(|condition| condition.holds(row))
    }
}

impl Condition {
    fn holds(&self, row: &FeatureRow) -> bool {
        row.present(self.feature).is_some_and(|value| self.test.accepts(value))
    }
}

impl Test {
    fn accepts(&self, value: f64) -> bool {
        match self {
            Self::In(values) => values.contains(&value),
            Self::NotIn(values) => !values.contains(&value),
            Self::Within(from, below) => *from <= value && value < *below,
        }
    }
}
