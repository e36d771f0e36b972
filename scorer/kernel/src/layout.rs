//! Trees laid out in groups for one row at a time.
//!
//! The first levels of all trees of a group are stored level by level, without children;
//! where a tree ends earlier, conditions that always go left lead on to its exit. Below
//! the levels, nodes name their children, and each exit's nodes lie together.

use crate::node::{GROUP_NODES, Node};
use crate::outcomes::Outcomes;
use crate::preorder::{TreeNode, read_tree};
use crate::top::{EXITS, GROUP, LEVELS, Top};
use crate::trees::{Streams, TreeSpan};
use alloc::vec;
use alloc::vec::Vec;

/// Groups of trees with their leaf values.
#[derive(Debug)]
pub(crate) struct Layout {
    /// In source order.
    pub(crate) groups: Vec<Group>,
    /// Leaves, and inner nodes below the levels.
    pub(crate) nodes: Vec<Node>,
    /// Per node position: the leaf's value; zero for inner nodes.
    pub(crate) values: Vec<f64>,
}

/// Consecutive trees whose nodes one window holds.
#[derive(Debug)]
pub(crate) struct Group {
    /// Position of the first node.
    pub(crate) base: usize,
    /// Number of trees.
    pub(crate) trees: usize,
    /// The first levels.
    pub(crate) top: Top,
    /// Per tree the node that each way out of the levels leads to; filled up to whole eights.
    pub(crate) exits: Vec<Exits>,
}

/// The nodes that the ways out of the levels of a tree lead to.
pub(crate) type Exits = [Node; EXITS];

impl Layout {
    /// Lays trees out in source order.
    ///
    /// `leaf_at` is told the position that each leaf of the part is placed at.
    #[inline]
    pub(crate) fn build(
        spans: &[TreeSpan],
        streams: &Streams<'_>,
        outcomes: &Outcomes,
        mut leaf_at: impl FnMut(usize, usize),
    ) -> Self {
        let mut layout = Self { groups: Vec::new(), nodes: Vec::new(), values: Vec::new() };
        for group in fitting_groups(spans) {
            let (base, top) = (layout.nodes.len(), Top::new(outcomes, group.len()));
            let exits = vec![[Node::leaf(0); EXITS]; group.len().next_multiple_of(8)];
            let mut building = Building { layout, base, top, exits, shallow: Vec::new(), outcomes };
            // Node 0 is a leaf of no tree, for places that belong to none.
            building.push_nodes(1);
            for (place, span) in group.iter().enumerate() {
                building.push_tree(place, &read_tree(span, streams, outcomes), &mut |leaf, position| {
                    leaf_at(leaf, position);
                    streams.leaf(leaf)
                });
            }
            building.push_shallow_leaves(&mut |leaf, position| {
                leaf_at(leaf, position);
                streams.leaf(leaf)
            });
            let Building { top, exits, .. } = building;
            layout = building.layout;
            layout.groups.push(Group { base, trees: group.len(), top, exits });
        }
        // Every window must be whole, the last one too.
        layout.nodes.resize(layout.nodes.len() + GROUP_NODES, Node::default());
        layout
    }

    /// How many trees there are.
    pub(crate) fn trees(&self) -> usize {
        self.groups.iter().map(|group| group.trees).sum()
    }

    /// How many node positions there are.
    pub(crate) fn positions(&self) -> usize {
        self.values.len()
    }
}

/// Consecutive trees of which each part fits into one group; a tree alone always does.
#[inline]
fn fitting_groups(mut spans: &[TreeSpan]) -> impl Iterator<Item = &[TreeSpan]> {
    core::iter::from_fn(move || {
        let mut nodes = 1;
        let fitting = spans.iter().take(GROUP).take_while(|span| {
            nodes += span.nodes();
            nodes <= GROUP_NODES
        });
        let (group, rest) = spans.split_at_checked(fitting.count().max(1))?;
        spans = rest;
        Some(group)
    })
}

/// A layout with the group that is being added.
struct Building<'o> {
    layout: Layout,
    /// Position of the group's first node.
    base: usize,
    top: Top,
    exits: Vec<Exits>,
    /// Tree, exit and number of the leaves within the levels.
    shallow: Vec<(usize, usize, usize)>,
    outcomes: &'o Outcomes,
}

impl Building<'_> {
    /// Places one tree; `value` gives a leaf's value and is told where it is put.
    ///
    /// Subtree by subtree, so that what a row visits below an exit lies close together.
    #[inline]
    fn push_tree(&mut self, place: usize, tree: &[TreeNode], value: &mut impl FnMut(usize, usize) -> f64) {
        let mut waiting = vec![(0, Place::Level(0, 0))];
        while let Some((node, at)) = waiting.pop() {
            match (tree.get(node).copied(), at) {
                (None, _) => return,
                (Some(TreeNode::Inner { rule, condition, left, right, .. }), Place::Level(level, at))
                    if level < LEVELS =>
                {
                    self.top.set(place, level, at, condition, self.outcomes.slot(rule, condition));
                    waiting.push((right, Place::Level(level + 1, 2 * at + 1)));
                    waiting.push((left, Place::Level(level + 1, 2 * at)));
                }
                (Some(TreeNode::Inner { rule, condition, left, right, .. }), at) => {
                    let first = self.push_nodes(2);
                    let node = self.outcomes.node(rule, condition, first);
                    match at {
                        Place::Node(index) => self.set(index, node),
                        Place::Level(_, exit) => self.set_exit(place, exit, node),
                    }
                    waiting.push((right, Place::Node(first + 1)));
                    waiting.push((left, Place::Node(first)));
                }
                (Some(TreeNode::Leaf { leaf }), Place::Node(index)) => self.set_leaf(index, leaf, value),
                // All conditions from here to the exit go left.
                (Some(TreeNode::Leaf { leaf }), Place::Level(level, at)) => {
                    self.shallow.push((place, at << (LEVELS - level), leaf));
                }
            }
        }
    }

    /// Places the leaves within the levels, after all nodes that rows step through.
    #[inline]
    fn push_shallow_leaves(&mut self, value: &mut impl FnMut(usize, usize) -> f64) {
        for (tree, exit, leaf) in core::mem::take(&mut self.shallow) {
            let index = self.push_nodes(1);
            self.set_exit(tree, exit, Node::leaf(index));
            self.set_leaf(index, leaf, value);
        }
    }

    /// Sets the node that an exit leads to.
    #[inline]
    fn set_exit(&mut self, tree: usize, exit: usize, node: Node) {
        if let Some(entry) = self.exits.get_mut(tree).and_then(|exits| exits.get_mut(exit)) {
            *entry = node;
        }
    }

    #[inline]
    fn set_leaf(&mut self, index: usize, leaf: usize, value: &mut impl FnMut(usize, usize) -> f64) {
        let position = self.base + index;
        if let Some(entry) = self.layout.values.get_mut(position) {
            *entry = value(leaf, position);
        }
    }

    /// Adds nodes that are leaves for the time being; the first one's index.
    #[inline]
    fn push_nodes(&mut self, count: usize) -> usize {
        let first = self.layout.nodes.len() - self.base;
        self.layout.nodes.extend((first..first + count).map(Node::leaf));
        self.layout.values.resize(self.layout.nodes.len(), 0.0);
        first
    }

    #[inline]
    fn set(&mut self, index: usize, node: Node) {
        if let Some(entry) = self.layout.nodes.get_mut(self.base + index) {
            *entry = node;
        }
    }
}

/// Where a node is put.
#[derive(Clone, Copy)]
enum Place {
    /// In a level, or just below the last one.
    Level(usize, usize),
    /// Among the nodes of the group.
    Node(usize),
}
