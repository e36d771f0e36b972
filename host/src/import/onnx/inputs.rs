//! The inputs of a graph: the features.

use super::column::Kind;
use super::op::refused;
use super::proto::{GraphProto, TypeProto, ValueInfoProto, data_type};
use crate::failure::Result;
use std::collections::HashSet;
use tollgate_scorer::limits;

/// One input.
pub(super) struct Given<'g> {
    pub name: &'g str,
    pub kind: Kind,
    /// Columns.
    pub width: usize,
    /// The first of its features.
    pub first: usize,
    /// Values have a dimension of columns, and not one value a row.
    pub columns: bool,
}

/// The inputs in order, and the names of the features that they hold.
pub(super) fn of(graph: &GraphProto) -> Result<(Vec<Given<'_>>, Vec<String>)> {
    let constants: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let given: Vec<&ValueInfoProto> =
        graph.input.iter().filter(|input| !constants.contains(input.name.as_str())).collect();
    let (mut inputs, mut names) = (Vec::new(), Vec::new());
    for input in &given {
        let (kind, width, columns) = shape(input)?;
        inputs.push(Given { name: &input.name, kind, width, first: names.len(), columns });
        names.extend((0..width).map(|index| match (given.len(), width) {
            (_, 1) => input.name.clone(),
            (1, _) => format!("f{index}"),
            _ => format!("{}_{index}", input.name),
        }));
        if names.len() > limits::FEATURES {
            return Err(refused(format!("more than {} features", limits::FEATURES)));
        }
    }
    if names.is_empty() {
        return Err(refused("the graph has no inputs"));
    }
    Ok((inputs, names))
}

/// Type and number of columns of an input.
fn shape(input: &ValueInfoProto) -> Result<(Kind, usize, bool)> {
    let name = &input.name;
    let tensor = input.r#type.as_ref().and_then(|TypeProto { tensor_type, .. }| tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| refused(format!("input {name:?} is no tensor")))?;
    let kind = match tensor.elem_type {
        data_type::FLOAT => Kind::Single,
        data_type::DOUBLE => Kind::Double,
        data_type::INT64 | data_type::INT32 | data_type::BOOL => Kind::Integer,
        data_type::STRING => Kind::Text,
        other => {
            return Err(refused(format!(
                "input {name:?} has elements of type {other}; use float, double, int64 or string"
            )));
        }
    };
    let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
    let width = match dims {
        // One value a row.
        [rows] if rows.dim_value.is_none() => Some(1),
        [width] | [_, width] => width.dim_value.and_then(|width| usize::try_from(width).ok()),
        _ => None,
    };
    let fixed = width.filter(|width| (1..=limits::FEATURES).contains(width));
    let width = fixed.ok_or_else(|| {
        refused(format!("input {name:?} has no fixed number of columns; export it with the shape [None, columns]"))
    })?;
    Ok((kind, width, dims.len() > 1))
}
