//! Walks decision trees, exactly as trained, and sums the layers of nets.
//!
//! What lays trees out is marked `inline`, so that it is compiled where it is called: small,
//! as the rest of the module is. What is walked for each row stays here.
//!
//! The measured part of the core, in a crate of its own: compiled for speed and without
//! overflow checks, while the rest of the module is compiled small and with them. Still
//! safe Rust; the inputs were checked by `tollgate-scorer`, and wrong ones would give a
//! wrong number, never a wild access.
//!
//! | file | what it does |
//! |---|---|
//! | `trees.rs`, `rules.rs` | trees as they come in, and what splits refer to |
//! | `preorder.rs` | one tree of them as a list of nodes |
//! | `outcomes.rs` | values to outcomes: each distinct split is decided once per row |
//! | `few.rs` | outcomes as few bytes of rank |
//! | `search.rs` | a value among thresholds, without a branch |
//! | `layout.rs`, `node.rs` | for one row: common levels first, linked nodes of four bytes below |
//! | `top.rs` | down the common levels |
//! | `sixteen.rs`, `lanes.rs` | the same for sixteen trees side by side |
//! | `walk.rs` | the whole way of one row |
//! | `planes.rs`, `plane.rs` | many rows at once, a bit a row |
//! | `linear_leaves.rs` | leaves that hold a linear function |
//! | `shapley/` | exact Shapley values, by `quadrature.rs` at six `points.rs` at once |
//! | `dense.rs`, `four.rs` | layers of neural nets, four numbers side by side |

#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

extern crate alloc;

mod dense;
mod few;
mod four;
mod lanes;
mod layout;
mod linear_leaves;
mod node;
mod outcomes;
mod plane;
mod planes;
mod points;
mod preorder;
mod quadrature;
mod rules;
mod search;
mod shapley;
mod sixteen;
mod top;
mod trees;
mod walk;

pub use dense::{LANES, dense, dense_tiles};
pub use linear_leaves::LinearTable;
pub use rules::{Input, Rows, Rule};
pub use trees::{LEAF, Missing, Split, Streams, TreeSpan};

use alloc::vec;
use alloc::vec::Vec;
use lanes::Word;
use layout::Layout;
use linear_leaves::LinearLeaves;
use node::{CONDITIONS, Node};
use outcomes::{Decided, Outcomes};
use plane::{Plane, ROWS};
use planes::Planes;
use shapley::{Outputs, Places, Shapley};
use walk::Walk;

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
    /// Tree t goes to output t mod outputs.
    pub outputs: usize,
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

/// Planes cost the same however few rows they hold; below this many, rows go one by one.
const FEW_ROWS: usize = 64;

/// Trees that share a row of outcomes; almost always all trees do.
#[derive(Debug)]
struct Block {
    outcomes: Outcomes,
    layout: Layout,
    planes: Option<Planes>,
    /// Position of its first node among those of all blocks.
    first_node: usize,
    shapley: Option<Shapley>,
    /// Position of its first tree.
    first_tree: usize,
}

/// Working memory of one evaluation.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    decided: Decided,
    walk: Walk,
    planes: Vec<Plane>,
    sums: Vec<[f64; ROWS]>,
    row: Vec<f64>,
    places: Places,
}

impl Trees {
    /// Lays trees out; `None` where a tree has more than 32,767 leaves.
    #[inline]
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
    #[inline]
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
        let planes = Planes::build(spans, plan.streams, &outcomes);
        let first_tree = self.blocks.last().map_or(0, |block| block.first_tree + block.layout.trees());
        let to = Outputs { first_tree, outputs: plan.outputs, features: plan.thresholds.len() };
        let shapley = covers.and_then(|covers| Shapley::build(spans, plan.streams, &outcomes, covers, to));
        self.blocks.push(Block { outcomes, layout, planes, first_node, shapley, first_tree });
    }

    fn nodes(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.first_node + block.layout.positions())
    }

    /// Adds the leaves of one row to its outputs; tree t goes to output t mod outputs.
    ///
    /// `row` has one value per feature, NaN for missing. Leaves are added in source
    /// order, so that the sums have the trainer's bits.
    pub fn add(&self, row: &[f64], scratch: &mut Scratch, outputs: &mut [f64]) {
        let Scratch { decided, walk, .. } = scratch;
        for block in &self.blocks {
            block.outcomes.decide(row, decided);
            if let (None, [single]) = (&self.linear, &mut *outputs) {
                block.layout.walk(decided, walk, |_, at, values| {
                    *single = match self.aggregate {
                        Aggregate::Sum => sum(*single, at, values),
                        other => fold(*single, at, values, |total, leaf| other.add(total, leaf)),
                    }
                });
                continue;
            }
            let mut next = block.first_tree % outputs.len().max(1);
            block.layout.walk(decided, walk, |base, at, values| {
                for node in at {
                    let plain = values.get(usize::from(Node::from(*node).left())).copied().unwrap_or(f64::NAN);
                    let position = block.first_node + base + usize::from(Node::from(*node).left());
                    if let Some(output) = outputs.get_mut(next) {
                        let leaf = self.linear.as_ref().map_or(plain, |linear| linear.value(position, row, plain));
                        *output = self.aggregate.add(*output, leaf);
                    }
                    next = if next + 1 == outputs.len() { 0 } else { next + 1 };
                }
            });
        }
    }

    /// Adds the leaves of many rows to their outputs, as [`Trees::add`] does for one:
    /// row by row the outputs of each.
    pub fn add_rows(&self, rows: &Rows<'_>, features: usize, scratch: &mut Scratch, outputs: &mut [f64]) {
        let Some(width) = outputs.len().checked_div(rows.count) else { return };
        for (index, outputs) in outputs.chunks_mut(ROWS * width.max(1)).enumerate() {
            let rows = rows.part(index * ROWS, ROWS);
            if rows.count < FEW_ROWS || !self.adds_planes() {
                let mut row = core::mem::take(&mut scratch.row);
                for (index, outputs) in outputs.chunks_mut(width.max(1)).enumerate() {
                    rows.copy_row(index, features, &mut row);
                    self.add(&row, scratch, outputs);
                }
                scratch.row = row;
            } else {
                self.add_planes(&rows, scratch, width, outputs);
            }
        }
    }

    /// Whether all blocks can be walked by planes.
    fn adds_planes(&self) -> bool {
        self.linear.is_none() && self.blocks.iter().all(|block| block.planes.is_some())
    }

    /// Adds the leaves of the rows of one plane.
    fn add_planes(&self, rows: &Rows<'_>, scratch: &mut Scratch, width: usize, outputs: &mut [f64]) {
        let sums = &mut scratch.sums;
        planes::read(outputs, width, sums);
        for block in &self.blocks {
            let Some(planes) = &block.planes else { return };
            block.outcomes.fill_planes(rows, &mut scratch.planes);
            let mut next = block.first_tree % width;
            planes.walk(&scratch.planes, |leaves, values| {
                if let Some(sums) = sums.get_mut(next) {
                    match self.aggregate {
                        Aggregate::Sum => add_all(leaves, values, sums),
                        other => planes::each(leaves, values, sums, |total, leaf| other.add(total, leaf)),
                    }
                }
                next = if next + 1 == width { 0 } else { next + 1 };
            });
        }
        planes::write(sums, outputs);
    }

    /// Per tree, what it gives on average over the training data; `None` where that is
    /// not known, leaves do not add up to the score, or a way has over 72 distinct features.
    pub fn expectations(&self) -> Option<&[f64]> {
        self.expectations.as_deref()
    }

    /// Adds the Shapley values of one row: output after output, a number for each feature.
    /// They and the expectations add up to the score, where there are expectations.
    pub fn add_contributions(&self, row: &[f64], scratch: &mut Scratch, contributions: &mut [f64]) {
        for block in &self.blocks {
            block.outcomes.decide_all(row, &mut scratch.decided);
            if let (Some(shapley), Some(outcomes)) = (&block.shapley, scratch.decided.row()) {
                shapley.add(outcomes, &mut scratch.places, contributions);
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

/// The usual sum as a function of its own, as [`sum`] is.
#[inline(never)]
fn add_all(leaves: &[u8; ROWS], values: &[f64; 256], sums: &mut [f64; ROWS]) {
    planes::each(leaves, values, sums, |sum, leaf| sum + leaf);
}

/// The usual case, one output and plain leaves, as a function of its own: few values alive.
#[inline(never)]
fn sum(start: f64, at: &[Word], values: &[f64]) -> f64 {
    fold(start, at, values, |sum, leaf| sum + leaf)
}

#[inline(always)]
fn fold(start: f64, at: &[Word], values: &[f64], add: impl Fn(f64, f64) -> f64) -> f64 {
    let value = |node: &Word| values.get(usize::from(Node::from(*node).left())).copied().unwrap_or(f64::NAN);
    // By lanes, so that loops are short: engines may look at a deadline in each round.
    let (lanes, rest) = at.as_chunks::<8>();
    let total =
        lanes.iter().fold(start, |total, lanes| lanes.iter().fold(total, |total, node| add(total, value(node))));
    rest.iter().fold(total, |total, node| add(total, value(node)))
}
