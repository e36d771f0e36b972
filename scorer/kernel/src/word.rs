//! A node in one word.
//!
//! Slot | complement of the split's rank | left child. Children lie side by side. With the
//! row's rank shifted below the child index, one addition carries into it exactly when
//! the rank is above the split's, and one shift reads the child off:
//! `next = (node + slots[slot]) >> CHILD`. A leaf has a complement of zero, so nothing
//! carries, and names itself as its child.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their bits")]

/// A node word of one width.
pub(crate) trait Word: Copy + Default + PartialEq + core::fmt::Debug {
    /// The highest rank a slot can hold: above every split, so "go right".
    const HIGHEST_RANK: u32;
    /// Nodes a group may have, and zeros behind the last group.
    const GROUP_NODES: usize;
    /// How many slots a row has at the least, and a forest at the most (0: any number).
    const SLOTS: usize;
    /// The nodes that a step can reach from a group's first.
    type Window: ?Sized;
    /// The slots that a node can name.
    type Slots: ?Sized;

    /// An inner node; `rank` is below [`Word::HIGHEST_RANK`].
    fn inner(slot: usize, rank: u32, left: usize) -> Self;
    /// A leaf at this index of its group.
    fn leaf(at: usize) -> Self;
    /// A row's rank as it stands in a slot.
    fn rank(rank: u32) -> Self;
    /// The nodes from a group's first; `None` is never met in a built layout.
    fn window(nodes: &[Self]) -> Option<&Self::Window>;
    /// A row's slots; `None` is never met after `Ranks::fill`.
    fn slots(slots: &[Self]) -> Option<&Self::Slots>;
    /// The index after one step.
    fn next(self, slots: &Self::Slots) -> usize;
    /// The node after one step.
    #[inline(always)]
    fn step(self, window: &Self::Window, slots: &Self::Slots) -> Self {
        Self::at(window, self.next(slots))
    }
    /// The node at an index.
    fn at(window: &Self::Window, index: usize) -> Self;
    /// For a leaf, its own index.
    fn index(self) -> usize;
    /// Whether this is a leaf.
    fn is_leaf(self) -> bool;
}

/// Four bytes: 256 slots, 255 thresholds a feature, 65,536 nodes a group. Fixed array
/// lengths let every index be proven in range, so a step has no test in it.
impl Word for u32 {
    const HIGHEST_RANK: u32 = 0xff;
    const GROUP_NODES: usize = 1 << 16;
    const SLOTS: usize = 256;
    type Window = [u32; 1 << 16];
    type Slots = [u32; 256];

    fn inner(slot: usize, rank: u32, left: usize) -> Self {
        (slot as u32 & 0xff) | (0xff - (rank & 0xff)) << 8 | (left as u32) << 16
    }
    fn leaf(at: usize) -> Self {
        (at as u32) << 16
    }
    fn rank(rank: u32) -> Self {
        rank << 8
    }
    #[inline(always)]
    fn window(nodes: &[Self]) -> Option<&Self::Window> {
        nodes.first_chunk()
    }
    #[inline(always)]
    fn slots(slots: &[Self]) -> Option<&Self::Slots> {
        slots.first_chunk()
    }
    #[inline(always)]
    fn next(self, slots: &Self::Slots) -> usize {
        (self.wrapping_add(slots[(self & 0xff) as usize]) >> 16) as usize
    }
    #[inline(always)]
    fn at(window: &Self::Window, index: usize) -> Self {
        window[index & 0xffff]
    }
    #[inline(always)]
    fn index(self) -> usize {
        (self >> 16) as usize
    }
    #[inline(always)]
    fn is_leaf(self) -> bool {
        self & 0xff00 == 0
    }
}

/// Eight bytes, for what does not fit into four.
impl Word for u64 {
    const HIGHEST_RANK: u32 = 0xffff;
    const GROUP_NODES: usize = 1 << 24;
    const SLOTS: usize = 0;
    type Window = [u64];
    type Slots = [u64];

    fn inner(slot: usize, rank: u32, left: usize) -> Self {
        (slot as u64 & 0xffff) | u64::from(0xffff - (rank & 0xffff)) << 16 | (left as u64) << 32
    }
    fn leaf(at: usize) -> Self {
        (at as u64) << 32
    }
    fn rank(rank: u32) -> Self {
        u64::from(rank) << 16
    }
    #[inline(always)]
    fn window(nodes: &[Self]) -> Option<&Self::Window> {
        Some(nodes)
    }
    #[inline(always)]
    fn slots(slots: &[Self]) -> Option<&Self::Slots> {
        Some(slots)
    }
    #[inline(always)]
    fn next(self, slots: &Self::Slots) -> usize {
        let slot = slots.get((self & 0xffff) as usize).copied().unwrap_or_default();
        (self.wrapping_add(slot) >> 32) as usize
    }
    #[inline(always)]
    fn at(window: &Self::Window, index: usize) -> Self {
        window.get(index).copied().unwrap_or_default()
    }
    #[inline(always)]
    fn index(self) -> usize {
        (self >> 32) as usize
    }
    #[inline(always)]
    fn is_leaf(self) -> bool {
        self & 0xffff_0000 == 0
    }
}
