//! A graph, followed node by node from its inputs to the score it gives out.

use super::column::{Column, Kind, Step};
use super::ensemble::Ground;
use super::op::{Constant, Op, refused};
use super::proto::{GraphProto, ValueInfoProto, data_type};
use super::scores::Scores;
use super::texts::{self, Texts};
use super::{bins, inputs, linear, prepare, trees};
use crate::failure::Result;
use crate::import::Source;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use tollgate_scorer::model::Link;
use tollgate_scorer::model::forest::Input;

/// Nodes of a graph; pipelines have some dozens.
pub(super) const NODES: usize = 10_000;

/// Steps and tree nodes that may be handed from node to node in all.
const WORK: usize = 128 << 20;

/// What a name in the graph stands for.
#[derive(Clone)]
pub(super) enum Value {
    Columns(Rc<Vec<Column>>),
    Constant(Rc<Constant>),
    Scores(Rc<Scores>),
}

/// The graph as far as it was followed.
pub(super) struct Walk<'g> {
    values: HashMap<&'g str, Value>,
    names: Rc<Vec<String>>,
    input: Input,
    texts: Texts,
}

/// The model that a graph amounts to.
pub(super) fn model(graph: &GraphProto) -> Result<Source> {
    if graph.node.len() > NODES {
        return Err(refused(format!("{} nodes, more than {NODES}", graph.node.len())));
    }
    if !graph.sparse_initializer.is_empty() {
        return Err(refused("sparse initializers are not supported; store them as plain tensors"));
    }
    let output = score_output(graph)?;
    let needed = needed(graph, output);
    let mut walk = Walk::new(graph, &needed)?;
    let mut work = 0usize;
    for (position, node) in graph.node.iter().enumerate() {
        let wanted = node.output.iter().position(|name| needed.contains(name.as_str()));
        let Some(wanted) = wanted else { continue };
        let op = Op::new(position, node);
        let value = walk.run(&op, wanted)?;
        work = work.saturating_add(value.size());
        if work > WORK {
            return Err(op.refused("the graph before it is too large; remove steps that do nothing"));
        }
        if let Some(name) = node.output.get(wanted) {
            walk.values.insert(name, value);
        }
    }
    match walk.values.get(output) {
        Some(Value::Scores(scores)) => {
            let scores = scores.as_ref().clone();
            let texts = walk.texts.into_codes(&walk.names);
            scores.finish(texts).map_err(|what| refused(format!("output {output:?} {what}")))
        }
        Some(_) => Err(refused(format!("output {output:?} comes from no tree or linear operator"))),
        None => Err(refused(format!("output {output:?} is produced by no node"))),
    }
}

/// The one output that is not the label.
pub(super) fn score_output(graph: &GraphProto) -> Result<&str> {
    let is_score = |output: &&ValueInfoProto| {
        let tensor = output.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
        tensor.is_none_or(|tensor| matches!(tensor.elem_type, data_type::FLOAT | data_type::DOUBLE | 0))
    };
    let scores: Vec<&str> = graph.output.iter().filter(is_score).map(|output| output.name.as_str()).collect();
    match scores.as_slice() {
        [one] => Ok(one),
        [] => Err(refused("no output is a score, only labels; export the probabilities too")),
        more => Err(refused(format!(
            "outputs {more:?} could all be the score; name one by `output` in [model], or keep one besides the label"
        ))),
    }
}

/// Names that the score depends on. Nodes stand in the order of execution, so one pass
/// from the end finds them all.
pub(super) fn needed<'g>(graph: &'g GraphProto, output: &'g str) -> HashSet<&'g str> {
    let mut needed = HashSet::from([output]);
    for node in graph.node.iter().rev() {
        if node.output.iter().any(|name| needed.contains(name.as_str())) {
            needed.extend(node.input.iter().map(String::as_str));
        }
    }
    needed.remove("");
    needed
}

impl Value {
    /// How much is copied when a node makes a new value of this one.
    fn size(&self) -> usize {
        match self {
            Self::Constant(constant) => constant.values.len(),
            Self::Columns(columns) => columns.iter().map(|column| 1 + column.steps.len()).sum(),
            Self::Scores(scores) => match &scores.model {
                Source::Forest(forest) => forest.trees.iter().map(|tree| tree.nodes.len()).sum(),
                Source::Linear(linear) => linear.weights.len(),
                Source::Net(_) | Source::Graph(_) => 0,
            },
        }
    }
}

impl<'g> Walk<'g> {
    fn new(graph: &'g GraphProto, needed: &HashSet<&str>) -> Result<Self> {
        let (given, names) = inputs::of(graph)?;
        let all_single = given.iter().all(|input| matches!(input.kind, Kind::Single | Kind::Text));
        let mut walk = Self {
            values: HashMap::new(),
            names: Rc::default(),
            texts: Texts::default(),
            input: if all_single { Input::Single } else { Input::AsIs },
        };
        for input in given {
            let places = input.first..input.first + input.width;
            let columns: Vec<Column> = places.map(|place| feature(place, input.kind, all_single)).collect();
            columns.iter().filter(|_| input.kind == Kind::Text).for_each(|column| walk.texts.add(column.feature));
            walk.values.insert(input.name, Value::Columns(Rc::new(columns)));
        }
        walk.names = Rc::new(names);
        for tensor in graph.initializer.iter().filter(|tensor| needed.contains(tensor.name.as_str())) {
            walk.values.insert(&tensor.name, Value::Constant(Rc::new(Constant::read(tensor)?)));
        }
        Ok(walk)
    }

    /// The value of a node's output.
    fn run(&self, op: &Op<'_>, wanted: usize) -> Result<Value> {
        let value = match (op.node.domain.as_str(), op.node.op_type.as_str()) {
            ("ai.onnx.ml", kind) => self.run_ml(op, kind, wanted)?,
            ("" | "ai.onnx", kind) => self.run_standard(op, kind)?,
            _ => None,
        };
        value.ok_or_else(|| {
            let Op { node, .. } = op;
            let domain = if node.domain.is_empty() { String::new() } else { format!(" of {:?}", node.domain) };
            op.refused(format!(
                "operator {}{domain} is not supported; export trees and linear models as ai.onnx.ml operators, and \
                 compute features that need it outside the model",
                node.op_type
            ))
        })
    }

    fn run_ml(&self, op: &Op<'_>, kind: &str, wanted: usize) -> Result<Option<Value>> {
        let classifier = matches!(kind, "TreeEnsembleClassifier" | "LinearClassifier");
        if classifier && wanted != 1 {
            return Err(op.refused("its label is used as the score; give out the probabilities"));
        }
        let columns = || self.columns(op, 0);
        let at_node = |of: Scores| scores(Scores { id: op.position, ..of }.named(classes(op)));
        Ok(Some(match kind {
            "TreeEnsembleClassifier" => at_node(trees::classifier(op, &self.ground(&columns()?))?),
            "TreeEnsembleRegressor" => at_node(trees::regressor(op, &self.ground(&columns()?))?),
            "TreeEnsemble" => at_node(trees::ensemble(op, &self.ground(&columns()?))?),
            "LinearClassifier" => at_node(linear::classifier(op, &self.ground(&columns()?))?),
            "LinearRegressor" => at_node(linear::regressor(op, &self.ground(&columns()?))?),
            "Scaler" => self::columns(prepare::scaler(op, &columns()?)?),
            "Imputer" => self::columns(prepare::imputer(op, &columns()?)?),
            "Binarizer" => self::columns(prepare::binarizer(op, &columns()?)?),
            "OneHotEncoder" => self::columns(prepare::one_hot(op, &self.any_columns(op, 0)?, &self.texts)?),
            "LabelEncoder" => self::columns(prepare::labels(op, &self.any_columns(op, 0)?, &self.texts)?),
            "CategoryMapper" => self::columns(prepare::mapper(op, &self.any_columns(op, 0)?, &self.texts)?),
            "FeatureVectorizer" => self.concat(op)?,
            "ArrayFeatureExtractor" => self.select(op, &self.constant(op, 1)?.integers())?,
            "ZipMap" => match self.value(op, 0)? {
                Value::Scores(of) => scores(of.as_ref().clone().named(classes(op))),
                other => other,
            },
            "Normalizer" => match self.value(op, 0)? {
                Value::Scores(of) => scores(of.as_ref().clone().normalized(op)?),
                _ => return Err(op.refused(
                    "divides each row by its own length, so no feature can be split on its own; normalize outside the \
                     model",
                )),
            },
            _ => return Ok(None),
        }))
    }

    fn run_standard(&self, op: &Op<'_>, kind: &str) -> Result<Option<Value>> {
        Ok(Some(match kind {
            "Identity" | "Dropout" => self.value(op, 0)?,
            "Constant" => Value::Constant(Rc::new(constant(op)?)),
            "Cast" => match self.value(op, 0)? {
                Value::Columns(of) => columns(prepare::cast(op, &of)?),
                other => other,
            },
            "Reshape" | "Flatten" | "Squeeze" => self.reshape(op)?,
            "Concat" => self.concat(op)?,
            "Gather" if self.constant(op, 0).is_err() => self.select(op, &self.constant(op, 1)?.integers())?,
            "Slice" => self.select(op, &self.slice(op)?)?,
            "Clip" => columns(prepare::clip(op, &self.columns(op, 0)?, self.bound(op, 1)?, self.bound(op, 2)?)?),
            "Neg" => columns(self.columns(op, 0)?.iter().map(|c| c.then(Step::Negate, c.kind)).collect()),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(op, kind)?,
            "Less" | "Greater" => {
                let edges = self.constant(op, 1)?;
                columns(bins::compare(op, &self.columns(op, 0)?, &edges, kind == "Less")?)
            }
            "ArgMax" => columns(vec![bins::first_largest(op, &self.columns(op, 0)?)?]),
            "MatMul" | "Gemm" => self.product(op)?,
            "Sigmoid" => scores(self.scores(op)?.linked(op, Link::Logistic { slope: 1.0 })?),
            "Softmax" => {
                let of = self.scores(op)?;
                let several = of.model.outputs() > 1;
                let link = if several { Link::Softmax } else { return Err(op.refused("softmax of one score is 1")) };
                scores(of.linked(op, link)?)
            }
            "Exp" => scores(self.scores(op)?.linked(op, Link::Exp)?),
            _ => return Ok(None),
        }))
    }

    pub(super) fn ground<'c>(&self, columns: &'c [Column]) -> Ground<'c> {
        let double = columns.iter().any(|column| column.kind == Kind::Double);
        Ground { names: Rc::clone(&self.names), columns, input: self.input, double }
    }

    pub(super) fn value(&self, op: &Op<'_>, index: usize) -> Result<Value> {
        let name = op.input(index).ok_or_else(|| op.refused(format!("input {index} is missing")))?;
        let unknown = || op.refused(format!("reads {name:?}, which no input or node before it gives"));
        self.values.get(name).cloned().ok_or_else(unknown)
    }

    /// Columns of numbers.
    pub(super) fn columns(&self, op: &Op<'_>, index: usize) -> Result<Rc<Vec<Column>>> {
        let columns = self.any_columns(op, index)?;
        if columns.iter().any(|column| column.kind == Kind::Text) {
            return Err(texts::refused(op));
        }
        Ok(columns)
    }

    fn any_columns(&self, op: &Op<'_>, index: usize) -> Result<Rc<Vec<Column>>> {
        match self.value(op, index)? {
            Value::Columns(columns) => Ok(columns),
            Value::Scores(_) => Err(op.refused("works on the scores of another model, which is not supported")),
            Value::Constant(_) => Err(op.refused("works on a constant where features belong")),
        }
    }

    pub(super) fn scores(&self, op: &Op<'_>) -> Result<Scores> {
        match self.value(op, 0)? {
            Value::Scores(scores) => Ok(scores.as_ref().clone()),
            _ => Err(op.refused("works on features; only scores of a model can be transformed by it")),
        }
    }

    pub(super) fn constant(&self, op: &Op<'_>, index: usize) -> Result<Rc<Constant>> {
        match self.value(op, index)? {
            Value::Constant(constant) => Ok(constant),
            _ => Err(op.refused(format!("input {index} must be a constant"))),
        }
    }

    fn bound(&self, op: &Op<'_>, index: usize) -> Result<Option<f64>> {
        op.input(index).map(|_| Ok(self.constant(op, index)?.at(0).unwrap_or(f64::NAN))).transpose()
    }
}

pub(super) fn scores(of: Scores) -> Value {
    Value::Scores(Rc::new(of))
}

pub(super) fn columns(of: Vec<Column>) -> Value {
    Value::Columns(Rc::new(of))
}

/// The names of classes that an operator has, numbers as text.
pub(super) fn classes(op: &Op<'_>) -> Vec<String> {
    let texts = op.strings("classlabels_strings");
    let numbers = ["classlabels_int64s", "classlabels_ints"].map(|name| op.ints(name)).concat();
    if texts.is_empty() { numbers.iter().map(ToString::to_string).collect() } else { texts }
}

/// A feature as the graph's input.
fn feature(feature: usize, kind: Kind, all_single: bool) -> Column {
    let mixed = kind == Kind::Single && !all_single;
    // In a graph with other inputs too, the rounding that callers do is a step.
    let (given, steps) = match kind {
        _ if mixed => (Kind::Double, vec![Step::Round]),
        // Codes are small whole numbers, the same in single precision.
        Kind::Text if all_single => (Kind::Single, vec![]),
        _ => (kind, vec![]),
    };
    Column { feature, given, kind, steps }
}

/// The value of a Constant node.
pub(super) fn constant(op: &Op<'_>) -> Result<Constant> {
    if let Some(constant) = op.tensor("value")? {
        return Ok(constant);
    }
    let integers = op.ints("value_ints").iter().map(|value| *value as f64);
    let mut values: Vec<f64> = op.floats("value_floats").into_iter().chain(integers).collect();
    if op.attribute("value_float").is_some() {
        values.push(f64::from(op.float("value_float", 0.0)));
    }
    if op.attribute("value_int").is_some() {
        values.push(op.int("value_int", 0) as f64);
    }
    if values.is_empty() {
        return Err(op.refused("only constants of numbers are supported"));
    }
    Ok(Constant { dims: vec![values.len()], values, double: false })
}
