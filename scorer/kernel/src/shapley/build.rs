//! What explanations need to know of a forest, made when it is loaded.

use super::order::{Kind, order};
use super::{FIRST, Group, Last, Repeat, Shapley, Turn};
use crate::outcomes::Outcomes;
use crate::preorder::{TreeNode, read_tree};
use crate::quadrature::{self, Pass};
use crate::trees::{Streams, TreeSpan};
use alloc::vec;
use alloc::vec::Vec;

/// A group is full with so many nodes: more, and the nearest cache does not hold what is
/// known of them.
const GROUP_NODES: usize = 900;

/// Where the contributions of a forest go.
#[derive(Clone, Copy)]
pub(crate) struct Outputs {
    pub(crate) first_tree: usize,
    /// Tree t adds to output t mod outputs.
    pub(crate) outputs: usize,
    /// Contributions of an output.
    pub(crate) features: usize,
}

impl Shapley {
    /// `None` where a way has more distinct features than the largest quadrature allows.
    #[inline]
    pub(crate) fn build(
        spans: &[TreeSpan],
        streams: &Streams<'_>,
        outcomes: &Outcomes,
        covers: &[f64],
        to: Outputs,
    ) -> Option<Self> {
        let mut shapley = Self::default();
        // Per rule the group that is being filled.
        let mut growing: Vec<Growing> = Vec::new();
        for (number, span) in (to.first_tree..).zip(spans) {
            let nodes = read_tree(span, streams, outcomes);
            let covers = cover_of_nodes(&nodes, covers);
            shapley.expectations.push(expectation(&nodes, &covers, streams));
            let (ways, features) = ways(&nodes, &covers);
            if features > quadrature::FEATURES {
                return None;
            }
            let passes = quadrature::exact_for(features);
            let at = growing.iter().position(|group| group.passes.len() == passes.len()).unwrap_or(growing.len());
            if at == growing.len() {
                growing.push(Growing { passes, ..Growing::default() });
            }
            let group = growing.get_mut(at)?;
            group.push(&nodes, ways, number % to.outputs.max(1) * to.features, streams);
            if group.nodes.len() >= GROUP_NODES {
                shapley.groups.push(growing.swap_remove(at).finish());
            }
        }
        shapley.groups.extend(growing.into_iter().map(Growing::finish));
        Some(shapley)
    }
}

/// Trees that become a group.
#[derive(Default)]
struct Growing {
    passes: &'static [Pass],
    /// All nodes: turns with positions of nodes as children, or values of leaves.
    nodes: Vec<Node>,
    roots: Vec<usize>,
    repeats: Vec<Repeat>,
}

#[derive(Clone, Copy)]
enum Node {
    Turn(Turn),
    Leaf(f64),
}

impl Growing {
    /// Adds a tree whose contributions begin at `first`.
    #[inline]
    fn push(&mut self, nodes: &[TreeNode], ways: Ways, first: usize, streams: &Streams<'_>) {
        let (root, repeats) = (self.nodes.len(), self.repeats.len() as u32);
        let after = |repeat: u32| if repeat == FIRST { FIRST } else { repeat + repeats };
        self.roots.push(root);
        self.repeats.extend(ways.repeats.iter().map(|met| Repeat { repeat: after(met.repeat), ..*met }));
        self.nodes.extend(nodes.iter().zip(ways.turns).map(|(node, turn)| match (node, turn) {
            (TreeNode::Leaf { leaf }, _) => Node::Leaf(streams.leaf(*leaf)),
            (TreeNode::Inner { .. }, None) => Node::Leaf(f64::NAN),
            (TreeNode::Inner { .. }, Some(turn)) => Node::Turn(Turn {
                feature: turn.feature + first as u32,
                children: turn.children.map(|at| at + root as u32),
                repeat: after(turn.repeat),
                ..turn
            }),
        }));
    }

    /// Puts all nodes into their places.
    #[inline]
    fn finish(self) -> Group {
        let children = |at: usize| self.turn(at).map(|turn| turn.children.map(|at| at as usize));
        let [turns, lasts, leaves] = order(&self.roots, |at| self.kind(at), children);
        let mut places = vec![0; self.nodes.len()];
        for (place, at) in turns.iter().chain(&lasts).chain(&leaves).enumerate() {
            if let Some(entry) = places.get_mut(*at) {
                *entry = place as u32;
            }
        }
        let place = |at: u32| places.get(at as usize).copied().unwrap_or_default();
        let turn = |turn: Turn| Turn { children: turn.children.map(place), ..turn };
        let inverse = |pass: &Pass, met: &Repeat| (pass.rest.times(met.z) + pass.at).inverse();
        let inverses = self.passes.iter().map(|pass| self.repeats.iter().map(|met| inverse(pass, met)).collect());
        Group {
            roots: [&turns, &lasts].map(|list| list.iter().filter(|at| self.roots.contains(at)).count()),
            inverses: inverses.collect(),
            turns: turns.iter().filter_map(|at| self.turn(*at)).map(turn).collect(),
            lasts: lasts.iter().filter_map(|at| self.turn(*at)).map(|turn| self.last(turn)).collect(),
            leaves: leaves.iter().map(|at| self.leaf(*at).unwrap_or(f64::NAN)).collect(),
            passes: self.passes,
            repeats: self.repeats,
        }
    }

    fn turn(&self, at: usize) -> Option<Turn> {
        match self.nodes.get(at)? {
            Node::Turn(turn) => Some(*turn),
            Node::Leaf(_) => None,
        }
    }

    fn leaf(&self, at: usize) -> Option<f64> {
        match self.nodes.get(at)? {
            Node::Turn(_) => None,
            Node::Leaf(value) => Some(*value),
        }
    }

    fn kind(&self, at: usize) -> Kind {
        match self.turn(at) {
            None => Kind::Leaf,
            Some(turn) if turn.repeat != FIRST => Kind::Repeat,
            Some(turn) if turn.children.iter().all(|at| self.leaf(*at as usize).is_some()) => Kind::Last,
            Some(_) => Kind::First,
        }
    }

    fn last(&self, Turn { condition, feature, children, shares, .. }: Turn) -> Last {
        let leaves = children.map(|at| self.leaf(at as usize).unwrap_or(f64::NAN));
        Last { condition, feature, leaves, shares }
    }
}

/// The turns of a tree.
struct Ways {
    /// Per node, with positions of nodes as children; none for leaves.
    turns: Vec<Option<Turn>>,
    repeats: Vec<Repeat>,
}

/// The turns of a tree, and the most distinct features on a way.
#[inline]
fn ways(nodes: &[TreeNode], covers: &[f64]) -> (Ways, usize) {
    let mut ways = Ways { turns: vec![None; nodes.len()], repeats: Vec::new() };
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
        let repeat = met.map_or(FIRST, |_| ways.repeats.len() as u32);
        ways.repeats.extend(met);
        let share = share(covers, index, left);
        let z = met.map_or(1.0, |turn| turn.z);
        let (children, shares) = ([left as u32, right as u32], [share, 1.0 - share]);
        if let Some(turn) = ways.turns.get_mut(index) {
            *turn = Some(Turn { condition, feature, children, repeat, shares });
        }
        let [to_left, to_right] = [(false, share), (true, 1.0 - share)]
            .map(|(right, share)| Some((feature, Repeat { condition, right, repeat, z: z * share })));
        waiting.extend([(right, way.len(), to_right), (left, way.len(), to_left)]);
    }
    (ways, most)
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
