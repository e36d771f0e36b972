//! A linked node in four bytes: its condition and its left child.
//!
//! Children lie side by side, so the next node is `left + outcome`. A leaf stands on the
//! condition that always goes left and names itself as its child. Fixed array lengths let
//! every index be proven in range, so a step has no test in it.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their bits")]

use crate::outcomes::NEVER;

/// Conditions that nodes can name, and outcomes that a row has.
pub(crate) const CONDITIONS: usize = 1 << 16;
/// Nodes of a group.
pub(crate) const GROUP_NODES: usize = 1 << 16;

/// The outcomes of a row.
pub(crate) type Row = [bool; CONDITIONS];
/// The nodes from a group's first.
pub(crate) type Window = [Node; GROUP_NODES];

/// Condition in the low half, left child in the high half.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Node(u32);

impl Node {
    /// An inner node.
    pub(crate) fn inner(condition: usize, left: usize) -> Self {
        Self((condition as u32 & 0xffff) | (left as u32) << 16)
    }

    /// A leaf at this index of its group.
    pub(crate) fn leaf(at: usize) -> Self {
        Self::inner(NEVER, at)
    }

    /// The node after one step.
    #[inline(always)]
    pub(crate) fn step(self, window: &Window, row: &Row) -> Self {
        let right = row[(self.0 & 0xffff) as usize];
        window[((self.0 >> 16) + u32::from(right)) as usize & 0xffff]
    }

    /// For a leaf, its own index.
    #[inline(always)]
    pub(crate) fn index(self) -> usize {
        (self.0 >> 16) as usize
    }

    /// Whether this is a leaf.
    #[inline(always)]
    pub(crate) fn is_leaf(self) -> bool {
        self.0 & 0xffff == 0
    }
}
