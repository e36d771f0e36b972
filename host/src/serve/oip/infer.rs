//! From rows to decisions to tensors.

use super::tensor::{Data, Tensor, tensor_problem};
use super::{OUTPUTS, USUAL_OUTPUTS};
use crate::serve::decide::Outcome;
use crate::serve::http::{Call, Problem, refusal};
use bytes::Bytes;
use serde::Deserialize;

/// The decision of one row.
pub(in crate::serve) struct Inferred {
    pub(in crate::serve) record: Bytes,
    pub(in crate::serve) action: String,
    pub(in crate::serve) probability: f64,
    pub(in crate::serve) margin: f64,
}

/// What tensors need of a record.
#[derive(Deserialize)]
struct Read {
    action: String,
    probability: Option<f64>,
    margin: Option<f64>,
}

/// Decides one row.
///
/// # Errors
/// What the module says of a row that it refuses.
pub(in crate::serve) fn infer(call: &Call, json: &[u8]) -> Result<Inferred, Problem> {
    match call.worker.decide(&call.asked(json)) {
        Outcome::Decided(record) => Inferred::read(record),
        other => Err(refusal(other)),
    }
}

impl Inferred {
    fn read(record: Bytes) -> Result<Self, Problem> {
        let read: Read = serde_json::from_slice(&record).map_err(|error| {
            Problem::new(hyper::StatusCode::INTERNAL_SERVER_ERROR, "RECORD", format!("the module's record: {error}"))
        })?;
        let or_nan = |number: Option<f64>| number.unwrap_or(f64::NAN);
        Ok(Self { action: read.action, probability: or_nan(read.probability), margin: or_nan(read.margin), record })
    }
}

/// The outputs that were asked for, or the usual ones.
///
/// # Errors
/// `TENSOR` for an unknown name.
pub(in crate::serve) fn output_tensors(inferred: &[Inferred], wanted: &[String]) -> Result<Vec<Tensor>, Problem> {
    let usual = OUTPUTS.iter().take(USUAL_OUTPUTS).map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    let names = if wanted.is_empty() { &usual } else { wanted };
    names.iter().map(|name| output(inferred, name)).collect()
}

fn output(inferred: &[Inferred], name: &str) -> Result<Tensor, Problem> {
    let data = match name {
        "action" => Data::Texts(inferred.iter().map(|row| Bytes::copy_from_slice(row.action.as_bytes())).collect()),
        "probability" => Data::Numbers(inferred.iter().map(|row| row.probability).collect()),
        "margin" => Data::Numbers(inferred.iter().map(|row| row.margin).collect()),
        "record" => Data::Texts(inferred.iter().map(|row| row.record.clone()).collect()),
        other => {
            return Err(tensor_problem(format!("no output {other}; there are action, probability, margin, record")));
        }
    };
    Tensor::new(name.to_owned(), &[i64::try_from(inferred.len()).unwrap_or(i64::MAX)], data)
}
