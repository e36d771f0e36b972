//! The walk through the trees.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their bits")]

use crate::layout::{GROUP, Group, LANES, Layout};
use crate::word::Word;

/// Steps in a round over the trees that go deeper.
const ROUND_STEPS: usize = 6;

impl<W: Word> Layout<W> {
    /// Walks every tree for one row and hands out the leaves' positions in source order.
    ///
    /// Group by group: some common steps, eight trees side by side and without a branch;
    /// then rounds over the few trees that go deeper. Handing leaves out after each group
    /// lets the processor add them up while it walks the next.
    #[inline(always)]
    pub(crate) fn walk(&self, slots: &[W], mut leaf: impl FnMut(u32, f64)) {
        let Some(slots) = W::slots(slots) else { return };
        let mut at = [W::default(); GROUP];
        let mut deep = [0; GROUP];
        for group in &self.groups {
            let nodes = self.nodes.get(group.base as usize..).unwrap_or_default();
            let values = self.values.get(group.base as usize..).unwrap_or_default();
            let Some(window) = W::window(nodes) else { return };
            let mut waiting = common_steps(group, window, slots, &mut at, &mut deep);
            while waiting > 0 {
                waiting = more_steps(waiting, window, slots, &mut at, &mut deep);
            }
            for node in at.get(..group.trees as usize).unwrap_or_default() {
                let Some(value) = values.get(node.index()) else { return };
                leaf(group.base + node.index() as u32, *value);
            }
        }
    }
}

/// Phase one: notes where each tree stands, lists those not at a leaf, counts them.
///
/// A function of its own, with few values alive, so that compilers keep the lanes in
/// registers; and a loop over steps, so that they keep the lanes side by side.
#[inline(never)]
fn common_steps<W: Word>(
    group: &Group,
    window: &W::Window,
    slots: &W::Slots,
    at: &mut [W; GROUP],
    deep: &mut [u8; GROUP],
) -> usize {
    let mut waiting = 0;
    for first in (0..group.trees as usize).step_by(LANES) {
        let mut lanes: [W; LANES] = core::array::from_fn(|lane| W::at(window, first + lane));
        for _ in 0..group.steps {
            for lane in &mut lanes {
                *lane = lane.step(window, slots);
            }
        }
        for (lane, node) in lanes.into_iter().enumerate() {
            let tree = (first + lane) % GROUP;
            at[tree] = node;
            deep[waiting % GROUP] = tree as u8;
            waiting += usize::from(!node.is_leaf());
        }
    }
    waiting
}

/// A round of phase two; returns how many trees are still not at a leaf.
#[inline(never)]
fn more_steps<W: Word>(
    waiting: usize,
    window: &W::Window,
    slots: &W::Slots,
    at: &mut [W; GROUP],
    deep: &mut [u8; GROUP],
) -> usize {
    let mut still = 0;
    for first in (0..waiting).step_by(LANES) {
        // Beyond the list stand trees that are at a leaf, where a step changes nothing,
        // or that this round has moved already, where more steps do no harm.
        let trees: [usize; LANES] = core::array::from_fn(|lane| deep[(first + lane) % GROUP] as usize % GROUP);
        let mut lanes = trees.map(|tree| at[tree]);
        for _ in 0..ROUND_STEPS {
            for lane in &mut lanes {
                *lane = lane.step(window, slots);
            }
        }
        for (lane, (tree, node)) in trees.into_iter().zip(lanes).enumerate() {
            at[tree] = node;
            deep[still % GROUP] = tree as u8;
            still += usize::from(!node.is_leaf() && first + lane < waiting);
        }
    }
    still
}
