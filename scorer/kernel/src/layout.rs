//! Trees laid out in groups for the kernel.
//!
//! The first levels of all trees of a group are stored level by level, tree by tree,
//! without children: the children of place p are places 2 p and 2 p + 1 of the next level.
//! Where a tree ends earlier, conditions that always go left lead on to its exit. Below
//! the levels, nodes name their children.

use crate::node::{GROUP_NODES, Node};
use crate::outcomes::{NEVER, Outcomes};
use crate::trees::{Split, Streams, TreeSpan};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Trees that are walked side by side.
pub(crate) const LANES: usize = 8;
/// Trees of a group, at the most: whole lanes, and a power of two so that places are
/// masked and not checked.
pub(crate) const GROUP: usize = 128;
/// Levels that every tree of a group has.
const LEVELS: usize = 4;
/// Places below the levels of a group.
pub(crate) const EXITS: usize = GROUP << LEVELS;

/// Groups of trees with their leaf values.
#[derive(Debug)]
pub(crate) struct Layout {
    /// In source order.
    pub(crate) groups: Vec<Group>,
    /// Per group: the first levels.
    pub(crate) tops: Vec<Top>,
    /// Per group: the node that each place below the levels stands for, tree by tree.
    pub(crate) exits: Vec<[Node; EXITS]>,
    /// Leaves, and inner nodes below the levels.
    pub(crate) nodes: Vec<Node>,
    /// Per node position: the leaf's value; zero for inner nodes.
    pub(crate) values: Vec<f64>,
}

/// Consecutive trees whose nodes one window holds.
#[derive(Debug)]
pub(crate) struct Group {
    /// Position of the first node.
    pub(crate) base: u32,
    /// Number of trees; their places are filled up to whole lanes.
    pub(crate) trees: u32,
}

/// The first levels of a group.
#[derive(Debug)]
pub(crate) struct Top {
    /// The roots.
    pub(crate) first: [u16; GROUP],
    /// Their children.
    pub(crate) second: [u16; 2 * GROUP],
    /// The third level.
    pub(crate) third: [u16; 4 * GROUP],
    /// The fourth level.
    pub(crate) fourth: [u16; 8 * GROUP],
}

impl Top {
    fn new() -> Self {
        let never = NEVER as u16;
        Self { first: [never; _], second: [never; _], third: [never; _], fourth: [never; _] }
    }

    /// A level's conditions; none below the last.
    fn level(&mut self, level: usize) -> Option<&mut [u16]> {
        match level {
            0 => Some(&mut self.first),
            1 => Some(&mut self.second),
            2 => Some(&mut self.third),
            3 => Some(&mut self.fourth),
            _ => None,
        }
    }
}

impl Layout {
    /// Lays trees out in source order.
    ///
    /// `leaf_at` is told the position that each leaf of the part is placed at.
    pub(crate) fn build(
        spans: &[TreeSpan],
        streams: &Streams<'_>,
        outcomes: &Outcomes,
        mut leaf_at: impl FnMut(usize, usize),
    ) -> Self {
        let (groups, tops, exits) = (Vec::new(), Vec::new(), Vec::new());
        let mut layout = Self { groups, tops, exits, nodes: Vec::new(), values: Vec::new() };
        for group in fitting_groups(spans) {
            let base = layout.nodes.len();
            // Places without a tree lead to a leaf that nobody reads.
            let mut building = Building { layout, base, top: Top::new(), exits: [Node::leaf(0); _] };
            for (place, span) in group.iter().enumerate() {
                building.push_tree(place, &read_tree(span, streams, outcomes), |leaf, position| {
                    leaf_at(leaf, position);
                    streams.leaf(leaf)
                });
            }
            layout = building.layout;
            layout.tops.push(building.top);
            layout.exits.push(building.exits);
            layout.groups.push(Group { base: base as u32, trees: group.len() as u32 });
        }
        // Every window must be whole, the last one too.
        layout.nodes.resize(layout.nodes.len() + GROUP_NODES, Node::default());
        layout
    }

    /// How many trees there are.
    pub(crate) fn trees(&self) -> usize {
        self.groups.iter().map(|group| group.trees as usize).sum()
    }

    /// How many node positions there are.
    pub(crate) fn positions(&self) -> usize {
        self.values.len()
    }
}

/// Consecutive trees of which each part fits into one group; a tree alone always does.
fn fitting_groups(mut spans: &[TreeSpan]) -> impl Iterator<Item = &[TreeSpan]> {
    core::iter::from_fn(move || {
        let mut nodes = 0;
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
struct Building {
    layout: Layout,
    /// Position of the group's first node.
    base: usize,
    top: Top,
    exits: [Node; EXITS],
}

impl Building {
    /// Places one tree level by level, so that nodes near each other share cache lines;
    /// `value` gives a leaf's value and is told where it is put.
    fn push_tree(&mut self, place: usize, tree: &[TreeNode], mut value: impl FnMut(usize, usize) -> f64) {
        let mut queue = VecDeque::from([(0, Place::Level(0, place))]);
        while let Some((node, place)) = queue.pop_front() {
            match (tree.get(node).copied(), place) {
                (None, _) => return,
                (Some(TreeNode::Inner { condition, left, right, .. }), place) => {
                    let [a, b] = self.place_inner(condition, place);
                    queue.extend([(left, a), (right, b)]);
                }
                (Some(TreeNode::Leaf { leaf }), place) => {
                    let index = self.place_leaf(place);
                    if let Some(entry) = self.layout.values.get_mut(self.base + index) {
                        *entry = value(leaf, self.base + index);
                    }
                }
            }
        }
    }

    /// Places an inner node and tells where its children go.
    fn place_inner(&mut self, condition: usize, place: Place) -> [Place; 2] {
        if let Place::Level(level, at) = place
            && let Some(entry) = self.top.level(level).and_then(|level| level.get_mut(at))
        {
            *entry = condition as u16;
            return [Place::Level(level + 1, 2 * at), Place::Level(level + 1, 2 * at + 1)];
        }
        let left = self.layout.nodes.len() - self.base;
        self.layout.nodes.extend([Node::leaf(left), Node::leaf(left + 1)]);
        self.layout.values.extend([0.0; 2]);
        self.set(place, Node::inner(condition, left));
        [Place::Node(left), Place::Node(left + 1)]
    }

    /// Places a leaf and tells its index.
    fn place_leaf(&mut self, place: Place) -> usize {
        if let Place::Node(index) = place {
            return index;
        }
        let index = self.layout.nodes.len() - self.base;
        self.layout.nodes.push(Node::leaf(index));
        self.layout.values.push(0.0);
        self.set(place, Node::leaf(index));
        index
    }

    fn set(&mut self, place: Place, node: Node) {
        let entry = match place {
            // All conditions from here to the exit go left.
            Place::Level(level, at) => self.exits.get_mut(at << (LEVELS - level)),
            Place::Node(index) => self.layout.nodes.get_mut(self.base + index),
        };
        if let Some(entry) = entry {
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

/// A node as read from the streams, still in pre-order.
#[derive(Clone, Copy)]
pub(crate) enum TreeNode {
    Leaf { leaf: usize },
    Inner { condition: usize, feature: u32, left: usize, right: usize },
}

/// Reads a tree and finds out where right children stand.
pub(crate) fn read_tree(span: &TreeSpan, streams: &Streams<'_>, outcomes: &Outcomes) -> Vec<TreeNode> {
    let (mut rank, mut leaf) = (span.first_rank, span.first_leaf);
    let mut nodes = Vec::with_capacity(span.nodes());
    // Inner nodes whose right child is still to come.
    let mut waiting = Vec::new();
    for split in span.splits.clone() {
        match streams.split(split) {
            Split::Inner { slot } => {
                let at = nodes.len();
                waiting.push(at);
                let condition = outcomes.condition(slot, streams.rank(rank));
                nodes.push(TreeNode::Inner { condition, feature: outcomes.feature(slot), left: at + 1, right: 0 });
                rank += 1;
            }
            Split::Leaf => {
                nodes.push(TreeNode::Leaf { leaf });
                leaf += 1;
                let next = nodes.len();
                let parent = waiting.pop().and_then(|parent| nodes.get_mut(parent));
                if let Some(TreeNode::Inner { right, .. }) = parent {
                    *right = next;
                }
            }
        }
    }
    nodes
}
