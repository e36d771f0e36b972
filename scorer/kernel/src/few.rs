//! A row's ranks where they are few bytes: looked up in, and added to nodes.

use crate::lanes::{Bytes, LANES, Lanes};
use crate::node::{Carries, SLOTS};

/// Conditions that one byte of rank tells apart.
pub(crate) const STRIDE: usize = 255;
/// Vectors of ranks of a row, at the most.
const TABLES: usize = SLOTS / LANES;

/// The ranks of a row, slot by slot.
#[derive(Clone, Debug)]
pub(crate) struct Few {
    /// In each byte the highest bit is flipped: they are compared as signed numbers.
    pub(crate) ranks: [Lanes; TABLES],
    pub(crate) carries: Carries,
    bytes: [Bytes; TABLES],
}

impl Default for Few {
    fn default() -> Self {
        Self { ranks: [Lanes::all(0); _], carries: [0; _], bytes: [[0; _]; _] }
    }
}

impl Few {
    /// From ranks that are bytes each.
    #[inline(always)]
    pub(crate) fn fill(&mut self, ranks: impl Iterator<Item = usize>) {
        let slots = self.bytes.as_flattened_mut().iter_mut().zip(&mut self.carries);
        slots.zip(ranks).for_each(|((byte, carry), rank)| (*byte, *carry) = (rank as u8, (rank as u32) << 8));
        for (ranks, bytes) in self.ranks.iter_mut().zip(&self.bytes) {
            *ranks = Lanes::load(bytes).differing(Lanes::all(0x80));
        }
    }
}

/// A rank among so many conditions as bytes of rank.
pub(crate) fn bytes_of(rank: usize, conditions: usize) -> impl Iterator<Item = usize> {
    (0..conditions).step_by(STRIDE).map(move |first| rank.saturating_sub(first).min(STRIDE))
}
