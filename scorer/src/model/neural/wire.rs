//! The `layers/1` part.

use super::functions::Activation;
use super::{Layer, Layers, Net};
use crate::cbor;
use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use crate::model::link::{Link, LinkWire};
use crate::model::{feature_names, risk};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use minicbor::Encode;
use tollgate_kernel::LANES;

/// A net on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct NetWire<'b> {
    /// Feature names, in model order: the first units.
    #[b(0)]
    pub features: Vec<&'b str>,
    /// Layer by layer, u32 little-endian: operation, activation (`Relu` behind `Dense` only), the
    /// bits of its alpha, first unit that is read, how many are read, and one more that the
    /// operation explains; for `Pick` then the units.
    #[cbor(b(1), with = "minicbor::bytes")]
    pub plan: &'b [u8],
    /// f32 little-endian: per feature what explanations compare with, then the constants of
    /// each layer in order.
    #[cbor(b(2), with = "minicbor::bytes")]
    pub numbers: &'b [u8],
    /// From raw scores to responses.
    #[n(3)]
    pub link: LinkWire,
    /// Outputs whose responses add up to the risk; empty for a single output.
    #[n(4)]
    pub risk: Vec<u32>,
}

cbor::map! { NetWire<'b> { 0 => features, 1 => plan as bytes, 2 => numbers as bytes, 3 => link, 4 => risk } }

/// What a layer computes from the units that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Operation {
    /// A constant, or other units, is added. The last word: where the others start, 0 for
    /// constants.
    Add = 0,
    /// Likewise multiplied.
    Multiply = 1,
    /// A constant stands in for a missing number.
    Fill = 2,
    /// Constants: biases and weights as [`tollgate_kernel::dense`] has them. The last word:
    /// outputs.
    Dense = 3,
    /// The units that are listed, as many as are said to be read.
    Pick = 4,
    /// Rows of a table of constants by number. The last word: length of a row, and in its
    /// upper half the number of rows.
    Embed = 5,
}

const WRONG: Error = Error::new(Code::Model, "model: layer");

impl Operation {
    const ALL: [Self; 6] = [Self::Add, Self::Multiply, Self::Fill, Self::Dense, Self::Pick, Self::Embed];
}

/// The words of the plan that are not read yet.
struct Words<'b>(&'b [[u8; 4]]);

impl Net {
    /// Parses a `layers/1` part.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT`, or `MODEL` with the layer at fault.
    #[inline(never)]
    pub fn parse(part: &[u8]) -> Result<Self> {
        let wire: NetWire<'_> = cbor::decode(part)?;
        let features = feature_names(&wire.features)?;
        let numbers = wire.numbers.as_chunks::<4>().0;
        let mut values = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let whole = wire.plan.len().is_multiple_of(4) && wire.numbers.len().is_multiple_of(4);
        ensure(
            whole && numbers.len() >= features.len() && values.clone().all(f32::is_finite),
            Code::Model,
            "model: numbers",
        )?;
        let baseline = values.by_ref().take(features.len()).map(f64::from).collect();
        let mut own = Layers {
            layers: Vec::new(),
            numbers: numbers.to_vec(),
            picked: Vec::new(),
            units: features.len(),
            outputs: 0,
        };
        let (mut words, mut read) = (Words(wire.plan.as_chunks().0), features.len());
        while !words.0.is_empty() {
            let layer = own.layer(&mut words, &mut read).map_err(|error| error.at(own.layers.len()))?;
            own.units = layer.to.end;
            own.outputs = layer.to.len();
            own.layers.push(layer);
        }
        let all = read == own.numbers.len() && own.layers.len() <= limits::LAYERS;
        ensure(all, Code::Model, "model: numbers or layers")?;
        ensure((1..=limits::OUTPUTS).contains(&own.outputs), Code::Limit, "model: no outputs, or too many")?;
        Ok(Self {
            features,
            outputs: own.outputs,
            risk: risk(&wire.risk, own.outputs)?,
            link: Link::parse(wire.link, own.outputs)?,
            baseline,
            work: own.numbers.len() + own.units,
            exact: true,
            run: Box::new(own),
        })
    }
}

impl Layers {
    /// Reads a layer; it reads units before its own, and no others.
    fn layer(&mut self, words: &mut Words<'_>, read: &mut usize) -> Result<Layer> {
        let operation = *Operation::ALL.get(words.next()?).ok_or(WRONG)?;
        let activation = Activation::from_number(words.next()?).ok_or(WRONG)?;
        let alpha = f32::from_bits(words.next()? as u32);
        let (first, count, more) = (words.next()?, words.next()?, words.next()?);
        let below = |end: usize| end <= limits::UNITS;
        let sane = operation == Operation::Embed || below(more);
        ensure(below(first) && below(count) && count > 0 && sane, Code::Limit, "model: units")?;
        let dense = operation == Operation::Dense;
        ensure(alpha.is_finite() && (dense || activation != Activation::Relu), Code::Model, "model: activation")?;
        let width = match operation {
            Operation::Dense => more,
            Operation::Embed => (more & 0xffff).saturating_mul(count),
            _ => count,
        };
        let of_units = more != 0 && matches!(operation, Operation::Add | Operation::Multiply | Operation::Fill);
        let constants = match operation {
            Operation::Dense => more.next_multiple_of(LANES).saturating_mul(count + 1),
            Operation::Embed => (more & 0xffff).saturating_mul(more >> 16),
            Operation::Pick => 0,
            _ if of_units => 0,
            _ => count,
        };
        let other = match operation {
            Operation::Pick => self.pick(words, count)?,
            _ if of_units => more..more + count,
            _ => *read..read.saturating_add(constants),
        };
        *read = read.saturating_add(constants);
        let to = self.units..self.units.saturating_add(width);
        let units = if of_units { other.end } else { 0 };
        let known = first + count <= self.units && units <= self.units && *read <= self.numbers.len();
        ensure(known && below(width) && width > 0 && below(to.end), Code::Limit, "model: layer")?;
        Ok(Layer { operation, from: first..first + count, other, of_units, to, activation, alpha })
    }

    /// Reads so many units that are picked; where they are in the list of all layers' picks.
    fn pick(&mut self, words: &mut Words<'_>, count: usize) -> Result<Range<usize>> {
        let from = self.picked.len();
        for _ in 0..count {
            let unit = words.next()?;
            ensure(unit < self.units, Code::Model, "model: units picked")?;
            self.picked.push(unit as u32);
        }
        Ok(from..self.picked.len())
    }
}

impl Words<'_> {
    fn next(&mut self) -> Result<usize> {
        let (word, rest) = self.0.split_first().ok_or(WRONG)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*word) as usize)
    }
}
