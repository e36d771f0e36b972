//! Margin to probability.

use crate::cbor;
use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use crate::math;
use crate::model::Margin;
use alloc::string::String;
use alloc::vec::Vec;
use minicbor::Encode;

/// A calibrated probability of the bad outcome, in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Probability(f64);

impl Probability {
    /// Clamps a number into [0, 1]; NaN becomes 1, the conservative end.
    pub fn clamped(number: f64) -> Self {
        Self(if number.is_nan() { 1.0 } else { number.clamp(0.0, 1.0) })
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// The calibrator on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct CalibratorWire<'b> {
    /// Its version: it is refitted more often than the model is trained.
    #[b(0)]
    pub version: &'b str,
    /// 0 identity, 1 isotonic, 2 Platt, 3 beta.
    #[n(1)]
    pub kind: u32,
    /// What it reads: 0 the margin, 1 the probability by the model's own link.
    #[n(2)]
    pub input: u32,
    /// Isotonic: x of the knots, f64 little-endian. Platt: a, b. Beta: a, b, c.
    #[cbor(b(3), with = "minicbor::bytes")]
    pub x: &'b [u8],
    /// Isotonic: y of the knots, f64 little-endian.
    #[cbor(b(4), with = "minicbor::bytes")]
    pub y: &'b [u8],
}

cbor::map! { CalibratorWire<'b> { 0 => version, 1 => kind, 2 => input, 3 => x as bytes, 4 => y as bytes } }

/// A fitted calibrator.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibrator {
    /// Its version.
    pub version: String,
    /// Reads the probability by the model's link instead of the margin.
    pub reads_probability: bool,
    /// The curve.
    pub curve: Curve,
}

/// The monotone curve of a calibrator.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// The model's own link.
    Identity,
    /// Piecewise linear through knots, flat outside.
    Isotonic {
        /// Ascending.
        x: Vec<f64>,
        /// Never descending, within [0, 1].
        y: Vec<f64>,
    },
    /// p = 1 / (1 + exp(a s + b)), a <= 0. Source: Platt 1999; Lin, Lin, Weng 2007.
    Platt {
        /// Slope.
        a: f64,
        /// Offset.
        b: f64,
    },
    /// logit p = a ln s - b ln(1-s) + c, a, b >= 0. Source: Kull et al. 2017.
    Beta {
        /// Weight of ln s.
        a: f64,
        /// Weight of -ln(1-s).
        b: f64,
        /// Offset.
        c: f64,
    },
}

impl Calibrator {
    /// Parses the calibrator part.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT`, or `POLICY` for a curve that is not monotone.
    pub fn parse(part: &[u8]) -> Result<Self> {
        let wire: CalibratorWire<'_> = cbor::decode(part)?;
        ensure(wire.version.len() <= limits::NAME_BYTES, Code::Limit, "calibrator: version too long")?;
        ensure(wire.input <= 1, Code::Policy, "calibrator: unknown input")?;
        let (x, y) = (floats(wire.x)?, floats(wire.y)?);
        let curve = Curve::parse(wire.kind, x, y)?;
        let reads_probability = wire.input == 1;
        let fits = match curve {
            Curve::Identity | Curve::Beta { .. } => reads_probability,
            Curve::Platt { .. } | Curve::Isotonic { .. } => true,
        };
        ensure(fits, Code::Policy, "calibrator: identity and beta read the probability")?;
        Ok(Self { version: wire.version.into(), reads_probability, curve })
    }

    /// The calibrated probability.
    ///
    /// `by_link` is the probability that the model's own link gives for `margin`.
    pub fn apply(&self, margin: Margin, by_link: f64) -> Probability {
        let score = if self.reads_probability { by_link } else { margin.0 };
        Probability::clamped(self.curve.at(score))
    }
}

impl Curve {
    fn parse(kind: u32, x: Vec<f64>, y: Vec<f64>) -> Result<Self> {
        let curve = match (kind, x.as_slice(), y.as_slice()) {
            (0, [], []) => Self::Identity,
            (1, [_, ..], [_, ..]) => Self::Isotonic { x, y },
            (2, &[a, b], []) => Self::Platt { a, b },
            (3, &[a, b, c], []) => Self::Beta { a, b, c },
            _ => return Err(Error::new(Code::Policy, "calibrator: unknown kind or wrong number of parameters")),
        };
        ensure(curve.is_monotone(), Code::Policy, "calibrator: not monotone")?;
        Ok(curve)
    }

    /// Whether a higher score never gives a lower probability.
    fn is_monotone(&self) -> bool {
        match self {
            Self::Identity => true,
            Self::Isotonic { x, y } => {
                let knots = x.len() == y.len() && x.len() <= limits::KNOTS;
                knots && x.is_sorted_by(|a, b| a < b) && y.is_sorted() && y.iter().all(|p| (0.0..=1.0).contains(p))
            }
            Self::Platt { a, .. } => *a <= 0.0,
            Self::Beta { a, b, .. } => *a >= 0.0 && *b >= 0.0,
        }
    }

    /// The curve at a score; infinities are the ends of the curve.
    pub fn at(&self, score: f64) -> f64 {
        match self {
            Self::Identity => score,
            Self::Isotonic { x, y } => interpolate(x, y, score),
            Self::Platt { a, b } => math::sigmoid(-(weighted(*a, score) + b)),
            Self::Beta { a, b, c } => {
                let s = score.clamp(0.0, 1.0);
                math::sigmoid(weighted(*a, math::ln(s)) - weighted(*b, math::ln_1p(-s)) + c)
            }
        }
    }
}

/// `weight * value`, where a weight of zero means "does not count", infinities included.
fn weighted(weight: f64, value: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight * value }
}

/// Linear interpolation between knots, clipped outside, in the operation order of
/// numpy's `interp`, so that fitted curves agree with scikit-learn to the last bits.
fn interpolate(x: &[f64], y: &[f64], at: f64) -> f64 {
    if at.is_nan() {
        return f64::NAN;
    }
    let above = x.partition_point(|knot| *knot <= at);
    let (Some(upper), Some(lower)) = (x.get(above), above.checked_sub(1).and_then(|i| x.get(i))) else {
        return if above == 0 { y.first() } else { y.last() }.copied().unwrap_or(f64::NAN);
    };
    let (y_lower, y_upper) = (y.get(above - 1).copied().unwrap_or(f64::NAN), y.get(above).copied().unwrap_or(f64::NAN));
    let slope = (y_upper - y_lower) / (upper - lower);
    let from_lower = slope * (at - lower) + y_lower;
    // Knots too close, or too far apart, for a slope: the lower value is the safe reading
    // of the curve's own data, as numpy's second try at the other knot.
    if from_lower.is_nan() { y_lower } else { from_lower }
}

/// Reads little-endian doubles; every one must be finite.
fn floats(bytes: &[u8]) -> Result<Vec<f64>> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    ensure(rest.is_empty(), Code::Malformed, "calibrator: numbers are not 8 bytes each")?;
    ensure(chunks.len() <= limits::KNOTS, Code::Limit, "calibrator: too many knots")?;
    let numbers: Vec<f64> = chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect();
    ensure(numbers.iter().all(|number| number.is_finite()), Code::Policy, "calibrator: number not finite")?;
    Ok(numbers)
}
