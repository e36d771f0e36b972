//! Bins: comparisons of a feature with edges, and the first of the columns with the largest
//! value. What scikit-learn's KBinsDiscretizer becomes.

use super::column::{Column, Kind, Step};
use super::op::{Constant, Op};
use super::region::{Mode, Region};
use crate::failure::Result;
use std::rc::Rc;

/// Columns of which the largest may be asked for.
const COLUMNS: usize = 1_000;

/// Less or Greater than constants: a column of 0 and 1 for each.
pub(super) fn compare(op: &Op<'_>, columns: &[Column], constant: &Constant, less: bool) -> Result<Vec<Column>> {
    let count = constant.values.len().max(columns.len());
    let fits = |len: usize| len == 1 || len == count;
    if count > COLUMNS || !fits(columns.len()) || !fits(constant.values.len()) {
        let message = format!("{} constants for {} columns", constant.values.len(), columns.len());
        return Err(op.refused(message));
    }
    let compared = (0..count).map(|index| {
        let column = columns.get(index).or_else(|| columns.first())?;
        let edge = constant.at(index).filter(|edge| !edge.is_nan())?;
        // x < edge where -x > -edge; neither holds for NaN.
        Some(if less {
            column.then(Step::Negate, column.kind).then(Step::Above(-edge), Kind::Single)
        } else {
            column.then(Step::Above(edge), Kind::Single)
        })
    });
    compared.collect::<Option<_>>().ok_or_else(|| op.refused("compares with NaN"))
}

/// ArgMax over columns of one feature.
pub(super) fn first_largest(op: &Op<'_>, columns: &[Column]) -> Result<Column> {
    if !matches!(op.int("axis", 0), 1 | -1) || op.int("keepdims", 1) != 1 || op.int("select_last_index", 0) != 0 {
        return Err(op.refused("only the first largest column, as a column, is supported"));
    }
    let outcomes: Option<Vec<Vec<f64>>> = columns.iter().map(outcomes).collect();
    let outcomes = outcomes.filter(|_| columns.len() <= COLUMNS);
    let outcomes = outcomes.ok_or_else(|| op.refused(format!("is supported over up to {COLUMNS} bins only")))?;
    let parts: Vec<(&Column, Vec<f64>)> = columns.iter().zip(outcomes).collect();
    let varies = |part: &&(&Column, Vec<f64>)| part.1.iter().any(|value| Some(value) != part.1.first());
    let first = parts.iter().find(varies).ok_or_else(|| op.refused("has no columns that differ"))?.0;
    if parts.iter().filter(varies).any(|(column, _)| column.feature != first.feature) {
        return Err(op.refused("compares columns made of several features"));
    }
    let mut cuts = Vec::new();
    for (column, outcomes) in parts.iter().filter(|(column, _)| column.feature == first.feature) {
        let regions = outcomes.iter().map(|outcome| Region::of(&Mode::Equal, *outcome, false, column));
        cuts.extend(regions.flat_map(|region| region.cuts().to_vec()));
    }
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    let value = |(column, outcomes): &(&Column, Vec<f64>), x: f64| match outcomes.as_slice() {
        // Exporters make ones of any feature; where that one is missing they are ones still.
        [same, ..] if column.feature != first.feature => *same,
        _ => column.value(x),
    };
    let largest = |x: f64| {
        let values = parts.iter().map(|part| value(part, x)).enumerate();
        values.reduce(|best, next| if next.1 > best.1 { next } else { best }).map_or(0.0, |best| best.0 as f64)
    };
    // A cut is the last value of its side.
    let values = cuts.iter().copied().chain([f64::INFINITY]).map(largest).collect();
    let step = Step::Stairs { cuts: Rc::new(cuts), values: Rc::new(values), nan: largest(f64::NAN) };
    Ok(Column { kind: Kind::Integer, steps: vec![step], ..first.clone() })
}

/// The values that a column may have, where these are few: after a comparison or a list.
fn outcomes(column: &Column) -> Option<Vec<f64>> {
    let last = column.steps.iter().rposition(|step| matches!(step, Step::Above(_) | Step::Map { .. }))?;
    let (before, after) = column.steps.split_at_checked(last + 1)?;
    let values = match before.last()? {
        Step::Map { pairs, other, nan } => pairs.iter().map(|pair| pair.1).chain([*other, *nan]).collect(),
        _ => vec![0.0, 1.0],
    };
    let end = |value: f64| after.iter().fold(value, |x, step| step.apply(x));
    Some(values.into_iter().map(end).filter(|value| !value.is_nan()).collect())
}
