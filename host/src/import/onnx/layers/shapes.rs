//! Operators that pick, join and reshape values.

use super::build::Tensor;
use super::tail::Linked;
use super::{Value, Walk};
use crate::failure::Result;
use crate::import::NetOperation;
use crate::import::onnx::op::Op;
use crate::import::onnx::prepare;
use tollgate_scorer::limits;

impl Walk<'_> {
    /// Columns by number.
    pub(super) fn gather(&mut self, op: &Op<'_>) -> Result<Value> {
        let positions = self.constant(op, 1)?;
        if !matches!(op.int("axis", 0), 1 | -1) {
            return Err(op.wrong("axis", "selects rows; only columns can be selected"));
        }
        let picked = self.select(op, &positions.integers())?;
        Ok(match picked {
            // A single position takes the dimension away.
            Value::Tensor(tensor) if positions.dims.is_empty() => Value::Tensor(Tensor { dims: vec![], ..tensor }),
            other => other,
        })
    }

    /// Columns of a range.
    pub(super) fn slice(&mut self, op: &Op<'_>) -> Result<Value> {
        let list = |walk: &Self, index: usize, name: &str| -> Result<Vec<i64>> {
            match op.input(index) {
                Some(_) => Ok(walk.constant(op, index)?.integers()),
                None => Ok(op.ints(name).to_vec()),
            }
        };
        let (starts, ends) = (list(self, 1, "starts")?, list(self, 2, "ends")?);
        let (axes, steps) = (list(self, 3, "axes")?, list(self, 4, "steps")?);
        let ([start], [end], [1 | -1], [] | [1]) = (&*starts, &*ends, &*axes, &*steps) else {
            return Err(op.refused("only a slice of columns, one by one, is supported"));
        };
        let width = self.width(op)? as i64;
        let clamp = |place: i64| (if place < 0 { place.saturating_add(width) } else { place }).clamp(0, width);
        self.select(op, &(clamp(*start)..clamp(*end)).collect::<Vec<i64>>())
    }

    fn width(&self, op: &Op<'_>) -> Result<usize> {
        match self.value(op, 0)? {
            Value::Tensor(tensor) if tensor.dims.len() == 1 => Ok(tensor.width()),
            Value::Linked(linked) => Ok(linked.width()),
            _ => Err(op.refused("selects from what is no row of columns")),
        }
    }

    fn select(&mut self, op: &Op<'_>, positions: &[i64]) -> Result<Value> {
        let places = prepare::select(op, self.width(op)?, positions)?;
        match self.value(op, 0)? {
            Value::Linked(linked) => {
                linked.select(&places).map(Value::Linked).ok_or_else(|| op.refused("selects a score that is not there"))
            }
            _ => {
                let of = self.tensor(op, 0)?;
                let columns = places.iter().map(|place| *place as u32).collect();
                Ok(Value::Tensor(self.layers.push(NetOperation::Pick(columns), vec![of.value], places.len())))
            }
        }
    }

    /// Values side by side.
    pub(super) fn concat(&mut self, op: &Op<'_>) -> Result<Value> {
        let mut linked = Vec::new();
        for index in 0..op.node.input.len() {
            if let Value::Linked(part) = self.value(op, index)? {
                linked.push(part);
            }
        }
        if linked.len() == op.node.input.len()
            && let Some(all) = Linked::joined(&linked)
        {
            return Ok(Value::Linked(all));
        }
        let parts = (0..op.node.input.len()).map(|index| self.tensor(op, index)).collect::<Result<Vec<Tensor>>>()?;
        let last = |tensor: &Tensor| tensor.dims.len() == 1;
        let width: usize = parts.iter().map(Tensor::width).sum();
        if !parts.iter().all(last) || !matches!(op.int("axis", 0), 1 | -1) || width > limits::UNITS {
            return Err(op.wrong("axis", "joins what are no rows of columns, or too many"));
        }
        let from = parts.iter().map(|part| part.value).collect();
        Ok(Value::Tensor(self.layers.push(NetOperation::Pick((0..width as u32).collect()), from, width)))
    }

    /// Another shape of the same numbers, rows kept apart.
    pub(super) fn reshape(&mut self, op: &Op<'_>) -> Result<Value> {
        let of = match self.value(op, 0)? {
            Value::Linked(linked) => Tensor { value: 0, dims: vec![linked.width()] },
            _ => self.tensor(op, 0)?,
        };
        let dims = match op.node.op_type.as_str() {
            "Flatten" if op.int("axis", 1) == 1 => Some(vec![of.width()]),
            "Flatten" => None,
            "Squeeze" => self.squeezed(op, &of)?,
            "Unsqueeze" => self.unsqueezed(op, &of)?,
            _ => shaped(&self.constant(op, 1)?.integers(), &of),
        };
        let dims = dims.ok_or_else(|| op.refused("changes which numbers belong to a row"))?;
        Ok(match self.value(op, 0)? {
            Value::Tensor(tensor) => Value::Tensor(Tensor { dims, ..tensor }),
            other => other,
        })
    }

    fn axes(&self, op: &Op<'_>) -> Result<Vec<i64>> {
        Ok(if op.input(1).is_some() { self.constant(op, 1)?.integers() } else { op.ints("axes").to_vec() })
    }

    fn squeezed(&self, op: &Op<'_>, of: &Tensor) -> Result<Option<Vec<usize>>> {
        let rank = of.dims.len() as i64 + 1;
        let mut dims: Vec<Option<usize>> = of.dims.iter().copied().map(Some).collect();
        for axis in self.axes(op)? {
            let at = if axis < 0 { axis + rank } else { axis };
            let dim = usize::try_from(at - 1).ok().and_then(|at| dims.get_mut(at)).filter(|dim| **dim == Some(1));
            match dim {
                Some(dim) => *dim = None,
                None => return Ok(None),
            }
        }
        Ok(Some(dims.into_iter().flatten().collect()))
    }

    fn unsqueezed(&self, op: &Op<'_>, of: &Tensor) -> Result<Option<Vec<usize>>> {
        let mut dims = of.dims.clone();
        let axes = self.axes(op)?;
        let [axis] = axes.as_slice() else { return Ok(None) };
        let at = if *axis < 0 { *axis + dims.len() as i64 + 2 } else { *axis };
        let at = usize::try_from(at - 1).ok().filter(|at| *at <= dims.len());
        Ok(at.map(|at| {
            dims.insert(at, 1);
            dims
        }))
    }
}

/// The dimensions of a Reshape, where its first one stays that of the rows.
fn shaped(wanted: &[i64], of: &Tensor) -> Option<Vec<usize>> {
    let (rows, rest) = wanted.split_first()?;
    if !matches!(rows, 0 | -1) || rest.contains(&-1) && *rows == -1 {
        return None;
    }
    let known = rest.iter().filter(|dim| **dim != -1).map(|dim| usize::try_from(*dim).ok().filter(|dim| *dim > 0));
    let known: usize =
        known.collect::<Option<Vec<usize>>>()?.iter().try_fold(1usize, |all, dim| all.checked_mul(*dim))?;
    let open = of.width().checked_div(known)?;
    let dims: Vec<usize> = rest.iter().map(|dim| if *dim == -1 { open } else { *dim as usize }).collect();
    let all = dims.iter().try_fold(1usize, |all, dim| all.checked_mul(*dim))?;
    (all == of.width() && rest.iter().filter(|dim| **dim == -1).count() <= 1).then_some(dims)
}
