//! Walks decision trees, exactly as trained.
//!
//! The measured part of the core, in a crate of its own: compiled for speed and without
//! overflow checks, while the rest of the module is compiled small and with them. Still
//! safe Rust; the inputs were checked by `tollgate-scorer`, and wrong ones would give a
//! wrong number, never a wild access.
//!
//! | file | what it does |
//! |---|---|
//! | `trees.rs` | trees as they come in |
//! | `outcomes.rs` | values to outcomes: each distinct split is decided once per row |
//! | `layout.rs` | trees to groups: common levels first, linked nodes below |
//! | `width.rs` | nodes of four bytes where everything fits, else of eight |
//! | `walk.rs` | the walk, eight trees side by side |
//! | `linear_leaves.rs` | leaves that hold a linear function |
//! | `shapley.rs` | exact Shapley values, by `quadrature.rs` at six `points.rs` at once |

#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

extern crate alloc;

mod layout;
mod linear_leaves;
mod outcomes;
mod points;
mod quadrature;
mod shapley;
mod trees;
mod walk;
mod width;

pub use linear_leaves::LinearTable;
pub use outcomes::{Input, Rule};
pub use trees::{LEAF, Missing, Split, Streams, TreeSpan};

use alloc::vec;
use alloc::vec::Vec;
use layout::{LANES, Layout};
use linear_leaves::LinearLeaves;
use outcomes::Outcomes;
use shapley::{Places, Shapley};
use width::{Narrow, Wide, Width};

/// A forest in parts, checked by whoever built it.
#[derive(Debug)]
pub struct Plan<'b> {
    /// Where each tree lies in the streams.
    pub spans: &'b [TreeSpan],
    /// The nodes; splits name positions in `rules` and in the thresholds of the rule's feature.
    pub streams: &'b Streams<'b>,
    /// Ascending, per feature.
    pub thresholds: &'b [Vec<f64>],
    /// What splits refer to.
    pub rules: Vec<Rule>,
    /// What happens to values first.
    pub input: Input,
    /// How leaves come together.
    pub aggregate: Aggregate,
    /// For leaves that hold a linear function.
    pub linear: Option<LinearTable>,
    /// Per leaf, how much training data reached it; for explanations.
    pub covers: Option<Vec<f64>>,
}

/// How the leaves of a row come together in an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Aggregate {
    /// They are added in double precision.
    #[default]
    Sum,
    /// They are added in single precision, rounded after each.
    SingleSum,
    /// The least counts.
    Least,
    /// The greatest counts.
    Greatest,
}

/// Trees laid out for evaluation.
#[derive(Debug)]
pub struct Trees {
    outcomes: Outcomes,
    nodes: Nodes,
    aggregate: Aggregate,
    linear: Option<LinearLeaves>,
    shapley: Option<Shapley>,
}

/// The nodes in one of two widths: narrow where everything fits.
#[derive(Debug)]
enum Nodes {
    Narrow(Layout<Narrow>),
    Wide(Layout<Wide>),
}

/// Working memory of one evaluation.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    outcomes: Vec<bool>,
    places: Places,
}

impl Trees {
    /// Lays trees out; `None` when a tree is too large for any layout.
    pub fn build(plan: Plan<'_>) -> Option<Self> {
        let Plan { spans, streams, thresholds, rules, input, aggregate, linear, covers } = plan;
        let outcomes = Outcomes::new(thresholds, rules, streams, input);
        let mut positions = vec![0; if linear.is_some() { streams.leaves.len() } else { 0 }];
        let leaf_at = |leaf: usize, position: usize| {
            if let Some(entry) = positions.get_mut(leaf) {
                *entry = position;
            }
        };
        let (nodes, total) = if Layout::<Narrow>::fits(spans, outcomes.conditions) {
            let layout = Layout::build(spans, streams, &outcomes, leaf_at);
            let total = layout.positions();
            (Nodes::Narrow(layout), total)
        } else if Layout::<Wide>::fits(spans, outcomes.conditions) {
            let layout = Layout::build(spans, streams, &outcomes, leaf_at);
            let total = layout.positions();
            (Nodes::Wide(layout), total)
        } else {
            return None;
        };
        let adds = linear.is_none() && matches!(aggregate, Aggregate::Sum | Aggregate::SingleSum);
        let covers = covers.filter(|_| adds);
        let shapley = covers.and_then(|covers| Shapley::build(spans, streams, &outcomes, &covers));
        let linear = linear.map(|table| LinearLeaves::place(table, &positions, total));
        Some(Self { outcomes, nodes, aggregate, linear, shapley })
    }

    /// Adds the leaves of one row to its outputs; tree t goes to output t mod outputs.
    ///
    /// `row` has one value per feature, NaN for missing. Leaves are added in source
    /// order, so that the sums have the trainer's bits.
    pub fn add(&self, row: &[f64], scratch: &mut Scratch, outputs: &mut [f64]) {
        match &self.nodes {
            Nodes::Narrow(layout) => self.add_from(layout, row, &mut scratch.outcomes, outputs),
            Nodes::Wide(layout) => self.add_from(layout, row, &mut scratch.outcomes, outputs),
        }
    }

    /// Per tree, what it gives on average over the training data; `None` where that is
    /// not known, leaves do not add up to the score, or a way has over 72 distinct features.
    pub fn expectations(&self) -> Option<&[f64]> {
        self.shapley.as_ref().map(|shapley| shapley.expectations.as_slice())
    }

    /// Adds the Shapley values of one row: per output `features` numbers side by side.
    /// They and the expectations add up to the score. Nothing is added where
    /// [`Trees::expectations`] gives nothing.
    pub fn add_contributions(&self, row: &[f64], features: usize, scratch: &mut Scratch, contributions: &mut [f64]) {
        if let Some(shapley) = &self.shapley {
            self.outcomes.fill(row, 0, &mut scratch.outcomes);
            shapley.add(&scratch.outcomes, &mut scratch.places, features, contributions);
        }
    }

    fn add_from<W: Width>(&self, layout: &Layout<W>, row: &[f64], slots: &mut Vec<bool>, outputs: &mut [f64]) {
        self.outcomes.fill(row, W::CONDITIONS, slots);
        if let (None, [single]) = (&self.linear, &mut *outputs) {
            layout.walk(slots, |_, at, values| {
                *single = match self.aggregate {
                    Aggregate::Sum => sum::<W>(*single, at, values),
                    other => fold::<W>(*single, at, values, |total, leaf| other.add(total, leaf)),
                }
            });
            return;
        }
        let mut next = 0;
        layout.walk(slots, |base, at, values| {
            for node in at {
                let index = W::index(*node);
                let plain = values.get(index).copied().unwrap_or(f64::NAN);
                let exit = base + index as u32;
                if let Some(output) = outputs.get_mut(next) {
                    let leaf = self.linear.as_ref().map_or(plain, |linear| linear.value(exit, row, plain));
                    *output = self.aggregate.add(*output, leaf);
                }
                next = if next + 1 == outputs.len() { 0 } else { next + 1 };
            }
        });
    }
}

impl Aggregate {
    /// What an output is before its first leaf, unless a start is given.
    pub fn nothing(self) -> f64 {
        match self {
            Self::Sum | Self::SingleSum => 0.0,
            Self::Least => f64::INFINITY,
            Self::Greatest => f64::NEG_INFINITY,
        }
    }

    #[inline(always)]
    fn add(self, total: f64, leaf: f64) -> f64 {
        match self {
            Self::Sum => total + leaf,
            Self::SingleSum => f64::from(total as f32 + leaf as f32),
            Self::Least => {
                if leaf < total {
                    leaf
                } else {
                    total
                }
            }
            Self::Greatest => {
                if leaf > total {
                    leaf
                } else {
                    total
                }
            }
        }
    }
}

/// The usual case, one output and plain leaves, as a function of its own: few values alive.
#[inline(never)]
fn sum<W: Width>(start: f64, at: &[W::Node], values: &[f64]) -> f64 {
    fold::<W>(start, at, values, |sum, leaf| sum + leaf)
}

#[inline(always)]
fn fold<W: Width>(start: f64, at: &[W::Node], values: &[f64], add: impl Fn(f64, f64) -> f64) -> f64 {
    let value = |node: &W::Node| values.get(W::index(*node)).copied().unwrap_or(f64::NAN);
    // By lanes, so that loops are short: engines may look at a deadline in each round.
    let (lanes, rest) = at.as_chunks::<LANES>();
    let total =
        lanes.iter().fold(start, |total, lanes| lanes.iter().fold(total, |total, node| add(total, value(node))));
    rest.iter().fold(total, |total, node| add(total, value(node)))
}
