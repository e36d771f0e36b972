//! Layers as they are found, one behind the other.

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
        self.list.push(NetLayer { operation, from, activation: Activation::None });
        Tensor { value: self.list.len() as u32, dims: vec![width] }
    }

    /// The layer that gave a value, where nothing happened to its outputs yet.
    fn bare(&mut self, of: &Tensor) -> Option<&mut NetLayer> {
        let layer = (of.value as usize).checked_sub(1).and_then(|index| self.list.get_mut(index));
        layer.filter(|layer| layer.activation == Activation::None)
    }

    /// Puts a function on a value; into its own layer where nothing else reads it.
    pub(super) fn activate(&mut self, of: &Tensor, alone: bool, activation: Activation) -> Tensor {
        if let Some(layer) = self.bare(of).filter(|_| alone) {
            layer.activation = activation;
            return of.clone();
        }
        let all = (0..of.width() as u32).collect();
        let mut copy = self.push(NetOperation::Pick(all), vec![of.value], of.width());
        copy.dims.clone_from(&of.dims);
        self.activate(&copy, true, activation)
    }

    /// (x + shift) scale; a shift alone goes into the bias of its own layer where it can.
    pub(super) fn affine(&mut self, of: &Tensor, alone: bool, shift: Vec<f32>, scale: Vec<f32>) -> Tensor {
        if let Some(NetLayer { operation: NetOperation::Dense { bias, .. }, .. }) = self.bare(of).filter(|_| alone)
            && scale.iter().all(|scale| *scale == 1.0)
        {
            bias.iter_mut().zip(shift).for_each(|(bias, shift)| *bias += shift);
            return of.clone();
        }
        let mut moved = self.push(NetOperation::Affine { shift, scale }, vec![of.value], of.width());
        moved.dims.clone_from(&of.dims);
        moved
    }
}
