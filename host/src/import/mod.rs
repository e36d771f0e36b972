//! Trained models of other libraries, read exactly or refused by name.

mod forest;
mod lightgbm;
mod linear;

pub use forest::{CategorySet, ForestSource, LeafFunction, Node, Split, Test, Tree};
pub use lightgbm::lightgbm;
pub use linear::{LinearSource, linear};

use crate::failure::{self, Failure, Result};
use clap::ValueEnum;
use std::path::Path;

/// Bytes of the largest model file we read.
pub const MODEL_BYTES: usize = 1 << 30;

/// The formats we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// LightGBM's text format, as `Booster.save_model` writes it.
    Lightgbm,
    /// A linear or logistic model in TOML: features, weights, intercept, link.
    Linear,
}

/// A trained model, ready to be put into a bundle.
#[derive(Clone, Debug)]
pub enum Source {
    /// Decision trees.
    Forest(ForestSource),
    /// Weighted sum.
    Linear(LinearSource),
}

impl Source {
    /// Reads a model file; without a format, the file's first bytes tell.
    ///
    /// # Errors
    /// `MODEL` with the line and field at fault, `IO`, or `LIMIT`.
    pub fn read(path: &Path, format: Option<Format>, iterations: Option<usize>) -> Result<Self> {
        let text = failure::read_text(path, MODEL_BYTES)?;
        let source = match format.map_or_else(|| guess(&text), Ok) {
            Ok(Format::Lightgbm) => lightgbm(&text, iterations).map(Self::Forest),
            Ok(Format::Linear) if iterations.is_some() => Err(Failure::usage("a linear model has no iterations")),
            Ok(Format::Linear) => linear(&text).map(Self::Linear),
            Err(failure) => Err(failure),
        };
        source.map_err(|failure| failure.within(path.display()))
    }

    /// Feature names, in model order.
    pub fn features(&self) -> &[String] {
        match self {
            Self::Forest(forest) => &forest.features,
            Self::Linear(linear) => &linear.features,
        }
    }

    /// Raw scores per row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Forest(forest) => forest.outputs,
            Self::Linear(linear) => linear.intercepts.len(),
        }
    }
}

fn guess(text: &str) -> Result<Format> {
    match text.lines().next().map(str::trim) {
        Some("tree") => Ok(Format::Lightgbm),
        _ if text.contains("[weights]") => Ok(Format::Linear),
        _ => {
            Err(Failure::refused("MODEL", "not a model we know: LightGBM text starts with a line `tree`; see --format"))
        }
    }
}
