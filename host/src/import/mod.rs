//! Trained models of other libraries, read exactly or refused by name.

mod forest;
mod lightgbm;
mod linear;
mod net;
pub mod onnx;
mod xgboost;

pub use forest::{CategorySet, ForestSource, LeafFunction, Node, Split, Test, Tree};
pub use lightgbm::lightgbm;
pub use linear::{LinearSource, linear};
pub use net::{GraphInput, GraphSource, NetLayer, NetOperation, NetSource};
pub use onnx::onnx;
pub use xgboost::xgboost;

use crate::failure::{self, Failure, Result};
use crate::table::Codes;
use clap::ValueEnum;
use std::path::Path;
use tollgate_scorer::model::Link;

/// Bytes of the largest model file we read.
pub const MODEL_BYTES: usize = 1 << 30;

const UNKNOWN: &str = "not a model we know: LightGBM text starts with a line `tree`, \
    XGBoost's JSON and UBJSON with a brace; see --format";

/// The formats we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// LightGBM's text format, as `Booster.save_model` writes it.
    Lightgbm,
    /// XGBoost's JSON or UBJSON, as `Booster.save_model` writes it.
    Xgboost,
    /// A linear or logistic model in TOML: features, weights, intercept, link.
    Linear,
    /// Trees and linear models in ONNX (`ai.onnx.ml`), as skl2onnx and onnxmltools write them,
    /// and neural nets.
    Onnx,
    /// An ONNX graph as it is, for the ONNX module: nothing is lowered.
    Graph,
}

/// What to read of a model file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'w> {
    /// Its format; without, the file's first bytes tell.
    pub format: Option<Format>,
    /// Only the first iterations of a boosted model.
    pub iterations: Option<usize>,
    /// The name of the output that is the score, for an ONNX model with several.
    pub output: Option<&'w str>,
}

/// What a model file says in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The classes as the trainer has them, numbers as text: one an output, or both where
    /// one output scores the second of two. Empty where the file does not tell.
    pub classes: Vec<String>,
    /// Of each feature that is a text, the texts that the model knows; the position is the
    /// code, and any other code is a text that it does not know.
    pub texts: Codes,
}

/// A trained model, ready to be put into a bundle.
#[derive(Clone, Debug)]
pub enum Source {
    /// Decision trees.
    Forest(ForestSource),
    /// Weighted sum.
    Linear(LinearSource),
    /// Layers of a neural net.
    Net(NetSource),
    /// A neural net as a graph.
    Graph(GraphSource),
}

impl Source {
    /// Reads a model file.
    ///
    /// # Errors
    /// `MODEL` with the line and field at fault, `IO`, or `LIMIT`.
    pub fn read(path: &Path, wanted: &Wanted<'_>) -> Result<Self> {
        let bytes = failure::read(path, MODEL_BYTES)?;
        Self::parse(&bytes, wanted).map_err(|failure| failure.within(path.display()))
    }

    fn parse(bytes: &[u8], wanted: &Wanted<'_>) -> Result<Self> {
        let Wanted { format, iterations, output } = *wanted;
        let format = format.map_or_else(|| guess(bytes), Ok)?;
        if output.is_some() && !matches!(format, Format::Onnx | Format::Graph) {
            return Err(Failure::usage("only an ONNX model has outputs to choose by name"));
        }
        match format {
            Format::Lightgbm => lightgbm(text(bytes)?, iterations).map(Self::Forest),
            Format::Xgboost => xgboost(bytes, iterations),
            Format::Linear if iterations.is_some() => Err(Failure::usage("a linear model has no iterations")),
            Format::Linear => linear(text(bytes)?).map(Self::Linear),
            Format::Onnx | Format::Graph if iterations.is_some() => {
                Err(Failure::usage("an ONNX model has no iterations to choose"))
            }
            Format::Onnx => onnx(bytes, output),
            Format::Graph => onnx::as_graph(bytes, output).map(Self::Graph),
        }
    }

    /// Feature names, in model order.
    pub fn features(&self) -> &[String] {
        match self {
            Self::Forest(forest) => &forest.features,
            Self::Linear(linear) => &linear.features,
            Self::Net(net) => &net.features,
            Self::Graph(graph) => &graph.features,
        }
    }

    /// Names of the classes: the file's, else the numbers that trainers give them. Empty for
    /// a model that has no classes.
    pub fn classes(&self) -> Vec<String> {
        let names = self.names();
        let link = match self {
            Self::Forest(forest) => forest.link,
            Self::Linear(linear) => linear.link,
            Self::Net(net) => net.link,
            Self::Graph(graph) => graph.link,
        };
        let numbers = |count: usize| (0..count).map(|class| class.to_string()).collect();
        match (names.classes.is_empty(), self.outputs(), link) {
            (false, ..) => names.classes.clone(),
            (true, 1, Link::Logistic { .. }) => numbers(2),
            (true, 1, _) => Vec::new(),
            (true, outputs, _) => numbers(outputs),
        }
    }

    /// Whether the file itself names its classes.
    pub fn names_classes(&self) -> bool {
        !self.names().classes.is_empty()
    }

    /// What the file says in words.
    pub fn names(&self) -> &Names {
        match self {
            Self::Forest(forest) => &forest.names,
            Self::Linear(linear) => &linear.names,
            Self::Net(net) => &net.names,
            Self::Graph(graph) => &graph.names,
        }
    }

    /// What explanations of a net compare with, one number a feature; none for models that
    /// need none.
    pub fn baseline_mut(&mut self) -> Option<&mut Vec<f64>> {
        match self {
            Self::Net(net) => Some(&mut net.baseline),
            Self::Graph(graph) => Some(&mut graph.baseline),
            Self::Forest(_) | Self::Linear(_) => None,
        }
    }

    /// Raw scores per row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Forest(forest) => forest.outputs,
            Self::Linear(linear) => linear.intercepts.len(),
            Self::Net(net) => net.outputs,
            Self::Graph(graph) => graph.outputs,
        }
    }
}

fn guess(bytes: &[u8]) -> Result<Format> {
    if xgboost::looks_like(bytes) {
        return Ok(Format::Xgboost);
    }
    // An ONNX file starts with its format version: field 1, a small number.
    if let [0x08, 1..=0x7f, ..] = bytes {
        return Ok(Format::Onnx);
    }
    match text(bytes) {
        Ok(text) if text.lines().next().map(str::trim) == Some("tree") => Ok(Format::Lightgbm),
        Ok(text) if text.contains("[weights]") => Ok(Format::Linear),
        // XGBoost's old binary format has no sure mark.
        _ => Err(Failure::refused("MODEL", format!("{UNKNOWN}. {}", xgboost::CONVERT))),
    }
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes)
        .map_err(|error| Failure::refused("MALFORMED", format!("not UTF-8 at byte {}", error.valid_up_to())))
}
