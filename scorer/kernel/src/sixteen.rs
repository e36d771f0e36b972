//! Sixteen trees down the first levels side by side.
//!
//! Per level the slots and limits of all places are chosen among by the outcomes above, the
//! ranks looked up, and compared.

#![expect(clippy::indexing_slicing, reason = "indices into fixed arrays, constant or in range by their bits")]

use crate::lanes::{LANES, Lanes};
use crate::top::{GROUP, Places};

/// The splits of sixteen trees.
#[derive(Clone, Debug)]
pub(crate) struct Sixteen {
    slots: Choices,
    limits: Choices,
}

/// A number for each place of each level, as differences.
///
/// Two outcomes choose among four numbers by
/// `(a ^ first & (a ^ b)) ^ second & ((a ^ c) ^ first & (a ^ b ^ c ^ d))`: two operations for
/// each number, where choosing one of two by a mask takes three. So what is stored is not
/// the numbers but what stands in the innermost brackets, at the place whose lowest bit is
/// the first outcome.
#[derive(Clone, Debug)]
struct Choices {
    first: [Lanes; 1],
    second: [Lanes; 2],
    third: [Lanes; 4],
    fourth: [Lanes; 8],
}

/// Working memory: per sixteen trees the outcomes of the first levels.
pub(crate) type FirstOutcomes = [[Lanes; 3]; GROUP / LANES];

/// No rank is greater.
const ALWAYS_LEFT: u8 = i8::MAX as u8;

impl Sixteen {
    /// Trees without a split.
    #[inline]
    pub(crate) fn new() -> Self {
        Self { slots: Choices::all(0), limits: Choices::all(ALWAYS_LEFT) }
    }

    /// Splits a tree at a place of a level that it has no split at so far.
    #[inline]
    pub(crate) fn set(&mut self, tree: usize, level: usize, at: usize, (slot, limit): (usize, u8)) {
        self.slots.change(tree, level, at, slot as u8);
        // Compared as signed numbers.
        self.limits.change(tree, level, at, limit ^ 0x80 ^ ALWAYS_LEFT);
    }
}

impl Choices {
    /// One number at all places: no differences.
    #[inline]
    fn all(number: u8) -> Self {
        let (all, none) = (Lanes::all(number), Lanes::all(0));
        let mut choices = Self { first: [all], second: [none; _], third: [none; _], fourth: [none; _] };
        (choices.second[0], choices.third[0], choices.fourth[0]) = (all, all, all);
        choices
    }

    /// Flips these bits of a tree's number at a place, in all differences that it is part of.
    #[inline]
    fn change(&mut self, tree: usize, level: usize, at: usize, bits: u8) {
        let level: &mut [Lanes] = match level {
            0 => &mut self.first,
            1 => &mut self.second,
            2 => &mut self.third,
            _ => &mut self.fourth,
        };
        let mut change = [0; LANES];
        change[tree % LANES] = bits;
        // Twice the place has a bit at every level, so that there is always one to reverse.
        let place = (2 * at).reverse_bits() >> (usize::BITS - 1 - level.len().trailing_zeros());
        for (_, lanes) in level.iter_mut().enumerate().filter(|(part, _)| place & !part == 0) {
            *lanes = lanes.differing(Lanes::load(&change));
        }
    }
}

/// Takes trees through the levels; `places` become four times their ways out.
pub(crate) fn down<const TABLES: usize>(
    sixteens: &[Sixteen],
    ranks: &[Lanes; TABLES],
    first: &mut FirstOutcomes,
    places: &mut Places,
) {
    three_levels(sixteens, ranks, first);
    fourth_level(sixteens, ranks, first, places);
}

/// The first three levels; the fourth is a pass of its own, since compilers load what a
/// pass needs first, and it must fit into registers.
#[inline(never)]
fn three_levels<const TABLES: usize>(sixteens: &[Sixteen], ranks: &[Lanes; TABLES], outcomes: &mut FirstOutcomes) {
    for (Sixteen { slots, limits }, outcomes) in sixteens.iter().zip(outcomes) {
        let first = slots.first[0].look_up(ranks).greater(limits.first[0]);
        let two = |of: &[Lanes; 2]| of[0].flip(first, of[1]);
        let second = two(&slots.second).look_up(ranks).greater(two(&limits.second));
        let third = four(&slots.third, 0, first, second).look_up(ranks);
        *outcomes = [first, second, third.greater(four(&limits.third, 0, first, second))];
    }
}

#[inline(never)]
fn fourth_level<const TABLES: usize>(
    sixteens: &[Sixteen],
    ranks: &[Lanes; TABLES],
    outcomes: &FirstOutcomes,
    places: &mut Places,
) {
    let places = places.as_chunks_mut().0;
    for ((Sixteen { slots, limits }, outcomes), places) in sixteens.iter().zip(outcomes).zip(places) {
        let [first, second, third] = *outcomes;
        let eight = |of: &[Lanes], at: usize| four(of, at, first, second).flip(third, four(of, at + 4, first, second));
        let fourth = eight(&slots.fourth, 0).look_up(ranks).greater(eight(&limits.fourth, 0));
        let place = Lanes::all(0).flip(first, Lanes::all(4 * 8)).flip(second, Lanes::all(4 * 4));
        *places = place.flip(third, Lanes::all(4 * 2)).flip(fourth, Lanes::all(4)).bytes();
    }
}

#[inline(always)]
fn four(of: &[Lanes], at: usize, first: Lanes, second: Lanes) -> Lanes {
    of[at].flip(first, of[at + 1]).flip(second, of[at + 2].flip(first, of[at + 3]))
}
