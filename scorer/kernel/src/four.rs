//! Four single numbers side by side.
//!
//! On wasm a vector of 128 bits; elsewhere plain loops. Each lane is multiplied and added on
//! its own and rounded after each step, so both give the same bits.

pub(crate) use vector::Four;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod vector {
    use core::arch::wasm32::*;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Four(v128);

    impl Four {
        #[inline(always)]
        pub(crate) fn load(numbers: &[[u8; 4]; 4]) -> Self {
            let bytes = numbers.as_flattened().first_chunk().copied().unwrap_or_default();
            // As one number, which becomes one load.
            let words = u128::from_le_bytes(bytes);
            Self(u64x2(words as u64, (words >> 64) as u64))
        }

        #[inline(always)]
        pub(crate) fn of([a, b, c, d]: [f32; 4]) -> Self {
            Self(f32x4(a, b, c, d))
        }

        #[inline(always)]
        pub(crate) fn splat(number: f32) -> Self {
            Self(f32x4_splat(number))
        }

        #[inline(always)]
        pub(crate) fn plus_product(self, one: Self, other: Self) -> Self {
            Self(f32x4_add(self.0, f32x4_mul(one.0, other.0)))
        }

        /// The number where it is not below `least`, so NaN too.
        #[inline(always)]
        pub(crate) fn at_least(self, least: f32) -> Self {
            Self(f32x4_pmax(self.0, f32x4_splat(least)))
        }

        /// A bit for each lane, the lowest for the first.
        #[inline(always)]
        pub(crate) fn not_zero(self) -> u8 {
            i32x4_bitmask(f32x4_ne(self.0, f32x4_splat(0.0)))
        }

        #[inline(always)]
        pub(crate) fn numbers(self) -> [f32; 4] {
            let Self(v) = self;
            [
                f32x4_extract_lane::<0>(v),
                f32x4_extract_lane::<1>(v),
                f32x4_extract_lane::<2>(v),
                f32x4_extract_lane::<3>(v),
            ]
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod vector {
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Four([f32; 4]);

    impl Four {
        #[inline(always)]
        pub(crate) fn load(numbers: &[[u8; 4]; 4]) -> Self {
            Self(numbers.map(f32::from_le_bytes))
        }

        #[inline(always)]
        pub(crate) fn of(numbers: [f32; 4]) -> Self {
            Self(numbers)
        }

        #[inline(always)]
        pub(crate) fn splat(number: f32) -> Self {
            Self([number; 4])
        }

        #[inline(always)]
        pub(crate) fn plus_product(mut self, one: Self, other: Self) -> Self {
            let factors = one.0.iter().zip(other.0);
            self.0.iter_mut().zip(factors).for_each(|(sum, (one, other))| *sum += one * other);
            self
        }

        #[inline(always)]
        pub(crate) fn at_least(self, least: f32) -> Self {
            Self(self.0.map(|number| if number < least { least } else { number }))
        }

        #[inline(always)]
        pub(crate) fn not_zero(self) -> u8 {
            self.0.iter().rev().fold(0, |bits, number| bits << 1 | u8::from(*number != 0.0))
        }

        #[inline(always)]
        pub(crate) fn numbers(self) -> [f32; 4] {
            self.0
        }
    }
}
