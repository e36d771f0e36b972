//! Boosters: trees in the order in which they are added, and weighted sums.

use super::super::Names;
use super::super::forest::{ForestSource, Node, Tree};
use super::super::linear::LinearSource;
use super::Learner;
use super::tree::{self, trees};
use super::value::{At, index};
use crate::failure::{Failure, Result};
use tollgate_scorer::limits;
use tollgate_scorer::model::forest::{Aggregate, Input};

/// Reads a tree booster. DART is one with a weight per tree: up to 3.2 around a booster of
/// trees, in 3.3 beside its model, since 3.4 in it.
pub(super) fn forest(booster: &At<'_>, learner: Learner, iterations: Option<usize>) -> Result<ForestSource> {
    let inner = match booster.get("name")?.text()? {
        "dart" => booster.get("gbtree")?,
        _ => booster.clone(),
    };
    let model = inner.get("model")?;
    let weights = [booster, &inner, &model].into_iter().find_map(|at| at.optional("weight_drop"));
    let weights = weights.map(|weights| weights.numbers()).transpose()?.unwrap_or_default();
    let all = model.get("trees")?.list()?;
    if all.len() > limits::TREES {
        return Err(model.refused(format!("{} trees, at most {} are supported", all.len(), limits::TREES)));
    }
    let groups = model.get("tree_info")?.array(all.len())?;
    let count = trees_of_rounds(&model, groups, learner.margins.len(), iterations)?;
    let mut per_output = PerOutput::new(learner.margins.len());
    for (position, (at, group)) in all.iter().zip(groups).enumerate().take(count) {
        in_place(at, position)?;
        let weight = weights.get(position).copied().unwrap_or(1.0) as f32;
        let trees = trees(at, learner.features.len(), learner.margins.len(), weight)?;
        per_output.add(trees, *group, at)?;
    }
    Ok(ForestSource {
        features: learner.features,
        names: Names::default(),
        outputs: learner.margins.len(),
        link: learner.objective.link,
        averaged_over: None,
        input: Input::Single,
        aggregate: Aggregate::SingleSum,
        // Leaves are added to the base margin, one after the other.
        start: learner.margins.into_iter().map(f64::from).collect(),
        offset: Vec::new(),
        trees: per_output.interleaved(),
        monotone: None,
    })
}

/// Trees stand where their number says.
fn in_place(at: &At<'_>, position: usize) -> Result<()> {
    match at.optional("id") {
        Some(id) if id.parameter::<usize>()? != position => {
            Err(id.refused("the trees are out of order; load the model into XGBoost and save it again"))
        }
        _ => Ok(()),
    }
}

/// How many trees the first boosting rounds have; `groups` is the output of each tree.
fn trees_of_rounds(model: &At<'_>, groups: &[f64], outputs: usize, iterations: Option<usize>) -> Result<usize> {
    let Some(iterations) = iterations else { return Ok(groups.len()) };
    if let Some(at) = model.optional("iteration_indptr") {
        let starts = at.numbers()?;
        let end = starts.get(iterations).or(starts.last()).copied().and_then(index);
        return end.filter(|end| *end <= groups.len()).ok_or_else(|| at.refused("does not fit the trees"));
    }
    // Before 2.0, rounds are all alike, and there are no vector leaves. Before 1.4, the
    // trees that grow side by side show only in the order of the outputs.
    let parallel = model.optional("gbtree_model_param").and_then(|at| at.optional("num_parallel_tree"));
    let alike = || groups.iter().take_while(|group| groups.first() == Some(group)).count();
    let parallel = match parallel {
        Some(parallel) => parallel.parameter()?,
        None if outputs > 1 => alike(),
        None => 1,
    };
    Ok(iterations.saturating_mul(parallel.max(1)).saturating_mul(outputs).min(groups.len()))
}

/// The trees of each output, in their order.
struct PerOutput {
    trees: Vec<Vec<Tree>>,
    nodes: usize,
    set_bytes: u64,
}

impl PerOutput {
    fn new(outputs: usize) -> Self {
        Self { trees: vec![Vec::new(); outputs], nodes: 0, set_bytes: 0 }
    }

    /// Adds one tree to the output of its group, or one to each output.
    fn add(&mut self, trees: Vec<Tree>, group: f64, at: &At<'_>) -> Result<()> {
        self.nodes = trees.iter().fold(self.nodes, |sum, tree| sum.saturating_add(tree.nodes.len()));
        if self.nodes > limits::NODES {
            return Err(Failure::refused("LIMIT", format!("more than {} nodes", limits::NODES)));
        }
        self.set_bytes = self.set_bytes.saturating_add(tree::set_bytes(&trees));
        if self.set_bytes > limits::PART_BYTES {
            return Err(tree::sets_too_large());
        }
        // Only a tree of scalar leaves belongs to a group, and it is alone.
        let first = if trees.len() > 1 { Some(0) } else { index(group) };
        let outputs = first.and_then(|first| self.trees.get_mut(first..)).filter(|outputs| !outputs.is_empty());
        let outputs =
            outputs.ok_or_else(|| at.refused(format!("tree_info says output {group}, which does not exist")))?;
        outputs.iter_mut().zip(trees).for_each(|(output, tree)| output.push(tree));
        Ok(())
    }

    /// Tree t for output t mod outputs; outputs with fewer trees get some that add nothing.
    fn interleaved(self) -> Vec<Tree> {
        let rounds = self.trees.iter().map(Vec::len).max().unwrap_or_default();
        let mut outputs: Vec<_> = self.trees.into_iter().map(Vec::into_iter).collect();
        let mut trees = Vec::new();
        for _ in 0..rounds {
            trees.extend(outputs.iter_mut().map(|output| output.next().unwrap_or_else(nothing)));
        }
        trees
    }
}

/// A tree that adds -0, which changes no sum, not even one of -0.
fn nothing() -> Tree {
    Tree { nodes: vec![Node::Leaf { value: -0.0, number: 0, function: None, cover: Some(0.0) }] }
}

/// Reads a linear booster: per output its bias and base score, then feature by feature.
pub(super) fn linear(booster: &At<'_>, learner: Learner) -> Result<LinearSource> {
    let at = booster.get("model")?.get("weights")?;
    let (features, outputs) = (learner.features.len(), learner.margins.len());
    let weights = at.array((features + 1).saturating_mul(outputs))?;
    if let Some(wrong) = weights.iter().position(|weight| !(*weight as f32).is_finite()) {
        return Err(at.refused(format!("weight {wrong} is not finite")));
    }
    // XGBoost gives every output of a linear booster the first one's base score.
    let base = learner.margins.first().copied().unwrap_or_default();
    let by_feature: Vec<&[f64]> = weights.chunks_exact(outputs).collect();
    let of = |output: usize| by_feature.iter().filter_map(move |row| row.get(output)).map(|weight| *weight as f32);
    let bias = |output| of(output).next_back().unwrap_or_default();
    Ok(LinearSource {
        features: learner.features,
        names: Names::default(),
        weights: (0..outputs).flat_map(|output| of(output).take(features).map(f64::from)).collect(),
        intercepts: (0..outputs).map(|output| f64::from(bias(output) + base)).collect(),
        link: learner.objective.link,
        single: true,
        skip_missing: true,
        means: Vec::new(),
    })
}
