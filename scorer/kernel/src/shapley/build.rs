//! What explanations need to know of a forest, made when it is loaded.

use super::{FIRST, Last, Repeat, Shapley, Tree, Turn};
use crate::outcomes::Outcomes;
use crate::preorder::{TreeNode, read_tree};
use crate::quadrature;
use crate::trees::{Streams, TreeSpan};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

impl Shapley {
    /// `None` where a way has more distinct features than the largest quadrature allows.
    #[inline]
    pub(crate) fn build(
        spans: &[TreeSpan],
        streams: &Streams<'_>,
        outcomes: &Outcomes,
        covers: &[f64],
    ) -> Option<Self> {
        let mut shapley = Self::default();
        for span in spans {
            let nodes = read_tree(span, streams, outcomes);
            let covers = cover_of_nodes(&nodes, covers);
            let first = (shapley.turns.len(), shapley.lasts.len(), shapley.leaves.len(), shapley.repeats.len());
            let features = shapley.push_tree(&nodes, &covers, streams);
            if features > quadrature::FEATURES {
                return None;
            }
            shapley.expectations.push(expectation(&nodes, &covers, streams));
            let (passes, inverses) = (quadrature::exact_for(features), shapley.inverses.len());
            for pass in passes {
                let repeats = shapley.repeats.get(first.3..).unwrap_or_default();
                let replaced = repeats.iter().map(|repeat| (pass.rest.times(repeat.z) + pass.at).inverse());
                shapley.inverses.extend(replaced);
            }
            shapley.trees.push(Tree {
                turns: first.0..shapley.turns.len(),
                lasts: first.1..shapley.lasts.len(),
                leaves: first.2..shapley.leaves.len(),
                repeats: first.3..shapley.repeats.len(),
                inverses,
                passes,
            });
        }
        Some(shapley)
    }

    /// Adds a tree; returns the most distinct features on a way.
    #[inline]
    fn push_tree(&mut self, nodes: &[TreeNode], covers: &[f64], streams: &Streams<'_>) -> usize {
        let (found, most) = self.turns_of(nodes, covers);
        let leaf = |at: usize| match nodes.get(at) {
            Some(TreeNode::Leaf { leaf }) => Some(streams.leaf(*leaf)),
            _ => None,
        };
        let is_last = |turn: &Turn| turn.repeat == FIRST && turn.children.iter().all(|at| leaf(*at as usize).is_some());
        let places = places(nodes, |at| found.get(at).and_then(Option::as_ref).is_some_and(is_last));
        let mut below_last = vec![false; nodes.len()];
        let mut turns: Vec<(u32, Turn)> = Vec::new();
        let mut lasts: Vec<(u32, Last)> = Vec::new();
        for (turn, place) in found.iter().zip(&places).filter_map(|(turn, place)| turn.as_ref().zip(Some(*place))) {
            let children = turn.children.map(|at| at as usize);
            if is_last(turn) {
                children.iter().filter_map(|at| below_last.get_mut(*at).map(|below| *below = true)).count();
                let leaves = children.map(|at| leaf(at).unwrap_or(f64::NAN));
                lasts.push((
                    place,
                    Last { condition: turn.condition, feature: turn.feature, leaves, shares: turn.shares },
                ));
            } else {
                let children = children.map(|at| places.get(at).copied().unwrap_or_default());
                turns.push((place, Turn { children, ..*turn }));
            }
        }
        in_order(turns, &mut self.turns);
        in_order(lasts, &mut self.lasts);
        self.leaves.extend((0..nodes.len()).filter(|at| below_last.get(*at) == Some(&false)).filter_map(leaf));
        most
    }

    /// Per inner node its turn, with positions of nodes as children; and the most distinct
    /// features on a way.
    #[inline]
    fn turns_of(&mut self, nodes: &[TreeNode], covers: &[f64]) -> (Vec<Option<Turn>>, usize) {
        let mut turns = vec![None; nodes.len()];
        let mut most = 0;
        // The turns on the way to the current node, each with the number of distinct
        // features so far, its feature and itself as a repeat would see it.
        let mut way: Vec<(usize, u32, Repeat)> = Vec::new();
        // Nodes to come, in pre-order: position, length of the way there, its last turn.
        let mut waiting = vec![(0, 0, None::<(u32, Repeat)>)];
        while let Some((index, length, arrived_by)) = waiting.pop() {
            way.truncate(length);
            if let Some((feature, turn)) = arrived_by {
                let distinct = way.last().map_or(0, |(distinct, ..)| *distinct) + usize::from(turn.repeat == FIRST);
                most = most.max(distinct);
                way.push((distinct, feature, turn));
            }
            let Some(TreeNode::Inner { condition, feature, left, right, .. }) = nodes.get(index).copied() else {
                continue;
            };
            let condition = condition as u32;
            let met = way.iter().rev().find(|(_, other, _)| *other == feature).map(|(.., turn)| *turn);
            let repeat = met.map_or(FIRST, |_| self.repeats.len() as u32);
            self.repeats.extend(met);
            let share = share(covers, index, left);
            let z = met.map_or(1.0, |turn| turn.z);
            let (children, shares) = ([left as u32, right as u32], [share, 1.0 - share]);
            if let Some(turn) = turns.get_mut(index) {
                *turn = Some(Turn { condition, feature, children, repeat, shares });
            }
            let [to_left, to_right] = [(false, share), (true, 1.0 - share)]
                .map(|(right, share)| Some((feature, Repeat { condition, right, repeat, z: z * share })));
            waiting.extend([(right, way.len(), to_right), (left, way.len(), to_left)]);
        }
        (turns, most)
    }
}

/// Adds what has places in their order.
#[inline]
fn in_order<T: Copy>(placed: Vec<(u32, T)>, to: &mut Vec<T>) {
    let Some((_, any)) = placed.first().copied() else { return };
    let first = placed.iter().map(|(place, _)| *place).min().unwrap_or_default();
    let start = to.len();
    to.resize(start + placed.len(), any);
    for (place, item) in placed {
        if let Some(entry) = to.get_mut(start + (place - first) as usize) {
            *entry = item;
        }
    }
}

/// Per node its place in the tree: turns level by level, so that neighbours do not wait for
/// each other's numbers, then last turns, then leaves in pre-order but for those below last
/// turns, which have none.
#[inline]
fn places(nodes: &[TreeNode], is_last: impl Fn(usize) -> bool) -> Vec<u32> {
    let mut places = vec![0; nodes.len()];
    let mut next = 0;
    let mut place = |index: usize| {
        if let Some(entry) = places.get_mut(index) {
            *entry = next;
            next += 1;
        }
    };
    let mut queue = VecDeque::from([0]);
    let (mut lasts, mut skipped) = (Vec::new(), vec![false; nodes.len()]);
    while let Some(index) = queue.pop_front() {
        let Some(TreeNode::Inner { left, right, .. }) = nodes.get(index) else { continue };
        if is_last(index) {
            lasts.push(index);
            [*left, *right].iter().filter_map(|at| skipped.get_mut(*at).map(|skip| *skip = true)).count();
        } else {
            place(index);
            queue.extend([*left, *right]);
        }
    }
    lasts.into_iter().for_each(&mut place);
    let leaves = nodes.iter().zip(skipped).enumerate();
    let leaves = leaves.filter(|(_, (node, skipped))| matches!(node, TreeNode::Leaf { .. }) && !skipped);
    leaves.for_each(|(index, _)| place(index));
    places
}

/// The share of training data that goes left; without any, either side is as likely.
#[inline]
fn share(covers: &[f64], node: usize, left: usize) -> f64 {
    let cover = |at: usize| covers.get(at).copied().unwrap_or_default();
    if cover(node) > 0.0 { cover(left) / cover(node) } else { 0.5 }
}

/// Training data per node: a leaf's own, of other nodes that of their leaves.
#[inline]
fn cover_of_nodes(nodes: &[TreeNode], leaves: &[f64]) -> Vec<f64> {
    from_below(nodes, |leaf| leaves.get(leaf).copied().unwrap_or_default(), |_, _, left, right| left + right)
}

/// What a tree gives on average over its training data.
#[inline]
fn expectation(nodes: &[TreeNode], covers: &[f64], streams: &Streams<'_>) -> f64 {
    let mean = |index, at, left, right| {
        let share = share(covers, index, at);
        share * left + (1.0 - share) * right
    };
    from_below(nodes, |leaf| streams.leaf(leaf), mean).first().copied().unwrap_or_default()
}

/// A number for each node from those of its children; `join` gets its position, that of its
/// left child, and the children's numbers.
fn from_below(
    nodes: &[TreeNode],
    leaf_number: impl Fn(usize) -> f64,
    join: impl Fn(usize, usize, f64, f64) -> f64,
) -> Vec<f64> {
    let mut numbers = vec![0.0; nodes.len()];
    for (index, node) in nodes.iter().enumerate().rev() {
        let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
        let own = match node {
            TreeNode::Leaf { leaf } => leaf_number(*leaf),
            TreeNode::Inner { left, right, .. } => join(index, *left, number(*left), number(*right)),
        };
        if let Some(entry) = numbers.get_mut(index) {
            *entry = own;
        }
    }
    numbers
}
