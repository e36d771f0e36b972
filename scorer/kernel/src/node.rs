//! A linked node in four bytes: its condition and its left child.
//!
//! Children lie side by side, so the next node is `left + outcome`. A leaf stands on the
//! condition that always goes left and names itself as its child. Fixed array lengths let
//! every index be proven in range, so a step has no test in it.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their type")]

/// The condition that always goes left: leaves stand still on it.
pub(crate) const NEVER: usize = 0;
/// Conditions that nodes can name, and outcomes that a row has.
pub(crate) const CONDITIONS: usize = 1 << 16;
/// Nodes of a group.
pub(crate) const GROUP_NODES: usize = 1 << 16;

/// The outcomes of a row.
pub(crate) type Row = [bool; CONDITIONS];
/// The nodes from a group's first.
pub(crate) type Window = [Node; GROUP_NODES];

/// Two numbers of two bytes each, read one by one: to take a word apart costs more.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Node {
    condition: u16,
    left: u16,
}

impl Node {
    /// An inner node.
    pub(crate) fn inner(condition: usize, left: usize) -> Self {
        Self { condition: condition as u16, left: left as u16 }
    }

    /// A leaf at this index of its group.
    pub(crate) fn leaf(at: usize) -> Self {
        Self::inner(NEVER, at)
    }

    /// [`NEVER`] for a leaf.
    #[inline(always)]
    pub(crate) fn condition(self) -> u16 {
        self.condition
    }
}

/// The index of the node after one step from the one at an index.
#[inline(always)]
pub(crate) fn step(at: u16, window: &Window, row: &Row) -> u16 {
    let node = window[usize::from(at)];
    node.left.wrapping_add(u16::from(row[usize::from(node.condition)]))
}
