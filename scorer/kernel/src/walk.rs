//! One row through all trees.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their bits")]

use crate::layout::{Exits, Layout};
use crate::node::{Row, Window, step};
use crate::outcomes::Decided;
use crate::top::{Down, EXITS, GROUP, Places};

/// Steps in a round over the trees that go deeper.
const ROUND_STEPS: usize = 2;
/// Trees of a word of bits.
const WORD: usize = 64;

/// Working memory of a walk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walk {
    down: Down,
    deep: Deep,
}

/// Trees on their way.
#[derive(Clone, Debug)]
struct Deep {
    /// Per tree of the group its node, in the end its leaf; then room for no tree.
    at: [u16; LIST],
    /// The trees that are not at a leaf yet, and their nodes.
    trees: [u16; LIST],
    nodes: [u16; LIST],
    /// A bit for each tree, later for each place in the lists, that goes on.
    going: [u64; GROUP / WORD],
}

/// Length of a list, with room after the last tree; a power of two so that places are
/// masked, not checked.
const LIST: usize = 2 * GROUP;
/// Trees that go on side by side.
const LANES: usize = 8;
/// A place in `at` that belongs to no tree.
const NO_TREE: u16 = GROUP as u16;

impl Default for Deep {
    fn default() -> Self {
        Self { at: [0; _], nodes: [0; _], trees: [0; _], going: [0; _] }
    }
}

impl Layout {
    /// Walks every tree for one row.
    ///
    /// Group by group: the levels that all trees have, without a branch; then rounds over
    /// the trees that go deeper. `leaves` is told, in source order, each group's first node
    /// position, the leaf of each of its trees, and the values by index.
    #[inline(always)]
    pub(crate) fn walk(&self, decided: &Decided, work: &mut Walk, mut leaves: impl FnMut(usize, &[u16], &[f64])) {
        let Walk { down, deep } = work;
        let Some(row) = decided.row() else { return };
        for group in &self.groups {
            let nodes = self.nodes.get(group.base..).unwrap_or_default();
            let values = self.values.get(group.base..).unwrap_or_default();
            let Some(window) = nodes.first_chunk() else { return };
            group.top.down(group.trees, decided, down);
            let mut waiting = deep.start(&group.exits, group.shallow, &down.places);
            while waiting > 0 {
                waiting = deep.round(waiting, window, row);
            }
            leaves(group.base, deep.at.get(..group.trees).unwrap_or_default(), values);
        }
    }
}

impl Deep {
    /// All trees stand where the levels end; how many go on.
    #[inline(never)]
    fn start(&mut self, exits: &[Exits], shallow: usize, places: &Places) -> usize {
        let (exits, places) = (exits.as_chunks::<LANES>().0, places.as_chunks::<LANES>().0);
        let at = self.at.as_chunks_mut::<LANES>().0;
        self.going = [0; _];
        for (eight, ((exits, places), at)) in exits.iter().zip(places).zip(at).enumerate() {
            let mut going = 0;
            for (lane, exits) in exits.iter().enumerate() {
                at[lane] = exits[usize::from(places[lane]) % EXITS];
                going |= u64::from(usize::from(at[lane]) < shallow) << lane;
            }
            self.going[eight / LANES % (GROUP / WORD)] |= going << (eight % LANES * LANES);
        }
        self.list()
    }

    /// Lists the trees that go on.
    #[inline(always)]
    fn list(&mut self) -> usize {
        let (at, nodes, trees) = (&self.at, &mut self.nodes, &mut self.trees);
        let waiting = each_bit(&self.going, |to, tree| {
            nodes[to % LIST] = at[tree % LIST];
            trees[to % LIST] = tree as u16;
        });
        self.end(waiting);
        waiting
    }

    /// Some steps for all trees that wait; how many still do.
    #[inline(never)]
    fn round(&mut self, waiting: usize, window: &Window, row: &Row) -> usize {
        let (nodes, trees) = (self.nodes.as_chunks_mut::<LANES>().0, self.trees.as_chunks::<LANES>().0);
        self.going = [0; _];
        for (eight, (nodes, trees)) in nodes.iter_mut().zip(trees).take(waiting.div_ceil(LANES)).enumerate() {
            let mut going = 0;
            for (lane, (node, tree)) in nodes.iter_mut().zip(trees).enumerate() {
                let mut at = *node;
                for _ in 0..ROUND_STEPS {
                    at = step(at, window, row);
                }
                *node = at;
                going |= u64::from(window[usize::from(at)].condition() != 0) << lane;
                self.at[usize::from(*tree) % LIST] = at;
            }
            self.going[eight / LANES % (GROUP / WORD)] |= going << (eight % LANES * LANES);
        }
        self.keep(waiting)
    }

    /// Keeps the trees that go on.
    #[inline(always)]
    fn keep(&mut self, waiting: usize) -> usize {
        let (nodes, trees) = (&mut self.nodes, &mut self.trees);
        let kept = each_bit(&self.going[..waiting.div_ceil(WORD).min(GROUP / WORD)], |to, from| {
            nodes[to % LIST] = nodes[from % LIST];
            trees[to % LIST] = trees[from % LIST];
        });
        self.end(kept);
        kept
    }

    /// Fills the last lanes up with no tree, at a leaf of none.
    fn end(&mut self, count: usize) {
        let rest = (self.nodes[count..].first_chunk_mut(), self.trees[count..].first_chunk_mut());
        if let (Some(nodes), Some(trees)) = rest {
            (*nodes, *trees) = ([0; LANES], [NO_TREE; LANES]);
        }
    }
}

/// Tells each bit's number and its place among the bits that are set; how many there are.
///
/// Four at a time, so that a loop's own cost is shared: places beyond the last are told of
/// too, with numbers of no meaning, and then again for the bits that follow.
#[inline(always)]
fn each_bit(words: &[u64], mut tell: impl FnMut(usize, usize)) -> usize {
    let mut total = 0;
    for (index, word) in words.iter().enumerate() {
        let (mut rest, count) = (*word, word.count_ones() as usize);
        for four in 0..count.div_ceil(4) {
            for place in 0..4 {
                tell(total + 4 * four + place, WORD * index + rest.trailing_zeros() as usize);
                rest &= rest.wrapping_sub(1);
            }
        }
        total += count;
    }
    total
}
