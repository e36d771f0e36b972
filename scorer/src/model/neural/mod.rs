//! Neural nets: layers that the core runs itself, or a graph that another crate runs.
//!
//! Layers are a list, each of which reads numbers that came before it: the row of features in
//! single precision, then what each layer gives, one after the other: the units. `wire.rs`
//! reads and checks the list; after that no layer can reach for a unit that is not there.

mod functions;
mod graph;
mod wire;

pub use functions::Activation;
pub use graph::{GraphWire, InputWire};
pub use wire::{NetWire, Operation};

use super::Link;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Debug};
use core::ops::Range;
use tollgate_kernel::dense;

/// A net, ready to run.
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
    /// Multiplications of one row, roughly.
    pub work: usize,
    /// Raw scores have the same bits in every build.
    pub exact: bool,
    /// What computes raw scores.
    pub run: Box<dyn Run>,
}

// To show what runs it would take code that travels with every module.
impl Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Net")
    }
}

/// Computes the raw scores of a net.
pub trait Run {
    /// Raw scores of a row, appended; NaN where it cannot be done. `units` is working memory.
    fn raw(&self, row: &[f64], units: &mut Vec<f32>, outputs: &mut Vec<f64>);
}

/// Layers that the core runs.
struct Layers {
    layers: Vec<Layer>,
    /// Constants of all layers, as the kernel reads them: bytes.
    numbers: Vec<[u8; 4]>,
    /// Units that are picked, by all layers.
    picked: Vec<u32>,
    units: usize,
    outputs: usize,
}

/// One layer: what it computes, from which units and which others, and where it lies.
struct Layer {
    operation: Operation,
    from: Range<usize>,
    /// Constants, units or picked ones, as the operation has it.
    other: Range<usize>,
    /// The others are units.
    of_units: bool,
    to: Range<usize>,
    activation: Activation,
    alpha: f32,
}

impl Run for Layers {
    fn raw(&self, row: &[f64], units: &mut Vec<f32>, outputs: &mut Vec<f64>) {
        units.resize(self.units, 0.0);
        units.iter_mut().zip(row).for_each(|(unit, value)| *unit = *value as f32);
        self.layers.iter().for_each(|layer| self.step(layer, units));
        let last = units.get(self.units - self.outputs..).unwrap_or_default();
        outputs.extend(last.iter().map(|unit| f64::from(*unit)));
    }
}

impl Layers {
    fn step(&self, layer: &Layer, units: &mut [f32]) {
        // INVARIANT: a layer reads what lies before it, see `wire.rs`.
        let (units, rest) = units.split_at_mut_checked(layer.to.start).unwrap_or_default();
        let to = rest.get_mut(..layer.to.len()).unwrap_or_default();
        let from = units.get(layer.from.clone()).unwrap_or_default();
        let numbers = self.numbers.get(layer.other.clone()).unwrap_or_default();
        let relu = layer.activation == Activation::Relu;
        match layer.operation {
            Operation::Dense => dense(numbers, from, if relu { 0.0 } else { f32::NEG_INFINITY }, to),
            Operation::Pick => {
                let picked = self.picked.get(layer.other.clone()).unwrap_or_default();
                to.iter_mut()
                    .zip(picked)
                    .for_each(|(to, at)| *to = units.get(*at as usize).copied().unwrap_or(f32::NAN));
            }
            Operation::Embed => {
                for (to, code) in to.chunks_exact_mut(to.len() / from.len().max(1)).zip(from) {
                    // Below zero and NaN there is no row.
                    let row = if *code >= 0.0 { numbers.chunks_exact(to.len()).nth(*code as usize) } else { None };
                    to.iter_mut().enumerate().for_each(|(at, to)| {
                        *to = row.and_then(|row| row.get(at)).map_or(f32::NAN, |number| f32::from_le_bytes(*number))
                    });
                }
            }
            _ => {
                let own = units.get(layer.other.clone()).unwrap_or_default();
                for (at, (to, one)) in to.iter_mut().zip(from).enumerate() {
                    let number = || numbers.get(at).map_or(f32::NAN, |number| f32::from_le_bytes(*number));
                    let other = if layer.of_units { own.get(at).copied().unwrap_or(f32::NAN) } else { number() };
                    *to = match layer.operation {
                        Operation::Add => one + other,
                        Operation::Multiply => one * other,
                        _ if one.is_nan() => other,
                        _ => *one,
                    };
                }
            }
        }
        layer.activation.apply(layer.alpha, to);
    }
}
