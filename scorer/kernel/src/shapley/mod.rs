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
//! One way up a tree sums leaves under their factors from below, one way down multiplies
//! the factors above and collects what each turn contributes. A feature that is met again
//! on a way replaces its factor.
//!
//! A turn waits for its children on the way up, for its parent on the way down, and trees
//! have few turns on a level. So some trees go side by side, level by level: there is always
//! a turn that need not wait.

mod build;
mod order;

pub(crate) use build::Outputs;

use crate::points::Points;
use crate::quadrature::Pass;
use alloc::vec::Vec;

/// What is needed to explain a forest.
#[derive(Debug, Default)]
pub(crate) struct Shapley {
    groups: Vec<Group>,
    /// Per tree, what it gives on average over the training data.
    pub(crate) expectations: Vec<f64>,
}

/// Trees that go side by side.
#[derive(Debug)]
struct Group {
    /// Inner nodes but the last ones, level by level.
    turns: Vec<Turn>,
    /// Inner nodes above two leaves, on a feature that the way there has not met.
    lasts: Vec<Last>,
    /// Values of the leaves that are not below a last turn.
    leaves: Vec<f64>,
    /// Turns on a feature that was met before.
    repeats: Vec<Repeat>,
    /// Per pass, one over the factors that the repeats replace.
    inverses: Vec<Vec<Points>>,
    /// Roots stand first among turns and among last turns: how many.
    roots: [usize; 2],
    passes: &'static [Pass],
}

/// An inner node: where the way of a row divides.
#[derive(Clone, Copy, Debug)]
struct Turn {
    condition: u32,
    /// Place of its feature among the contributions.
    feature: u32,
    /// Places of the children in the group: turns first, then last turns, then leaves.
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

/// Working memory: per place in a group the sum from below and the product from above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    below: Vec<Points>,
    above: Vec<Points>,
}

/// One row's way through a group at the points of a pass.
struct Way<'s> {
    turns: &'s [Turn],
    repeats: &'s [Repeat],
    /// Per repeat, one over the factor that it replaces.
    inverses: &'s [Points],
    pass: &'static Pass,
    outcomes: &'s [bool],
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
    /// Adds what features contribute to outputs: output after output, features side by side.
    pub(crate) fn add(&self, outcomes: &[bool], places: &mut Places, contributions: &mut [f64]) {
        for group in &self.groups {
            for (pass, inverses) in group.passes.iter().zip(&group.inverses) {
                group.add(pass, inverses, outcomes, places, contributions);
            }
        }
    }
}

impl Group {
    fn add(
        &self,
        pass: &'static Pass,
        inverses: &[Points],
        outcomes: &[bool],
        Places { below, above }: &mut Places,
        contributions: &mut [f64],
    ) {
        let (turns, lasts) = (self.turns.len(), self.lasts.len());
        let count = below.len().max(turns + lasts + self.leaves.len());
        below.resize(count, Points::splat(0.0));
        above.resize(count, Points::splat(0.0));
        let of_leaves = below.iter_mut().skip(turns + lasts);
        of_leaves.zip(&self.leaves).for_each(|(below, value)| *below = Points::splat(*value));
        let way = Way { turns: &self.turns, repeats: &self.repeats, inverses, pass, outcomes };
        start_up(&self.lasts, pass, outcomes, below.get_mut(turns..).unwrap_or_default());
        way.go_up(below);
        let roots = self.roots.iter().zip([0, turns]).flat_map(|(count, first)| first..first + count);
        roots.for_each(|root| {
            if let Some(above) = above.get_mut(root) {
                *above = pass.weight;
            }
        });
        way.go_down(below, above, contributions);
        end_down(&self.lasts, outcomes, above.get(turns..).unwrap_or_default(), contributions);
    }
}

impl Way<'_> {
    /// From the leaves to the root: per turn the sum of the leaves below, each under the
    /// factors from here on.
    #[inline(never)]
    fn go_up(&self, below: &mut [Points]) {
        let (at, rest) = (self.pass.at, self.pass.rest);
        for (index, turn) in self.turns.iter().enumerate().rev() {
            if turn.repeat != FIRST {
                self.sum_again(index, turn, below);
                continue;
            }
            let sides = turn.sides(self.outcomes);
            let Some((follow, other)) = below.get(sides.follow).zip(below.get(sides.other)) else { return };
            let mean = follow.times(sides.share) + other.times(sides.rest);
            let sum = rest * mean + at * *follow;
            put(below, index, sum);
        }
    }

    /// From the root to the leaves: the product of the factors so far, by which each turn's
    /// own factors are weighed.
    #[inline(never)]
    fn go_down(&self, below: &[Points], above: &mut [Points], contributions: &mut [f64]) {
        let (at, rest) = (self.pass.at, self.pass.rest);
        for (index, turn) in self.turns.iter().enumerate() {
            if turn.repeat != FIRST {
                self.weigh_again(index, turn, below, above, contributions);
                continue;
            }
            let sides = turn.sides(self.outcomes);
            let Some(here) = above.get(index).copied() else { return };
            let Some((follow, other)) = below.get(sides.follow).zip(below.get(sides.other)) else { return };
            let contribution = sides.rest * (here * (*follow - *other)).sum();
            let aside = here * rest;
            put(above, sides.follow, aside.times(sides.share) + here * at);
            put(above, sides.other, aside.times(sides.rest));
            add(contributions, turn.feature, contribution);
        }
    }

    /// [`Way::go_up`] at a turn on a feature that was met before. A function of its own, so
    /// that the usual turns have all registers.
    #[inline(never)]
    fn sum_again(&self, index: usize, turn: &Turn, below: &mut [Points]) {
        let sides = turn.sides(self.outcomes);
        let Some((follow, other)) = below.get(sides.follow).zip(below.get(sides.other)) else { return };
        let mean = follow.times(sides.share) + other.times(sides.rest);
        let sum = match self.taken(turn.repeat) {
            Some(z) => (self.pass.rest.times(z) * mean + self.pass.at * *follow) * self.inverse(turn.repeat),
            None => mean,
        };
        put(below, index, sum);
    }

    /// [`Way::go_down`] at a turn on a feature that was met before.
    #[inline(never)]
    fn weigh_again(
        &self,
        index: usize,
        turn: &Turn,
        below: &[Points],
        above: &mut [Points],
        contributions: &mut [f64],
    ) {
        let sides = turn.sides(self.outcomes);
        let (Sides { share, rest, .. }, Pass { at, rest: aside, .. }) = (&sides, self.pass);
        let Some((here, sum)) = above.get(index).copied().zip(below.get(index)) else { return };
        let Some((follow, other)) = below.get(sides.follow).zip(below.get(sides.other)) else { return };
        let Some(z) = self.taken(turn.repeat) else {
            put(above, sides.follow, here.times(*share));
            put(above, sides.other, here.times(*rest));
            return;
        };
        let here = here * self.inverse(turn.repeat);
        let own = follow.times(1.0 - z * share) - other.times(z * rest);
        let contribution = (here * (own - sum.times(1.0 - z))).sum();
        put(above, sides.follow, here * (aside.times(z * share) + *at));
        put(above, sides.other, (here * *aside).times(z * rest));
        add(contributions, turn.feature, contribution);
    }

    /// One over the factor that a repeat replaces.
    fn inverse(&self, repeat: u32) -> Points {
        self.inverses.get(repeat as usize).copied().unwrap_or(Points::splat(f64::NAN))
    }

    /// The share of training data that took all turns before on the feature, where the row
    /// took them too; else nothing more is decided about it.
    fn taken(&self, mut repeat: u32) -> Option<f64> {
        let z = self.repeats.get(repeat as usize).map_or(1.0, |repeat| repeat.z);
        while let Some(before) = self.repeats.get(repeat as usize) {
            if goes_right(before.condition, self.outcomes) != before.right {
                return None;
            }
            repeat = before.repeat;
        }
        Some(z)
    }
}

/// [`Way::go_up`] at the last turns; `below` begins with their places.
#[inline(never)]
fn start_up(lasts: &[Last], pass: &Pass, outcomes: &[bool], below: &mut [Points]) {
    for (last, below) in lasts.iter().zip(below) {
        let (follow, other, share, rest) = last.sides(outcomes);
        *below = pass.rest.times(follow * share + other * rest) + pass.at.times(follow);
    }
}

/// [`Way::go_down`] at the last turns; `above` begins with their places.
#[inline(never)]
fn end_down(lasts: &[Last], outcomes: &[bool], above: &[Points], contributions: &mut [f64]) {
    for (last, above) in lasts.iter().zip(above) {
        let (follow, other, _, rest) = last.sides(outcomes);
        add(contributions, last.feature, rest * (follow - other) * above.sum());
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
fn put(places: &mut [Points], place: usize, points: Points) {
    if let Some(entry) = places.get_mut(place) {
        *entry = points;
    }
}

#[inline(always)]
fn add(contributions: &mut [f64], feature: u32, contribution: f64) {
    if let Some(total) = contributions.get_mut(feature as usize) {
        *total += contribution;
    }
}

#[inline(always)]
fn goes_right(condition: u32, outcomes: &[bool]) -> bool {
    outcomes.get(condition as usize).copied().unwrap_or_default()
}
