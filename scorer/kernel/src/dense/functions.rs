//! Activations, by polynomials of a fixed order in single precision.

/// What happens to the outputs of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// Nothing.
    None,
    /// The larger of the number and zero.
    Relu,
    /// Numbers below zero times this.
    LeakyRelu(f32),
    /// Below zero, this times (e^x - 1).
    Elu(f32),
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// x times the normal distribution function.
    Gelu,
    /// The same by the hyperbolic tangent, as ONNX's `approximate="tanh"`.
    GeluTanh,
    /// e^x by the sum of all of the layer's e^x.
    Softmax,
}

impl Activation {
    /// Replaces the outputs of one layer; NaN stays NaN.
    pub fn apply(self, outputs: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Relu => each(outputs, |x| if x < 0.0 { 0.0 } else { x }),
            Self::LeakyRelu(slope) => each(outputs, |x| if x < 0.0 { slope * x } else { x }),
            Self::Elu(alpha) => each(outputs, |x| if x < 0.0 { alpha * (exp(x) - 1.0) } else { x }),
            Self::Sigmoid => each(outputs, |x| 1.0 / (1.0 + exp(-x))),
            Self::Tanh => each(outputs, tanh),
            Self::Gelu => each(outputs, |x| 0.5 * x * (1.0 + erf(x * core::f32::consts::FRAC_1_SQRT_2))),
            Self::GeluTanh => each(outputs, |x| 0.5 * x * (1.0 + tanh(0.797_884_6 * (x + 0.044_715 * x * x * x)))),
            Self::Softmax => softmax(outputs),
        }
    }
}

fn each(outputs: &mut [f32], function: impl Fn(f32) -> f32) {
    outputs.iter_mut().for_each(|output| *output = function(*output));
}

fn softmax(outputs: &mut [f32]) {
    let highest = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    each(outputs, |x| exp(x - highest));
    let sum: f32 = outputs.iter().sum();
    each(outputs, |x| x / sum);
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
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * core::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // The logarithm of two in two parts, the first of them short enough to multiply exactly.
    let rest = x - whole * 0.693_359_4 - whole * -2.121_944_4e-4;
    let series = ((1.987_569_1e-4 * rest + 1.398_2e-3) * rest + 8.333_452e-3) * rest + 4.166_579_6e-2;
    let series = (series * rest + 1.666_666_5e-1) * rest + 5e-1;
    let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    (series * rest * rest + rest + 1.0) * f32::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(activation: Activation, expected: impl Fn(f64) -> f64) {
        for step in -4000..=4000 {
            let x = step as f32 / 200.0;
            let mut got = [x];
            activation.apply(&mut got);
            let (got, want) = (f64::from(got.iter().sum::<f32>()), expected(f64::from(x)));
            assert!((got - want).abs() <= 4e-7 * want.abs().max(1.0), "{activation:?}({x}) = {got}, expected {want}");
        }
    }

    #[test]
    fn activations_are_those_of_double_precision() {
        check(Activation::Relu, |x| x.max(0.0));
        check(Activation::LeakyRelu(0.25), |x| if x < 0.0 { 0.25 * x } else { x });
        check(Activation::Elu(1.5), |x| if x < 0.0 { 1.5 * libm::expm1(x) } else { x });
        check(Activation::Sigmoid, |x| 1.0 / (1.0 + libm::exp(-x)));
        check(Activation::Tanh, libm::tanh);
        check(Activation::Gelu, |x| 0.5 * x * (1.0 + libm::erf(x / core::f64::consts::SQRT_2)));
        let inner = |x: f64| (2.0 / core::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
        check(Activation::GeluTanh, |x| 0.5 * x * (1.0 + libm::tanh(inner(x))));
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let all = [Activation::Relu, Activation::Elu(1.0), Activation::Sigmoid, Activation::Tanh, Activation::Gelu];
        for activation in all {
            let mut outputs = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
            activation.apply(&mut outputs);
            assert!(outputs[0].is_nan(), "{activation:?}");
        }
    }
}
