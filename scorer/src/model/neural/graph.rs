//! The `onnx/1` part: a graph that the ONNX module runs.

use super::{Net, Run};
use crate::cbor;
use crate::error::{Code, Result, ensure};
use crate::limits;
use crate::model::link::{Link, LinkWire};
use crate::model::{feature_names, risk};
use alloc::boxed::Box;
use alloc::vec::Vec;
use minicbor::Encode;

/// A graph on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct GraphWire<'b> {
    /// Feature names, in the order of the inputs' columns.
    #[b(0)]
    pub features: Vec<&'b str>,
    /// The inputs, whose widths add up to the features.
    #[b(1)]
    pub inputs: Vec<InputWire<'b>>,
    /// The name of the value that gives the raw scores.
    #[b(2)]
    pub output: &'b str,
    /// How many raw scores it has a row.
    #[n(3)]
    pub outputs: u32,
    /// From raw scores to responses.
    #[n(4)]
    pub link: LinkWire,
    /// Outputs whose responses add up to the risk; empty for a single output.
    #[n(5)]
    pub risk: Vec<u32>,
    /// Per feature, what explanations compare with.
    #[n(6)]
    pub baseline: Vec<f64>,
    /// The ONNX file.
    #[cbor(b(7), with = "minicbor::bytes")]
    pub graph: &'b [u8],
}

cbor::map! { GraphWire<'b> { 0 => features, 1 => inputs, 2 => output, 3 => outputs, 4 => link, 5 => risk, 6 => baseline, 7 => graph as bytes } }

/// An input on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct InputWire<'b> {
    /// Its name.
    #[b(0)]
    pub name: &'b str,
    /// Its columns.
    #[n(1)]
    pub width: u32,
    /// 0 single precision, 1 integers of 64 bits; 2 and 3 the same without a dimension of
    /// columns.
    #[n(2)]
    pub kind: u32,
}

cbor::map! { InputWire<'b> { 0 => name, 1 => width, 2 => kind } }

impl Net {
    /// Parses an `onnx/1` part; `run` makes what computes its raw scores.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT`, `MODEL`, and those of `run`.
    pub fn of_graph(part: &[u8], run: impl FnOnce(&GraphWire<'_>) -> Result<Box<dyn Run>>) -> Result<Self> {
        let wire: GraphWire<'_> = cbor::decode(part)?;
        let features = feature_names(&wire.features)?;
        let outputs = wire.outputs as usize;
        ensure((1..=limits::OUTPUTS).contains(&outputs), Code::Limit, "model: no outputs, or too many")?;
        let widths = wire.inputs.iter().try_fold(0usize, |sum, input| sum.checked_add(input.width as usize));
        let known = wire.inputs.iter().all(|input| input.kind < 4 && (input.kind < 2 || input.width == 1));
        ensure(known && widths == Some(features.len()), Code::Model, "model: inputs do not fit the features")?;
        let finite = wire.baseline.iter().all(|number| number.is_finite());
        ensure(finite && wire.baseline.len() == features.len(), Code::Model, "model: baseline does not fit")?;
        Ok(Self {
            features,
            outputs,
            risk: risk(&wire.risk, outputs)?,
            link: Link::parse(wire.link, outputs)?,
            exact: false,
            run: run(&wire)?,
            work: wire.graph.len(),
            baseline: wire.baseline,
        })
    }
}
