//! A tree as read from the streams, still in pre-order.

use crate::outcomes::Outcomes;
use crate::trees::{Split, Streams, TreeSpan};
use alloc::vec::Vec;

/// A node; children are positions in the list of nodes.
#[derive(Clone, Copy)]
pub(crate) enum TreeNode {
    Leaf { leaf: usize },
    Inner { rule: usize, condition: usize, feature: u32, left: usize, right: usize },
}

/// Reads a tree and finds out where right children stand.
#[inline]
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
                let feature = outcomes.feature(slot);
                nodes.push(TreeNode::Inner { rule: slot, condition, feature, left: at + 1, right: 0 });
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
