//! Trees: arrays over nodes, node 0 the root.

use super::super::forest::{CategorySet, Node, Split, Test, Tree};
use super::value::{At, index};
use crate::failure::{Failure, Result};
use std::collections::BTreeMap;
use tollgate_scorer::limits;
use tollgate_scorer::model::forest::Missing;

/// XGBoost takes a category from here on for none at all: the singles above are not dense.
const CATEGORIES_END: f64 = 16_777_216.0;

/// Reads a tree; one with vector leaves becomes a tree per output. Leaves are multiplied
/// by the tree's weight in single precision.
pub(super) fn trees(at: &At<'_>, features: usize, outputs: usize, weight: f32) -> Result<Vec<Tree>> {
    let arrays = Arrays::read(at)?;
    let order = arrays.order(at)?;
    let mut places = vec![0; arrays.left.len()];
    for (place, node) in order.iter().enumerate() {
        if let Some(entry) = places.get_mut(*node) {
            *entry = place;
        }
    }
    let leaves = Leaves::read(at, &arrays, outputs)?;
    let entries = arrays.sets.values().map(CategorySet::len).sum::<usize>().saturating_mul(leaves.outputs);
    if entries > limits::NODES {
        return Err(at.refused(format!("categories: {entries} entries, at most {} are supported", limits::NODES)));
    }
    let splits = order.iter().map(|node| arrays.split(*node, &places, at, features)).collect::<Result<Vec<_>>>()?;
    let tree = |output: usize| {
        let nodes = order.iter().zip(&splits).map(|(node, split)| match split {
            Some(split) => Ok(Node::Split(split.clone())),
            None => Ok(Node::Leaf {
                value: leaves.value(*node, output, weight, at)?,
                number: *node,
                function: None,
                cover: arrays.cover(*node),
            }),
        });
        Ok(Tree { nodes: nodes.collect::<Result<_>>()? })
    };
    (0..leaves.outputs).map(tree).collect()
}

/// The arrays of one tree, by node.
struct Arrays<'v> {
    left: &'v [f64],
    right: &'v [f64],
    feature: &'v [f64],
    /// Thresholds, and the values of scalar leaves.
    condition: &'v [f64],
    default_left: Vec<bool>,
    kind: Option<&'v [f64]>,
    hessian: Option<&'v [f64]>,
    sets: BTreeMap<usize, CategorySet>,
}

impl<'v> Arrays<'v> {
    fn read(at: &At<'v>) -> Result<Self> {
        let left = at.get("left_children")?.numbers()?;
        let count = left.len();
        if count == 0 || count >= 2 * limits::LEAVES_PER_TREE {
            return Err(at.refused(format!("{count} nodes are not supported")));
        }
        Ok(Self {
            left,
            right: at.get("right_children")?.array(count)?,
            feature: at.get("split_indices")?.array(count)?,
            condition: at.get("split_conditions")?.array(count)?,
            default_left: at.get("default_left")?.flags(count)?,
            // Models from before categories have no types.
            kind: at.optional("split_type").map(|kind| kind.array(count)).transpose()?,
            hessian: at.optional("sum_hessian").map(|hessian| hessian.array(count)).transpose()?,
            sets: category_sets(at)?,
        })
    }

    /// The children of a node; none for a leaf.
    fn children(&self, node: usize) -> Option<[f64; 2]> {
        let [left, right] = [self.left, self.right].map(|children| children.get(node).copied().unwrap_or(-1.0));
        (left != -1.0).then_some([left, right])
    }

    /// The nodes in pre-order: each once, children behind their parent. Nodes that pruning
    /// has cut off are not among them.
    fn order(&self, at: &At<'_>) -> Result<Vec<usize>> {
        let mut met = vec![false; self.left.len()];
        let mut order = Vec::with_capacity(met.len());
        let mut waiting = vec![0.0];
        while let Some(number) = waiting.pop() {
            let node = index(number);
            let fresh = node.and_then(|node| met.get_mut(node)).filter(|met| !**met);
            let (Some(node), Some(fresh)) = (node, fresh) else {
                return Err(at.refused(format!(
                    "left_children, right_children: node {number} does not exist or has two parents"
                )));
            };
            *fresh = true;
            order.push(node);
            waiting.extend(self.children(node).into_iter().flat_map(|[left, right]| [right, left]));
        }
        Ok(order)
    }

    /// The split of a node; none for a leaf.
    fn split(&self, node: usize, places: &[usize], at: &At<'_>, features: usize) -> Result<Option<Split>> {
        let Some(children) = self.children(node) else { return Ok(None) };
        let [left, right] = children.map(|child| places.get(child as usize).copied().unwrap_or_default());
        let refused = |array: &str, what: &str| at.refused(format!("{array}[{node}]: {what}"));
        let feature = self.feature.get(node).and_then(|feature| index(*feature)).filter(|feature| *feature < features);
        let feature = feature.ok_or_else(|| refused("split_indices", "the feature does not exist"))?;
        let default_left = self.default_left.get(node).copied().unwrap_or_default();
        let kind = self.kind.and_then(|kind| kind.get(node)).copied().unwrap_or_default();
        if kind == 0.0 {
            let threshold = self.condition.get(node).copied().unwrap_or(f64::NAN) as f32;
            return Ok(Some(Split { feature, test: less_than(threshold, default_left), left, right }));
        }
        if kind != 1.0 {
            return Err(refused("split_type", "only 0 (numerical) and 1 (categorical) are supported"));
        }
        let set = self.sets.get(&node).ok_or_else(|| refused("categories_nodes", "a categorical split without set"))?;
        // In XGBoost a category of the set goes right; our sets go left.
        let test = Test::In { set: set.clone(), missing_left: !default_left };
        Ok(Some(Split { feature, test, left: right, right: left }))
    }

    /// How much training data a node saw.
    fn cover(&self, node: usize) -> Option<f64> {
        let cover = self.hessian?.get(node).copied()?;
        (cover.is_finite() && cover >= 0.0).then_some(cover)
    }
}

/// value < threshold in single precision, as value <= the single before it.
fn less_than(threshold: f32, default_left: bool) -> Test {
    if threshold.is_nan() || threshold == f32::NEG_INFINITY {
        // Nothing is less, not even an infinity.
        return Test::OneOf { numbers: Vec::new(), missing_left: default_left };
    }
    // Before both zeros comes the least negative single.
    Test::AtMost { threshold: f64::from(threshold.next_down()), missing: Missing::Nan, default_left }
}

/// The sets of the categorical splits, by node.
fn category_sets(at: &At<'_>) -> Result<BTreeMap<usize, CategorySet>> {
    let Some(nodes) = at.optional("categories_nodes") else { return Ok(BTreeMap::new()) };
    let nodes = nodes.numbers()?;
    if nodes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let all = at.get("categories")?.numbers()?;
    let starts = at.get("categories_segments")?.array(nodes.len())?;
    let sizes = at.get("categories_sizes")?.array(nodes.len())?;
    // Sets that overlap could make much of a short list; XGBoost lays them end to end.
    if sizes.iter().sum::<f64>() > all.len() as f64 {
        return Err(at.refused("categories_sizes: the sets overlap"));
    }
    let mut sets = BTreeMap::new();
    for ((node, start), size) in nodes.iter().zip(starts).zip(sizes) {
        let span = index(*start).zip(index(*size)).and_then(|(start, size)| all.get(start..start.checked_add(size)?));
        let (Some(node), Some(span)) = (index(*node), span) else {
            return Err(at.refused(format!("categories_segments: the set of node {node} does not exist")));
        };
        sets.insert(
            node,
            span.iter().map(|code| category(*code, at)).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect(),
        );
    }
    Ok(sets)
}

/// A category; none where XGBoost would take no value for it.
fn category(code: f64, at: &At<'_>) -> Result<Option<u32>> {
    match index(code) {
        Some(category) if code < CATEGORIES_END => Ok(Some(category as u32)),
        Some(_) => Ok(None),
        None => Err(at.refused(format!("categories: {code} is no category"))),
    }
}

/// Where the values of the leaves are.
struct Leaves<'v> {
    values: &'v [f64],
    /// Per node: where its values start in units of `outputs`.
    rows: Option<&'v [f64]>,
    outputs: usize,
}

impl<'v> Leaves<'v> {
    fn read(at: &At<'v>, arrays: &Arrays<'v>, outputs: usize) -> Result<Self> {
        let size = at.optional("tree_param").and_then(|parameters| parameters.optional("size_leaf_vector"));
        let size: usize = size.map_or(Ok(1), |size| size.parameter())?;
        if size <= 1 {
            return Ok(Self { values: arrays.condition, rows: None, outputs: 1 });
        }
        if size != outputs {
            return Err(
                at.refused(format!("tree_param.size_leaf_vector: {size} targets in a model of {outputs} outputs"))
            );
        }
        let count = arrays.left.len().saturating_mul(outputs);
        if count > limits::NODES {
            return Err(at.refused(format!("{count} nodes times targets, at most {} are supported", limits::NODES)));
        }
        // Since 3.2 leaves have an array of their own and leaf n's row in it stands in place
        // of its right child; before, they stood among the weights of all nodes.
        if let Some(weights) = at.optional("leaf_weights") {
            return Ok(Self { values: weights.numbers()?, rows: Some(arrays.right), outputs });
        }
        Ok(Self { values: at.get("base_weights")?.array(count)?, rows: None, outputs })
    }

    fn value(&self, node: usize, output: usize, weight: f32, at: &At<'_>) -> Result<f64> {
        let row = self.rows.map_or(Some(node), |rows| rows.get(node).copied().and_then(index));
        let value = row.and_then(|row| self.values.get(row.checked_mul(self.outputs)?.checked_add(output)?));
        let value = value.ok_or_else(|| at.refused(format!("leaf_weights: leaf {node} has no value")))?;
        let value = *value as f32 * weight;
        if value.is_finite() {
            return Ok(f64::from(value));
        }
        Err(at.refused(format!("the value of leaf {node} is not finite; no finite score could follow from it")))
    }
}

/// Room that the sets of a tree take in a bundle, so that a short file cannot ask for much.
pub(super) fn set_bytes(trees: &[Tree]) -> u64 {
    let nodes = trees.iter().flat_map(|tree| &tree.nodes);
    let sets = nodes.filter_map(|node| match node {
        Node::Split(Split { test: Test::In { set, .. }, .. }) => set.last(),
        _ => None,
    });
    sets.map(|highest| u64::from(*highest) / 8 + 4).sum()
}

/// The refusal of sets that take too much room.
pub(super) fn sets_too_large() -> Failure {
    let message = format!("categories: the sets of all splits take more than {} bytes", limits::PART_BYTES);
    Failure::refused("LIMIT", message)
}
