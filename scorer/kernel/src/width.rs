//! Nodes in one of two widths.
//!
//! A linked node holds its condition and its left child; children lie side by side, so
//! the next node is `left + outcome`. A leaf stands on the condition that always goes
//! left and names itself as its child.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their bits")]

use crate::outcomes::NEVER;

/// The types of one width.
pub(crate) trait Width: Sized + core::fmt::Debug {
    /// A condition's position.
    type Condition: Copy + Default + core::fmt::Debug;
    /// A linked node.
    type Node: Copy + Default + core::fmt::Debug;
    /// The nodes that a step can reach from a group's first.
    type Window: ?Sized;
    /// The outcomes that a node can name.
    type Outcomes: ?Sized;
    /// How many conditions a forest may have, and outcomes a row has at the least
    /// (0: any number).
    const CONDITIONS: usize;
    /// Nodes a group may have, and zeros behind the last group.
    const GROUP_NODES: usize;

    /// A condition's position.
    fn condition(at: usize) -> Self::Condition;
    /// An inner node.
    fn inner(condition: usize, left: usize) -> Self::Node;
    /// A leaf at this index of its group.
    fn leaf(at: usize) -> Self::Node {
        Self::inner(NEVER, at)
    }
    /// The nodes from a group's first; `None` is never met in a built layout.
    fn window(nodes: &[Self::Node]) -> Option<&Self::Window>;
    /// A row's outcomes; `None` is never met after they were filled in.
    fn outcomes(outcomes: &[bool]) -> Option<&Self::Outcomes>;
    /// Whether a condition goes right.
    fn goes_right(outcomes: &Self::Outcomes, condition: Self::Condition) -> bool;
    /// The node after one step.
    fn step(node: Self::Node, window: &Self::Window, outcomes: &Self::Outcomes) -> Self::Node;
    /// For a leaf, its own index.
    fn index(node: Self::Node) -> usize;
    /// Whether this is a leaf.
    fn is_leaf(node: Self::Node) -> bool;
}

/// Four bytes a node: 65,536 conditions, 65,536 nodes a group. Fixed array lengths let
/// every index be proven in range, so a step has no test in it.
#[derive(Debug)]
pub(crate) enum Narrow {}

impl Width for Narrow {
    type Condition = u16;
    type Node = u32;
    type Window = [u32; 1 << 16];
    type Outcomes = [bool; 1 << 16];
    const CONDITIONS: usize = 1 << 16;
    const GROUP_NODES: usize = 1 << 16;

    fn condition(at: usize) -> u16 {
        at as u16
    }
    fn inner(condition: usize, left: usize) -> u32 {
        (condition as u32 & 0xffff) | (left as u32) << 16
    }
    #[inline(always)]
    fn window(nodes: &[u32]) -> Option<&Self::Window> {
        nodes.first_chunk()
    }
    #[inline(always)]
    fn outcomes(outcomes: &[bool]) -> Option<&Self::Outcomes> {
        outcomes.first_chunk()
    }
    #[inline(always)]
    fn goes_right(outcomes: &Self::Outcomes, condition: u16) -> bool {
        outcomes[usize::from(condition)]
    }
    #[inline(always)]
    fn step(node: u32, window: &Self::Window, outcomes: &Self::Outcomes) -> u32 {
        let right = outcomes[(node & 0xffff) as usize];
        window[((node >> 16) + u32::from(right)) as usize & 0xffff]
    }
    #[inline(always)]
    fn index(node: u32) -> usize {
        (node >> 16) as usize
    }
    #[inline(always)]
    fn is_leaf(node: u32) -> bool {
        node & 0xffff == 0
    }
}

/// Eight bytes, for what does not fit into four.
#[derive(Debug)]
pub(crate) enum Wide {}

impl Width for Wide {
    type Condition = u32;
    type Node = u64;
    type Window = [u64];
    type Outcomes = [bool];
    const CONDITIONS: usize = 0;
    const GROUP_NODES: usize = 1 << 24;

    fn condition(at: usize) -> u32 {
        at as u32
    }
    fn inner(condition: usize, left: usize) -> u64 {
        condition as u64 & 0xffff_ffff | (left as u64) << 32
    }
    #[inline(always)]
    fn window(nodes: &[u64]) -> Option<&Self::Window> {
        Some(nodes)
    }
    #[inline(always)]
    fn outcomes(outcomes: &[bool]) -> Option<&Self::Outcomes> {
        Some(outcomes)
    }
    #[inline(always)]
    fn goes_right(outcomes: &Self::Outcomes, condition: u32) -> bool {
        outcomes.get(condition as usize).copied().unwrap_or_default()
    }
    #[inline(always)]
    fn step(node: u64, window: &Self::Window, outcomes: &Self::Outcomes) -> u64 {
        let right = Self::goes_right(outcomes, node as u32);
        window.get((node >> 32) as usize + usize::from(right)).copied().unwrap_or_default()
    }
    #[inline(always)]
    fn index(node: u64) -> usize {
        (node >> 32) as usize
    }
    #[inline(always)]
    fn is_leaf(node: u64) -> bool {
        node as u32 == 0
    }
}
