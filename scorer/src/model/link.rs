//! Links: from raw scores to the response that the trainer's `predict` gives.

use crate::cbor;
use crate::error::{Code, Error, Result, ensure};
use crate::math;
use minicbor::Encode;

/// A link on the wire.
#[derive(Clone, Copy, Debug, Encode)]
#[cbor(map)]
pub struct LinkWire {
    /// The link's number, see [`Link::to_wire`].
    #[n(0)]
    pub kind: u32,
    /// Its parameter: the sigmoid's slope.
    #[n(1)]
    pub parameter: Option<f64>,
}

cbor::map! { LinkWire { 0 => kind, 1 => parameter or none } }

/// How raw scores become responses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Link {
    /// The score itself.
    Identity,
    /// 1 / (1 + exp(-slope x)), each output on its own.
    Logistic {
        /// LightGBM's `sigmoid` parameter.
        slope: f64,
    },
    /// Softmax over the outputs.
    Softmax,
    /// e^x.
    Exp,
    /// ln(1 + e^x), as LightGBM's cross_entropy_lambda.
    SoftPlus,
    /// sign(x) x^2, as LightGBM's reg_sqrt.
    SignedSquare,
    /// 1 above 0, else 0, as XGBoost's binary:hinge.
    Hinge,
    /// The inverse of the normal distribution function, as ONNX Runtime approximates it.
    Probit,
    /// Softmax over the outputs, where those within 1e-7 of zero do not count, as in ONNX.
    SoftmaxZero,
}

impl Link {
    /// The link as it stands in a model part.
    pub fn to_wire(self) -> LinkWire {
        let (kind, parameter) = match self {
            Self::Identity => (0, None),
            Self::Logistic { slope } => (1, Some(slope)),
            Self::Softmax => (2, None),
            Self::Exp => (3, None),
            Self::SoftPlus => (4, None),
            Self::SignedSquare => (5, None),
            Self::Hinge => (6, None),
            Self::Probit => (7, None),
            Self::SoftmaxZero => (8, None),
        };
        LinkWire { kind, parameter }
    }

    /// Reads a link for a model with so many outputs.
    ///
    /// # Errors
    /// `MODEL` for an unknown link, a slope that is not positive, a softmax of one.
    #[inline(never)]
    pub fn parse(wire: LinkWire, outputs: usize) -> Result<Self> {
        let link = match (wire.kind, wire.parameter) {
            (0, None) => Self::Identity,
            (1, Some(slope)) if slope > 0.0 && slope.is_finite() => Self::Logistic { slope },
            (2, None) => Self::Softmax,
            (3, None) => Self::Exp,
            (4, None) => Self::SoftPlus,
            (5, None) => Self::SignedSquare,
            (6, None) => Self::Hinge,
            (7, None) => Self::Probit,
            (8, None) => Self::SoftmaxZero,
            _ => return Err(Error::new(Code::Model, "model: unknown link or wrong parameter")),
        };
        ensure(
            !matches!(link, Self::Softmax | Self::SoftmaxZero) || outputs > 1,
            Code::Model,
            "model: softmax of a single output",
        )?;
        Ok(link)
    }

    /// Whether a response is a probability.
    pub fn gives_probability(self) -> bool {
        matches!(self, Self::Logistic { .. } | Self::Softmax | Self::SoftmaxZero)
    }

    /// Turns raw scores into responses, in place.
    pub fn apply(self, outputs: &mut [f64]) {
        match self {
            Self::Identity => {}
            Self::Softmax => softmax(outputs, |_| false),
            Self::SoftmaxZero => softmax(outputs, |x| libm::fabs(x) <= 1e-7),
            Self::Probit => each(outputs, math::probit),
            Self::Logistic { slope } => each(outputs, |x| 1.0 / (1.0 + math::exp(-slope * x))),
            Self::Exp => each(outputs, math::exp),
            Self::SoftPlus => each(outputs, |x| math::ln_1p(math::exp(x))),
            Self::SignedSquare => each(outputs, |x| if x < 0.0 { -x * x } else { x * x }),
            Self::Hinge => each(outputs, |x| f64::from(u8::from(x > 0.0))),
        }
    }
}

fn each(outputs: &mut [f64], link: impl Fn(f64) -> f64) {
    outputs.iter_mut().for_each(|output| *output = link(*output));
}

fn softmax(outputs: &mut [f64], left_out: impl Fn(f64) -> bool) {
    let highest = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    each(outputs, |x| if left_out(x) { 0.0 } else { math::exp(x - highest) });
    let sum: f64 = outputs.iter().sum();
    each(outputs, |x| x / sum);
}
