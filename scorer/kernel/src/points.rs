//! Values of a polynomial at the points of a quadrature, two to a vector.
//!
//! In wasm the vectors are SIMD, elsewhere arrays that compilers vectorise. Both do the
//! same operations in the same order, so results have the same bits.

use core::array::from_fn;
use core::ops::{Add, Mul, Sub};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use array::Pair;
#[cfg(target_arch = "wasm32")]
pub(crate) use simd::Pair;

/// Pairs that are computed with together.
const PAIRS: usize = 3;

/// Six numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Points(pub(crate) [Pair; PAIRS]);

impl Points {
    #[inline(always)]
    pub(crate) fn splat(number: f64) -> Self {
        Self([Pair::splat(number); PAIRS])
    }

    /// Numbers at even places in turn, plus those at odd places in turn.
    #[inline(always)]
    pub(crate) fn sum(self) -> f64 {
        let [first, second, third] = self.0;
        first.add(second).add(third).sum()
    }

    /// One over each.
    #[inline(always)]
    pub(crate) fn inverse(self) -> Self {
        Self(self.0.map(Pair::inverse))
    }

    /// Each times a number.
    #[inline(always)]
    pub(crate) fn times(self, number: f64) -> Self {
        self * Self::splat(number)
    }
}

macro_rules! by_pairs {
    ($trait:ident, $method:ident) => {
        impl $trait for Points {
            type Output = Self;
            #[inline(always)]
            #[expect(clippy::indexing_slicing, reason = "fixed length")]
            fn $method(self, other: Self) -> Self {
                Self(from_fn(|pair| self.0[pair].$method(other.0[pair])))
            }
        }
    };
}

by_pairs!(Add, add);
by_pairs!(Sub, sub);
by_pairs!(Mul, mul);

#[cfg(not(target_arch = "wasm32"))]
mod array {
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Pair([f64; 2]);

    impl Pair {
        pub(crate) const fn new(a: f64, b: f64) -> Self {
            Self([a, b])
        }
        #[inline(always)]
        pub(crate) fn splat(a: f64) -> Self {
            Self([a; 2])
        }
        #[inline(always)]
        pub(crate) fn add(self, other: Self) -> Self {
            self.with(other, |a, b| a + b)
        }
        #[inline(always)]
        pub(crate) fn sub(self, other: Self) -> Self {
            self.with(other, |a, b| a - b)
        }
        #[inline(always)]
        pub(crate) fn mul(self, other: Self) -> Self {
            self.with(other, |a, b| a * b)
        }
        #[inline(always)]
        pub(crate) fn inverse(self) -> Self {
            Self(self.0.map(|a| 1.0 / a))
        }
        #[inline(always)]
        pub(crate) fn sum(self) -> f64 {
            let [a, b] = self.0;
            a + b
        }
        #[inline(always)]
        fn with(self, other: Self, operation: impl Fn(f64, f64) -> f64) -> Self {
            let ([a, b], [c, d]) = (self.0, other.0);
            Self([operation(a, c), operation(b, d)])
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod simd {
    use core::arch::wasm32::{
        f64x2, f64x2_add, f64x2_div, f64x2_extract_lane, f64x2_mul, f64x2_splat, f64x2_sub, v128,
    };

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Pair(v128);

    impl Pair {
        pub(crate) const fn new(a: f64, b: f64) -> Self {
            Self(f64x2(a, b))
        }
        #[inline(always)]
        pub(crate) fn splat(a: f64) -> Self {
            Self(f64x2_splat(a))
        }
        #[inline(always)]
        pub(crate) fn add(self, other: Self) -> Self {
            Self(f64x2_add(self.0, other.0))
        }
        #[inline(always)]
        pub(crate) fn sub(self, other: Self) -> Self {
            Self(f64x2_sub(self.0, other.0))
        }
        #[inline(always)]
        pub(crate) fn mul(self, other: Self) -> Self {
            Self(f64x2_mul(self.0, other.0))
        }
        #[inline(always)]
        pub(crate) fn inverse(self) -> Self {
            Self(f64x2_div(f64x2_splat(1.0), self.0))
        }
        #[inline(always)]
        pub(crate) fn sum(self) -> f64 {
            f64x2_extract_lane::<0>(self.0) + f64x2_extract_lane::<1>(self.0)
        }
    }
}
