//! TreeEnsembleClassifier and TreeEnsembleRegressor, versions 1 and 3: one list an
//! attribute, leaves among the nodes, weights beside them.

use super::ensemble::{Branch, Ensemble, Leaf, Place, Together};
use super::op::Op;
use super::region::Mode;
use crate::failure::Result;
use std::collections::HashMap;
use tollgate_scorer::limits;

/// The attributes of the nodes, checked to be of one length.
struct Nodes<'g> {
    trees: &'g [i64],
    ids: &'g [i64],
    columns: &'g [i64],
    modes: Vec<String>,
    values: Vec<f64>,
    yes: &'g [i64],
    no: &'g [i64],
    missing_true: &'g [i64],
    /// Position by tree and number.
    places: HashMap<(i64, i64), usize>,
}

/// What an operator's attributes say.
pub(super) struct Parsed {
    pub ensemble: Ensemble,
    /// Thresholds or weights are double tensors.
    pub double: bool,
}

/// How the leaves of a regressor come together.
pub(super) fn together(op: &Op<'_>) -> Result<Together> {
    match op.text("aggregate_function", "SUM").as_str() {
        "SUM" => Ok(Together::Sum),
        "AVERAGE" => Ok(Together::Average),
        "MIN" => Ok(Together::Least),
        "MAX" => Ok(Together::Greatest),
        other => Err(op.wrong("aggregate_function", format!("{other:?} is not supported; SUM, AVERAGE, MIN, MAX are"))),
    }
}

/// Reads the trees; `kind` is `target` or `class`, as the attributes are called.
pub(super) fn read(op: &Op<'_>, kind: &str, targets: usize) -> Result<Parsed> {
    let (values, double_values) = op.numbers("nodes_values")?;
    let nodes = Nodes::read(op, values)?;
    let mut ensemble = Ensemble { targets, roots: nodes.roots(op)?, ..Ensemble::default() };
    // Every node gets a place first, so that children can be named before they are read.
    let mut leaf_at = vec![None; nodes.trees.len()];
    let mut places = Vec::with_capacity(nodes.trees.len());
    let mut branches = 0;
    for (index, mode) in nodes.modes.iter().enumerate() {
        if mode == "LEAF" {
            if let Some(slot) = leaf_at.get_mut(index) {
                *slot = Some(ensemble.leaves.len());
            }
            places.push(Place::Leaf(ensemble.leaves.len()));
            let number = nodes.ids.get(index).and_then(|id| usize::try_from(*id).ok()).unwrap_or(index);
            ensemble.leaves.push(Leaf { number, weights: vec![] });
        } else {
            places.push(Place::Branch(branches));
            branches += 1;
        }
    }
    for (index, mode) in nodes.modes.iter().enumerate().filter(|(_, mode)| *mode != "LEAF") {
        ensemble.branches.push(nodes.branch(op, index, mode, &places)?);
    }
    for root in &mut ensemble.roots {
        let Place::Branch(index) = *root else { continue };
        *root = places.get(index).copied().ok_or_else(|| op.refused("a root is missing"))?;
    }
    let double_weights = weights(op, kind, &nodes, &leaf_at, &mut ensemble)?;
    let (base, double_base) = op.numbers("base_values")?;
    ensemble.base = base;
    Ok(Parsed { ensemble, double: double_values || double_weights || double_base })
}

impl<'g> Nodes<'g> {
    fn read(op: &Op<'g>, values: Vec<f64>) -> Result<Self> {
        let trees = op.ints("nodes_treeids");
        let count = trees.len();
        if count == 0 || count > limits::NODES {
            return Err(op.wrong("nodes_treeids", format!("{count} nodes; 1 to {} are supported", limits::NODES)));
        }
        let [ids, columns, yes, no] = ["nodes_nodeids", "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids"]
            .map(|name| (name, op.ints(name)));
        for (name, list) in [ids, columns, yes, no] {
            op.length(name, list.len(), count)?;
        }
        let modes = op.strings("nodes_modes");
        op.length("nodes_modes", modes.len(), count)?;
        op.length("nodes_values", values.len(), count)?;
        let missing_true = op.ints("nodes_missing_value_tracks_true");
        op.length(
            "nodes_missing_value_tracks_true",
            missing_true.len(),
            if missing_true.is_empty() { 0 } else { count },
        )?;
        let mut places = HashMap::with_capacity(count);
        for (index, node) in trees.iter().zip(ids.1).enumerate() {
            if places.insert((*node.0, *node.1), index).is_some() {
                return Err(op.wrong("nodes_nodeids", format!("tree {} has two nodes {}", node.0, node.1)));
            }
        }
        Ok(Self { trees, ids: ids.1, columns: columns.1, modes, values, yes: yes.1, no: no.1, missing_true, places })
    }

    /// The first node of each tree, by its position.
    fn roots(&self, op: &Op<'_>) -> Result<Vec<Place>> {
        let mut roots = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut last = None;
        for (index, tree) in self.trees.iter().enumerate() {
            if last == Some(*tree) {
                continue;
            }
            if !seen.insert(*tree) {
                return Err(op.wrong("nodes_treeids", format!("the nodes of tree {tree} do not stand together")));
            }
            last = Some(*tree);
            roots.push(Place::Branch(index));
        }
        Ok(roots)
    }

    fn branch(&self, op: &Op<'_>, index: usize, mode: &str, places: &[Place]) -> Result<Branch> {
        let at = |list: &[i64]| list.get(index).copied().unwrap_or(-1);
        let (tree, node) = (at(self.trees), at(self.ids));
        let child = |name: &str, id: i64| {
            let found = self.places.get(&(tree, id)).and_then(|place| places.get(*place)).copied();
            found.ok_or_else(|| {
                op.wrong(name, format!("node {node} of tree {tree} leads to node {id}, which is not there"))
            })
        };
        let mode = match mode {
            "BRANCH_LEQ" => Mode::AtMost,
            "BRANCH_LT" => Mode::Below,
            "BRANCH_GTE" => Mode::AtLeast,
            "BRANCH_GT" => Mode::Above,
            "BRANCH_EQ" => Mode::Equal,
            "BRANCH_NEQ" => Mode::Differs,
            other => return Err(op.wrong("nodes_modes", format!("{other:?} of node {node} is not supported"))),
        };
        let column = usize::try_from(at(self.columns)).map_err(|_| op.wrong("nodes_featureids", "is negative"))?;
        Ok(Branch {
            column,
            mode,
            threshold: self.values.get(index).copied().unwrap_or(f64::NAN),
            missing_true: self.missing_true.get(index).is_some_and(|flag| *flag != 0),
            yes: child("nodes_truenodeids", at(self.yes))?,
            no: child("nodes_falsenodeids", at(self.no))?,
        })
    }
}

/// Puts the weights on the leaves; whether they are double.
fn weights(
    op: &Op<'_>,
    kind: &str,
    nodes: &Nodes<'_>,
    leaf_at: &[Option<usize>],
    ensemble: &mut Ensemble,
) -> Result<bool> {
    let name = |part: &str| format!("{kind}_{part}");
    let (weights, double) = op.numbers(&name("weights"))?;
    let [trees, ids, targets] = ["treeids", "nodeids", "ids"].map(|part| op.ints(&name(part)));
    for (part, list) in [("treeids", trees), ("nodeids", ids), ("ids", targets)] {
        op.length(&name(part), list.len(), weights.len())?;
    }
    for (((tree, id), target), weight) in trees.iter().zip(ids).zip(targets).zip(weights) {
        let leaf = nodes.places.get(&(*tree, *id)).and_then(|place| leaf_at.get(*place).copied().flatten());
        let leaf = leaf.and_then(|leaf| ensemble.leaves.get_mut(leaf));
        let leaf = leaf.ok_or_else(|| op.wrong(&name("nodeids"), format!("node {id} of tree {tree} is no leaf")))?;
        let target = usize::try_from(*target).ok().filter(|target| *target < ensemble.targets);
        let target =
            target.ok_or_else(|| op.wrong(&name("ids"), format!("out of range for {} targets", ensemble.targets)))?;
        if leaf.weights.iter().any(|there| there.0 == target) {
            let message = format!("leaf {id} of tree {tree} has two weights for target {target}");
            return Err(op.wrong(&name("ids"), message));
        }
        leaf.weights.push((target, weight));
    }
    Ok(double)
}
