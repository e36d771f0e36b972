//! Activations, by polynomials of a fixed order in single precision.

/// What happens to the outputs of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Activation {
    /// Nothing.
    None = 0,
    /// The larger of the number and zero.
    Relu = 1,
    /// Numbers below zero times alpha.
    LeakyRelu = 2,
    /// Below zero, alpha times (e^x - 1).
    Elu = 3,
    /// 1 / (1 + e^-x).
    Sigmoid = 4,
    /// The hyperbolic tangent.
    Tanh = 5,
    /// x times the normal distribution function.
    Gelu = 6,
    /// The same by the hyperbolic tangent, as ONNX's `approximate="tanh"`.
    GeluTanh = 7,
    /// e^x by the sum of all of the layer's e^x.
    Softmax = 8,
}

impl Activation {
    const ALL: [Self; 9] = [
        Self::None,
        Self::Relu,
        Self::LeakyRelu,
        Self::Elu,
        Self::Sigmoid,
        Self::Tanh,
        Self::Gelu,
        Self::GeluTanh,
        Self::Softmax,
    ];

    /// The activation with this number.
    pub(super) fn from_number(number: usize) -> Option<Self> {
        Self::ALL.get(number).copied()
    }

    /// Replaces the outputs of one layer; NaN stays NaN. The least of `Relu` is part of what
    /// the layer itself computes.
    pub(super) fn apply(self, alpha: f32, outputs: &mut [f32]) {
        if matches!(self, Self::None | Self::Relu) {
            return;
        }
        let highest = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for output in outputs.iter_mut() {
            let x = *output;
            *output = match self {
                Self::LeakyRelu if x < 0.0 => alpha * x,
                Self::Elu if x < 0.0 => alpha * (exp(x) - 1.0),
                Self::None | Self::Relu | Self::LeakyRelu | Self::Elu => x,
                Self::Sigmoid => 1.0 / (1.0 + exp(-x)),
                Self::Tanh => tanh(x),
                Self::Gelu => 0.5 * x * (1.0 + erf(x * core::f32::consts::FRAC_1_SQRT_2)),
                Self::GeluTanh => 0.5 * x * (1.0 + tanh(0.797_884_6 * (x + 0.044_715 * x * x * x))),
                Self::Softmax => exp(x - highest),
            };
            sum += *output;
        }
        if self == Self::Softmax {
            outputs.iter_mut().for_each(|output| *output /= sum);
        }
    }
}

fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

/// The error function within 2e-7, by Abramowitz and Stegun 7.1.26.
fn erf(x: f32) -> f32 {
    let size = if x < 0.0 { -x } else { x };
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let series = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    let value = 1.0 - series * exp(-size * size);
    if x < 0.0 { -value } else { value }
}

/// Added and taken away again, it rounds to the nearest whole number.
const ROUND: f32 = 12_582_912.0;

/// e^x within 2 units of the last place, between e^-87 and e^88; NaN for NaN.
#[inline(never)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // The logarithm of two in two parts, the first of them short enough to multiply exactly.
    let rest = x - whole * 0.693_359_4 - whole * -2.121_944_4e-4;
    let series = [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1];
    let series = series.iter().fold(1.987_569_1e-4, |sum, term| sum * rest + term);
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    (series * rest * rest + rest + 1.0) * f32::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math;

    fn check(activation: Activation, expected: impl Fn(f64) -> f64) {
        for step in -4000i16..=4000 {
            let x = f32::from(step) / 200.0;
            let mut got = [x];
            activation.apply(0.25, &mut got);
            let (got, want) = (f64::from(got[0]), expected(f64::from(x)));
            let close = (got - want).abs() <= 4e-7 * want.abs().max(1.0);
            assert!(close, "{activation:?}({x}) = {got}, expected {want}");
        }
    }

    #[test]
    fn activations_are_those_of_double_precision() {
        check(Activation::None, |x| x);
        check(Activation::LeakyRelu, |x| if x < 0.0 { 0.25 * x } else { x });
        check(Activation::Elu, |x| if x < 0.0 { 0.25 * (math::exp(x) - 1.0) } else { x });
        check(Activation::Sigmoid, math::sigmoid);
        let tanh = |x: f64| 2.0 * math::sigmoid(2.0 * x) - 1.0;
        check(Activation::Tanh, tanh);
        check(Activation::Gelu, |x| 0.5 * x * (1.0 + error_function(x / core::f64::consts::SQRT_2)));
        let inner = |x: f64| 0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x);
        check(Activation::GeluTanh, |x| 0.5 * x * (1.0 + tanh(inner(x))));
        check(Activation::Softmax, |_| 1.0);
    }

    /// By its series; beyond 4 it is 1 within what single precision tells.
    fn error_function(x: f64) -> f64 {
        if x.abs() > 4.0 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..120 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * core::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for activation in Activation::ALL {
            let mut outputs = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
            activation.apply(1.0, &mut outputs);
            assert!(outputs[0].is_nan(), "{activation:?}");
        }
    }
}
