//! The protocol over REST, with its binary extension.

use super::tensor::{Data, Datatype, Tensor, tensor_problem};
use super::{EXTENSIONS, Inferred, OUTPUTS, SERVER, infer, metadata, model, output_tensors, requests};
use crate::serve::http::{Answer, Call, Problem, ResponseBody, Slice, check_nesting, json_answer, typed};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The length of the JSON in front of binary data.
const JSON_LENGTH: &str = "inference-header-content-length";
/// Levels that the protocol's own JSON has around the data of a tensor.
const NESTING: usize = 8;

/// A request to infer.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    id: String,
    #[serde(default)]
    parameters: Map<String, Value>,
    inputs: Vec<Input>,
    #[serde(default)]
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    #[serde(default)]
    parameters: Map<String, Value>,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    #[serde(default)]
    parameters: Map<String, Value>,
}

/// Whether a path is the protocol's.
pub(in crate::serve) fn is_path(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

/// Answers a path of the protocol.
pub(in crate::serve) async fn answer(call: &Call, head: &Parts, body: Incoming) -> Answer {
    let path = head.uri.path();
    let segments: Vec<&str> = path.split('/').skip(2).filter(|segment| !segment.is_empty()).collect();
    let (model_name, version, rest) = match segments[..] {
        ["models", name, "versions", version, ref rest @ ..] => (Some(name), version, rest),
        ["models", name, ref rest @ ..] => (Some(name), "", rest),
        ref rest => (None, "", rest),
    };
    let post = head.method == Method::POST;
    match (model_name, rest) {
        (Some(name), ["infer"]) if post => infer_rest(call, head, body, name, version).await,
        (Some(_), ["infer"]) => Err(Problem::method("POST")),
        _ if post => Err(Problem::method("GET")),
        (None, []) => Ok(json_answer(server().to_string())),
        (None, ["health", "live"]) => Ok(json_answer(r#"{"live":true}"#)),
        (None, ["health", "ready"]) if call.worker.shared.is_ready() => Ok(json_answer(r#"{"ready":true}"#)),
        (None, ["health", "ready"]) => Err(Problem::not_ready()),
        (Some(name), []) => Ok(json_answer(metadata(&*model(&call.worker, name, version)?).to_string())),
        (Some(name), ["ready"]) => {
            model(&call.worker, name, version)?;
            Ok(json_answer(json!({"name": name, "ready": true}).to_string()))
        }
        _ => Err(Problem::not_found(format!("the Open Inference Protocol has nothing at {path}"))),
    }
}

fn server() -> Value {
    json!({"name": SERVER, "version": env!("CARGO_PKG_VERSION"), "extensions": EXTENSIONS})
}

async fn infer_rest(call: &Call, head: &Parts, body: Incoming, name: &str, version: &str) -> Answer {
    let limits = &call.worker.shared.settings.limits;
    let active = model(&call.worker, name, version)?;
    let body = call.read(body, limits.batch_bytes, "limits.batch_bytes").await?;
    let (json, binary) = split(&head.headers, body)?;
    check_nesting(&json, limits.nesting.saturating_add(NESTING))?;
    let asked: Asked = serde_json::from_slice(&json)
        .map_err(|error| Problem::bad("REQUEST", format!("no inference request: {error}")))?;
    let tensors = tensors(&asked.inputs, &binary)?;
    let mut inferred = Vec::new();
    let mut slice = Slice::begin();
    for row in requests(&active, &tensors, &asked.id, limits.batch_rows)? {
        call.room_in_log(row.len()).await?;
        inferred.push(infer(call, &row)?);
        slice.pause().await;
    }
    respond(&asked, &inferred, (&active.described.name, &active.described.version))
}

/// The JSON and what follows it.
fn split(headers: &HeaderMap, body: Bytes) -> Result<(Bytes, Bytes), Problem> {
    let Some(length) = headers.get(JSON_LENGTH) else { return Ok((body, Bytes::new())) };
    let length = length.to_str().ok().and_then(|text| text.parse().ok()).filter(|length| *length <= body.len());
    let length: usize = length.ok_or_else(|| tensor_problem(format!("{JSON_LENGTH} is no length within the body")))?;
    Ok((body.slice(..length), body.slice(length..)))
}

fn tensors(inputs: &[Input], binary: &Bytes) -> Result<Vec<Tensor>, Problem> {
    let mut at = 0_usize;
    let mut tensors = Vec::with_capacity(inputs.len());
    for input in inputs {
        let datatype = Datatype::of(&input.datatype)?;
        let data = match input.parameters.get("binary_data_size").and_then(Value::as_u64) {
            Some(size) => {
                let end = usize::try_from(size).ok().and_then(|size| at.checked_add(size));
                let end = end.filter(|end| *end <= binary.len());
                let end = end.ok_or_else(|| tensor_problem(format!("{}: beyond the binary data", input.name)))?;
                let raw = binary.slice(at..end);
                at = end;
                Data::from_raw(datatype, &raw)?
            }
            None => from_json(datatype, &input.data, &input.name)?,
        };
        tensors.push(Tensor::new(input.name.clone(), &input.shape, data)?);
    }
    if at != binary.len() {
        return Err(tensor_problem("binary data that belongs to no input"));
    }
    Ok(tensors)
}

/// Values as the protocol writes them in JSON: flat, or nested as the shape is.
fn from_json(datatype: Datatype, data: &Value, name: &str) -> Result<Data, Problem> {
    let mut flat = Vec::new();
    flatten(data, &mut flat);
    let wrong = |value: &Value| {
        let shown: String = value.to_string().chars().take(40).collect();
        tensor_problem(format!("{name}: {shown} is no {}", datatype.name()))
    };
    Ok(match datatype {
        Datatype::Bool => Data::Flags(
            flat.into_iter().map(|value| value.as_bool().ok_or_else(|| wrong(value))).collect::<Result<_, _>>()?,
        ),
        Datatype::Bytes => {
            let text = |value: &Value| value.as_str().map(|text| Bytes::copy_from_slice(text.as_bytes()));
            Data::Texts(
                flat.into_iter().map(|value| text(value).ok_or_else(|| wrong(value))).collect::<Result<_, _>>()?,
            )
        }
        _ => {
            let number = |value: &Value| if value.is_null() { Some(f64::NAN) } else { value.as_f64() };
            Data::Numbers(
                flat.into_iter().map(|value| number(value).ok_or_else(|| wrong(value))).collect::<Result<_, _>>()?,
            )
        }
    })
}

fn flatten<'v>(value: &'v Value, into: &mut Vec<&'v Value>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| flatten(value, into)),
        value => into.push(value),
    }
}

fn respond(asked: &Asked, inferred: &[Inferred], (name, version): (&str, &str)) -> Answer {
    let wanted: Vec<String> = asked.outputs.iter().map(|output| output.name.clone()).collect();
    let flag = |parameters: &Map<String, Value>, key: &str| parameters.get(key).and_then(Value::as_bool);
    let all_binary = flag(&asked.parameters, "binary_data_output").unwrap_or(false);
    let mut binary = Vec::new();
    let mut outputs = Vec::new();
    for (index, tensor) in output_tensors(inferred, &wanted)?.into_iter().enumerate() {
        let own = asked.outputs.get(index).and_then(|output| flag(&output.parameters, "binary_data"));
        let datatype =
            OUTPUTS.iter().find(|(known, _)| *known == tensor.name).map_or("", |(_, datatype)| datatype.name());
        let mut output = json!({"name": tensor.name, "datatype": datatype, "shape": tensor.shape});
        if own.unwrap_or(all_binary) {
            let raw = tensor.data.to_raw();
            output["parameters"] = json!({"binary_data_size": raw.len()});
            binary.extend_from_slice(&raw);
        } else {
            output["data"] = to_json(&tensor.data);
        }
        outputs.push(output);
    }
    let mut answer = json!({"model_name": name, "model_version": version, "outputs": outputs});
    if !asked.id.is_empty() {
        answer["id"] = asked.id.clone().into();
    }
    Ok(with_binary(answer.to_string(), &binary))
}

fn with_binary(json: String, binary: &[u8]) -> Response<ResponseBody> {
    if binary.is_empty() {
        return json_answer(json);
    }
    let length = HeaderValue::from(json.len());
    let mut response = typed("application/octet-stream", [json.as_bytes(), binary].concat());
    response.headers_mut().insert(JSON_LENGTH, length);
    response
}

/// NaN, which JSON does not have, is null.
fn to_json(data: &Data) -> Value {
    match data {
        Data::Flags(flags) => flags.clone().into(),
        Data::Numbers(numbers) => numbers.iter().map(|number| Value::from(*number)).collect(),
        Data::Texts(texts) => texts.iter().map(|text| Value::from(String::from_utf8_lossy(text))).collect(),
    }
}
