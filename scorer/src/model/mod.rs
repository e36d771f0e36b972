//! Models: a row of numbers in, raw scores out.
//!
//! A model knows nothing of schemas, probabilities' use, or policies.

mod approximate;
pub mod forest;
mod linear;
mod link;
mod neural;

pub use approximate::PAIRS;
pub use linear::{Linear, LinearWire};
pub use link::{Link, LinkWire};
pub use neural::{Activation, GraphWire, InputWire, Net, NetWire, Operation, Run};
pub use tollgate_kernel::Rows;

use crate::error::{Code, Error, Result, ensure};
use crate::math;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use forest::Forest;

/// The format of a model that only the ONNX module runs.
pub const ONNX: &str = "onnx/1";

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
    /// A neural net.
    Net(Box<Net>),
}

/// Reads a model part of a format that the core does not know; none for one that the reader
/// does not know either.
pub type Reader<'r> = &'r dyn Fn(&str, &[u8]) -> Option<Result<Net>>;

/// Working memory of one evaluation, reused from row to row.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    pub(crate) forest: forest::Scratch,
    units: Vec<f32>,
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
            "layers/1" => Net::parse(part).map(|model| Self::Net(Box::new(model))),
            ONNX => Err(Error::new(
                Code::Incompatible,
                "model: needs the ONNX module, tollgate-onnx.wasm; in JavaScript import tollgate/onnx",
            )),
            _ => Err(Error::new(Code::Malformed, "model: unknown format")),
        }
    }

    /// The same; what the core does not know itself, `reader` may.
    ///
    /// # Errors
    /// As [`Model::parse`], and the reader's own.
    pub fn read(format: &str, part: &[u8], reader: Reader<'_>) -> Result<Self> {
        match reader(format, part) {
            Some(model) => model.map(|model| Self::Net(Box::new(model))),
            None => Self::parse(format, part),
        }
    }

    /// Names of the features, in the order of a row's values.
    pub fn features(&self) -> &[alloc::string::String] {
        match self {
            Self::Forest(forest) => &forest.features,
            Self::Linear(linear) => &linear.features,
            Self::Net(neural) => &neural.features,
        }
    }

    /// The link from raw scores to responses.
    pub fn link(&self) -> &Link {
        match self {
            Self::Forest(forest) => &forest.link,
            Self::Linear(linear) => &linear.link,
            Self::Net(neural) => &neural.link,
        }
    }

    /// Raw scores per row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Forest(forest) => forest.outputs,
            Self::Linear(linear) => linear.intercepts.len(),
            Self::Net(neural) => neural.outputs,
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
            Self::Net(neural) => neural.raw(row, &mut scratch.units, &mut scratch.outputs),
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
        let Scratch { forest: work, units, outputs, row, .. } = scratch;
        outputs.clear();
        match self {
            Self::Forest(forest) => forest.raw_rows(rows, work, outputs),
            Self::Linear(linear) => each_row(rows, linear.features.len(), row, |row| linear.raw(row, outputs)),
            Self::Net(neural) => each_row(rows, neural.features.len(), row, |row| neural.raw(row, units, outputs)),
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

    /// The risk of a golden row: of the model's own raw scores, which have the same bits
    /// wherever it runs; for a graph, of those that the trainer gave, for builds of the module
    /// may differ in the last places.
    pub fn golden_risk(&self, row: &[f64], trained: &[f64], scratch: &mut Scratch) -> Risk {
        if matches!(self, Self::Net(neural) if !neural.exact) {
            scratch.outputs.clear();
            scratch.outputs.extend_from_slice(trained);
            return self.risk_of(&mut scratch.outputs);
        }
        self.risk(row, scratch)
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
    /// Forests: path-dependent Shapley values. Linear models: weight (x - mean). All others:
    /// approximations, see [`Model::approximates`].
    ///
    /// # Errors
    /// `MODEL` for a forest that cannot be explained, or a net that is too large for it.
    pub fn contributions<'s>(&self, row: &[f64], scratch: &'s mut Scratch) -> Result<&'s [f64]> {
        ensure(self.explains(), Code::Model, "model: no explanation; leaves lack training data, or too many weights")?;
        let Scratch { forest: work, units, outputs, .. } = scratch;
        outputs.clear();
        match self {
            Self::Forest(forest) => forest.contributions(row, work, outputs),
            Self::Linear(linear) => linear.contributions(row, outputs),
            Self::Net(neural) => {
                let raw = |row: &[f64], to: &mut Vec<f64>| neural.raw(row, units, to);
                approximate::contributions(row, &neural.baseline, neural.pairs().unwrap_or_default(), raw, outputs);
            }
        }
        Ok(outputs)
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
            Self::Net(neural) => neural.pairs().is_some(),
        }
    }

    /// Whether [`Model::contributions`] come from a sample: what the scores change by when
    /// values replace those of a baseline one after the other, over twice [`PAIRS`] fixed
    /// orders, or over two where one evaluation is costly.
    pub fn approximates(&self) -> bool {
        matches!(self, Self::Net(_))
    }

    /// Outputs whose responses add up to the risk, where there are several outputs.
    fn risky(&self) -> &[usize] {
        match self {
            Self::Forest(forest) => &forest.risk,
            Self::Linear(linear) => &linear.risk,
            Self::Net(neural) => &neural.risk,
        }
    }
}

impl Net {
    fn raw(&self, row: &[f64], units: &mut Vec<f32>, outputs: &mut Vec<f64>) {
        self.run.raw(row.get(..self.features.len()).unwrap_or_default(), units, outputs);
    }

    fn pairs(&self) -> Option<usize> {
        approximate::pairs(self.features.len(), self.work)
    }
}

fn each_row(rows: &Rows<'_>, width: usize, row: &mut Vec<f64>, mut tell: impl FnMut(&[f64])) {
    for index in 0..rows.count {
        rows.copy_row(index, width, row);
        tell(row);
    }
}

/// Checks the outputs that make up the risk.
///
/// # Errors
/// `MODEL`.
#[inline(never)]
pub fn risk(wire: &[u32], outputs: usize) -> Result<Vec<usize>> {
    let risk: Vec<usize> = wire.iter().map(|output| *output as usize).collect();
    let known = risk.is_sorted_by(|a, b| a < b) && risk.iter().all(|output| *output < outputs);
    ensure(known && risk.is_empty() == (outputs == 1), Code::Model, "model: risk names unknown outputs, or none")?;
    Ok(risk)
}

/// Checks the names of a model's features.
///
/// # Errors
/// `MODEL` for none, `LIMIT` for too many.
#[inline(never)]
pub fn feature_names(wire: &[&str]) -> Result<Vec<alloc::string::String>> {
    ensure(wire.len() <= crate::limits::FEATURES, Code::Limit, "model: too many features")?;
    ensure(!wire.is_empty(), Code::Model, "model: no features")?;
    Ok(wire.iter().map(|name| (*name).into()).collect())
}
