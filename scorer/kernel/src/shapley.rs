//! Exact path-dependent Shapley values of trees.
//!
//! The value of a set of features is what a tree expects when it follows the row at splits
//! on those features and averages over the training data at all others (Lundberg et al.
//! 2020, the game of LightGBM's `pred_contrib`). A leaf's share in it is a product over
//! the distinct features on its way: 1 or 0 where the row is followed, and `z`, the share
//! of training data that took the same turns, where it is not. By
//! `s! (k-1-s)! / k! = integral of t^s (1-t)^(k-1-s)` its Shapley values are integrals
//! over [0, 1] of products of one factor a feature, `z (1-t)` plus `t` where the row takes
//! the same turns: polynomials of degree k - 1, which k/2 quadrature points integrate
//! exactly.
//!
//! Per tree one way up sums leaves under their factors from below, one way down multiplies
//! the factors above and collects what each turn contributes. A feature that is met again
//! on a way replaces its factor.

use crate::outcomes::Outcomes;
use crate::points::Points;
use crate::preorder::{TreeNode, read_tree};
use crate::quadrature::{self, Pass};
use crate::trees::{Streams, TreeSpan};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// What is needed to explain a forest.
#[derive(Debug, Default)]
pub(crate) struct Shapley {
    trees: Vec<Tree>,
    /// Inner nodes of all trees, each level by level.
    turns: Vec<Turn>,
    /// Turns on a feature that was met before.
    repeats: Vec<Repeat>,
    /// Values of all leaves, each tree's in pre-order.
    leaves: Vec<f64>,
    /// Per tree, what it gives on average over the training data.
    pub(crate) expectations: Vec<f64>,
}

#[derive(Debug)]
struct Tree {
    turns: Range<usize>,
    leaves: Range<usize>,
    passes: &'static [Pass],
}

/// An inner node: where the way of a row divides.
#[derive(Clone, Copy, Debug)]
struct Turn {
    condition: u32,
    feature: u32,
    /// Places of the children in the tree: inner nodes first, then leaves.
    children: [u32; 2],
    /// Where the feature was met before; [`FIRST`] where it was not.
    repeat: u32,
    /// The shares of training data that go left and right.
    shares: [f64; 2],
}

/// This turn is the first on its feature.
const FIRST: u32 = u32::MAX;

/// The last turn before on the same feature.
#[derive(Clone, Copy, Debug)]
struct Repeat {
    condition: u32,
    /// The way here went right there.
    right: bool,
    /// Where the feature was met before that.
    repeat: u32,
    /// The share of training data that took all turns on that feature up to here.
    z: f64,
}

/// Working memory: per place in a tree the sum from below and the product from above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    below: Vec<Points>,
    above: Vec<Points>,
}

/// A turn as a row sees it.
struct Sides {
    /// Place of the child that the row goes to.
    follow: usize,
    /// Place of the other.
    other: usize,
    /// The share of training data that goes the row's way.
    share: f64,
    /// The share that does not.
    rest: f64,
}

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
            let (turns, leaves) = (shapley.turns.len(), shapley.leaves.len());
            let features = shapley.push_tree(&nodes, &covers, streams);
            if features > quadrature::FEATURES {
                return None;
            }
            shapley.expectations.push(expectation(&nodes, &covers, streams));
            let (turns, leaves) = (turns..shapley.turns.len(), leaves..shapley.leaves.len());
            shapley.trees.push(Tree { turns, leaves, passes: quadrature::exact_for(features) });
        }
        Some(shapley)
    }

    /// Adds each feature's contribution to the output that a tree belongs to; tree t to
    /// output t mod outputs, an output's features side by side.
    pub(crate) fn add(
        &self,
        first_tree: usize,
        outcomes: &[bool],
        places: &mut Places,
        features: usize,
        contributions: &mut [f64],
    ) {
        let outputs = (contributions.len() / features.max(1)).max(1);
        for (number, tree) in (first_tree..).zip(&self.trees) {
            let first = number % outputs * features;
            let Some(contributions) = contributions.get_mut(first..first + features) else { return };
            for pass in tree.passes {
                self.add_tree(tree, pass, outcomes, places, contributions);
            }
        }
    }

    fn add_tree(&self, tree: &Tree, pass: &Pass, outcomes: &[bool], places: &mut Places, contributions: &mut [f64]) {
        let turns = self.turns.get(tree.turns.clone()).unwrap_or_default();
        let leaves = self.leaves.get(tree.leaves.clone()).unwrap_or_default();
        let count = places.below.len().max(turns.len() + leaves.len());
        places.below.resize(count, Points::splat(0.0));
        places.above.resize(count, Points::splat(0.0));
        let of_leaves = places.below.iter_mut().skip(turns.len());
        of_leaves.zip(leaves).for_each(|(below, value)| *below = Points::splat(*value));
        self.go_up(turns, pass, outcomes, &mut places.below);
        if let Some(root) = places.above.first_mut() {
            *root = pass.weight;
        }
        self.go_down(turns, pass, outcomes, &places.below, &mut places.above, contributions);
    }

    /// From the leaves to the root: per turn the sum of the leaves below, each under the
    /// factors from here on.
    #[inline(never)]
    fn go_up(&self, turns: &[Turn], pass: &Pass, outcomes: &[bool], below: &mut [Points]) {
        let (at, rest) = (pass.at, pass.rest);
        for (index, turn) in turns.iter().enumerate().rev() {
            let sides = turn.sides(outcomes);
            let Some((follow, other)) = below.get(sides.follow).zip(below.get(sides.other)) else { return };
            let mean = follow.times(sides.share) + other.times(sides.rest);
            let mut sum = rest * mean + at * *follow;
            if turn.repeat != FIRST {
                sum = self.sum_again(turn, outcomes, pass, follow, &mean);
            }
            if let Some(place) = below.get_mut(index) {
                *place = sum;
            }
        }
    }

    /// From the root to the leaves: the product of the factors so far, by which each turn's
    /// own factors are weighed.
    #[inline(never)]
    fn go_down(
        &self,
        turns: &[Turn],
        pass: &Pass,
        outcomes: &[bool],
        below: &[Points],
        above: &mut [Points],
        contributions: &mut [f64],
    ) {
        let (at, rest) = (pass.at, pass.rest);
        for (index, turn) in turns.iter().enumerate() {
            let sides = turn.sides(outcomes);
            let Some(here) = above.get(index).copied() else { return };
            let Some((follow, other)) = below.get(sides.follow).zip(below.get(sides.other)) else { return };
            let aside = (here * rest).times(sides.rest);
            let mut found =
                (here * (rest.times(sides.share) + at), aside, sides.rest * (here * (*follow - *other)).sum());
            if turn.repeat != FIRST {
                found = self.weigh_again(turn, outcomes, pass, (here, below.get(index)), (follow, other));
            }
            let (down, aside, contribution) = found;
            if let Some(total) = contributions.get_mut(turn.feature as usize) {
                *total += contribution;
            }
            if let Some(place) = above.get_mut(sides.follow) {
                *place = down;
            }
            if let Some(place) = above.get_mut(sides.other) {
                *place = aside;
            }
        }
    }

    /// [`Shapley::go_up`] at a turn on a feature that was met before.
    #[inline(never)]
    fn sum_again(&self, turn: &Turn, outcomes: &[bool], pass: &Pass, follow: &Points, mean: &Points) -> Points {
        match self.taken(turn.repeat, outcomes) {
            Some(z) => {
                let rest = pass.rest.times(z);
                (rest * *mean + pass.at * *follow) * (rest + pass.at).inverse()
            }
            None => *mean,
        }
    }

    /// [`Shapley::go_down`] at a turn on a feature that was met before: products for the
    /// side that the row takes and for the other, and the contribution.
    #[inline(never)]
    fn weigh_again(
        &self,
        turn: &Turn,
        outcomes: &[bool],
        pass: &Pass,
        (here, sum): (Points, Option<&Points>),
        (follow, other): (&Points, &Points),
    ) -> (Points, Points, f64) {
        let Sides { share, rest, .. } = turn.sides(outcomes);
        let Some(z) = self.taken(turn.repeat, outcomes) else {
            return (here.times(share), here.times(rest), 0.0);
        };
        let here = here * (pass.rest.times(z) + pass.at).inverse();
        let own = follow.times(1.0 - z * share) - other.times(z * rest);
        let replaced = sum.copied().unwrap_or(*follow).times(1.0 - z);
        let down = here * (pass.rest.times(z * share) + pass.at);
        (down, (here * pass.rest).times(z * rest), (here * (own - replaced)).sum())
    }

    /// The share of training data that took all turns before on the feature, where the row
    /// took them too; else nothing more is decided about it.
    fn taken(&self, mut repeat: u32, outcomes: &[bool]) -> Option<f64> {
        let z = self.repeats.get(repeat as usize).map_or(1.0, |repeat| repeat.z);
        while let Some(before) = self.repeats.get(repeat as usize) {
            if goes_right(before.condition, outcomes) != before.right {
                return None;
            }
            repeat = before.repeat;
        }
        Some(z)
    }

    /// Makes room for a tree's turns; returns where it starts.
    #[inline]
    fn reserve_turns(&mut self, nodes: &[TreeNode]) -> usize {
        let first = self.turns.len();
        let inner = nodes.iter().filter(|node| matches!(node, TreeNode::Inner { .. })).count();
        let none = Turn { condition: 0, feature: 0, children: [0; 2], repeat: FIRST, shares: [0.0; 2] };
        self.turns.resize(first + inner, none);
        first
    }

    /// Adds a tree; returns the most distinct features on a way.
    #[inline]
    fn push_tree(&mut self, nodes: &[TreeNode], covers: &[f64], streams: &Streams<'_>) -> usize {
        let places = places(nodes);
        let place = |at: usize| places.get(at).copied().unwrap_or_default();
        let first = self.reserve_turns(nodes);
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
            match nodes.get(index).copied() {
                None => return most,
                Some(TreeNode::Leaf { leaf }) => self.leaves.push(streams.leaf(leaf)),
                Some(TreeNode::Inner { condition, feature, left, right, .. }) => {
                    let condition = condition as u32;
                    let met = way.iter().rev().find(|(_, other, _)| *other == feature).map(|(.., turn)| *turn);
                    let repeat = met.map_or(FIRST, |_| self.repeats.len() as u32);
                    self.repeats.extend(met);
                    let share = share(covers, index, left);
                    let z = met.map_or(1.0, |turn| turn.z);
                    let (children, shares) = ([place(left), place(right)], [share, 1.0 - share]);
                    if let Some(turn) = self.turns.get_mut(first + place(index) as usize) {
                        *turn = Turn { condition, feature, children, repeat, shares };
                    }
                    let [to_left, to_right] = [(false, share), (true, 1.0 - share)]
                        .map(|(right, share)| Some((feature, Repeat { condition, right, repeat, z: z * share })));
                    waiting.extend([(right, way.len(), to_right), (left, way.len(), to_left)]);
                }
            }
        }
        most
    }
}

impl Turn {
    /// Without a branch: the row's side is as likely the one as the other.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "two sides")]
    fn sides(&self, outcomes: &[bool]) -> Sides {
        let right = usize::from(goes_right(self.condition, outcomes));
        Sides {
            follow: self.children[right] as usize,
            other: self.children[1 - right] as usize,
            share: self.shares[right],
            rest: self.shares[1 - right],
        }
    }
}

#[inline(always)]
fn goes_right(condition: u32, outcomes: &[bool]) -> bool {
    outcomes.get(condition as usize).copied().unwrap_or_default()
}

/// Per node its place in the tree: inner nodes level by level, so that neighbours do not
/// wait for each other's numbers, then leaves in pre-order.
#[inline]
fn places(nodes: &[TreeNode]) -> Vec<u32> {
    let mut places = vec![0; nodes.len()];
    let mut set = |index: usize, place: usize| {
        if let Some(entry) = places.get_mut(index) {
            *entry = place as u32;
        }
    };
    let mut queue = VecDeque::from([0]);
    let mut inner = 0;
    while let Some(index) = queue.pop_front() {
        if let Some(TreeNode::Inner { left, right, .. }) = nodes.get(index) {
            set(index, inner);
            inner += 1;
            queue.extend([*left, *right]);
        }
    }
    let leaves = nodes.iter().enumerate().filter(|(_, node)| matches!(node, TreeNode::Leaf { .. }));
    leaves.zip(inner..).for_each(|((index, _), place)| set(index, place));
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
