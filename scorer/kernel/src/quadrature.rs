//! Gauss-Legendre quadrature on [0, 1].
//!
//! With n points it is exact for polynomials up to degree 2 n - 1. Points and weights belong
//! to the roots of the Legendre polynomials, computed with sixty digits and rounded once.

use crate::points::{Pair, Points};

/// The most distinct features on a way to a leaf for which the largest rule is exact.
pub(crate) const FEATURES: usize = 64;

/// A rule, or a part of one: points t, 1 - t, and weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass<const N: usize> {
    /// The points t.
    pub(crate) at: Points<N>,
    /// 1 - t.
    pub(crate) rest: Points<N>,
    /// Their weights.
    pub(crate) weight: Points<N>,
}

/// A rule: one pass, or several of eight points.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// Four points.
    Four,
    /// Six points.
    Six,
    /// Eight, sixteen or thirty-two points.
    Eights(&'static [Pass<4>]),
}

impl Rule {
    /// The smallest rule that is exact for a product of so many features' factors.
    pub(crate) fn exact_for(features: usize) -> Self {
        match features {
            0..=8 => Self::Four,
            9..=12 => Self::Six,
            13..=16 => Self::Eights(&EIGHT),
            17..=32 => Self::Eights(&SIXTEEN),
            _ => Self::Eights(&THIRTY_TWO),
        }
    }
}

/// Four points.
pub(crate) static FOUR: Pass<2> =
    pass([(0.069_431_844_202_973_71, 0.173_927_422_568_726_92), (0.330_009_478_207_571_87, 0.326_072_577_431_273_05)]);
/// Six points.
pub(crate) static SIX: Pass<3> = pass([
    (0.033_765_242_898_423_99, 0.085_662_246_189_585_18),
    (0.169_395_306_766_867_73, 0.180_380_786_524_069_3),
    (0.380_690_406_958_401_56, 0.233_956_967_286_345_52),
]);
static EIGHT: [Pass<4>; 1] = [pass([
    (0.019_855_071_751_231_884, 0.050_614_268_145_188_13),
    (0.101_666_761_293_186_64, 0.111_190_517_226_687_24),
    (0.237_233_795_041_835_5, 0.156_853_322_938_943_63),
    (0.408_282_678_752_175_1, 0.181_341_891_689_181),
])];
static SIXTEEN: [Pass<4>; 2] = [
    pass([
        (0.005_299_532_504_175_033, 0.013_576_229_705_877_048),
        (0.027_712_488_463_383_71, 0.031_126_761_969_323_947),
        (0.067_184_398_806_084_12, 0.047_579_255_841_246_39),
        (0.122_297_795_822_498_49, 0.062_314_485_627_766_94),
    ]),
    pass([
        (0.191_061_877_798_678_11, 0.074_797_994_408_288_37),
        (0.270_991_611_171_386_3, 0.084_578_259_697_501_27),
        (0.359_198_224_610_370_54, 0.091_301_707_522_461_79),
        (0.452_493_745_081_181_3, 0.094_725_305_227_534_25),
    ]),
];
static THIRTY_TWO: [Pass<4>; 4] = [
    pass([
        (0.001_368_069_075_259_218_3, 0.003_509_305_004_735_048),
        (0.007_194_244_227_365_833, 0.008_137_197_365_452_835),
        (0.017_618_872_206_246_784, 0.012_696_032_654_631_03),
        (0.032_546_962_031_130_15, 0.017_136_931_456_510_716),
    ]),
    pass([
        (0.051_839_422_116_973_94, 0.021_417_949_011_113_34),
        (0.075_316_193_133_715_01, 0.025_499_029_631_188_087),
        (0.102_758_102_016_028_8, 0.029_342_046_739_267_772),
        (0.133_908_940_629_855_17, 0.032_911_111_388_180_925),
    ]),
    pass([
        (0.168_477_866_534_892_4, 0.036_172_897_054_424_25),
        (0.206_142_121_379_618_85, 0.039_096_947_893_535_156),
        (0.246_550_045_533_885_3, 0.041_655_962_113_473_374),
        (0.289_324_361_934_682_3, 0.043_826_046_502_201_906),
    ]),
    pass([
        (0.334_065_698_858_936_17, 0.045_586_939_347_881_945),
        (0.380_356_318_873_931_45, 0.046_922_199_540_402_28),
        (0.427_764_019_208_601_74, 0.047_819_360_039_637_43),
        (0.475_846_167_156_130_8, 0.048_270_044_257_363_9),
    ]),
];

/// A pass from points below one half and their weights; each stands beside its mirror image.
const fn pass<const N: usize>(half: [(f64, f64); N]) -> Pass<N> {
    let none = Points([Pair::new(0.0, 0.0); N]);
    let mut pass = Pass { at: none, rest: none, weight: none };
    let mut index = 0;
    while index < N {
        let (t, weight) = half[index];
        pass.at.0[index] = Pair::new(t, 1.0 - t);
        pass.rest.0[index] = Pair::new(1.0 - t, t);
        pass.weight.0[index] = Pair::new(weight, weight);
        index += 1;
    }
    pass
}
