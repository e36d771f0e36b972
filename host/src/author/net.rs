//! Nets to the layers part, or to that of a graph.

use super::sign::encode;
use crate::failure::{Failure, Result};
use crate::import::{GraphSource, NetLayer, NetOperation, NetSource};
use tollgate_kernel::dense_tiles;
use tollgate_scorer::model::{Activation, GraphWire, InputWire, NetWire, Operation};

/// Encodes a net; `risk` names the risky outputs of one with several.
pub(super) fn net_part(net: &NetSource, risk: &[u32]) -> Result<Vec<u8>> {
    let mut layers = Encoder::new(net);
    for layer in &net.layers {
        layers.push(layer)?;
    }
    let [plan, numbers] = [words(&layers.plan), words(&layers.numbers)];
    encode(&NetWire {
        features: net.features.iter().map(String::as_str).collect(),
        plan: &plan,
        numbers: &numbers,
        link: net.link.to_wire(),
        risk: risk.to_vec(),
    })
}

/// Encodes a graph with what the ONNX module needs to know of it.
pub(super) fn graph_part(graph: &GraphSource, risk: &[u32]) -> Result<Vec<u8>> {
    let inputs = graph.inputs.iter().map(|input| InputWire {
        name: &input.name,
        width: input.width as u32,
        kind: u32::from(input.integer) + if input.columns { 0 } else { 2 },
    });
    encode(&GraphWire {
        features: graph.features.iter().map(String::as_str).collect(),
        inputs: inputs.collect(),
        output: &graph.output,
        outputs: graph.outputs as u32,
        link: graph.link.to_wire(),
        risk: risk.to_vec(),
        baseline: graph.baseline.clone(),
        graph: &graph.graph,
    })
}

/// The part as it grows.
struct Encoder {
    plan: Vec<u32>,
    /// Their bits.
    numbers: Vec<u32>,
    /// First unit and width of every value so far.
    values: Vec<(u32, u32)>,
}

impl Encoder {
    fn new(net: &NetSource) -> Self {
        let numbers = net.baseline.iter().map(|number| (*number as f32).to_bits()).collect();
        Self { plan: Vec::new(), numbers, values: vec![(0, net.features.len() as u32)] }
    }

    fn value(&self, layer: &NetLayer, index: usize) -> Result<(u32, u32)> {
        let value = layer.from.get(index).and_then(|value| self.values.get(*value as usize)).copied();
        value.ok_or_else(|| Failure::refused("MODEL", "a layer reads a value that is not there"))
    }

    fn push(&mut self, layer: &NetLayer) -> Result<()> {
        let (first, count) = self.value(layer, 0)?;
        let relu = layer.activation == Activation::Relu;
        let by_constant = |operation: Operation| (operation, first, count, 0, count);
        let (operation, first, count, more, width) = match &layer.operation {
            NetOperation::Dense { weights, bias } => {
                self.numbers.extend(dense_tiles(bias, weights).into_iter().map(u32::from_le_bytes));
                (Operation::Dense, first, count, bias.len() as u32, bias.len() as u32)
            }
            NetOperation::Shift(by) => {
                self.push_numbers(by);
                by_constant(Operation::Add)
            }
            NetOperation::Scale(by) => {
                self.push_numbers(by);
                by_constant(Operation::Multiply)
            }
            NetOperation::Fill(with) => {
                self.push_numbers(with);
                by_constant(Operation::Fill)
            }
            NetOperation::Add => (Operation::Add, first, count, self.value(layer, 1)?.0, count),
            NetOperation::Multiply => (Operation::Multiply, first, count, self.value(layer, 1)?.0, count),
            NetOperation::Pick(columns) => (Operation::Pick, 0, columns.len() as u32, 0, columns.len() as u32),
            NetOperation::Embed { table, width } => {
                self.push_numbers(table);
                (Operation::Embed, first, count, shape(table.len() / width, *width)?, count * *width as u32)
            }
        };
        // Only a dense layer has a least of its own.
        let own = if relu && operation != Operation::Dense { Activation::LeakyRelu } else { layer.activation };
        self.plan.extend([operation as u32, own as u32, layer.alpha.to_bits(), first, count, more]);
        if let NetOperation::Pick(columns) = &layer.operation {
            let picked = self.picked(layer, columns)?;
            self.plan.extend(picked);
        }
        let start = self.values.last().map_or(0, |(first, width)| first + width);
        self.values.push((start, width));
        Ok(())
    }

    /// The units that a layer picks from what it reads.
    fn picked(&self, layer: &NetLayer, columns: &[u32]) -> Result<Vec<u32>> {
        let places = self.places(layer)?;
        let picked = columns.iter().map(|column| places.get(*column as usize).copied());
        let missing = || Failure::refused("MODEL", "a layer picks a column that is not there");
        picked.collect::<Option<Vec<u32>>>().ok_or_else(missing)
    }

    /// The units of all values that a layer reads, side by side.
    fn places(&self, layer: &NetLayer) -> Result<Vec<u32>> {
        let spans = (0..layer.from.len()).map(|index| self.value(layer, index)).collect::<Result<Vec<_>>>()?;
        Ok(spans.into_iter().flat_map(|(first, width)| first..first + width).collect())
    }

    fn push_numbers(&mut self, numbers: &[f32]) {
        self.numbers.extend(numbers.iter().map(|number| number.to_bits()));
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Rows and columns of an embedding in a word.
fn shape(rows: usize, columns: usize) -> Result<u32> {
    if rows > 0xffff || columns > 0xffff {
        return Err(Failure::refused("LIMIT", "an embedding has more than 65,535 rows or columns"));
    }
    Ok((rows << 16 | columns) as u32)
}
