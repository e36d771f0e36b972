//! Sixteen bytes side by side.
//!
//! On wasm a vector of 128 bits; elsewhere plain loops. Both give the same bytes. Looking
//! up by bytes is one instruction on wasm and a loop elsewhere, so only wasm uses it.

/// Bytes in a vector.
pub(crate) const LANES: usize = 16;
/// Sixteen bytes as they lie in memory.
pub(crate) type Bytes = [u8; LANES];

/// Thresholds in a block.
pub(crate) const BLOCK: usize = 16;
/// A number of four bytes as it lies in memory.
pub(crate) type Word = [u8; 4];
/// Words in a vector.
pub(crate) const FOUR: usize = LANES / size_of::<Word>();

pub(crate) use vector::{Block, FAST, Lanes, keep};

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod vector {
    use super::{BLOCK, Bytes, FOUR, LANES, Word};
    use core::arch::wasm32::*;

    /// Per set of words of a vector, those that are not in it, moved up.
    static OTHERS: [v128; 1 << FOUR] = {
        let mut all = [u64x2(0, 0); 1 << FOUR];
        let mut set = 0;
        while set < all.len() {
            let (mut words, mut kept, mut word) = ([0; FOUR], 0, 0);
            while word < FOUR {
                if set >> word & 1 == 0 {
                    words[kept] = 4 * word as u8;
                    kept += 1;
                }
                word += 1;
            }
            let [a, b, c, d] = words;
            all[set] =
                u8x16(a, a + 1, a + 2, a + 3, b, b + 1, b + 2, b + 3, c, c + 1, c + 2, c + 3, d, d + 1, d + 2, d + 3);
            set += 1;
        }
        all
    };

    /// Adds the nodes that are no leaves, and their trees, to lists that hold so many; how
    /// many they hold then. What follows them in the lists is lost.
    #[inline(always)]
    pub(crate) fn keep<const N: usize>(
        four: (&[Word; FOUR], &[Word; FOUR]),
        lists: (&mut [Word; N], &mut [Word; N]),
        kept: usize,
    ) -> usize {
        let (nodes, trees) = (Lanes::words(four.0), Lanes::words(four.1));
        let halves = v128_and(nodes.0, u32x4_splat(0xffff));
        let leaves = usize::from(i32x4_bitmask(i32x4_eq(halves, u32x4_splat(0))));
        let others = OTHERS[leaves % OTHERS.len()];
        Lanes(u8x16_swizzle(nodes.0, others)).put(lists.0, kept);
        Lanes(u8x16_swizzle(trees.0, others)).put(lists.1, kept);
        kept + FOUR - leaves.count_ones() as usize
    }

    /// Thresholds that are compared with a value at once.
    #[derive(Clone, Debug)]
    pub(crate) struct Block([v128; BLOCK / 2]);

    impl Block {
        #[inline]
        pub(crate) fn new(thresholds: &[f64; BLOCK]) -> Self {
            let mut pairs = [f64x2_splat(0.0); BLOCK / 2];
            let of = thresholds.as_chunks::<2>().0;
            pairs.iter_mut().zip(of).for_each(|(pair, [first, second])| *pair = f64x2(*first, *second));
            Self(pairs)
        }

        /// How many of the thresholds lie below the value.
        #[inline(always)]
        pub(crate) fn below(&self, value: f64) -> usize {
            let value = f64x2_splat(value);
            // A comparison gives minus one for true, in both halves of a lane: counted by
            // halves, since compilers would shrink lanes to the halves that are asked for.
            let counts = self.0.iter().fold(u32x4_splat(0), |counts, pair| i32x4_add(counts, f64x2_lt(*pair, value)));
            (0u32.wrapping_sub(u32x4_extract_lane::<0>(counts)).wrapping_sub(u32x4_extract_lane::<2>(counts))) as usize
        }
    }

    /// Whether looking up is quicker than a walk.
    pub(crate) const FAST: bool = true;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Lanes(v128);

    impl Lanes {
        #[inline(always)]
        pub(crate) fn load(bytes: &Bytes) -> Self {
            // As one number, which becomes one load.
            let words = u128::from_le_bytes(*bytes);
            Self(u64x2(words as u64, (words >> 64) as u64))
        }

        #[inline(always)]
        pub(crate) fn all(byte: u8) -> Self {
            Self(u8x16_splat(byte))
        }

        #[inline(always)]
        pub(crate) fn bytes(self) -> Bytes {
            let words = u128::from(u64x2_extract_lane::<1>(self.0)) << 64 | u128::from(u64x2_extract_lane::<0>(self.0));
            words.to_le_bytes()
        }

        #[inline(always)]
        fn words(words: &[Word; FOUR]) -> Self {
            words.as_flattened().first_chunk().map_or(Self(u8x16_splat(0)), Self::load)
        }

        #[inline(always)]
        fn put<const N: usize>(self, list: &mut [Word; N], at: usize) {
            // INVARIANT: lists are half empty, so the mask changes nothing.
            let words = list.get_mut(at % (N / 2)..).and_then(|rest| rest.first_chunk_mut::<FOUR>());
            if let Some(bytes) = words.and_then(|words| words.as_flattened_mut().first_chunk_mut()) {
                *bytes = self.bytes();
            }
        }

        /// In each lane all bits where `self` is greater, as signed numbers.
        #[inline(always)]
        pub(crate) fn greater(self, other: Self) -> Self {
            Self(i8x16_gt(self.0, other.0))
        }

        /// In each lane the bits that differ.
        #[inline(always)]
        pub(crate) fn differing(self, other: Self) -> Self {
            Self(v128_xor(self.0, other.0))
        }

        /// In each lane where the mask is set, the bits of `difference` flipped.
        #[inline(always)]
        pub(crate) fn flip(self, mask: Self, difference: Self) -> Self {
            Self(v128_xor(self.0, v128_and(mask.0, difference.0)))
        }

        /// Per lane the entry of the tables, one after the other, that its number names.
        #[inline(always)]
        pub(crate) fn look_up<const N: usize>(self, tables: &[Self; N]) -> Self {
            let (mut at, mut found) = (self.0, u8x16_splat(0));
            for table in tables {
                // Lanes that name no entry of this table give zero.
                found = v128_or(found, u8x16_swizzle(table.0, at));
                at = i8x16_sub(at, i8x16_splat(LANES as i8));
            }
            Self(found)
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod vector {
    use super::{BLOCK, Bytes, FOUR, LANES, Word};

    /// Adds the nodes that are no leaves, and their trees, to lists that hold so many; how
    /// many they hold then. What follows them in the lists is lost.
    #[inline(always)]
    pub(crate) fn keep<const N: usize>(
        four: (&[Word; FOUR], &[Word; FOUR]),
        lists: (&mut [Word; N], &mut [Word; N]),
        mut kept: usize,
    ) -> usize {
        for (node, tree) in four.0.iter().zip(four.1) {
            if let (Some(to_node), Some(to_tree)) = (lists.0.get_mut(kept), lists.1.get_mut(kept)) {
                (*to_node, *to_tree) = (*node, *tree);
            }
            kept += usize::from([node[0], node[1]] != [0; 2]);
        }
        kept
    }

    /// Thresholds that are compared with a value at once.
    #[derive(Clone, Debug)]
    pub(crate) struct Block([f64; BLOCK]);

    impl Block {
        pub(crate) fn new(thresholds: &[f64; BLOCK]) -> Self {
            Self(*thresholds)
        }

        /// How many of the thresholds lie below the value.
        #[inline(always)]
        pub(crate) fn below(&self, value: f64) -> usize {
            self.0.iter().map(|threshold| usize::from(*threshold < value)).sum()
        }
    }

    /// Whether looking up is quicker than a walk.
    pub(crate) const FAST: bool = false;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Lanes(Bytes);

    impl Lanes {
        pub(crate) fn load(bytes: &Bytes) -> Self {
            Self(*bytes)
        }

        pub(crate) fn all(byte: u8) -> Self {
            Self([byte; LANES])
        }

        pub(crate) fn bytes(self) -> Bytes {
            self.0
        }

        /// In each lane all bits where `self` is greater, as signed numbers.
        pub(crate) fn greater(self, other: Self) -> Self {
            self.with(other, |own, other| if own as i8 > other as i8 { u8::MAX } else { 0 })
        }

        /// In each lane the bits that differ.
        pub(crate) fn differing(self, other: Self) -> Self {
            self.with(other, |own, other| own ^ other)
        }

        /// In each lane where the mask is set, the bits of `difference` flipped.
        pub(crate) fn flip(self, mask: Self, difference: Self) -> Self {
            self.differing(mask.with(difference, |mask, difference| mask & difference))
        }

        /// Per lane the entry of the tables, one after the other, that its number names.
        pub(crate) fn look_up<const N: usize>(self, tables: &[Self; N]) -> Self {
            let entry = |at: u8| tables.get(usize::from(at) / LANES)?.0.get(usize::from(at) % LANES).copied();
            Self(self.0.map(|at| entry(at).unwrap_or_default()))
        }

        fn with(mut self, other: Self, f: impl Fn(u8, u8) -> u8) -> Self {
            self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own = f(*own, other));
            self
        }
    }
}
