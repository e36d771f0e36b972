//! ONNX graphs of small nets, lowered to layers that the lean module runs.
//!
//! A graph is followed node by node. What stands at its end as a link (a sigmoid, a softmax,
//! the two classes beside each other) becomes the model's link, so that raw scores are those
//! before it. What cannot be lowered is refused by name; the ONNX module may still run it.
//!
//! | file | what it does |
//! |---|---|
//! | `build.rs` | layers as they are found |
//! | `ops.rs` | operators to layers |
//! | `shapes.rs` | operators that pick, join and reshape |
//! | `tail.rs` | what stands at the end |

mod build;
mod ops;
mod shapes;
mod tail;

use super::column::Kind;
use super::graph::{self, NODES};
use super::inputs::{self, Given};
use super::op::{Constant, Op, refused};
use super::proto::GraphProto;
use crate::failure::Result;
use crate::import::{NetLayer, NetOperation, NetSource};
use build::{Layers, Tensor};
use std::collections::HashMap;
use std::rc::Rc;
use tail::Linked;
use tollgate_scorer::limits;

/// What a name in the graph stands for.
#[derive(Clone)]
enum Value {
    Constant(Rc<Constant>),
    Tensor(Tensor),
    Linked(Linked),
}

/// The graph as far as it was followed.
struct Walk<'g> {
    values: HashMap<&'g str, Value>,
    /// Per name, how many nodes read it.
    readers: HashMap<&'g str, usize>,
    layers: Layers,
    tables: Vec<(usize, usize)>,
}

/// The net that a graph amounts to.
pub(super) fn model(graph: &GraphProto) -> Result<NetSource> {
    if graph.node.len() > NODES || !graph.sparse_initializer.is_empty() {
        return Err(refused("too many nodes, or sparse initializers"));
    }
    let output = graph::score_output(graph)?;
    let needed = graph::needed(graph, output);
    let (given, features) = inputs::of(graph)?;
    let mut walk = Walk { values: HashMap::new(), readers: HashMap::new(), layers: Layers::default(), tables: vec![] };
    walk.take_inputs(&given, features.len())?;
    for tensor in graph.initializer.iter().filter(|tensor| needed.contains(tensor.name.as_str())) {
        walk.values.insert(&tensor.name, Value::Constant(Rc::new(Constant::read(tensor)?)));
    }
    let nodes = graph.node.iter().enumerate();
    let nodes = nodes.filter(|(_, node)| node.output.iter().any(|name| needed.contains(name.as_str())));
    let ops: Vec<Op<'_>> = nodes.map(|(position, node)| Op::new(position, node)).collect();
    for name in ops.iter().flat_map(|op| &op.node.input).map(String::as_str).chain([output]) {
        *walk.readers.entry(name).or_default() += 1;
    }
    for op in &ops {
        let value = walk.run(op)?;
        let name = op.node.output.iter().find(|name| needed.contains(name.as_str()));
        walk.values.insert(name.map_or("", String::as_str), value);
        if walk.layers.list.len() > limits::LAYERS {
            return Err(op.refused(format!("more than {} layers before it", limits::LAYERS)));
        }
    }
    let linked = match walk.values.get(output).cloned() {
        Some(Value::Linked(linked)) => linked,
        Some(Value::Tensor(tensor)) => Linked::plain(tensor),
        _ => return Err(refused(format!("output {output:?} is produced by no node"))),
    };
    walk.finish(&linked, features).map_err(|what| refused(format!("output {output:?} {what}")))
}

impl<'g> Walk<'g> {
    /// Each input as a part of the row of features.
    fn take_inputs(&mut self, given: &[Given<'g>], features: usize) -> Result<()> {
        for input in given {
            if matches!(input.kind, Kind::Double | Kind::Text) {
                return Err(refused(format!("input {:?} is neither single precision nor integer", input.name)));
            }
            let dims = if input.columns { vec![input.width] } else { vec![] };
            let tensor = if input.width == features {
                Tensor { value: 0, dims }
            } else {
                let places = (input.first..input.first + input.width).map(|place| place as u32);
                let part = self.layers.push(NetOperation::Pick(places.collect()), vec![0], input.width);
                Tensor { dims, ..part }
            };
            self.values.insert(input.name, Value::Tensor(tensor));
        }
        Ok(())
    }

    fn value(&self, op: &Op<'_>, index: usize) -> Result<Value> {
        let name = op.input(index).ok_or_else(|| op.refused(format!("input {index} is missing")))?;
        let unknown = || op.refused(format!("reads {name:?}, which no input or node before it gives"));
        self.values.get(name).cloned().ok_or_else(unknown)
    }

    /// A value of the row; what looked like a link becomes a layer after all.
    fn tensor(&mut self, op: &Op<'_>, index: usize) -> Result<Tensor> {
        match self.value(op, index)? {
            Value::Tensor(tensor) => Ok(tensor),
            Value::Linked(linked) => linked.into_layers(op, &mut self.layers),
            Value::Constant(_) => Err(op.refused("works on a constant where features belong")),
        }
    }

    fn constant(&self, op: &Op<'_>, index: usize) -> Result<Rc<Constant>> {
        match self.value(op, index)? {
            Value::Constant(constant) => Ok(constant),
            _ => Err(op.refused(format!("input {index} must be a constant"))),
        }
    }

    /// Whether no other node reads an input of this one.
    fn alone(&self, op: &Op<'_>, index: usize) -> bool {
        op.input(index).is_some_and(|name| self.readers.get(name) == Some(&1))
    }

    fn finish(mut self, linked: &Linked, features: Vec<String>) -> Result<NetSource, String> {
        let names = linked.names();
        let (link, outputs) = linked.close(&mut self.layers)?;
        let baseline = vec![0.0; features.len()];
        let layers: Vec<NetLayer> = self.layers.list;
        Ok(NetSource { features, names, layers, outputs, link, baseline, tables: self.tables })
    }
}
