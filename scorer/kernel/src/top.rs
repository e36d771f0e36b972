//! The first levels of a group's trees.
//!
//! Two forms. With few slots and fast look-ups, sixteen trees go down side by side. Else
//! each tree goes down alone from condition to condition; the children of place p are places
//! 2 p and 2 p + 1 of the next level.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, in range by their bits")]

use crate::lanes::{LANES, Lanes};
use crate::node::{NEVER, Row};
use crate::outcomes::{Decided, Outcomes};
use crate::sixteen::{self, FirstOutcomes, Sixteen};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// Trees of a group, at the most: a power of two so that places are masked, not checked.
pub(crate) const GROUP: usize = 512;
/// Levels that every tree of a group has.
pub(crate) const LEVELS: usize = 4;
/// Ways out of the levels of a tree.
pub(crate) const EXITS: usize = 1 << LEVELS;

/// Per tree four times the way out of the levels: how far into the exits it leads.
pub(crate) type Places = [u8; GROUP];

/// The first levels of a group.
#[derive(Debug)]
pub(crate) enum Top {
    /// By sixteen trees.
    Sixteens {
        trees: Vec<Sixteen>,
        /// Bytes of rank that a row has.
        slots: usize,
    },
    /// By level.
    Levels(Box<Levels>),
}

/// Conditions of all trees of a group, level by level.
#[derive(Debug)]
pub(crate) struct Levels {
    first: [u16; GROUP],
    second: [u16; 2 * GROUP],
    third: [u16; 4 * GROUP],
    fourth: [u16; 8 * GROUP],
}

impl Top {
    #[inline]
    pub(crate) fn new(outcomes: &Outcomes, trees: usize) -> Self {
        if outcomes.has_few_slots() {
            Self::Sixteens { trees: vec![Sixteen::new(); trees.div_ceil(LANES)], slots: outcomes.slots }
        } else {
            Self::Levels(Levels::new())
        }
    }

    /// Sets the split at a place of a level of a tree.
    #[inline]
    pub(crate) fn set(&mut self, tree: usize, level: usize, at: usize, condition: usize, slot: (usize, u8)) {
        match self {
            Self::Sixteens { trees, .. } => {
                if let Some(sixteen) = trees.get_mut(tree / LANES) {
                    sixteen.set(tree, level, at, slot);
                }
            }
            Self::Levels(levels) => {
                if let Some(entry) = levels.level(level).get_mut((tree << level) + at) {
                    *entry = condition as u16;
                }
            }
        }
    }

    /// Takes every tree through the levels.
    pub(crate) fn down(&self, trees: usize, decided: &Decided, work: &mut Down) {
        match self {
            Self::Sixteens { trees, slots } => {
                let (Down { places, first }, Some(few)) = (work, &decided.few) else { return };
                // What is looked up in costs most, so a usual number of features has its own way.
                match few.ranks.first_chunk::<3>() {
                    Some(ranks) if *slots <= 3 * LANES => sixteen::down(trees, ranks, first, places),
                    _ => sixteen::down(trees, &few.ranks, first, places),
                }
            }
            Self::Levels(levels) => {
                if let Some(row) = decided.row() {
                    levels.down(trees, row, &mut work.places);
                }
            }
        }
    }
}

/// Working memory of the way down.
#[derive(Clone, Debug)]
pub(crate) struct Down {
    pub(crate) places: Places,
    first: FirstOutcomes,
}

impl Default for Down {
    fn default() -> Self {
        Self { places: [0; _], first: [[Lanes::all(0); _]; _] }
    }
}

impl Levels {
    #[inline]
    fn new() -> Box<Self> {
        let never = NEVER as u16;
        Box::new(Self { first: [never; _], second: [never; _], third: [never; _], fourth: [never; _] })
    }

    #[inline]
    fn level(&mut self, level: usize) -> &mut [u16] {
        match level {
            0 => &mut self.first,
            1 => &mut self.second,
            2 => &mut self.third,
            _ => &mut self.fourth,
        }
    }

    /// Two levels at a time.
    ///
    /// Going through memory after two levels keeps what waits for a load short, so that the
    /// processor always has several trees under way; and needs few registers, of which engines
    /// have few to give.
    #[inline(never)]
    fn down(&self, trees: usize, row: &Row, places: &mut Places) {
        let eights = trees.div_ceil(8);
        let mut each = |step: fn(&Self, &Row, usize, usize) -> usize| {
            for (first, places) in places.as_chunks_mut::<8>().0.iter_mut().take(eights).enumerate() {
                for (lane, place) in places.iter_mut().enumerate() {
                    *place = step(self, row, 8 * first + lane, usize::from(*place)) as u8;
                }
            }
        };
        each(|levels, row, tree, _| one_down(&levels.second, row, one_down(&levels.first, row, tree)) % 4);
        each(|levels, row, tree, place| {
            one_down(&levels.fourth, row, one_down(&levels.third, row, 4 * tree + place)) % EXITS * 4
        });
    }
}

/// One level down, from a place in a level of N to one in a level of 2 N.
#[inline(always)]
fn one_down<const N: usize>(level: &[u16; N], row: &Row, place: usize) -> usize {
    let place = place % N;
    2 * place + usize::from(row[usize::from(level[place])])
}
