//! The Open Inference Protocol, version 2: tensors in, tensors out, so that clients of
//! KServe and Triton work. A row of tensors becomes a JSON request and takes the way of
//! every decision.

mod infer;
mod rest;
mod rows;
mod tensor;

pub(super) use infer::{Inferred, infer, output_tensors};
pub(super) use rest::{answer, is_path};
pub(super) use rows::requests;
pub(super) use tensor::{Data, Datatype, Tensor};

use super::bundles::Active;
use super::http::Problem;
use super::worker::Worker;
use serde_json::{Value, json};
use std::sync::Arc;

/// What the server calls itself.
pub(super) const SERVER: &str = "tollgate";
/// What is spoken beside the plain protocol.
pub(super) const EXTENSIONS: [&str; 1] = ["binary_tensor_data"];
/// The kind of model, for clients that ask.
pub(super) const PLATFORM: &str = "tollgate_bundle";
/// Outputs by name and type: one number or text a row.
pub(super) const OUTPUTS: [(&str, Datatype); 4] = [
    ("action", Datatype::Bytes),
    ("probability", Datatype::Fp64),
    ("margin", Datatype::Fp64),
    ("record", Datatype::Bytes),
];
/// Outputs of a request that names none.
pub(super) const USUAL_OUTPUTS: usize = 3;
/// The one tensor that may hold whole rows of numbers.
pub(super) const ROWS_INPUT: &str = "features";

/// The serving bundle, if it is the model that a client names; an empty version is any.
pub(super) fn model(worker: &Worker, name: &str, version: &str) -> Result<Arc<Active>, Problem> {
    let active = worker.shared.active.load_full().ok_or_else(Problem::not_ready)?;
    let described = &active.described;
    if described.name != name || !(version.is_empty() || described.version == version) {
        let detail = format!("no model {name} {version} here; {} {} serves", described.name, described.version);
        return Err(Problem::not_found(detail));
    }
    Ok(active)
}

/// Inputs of a bundle by name, type and kind: each feature on its own.
pub(super) fn inputs(active: &Active) -> impl Iterator<Item = (&str, Datatype)> {
    active.described.features.iter().map(|feature| {
        let datatype = match feature.kind.as_str() {
            "boolean" => Datatype::Bool,
            "category" => Datatype::Bytes,
            "integer" => Datatype::Int64,
            _ => Datatype::Fp64,
        };
        (feature.name.as_str(), datatype)
    })
}

/// What a client reads of a model before it asks.
fn metadata(active: &Active) -> Value {
    let tensor = |(name, datatype): (&str, Datatype)| json!({"name": name, "datatype": datatype.name(), "shape": [-1]});
    let inputs: Vec<Value> = inputs(active).map(tensor).collect();
    let outputs: Vec<Value> = OUTPUTS.into_iter().map(tensor).collect();
    json!({
        "name": active.described.name, "versions": [active.described.version], "platform": PLATFORM,
        "inputs": inputs, "outputs": outputs,
    })
}
