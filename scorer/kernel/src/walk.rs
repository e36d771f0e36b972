//! One row through all trees.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their bits")]

use crate::lanes::{FOUR, Word, keep};
use crate::layout::{Exits, Layout};
use crate::node::{Decide, Node, Window};
use crate::outcomes::Decided;
use crate::top::{Down, EXITS, GROUP, Places};
use core::array::from_fn;

/// Steps in the first round, of all trees, of which some are at their leaves already.
const START_STEPS: usize = 1;
/// Steps in a round over the trees that go on.
const ROUND_STEPS: usize = 2;

/// Working memory of a walk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walk {
    down: Down,
    deep: Deep,
}

/// Trees on their way.
#[derive(Clone, Debug)]
struct Deep {
    /// Four times the number of each tree. Not a constant: a sequence packs badly, and modules
    /// travel.
    all: [Word; GROUP],
    /// Per tree of the group its node, in the end its leaf; then room for no tree.
    at: [Word; LIST],
    /// The trees that are not at a leaf yet, and their nodes. Four times a tree's number:
    /// how far into `at` its node lies, which saves a shift for each tree and round.
    trees: [Word; LIST],
    nodes: [Word; LIST],
}

/// Length of a list, with room after the last tree; a power of two so that places are
/// masked, not checked.
const LIST: usize = 2 * GROUP;
/// Trees that go on side by side.
const LANES: usize = 8;
/// A place in `at` that belongs to no tree.
const NO_TREE: u32 = 4 * GROUP as u32;

impl Default for Deep {
    fn default() -> Self {
        let all = from_fn(|tree| (4 * tree as u32).to_le_bytes());
        Self { all, at: [[0; _]; _], nodes: [[0; _]; _], trees: [[0; _]; _] }
    }
}

impl Layout {
    /// Walks every tree for one row.
    ///
    /// Group by group: the levels that all trees have, without a branch; then rounds over
    /// the trees that go deeper. `leaves` is told, in source order, each group's first node
    /// position, the leaf of each of its trees, and the values by index.
    #[inline(always)]
    pub(crate) fn walk(&self, decided: &Decided, work: &mut Walk, mut leaves: impl FnMut(usize, &[Word], &[f64])) {
        let Walk { down, deep } = work;
        for group in &self.groups {
            let nodes = self.nodes.get(group.base..).unwrap_or_default();
            let values = self.values.get(group.base..).unwrap_or_default();
            let Some(window) = nodes.first_chunk() else { return };
            group.top.down(group.trees, decided, down);
            if let Some(few) = &decided.few {
                deep.walk(&group.exits, &down.places, window, &few.carries);
            } else if let Some(row) = decided.row() {
                deep.walk(&group.exits, &down.places, window, row);
            }
            leaves(group.base, deep.at.get(..group.trees).unwrap_or_default(), values);
        }
    }
}

impl Deep {
    /// From where the levels end to the leaves.
    #[inline(always)]
    fn walk(&mut self, exits: &[Exits], places: &Places, window: &Window, row: &impl Decide) {
        let mut waiting = self.start(exits, places, window, row);
        while waiting > 0 {
            waiting = self.round(waiting, window, row);
        }
    }

    /// The first round, of all trees; how many go on.
    #[inline(never)]
    fn start(&mut self, exits: &[Exits], places: &Places, window: &Window, row: &impl Decide) -> usize {
        let (exits, places) = (exits.as_chunks::<LANES>().0, places.as_chunks::<LANES>().0);
        let at = self.at.as_chunks_mut::<LANES>().0;
        for ((exits, places), at) in exits.iter().zip(places).zip(at) {
            for lane in 0..LANES {
                at[lane] = steps::<START_STEPS>(exits[lane][usize::from(places[lane] / 4) % EXITS], window, row).word();
            }
        }
        let (at, lists) = (self.at.as_chunks::<FOUR>().0, (&mut self.nodes, &mut self.trees));
        let mut kept = 0;
        let eights = at.as_chunks::<2>().0.iter().zip(self.all.as_chunks::<FOUR>().0.as_chunks::<2>().0);
        for (at, trees) in eights.take(exits.len()) {
            kept = keep((&at[0], &trees[0]), (&mut *lists.0, &mut *lists.1), kept);
            kept = keep((&at[1], &trees[1]), (&mut *lists.0, &mut *lists.1), kept);
        }
        self.end(kept);
        kept
    }

    /// Some steps for all trees that wait; how many still do.
    #[inline(never)]
    fn round(&mut self, waiting: usize, window: &Window, row: &impl Decide) -> usize {
        let (nodes, trees) = (self.nodes.as_chunks_mut::<LANES>().0, self.trees.as_chunks::<LANES>().0);
        for (nodes, trees) in nodes.iter_mut().zip(trees).take(waiting.div_ceil(LANES)) {
            for (node, tree) in nodes.iter_mut().zip(trees) {
                *node = steps::<ROUND_STEPS>((*node).into(), window, row).word();
                self.at[(u32::from_le_bytes(*tree) / 4) as usize % LIST] = *node;
            }
        }
        let mut kept = 0;
        for from in (0..waiting).step_by(LANES) {
            // Never ahead of what is read: as many are kept as were read, or fewer.
            for from in [from, from + FOUR] {
                let four = (four(&self.nodes, from), four(&self.trees, from));
                kept = keep((&four.0, &four.1), (&mut self.nodes, &mut self.trees), kept);
            }
        }
        self.end(kept);
        kept
    }

    /// Fills the last lanes up with no tree, at a leaf of none.
    fn end(&mut self, count: usize) {
        let rest = (self.nodes.get_mut(count..), self.trees.get_mut(count..));
        let lanes = rest.0.and_then(<[_]>::first_chunk_mut).zip(rest.1.and_then(<[_]>::first_chunk_mut));
        if let Some((nodes, trees)) = lanes {
            (*nodes, *trees) = ([[0; _]; LANES], [NO_TREE.to_le_bytes(); LANES]);
        }
    }
}

#[inline(always)]
fn steps<const STEPS: usize>(mut node: Node, window: &Window, row: &impl Decide) -> Node {
    for _ in 0..STEPS {
        node = window[usize::from(row.next(node))];
    }
    node
}

#[inline(always)]
fn four(list: &[Word; LIST], from: usize) -> [Word; FOUR] {
    list.as_chunks().0[from / FOUR % (LIST / FOUR)]
}
