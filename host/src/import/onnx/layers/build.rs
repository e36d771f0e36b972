//! Layers as they are found, one behind the other.

use crate::failure::Result;
use crate::import::onnx::op::{Constant, Op};
use crate::import::{NetLayer, NetOperation};
use tollgate_scorer::model::Activation;

/// What a name in the graph stands for: a value and its shape, rows aside.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    /// Number of the value.
    pub value: u32,
    /// Its dimensions behind that of the rows.
    pub dims: Vec<usize>,
}

impl Tensor {
    /// Numbers a row.
    pub(super) fn width(&self) -> usize {
        self.dims.iter().product()
    }
}

/// The layers so far.
#[derive(Default)]
pub(super) struct Layers {
    pub list: Vec<NetLayer>,
}

impl Layers {
    /// Adds a layer that gives one dimension of numbers.
    pub(super) fn push(&mut self, operation: NetOperation, from: Vec<u32>, width: usize) -> Tensor {
        self.list.push(NetLayer { operation, from, activation: Activation::None, alpha: 0.0 });
        Tensor { value: self.list.len() as u32, dims: vec![width] }
    }

    /// The layer that gave a value, where nothing happened to its outputs yet.
    fn bare(&mut self, of: &Tensor) -> Option<&mut NetLayer> {
        let layer = (of.value as usize).checked_sub(1).and_then(|index| self.list.get_mut(index));
        layer.filter(|layer| layer.activation == Activation::None)
    }

    /// Puts a function on a value; into its own layer where nothing else reads it.
    pub(super) fn activate(&mut self, of: &Tensor, alone: bool, activation: Activation, alpha: f32) -> Tensor {
        if let Some(layer) = self.bare(of).filter(|_| alone) {
            (layer.activation, layer.alpha) = (activation, alpha);
            return of.clone();
        }
        let all = (0..of.width() as u32).collect();
        let mut copy = self.push(NetOperation::Pick(all), vec![of.value], of.width());
        copy.dims.clone_from(&of.dims);
        self.activate(&copy, true, activation, alpha)
    }

    /// (x + shift) scale; a shift goes into the bias of its own layer where it can.
    pub(super) fn affine(&mut self, of: &Tensor, alone: bool, shift: &[f32], scale: &[f32]) -> Tensor {
        let mut moved = of.clone();
        if shift.iter().any(|shift| *shift != 0.0) {
            match self.bare(of).filter(|_| alone) {
                Some(NetLayer { operation: NetOperation::Dense { bias, .. }, .. }) => {
                    bias.iter_mut().zip(shift).for_each(|(bias, shift)| *bias += shift);
                }
                _ => moved = self.like(of, NetOperation::Shift(shift.to_vec())),
            }
        }
        if scale.iter().any(|scale| *scale != 1.0) {
            moved = self.like(&moved, NetOperation::Scale(scale.to_vec()));
        }
        moved
    }

    /// A layer of the shape of what it reads.
    fn like(&mut self, of: &Tensor, operation: NetOperation) -> Tensor {
        Tensor { dims: of.dims.clone(), ..self.push(operation, vec![of.value], of.width()) }
    }
}

/// The numbers of a constant in single precision.
pub(super) fn singles(op: &Op<'_>, constant: &Constant) -> Result<Vec<f32>> {
    let numbers: Vec<f32> = constant.values.iter().map(|value| *value as f32).collect();
    if constant.double || !numbers.iter().all(|number| number.is_finite()) {
        return Err(op.refused("uses a constant of double precision, or one that is not finite"));
    }
    Ok(numbers)
}
