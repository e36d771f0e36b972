//! The walk through the trees.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their bits")]

use crate::layout::{EXITS, GROUP, Group, LANES, Layout, Top};
use crate::node::{Node, Row, Window};

/// Steps in a round over the trees that go deeper: two at a time, so an even number.
const ROUND_STEPS: usize = 4;

impl Layout {
    /// Walks every tree for one row.
    ///
    /// Group by group: the levels that all trees have, without a branch; then rounds over
    /// the trees that go deeper. `leaves` is told, in source order, each group's first node
    /// position, the leaf of each of its trees, and the values by index.
    #[inline(always)]
    pub(crate) fn walk(&self, row: &Row, mut leaves: impl FnMut(u32, &[Node], &[f64])) {
        // Where each tree stands, and the trees that are not at a leaf yet.
        let mut at = [Node::default(); GROUP];
        let mut deep = [0; GROUP];
        for ((group, top), exits) in self.groups.iter().zip(&self.tops).zip(&self.exits) {
            let nodes = self.nodes.get(group.base as usize..).unwrap_or_default();
            let values = self.values.get(group.base as usize..).unwrap_or_default();
            let Some(window) = nodes.first_chunk() else { return };
            let mut waiting = levels(group, top, exits, row, &mut at, &mut deep);
            while waiting > 0 {
                waiting = round(waiting, window, row, &mut at, &mut deep);
            }
            leaves(group.base, at.get(..group.trees as usize).unwrap_or_default(), values);
        }
    }
}

/// Phase one: four levels for all trees, two at a time; returns how many are not at a leaf.
///
/// Going through memory after two levels keeps what waits for a load short, so that the
/// processor always has several trees under way; and needs few registers, of which engines
/// have few to give.
#[inline(never)]
fn levels(
    group: &Group,
    top: &Top,
    exits: &[Node; EXITS],
    row: &Row,
    at: &mut [Node; GROUP],
    deep: &mut [u8; GROUP],
) -> usize {
    let mut places = [[0u16; LANES]; GROUP / LANES];
    let places = places.get_mut(..(group.trees as usize).div_ceil(LANES)).unwrap_or_default();
    for (first, lanes) in places.iter_mut().enumerate() {
        for (lane, place) in lanes.iter_mut().enumerate() {
            *place = down(&top.first, &top.second, row, LANES * first + lane) as u16;
        }
    }
    let mut waiting = 0;
    for (first, lanes) in places.iter().enumerate() {
        for (lane, place) in lanes.iter().enumerate() {
            let node = exits[down(&top.third, &top.fourth, row, usize::from(*place)) % EXITS];
            let tree = (LANES * first + lane) % GROUP;
            at[tree] = node;
            deep[waiting % GROUP] = tree as u8;
            waiting += usize::from(!node.is_leaf());
        }
    }
    waiting
}

/// Two levels down, from a place in a level of N to one in a level of 4 N.
#[inline(always)]
fn down<const N: usize, const M: usize>(upper: &[u16; N], lower: &[u16; M], row: &Row, place: usize) -> usize {
    let place = place % N;
    let place = 2 * place + usize::from(row[usize::from(upper[place])]);
    2 * place + usize::from(row[usize::from(lower[place % M])])
}

/// A round of phase two: some steps for all trees that wait; returns how many still do.
#[inline(never)]
fn round(waiting: usize, window: &Window, row: &Row, at: &mut [Node; GROUP], deep: &mut [u8; GROUP]) -> usize {
    let mut still = 0;
    for first in (0..waiting).step_by(LANES) {
        // Beyond the list stand trees that are at a leaf, where a step changes nothing,
        // or that this round has moved already, where more steps do no harm.
        let trees: [usize; LANES] = core::array::from_fn(|lane| usize::from(deep[(first + lane) % GROUP]) % GROUP);
        let mut lanes = trees.map(|tree| at[tree]);
        for _ in 0..ROUND_STEPS / 2 {
            for lane in &mut lanes {
                *lane = lane.step(window, row);
            }
            for lane in &mut lanes {
                *lane = lane.step(window, row);
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
