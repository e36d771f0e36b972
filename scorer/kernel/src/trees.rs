//! Trees as they come in: pre-order streams, checked by whoever built them.

use core::ops::Range;

/// In the stream of splits: this node is a leaf.
pub const LEAF: u16 = u16::MAX;

/// What a split takes for missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Missing {
    /// Nothing; NaN counts as zero.
    IsZero = 0,
    /// Zero and NaN.
    ZeroOrNan = 1,
    /// NaN.
    Nan = 2,
}

/// The nodes of a forest in pre-order, as streams of little-endian numbers.
#[derive(Clone, Copy, Debug)]
pub struct Streams<'b> {
    /// Per node: its rule, or [`LEAF`].
    pub splits: &'b [[u8; 2]],
    /// Per inner node: position of its threshold.
    pub ranks: &'b [[u8; 2]],
    /// Per leaf: its value.
    pub leaves: &'b [[u8; 8]],
}

/// One entry of the stream of splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// A leaf.
    Leaf,
    /// A split by the rule of this slot.
    Inner {
        /// The slot.
        slot: usize,
    },
}

/// Where one tree lies in the streams.
#[derive(Clone, Debug)]
pub struct TreeSpan {
    /// Its nodes.
    pub splits: Range<usize>,
    /// Its first inner node's rank.
    pub first_rank: usize,
    /// Its first leaf.
    pub first_leaf: usize,
    /// Splits on the longest way to a leaf.
    pub depth: u32,
}

impl TreeSpan {
    /// Number of nodes, leaves included.
    pub fn nodes(&self) -> usize {
        self.splits.len()
    }
}

impl Streams<'_> {
    /// The split at a node; beyond the end, a leaf.
    pub fn split(&self, index: usize) -> Split {
        match self.splits.get(index).map_or(LEAF, |bytes| u16::from_le_bytes(*bytes)) {
            LEAF => Split::Leaf,
            slot => Split::Inner { slot: usize::from(slot) },
        }
    }

    /// The rank at an inner node.
    pub fn rank(&self, index: usize) -> u16 {
        self.ranks.get(index).map_or(0, |bytes| u16::from_le_bytes(*bytes))
    }

    /// The value of a leaf.
    pub fn leaf(&self, index: usize) -> f64 {
        self.leaves.get(index).map_or(f64::NAN, |bytes| f64::from_le_bytes(*bytes))
    }
}
