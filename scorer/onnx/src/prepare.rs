//! What stands in a graph and tract does not know: labels beside the score, and what
//! pipelines do to their inputs.

use std::collections::HashSet;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

/// Leaves the nodes that `output` depends on; they stand in the order of execution. The graph
/// gives out nothing any more: what is wanted is selected by name.
pub(crate) fn prune(graph: &mut GraphProto, output: &str) {
    let mut needed = HashSet::from([output.to_string()]);
    let mut kept: Vec<NodeProto> = Vec::new();
    for node in std::mem::take(&mut graph.node).into_iter().rev() {
        if node.output.iter().any(|name| needed.contains(name)) {
            read_by(&node, &mut needed);
            kept.push(node);
        }
    }
    kept.reverse();
    graph.node = kept;
    graph.output.clear();
    graph.initializer.retain(|tensor| needed.contains(&tensor.name));
}

/// Names that a node reads, in graphs inside it too.
fn read_by(node: &NodeProto, names: &mut HashSet<String>) {
    names.extend(node.input.iter().cloned());
    for graph in node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)) {
        names.extend(graph.output.iter().map(|output| output.name.clone()));
        graph.node.iter().for_each(|node| read_by(node, names));
    }
}

/// Spells `Scaler` and `Imputer` of `ai.onnx.ml` out in standard operators: pipelines of
/// scikit-learn begin with them.
pub(crate) fn spell_out(graph: &mut GraphProto) {
    let mut names = Names::of(graph);
    for node in std::mem::take(&mut graph.node) {
        let kind = if node.domain == "ai.onnx.ml" { node.op_type.as_str() } else { "" };
        let nodes = match (kind, node.input.first(), node.output.first()) {
            ("Scaler", Some(from), Some(to)) => {
                let [offset, scale] = ["offset", "scale"].map(|name| constant(graph, &node, name, &mut names));
                let centred = names.new_one(format!("{to}/centred"));
                vec![made("Sub", &[from, &offset], &centred), made("Mul", &[&centred, &scale], to)]
            }
            ("Imputer", Some(from), Some(to)) if replaces_nan(&node) => {
                let fill = constant(graph, &node, "imputed_value_floats", &mut names);
                let missing = names.new_one(format!("{to}/missing"));
                vec![made("IsNaN", &[from], &missing), made("Where", &[&missing, &fill, from], to)]
            }
            _ => vec![node],
        };
        graph.node.extend(nodes);
    }
}

/// Names of values that a graph has: tract takes the last of two that are the same.
struct Names(HashSet<String>);

impl Names {
    fn of(graph: &GraphProto) -> Self {
        let made = graph.node.iter().flat_map(|node| node.output.iter());
        let constants = graph.initializer.iter().map(|tensor| &tensor.name);
        Self(made.chain(constants).chain(graph.input.iter().map(|input| &input.name)).cloned().collect())
    }

    /// The name, longer by so many signs that nothing else has it.
    fn new_one(&mut self, mut name: String) -> String {
        while !self.0.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

/// Other values than NaN, zero without the attribute, are left to tract, which refuses the node.
fn replaces_nan(node: &NodeProto) -> bool {
    let replaced = node.attribute.iter().find(|own| own.name == "replaced_value_float");
    replaced.is_some_and(|replaced| replaced.f.is_nan())
}

/// A node's numbers as a constant of the graph; its name.
fn constant(graph: &mut GraphProto, node: &NodeProto, attribute: &str, names: &mut Names) -> String {
    let numbers = node.attribute.iter().find(|own| own.name == attribute).map(|own| own.floats.clone());
    let float_data = numbers.unwrap_or_default();
    let name = names.new_one(format!("{}/{attribute}", node.output.first().map_or("", String::as_str)));
    let (dims, data_type) = (vec![float_data.len() as i64], DataType::Float as i32);
    graph.initializer.push(TensorProto { name: name.clone(), dims, data_type, float_data, ..TensorProto::default() });
    name
}

fn made(kind: &str, input: &[&str], output: &str) -> NodeProto {
    let input = input.iter().map(|name| name.to_string()).collect();
    NodeProto { op_type: kind.into(), input, output: vec![output.into()], ..NodeProto::default() }
}
