//! Operators of a net, as layers.

use super::build::{Tensor, singles};
use super::tail::{Linked, is_one};
use super::{Value, Walk};
use crate::failure::Result;
use crate::import::NetOperation;
use crate::import::onnx::graph;
use crate::import::onnx::op::{Constant, Op};
use crate::import::onnx::proto::data_type;
use std::rc::Rc;
use tollgate_scorer::limits;
use tollgate_scorer::model::{Activation, Link};

impl Walk<'_> {
    /// The value of a node's output.
    pub(super) fn run(&mut self, op: &Op<'_>) -> Result<Value> {
        let value = match (op.node.domain.as_str(), op.node.op_type.as_str()) {
            ("ai.onnx.ml", "Scaler") => Some(Value::Tensor(self.scaler(op)?)),
            ("ai.onnx.ml", "Imputer") => Some(Value::Tensor(self.imputer(op)?)),
            ("ai.onnx.ml", "ZipMap") => Some(match self.value(op, 0)? {
                Value::Linked(linked) => Value::Linked(linked.named(graph::classes(op))),
                other => other,
            }),
            ("" | "ai.onnx", kind) => self.run_standard(op, kind)?,
            _ => None,
        };
        value.ok_or_else(|| op.refused("is no operator that can be lowered to layers"))
    }

    fn run_standard(&mut self, op: &Op<'_>, kind: &str) -> Result<Option<Value>> {
        if let Some((activation, alpha)) = activation(op, kind) {
            let (of, alone) = (self.tensor(op, 0)?, self.alone(op, 0));
            return Ok(Some(Value::Tensor(self.layers.activate(&of, alone, activation, alpha))));
        }
        Ok(Some(match kind {
            "Identity" | "Dropout" => self.value(op, 0)?,
            "Cast" => self.cast(op)?,
            "Constant" => Value::Constant(Rc::new(graph::constant(op)?)),
            "Sigmoid" => Value::Linked(Linked::new(self.tensor(op, 0)?, Link::Logistic { slope: 1.0 })),
            "Softmax" => Value::Linked(self.softmax(op)?),
            "MatMul" | "Gemm" => Value::Tensor(self.product(op)?),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(op, kind)?,
            "BatchNormalization" => Value::Tensor(self.normalize(op)?),
            "Gather" if matches!(self.value(op, 0)?, Value::Constant(_)) => Value::Tensor(self.embed(op)?),
            "Gather" => self.gather(op)?,
            "Slice" => self.slice(op)?,
            "Concat" => self.concat(op)?,
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => self.reshape(op)?,
            _ => return Ok(None),
        }))
    }

    /// Casts between the types that values have; a fraction must not be cut off.
    fn cast(&mut self, op: &Op<'_>) -> Result<Value> {
        match op.int("to", 0) as i32 {
            data_type::FLOAT => self.value(op, 0),
            data_type::INT64 | data_type::INT32 if matches!(self.value(op, 0)?, Value::Constant(_)) => {
                self.value(op, 0)
            }
            _ => Err(op.wrong("to", "casts to another type than float, which is not lowered")),
        }
    }

    fn softmax(&mut self, op: &Op<'_>) -> Result<Linked> {
        let of = self.tensor(op, 0)?;
        if of.dims.len() != 1 || !matches!(op.int("axis", -1), 1 | -1) || of.width() < 2 {
            return Err(op.refused("only a softmax of the columns of a row is lowered"));
        }
        Ok(Linked::new(of, Link::Softmax))
    }

    /// A row times a constant matrix, plus a constant.
    fn product(&mut self, op: &Op<'_>) -> Result<Tensor> {
        let of = self.tensor(op, 0)?;
        let matrix = self.constant(op, 1)?;
        let (alpha, beta) = (op.float("alpha", 1.0), op.float("beta", 1.0));
        let turned = op.int("transB", 0) != 0;
        let (rows, columns) = match matrix.dims.as_slice() {
            [rows, columns] if turned => (*columns, *rows),
            [rows, columns] => (*rows, *columns),
            _ => return Err(op.refused("multiplies by a constant that is no matrix")),
        };
        if of.dims != [rows] || op.int("transA", 0) != 0 || columns > limits::UNITS {
            return Err(op.refused("multiplies by a matrix that does not fit a row"));
        }
        let numbers = singles(op, &matrix)?;
        let at = |row: usize, column: usize| {
            let place = if turned { column * rows + row } else { row * columns + column };
            numbers.get(place).copied().unwrap_or(f32::NAN) * alpha
        };
        let weights = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let weights = weights.map(|(row, column)| at(row, column)).collect();
        let bias = match op.input(2) {
            None => vec![0.0; columns],
            Some(_) => spread(op, &*self.constant(op, 2)?, columns)?.iter().map(|bias| bias * beta).collect(),
        };
        Ok(self.layers.push(NetOperation::Dense { weights, bias }, vec![of.value], columns))
    }

    /// Arithmetic of two values, or of a value and a constant.
    fn arithmetic(&mut self, op: &Op<'_>, kind: &str) -> Result<Value> {
        let (value, constant, swapped) = match (self.value(op, 0)?, self.value(op, 1)?) {
            (value, Value::Constant(constant)) => (value, constant, false),
            (Value::Constant(constant), value) => (value, constant, true),
            _ => return self.both(op, kind).map(Value::Tensor),
        };
        if let (Value::Linked(linked), "Sub", true) = (&value, kind, swapped)
            && is_one(op, &constant)?
        {
            return linked.complement().map(Value::Linked).ok_or_else(|| op.refused("works on negative scores"));
        }
        let place = usize::from(swapped);
        let (of, alone) = (self.tensor(op, place)?, self.alone(op, place));
        let width = of.width();
        let numbers = spread(op, &constant, width)?;
        let (zeros, ones) = (vec![0.0; width], vec![1.0; width]);
        Ok(Value::Tensor(match (kind, swapped) {
            ("Add", _) => self.layers.affine(&of, alone, &numbers, &ones),
            ("Sub", false) => self.layers.affine(&of, alone, &negative(&numbers), &ones),
            // c - x = (x - c) (-1).
            ("Sub", true) => self.layers.affine(&of, alone, &negative(&numbers), &negative(&ones)),
            ("Mul", _) => self.layers.affine(&of, alone, &zeros, &numbers),
            ("Div", false) if numbers.iter().all(|x| *x != 0.0) => {
                let inverse: Vec<f32> = numbers.iter().map(|x| 1.0 / x).collect();
                self.layers.affine(&of, alone, &zeros, &inverse)
            }
            _ => return Err(op.refused("divides by a value or by zero")),
        }))
    }

    fn both(&mut self, op: &Op<'_>, kind: &str) -> Result<Tensor> {
        let (one, mut other) = (self.tensor(op, 0)?, self.tensor(op, 1)?);
        if one.dims != other.dims {
            return Err(op.refused("combines values of different shapes"));
        }
        let operation = match kind {
            "Add" => NetOperation::Add,
            "Mul" => NetOperation::Multiply,
            "Sub" => {
                let width = other.width();
                other = self.layers.affine(&other, false, &vec![0.0; width], &vec![-1.0; width]);
                NetOperation::Add
            }
            _ => return Err(op.refused("divides by a value")),
        };
        let sum = self.layers.push(operation, vec![one.value, other.value], one.width());
        Ok(Tensor { dims: one.dims, ..sum })
    }

    /// (x - mean) scale / sqrt(variance + epsilon) + bias.
    fn normalize(&mut self, op: &Op<'_>) -> Result<Tensor> {
        let (of, alone) = (self.tensor(op, 0)?, self.alone(op, 0));
        let width = of.width();
        let mut numbers = Vec::new();
        for index in 1..5 {
            numbers.push(spread(op, &*self.constant(op, index)?, width)?);
        }
        let [scale, bias, mean, variance] = numbers.as_slice() else { return Err(op.refused("lacks inputs")) };
        if of.dims.len() != 1 || op.int("training_mode", 0) != 0 {
            return Err(op.refused("normalizes what is no row of columns, or is in training mode"));
        }
        let epsilon = op.float("epsilon", 1e-5);
        let scale = scale.iter().zip(variance).map(|(scale, variance)| scale / (variance + epsilon).sqrt());
        let scale: Vec<f32> = scale.collect();
        let centred = self.layers.affine(&of, alone, &negative(mean), &scale);
        Ok(self.layers.affine(&centred, false, bias, &vec![1.0; width]))
    }

    fn scaler(&mut self, op: &Op<'_>) -> Result<Tensor> {
        let (of, alone) = (self.tensor(op, 0)?, self.alone(op, 0));
        let list = |name: &str| {
            let values = op.floats(name);
            spread(op, &Constant { dims: vec![values.len()], values, double: false }, of.width())
        };
        let (offset, scale) = (list("offset")?, list("scale")?);
        Ok(self.layers.affine(&of, alone, &negative(&offset), &scale))
    }

    fn imputer(&mut self, op: &Op<'_>) -> Result<Tensor> {
        let of = self.tensor(op, 0)?;
        if !op.float("replaced_value_float", 0.0).is_nan() {
            return Err(op.refused("replaces a number; only missing values are filled in layers"));
        }
        let values = op.floats("imputed_value_floats");
        let with = spread(op, &Constant { dims: vec![values.len()], values, double: false }, of.width())?;
        let width = of.width();
        Ok(self.layers.push(NetOperation::Fill(with), vec![of.value], width))
    }

    /// The rows of a constant table that a category's code names.
    fn embed(&mut self, op: &Op<'_>) -> Result<Tensor> {
        let (table, of) = (self.constant(op, 0)?, self.tensor(op, 1)?);
        let [rows, width] = table.dims.as_slice() else { return Err(op.refused("looks up in what is no table")) };
        if op.int("axis", 0) != 0 || *width == 0 || of.width().saturating_mul(*width) > limits::UNITS {
            return Err(op.wrong("axis", "looks up columns, or too many of them"));
        }
        let features = self.features_of(&of).ok_or_else(|| op.refused("looks up by what is no input"))?;
        self.tables.extend(features.map(|feature| (feature as usize, *rows)));
        let table = NetOperation::Embed { table: singles(op, &table)?, width: *width };
        let found = self.layers.push(table, vec![of.value], of.width() * width);
        let dims = of.dims.iter().copied().chain([*width]).collect();
        Ok(Tensor { dims, ..found })
    }

    /// The features that a value consists of, where it does.
    fn features_of(&self, of: &Tensor) -> Option<std::vec::IntoIter<u32>> {
        if of.value == 0 {
            return Some((0..of.width() as u32).collect::<Vec<_>>().into_iter());
        }
        let layer = self.layers.list.get(of.value as usize - 1)?;
        match &layer.operation {
            NetOperation::Pick(places) if layer.from == [0] && layer.activation == Activation::None => {
                Some(places.clone().into_iter())
            }
            _ => None,
        }
    }
}

/// Functions of one number, with their slope or alpha.
fn activation(op: &Op<'_>, kind: &str) -> Option<(Activation, f32)> {
    Some(match kind {
        "Relu" => (Activation::Relu, 0.0),
        "LeakyRelu" => (Activation::LeakyRelu, op.float("alpha", 0.01)),
        "Elu" => (Activation::Elu, op.float("alpha", 1.0)),
        "Tanh" => (Activation::Tanh, 0.0),
        "Gelu" if op.text("approximate", "none") == "tanh" => (Activation::GeluTanh, 0.0),
        "Gelu" => (Activation::Gelu, 0.0),
        _ => return None,
    })
}

fn negative(numbers: &[f32]) -> Vec<f32> {
    numbers.iter().map(|number| -number).collect()
}

/// A constant for each of so many columns; one number stands for all.
fn spread(op: &Op<'_>, constant: &Constant, width: usize) -> Result<Vec<f32>> {
    let numbers = singles(op, constant)?;
    let row = constant.dims.iter().rev().skip(1).all(|dim| *dim == 1);
    match numbers.as_slice() {
        [one] => Ok(vec![*one; width]),
        many if many.len() == width && row => Ok(numbers),
        _ => Err(op.refused(format!("a constant of {} numbers for {width} columns", numbers.len()))),
    }
}
