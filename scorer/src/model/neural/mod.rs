//! Neural nets: a list of layers, each of which reads values that came before it.
//!
//! Value 0 is the row of features in single precision, value n what layer n gives. `wire.rs`
//! reads and checks the list; after that no layer can reach for a value that is not there.

mod wire;

pub use wire::{LayerWire, NetWire};

use super::Link;
use alloc::string::String;
use alloc::vec::Vec;
use tollgate_kernel::{Activation, Dense};

/// A net, laid out for evaluation.
#[derive(Debug)]
pub struct Net {
    /// Feature names, in the order of a row's values.
    pub features: Vec<String>,
    /// Raw scores per row.
    pub outputs: usize,
    /// Outputs whose responses add up to the risk, where there are several outputs.
    pub risk: Vec<usize>,
    /// From raw scores to responses.
    pub link: Link,
    /// Per feature, what explanations compare with.
    pub baseline: Vec<f64>,
    /// Numbers in all layers: the work of one row.
    pub(crate) work: usize,
    layers: Vec<Layer>,
    /// Numbers in all values.
    units: usize,
}

/// Working memory of one row.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    units: Vec<f32>,
    places: Vec<u32>,
}

/// Where a value lies among the units.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: usize,
    width: usize,
}

/// One layer: what it computes, from where, to where.
#[derive(Debug)]
struct Layer {
    operation: Operation,
    to: Span,
    activation: Activation,
}

/// What a layer computes.
#[derive(Debug)]
enum Operation {
    /// Inputs times weights, plus bias.
    Dense(Span, Dense),
    /// (x + shift) scale.
    Affine { from: Span, shift: Vec<f32>, scale: Vec<f32> },
    /// Some columns of values, one after the other, by their places among the units.
    Pick(Vec<usize>),
    /// Per column the row of a table that its number names.
    Embed { from: Span, table: Vec<f32>, width: usize },
    /// Two values, number by number.
    Add(Span, Span),
    /// Likewise.
    Multiply(Span, Span),
    /// What stands in for a missing number.
    Fill(Span, Vec<f32>),
}

impl Net {
    /// Raw scores of one row, appended; `row` has one value per feature.
    pub fn raw(&self, row: &[f64], scratch: &mut Scratch, outputs: &mut Vec<f64>) {
        let Scratch { units, places } = scratch;
        units.resize(self.units, 0.0);
        let given = units.iter_mut().zip(row).take(self.features.len());
        given.for_each(|(unit, value)| *unit = *value as f32);
        for layer in &self.layers {
            // INVARIANT: a layer reads what lies before it, see `wire.rs`.
            let (before, rest) = units.split_at_mut_checked(layer.to.first).unwrap_or_default();
            let to = rest.get_mut(..layer.to.width).unwrap_or_default();
            layer.operation.run(before, places, to);
            layer.activation.apply(to);
        }
        let last = units.iter().skip(self.units - self.outputs);
        outputs.extend(last.map(|unit| f64::from(*unit)));
    }
}

impl Operation {
    fn run(&self, units: &[f32], places: &mut Vec<u32>, to: &mut [f32]) {
        let of = |span: &Span| units.get(span.first..span.first + span.width).unwrap_or_default();
        match self {
            Self::Dense(from, dense) => dense.apply(of(from), places, to),
            Self::Affine { from, shift, scale } => {
                let factors = shift.iter().zip(scale);
                let terms = to.iter_mut().zip(of(from)).zip(factors);
                terms.for_each(|((to, x), (shift, scale))| *to = (x + shift) * scale);
            }
            Self::Pick(picked) => {
                to.iter_mut().zip(picked).for_each(|(to, at)| *to = units.get(*at).copied().unwrap_or(f32::NAN));
            }
            Self::Embed { from, table, width } => {
                for (to, code) in to.chunks_exact_mut(*width).zip(of(from)) {
                    match row_of(table, *width, *code) {
                        Some(row) => to.copy_from_slice(row),
                        None => to.fill(f32::NAN),
                    }
                }
            }
            Self::Add(one, other) => both(to, of(one), of(other), |a, b| a + b),
            Self::Multiply(one, other) => both(to, of(one), of(other), |a, b| a * b),
            Self::Fill(from, with) => both(to, of(from), with, |x, with| if x.is_nan() { with } else { x }),
        }
    }
}

fn both(to: &mut [f32], one: &[f32], other: &[f32], function: impl Fn(f32, f32) -> f32) {
    to.iter_mut().zip(one.iter().zip(other)).for_each(|(to, (a, b))| *to = function(*a, *b));
}

/// The row of a table; none for a number that names no row.
fn row_of(table: &[f32], width: usize, code: f32) -> Option<&[f32]> {
    let index = code as usize;
    if code >= 0.0 { table.chunks_exact(width).nth(index) } else { None }
}
