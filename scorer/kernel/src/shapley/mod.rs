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

mod build;

use crate::points::Points;
use crate::quadrature::Pass;
use alloc::vec::Vec;
use core::ops::Range;

/// What is needed to explain a forest.
#[derive(Debug, Default)]
pub(crate) struct Shapley {
    trees: Vec<Tree>,
    /// Inner nodes of all trees but the last ones, each tree's level by level.
    turns: Vec<Turn>,
    /// Inner nodes above two leaves, on a feature that the way there has not met.
    lasts: Vec<Last>,
    /// Turns on a feature that was met before.
    repeats: Vec<Repeat>,
    /// One over the factors that they replace: pass after pass, for the repeats of each tree.
    inverses: Vec<Points>,
    /// Values of the leaves that are not below a last turn, each tree's in pre-order.
    leaves: Vec<f64>,
    /// Per tree, what it gives on average over the training data.
    pub(crate) expectations: Vec<f64>,
}

#[derive(Debug)]
struct Tree {
    turns: Range<usize>,
    lasts: Range<usize>,
    leaves: Range<usize>,
    repeats: Range<usize>,
    /// Position of the first inverse.
    inverses: usize,
    passes: &'static [Pass],
}

/// An inner node: where the way of a row divides.
#[derive(Clone, Copy, Debug)]
struct Turn {
    condition: u32,
    feature: u32,
    /// Places of the children in the tree: turns first, then last turns, then leaves.
    children: [u32; 2],
    /// Where the feature was met before; [`FIRST`] where it was not.
    repeat: u32,
    /// The shares of training data that go left and right.
    shares: [f64; 2],
}

/// An inner node above two leaves. Its leaves are numbers and not polynomials, which saves
/// most of the work at a third of all turns.
#[derive(Clone, Copy, Debug)]
struct Last {
    condition: u32,
    feature: u32,
    /// Values of the leaves.
    leaves: [f64; 2],
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

/// A pass over one tree.
struct Way<'s> {
    pass: &'static Pass,
    /// Of the tree's repeats.
    inverses: &'s [Points],
    /// Position of the tree's first repeat.
    repeats: u32,
}

impl Way<'_> {
    /// One over the factor that a repeat replaces.
    fn inverse(&self, repeat: u32) -> Points {
        let at = repeat.wrapping_sub(self.repeats) as usize;
        self.inverses.get(at).copied().unwrap_or(Points::splat(f64::NAN))
    }
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
            for (number, pass) in tree.passes.iter().enumerate() {
                let first = tree.inverses + number * tree.repeats.len();
                let inverses = self.inverses.get(first..).unwrap_or_default();
                let pass = Way { pass, inverses, repeats: tree.repeats.start as u32 };
                self.add_tree(tree, &pass, outcomes, places, contributions);
            }
        }
    }

    fn add_tree(&self, tree: &Tree, way: &Way<'_>, outcomes: &[bool], places: &mut Places, contributions: &mut [f64]) {
        let turns = self.turns.get(tree.turns.clone()).unwrap_or_default();
        let lasts = self.lasts.get(tree.lasts.clone()).unwrap_or_default();
        let leaves = self.leaves.get(tree.leaves.clone()).unwrap_or_default();
        let count = places.below.len().max(turns.len() + lasts.len() + leaves.len());
        places.below.resize(count, Points::splat(0.0));
        places.above.resize(count, Points::splat(0.0));
        let of_leaves = places.below.iter_mut().skip(turns.len() + lasts.len());
        of_leaves.zip(leaves).for_each(|(below, value)| *below = Points::splat(*value));
        start_up(lasts, way.pass, outcomes, places.below.get_mut(turns.len()..).unwrap_or_default());
        self.go_up(turns, way, outcomes, &mut places.below);
        if let Some(root) = places.above.first_mut() {
            *root = way.pass.weight;
        }
        self.go_down(turns, way, outcomes, &places.below, &mut places.above, contributions);
        end_down(lasts, outcomes, places.above.get(turns.len()..).unwrap_or_default(), contributions);
    }

    /// From the leaves to the root: per turn the sum of the leaves below, each under the
    /// factors from here on.
    #[inline(never)]
    fn go_up(&self, turns: &[Turn], way: &Way<'_>, outcomes: &[bool], below: &mut [Points]) {
        let (at, rest) = (way.pass.at, way.pass.rest);
        for (index, turn) in turns.iter().enumerate().rev() {
            let sides = turn.sides(outcomes);
            let Some((follow, other)) = below.get(sides.follow).zip(below.get(sides.other)) else { return };
            let mean = follow.times(sides.share) + other.times(sides.rest);
            let mut sum = rest * mean + at * *follow;
            if turn.repeat != FIRST {
                sum = self.sum_again(turn, outcomes, way, follow, &mean);
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
        way: &Way<'_>,
        outcomes: &[bool],
        below: &[Points],
        above: &mut [Points],
        contributions: &mut [f64],
    ) {
        let (at, rest) = (way.pass.at, way.pass.rest);
        for (index, turn) in turns.iter().enumerate() {
            let sides = turn.sides(outcomes);
            let Some(here) = above.get(index).copied() else { return };
            let Some((follow, other)) = below.get(sides.follow).zip(below.get(sides.other)) else { return };
            let aside = (here * rest).times(sides.rest);
            let mut found =
                (here * (rest.times(sides.share) + at), aside, sides.rest * (here * (*follow - *other)).sum());
            if turn.repeat != FIRST {
                found = self.weigh_again(turn, outcomes, way, (here, below.get(index)), (follow, other));
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
    fn sum_again(&self, turn: &Turn, outcomes: &[bool], way: &Way<'_>, follow: &Points, mean: &Points) -> Points {
        match self.taken(turn.repeat, outcomes) {
            Some(z) => (way.pass.rest.times(z) * *mean + way.pass.at * *follow) * way.inverse(turn.repeat),
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
        way: &Way<'_>,
        (here, sum): (Points, Option<&Points>),
        (follow, other): (&Points, &Points),
    ) -> (Points, Points, f64) {
        let Sides { share, rest, .. } = turn.sides(outcomes);
        let Some(z) = self.taken(turn.repeat, outcomes) else {
            return (here.times(share), here.times(rest), 0.0);
        };
        let Pass { at, rest: aside, .. } = way.pass;
        let here = here * way.inverse(turn.repeat);
        let own = follow.times(1.0 - z * share) - other.times(z * rest);
        let replaced = sum.copied().unwrap_or(*follow).times(1.0 - z);
        let down = here * (aside.times(z * share) + *at);
        (down, (here * *aside).times(z * rest), (here * (own - replaced)).sum())
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
}

/// [`Shapley::go_up`] at the last turns; `below` begins with their places.
#[inline(never)]
fn start_up(lasts: &[Last], pass: &Pass, outcomes: &[bool], below: &mut [Points]) {
    for (last, below) in lasts.iter().zip(below) {
        let (follow, other, share, rest) = last.sides(outcomes);
        *below = pass.rest.times(follow * share + other * rest) + pass.at.times(follow);
    }
}

/// [`Shapley::go_down`] at the last turns; `above` begins with their places.
#[inline(never)]
fn end_down(lasts: &[Last], outcomes: &[bool], above: &[Points], contributions: &mut [f64]) {
    for (last, above) in lasts.iter().zip(above) {
        let (follow, other, _, rest) = last.sides(outcomes);
        if let Some(total) = contributions.get_mut(last.feature as usize) {
            *total += rest * (follow - other) * above.sum();
        }
    }
}

impl Last {
    /// Values of the leaf that the row goes to and of the other, and the shares of
    /// training data that go there. Without a branch, as [`Turn::sides`].
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "two sides")]
    fn sides(&self, outcomes: &[bool]) -> (f64, f64, f64, f64) {
        let right = usize::from(goes_right(self.condition, outcomes));
        (self.leaves[right], self.leaves[1 - right], self.shares[right], self.shares[1 - right])
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
