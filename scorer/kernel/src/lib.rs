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
//! | `node.rs` | a node of four bytes |
//! | `walk.rs` | the walk, eight trees side by side |
//! | `linear_leaves.rs` | leaves that hold a linear function |
//! | `shapley.rs` | exact Shapley values, by `quadrature.rs` at six `points.rs` at once |

#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

extern crate alloc;

mod layout;
mod linear_leaves;
mod node;
mod outcomes;
mod points;
mod quadrature;
mod shapley;
mod trees;
mod walk;

pub use linear_leaves::LinearTable;
pub use outcomes::{Input, Rule};
pub use trees::{LEAF, Missing, Split, Streams, TreeSpan};

use alloc::vec;
use alloc::vec::Vec;
use layout::{LANES, Layout};
use linear_leaves::LinearLeaves;
use node::{CONDITIONS, Node};
use outcomes::Outcomes;
use shapley::{Places, Shapley};

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
    pub rules: &'b [Rule],
    /// What happens to values first.
    pub input: Input,
    /// How leaves come together.
    pub aggregate: Aggregate,
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
    /// Consecutive trees, in source order.
    blocks: Vec<Block>,
    aggregate: Aggregate,
    linear: Option<LinearLeaves>,
    /// Per tree, what it gives on average over the training data.
    expectations: Option<Vec<f64>>,
}

/// Trees that share a row of outcomes; almost always all trees do.
#[derive(Debug)]
struct Block {
    outcomes: Outcomes,
    layout: Layout,
    /// Position of its first node among those of all blocks.
    first_node: usize,
    shapley: Option<Shapley>,
    /// Position of its first tree.
    first_tree: usize,
}

/// Working memory of one evaluation.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    outcomes: Vec<bool>,
    places: Places,
}

impl Trees {
    /// Lays trees out; `None` where a tree has more than 32,767 leaves.
    pub fn build(plan: &Plan<'_>, covers: Option<&[f64]>, linear: Option<LinearTable>) -> Option<Self> {
        if plan.spans.iter().any(|span| span.nodes() >= node::GROUP_NODES) {
            return None;
        }
        let mut positions = vec![0; if linear.is_some() { plan.streams.leaves.len() } else { 0 }];
        let mut trees = Self { blocks: Vec::new(), aggregate: plan.aggregate, linear: None, expectations: None };
        let adds = linear.is_none() && matches!(plan.aggregate, Aggregate::Sum | Aggregate::SingleSum);
        trees.push_blocks(plan, plan.spans, covers.filter(|_| adds), &mut positions);
        trees.linear = linear.map(|table| LinearLeaves::place(table, &positions, trees.nodes()));
        let explained = trees.blocks.iter().map(|block| block.shapley.as_ref());
        let explained = explained.collect::<Option<Vec<_>>>();
        trees.expectations = explained.map(|all| all.iter().flat_map(|s| s.expectations.iter().copied()).collect());
        Some(trees)
    }

    /// Adds trees as one block, or as two halves where they have too many conditions.
    fn push_blocks(&mut self, plan: &Plan<'_>, spans: &[TreeSpan], covers: Option<&[f64]>, positions: &mut [usize]) {
        let outcomes = Outcomes::new(plan.thresholds, plan.rules, spans, plan.streams, plan.input);
        if outcomes.conditions > CONDITIONS {
            let (first, second) = spans.split_at(spans.len() / 2);
            self.push_blocks(plan, first, covers, positions);
            return self.push_blocks(plan, second, covers, positions);
        }
        let first_node = self.nodes();
        let layout = Layout::build(spans, plan.streams, &outcomes, |leaf, position| {
            if let Some(entry) = positions.get_mut(leaf) {
                *entry = first_node + position;
            }
        });
        let shapley = covers.and_then(|covers| Shapley::build(spans, plan.streams, &outcomes, covers));
        let first_tree = self.blocks.last().map_or(0, |block| block.first_tree + block.layout.trees());
        self.blocks.push(Block { outcomes, layout, first_node, shapley, first_tree });
    }

    fn nodes(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.first_node + block.layout.positions())
    }

    /// Adds the leaves of one row to its outputs; tree t goes to output t mod outputs.
    ///
    /// `row` has one value per feature, NaN for missing. Leaves are added in source
    /// order, so that the sums have the trainer's bits.
    pub fn add(&self, row: &[f64], scratch: &mut Scratch, outputs: &mut [f64]) {
        for block in &self.blocks {
            let Some(outcomes) = block.outcomes.fill(row, &mut scratch.outcomes) else { return };
            if let (None, [single]) = (&self.linear, &mut *outputs) {
                block.layout.walk(outcomes, |_, at, values| {
                    *single = match self.aggregate {
                        Aggregate::Sum => sum(*single, at, values),
                        other => fold(*single, at, values, |total, leaf| other.add(total, leaf)),
                    }
                });
                continue;
            }
            let mut next = block.first_tree % outputs.len().max(1);
            block.layout.walk(outcomes, |base, at, values| {
                for node in at {
                    let plain = values.get(node.index()).copied().unwrap_or(f64::NAN);
                    let position = block.first_node + base as usize + node.index();
                    if let Some(output) = outputs.get_mut(next) {
                        let leaf = self.linear.as_ref().map_or(plain, |linear| linear.value(position, row, plain));
                        *output = self.aggregate.add(*output, leaf);
                    }
                    next = if next + 1 == outputs.len() { 0 } else { next + 1 };
                }
            });
        }
    }

    /// Per tree, what it gives on average over the training data; `None` where that is
    /// not known, leaves do not add up to the score, or a way has over 72 distinct features.
    pub fn expectations(&self) -> Option<&[f64]> {
        self.expectations.as_deref()
    }

    /// Adds the Shapley values of one row: per output `features` numbers side by side.
    /// They and the expectations add up to the score, where there are expectations.
    pub fn add_contributions(&self, row: &[f64], features: usize, scratch: &mut Scratch, contributions: &mut [f64]) {
        for block in &self.blocks {
            let Some(outcomes) = block.outcomes.fill(row, &mut scratch.outcomes) else { return };
            if let Some(shapley) = &block.shapley {
                shapley.add(block.first_tree, outcomes, &mut scratch.places, features, contributions);
            }
        }
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
fn sum(start: f64, at: &[Node], values: &[f64]) -> f64 {
    fold(start, at, values, |sum, leaf| sum + leaf)
}

#[inline(always)]
fn fold(start: f64, at: &[Node], values: &[f64], add: impl Fn(f64, f64) -> f64) -> f64 {
    let value = |node: &Node| values.get(node.index()).copied().unwrap_or(f64::NAN);
    // By lanes, so that loops are short: engines may look at a deadline in each round.
    let (lanes, rest) = at.as_chunks::<LANES>();
    let total =
        lanes.iter().fold(start, |total, lanes| lanes.iter().fold(total, |total, node| add(total, value(node))));
    rest.iter().fold(total, |total, node| add(total, value(node)))
}
