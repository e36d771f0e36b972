//! Nets to the layers part.

use super::sign::encode;
use crate::failure::Result;
use crate::import::{NetLayer, NetOperation, NetSource};
use tollgate_scorer::model::{Activation, LayerWire, NetWire};

/// Encodes a net; `risk` names the risky outputs of one with several.
pub(super) fn net_part(net: &NetSource, risk: &[u32]) -> Result<Vec<u8>> {
    let numbers: Vec<(Vec<u8>, Vec<u8>)> = net.layers.iter().map(|layer| numbers(&layer.operation)).collect();
    encode(&NetWire {
        features: net.features.iter().map(String::as_str).collect(),
        layers: net.layers.iter().zip(&numbers).map(|(layer, (weights, bias))| wire(layer, weights, bias)).collect(),
        link: net.link.to_wire(),
        risk: risk.to_vec(),
        baseline: net.baseline.clone(),
    })
}

fn wire<'n>(layer: &NetLayer, weights: &'n [u8], bias: &'n [u8]) -> LayerWire<'n> {
    let (operation, columns) = match &layer.operation {
        NetOperation::Dense { .. } => (0, vec![]),
        NetOperation::Affine { .. } => (1, vec![]),
        NetOperation::Pick(columns) => (2, columns.clone()),
        NetOperation::Embed { width, .. } => (3, vec![*width as u32]),
        NetOperation::Add => (4, vec![]),
        NetOperation::Multiply => (5, vec![]),
        NetOperation::Fill(_) => (6, vec![]),
    };
    let (activation, alpha) = match layer.activation {
        Activation::None => (0, 0.0),
        Activation::Relu => (1, 0.0),
        Activation::LeakyRelu(slope) => (2, slope),
        Activation::Elu(alpha) => (3, alpha),
        Activation::Sigmoid => (4, 0.0),
        Activation::Tanh => (5, 0.0),
        Activation::Gelu => (6, 0.0),
        Activation::GeluTanh => (7, 0.0),
        Activation::Softmax => (8, 0.0),
    };
    LayerWire { operation, from: layer.from.clone(), weights, bias, columns, activation, alpha: f64::from(alpha) }
}

/// Weights and bias as they stand on the wire.
fn numbers(operation: &NetOperation) -> (Vec<u8>, Vec<u8>) {
    match operation {
        NetOperation::Dense { weights, bias } => (bytes(weights), bytes(bias)),
        NetOperation::Affine { shift, scale } => (bytes(scale), bytes(shift)),
        NetOperation::Embed { table, .. } => (bytes(table), vec![]),
        NetOperation::Fill(with) => (vec![], bytes(with)),
        NetOperation::Pick(_) | NetOperation::Add | NetOperation::Multiply => (vec![], vec![]),
    }
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
