//! The first levels of a group's trees.
//!
//! Two forms. With few slots and fast look-ups, sixteen trees go down side by side: the
//! slots and limits of all places of a level are chosen among by the outcomes above, the
//! ranks looked up, and compared. Else each tree goes down alone from condition to
//! condition; the children of place p are places 2 p and 2 p + 1 of the next level.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, constant or in range by their bits")]

use crate::lanes::{LANES, Lanes};
use crate::node::{NEVER, Row};
use crate::outcomes::{Decided, Outcomes, Ranks};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

/// Trees of a group, at the most: a power of two so that places are masked, not checked.
pub(crate) const GROUP: usize = 512;
/// Levels that every tree of a group has.
pub(crate) const LEVELS: usize = 4;
/// Ways out of the levels of a tree.
pub(crate) const EXITS: usize = 1 << LEVELS;

/// Per tree the way out of the levels.
pub(crate) type Places = [u8; GROUP];

/// The first levels of a group.
#[derive(Debug)]
pub(crate) enum Top {
    /// By sixteen trees.
    Sixteens(Vec<Sixteen>),
    /// By level.
    Levels(Box<Levels>),
}

/// Slots and limits of sixteen trees, per place, level after level.
#[derive(Clone, Debug)]
pub(crate) struct Sixteen {
    slots: [Lanes; EXITS - 1],
    limits: [Lanes; EXITS - 1],
}

/// Conditions of all trees of a group, level by level.
#[derive(Debug)]
pub(crate) struct Levels {
    first: [u16; GROUP],
    second: [u16; 2 * GROUP],
    third: [u16; 4 * GROUP],
    fourth: [u16; 8 * GROUP],
}

/// No rank is greater.
const ALWAYS_LEFT: u8 = i8::MAX as u8;

impl Top {
    #[inline]
    pub(crate) fn new(outcomes: &Outcomes, trees: usize) -> Self {
        if outcomes.has_few_slots() {
            let slots = [Lanes::load(&[0; LANES]); EXITS - 1];
            let limits = [Lanes::load(&[ALWAYS_LEFT; LANES]); EXITS - 1];
            return Self::Sixteens(vec![Sixteen { slots, limits }; trees.div_ceil(LANES)]);
        }
        let never = NEVER as u16;
        Self::Levels(Box::new(Levels { first: [never; _], second: [never; _], third: [never; _], fourth: [never; _] }))
    }

    /// Sets the split at a place of a level of a tree.
    #[inline]
    pub(crate) fn set(&mut self, tree: usize, level: usize, at: usize, condition: usize, slot: (usize, u8)) {
        match self {
            Self::Sixteens(sixteens) => {
                let Some(sixteen) = sixteens.get_mut(tree / LANES) else { return };
                let place = (1 << level) - 1 + at;
                set_lane(&mut sixteen.slots[place % (EXITS - 1)], tree, slot.0 as u8);
                set_lane(&mut sixteen.limits[place % (EXITS - 1)], tree, slot.1 ^ 0x80);
            }
            Self::Levels(levels) => {
                let place = (tree << level) + at;
                let level = [&mut levels.first[..], &mut levels.second, &mut levels.third, &mut levels.fourth]
                    .into_iter()
                    .nth(level);
                if let Some(entry) = level.and_then(|level| level.get_mut(place)) {
                    *entry = condition as u16;
                }
            }
        }
    }

    /// Takes every tree through the levels.
    pub(crate) fn down(&self, trees: usize, decided: &Decided, work: &mut Down) {
        match self {
            Self::Sixteens(sixteens) => {
                three_levels(sixteens, &decided.ranks, &mut work.outcomes);
                fourth_level(sixteens, &decided.ranks, work);
            }
            Self::Levels(levels) => {
                if let Some(row) = decided.row() {
                    levels.down(trees, row, work);
                }
            }
        }
    }
}

/// Working memory of the way down.
#[derive(Clone, Debug)]
pub(crate) struct Down {
    pub(crate) places: Places,
    /// Per sixteen trees and level the outcomes.
    outcomes: [[Lanes; LEVELS - 1]; GROUP / LANES],
}

impl Default for Down {
    fn default() -> Self {
        Self { places: [0; _], outcomes: [[Lanes::load(&[0; LANES]); _]; _] }
    }
}

#[inline]
fn set_lane(lanes: &mut Lanes, tree: usize, value: u8) {
    let mut bytes = lanes.bytes();
    bytes[tree % LANES] = value;
    *lanes = Lanes::load(&bytes);
}

/// The first three levels; the fourth is a pass of its own, since compilers load what a pass
/// needs first, and it must fit into registers.
#[inline(never)]
fn three_levels(sixteens: &[Sixteen], ranks: &Ranks, outcomes: &mut [[Lanes; LEVELS - 1]]) {
    for (Sixteen { slots, limits }, outcomes) in sixteens.iter().zip(outcomes) {
        let first = slots[0].look_up(ranks).greater(limits[0]);
        let second = |of: &[Lanes; EXITS - 1]| first.select(of[2], of[1]);
        let second = second(slots).look_up(ranks).greater(second(limits));
        let third = |of: &[Lanes; EXITS - 1]| first.select(second.select(of[6], of[5]), second.select(of[4], of[3]));
        let third = third(slots).look_up(ranks).greater(third(limits));
        *outcomes = [first, second, third];
    }
}

#[inline(never)]
fn fourth_level(sixteens: &[Sixteen], ranks: &Ranks, work: &mut Down) {
    let places = work.places.as_chunks_mut().0;
    for ((Sixteen { slots, limits }, outcomes), places) in sixteens.iter().zip(&work.outcomes).zip(places) {
        let [first, second, third] = *outcomes;
        let four = |of: &[Lanes; EXITS - 1], at: usize| {
            second.select(third.select(of[at + 3], of[at + 2]), third.select(of[at + 1], of[at]))
        };
        let eight = |of: &[Lanes; EXITS - 1]| first.select(four(of, 11), four(of, 7));
        let fourth = eight(slots).look_up(ranks).greater(eight(limits));
        let none = Lanes::load(&[0; LANES]);
        *places = none.twice_and(first).twice_and(second).twice_and(third).twice_and(fourth).bytes();
    }
}

impl Levels {
    /// Two levels at a time.
    ///
    /// Going through memory after two levels keeps what waits for a load short, so that the
    /// processor always has several trees under way; and needs few registers, of which engines
    /// have few to give.
    #[inline(never)]
    fn down(&self, trees: usize, row: &Row, work: &mut Down) {
        let places = work.places.as_chunks_mut::<8>().0;
        let eights = trees.div_ceil(8);
        for (first, places) in places.iter_mut().take(eights).enumerate() {
            for (lane, place) in places.iter_mut().enumerate() {
                *place = (two_down(&self.first, &self.second, row, 8 * first + lane) % 4) as u8;
            }
        }
        for (first, places) in places.iter_mut().take(eights).enumerate() {
            for (lane, place) in places.iter_mut().enumerate() {
                let third = 4 * (8 * first + lane) + usize::from(*place);
                *place = (two_down(&self.third, &self.fourth, row, third) % EXITS) as u8;
            }
        }
    }
}

/// Two levels down, from a place in a level of N to one in a level of 4 N.
#[inline(always)]
fn two_down<const N: usize, const M: usize>(upper: &[u16; N], lower: &[u16; M], row: &Row, place: usize) -> usize {
    let place = place % N;
    let place = 2 * place + usize::from(row[usize::from(upper[place])]);
    2 * place + usize::from(row[usize::from(lower[place % M])])
}
