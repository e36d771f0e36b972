//! What can be asked without deciding anything.

use super::{Answer, Call, Problem, json_answer, typed};
use crate::serve::metrics;
use hyper::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde_json::json;

/// The document of this interface.
const OPENAPI: &str = include_str!("../../../proto/openapi.json");

/// Paths that take GET.
pub(super) fn is_known(path: &str) -> bool {
    ["/livez", "/readyz", "/metrics", "/v1/schema", "/openapi.json"].contains(&path)
}

/// Answers a GET.
pub(super) fn get(call: &Call, head: &Parts, path: &str) -> Answer {
    match path {
        "/livez" => Ok(json_answer(r#"{"status":"alive"}"#)),
        "/readyz" => readiness(call),
        "/metrics" => Ok(typed(
            "text/plain; version=0.0.4; charset=utf-8",
            metrics::render(&metrics::collect(&call.worker.shared)),
        )),
        "/v1/schema" => schema(call, head),
        "/openapi.json" => Ok(json_answer(OPENAPI)),
        _ => Err(Problem::not_found(format!("nothing is at {path}; /openapi.json lists what is"))),
    }
}

fn readiness(call: &Call) -> Answer {
    let shared = &call.worker.shared;
    if !shared.is_ready() {
        return Err(Problem::not_ready());
    }
    let active = shared.active.load();
    let bundle = active.as_ref().map(|active| json!({"name": active.described.name, "digest": active.digest()}));
    Ok(json_answer(json!({"status": "ready", "bundle": bundle}).to_string()))
}

/// What the serving bundle takes; its digest is the tag.
fn schema(call: &Call, head: &Parts) -> Answer {
    let Some(active) = call.worker.shared.active.load_full() else { return Err(Problem::not_ready()) };
    let tag = HeaderValue::from_str(&format!("\"{}\"", active.digest())).ok();
    let known = tag.is_some() && head.headers.get(IF_NONE_MATCH) == tag.as_ref();
    let mut response = json_answer(if known { bytes::Bytes::new() } else { active.description.clone() });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    if let Some(tag) = tag {
        Response::headers_mut(&mut response).insert(ETAG, tag);
    }
    Ok(response)
}
