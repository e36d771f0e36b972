//! What comes out of a model inside the graph, and what graphs still do to it.

use super::column::Arithmetic;
use super::op::{Constant, Op};
use crate::failure::Result;
use crate::import::{ForestSource, LinearSource, Names, Source, Tree};
use crate::table::Codes;
use tollgate_scorer::model::Link;
use tollgate_scorer::model::forest::Aggregate;

/// A column of scores, in terms of the model's responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Score {
    /// The response.
    Output(usize),
    /// One minus the response.
    Complement(usize),
    /// The response with the other sign.
    Negative(usize),
}

/// A model and what of it is passed on.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    pub model: Source,
    /// The node that changed the raw scores or link last: the model's identity.
    pub id: usize,
    pub columns: Vec<Score>,
    /// Per column its class; empty where nothing tells.
    pub classes: Vec<String>,
}

impl Scores {
    /// All outputs of a model.
    pub(super) fn all(model: Source) -> Self {
        let columns = (0..model.outputs()).map(Score::Output).collect();
        Self { model, columns, id: 0, classes: Vec::new() }
    }

    /// The two classes of a model of one output: the second has the output.
    pub(super) fn pair(model: Source, other: Score) -> Self {
        Self { model, columns: vec![other, Score::Output(0)], id: 0, classes: Vec::new() }
    }

    /// The same, with the names of its columns if they are as many.
    pub(super) fn named(mut self, classes: Vec<String>) -> Self {
        if classes.len() == self.columns.len() {
            self.classes = classes;
        }
        self
    }

    fn link(&mut self) -> &mut Link {
        match &mut self.model {
            Source::Forest(forest) => &mut forest.link,
            Source::Linear(linear) => &mut linear.link,
            Source::Net(net) => &mut net.link,
            Source::Graph(graph) => &mut graph.link,
        }
    }

    /// Whether the columns are the raw scores of the model, all in order.
    fn is_raw(&mut self) -> bool {
        *self.link() == Link::Identity && self.columns == Self::all(self.model.clone()).columns
    }

    /// Puts a function on top of raw scores.
    pub(super) fn linked(mut self, op: &Op<'_>, link: Link) -> Result<Self> {
        if !self.is_raw() {
            return Err(op.refused("works on scores that are transformed already; export the model without this node"));
        }
        *self.link() = link;
        self.id = op.position;
        Ok(self)
    }

    /// Divides each row by the sum of its scores, which changes nothing where that is 1.
    pub(super) fn normalized(mut self, op: &Op<'_>) -> Result<Self> {
        let pair = matches!(self.columns.as_slice(), [Score::Complement(0), Score::Output(0)]);
        let probability = matches!(self.link(), Link::Logistic { .. }) && pair;
        let norm = op.text("norm", "MAX");
        let whole = self.columns == Self::all(self.model.clone()).columns;
        let softmax = matches!(self.link(), Link::Softmax | Link::SoftmaxZero) && whole;
        if norm == "L1" && (probability || softmax) {
            return Ok(self);
        }
        Err(op.refused("normalizes scores that do not add up to 1, as in one-versus-rest; train one multinomial model"))
    }

    /// Some of the columns.
    pub(super) fn select(&self, op: &Op<'_>, places: &[usize]) -> Result<Self> {
        let chosen = places.iter().map(|place| self.columns.get(*place).copied()).collect::<Option<Vec<Score>>>();
        let columns = chosen.ok_or_else(|| op.refused("selects a score that is not there"))?;
        let classes = columns_of(&self.classes, places);
        Ok(Self { model: self.model.clone(), columns, id: self.id, classes })
    }

    /// Arithmetic with a constant; `swapped` when the constant is on the left.
    pub(super) fn by(mut self, op: &Op<'_>, what: Arithmetic, constant: &Constant, swapped: bool) -> Result<Self> {
        let neutral = if matches!(what, Arithmetic::Multiply | Arithmetic::Divide) { 1.0 } else { 0.0 };
        let turned = swapped && matches!(what, Arithmetic::Subtract | Arithmetic::Divide);
        if !turned && constant.values.iter().all(|value| *value == neutral) {
            return Ok(self);
        }
        if what == Arithmetic::Subtract && swapped && constant.values.iter().all(|value| *value == 1.0) {
            return self.complement(op);
        }
        if !self.is_raw() || turned {
            return Err(op.refused("arithmetic on transformed scores is not supported; export the raw scores"));
        }
        for output in 0..self.model.outputs() {
            let value = constant.at(output).filter(|value| value.is_finite());
            let value = value.ok_or_else(|| op.refused("the constant does not fit the scores"))?;
            match what {
                Arithmetic::Add => self.add(op, output, value)?,
                Arithmetic::Subtract => self.add(op, output, -value)?,
                Arithmetic::Multiply => self.multiply(op, output, value)?,
                Arithmetic::Divide => self.multiply(op, output, 1.0 / value)?,
            }
        }
        self.id = op.position;
        Ok(self)
    }

    fn complement(&self, op: &Op<'_>) -> Result<Self> {
        let turned = self.columns.iter().map(|score| match score {
            Score::Output(output) => Some(Score::Complement(*output)),
            Score::Complement(output) => Some(Score::Output(*output)),
            Score::Negative(_) => None,
        });
        let columns = turned.collect::<Option<Vec<Score>>>();
        let columns = columns.ok_or_else(|| op.refused("arithmetic on transformed scores is not supported"))?;
        Ok(Self { model: self.model.clone(), columns, id: self.id, classes: self.classes.clone() })
    }

    fn add(&mut self, op: &Op<'_>, output: usize, value: f64) -> Result<()> {
        match &mut self.model {
            Source::Linear(linear) => {
                if let Some(intercept) = linear.intercepts.get_mut(output) {
                    *intercept += value;
                }
                // The sum is no longer the one that ONNX Runtime rounds step by step.
                linear.single = false;
            }
            Source::Forest(forest) if forest.averaged_over.is_none() => {
                forest.offset.resize(forest.outputs, 0.0);
                if let Some(offset) = forest.offset.get_mut(output) {
                    *offset += value;
                }
            }
            Source::Forest(_) => return Err(op.refused("adds to an average; put the number into base_values")),
            Source::Net(_) | Source::Graph(_) => return Err(op.refused("adds to a net")),
        }
        Ok(())
    }

    fn multiply(&mut self, op: &Op<'_>, output: usize, value: f64) -> Result<()> {
        match &mut self.model {
            Source::Linear(linear) => {
                let width = linear.features.len();
                linear.weights.iter_mut().skip(output * width).take(width).for_each(|weight| *weight *= value);
                linear.intercepts.iter_mut().skip(output).take(1).for_each(|intercept| *intercept *= value);
                linear.single = false;
            }
            Source::Forest(forest) => scale(op, forest, output, value)?,
            Source::Net(_) | Source::Graph(_) => return Err(op.refused("multiplies a net")),
        }
        Ok(())
    }

    fn names(&mut self) -> &mut Names {
        match &mut self.model {
            Source::Forest(forest) => &mut forest.names,
            Source::Linear(linear) => &mut linear.names,
            Source::Net(net) => &mut net.names,
            Source::Graph(graph) => &mut graph.names,
        }
    }

    /// The classes of the outputs that are given out; both, where one output stands for two.
    fn classes_of_outputs(&self) -> Vec<String> {
        match (self.columns.as_slice(), self.classes.as_slice()) {
            ([Score::Complement(_) | Score::Negative(_), Score::Output(_)], both @ [_, _]) => both.to_vec(),
            (columns, [_, _, ..]) if columns.iter().all(|score| matches!(score, Score::Output(_))) => {
                self.classes.clone()
            }
            _ => Vec::new(),
        }
    }

    /// The model that the graph amounts to.
    pub(super) fn finish(mut self, texts: Codes) -> Result<Source, String> {
        let outputs = self.model.outputs();
        let kept: Vec<usize> = self
            .columns
            .iter()
            .filter_map(|score| if let Score::Output(output) = score { Some(*output) } else { None })
            .collect();
        let covered = self.columns.iter().all(|score| match score {
            Score::Output(output) | Score::Complement(output) | Score::Negative(output) => kept.contains(output),
        });
        if !covered || kept.is_empty() {
            return Err("gives only the score of the other class; give out the positive class or both".into());
        }
        *self.names() = Names { classes: self.classes_of_outputs(), texts };
        if kept.iter().copied().eq(0..outputs) {
            return Ok(self.model);
        }
        if matches!(self.link(), Link::Softmax | Link::SoftmaxZero) {
            return Err("gives out some classes of a softmax; give out all of them".into());
        }
        Ok(match self.model {
            Source::Forest(forest) => Source::Forest(some_outputs(forest, &kept)),
            Source::Linear(linear) => Source::Linear(some_rows(linear, &kept)),
            Source::Net(_) | Source::Graph(_) => return Err("gives out some scores of a net".into()),
        })
    }
}

fn columns_of(classes: &[String], places: &[usize]) -> Vec<String> {
    places.iter().filter_map(|place| classes.get(*place).cloned()).collect()
}

/// Multiplies the leaves of an output, in double precision.
fn scale(op: &Op<'_>, forest: &mut ForestSource, output: usize, value: f64) -> Result<()> {
    use crate::import::Node;
    if matches!(forest.aggregate, Aggregate::Least | Aggregate::Greatest) && value <= 0.0 {
        return Err(op.refused("multiplies a minimum or maximum by a number that is not positive"));
    }
    if forest.aggregate == Aggregate::SingleSum {
        forest.aggregate = Aggregate::Sum;
    }
    for tree in forest.trees.iter_mut().skip(output).step_by(forest.outputs) {
        for node in &mut tree.nodes {
            if let Node::Leaf { value: leaf, function, .. } = node {
                *leaf *= value;
                if function.is_some() {
                    return Err(op.refused("multiplies a linear model with one-hot columns; fold the factor into it"));
                }
            }
        }
    }
    for numbers in [&mut forest.start, &mut forest.offset] {
        numbers.iter_mut().skip(output).take(1).for_each(|number| *number *= value);
    }
    Ok(())
}

fn some_outputs(forest: ForestSource, kept: &[usize]) -> ForestSource {
    let pick = |numbers: &[f64]| kept.iter().filter_map(|output| numbers.get(*output).copied()).collect::<Vec<f64>>();
    let rounds = forest.trees.chunks(forest.outputs);
    let trees: Vec<Tree> =
        rounds.flat_map(|round| kept.iter().filter_map(|output| round.get(*output).cloned())).collect();
    let (start, offset) = (pick(&forest.start), pick(&forest.offset));
    ForestSource { outputs: kept.len(), trees, start, offset, ..forest }
}

fn some_rows(linear: LinearSource, kept: &[usize]) -> LinearSource {
    let width = linear.features.len();
    let rows: Vec<&[f64]> = linear.weights.chunks(width.max(1)).collect();
    let weights = kept.iter().filter_map(|output| rows.get(*output)).flat_map(|row| row.iter().copied()).collect();
    let intercepts = kept.iter().filter_map(|output| linear.intercepts.get(*output).copied()).collect();
    LinearSource { weights, intercepts, ..linear }
}
