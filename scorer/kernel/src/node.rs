//! A linked node in four bytes: what decides it and its left child.
//!
//! Children lie side by side, so the next node is `left + outcome`. A leaf's lower half is
//! zero, which always goes left, and it names itself as its child. Two forms of the lower
//! half, the second where a row's ranks are few bytes:
//!
//! - the condition: its outcome is looked up and added;
//! - four times the slot, and above it 255 less the rank that goes left at most: added to the
//!   slot's rank, what goes right carries into the child.
//!
//! Fixed array lengths let every index be proven in range, so a step has no test in it.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their type")]

use crate::lanes::Word;

/// The condition that always goes left.
pub(crate) const NEVER: usize = 0;
/// Conditions that nodes can name, and outcomes that a row has.
pub(crate) const CONDITIONS: usize = 1 << 16;
/// Nodes of a group.
pub(crate) const GROUP_NODES: usize = 1 << 16;
/// Ranks that nodes can name.
pub(crate) const SLOTS: usize = 64;

/// The outcomes of a row.
pub(crate) type Row = [bool; CONDITIONS];
/// The ranks of a row, a byte further left than they count: what is added to nodes.
pub(crate) type Carries = [u32; SLOTS];
/// The nodes from a group's first.
pub(crate) type Window = [Node; GROUP_NODES];

/// The lower half decides, the upper half is the left child.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Node(u32);

/// Decides nodes for one row.
pub(crate) trait Decide {
    /// The index of the node that follows.
    fn next(&self, node: Node) -> u16;
}

impl Node {
    /// An inner node by its condition.
    pub(crate) fn by_condition(condition: usize, left: usize) -> Self {
        Self((left << 16 | condition) as u32)
    }

    /// An inner node by its slot and the greatest rank that goes left, which is below 255.
    pub(crate) fn by_rank((slot, limit): (usize, u8), left: usize) -> Self {
        Self((left << 16 | usize::from(u8::MAX - limit) << 8 | slot << 2) as u32)
    }

    /// A leaf at this index of its group.
    pub(crate) fn leaf(at: usize) -> Self {
        Self::by_condition(NEVER, at)
    }

    /// The left child's index, for a leaf its own.
    #[inline(always)]
    pub(crate) fn left(self) -> u16 {
        (self.0 >> 16) as u16
    }

    #[inline(always)]
    pub(crate) fn word(self) -> Word {
        self.0.to_le_bytes()
    }
}

impl From<Word> for Node {
    #[inline(always)]
    fn from(word: Word) -> Self {
        Self(u32::from_le_bytes(word))
    }
}

impl Decide for Row {
    #[inline(always)]
    fn next(&self, node: Node) -> u16 {
        node.left().wrapping_add(u16::from(self[usize::from(node.0 as u16)]))
    }
}

impl Decide for Carries {
    #[inline(always)]
    fn next(&self, node: Node) -> u16 {
        (node.0.wrapping_add(self[(node.0 >> 2) as usize % SLOTS]) >> 16) as u16
    }
}
