//! The `layers/1` part.

use super::{Layer, Net, Operation, Span};
use crate::cbor;
use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use crate::model::link::{Link, LinkWire};
use crate::model::{feature_names, risk};
use alloc::vec::Vec;
use minicbor::Encode;
use tollgate_kernel::{Activation, Dense};

/// A net on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct NetWire<'b> {
    /// Feature names, in model order: value 0.
    #[b(0)]
    pub features: Vec<&'b str>,
    /// The layers; the last one gives the raw scores.
    #[b(1)]
    pub layers: Vec<LayerWire<'b>>,
    /// From raw scores to responses.
    #[n(2)]
    pub link: LinkWire,
    /// Outputs whose responses add up to the risk; empty for a single output.
    #[n(3)]
    pub risk: Vec<u32>,
    /// Per feature, what explanations compare with.
    #[n(4)]
    pub baseline: Vec<f64>,
}

cbor::map! { NetWire<'b> { 0 => features, 1 => layers, 2 => link, 3 => risk, 4 => baseline } }

/// A layer on the wire; numbers are f32 little-endian.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct LayerWire<'b> {
    /// 0 dense, 1 affine, 2 pick, 3 embed, 4 add, 5 multiply, 6 fill.
    #[n(0)]
    pub operation: u32,
    /// The values it reads; 0 the features, n what layer n gave.
    #[n(1)]
    pub from: Vec<u32>,
    /// Dense: input by input a weight per output. Affine: scales. Embed: the table.
    #[cbor(b(2), with = "minicbor::bytes")]
    pub weights: &'b [u8],
    /// Dense: biases. Affine: shifts. Fill: what stands in.
    #[cbor(b(3), with = "minicbor::bytes")]
    pub bias: &'b [u8],
    /// Pick: columns of the values side by side, empty for all. Embed: a row's length.
    #[n(4)]
    pub columns: Vec<u32>,
    /// 0 none, 1 relu, 2 leaky, 3 elu, 4 sigmoid, 5 tanh, 6 gelu, 7 gelu by tanh, 8 softmax.
    #[n(5)]
    pub activation: u32,
    /// Slope or alpha of the activation.
    #[n(6)]
    pub alpha: f64,
}

cbor::map! { LayerWire<'b> { 0 => operation, 1 => from, 2 => weights as bytes, 3 => bias as bytes, 4 => columns, 5 => activation, 6 => alpha } }

const WRONG: Error = Error::new(Code::Model, "model: numbers do not fit, layer");

impl Net {
    /// Parses a `layers/1` part.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT`, or `MODEL` with the layer at fault.
    pub fn parse(part: &[u8]) -> Result<Self> {
        let wire: NetWire<'_> = cbor::decode(part)?;
        let features = feature_names(&wire.features)?;
        ensure(wire.layers.len() <= limits::LAYERS, Code::Limit, "model: too many layers")?;
        let mut values = Vec::from([Span { first: 0, width: features.len() }]);
        let mut layers = Vec::with_capacity(wire.layers.len());
        let (mut units, mut work) = (features.len(), 0usize);
        for (index, wire) in wire.layers.iter().enumerate() {
            let layer = layer(wire, &values, units).map_err(|error| error.at(index))?;
            units += layer.to.width;
            work += wire.weights.len() / 4 + layer.to.width;
            ensure(units <= limits::UNITS, Code::Limit, "model: too many units")?;
            values.push(layer.to);
            layers.push(layer);
        }
        let outputs = layers.last().map_or(0, |last: &Layer| last.to.width);
        ensure((1..=limits::OUTPUTS).contains(&outputs), Code::Limit, "model: no outputs, or too many")?;
        let finite = wire.baseline.iter().all(|number| number.is_finite());
        ensure(finite && wire.baseline.len() == features.len(), Code::Model, "model: baseline does not fit")?;
        Ok(Self {
            features,
            outputs,
            risk: risk(&wire.risk, outputs)?,
            link: Link::parse(wire.link, outputs)?,
            baseline: wire.baseline,
            work,
            layers,
            units,
        })
    }
}

/// Checks a layer against the values before it.
fn layer(wire: &LayerWire<'_>, values: &[Span], first: usize) -> Result<Layer> {
    let (weights, bias) = (floats(wire.weights)?, floats(wire.bias)?);
    ensure(wire.from.len() <= limits::FEATURES, Code::Limit, "model: too many values, layer")?;
    let from = wire.from.iter().map(|value| values.get(*value as usize).copied());
    let from = from.collect::<Option<Vec<Span>>>().ok_or(WRONG)?;
    let (operation, width) = operation(wire, &from, weights, bias)?;
    ensure((1..=limits::UNITS).contains(&width), Code::Limit, "model: too many units, layer")?;
    Ok(Layer { operation, to: Span { first, width }, activation: activation(wire)? })
}

/// The operation and the width of what it gives.
fn operation(wire: &LayerWire<'_>, from: &[Span], weights: Vec<f32>, bias: Vec<f32>) -> Result<(Operation, usize)> {
    let fits = |fits: bool| if fits { Ok(()) } else { Err(WRONG) };
    Ok(match (wire.operation, from) {
        (0, [from]) => {
            fits(!bias.is_empty() && Some(weights.len()) == bias.len().checked_mul(from.width))?;
            (Operation::Dense(*from, Dense::new(from.width, &weights, &bias)), bias.len())
        }
        (1, [from]) => {
            fits(weights.len() == from.width && bias.len() == from.width)?;
            (Operation::Affine { from: *from, shift: bias, scale: weights }, from.width)
        }
        (2, [_, ..]) => {
            let picked = picked(from, &wire.columns)?;
            let width = picked.len();
            (Operation::Pick(picked), width)
        }
        (3, [from]) => {
            let [width] = wire.columns.as_slice() else { return Err(WRONG) };
            let width = *width as usize;
            fits(width > 0 && !weights.is_empty() && weights.len().is_multiple_of(width))?;
            let whole = width.checked_mul(from.width).ok_or(WRONG)?;
            (Operation::Embed { from: *from, table: weights, width }, whole)
        }
        (4 | 5, [one, other]) => {
            fits(one.width == other.width)?;
            let (one, other) = (*one, *other);
            let add = wire.operation == 4;
            (if add { Operation::Add(one, other) } else { Operation::Multiply(one, other) }, one.width)
        }
        (6, [from]) => {
            fits(bias.len() == from.width)?;
            (Operation::Fill(*from, bias), from.width)
        }
        _ => return Err(Error::new(Code::Model, "model: unknown operation, layer")),
    })
}

/// Places among the units of columns of values that lie side by side.
fn picked(from: &[Span], columns: &[u32]) -> Result<Vec<usize>> {
    let total: usize = from.iter().map(|span| span.width).sum();
    ensure(total.max(columns.len()) <= limits::UNITS, Code::Limit, "model: too many units, layer")?;
    let all: Vec<usize> = from.iter().flat_map(|span| span.first..span.first + span.width).collect();
    if columns.is_empty() {
        return Ok(all);
    }
    columns.iter().map(|column| all.get(*column as usize).copied()).collect::<Option<_>>().ok_or(WRONG)
}

fn activation(wire: &LayerWire<'_>) -> Result<Activation> {
    let alpha = wire.alpha as f32;
    ensure(alpha.is_finite(), Code::Model, "model: number not finite, layer")?;
    Ok(match wire.activation {
        0 => Activation::None,
        1 => Activation::Relu,
        2 => Activation::LeakyRelu(alpha),
        3 => Activation::Elu(alpha),
        4 => Activation::Sigmoid,
        5 => Activation::Tanh,
        6 => Activation::Gelu,
        7 => Activation::GeluTanh,
        8 => Activation::Softmax,
        _ => return Err(Error::new(Code::Model, "model: unknown activation, layer")),
    })
}

fn floats(bytes: &[u8]) -> Result<Vec<f32>> {
    let (chunks, rest) = bytes.as_chunks::<4>();
    ensure(rest.is_empty(), Code::Malformed, "model: numbers are not 4 bytes each, layer")?;
    let floats: Vec<f32> = chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    ensure(floats.iter().all(|number| number.is_finite()), Code::Model, "model: number not finite, layer")?;
    Ok(floats)
}
