//! Trees laid out in groups for the kernel.

use crate::trees::{Split, Streams, TreeSpan};
use crate::word::Word;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Trees that are walked side by side. With fewer, the processor waits for loads; with
/// more, compilers run out of registers.
pub(crate) const LANES: usize = 8;
/// Trees of a group, at the most: whole lanes, and a power of two so that places are
/// masked and not checked.
pub(crate) const GROUP: usize = 128;
/// Steps that all trees of a group take together; deeper ones go on in rounds.
const COMMON_STEPS: u32 = 6;

/// Groups of trees with their leaf values.
#[derive(Debug)]
pub(crate) struct Layout<W> {
    /// Nodes of all groups; a group's roots come first in it, in the order of its trees.
    pub(crate) nodes: Vec<W>,
    /// In source order.
    pub(crate) groups: Vec<Group>,
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
    /// Steps taken by all.
    pub(crate) steps: u32,
}

impl<W: Word> Layout<W> {
    /// Whether the trees fit this width of node.
    pub(crate) fn fits(spans: &[TreeSpan], slots: usize, highest_rank: u32) -> bool {
        let slots_fit = W::SLOTS == 0 || slots <= W::SLOTS;
        slots_fit && highest_rank <= W::HIGHEST_RANK && Self::group_trees(spans) >= LANES
    }

    /// How many trees a group can take, were all as large as the largest.
    fn group_trees(spans: &[TreeSpan]) -> usize {
        let widest = spans.iter().map(TreeSpan::nodes).max().unwrap_or(1);
        (W::GROUP_NODES / widest).min(GROUP) / LANES * LANES
    }

    /// Lays trees out in source order.
    ///
    /// `leaf_at` is told the position that each leaf of the part is placed at.
    pub(crate) fn build(spans: &[TreeSpan], streams: &Streams<'_>, mut leaf_at: impl FnMut(usize, usize)) -> Self {
        let trees = Self::group_trees(spans).max(LANES);
        let nodes = spans.iter().map(TreeSpan::nodes).sum::<usize>() + spans.len().div_ceil(trees) * LANES;
        let padding = if W::SLOTS > 0 { W::GROUP_NODES } else { 0 };
        let mut layout = Self {
            nodes: Vec::with_capacity(nodes + padding),
            groups: Vec::with_capacity(spans.len().div_ceil(trees)),
            values: Vec::with_capacity(nodes),
        };
        for group in spans.chunks(trees) {
            layout.push_group(group, streams, &mut leaf_at);
        }
        // Every window must be whole, the last one too.
        layout.nodes.resize(layout.nodes.len() + padding, W::default());
        layout
    }

    /// How many node positions there are.
    pub(crate) fn positions(&self) -> usize {
        self.values.len()
    }

    fn push_group(&mut self, group: &[TreeSpan], streams: &Streams<'_>, leaf_at: &mut impl FnMut(usize, usize)) {
        let base = self.nodes.len();
        // Places without a tree keep a leaf that nobody reads.
        for place in 0..group.len().next_multiple_of(LANES) {
            self.nodes.push(W::leaf(place));
            self.values.push(0.0);
        }
        for (root, span) in group.iter().enumerate() {
            self.push_tree(base, root, span, streams, leaf_at);
        }
        // The roots are loaded before the first step, so depth d takes d steps.
        let steps = group.iter().map(|span| span.depth).max().unwrap_or(0).min(COMMON_STEPS);
        self.groups.push(Group { base: base as u32, trees: group.len() as u32, steps });
    }

    /// Places one tree level by level: the top levels, which every row passes, then share
    /// a cache line or two, where pre-order would spread them.
    fn push_tree(
        &mut self,
        base: usize,
        root: usize,
        span: &TreeSpan,
        streams: &Streams<'_>,
        leaf_at: &mut impl FnMut(usize, usize),
    ) {
        let tree = read_tree(span, streams);
        let mut queue = VecDeque::from([(0, root)]);
        while let Some((node, place)) = queue.pop_front() {
            let word = match tree.get(node).copied() {
                None => return,
                Some(Node::Leaf { leaf }) => {
                    self.set_value(base + place, streams.leaf(leaf));
                    leaf_at(leaf, base + place);
                    W::leaf(place)
                }
                Some(Node::Inner { slot, rank, right }) => {
                    let left = self.nodes.len() - base;
                    self.nodes.extend([W::default(); 2]);
                    self.values.extend([0.0; 2]);
                    // In pre-order a left child stands right behind its parent.
                    queue.extend([(node + 1, left), (right, left + 1)]);
                    W::inner(slot, rank, left)
                }
            };
            if let Some(node) = self.nodes.get_mut(base + place) {
                *node = word;
            }
        }
    }

    fn set_value(&mut self, position: usize, value: f64) {
        if let Some(entry) = self.values.get_mut(position) {
            *entry = value;
        }
    }
}

/// A node as read from the streams, still in pre-order.
#[derive(Clone, Copy)]
enum Node {
    Leaf { leaf: usize },
    Inner { slot: usize, rank: u32, right: usize },
}

/// Reads a tree and finds out where right children stand.
fn read_tree(span: &TreeSpan, streams: &Streams<'_>) -> Vec<Node> {
    let (mut rank, mut leaf) = (span.first_rank, span.first_leaf);
    let mut nodes = Vec::with_capacity(span.nodes());
    // Inner nodes whose right child is still to come.
    let mut waiting = Vec::new();
    for split in span.splits.clone() {
        match streams.split(split) {
            Split::Inner { slot } => {
                waiting.push(nodes.len());
                nodes.push(Node::Inner { slot, rank: streams.rank(rank), right: 0 });
                rank += 1;
            }
            Split::Leaf => {
                nodes.push(Node::Leaf { leaf });
                leaf += 1;
                let next = nodes.len();
                let parent = waiting.pop().and_then(|parent| nodes.get_mut(parent));
                if let Some(Node::Inner { right, .. }) = parent {
                    *right = next;
                }
            }
        }
    }
    nodes
}
