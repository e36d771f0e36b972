//! Linear and logistic models.

use super::link::{Link, LinkWire};
use super::{feature_names, risk};
use crate::cbor;
use crate::error::{Code, Result, ensure};
use crate::limits;
use alloc::string::String;
use alloc::vec::Vec;
use minicbor::Encode;

/// A linear model on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct LinearWire<'b> {
    /// Feature names, in the order of the weights.
    #[b(0)]
    pub features: Vec<&'b str>,
    /// Output by output, one weight per feature.
    #[n(1)]
    pub weights: Vec<f64>,
    /// Per output: the start of its sum.
    #[n(2)]
    pub intercepts: Vec<f64>,
    /// From the sums to the responses.
    #[n(3)]
    pub link: LinkWire,
    /// Outputs whose responses add up to the risk; empty for a single output.
    #[n(4)]
    pub risk: Vec<u32>,
    /// Inputs, products and sums are rounded to single precision.
    #[n(5)]
    pub single: bool,
    /// A missing value adds nothing; else it makes the sum NaN.
    #[n(6)]
    pub skip_missing: bool,
    /// Per feature, the mean that explanations compare with; empty for zeros.
    #[n(7)]
    pub means: Vec<f64>,
}

cbor::map! { LinearWire<'b> { 0 => features, 1 => weights, 2 => intercepts, 3 => link, 4 => risk, 5 => single, 6 => skip_missing, 7 => means } }

/// Per output: intercept + w1 x1 + w2 x2 + ..., summed in that order.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Feature names, in the order of the weights.
    pub features: Vec<String>,
    /// Output by output, one weight per feature.
    pub weights: Vec<f64>,
    /// Per output: the start of its sum.
    pub intercepts: Vec<f64>,
    /// From the sums to the responses.
    pub link: Link,
    /// Outputs whose responses add up to the risk, where there are several outputs.
    pub risk: Vec<usize>,
    single: bool,
    skip_missing: bool,
    /// Per feature, what explanations compare with; empty for zeros.
    means: Vec<f64>,
}

impl Linear {
    /// Parses a `linear/1` part.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT` or `MODEL`.
    pub fn parse(part: &[u8]) -> Result<Self> {
        let wire: LinearWire<'_> = cbor::decode(part)?;
        let features = feature_names(&wire.features)?;
        let outputs = wire.intercepts.len();
        ensure((1..=limits::OUTPUTS).contains(&outputs), Code::Limit, "model: no outputs, or too many")?;
        let matching = wire.weights.len() == features.len() * outputs;
        ensure(matching, Code::Model, "model: weights do not match the features")?;
        let finite = wire.weights.iter().chain(&wire.intercepts).all(|number| number.is_finite());
        ensure(finite, Code::Model, "model: weight not finite")?;
        let means = wire.means.is_empty() || wire.means.len() == features.len();
        let means = means && wire.means.iter().all(|mean| mean.is_finite());
        ensure(means, Code::Model, "model: means do not match the features, or are not finite")?;
        Ok(Self {
            features,
            weights: wire.weights,
            intercepts: wire.intercepts,
            link: Link::parse(wire.link, outputs)?,
            risk: risk(&wire.risk, outputs)?,
            single: wire.single,
            skip_missing: wire.skip_missing,
            means: wire.means,
        })
    }

    /// The sums for one row, appended; NaN in a feature with a weight gives NaN, unless the
    /// model skips missing values.
    pub fn raw(&self, row: &[f64], outputs: &mut Vec<f64>) {
        for (weights, intercept) in self.weights.chunks_exact(self.features.len()).zip(&self.intercepts) {
            let terms = weights.iter().zip(row).filter(|(weight, _)| **weight != 0.0);
            let terms = terms.filter(|(_, value)| !(self.skip_missing && value.is_nan()));
            outputs.push(terms.fold(*intercept, |sum, (weight, value)| self.add(sum, *weight, *value)));
        }
    }

    fn add(&self, sum: f64, weight: f64, value: f64) -> f64 {
        if self.single { f64::from(sum as f32 + weight as f32 * value as f32) } else { sum + weight * value }
    }

    /// Per output each feature's contribution, weight (x - mean), then the score of a row
    /// of means. A missing value that is skipped stands for zero.
    pub(crate) fn contributions(&self, row: &[f64], contributions: &mut Vec<f64>) {
        let means = self.means.iter().copied().chain(core::iter::repeat(0.0));
        for (weights, intercept) in self.weights.chunks_exact(self.features.len()).zip(&self.intercepts) {
            let mut expected = *intercept;
            for ((weight, value), mean) in weights.iter().zip(row).zip(means.clone()) {
                let value = if self.skip_missing && value.is_nan() { 0.0 } else { *value };
                // A feature without weight contributes nothing, be it missing or not.
                contributions.push(if *weight == 0.0 { 0.0 } else { weight * (value - mean) });
                expected += weight * mean;
            }
            contributions.push(expected);
        }
    }
}
