//! Models: a row of numbers in, raw scores out.
//!
//! A model knows nothing of schemas, probabilities' use, or policies.

pub mod forest;
mod linear;
mod link;

pub use linear::{Linear, LinearWire};
pub use link::{Link, LinkWire};
pub use tollgate_kernel::Rows;

use crate::error::{Code, Error, Result, ensure};
use crate::math;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use forest::Forest;

/// A raw score: log-odds for logistic models, the plain sum otherwise.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Margin(pub f64);

/// A loaded model.
#[derive(Debug)]
pub enum Model {
    /// Decision trees.
    Forest(Box<Forest>),
    /// Weighted sum.
    Linear(Linear),
}

/// Working memory of one evaluation, reused from row to row.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pub(crate) forest: forest::Scratch,
    outputs: Vec<f64>,
    row: Vec<f64>,
    values: Vec<f64>,
}

/// What one row comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Risk {
    /// The raw score of the risk.
    pub margin: Margin,
    /// The risk's probability by the model's own link.
    pub by_link: f64,
}

impl Model {
    /// Parses a model part of the given format.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT` or `MODEL`.
    pub fn parse(format: &str, part: &[u8]) -> Result<Self> {
        match format {
            "forest/1" => Forest::parse(part).map(|forest| Self::Forest(Box::new(forest))),
            "linear/1" => Linear::parse(part).map(Self::Linear),
            _ => Err(Error::new(Code::Malformed, "model: unknown format")),
        }
    }

    /// Names of the features, in the order of a row's values.
    pub fn features(&self) -> &[alloc::string::String] {
        match self {
            Self::Forest(forest) => &forest.features,
            Self::Linear(linear) => &linear.features,
        }
    }

    /// The link from raw scores to responses.
    pub fn link(&self) -> &Link {
        match self {
            Self::Forest(forest) => &forest.link,
            Self::Linear(linear) => &linear.link,
        }
    }

    /// Raw scores per row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Forest(forest) => forest.outputs,
            Self::Linear(linear) => linear.intercepts.len(),
        }
    }

    /// Raw scores of one row; NaN stands for a missing value.
    ///
    /// `row` has one value per feature; values beyond them are not read.
    pub fn raw<'s>(&self, row: &[f64], scratch: &'s mut Scratch) -> &'s [f64] {
        scratch.outputs.clear();
        match self {
            Self::Forest(forest) => forest.raw(row, &mut scratch.forest, &mut scratch.outputs),
            Self::Linear(linear) => linear.raw(row, &mut scratch.outputs),
        }
        &scratch.outputs
    }

    /// Responses of one row: raw scores through the model's own link.
    pub fn response<'s>(&self, row: &[f64], scratch: &'s mut Scratch) -> &'s [f64] {
        self.raw(row, scratch);
        self.respond(&mut scratch.outputs);
        &scratch.outputs
    }

    /// Raw scores of many rows: row by row one per output.
    ///
    /// They have the bits of [`Model::raw`], for less time a row where rows are many.
    pub fn raw_rows<'s>(&self, rows: &Rows<'_>, scratch: &'s mut Scratch) -> &'s mut [f64] {
        let Scratch { forest: work, outputs, row, .. } = scratch;
        outputs.clear();
        match self {
            Self::Forest(forest) => forest.raw_rows(rows, work, outputs),
            Self::Linear(linear) => {
                for index in 0..rows.count {
                    rows.copy_row(index, linear.features.len(), row);
                    linear.raw(row, outputs);
                }
            }
        }
        outputs
    }

    /// Responses of many rows, as [`Model::raw_rows`].
    pub fn response_rows<'s>(&self, rows: &Rows<'_>, scratch: &'s mut Scratch) -> &'s [f64] {
        let outputs = self.raw_rows(rows, scratch);
        outputs.chunks_mut(self.outputs().max(1)).for_each(|outputs| self.respond(outputs));
        outputs
    }

    /// The risk of each of many checked rows of values of one width.
    pub(crate) fn risks<'r>(
        &self,
        rows: impl Iterator<Item = &'r [f64]>,
        scratch: &mut Scratch,
        mut tell: impl FnMut(usize, Risk),
    ) {
        let mut values = core::mem::take(&mut scratch.values);
        values.clear();
        let mut count = 0;
        for row in rows {
            values.extend_from_slice(row);
            count += 1;
        }
        let width = values.len().checked_div(count).unwrap_or_default();
        let outputs = self.raw_rows(&Rows::by_row(&values, width), scratch);
        for (index, outputs) in outputs.chunks_mut(self.outputs().max(1)).enumerate() {
            tell(index, self.risk_of(outputs));
        }
        scratch.values = values;
    }

    fn respond(&self, outputs: &mut [f64]) {
        if let Self::Forest(forest) = self
            && let Some(count) = forest.averaged_over
        {
            outputs.iter_mut().for_each(|output| *output /= f64::from(count));
        }
        self.link().apply(outputs);
    }

    /// The risk of one row, from the outputs that the author named as risky.
    pub fn risk(&self, row: &[f64], scratch: &mut Scratch) -> Risk {
        self.raw(row, scratch);
        self.risk_of(&mut scratch.outputs)
    }

    /// The risk that raw scores come to; they become responses.
    fn risk_of(&self, outputs: &mut [f64]) -> Risk {
        let raw = outputs.first().copied().unwrap_or(f64::NAN);
        self.respond(outputs);
        match &*outputs {
            responses @ [_, _, ..] => {
                let risky = self.risky().iter().filter_map(|output| responses.get(*output));
                let by_link = risky.sum::<f64>();
                Risk { margin: Margin(math::logit(by_link)), by_link }
            }
            responses => Risk { margin: Margin(raw), by_link: responses.first().copied().unwrap_or(f64::NAN) },
        }
    }

    /// Why a row has its raw scores: per output each feature's contribution, then what the
    /// score is on average; they add up to the raw score.
    ///
    /// Forests: path-dependent Shapley values. Linear models: weight (x - mean).
    ///
    /// # Errors
    /// `MODEL` for a forest that cannot be explained.
    pub fn contributions<'s>(&self, row: &[f64], scratch: &'s mut Scratch) -> Result<&'s [f64]> {
        ensure(self.explains(), Code::Model, "model: no explanation, the bundle lacks the training data of leaves")?;
        scratch.outputs.clear();
        match self {
            Self::Forest(forest) => forest.contributions(row, &mut scratch.forest, &mut scratch.outputs),
            Self::Linear(linear) => linear.contributions(row, &mut scratch.outputs),
        }
        Ok(&scratch.outputs)
    }

    /// Per feature what it adds to the risk's margin, then what that is on average.
    ///
    /// A model with several outputs has no single margin that adds up; what is explained
    /// then is the mean raw score of the risky outputs less that of the others.
    ///
    /// # Errors
    /// As [`Model::contributions`].
    pub(crate) fn risk_contributions(&self, row: &[f64], scratch: &mut Scratch) -> Result<Vec<f64>> {
        let width = self.features().len() + 1;
        let (outputs, risky) = (self.outputs(), self.risky());
        let all = self.contributions(row, scratch)?;
        if outputs == 1 {
            return Ok(all.to_vec());
        }
        let mut contrast = vec![0.0; width];
        for (output, values) in all.chunks_exact(width).enumerate() {
            let weight = match risky.contains(&output) {
                true => 1.0 / risky.len() as f64,
                false => -1.0 / (outputs - risky.len()).max(1) as f64,
            };
            contrast.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
        Ok(contrast)
    }

    /// Whether [`Model::contributions`] has an answer.
    pub fn explains(&self) -> bool {
        match self {
            Self::Forest(forest) => forest.explains(),
            Self::Linear(_) => true,
        }
    }

    /// Outputs whose responses add up to the risk, where there are several outputs.
    fn risky(&self) -> &[usize] {
        match self {
            Self::Forest(forest) => &forest.risk,
            Self::Linear(linear) => &linear.risk,
        }
    }
}

/// Checks the outputs that make up the risk.
fn risk(wire: &[u32], outputs: usize) -> Result<Vec<usize>> {
    let risk: Vec<usize> = wire.iter().map(|output| *output as usize).collect();
    let known = risk.is_sorted_by(|a, b| a < b) && risk.iter().all(|output| *output < outputs);
    ensure(known && risk.is_empty() == (outputs == 1), Code::Model, "model: risk names unknown outputs, or none")?;
    Ok(risk)
}

/// Checks the names of a model's features.
fn feature_names(wire: &[&str]) -> Result<Vec<alloc::string::String>> {
    ensure(wire.len() <= crate::limits::FEATURES, Code::Limit, "model: too many features")?;
    ensure(!wire.is_empty(), Code::Model, "model: no features")?;
    Ok(wire.iter().map(|name| (*name).into()).collect())
}
