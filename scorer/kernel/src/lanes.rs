//! Sixteen bytes side by side.
//!
//! On wasm a vector of 128 bits; elsewhere plain loops. Both give the same bytes. Looking
//! up by bytes is one instruction on wasm and a loop elsewhere, so only wasm uses it.

/// Bytes in a vector.
pub(crate) const LANES: usize = 16;
/// Sixteen bytes as they lie in memory.
pub(crate) type Bytes = [u8; LANES];

pub(crate) use vector::{FAST, Lanes};

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod vector {
    use super::{Bytes, LANES};
    use core::arch::wasm32::*;

    /// Whether looking up is quicker than a walk.
    pub(crate) const FAST: bool = true;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Lanes(v128);

    impl Lanes {
        #[inline(always)]
        pub(crate) fn load(b: &Bytes) -> Self {
            let [low, high] = [0, 8].map(|from| {
                let eight = b.get(from..).and_then(|rest| rest.first_chunk()).copied();
                u64::from_le_bytes(eight.unwrap_or_default())
            });
            Self(u64x2(low, high))
        }

        #[inline(always)]
        pub(crate) fn bytes(self) -> Bytes {
            let words = u128::from(u64x2_extract_lane::<1>(self.0)) << 64 | u128::from(u64x2_extract_lane::<0>(self.0));
            words.to_le_bytes()
        }

        /// In each lane all bits where `self` is greater, as signed numbers.
        #[inline(always)]
        pub(crate) fn greater(self, other: Self) -> Self {
            Self(i8x16_gt(self.0, other.0))
        }

        /// In each lane `yes` where the mask's bits are set, `no` where they are not.
        #[inline(always)]
        pub(crate) fn select(self, yes: Self, no: Self) -> Self {
            Self(v128_bitselect(yes.0, no.0, self.0))
        }

        /// In each lane twice the number, and one more where the mask is set.
        #[inline(always)]
        pub(crate) fn twice_and(self, mask: Self) -> Self {
            Self(i8x16_sub(i8x16_add(self.0, self.0), mask.0))
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
    use super::{Bytes, LANES};

    /// Whether looking up is quicker than a walk.
    pub(crate) const FAST: bool = false;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Lanes(Bytes);

    impl Lanes {
        pub(crate) fn load(bytes: &Bytes) -> Self {
            Self(*bytes)
        }

        pub(crate) fn bytes(self) -> Bytes {
            self.0
        }

        /// In each lane all bits where `self` is greater, as signed numbers.
        pub(crate) fn greater(self, other: Self) -> Self {
            self.with(other, |own, other| if own as i8 > other as i8 { u8::MAX } else { 0 })
        }

        /// In each lane `yes` where the mask's bits are set, `no` where they are not.
        pub(crate) fn select(self, yes: Self, no: Self) -> Self {
            let yes = self.with(yes, |mask, yes| mask & yes);
            yes.with(self.with(no, |mask, no| !mask & no), |yes, no| yes | no)
        }

        /// In each lane twice the number, and one more where the mask is set.
        pub(crate) fn twice_and(self, mask: Self) -> Self {
            self.with(mask, |own, mask| own.wrapping_add(own).wrapping_sub(mask))
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
