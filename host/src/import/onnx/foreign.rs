//! Graphs that are not lowered: the ONNX module runs them as they are.

use super::column::Kind;
use super::graph::{self, NODES};
use super::op::refused;
use super::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};
use super::{inputs, layers};
use crate::failure::Result;
use crate::import::{GraphInput, GraphSource, Names, Source};
use tollgate_scorer::limits;
use tollgate_scorer::model::Link;

/// Operators that nets have and trees and linear models do not, beside those that are lowered.
const NETS: [&str; 10] =
    ["Conv", "LSTM", "GRU", "RNN", "LayerNormalization", "PRelu", "Selu", "Softplus", "HardSigmoid", "Einsum"];

/// Whether a graph is a net that is not lowered.
pub(super) fn is_foreign(graph: &GraphProto) -> bool {
    graph.node.iter().any(|node| NETS.contains(&node.op_type.as_str()))
}

/// The graph with what the module needs to know of it; `why` says what keeps it from being
/// lowered.
pub(super) fn model(bytes: &[u8], graph: &GraphProto, why: String) -> Result<GraphSource> {
    if graph.node.len() > NODES || !graph.sparse_initializer.is_empty() {
        return Err(refused("too many nodes, or sparse initializers"));
    }
    let attributes = graph.node.iter().flat_map(|node| &node.attribute).filter_map(|attribute| attribute.t.as_ref());
    graph.initializer.iter().chain(attributes).try_for_each(inside)?;
    let output = graph::score_output(graph)?;
    let (given, features) = inputs::of(graph)?;
    let mut inputs = Vec::new();
    for input in &given {
        let integer = match input.kind {
            Kind::Single => false,
            Kind::Integer => true,
            _ => return Err(refused(format!("input {:?} is neither float nor int64", input.name))),
        };
        inputs.push(GraphInput { name: input.name.into(), width: input.width, integer, columns: input.columns });
    }
    let declared = graph.output.iter().find(|value| value.name == output).and_then(columns);
    // What can be lowered tells by itself.
    let outputs = declared.or_else(|| layers::model(graph).ok().map(|net| Source::Net(net).outputs()));
    let outputs = outputs.filter(|count| (1..=limits::OUTPUTS).contains(count)).ok_or_else(|| {
        refused(format!("output {output:?} has no fixed number of columns; export it with the shape [None, columns]"))
    })?;
    let (output, link) = tail(graph, output, outputs);
    let baseline = vec![0.0; features.len()];
    let names = Names::default();
    Ok(GraphSource { features, names, inputs, output, outputs, link, baseline, graph: bytes.to_vec(), why })
}

/// The value before the link that ends the graph.
fn tail(graph: &GraphProto, output: &str, outputs: usize) -> (String, Link) {
    let mut name = output;
    // As many steps as nodes: a graph that runs in circles is refused later.
    for _ in 0..graph.node.len() {
        let maker = graph.node.iter().find(|node| node.output.iter().any(|made| made == name));
        let Some((node, before)) = maker.and_then(|node| Some((node, node.input.first()?))) else { break };
        match node.op_type.as_str() {
            "Identity" => name = before,
            "Sigmoid" => return (before.clone(), Link::Logistic { slope: 1.0 }),
            "Softmax" if outputs > 1 && matches!(axis(node), 1 | -1) => return (before.clone(), Link::Softmax),
            _ => break,
        }
    }
    (output.into(), Link::Identity)
}

fn axis(node: &NodeProto) -> i64 {
    node.attribute.iter().find(|attribute| attribute.name == "axis").map_or(-1, |attribute| attribute.i)
}

/// Columns of an output; one value a row counts as one.
fn columns(output: &ValueInfoProto) -> Option<usize> {
    let shape = output.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
    match shape.dim.as_slice() {
        [_] => Some(1),
        [_, columns] => usize::try_from(columns.dim_value?).ok(),
        _ => None,
    }
}

fn inside(tensor: &TensorProto) -> Result<()> {
    if tensor.data_location != 0 || !tensor.external_data.is_empty() {
        return Err(refused(format!(
            "tensor {:?} is in another file; save the model with its data inside",
            tensor.name
        )));
    }
    Ok(())
}
