//! Tensors as JSON requests, one a row.

use super::ROWS_INPUT;
use super::tensor::{Data, Tensor, tensor_problem};
use crate::serve::bundles::{Active, DescribedFeature};
use crate::serve::http::Problem;
use serde_json::{Map, Value};

/// Requests of a row each. A tensor per feature, or one tensor of whole rows.
///
/// # Errors
/// `TENSOR` for unknown names and shapes that do not fit; `BATCH_ROWS`.
pub(in crate::serve) fn requests(
    active: &Active,
    tensors: &[Tensor],
    id: &str,
    most_rows: usize,
) -> Result<Vec<Vec<u8>>, Problem> {
    let features = &active.described.features;
    let first = tensors.first().ok_or_else(|| tensor_problem("no inputs"))?;
    let (count, _) = first.rows()?;
    if count > most_rows {
        let detail = format!("{count} rows, more than the {most_rows} of limits.batch_rows");
        return Err(Problem::new(hyper::StatusCode::PAYLOAD_TOO_LARGE, "BATCH_ROWS", detail));
    }
    let mut rows = vec![Row::default(); count];
    for tensor in tensors {
        fill(&mut rows, tensor, features)?;
    }
    let name = |index: usize| match (id, count) {
        ("", _) => None,
        (id, 1) => Some(id.to_owned()),
        (id, _) => Some(format!("{id}-{index}")),
    };
    Ok(rows.into_iter().enumerate().map(|(index, row)| row.request(name(index))).collect())
}

/// The values of one row and the states of those that JSON cannot hold.
#[derive(Clone, Default)]
struct Row {
    features: Map<String, Value>,
    states: Map<String, Value>,
}

impl Row {
    fn put(&mut self, feature: &DescribedFeature, value: Option<Value>) {
        match value {
            Some(Value::Null) => {
                self.states.insert(feature.name.clone(), "invalid".into());
            }
            Some(value) => {
                self.features.insert(feature.name.clone(), value);
            }
            None => {}
        }
    }

    fn request(self, decision_id: Option<String>) -> Vec<u8> {
        let mut request = Map::new();
        if let Some(id) = decision_id {
            request.insert("decision_id".into(), id.into());
        }
        request.insert("features".into(), self.features.into());
        if !self.states.is_empty() {
            request.insert("states".into(), self.states.into());
        }
        Value::Object(request).to_string().into_bytes()
    }
}

fn fill(rows: &mut [Row], tensor: &Tensor, features: &[DescribedFeature]) -> Result<(), Problem> {
    let (count, width) = tensor.rows()?;
    if count != rows.len() {
        return Err(tensor_problem(format!("{}: {count} rows where the first input has {}", tensor.name, rows.len())));
    }
    let named: Vec<&DescribedFeature> = match features.iter().find(|feature| feature.name == tensor.name) {
        Some(feature) => vec![feature],
        None if tensor.name == ROWS_INPUT || width == features.len() || width > 1 => {
            features.iter().take(width).collect()
        }
        None => return Err(tensor_problem(format!("no feature is called {}; /v1/schema names them", tensor.name))),
    };
    let scored = features.iter().filter(|feature| feature.scored).count();
    if named.len() != width || (named.len() > 1 && ![scored, features.len()].contains(&width)) {
        let detail = format!("{}: rows of {width} values; whole rows have {} or {scored}", tensor.name, features.len());
        return Err(tensor_problem(detail));
    }
    for (index, row) in rows.iter_mut().enumerate() {
        for (column, feature) in named.iter().enumerate() {
            row.put(feature, value(&tensor.data, index * width + column, feature));
        }
    }
    Ok(())
}

/// A value as its feature's kind writes it in JSON; null for what JSON cannot hold, none
/// for what is missing. The module checks everything else.
fn value(data: &Data, at: usize, feature: &DescribedFeature) -> Option<Value> {
    match data {
        Data::Flags(flags) => flags.get(at).map(|flag| Value::Bool(*flag)),
        Data::Texts(texts) => {
            texts.get(at).map(|text| std::str::from_utf8(text).map_or(Value::Null, |text| Value::String(text.into())))
        }
        Data::Numbers(numbers) => {
            let number = numbers.get(at).copied().filter(|number| !number.is_nan())?;
            Some(match feature.kind.as_str() {
                "boolean" if number == 0.0 || number == 1.0 => Value::Bool(number == 1.0),
                "category" => category(&feature.values, number),
                _ => Value::from(number),
            })
        }
    }
}

/// A category by its code.
fn category(values: &[String], code: f64) -> Value {
    let whole = code.fract() == 0.0 && code >= 0.0 && code < values.len() as f64;
    let name = whole.then(|| values.get(code as usize)).flatten();
    name.map_or(Value::Null, |name| Value::String(name.clone()))
}
