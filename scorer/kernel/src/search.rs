//! From a value to how many thresholds lie below it.
//!
//! The same steps for every value: what is missing or zero is settled after the search by
//! choosing among whole numbers. A branch here would be guessed wrong as often as data vary.

use crate::lanes::{BLOCK, Block};
use crate::rules::{Input, ZERO, is_zero};
use crate::trees::Missing;
use alloc::vec::Vec;

/// The thresholds of one rule.
#[derive(Debug)]
pub(crate) struct Search {
    table: Table,
    /// What NaN comes to.
    nan: usize,
    /// What values come to that are as near to zero as `band`.
    zero: usize,
    band: f64,
    single: bool,
}

/// Ascending thresholds.
#[derive(Debug)]
struct Table {
    /// No more than a block has thresholds; the last block ends with infinity. None where
    /// there are too many.
    blocks: Vec<Block>,
    /// The last threshold of each block.
    lasts: Block,
    /// Too many for blocks.
    many: Vec<f64>,
}

impl Search {
    /// `thresholds` ascend.
    #[inline]
    pub(crate) fn new(thresholds: Vec<f64>, missing: Missing, default_left: bool, input: Input) -> Self {
        let count = thresholds.len();
        let default = if default_left { 0 } else { count };
        let of_zero = thresholds.partition_point(|threshold| *threshold < 0.0);
        let zero = if missing == Missing::ZeroOrNan { default } else { of_zero };
        let banded = missing == Missing::ZeroOrNan || input == Input::TinyIsZero;
        Self {
            table: Table::new(thresholds),
            nan: if missing == Missing::IsZero { of_zero } else { default },
            zero,
            band: if banded { ZERO } else { -1.0 },
            single: input == Input::Single,
        }
    }

    /// How many thresholds lie below the value.
    #[inline(always)]
    pub(crate) fn below(&self, value: f64) -> usize {
        let value = if self.single { f64::from(value as f32) } else { value };
        let found = self.table.below(value);
        let found = if value.abs() <= self.band { self.zero } else { found };
        if value.is_nan() { self.nan } else { found }
    }
}

impl Table {
    #[inline]
    fn new(mut thresholds: Vec<f64>) -> Self {
        let mut lasts = [f64::INFINITY; BLOCK];
        if thresholds.len() >= BLOCK * BLOCK {
            return Self { blocks: Vec::new(), lasts: Block::new(&lasts), many: thresholds };
        }
        thresholds.resize((thresholds.len() + 1).next_multiple_of(BLOCK), f64::INFINITY);
        let blocks = thresholds.as_chunks::<BLOCK>().0;
        lasts.iter_mut().zip(blocks).for_each(|(last, [.., end])| *last = *end);
        Self { blocks: blocks.iter().map(Block::new).collect(), lasts: Block::new(&lasts), many: Vec::new() }
    }

    /// First counts whole blocks, by the last threshold of each, then within the block.
    #[inline(always)]
    fn below(&self, value: f64) -> usize {
        match self.blocks.as_slice() {
            [_, _, ..] => {
                let block = self.lasts.below(value);
                BLOCK * block + self.blocks.get(block).map_or(0, |block| block.below(value))
            }
            [block] => block.below(value),
            [] => self.many.partition_point(|threshold| *threshold < value),
        }
    }
}

impl Input {
    /// A value as the trees read it.
    #[inline(always)]
    pub(crate) fn apply(self, value: f64) -> f64 {
        match self {
            Self::TinyIsZero if is_zero(value) => 0.0,
            Self::AsIs | Self::TinyIsZero => value,
            Self::Single => f64::from(value as f32),
        }
    }
}
