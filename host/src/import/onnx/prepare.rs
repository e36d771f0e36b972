//! What graphs do to features before the model, as steps of columns.

use super::column::{Arithmetic, Column, Kind, Step};
use super::op::{Constant, Op};
use super::texts::{self, Texts};
use crate::failure::Result;
use std::collections::BTreeSet;
use std::rc::Rc;
use tollgate_scorer::limits;

type Columns = Vec<Column>;

/// Scaler: (x - offset) * scale.
pub(super) fn scaler(op: &Op<'_>, columns: &[Column]) -> Result<Columns> {
    let (offset, scale) = (list(op, "offset", columns.len())?, list(op, "scale", columns.len())?);
    let mut scaled = Vec::with_capacity(columns.len());
    for ((column, offset), scale) in columns.iter().zip(offset).zip(scale) {
        // Double inputs are computed in double precision, but come out as float.
        let column = if column.kind == Kind::Integer { column.single() } else { column.clone() };
        let column = with(op, &column, Arithmetic::Subtract, offset)?;
        scaled.push(with(op, &column, Arithmetic::Multiply, scale)?.single());
    }
    Ok(scaled)
}

/// Arithmetic with a constant; `swapped` when the constant is on the left.
pub(super) fn by(
    op: &Op<'_>,
    columns: &[Column],
    what: Arithmetic,
    constant: &Constant,
    swapped: bool,
) -> Result<Columns> {
    if constant.values.len() != 1 && constant.values.len() != columns.len() {
        let message = format!("a constant of {} numbers for {} columns", constant.values.len(), columns.len());
        return Err(op.refused(message));
    }
    let mut done = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let value = constant.at(index).unwrap_or(f64::NAN);
        done.push(match (what, swapped) {
            (Arithmetic::Subtract, true) => with(op, &column.then(Step::Negate, column.kind), Arithmetic::Add, value)?,
            // Exporters make a column of ones so: zero but where the product is NaN.
            (Arithmetic::Multiply, _) if value == 0.0 => {
                let pairs = Rc::new(vec![(f64::INFINITY, f64::NAN), (f64::NEG_INFINITY, f64::NAN)]);
                column.then(Step::Map { pairs, other: 0.0, nan: f64::NAN }, column.kind)
            }
            (Arithmetic::Divide, true) => {
                return Err(op.refused("divides by a feature, which is not monotone; compute the feature outside"));
            }
            _ => with(op, column, what, value)?,
        });
    }
    Ok(done)
}

fn with(op: &Op<'_>, column: &Column, what: Arithmetic, constant: f64) -> Result<Column> {
    let neutral = matches!(what, Arithmetic::Multiply | Arithmetic::Divide);
    if !constant.is_finite() || neutral && constant == 0.0 {
        return Err(
            op.refused(format!("uses the constant {constant}; only finite ones, and no factor 0, are supported"))
        );
    }
    if column.kind == Kind::Text {
        return Err(texts::refused(op));
    }
    if column.kind == Kind::Integer {
        return Err(op.refused("arithmetic on integers is not supported; cast them to float first"));
    }
    Ok(column.then(Step::By { what, constant, single: column.kind == Kind::Single }, column.kind))
}

/// Imputer.
pub(super) fn imputer(op: &Op<'_>, columns: &[Column]) -> Result<Columns> {
    let integers = op.ints("imputed_value_int64s");
    let (name, values, missing) = if integers.is_empty() {
        ("imputed_value_floats", op.floats("imputed_value_floats"), f64::from(op.float("replaced_value_float", 0.0)))
    } else {
        let values = integers.iter().map(|value| *value as f64).collect();
        ("imputed_value_int64s", values, op.int("replaced_value_int64", 0) as f64)
    };
    let values = spread(op, name, values, columns.len())?;
    Ok(columns
        .iter()
        .zip(values)
        .map(|(column, with)| column.then(Step::Fill { missing, with }, column.kind))
        .collect())
}

/// Clip, whose bounds are attributes or constants.
pub(super) fn clip(op: &Op<'_>, columns: &[Column], low: Option<f64>, high: Option<f64>) -> Result<Columns> {
    let low = low.unwrap_or_else(|| f64::from(op.float("min", f32::MIN)));
    let high = high.unwrap_or_else(|| f64::from(op.float("max", f32::MAX)));
    if low.is_nan() || high.is_nan() || low > high {
        return Err(op.refused(format!("clips to {low} .. {high}")));
    }
    Ok(columns.iter().map(|column| column.then(Step::Clip { low, high }, column.kind)).collect())
}

/// Binarizer.
pub(super) fn binarizer(op: &Op<'_>, columns: &[Column]) -> Result<Columns> {
    let threshold = f64::from(op.float("threshold", 0.0));
    Ok(columns.iter().map(|column| column.then(Step::Above(threshold), column.kind)).collect())
}

/// Cast to a type of numbers.
pub(super) fn cast(op: &Op<'_>, columns: &[Column]) -> Result<Columns> {
    use super::proto::data_type;
    let to = match i32::try_from(op.int("to", 0)).unwrap_or(0) {
        data_type::FLOAT => Kind::Single,
        data_type::DOUBLE => Kind::Double,
        data_type::INT64 => Kind::Integer,
        other => return Err(op.wrong("to", format!("type {other} is not supported; float, double and int64 are"))),
    };
    if columns.iter().any(|column| column.kind == Kind::Text) {
        return Err(texts::refused(op));
    }
    let cast = |column: &Column| match (column.kind, to) {
        (from, to) if from == to => column.clone(),
        (_, Kind::Single) => column.single(),
        (_, Kind::Double) => Column { kind: Kind::Double, ..column.clone() },
        (_, Kind::Integer | Kind::Text) => column.then(Step::Truncate, Kind::Integer),
    };
    Ok(columns.iter().map(cast).collect())
}

/// OneHotEncoder: a column for each category.
pub(super) fn one_hot(op: &Op<'_>, columns: &[Column], texts: &Texts) -> Result<Columns> {
    let (numbers, words) = (op.ints("cats_int64s"), op.strings("cats_strings"));
    let total = numbers.len().max(words.len()).saturating_mul(columns.len());
    if total > limits::CATEGORIES_TOTAL {
        return Err(op.refused(format!("gives more than {} columns", limits::CATEGORIES_TOTAL)));
    }
    let mut encoded = Vec::new();
    for column in columns {
        let (column, categories) = match column.kind {
            Kind::Text => (column.clone(), texts.codes(op, column.feature, &words)?),
            Kind::Integer => (column.clone(), floats(numbers)),
            // Floats are compared as the integers they are cut to.
            _ => (column.then(Step::Truncate, Kind::Integer), floats(numbers)),
        };
        if categories.is_empty() {
            return Err(op.refused("its categories are not of the type of its input"));
        }
        encoded.extend(categories.into_iter().map(|category| {
            let pairs = Rc::new(vec![(category, 1.0)]);
            column.then(Step::Map { pairs, other: 0.0, nan: 0.0 }, Kind::Single)
        }));
    }
    Ok(encoded)
}

/// LabelEncoder to numbers, from numbers or texts.
pub(super) fn labels(op: &Op<'_>, columns: &[Column], texts: &Texts) -> Result<Columns> {
    if !op.texts("values")?.is_empty() || op.has("default_string") {
        return Err(op.wrong("values_strings", "texts made of values are not supported; make numbers of them"));
    }
    let words = op.texts("keys")?;
    let (numbers, values) = (if words.is_empty() { op.side("keys")? } else { vec![] }, op.side("values")?);
    let keys = numbers.len().max(words.len());
    op.length("values_*", values.len(), keys)?;
    if keys == 0 || keys > limits::CATEGORIES {
        return Err(op.wrong("keys_*", format!("{keys} keys; 1 to {} are supported", limits::CATEGORIES)));
    }
    let (other, kind) = if op.has("values_int64s") {
        (op.int("default_int64", -1) as f64, Kind::Integer)
    } else {
        (f64::from(op.float("default_float", -0.0)), Kind::Single)
    };
    let other = op.tensor("default_tensor")?.and_then(|tensor| tensor.at(0)).unwrap_or(other);
    let encode = |column: &Column| {
        let keys = match column.kind {
            Kind::Text => texts.codes(op, column.feature, &words)?,
            _ => numbers.clone(),
        };
        if keys.is_empty() {
            return Err(op.refused("its keys are not of the type of its input"));
        }
        Ok(column.then(map(keys, &values, other), kind))
    };
    columns.iter().map(encode).collect()
}

/// CategoryMapper from texts to whole numbers.
pub(super) fn mapper(op: &Op<'_>, columns: &[Column], texts: &Texts) -> Result<Columns> {
    let (words, numbers) = (op.strings("cats_strings"), op.ints("cats_int64s"));
    op.length("cats_int64s", numbers.len(), words.len())?;
    let encode = |column: &Column| {
        if column.kind != Kind::Text {
            return Err(op.refused("makes texts of numbers, which is not supported"));
        }
        let other = op.int("default_int64", -1) as f64;
        let keys = texts.codes(op, column.feature, &words)?;
        Ok(column.then(map(keys, &floats(numbers), other), Kind::Integer))
    };
    columns.iter().map(encode).collect()
}

/// Keys to values; of a key that stands twice the first one counts.
fn map(keys: Vec<f64>, values: &[f64], other: f64) -> Step {
    let nan = keys.iter().zip(values).find(|pair| pair.0.is_nan()).map_or(other, |pair| *pair.1);
    let mut seen = BTreeSet::new();
    let pairs = keys.into_iter().zip(values.iter().copied());
    let pairs = pairs.filter(|pair| !pair.0.is_nan() && seen.insert((pair.0 + 0.0).to_bits())).collect();
    Step::Map { pairs: Rc::new(pairs), other, nan }
}

fn floats(integers: &[i64]) -> Vec<f64> {
    integers.iter().map(|integer| *integer as f64).collect()
}

/// Some of the columns, by position; negative ones count from the end.
pub(super) fn select(op: &Op<'_>, count: usize, positions: &[i64]) -> Result<Vec<usize>> {
    if positions.len() > limits::FEATURES {
        return Err(op.refused(format!("selects more than {} columns", limits::FEATURES)));
    }
    let position = |position: &i64| {
        let wrapped = if *position < 0 { position.checked_add(count as i64)? } else { *position };
        usize::try_from(wrapped).ok().filter(|place| *place < count)
    };
    let places = positions.iter().map(|place| position(place).ok_or(*place)).collect::<Result<Vec<usize>, i64>>();
    places.map_err(|place| op.refused(format!("selects column {place} of {count}")))
}

fn list(op: &Op<'_>, name: &str, count: usize) -> Result<Vec<f64>> {
    spread(op, name, op.floats(name), count)
}

/// One value for each column, from as many or from one for all.
fn spread(op: &Op<'_>, name: &str, values: Vec<f64>, count: usize) -> Result<Vec<f64>> {
    match values.as_slice() {
        [only] => Ok(vec![*only; count]),
        _ => op.length(name, values.len(), count).map(|()| values),
    }
}
