//! Linear and logistic models.

use super::feature_names;
use super::link::{Link, LinkWire};
use crate::cbor;
use crate::error::{Code, Result, ensure};
use alloc::string::String;
use alloc::vec::Vec;
use minicbor::{Decode, Encode};

/// A linear model on the wire.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub struct LinearWire<'b> {
    /// Feature names, in the order of the weights.
    #[b(0)]
    pub features: Vec<&'b str>,
    /// One weight per feature.
    #[n(1)]
    pub weights: Vec<f64>,
    /// Added to the sum.
    #[n(2)]
    pub intercept: f64,
    /// From the sum to the response.
    #[n(3)]
    pub link: LinkWire,
}

/// intercept + w1 x1 + w2 x2 + ..., summed in that order.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Feature names, in the order of the weights.
    pub features: Vec<String>,
    /// One weight per feature.
    pub weights: Vec<f64>,
    /// The start of the sum.
    pub intercept: f64,
    /// From the sum to the response.
    pub link: Link,
}

impl Linear {
    /// Parses a `linear/1` part.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT` or `MODEL`.
    pub fn parse(part: &[u8]) -> Result<Self> {
        let wire: LinearWire<'_> = cbor::decode(part)?;
        let features = feature_names(&wire.features)?;
        ensure(wire.weights.len() == features.len(), Code::Model, "model: weights do not match the features")?;
        let finite = wire.weights.iter().chain([&wire.intercept]).all(|number| number.is_finite());
        ensure(finite, Code::Model, "model: weight not finite")?;
        let link = Link::parse(wire.link, 1)?;
        Ok(Self { features, weights: wire.weights, intercept: wire.intercept, link })
    }

    /// The sum for one row; NaN in a feature with a weight gives NaN.
    pub fn raw(&self, row: &[f64]) -> f64 {
        let terms = self.weights.iter().zip(row).filter(|(weight, _)| **weight != 0.0);
        terms.fold(self.intercept, |sum, (weight, value)| sum + weight * value)
    }
}
