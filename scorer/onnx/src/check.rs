//! Bounds of a graph, checked before tract sees it.

use tollgate_scorer::{Code, Error, Result};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

/// Nodes of a graph, those of graphs inside it included.
const NODES: usize = 10_000;
/// Elements of one tensor.
const ELEMENTS: usize = 64 << 20;
/// Graphs inside graphs.
const DEPTH: usize = 4;

/// Refuses what reaches for other files, what is too large, and what looks random.
pub(crate) fn check(model: &ModelProto) -> Result<()> {
    let graph = model.graph.as_ref().ok_or(Error::new(Code::Model, "model: no ONNX graph"))?;
    if !model.functions.is_empty() {
        return Err(Error::new(Code::Model, "model: the graph defines functions"));
    }
    let mut nodes = 0;
    check_graph(graph, &mut nodes, DEPTH)
}

fn check_graph(graph: &GraphProto, nodes: &mut usize, depth: usize) -> Result<()> {
    if depth == 0 {
        return Err(Error::new(Code::Limit, "model: graphs nested too deeply"));
    }
    *nodes += graph.node.len();
    if *nodes > NODES {
        return Err(Error::new(Code::Limit, "model: too many nodes"));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(Error::new(Code::Model, "model: sparse tensors"));
    }
    graph.initializer.iter().try_for_each(check_tensor)?;
    graph.node.iter().enumerate().try_for_each(|(index, node)| check_node(node, nodes, depth).map_err(|e| e.at(index)))
}

fn check_node(node: &NodeProto, nodes: &mut usize, depth: usize) -> Result<()> {
    if node.op_type.starts_with("Random") || matches!(node.op_type.as_str(), "Multinomial" | "Bernoulli") {
        return Err(Error::new(Code::Model, "model: random operators decide nothing twice, node"));
    }
    for attribute in &node.attribute {
        attribute.t.iter().chain(&attribute.tensors).try_for_each(check_tensor)?;
        attribute.g.iter().chain(&attribute.graphs).try_for_each(|graph| check_graph(graph, nodes, depth - 1))?;
    }
    Ok(())
}

fn check_tensor(tensor: &TensorProto) -> Result<()> {
    if !tensor.external_data.is_empty() || tensor.data_location.unwrap_or_default() != 0 {
        return Err(Error::new(Code::Model, "model: data in another file"));
    }
    let sizes = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok());
    let size = sizes.into_iter().try_fold(1usize, |size, dim| size.checked_mul(dim?));
    if size.is_none_or(|size| size > ELEMENTS) {
        return Err(Error::new(Code::Limit, "model: tensor too large"));
    }
    Ok(())
}
