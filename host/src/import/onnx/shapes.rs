//! Operators that pick, join and multiply columns.

use super::column::Arithmetic;
use super::graph::{Value, Walk, columns, scores};
use super::op::Op;
use super::{linear, prepare};
use crate::failure::Result;
use tollgate_scorer::limits;

impl Walk<'_> {
    /// An operator that changes the shape and leaves the columns as they are.
    pub(super) fn reshape(&self, op: &Op<'_>) -> Result<Value> {
        let value = self.value(op, 0)?;
        let width = width(&value);
        let unchanged = match op.node.op_type.as_str() {
            "Flatten" => op.int("axis", 1) == 1,
            "Squeeze" => width == 1,
            _ => match self.constant(op, 1)?.integers().as_slice() {
                [-1] => width == 1,
                [_, .., last] => *last == -1 || usize::try_from(*last).is_ok_and(|last| last == width),
                _ => false,
            },
        };
        if unchanged { Ok(value) } else { Err(op.refused("changes the number of columns, which is not supported")) }
    }

    /// Columns, or scores of one model, side by side.
    pub(super) fn concat(&self, op: &Op<'_>) -> Result<Value> {
        if op.node.op_type == "Concat" && op.int("axis", 1) == 0 {
            return Err(op.wrong("axis", "joins rows; only columns can be joined"));
        }
        let mut joined = Vec::new();
        let mut score = Vec::new();
        for index in 0..op.node.input.len() {
            match self.value(op, index)? {
                Value::Columns(of) => joined.extend(of.iter().cloned()),
                Value::Scores(of) => score.push(of),
                Value::Constant(_) => return Err(op.refused("joins constants and features")),
            }
            let of_scores: usize = score.iter().map(|part| part.columns.len()).sum();
            if joined.len().max(of_scores) > limits::CATEGORIES_TOTAL {
                return Err(op.refused(format!("joins more than {} columns", limits::CATEGORIES_TOTAL)));
            }
        }
        let Some(first) = score.first() else { return Ok(columns(joined)) };
        // Scores can only be joined where they are of one and the same model.
        if !joined.is_empty() || !score.iter().all(|other| same_model(other, first)) {
            return Err(op.refused("joins scores of several models; export one model at a time"));
        }
        let mut all = first.as_ref().clone();
        all.columns = score.iter().flat_map(|part| part.columns.iter().copied()).collect();
        let classes = score.iter().flat_map(|part| part.classes.iter().cloned()).collect();
        all.classes.clear();
        let all = all.named(classes);
        Ok(scores(all))
    }

    /// Some columns.
    pub(super) fn select(&self, op: &Op<'_>, positions: &[i64]) -> Result<Value> {
        let default = if op.node.op_type == "Gather" { 0 } else { 1 };
        if !matches!(op.int("axis", default), 1 | -1) {
            return Err(op.wrong("axis", "selects rows; only columns can be selected"));
        }
        let value = self.value(op, 0)?;
        let places = prepare::select(op, width(&value), positions)?;
        match value {
            Value::Columns(of) => Ok(columns(places.iter().filter_map(|place| of.get(*place).cloned()).collect())),
            Value::Scores(of) => of.select(op, &places).map(scores),
            Value::Constant(_) => Err(op.refused("selects from a constant")),
        }
    }

    /// The columns that a Slice takes.
    pub(super) fn slice(&self, op: &Op<'_>) -> Result<Vec<i64>> {
        let list = |index: usize, name: &str| -> Result<Vec<i64>> {
            match op.input(index) {
                Some(_) => Ok(self.constant(op, index)?.integers()),
                None => Ok(op.ints(name).to_vec()),
            }
        };
        let (starts, ends) = (list(1, "starts")?, list(2, "ends")?);
        let (axes, steps) = (list(3, "axes")?, list(4, "steps")?);
        let ([start], [end], [1 | -1], [] | [1]) =
            (starts.as_slice(), ends.as_slice(), axes.as_slice(), steps.as_slice())
        else {
            return Err(op.refused("only a slice of columns, one by one, is supported"));
        };
        let width = width(&self.value(op, 0)?) as i64;
        let clamp = |place: i64| (if place < 0 { place.saturating_add(width) } else { place }).clamp(0, width);
        Ok((clamp(*start)..clamp(*end)).collect())
    }

    /// Arithmetic with a constant.
    pub(super) fn arithmetic(&self, op: &Op<'_>, kind: &str) -> Result<Value> {
        let what = match kind {
            "Add" => Arithmetic::Add,
            "Sub" => Arithmetic::Subtract,
            "Mul" => Arithmetic::Multiply,
            _ => Arithmetic::Divide,
        };
        let (value, constant, swapped) = match (self.value(op, 0)?, self.value(op, 1)?) {
            (value, Value::Constant(constant)) => (value, constant, false),
            (Value::Constant(constant), value) => (value, constant, true),
            _ => return Err(op.refused("combines features or scores with each other; only constants are supported")),
        };
        match value {
            Value::Columns(of) => prepare::by(op, &of, what, &constant, swapped).map(columns),
            Value::Scores(of) => of.as_ref().clone().by(op, what, &constant, swapped).map(scores),
            Value::Constant(_) => Err(op.refused("works on constants alone; fold them when exporting")),
        }
    }

    /// Features times a constant matrix: a linear model.
    pub(super) fn product(&self, op: &Op<'_>) -> Result<Value> {
        let features = self.columns(op, 0)?;
        let matrix = self.constant(op, 1)?;
        if op.float("alpha", 1.0) != 1.0 || op.float("beta", 1.0) != 1.0 || op.int("transA", 0) != 0 {
            return Err(op.refused("alpha, beta and transA are not supported"));
        }
        let mut product = linear::product(op, &self.ground(&features), &matrix, op.int("transB", 0) != 0)?;
        product.id = op.position;
        match op.input(2) {
            None => Ok(scores(product)),
            Some(_) => product.by(op, Arithmetic::Add, &*self.constant(op, 2)?, false).map(scores),
        }
    }
}

fn width(value: &Value) -> usize {
    match value {
        Value::Columns(columns) => columns.len(),
        Value::Scores(scores) => scores.columns.len(),
        Value::Constant(constant) => constant.values.len(),
    }
}

fn same_model(one: &super::scores::Scores, other: &super::scores::Scores) -> bool {
    one.id == other.id
}
