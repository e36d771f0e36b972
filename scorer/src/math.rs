//! The only door to transcendental functions.
//!
//! Everything goes through one pinned version of `libm`, natively too, so that a
//! probability has the same bits on every runtime.

/// e^x.
pub(crate) fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// ln x.
pub(crate) fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// ln(1 + x), exact for small x.
pub(crate) fn ln_1p(x: f64) -> f64 {
    libm::log1p(x)
}

/// 1 / (1 + e^-x): log-odds to probability.
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// ln(p / (1-p)): probability to log-odds, infinite at 0 and 1.
pub(crate) fn logit(p: f64) -> f64 {
    ln(p) - ln_1p(-p)
}

/// The point below which a normal variable lies with probability p, by Winitzki's
/// approximation with the digits that ONNX Runtime uses; NaN beyond 0 and 1.
#[expect(clippy::approx_constant, reason = "the digits are part of what is reproduced")]
pub(crate) fn probit(p: f64) -> f64 {
    let x = 2.0 * p - 1.0;
    let log = ln((1.0 - x) * (1.0 + x));
    let v = 2.0 / (3.14159 * 0.147) + 0.5 * log;
    let root = libm::sqrt(libm::sqrt(v * v - log / 0.147) - v);
    core::f64::consts::SQRT_2 * if x < 0.0 { -root } else { root }
}
