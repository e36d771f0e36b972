//! TreeEnsemble, version 5: tensors, leaves apart from the nodes, sets to be a member of.

use super::ensemble::{Branch, Ensemble, Leaf, Place, Together};
use super::op::{Constant, Op};
use super::region::Mode;
use super::trees_v3::Parsed;
use crate::failure::Result;
use tollgate_scorer::limits;

/// How leaves come together.
pub(super) fn together(op: &Op<'_>) -> Result<Together> {
    match op.int("aggregate_function", 1) {
        0 => Ok(Together::Average),
        1 => Ok(Together::Sum),
        2 => Ok(Together::Least),
        3 => Ok(Together::Greatest),
        other => Err(op.wrong("aggregate_function", format!("{other} is not supported; 0 to 3 are"))),
    }
}

/// The post transform by the name that older versions give it.
pub(super) fn post(op: &Op<'_>) -> Result<&'static str> {
    const NAMES: [&str; 5] = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"];
    let number = op.int("post_transform", 0);
    let name = usize::try_from(number).ok().and_then(|number| NAMES.get(number).copied());
    name.ok_or_else(|| op.wrong("post_transform", format!("{number} is not supported; 0 to 4 are")))
}

/// Reads the trees.
pub(super) fn read(op: &Op<'_>) -> Result<Parsed> {
    let targets = usize::try_from(op.int("n_targets", 1)).map_err(|_| op.wrong("n_targets", "is negative"))?;
    let splits = needed(op, "nodes_splits")?;
    let (leaves, double) = leaves(op, targets)?;
    let branches = branches(op, &splits)?;
    let mut roots = Vec::new();
    for root in op.ints("tree_roots") {
        let root = usize::try_from(*root).ok().filter(|root| *root < branches.len());
        roots.push(Place::Branch(root.ok_or_else(|| op.wrong("tree_roots", "names a node that is not there"))?));
    }
    let ensemble = Ensemble { branches, leaves, roots, targets, base: vec![] };
    check_leaves(op, &ensemble)?;
    Ok(Parsed { ensemble, double: double || splits.double })
}

fn needed(op: &Op<'_>, name: &str) -> Result<Constant> {
    op.tensor(name)?.ok_or_else(|| op.wrong(name, "is missing"))
}

fn leaves(op: &Op<'_>, targets: usize) -> Result<(Vec<Leaf>, bool)> {
    let weights = needed(op, "leaf_weights")?;
    let ids = op.ints("leaf_targetids");
    op.length("leaf_targetids", ids.len(), weights.values.len())?;
    let mut leaves = Vec::with_capacity(ids.len());
    for (number, (target, weight)) in ids.iter().zip(&weights.values).enumerate() {
        let target = usize::try_from(*target).ok().filter(|target| *target < targets);
        let target = target.ok_or_else(|| op.wrong("leaf_targetids", format!("out of range for {targets} targets")))?;
        leaves.push(Leaf { number, weights: vec![(target, *weight)] });
    }
    Ok((leaves, weights.double))
}

fn branches(op: &Op<'_>, splits: &Constant) -> Result<Vec<Branch>> {
    let modes = needed(op, "nodes_modes")?.integers();
    let count = modes.len();
    if count == 0 || count > limits::NODES {
        return Err(op.wrong("nodes_modes", format!("{count} nodes; 1 to {} are supported", limits::NODES)));
    }
    const LISTS: [&str; 5] =
        ["nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_trueleafs", "nodes_falseleafs"];
    for name in LISTS {
        op.length(name, op.ints(name).len(), count)?;
    }
    let [columns, yes, no, yes_leaf, no_leaf] = LISTS.map(|name| op.ints(name));
    op.length("nodes_splits", splits.values.len(), count)?;
    let missing = op.ints("nodes_missing_value_tracks_true");
    op.length("nodes_missing_value_tracks_true", missing.len(), if missing.is_empty() { 0 } else { count })?;
    let members = members(op)?;
    let mut members = members.into_iter();
    let mut branches = Vec::with_capacity(count);
    for (index, mode) in modes.into_iter().enumerate() {
        let at = |list: &[i64]| list.get(index).copied().unwrap_or(-1);
        let column = usize::try_from(at(columns)).map_err(|_| op.wrong("nodes_featureids", "is negative"))?;
        branches.push(Branch {
            column,
            mode: self::mode(op, mode, &mut members)?,
            threshold: splits.values.get(index).copied().unwrap_or(f64::NAN),
            missing_true: missing.get(index).is_some_and(|flag| *flag != 0),
            yes: place(op, "nodes_truenodeids", at(yes), at(yes_leaf), count)?,
            no: place(op, "nodes_falsenodeids", at(no), at(no_leaf), count)?,
        });
    }
    match members.next() {
        Some(_) => Err(op.wrong("membership_values", "has more sets than there are nodes that use one")),
        None => Ok(branches),
    }
}

fn mode(op: &Op<'_>, number: i64, members: &mut impl Iterator<Item = Vec<f64>>) -> Result<Mode> {
    Ok(match number {
        0 => Mode::AtMost,
        1 => Mode::Below,
        2 => Mode::AtLeast,
        3 => Mode::Above,
        4 => Mode::Equal,
        5 => Mode::Differs,
        6 => Mode::Member(members.next().ok_or_else(|| op.wrong("membership_values", "has too few sets"))?),
        other => return Err(op.wrong("nodes_modes", format!("{other} is not supported; 0 to 6 are"))),
    })
}

/// The sets, each ended by NaN.
fn members(op: &Op<'_>) -> Result<Vec<Vec<f64>>> {
    let Some(values) = op.tensor("membership_values")? else { return Ok(Vec::new()) };
    let mut sets: Vec<Vec<f64>> = values.values.split(|value| value.is_nan()).map(<[f64]>::to_vec).collect();
    // The last set may or may not have its NaN.
    if sets.last().is_some_and(Vec::is_empty) {
        sets.pop();
    }
    Ok(sets)
}

fn place(op: &Op<'_>, name: &str, index: i64, leaf: i64, nodes: usize) -> Result<Place> {
    let index = usize::try_from(index).map_err(|_| op.wrong(name, "is negative"))?;
    if leaf != 0 {
        return Ok(Place::Leaf(index));
    }
    if index >= nodes {
        return Err(op.wrong(name, format!("leads to node {index} of {nodes}")));
    }
    Ok(Place::Branch(index))
}

fn check_leaves(op: &Op<'_>, ensemble: &Ensemble) -> Result<()> {
    let edges = ensemble.branches.iter().flat_map(|branch| [branch.yes, branch.no]);
    for place in edges {
        if let Place::Leaf(leaf) = place
            && leaf >= ensemble.leaves.len()
        {
            return Err(op.refused(format!("a node leads to leaf {leaf} of {}", ensemble.leaves.len())));
        }
    }
    Ok(())
}
