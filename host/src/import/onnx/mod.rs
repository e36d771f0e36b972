//! ONNX graphs of trees, linear models (`ai.onnx.ml`) and small nets, lowered to our own forms.
//!
//! A graph is followed from its inputs to its score and never run operator by operator:
//! what happens to a feature before a tree is pulled into the tree's thresholds, exactly,
//! and before a linear model into its weights. What cannot be lowered is refused by name.
//! The label output is ignored.
//!
//! Rules are those of ONNX Runtime, found by experiment where the specification is silent:
//! - float graphs round inputs, thresholds and sums to single precision; graphs with double
//!   inputs compare and add in double precision;
//! - `base_values` are added last; an average is taken before them;
//! - a single target gets no post transform but `PROBIT`;
//! - two classes with one column of weights: the column scores the second class; weights
//!   that are all at least 0 are its probability, else the score is a margin; `SOFTMAX` is
//!   not applied to it;
//! - a comparison with NaN does not hold, `BRANCH_NEQ` does, unless
//!   `nodes_missing_value_tracks_true` says otherwise;
//! - `BRANCH_MEMBER` compares numbers as they are; ONNX Runtime takes whole members only, and
//!   with a member below 1 it also takes fractions for members, which is not followed;
//! - bins (`Less` and `ArgMax`) take one feature; the column of ones beside them, which exporters
//!   make of any feature times 0, counts as ones where that feature is missing or infinite, too.
//!
//! A text is known by its code: its position among the texts that the graph's operators name
//! for that feature. A text that no operator names has no code, and neither has a missing one;
//! both are what an encoder makes of a text that it does not know.
//!
//! A classifier of two classes becomes one output, the second class's.
//!
//! **LightGBM and scikit-learn train in double precision.** Converters round thresholds and
//! leaves to float, so rows near a threshold may go to the other side than in the trainer.
//! No importer can undo that: prefer LightGBM's text format, and check with
//! `tollgate model check` against the trainer's own predictions.

mod bins;
mod column;
mod ensemble;
mod foreign;
mod graph;
mod inputs;
mod layers;
mod linear;
mod op;
mod prepare;
pub mod proto;
mod region;
mod scores;
mod shapes;
mod texts;
mod trees;
mod trees_v3;
mod trees_v5;

use super::{GraphSource, Source};
use crate::failure::Result;
use op::refused;
use prost::Message;

/// Newest version of `ai.onnx.ml` that we know.
const NEWEST_ML: i64 = 5;

/// Reads a model; `output` names the score where the graph gives out several.
///
/// # Errors
/// `MODEL` with node and attribute at fault, or with the name of what is not supported.
pub fn onnx(bytes: &[u8], output: Option<&str>) -> Result<Source> {
    let graph = read(bytes, output)?;
    if is_net(&graph) || foreign::is_foreign(&graph) {
        let lowered = layers::model(&graph).map(Source::Net);
        // What is not lowered, the ONNX module may still run.
        return lowered.or_else(|why| foreign::model(bytes, &graph, why.message).map(Source::Graph));
    }
    graph::model(&graph)
}

/// Reads a net as the graph that it is, for the ONNX module.
///
/// # Errors
/// As for [`onnx`].
pub fn as_graph(bytes: &[u8], output: Option<&str>) -> Result<GraphSource> {
    foreign::model(bytes, &read(bytes, output)?, "asked for".into())
}

/// The graph of a file, with all of its outputs or the one that is wanted.
fn read(bytes: &[u8], output: Option<&str>) -> Result<proto::GraphProto> {
    let model = proto::ModelProto::decode(bytes).map_err(|error| refused(format!("not an ONNX model: {error}")))?;
    // It stands last in the file.
    if model.opset_import.is_empty() {
        return Err(refused("names no set of operators; the file is cut short, or no ONNX model"));
    }
    if let Some(set) = model.opset_import.iter().find(|set| set.domain == "ai.onnx.ml" && set.version > NEWEST_ML) {
        let message =
            format!("ai.onnx.ml version {} is not supported; export version {NEWEST_ML} or older", set.version);
        return Err(refused(message));
    }
    if !model.functions.is_empty() {
        return Err(refused("functions defined in the file are not supported; inline them when exporting"));
    }
    let mut graph = model.graph.ok_or_else(|| refused("not an ONNX model: it has no graph"))?;
    if let Some(name) = output {
        let names: Vec<String> = graph.output.iter().map(|output| output.name.clone()).collect();
        graph.output.retain(|output| output.name == name);
        if graph.output.is_empty() {
            return Err(refused(format!("no output is named {name:?}; there are {names:?}")));
        }
    }
    Ok(graph)
}

/// Models of `ai.onnx.ml`, which are none of layers.
const NO_NETS: [&str; 7] = [
    "TreeEnsemble",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
    "LinearClassifier",
    "LinearRegressor",
    "SVMClassifier",
    "SVMRegressor",
];

/// Operators that only nets have.
const NETS: [&str; 6] = ["Relu", "LeakyRelu", "Elu", "Tanh", "Gelu", "BatchNormalization"];

/// Whether a graph is a net, and not a linear model or trees with what surrounds them.
fn is_net(graph: &proto::GraphProto) -> bool {
    let kinds = || graph.node.iter().map(|node| node.op_type.as_str());
    let products = kinds().filter(|kind| matches!(*kind, "MatMul" | "Gemm")).count();
    let tables = graph.initializer.iter().filter(|tensor| tensor.dims.len() == 2).map(|tensor| tensor.name.as_str());
    let tables: std::collections::HashSet<&str> = tables.collect();
    let embeds = graph.node.iter().any(|node| {
        node.op_type == "Gather" && node.input.first().is_some_and(|table| tables.contains(table.as_str()))
    });
    let marked = products > 1 || embeds || products == 1 && kinds().any(|kind| NETS.contains(&kind));
    marked && !kinds().any(|kind| NO_NETS.contains(&kind))
}
