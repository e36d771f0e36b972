//! Products of a row with constant weights, by the kernel that the lean module has.
//!
//! Of a fully connected layer tract makes a product, a sum and a limit: three nodes with a
//! tensor each, whose upkeep costs more than the numbers. Here they become one node.

use tollgate_kernel::{dense, dense_tiles};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::model::Rewriter;
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::math::{Add, Max};

/// Puts [`Dense`] in the place of what it can compute; the rest of the model stays as it is.
pub(crate) fn rewrite(model: &mut TypedModel) -> TractResult<()> {
    Rewriter::default().with_rule_for("dense", rule).rewrite(&(), model)
}

/// A layer for one row: inputs times weights, plus biases, of which zero is left where they
/// are below and `relu` says so. NaN stays NaN, as in layers, where tract's own limit makes it
/// zero: a missing number shall not become a score.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Dense {
    tiles: Vec<[u8; 4]>,
    relu: bool,
    shape: TVec<usize>,
}

impl Op for Dense {
    fn name(&self) -> StaticName {
        "Dense".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Dense {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let row = inputs.first().ok_or_else(|| TractError::msg("no row"))?.try_as_plain_ram()?;
        let mut outputs = Tensor::zero::<f32>(&self.shape)?;
        let least = if self.relu { 0.0 } else { f32::NEG_INFINITY };
        dense(&self.tiles, row.as_slice()?, least, outputs.try_as_plain_ram_mut()?.as_slice_mut()?);
        Ok(tvec!(outputs.into()))
    }
}

impl TypedOp for Dense {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(&self.shape)))
    }

    as_op!();
}

fn rule(_: &(), model: &TypedModel, node: &TypedNode, name: &str, op: &EinSum) -> TractResult<Option<TypedModelPatch>> {
    let Some(product) = Product::of(model, node, op)? else { return Ok(None) };
    let mut last = node;
    let mut bias = vec![0.0; product.outputs];
    if let Some((next, addend)) = next::<Add>(model, last, product.outputs)? {
        (last, bias) = (next, addend);
    }
    let limited = next::<Max>(model, last, product.outputs)?.filter(|(_, limit)| limit.iter().all(|x| *x == 0.0));
    let relu = limited.is_some();
    last = limited.map_or(last, |(next, _)| next);
    let outlet = OutletId::from(last.id);
    let Some(shape) = model.outlet_fact(outlet)?.shape.as_concrete() else { return Ok(None) };
    let dense = Dense { tiles: dense_tiles(&bias, &product.weights), relu, shape: shape.into() };
    let mut patch = TypedModelPatch::default();
    let row = patch.tap_model(model, product.row)?;
    let made = patch.wire_node(name, dense, &[row])?;
    patch.shunt_outside(model, outlet, *made.first().ok_or_else(|| TractError::msg("no output"))?)?;
    Ok(Some(patch))
}

/// One row times constant weights.
struct Product {
    row: OutletId,
    /// Input by input those of all outputs.
    weights: Vec<f32>,
    outputs: usize,
}

impl Product {
    /// What the node computes, if it is that.
    fn of(model: &TypedModel, node: &TypedNode, op: &EinSum) -> TractResult<Option<Self>> {
        let [first, second] = *node.inputs else { return Ok(None) };
        let (row, side, other) = match (constant(model, first)?, constant(model, second)?) {
            (None, Some(tensor)) => (first, 1, tensor),
            (Some(tensor), None) => (second, 0, tensor),
            _ => return Ok(None),
        };
        let fact = model.outlet_fact(row)?;
        let single = [op.operating_dt, fact.datum_type].iter().all(|kind| *kind == f32::datum_type());
        let (true, None, true, Some(shape)) = (single, op.q_params, fact.is_plain(), fact.shape.as_concrete()) else {
            return Ok(None);
        };
        let Some((inputs, outputs)) = spans(&op.axes, shape, other.shape(), side) else { return Ok(None) };
        let numbers = other.try_as_plain_ram()?.as_slice::<f32>()?;
        let step = |input| (0..outputs.width).map(move |output| input * inputs.stride + output * outputs.stride);
        let weights: Option<_> = (0..inputs.width).flat_map(step).map(|at| numbers.get(at).copied()).collect();
        let finite = |weights: &Vec<f32>| weights.iter().all(|weight| weight.is_finite());
        Ok(weights.filter(finite).map(|weights| Self { row, weights, outputs: outputs.width }))
    }
}

/// An axis of the weights: how many there are, and how far apart.
#[derive(Clone, Copy)]
struct Span {
    width: usize,
    stride: usize,
}

/// The axes of inputs and outputs, if all others are but one wide: so that one row is
/// multiplied. `side` is the weights' place among the inputs of the product.
fn spans(axes: &AxesMapping, row: &[usize], weights: &[usize], side: usize) -> Option<(Span, Span)> {
    let one = Span { width: 1, stride: 0 };
    let (mut inputs, mut outputs) = (one, one);
    for axis in axes.iter_all_axes() {
        let place = |places: Option<&TVec<usize>>| match places?.as_slice() {
            [] => Some(None),
            [place] => Some(Some(*place)),
            _ => None,
        };
        let (own, other) = (place(axis.inputs.get(1 - side))?, place(axis.inputs.get(side))?);
        let summed = place(axis.outputs.first())?.is_none();
        let width = |shape: &[usize], place: Option<usize>| place.map_or(Some(1), |place| shape.get(place).copied());
        let (own, width) = (width(row, own)?, width(weights, other)?);
        let stride = weights.get(other.map_or(weights.len(), |place| place + 1)..)?.iter().product();
        let span = match (own, width, summed) {
            (1, 1, _) => continue,
            (_, _, true) if own == width => &mut inputs,
            (1, _, false) => &mut outputs,
            _ => return None,
        };
        if span.width != 1 {
            return None;
        }
        *span = Span { width, stride };
    }
    Some((inputs, outputs))
}

/// The only node behind this one, if it is such an operation of `count` numbers with
/// constants, and those.
fn next<'m, M: BinMiniOp>(
    model: &'m TypedModel,
    node: &'m TypedNode,
    count: usize,
) -> TractResult<Option<(&'m TypedNode, Vec<f32>)>> {
    if model.outputs.iter().any(|output| output.node == node.id) {
        return Ok(None);
    }
    let Some(next) = model.single_succ(node.id)? else { return Ok(None) };
    let ([first, second], Some(op)) = (&*next.inputs, next.op_as::<TypedBinOp>()) else { return Ok(None) };
    let other = if first.node == node.id { second } else { first };
    let shape = &model.outlet_fact(OutletId::from(next.id))?.shape;
    let volume = shape.as_concrete().map(|shape| shape.iter().product());
    let (true, Some(count), Some(tensor)) = (op.0.is::<M>(), volume.filter(|v| *v == count), constant(model, *other)?)
    else {
        return Ok(None);
    };
    let numbers = tensor.try_as_plain_ram()?.as_slice::<f32>()?;
    Ok(match numbers {
        [number] => Some((next, vec![*number; count])),
        _ => (numbers.len() == count).then(|| (next, numbers.to_vec())),
    })
}

/// The constant that an outlet gives, if it is one of single precision.
fn constant(model: &TypedModel, outlet: OutletId) -> TractResult<Option<Arc<Tensor>>> {
    let constant = model.outlet_fact(outlet)?.konst.clone();
    Ok(constant.filter(|tensor| tensor.is_plain_ram() && tensor.datum_type() == f32::datum_type()))
}
