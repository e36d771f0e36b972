//! Neural nets as layers, before they are put into a bundle.

use super::Names;
use tollgate_scorer::model::{Activation, Link};

/// A net as imported.
#[derive(Clone, Debug)]
pub struct NetSource {
    /// Feature names, in model order.
    pub features: Vec<String>,
    /// What the file calls its classes.
    pub names: Names,
    /// The layers; the last one gives the raw scores.
    pub layers: Vec<NetLayer>,
    /// Raw scores per row.
    pub outputs: usize,
    /// From raw scores to responses.
    pub link: Link,
    /// Per feature, what explanations compare with; the file does not tell, so zeros at first.
    pub baseline: Vec<f64>,
    /// Feature and number of rows of the tables that a category's code looks up.
    pub tables: Vec<(usize, usize)>,
}

/// One layer. Value 0 is the row of features, value n what layer n gave.
#[derive(Clone, Debug)]
pub struct NetLayer {
    /// What it computes.
    pub operation: NetOperation,
    /// The values that it reads.
    pub from: Vec<u32>,
    /// What happens to its outputs.
    pub activation: Activation,
    /// Slope or alpha of the activation.
    pub alpha: f32,
}

/// What a layer computes.
#[derive(Clone, Debug)]
pub enum NetOperation {
    /// Inputs times weights, plus bias.
    Dense {
        /// Input by input, one per output.
        weights: Vec<f32>,
        /// One per output.
        bias: Vec<f32>,
    },
    /// A constant per number is added.
    Shift(Vec<f32>),
    /// Likewise multiplied.
    Scale(Vec<f32>),
    /// These columns of the values, laid side by side.
    Pick(Vec<u32>),
    /// The rows of a table that the numbers name.
    Embed {
        /// Row by row.
        table: Vec<f32>,
        /// Length of a row.
        width: usize,
    },
    /// Two values, number by number.
    Add,
    /// Likewise.
    Multiply,
    /// What stands in for a number that is missing.
    Fill(Vec<f32>),
}

/// A net as the ONNX graph that it came in, for the ONNX module to run.
#[derive(Clone, Debug)]
pub struct GraphSource {
    /// Feature names, in the order of the inputs' columns.
    pub features: Vec<String>,
    /// What the file calls its classes.
    pub names: Names,
    /// The inputs.
    pub inputs: Vec<GraphInput>,
    /// The value that gives the raw scores.
    pub output: String,
    /// Raw scores per row.
    pub outputs: usize,
    /// From raw scores to responses.
    pub link: Link,
    /// Per feature, what explanations compare with; zeros at first.
    pub baseline: Vec<f64>,
    /// The file.
    pub graph: Vec<u8>,
    /// What keeps it from the lean module.
    pub why: String,
}

/// An input of a graph.
#[derive(Clone, Debug)]
pub struct GraphInput {
    /// Its name.
    pub name: String,
    /// How many features it takes.
    pub width: usize,
    /// Integers of 64 bits, else single precision.
    pub integer: bool,
    /// It has a dimension of columns.
    pub columns: bool,
}
