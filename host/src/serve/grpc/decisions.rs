//! `tollgate.v1.Decisions`.

use super::proto::tollgate as proto;
use super::{Named, status};
use crate::serve::decide::Outcome;
use crate::serve::http::{Call, Problem, check_nesting, refusal};
use crate::serve::metrics::Endpoint;
use bytes::Bytes;
use proto::decide_batch_response::row::Outcome as RowOutcome;
use proto::decide_batch_response::{Error, Row};
use proto::value::Kind;
use proto::{DecideBatchRequest, DecideBatchResponse, DecideRequest, DecideResponse, Value as ProtoValue};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tonic::{Request, Response, Status};

/// The service; what it needs is the worker of its thread.
#[derive(Clone, Copy)]
pub(super) struct Decisions;

#[tonic::async_trait]
impl proto::decisions_server::Decisions for Decisions {
    async fn decide(&self, request: Request<DecideRequest>) -> Result<Response<DecideResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let named = Named::of(metadata, Endpoint::GrpcDecide)?;
        let decided = decide(&named.call()?, &request).map_err(|problem| status(&problem))?;
        Ok(Response::new(decided))
    }

    async fn decide_batch(
        &self,
        request: Request<DecideBatchRequest>,
    ) -> Result<Response<DecideBatchResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let named = Named::of(metadata, Endpoint::GrpcDecide)?;
        let most = named.call()?.worker.shared.settings.limits.batch_rows;
        if request.requests.len() > most {
            return Err(Status::resource_exhausted(format!("BATCH_ROWS: more than the {most} of limits.batch_rows")));
        }
        let mut rows = Vec::with_capacity(request.requests.len());
        for request in &request.requests {
            // Nothing of the worker may live across the pause.
            let outcome = decide(&named.call()?, request);
            rows.push(row(outcome).map_err(|problem| status(&problem))?);
            tokio::task::yield_now().await;
        }
        Ok(Response::new(DecideBatchResponse { rows }))
    }
}

fn row(outcome: Result<DecideResponse, Problem>) -> Result<Row, Problem> {
    let outcome = match outcome {
        Ok(decision) => RowOutcome::Decision(decision),
        Err(problem) if problem.status.is_server_error() => return Err(problem),
        Err(problem) => RowOutcome::Error(Error { code: problem.code.into(), message: problem.detail }),
    };
    Ok(Row { outcome: Some(outcome) })
}

fn decide(call: &Call, request: &DecideRequest) -> Result<DecideResponse, Problem> {
    let limits = &call.worker.shared.settings.limits;
    let json = if request.json.is_empty() { Bytes::from(json(request)) } else { request.json.clone() };
    if json.len() > limits.body_bytes {
        return Err(Problem::too_large(limits.body_bytes, "limits.body_bytes"));
    }
    check_nesting(&json, limits.nesting)?;
    match call.worker.decide(&call.asked(&json)) {
        Outcome::Decided(record) => response(record, call),
        other => Err(refusal(other)),
    }
}

/// The typed request as the JSON that the module reads.
fn json(request: &DecideRequest) -> Vec<u8> {
    let mut members = Map::new();
    let text = |text: &Option<String>| text.clone().map(Value::String);
    let ids = [("decision_id", text(&request.decision_id)), ("correlation_id", text(&request.correlation_id))];
    let ids = ids.into_iter().chain([("event_time", request.event_time_ms.map(Value::from))]);
    members.extend(ids.filter_map(|(name, value)| Some((name.to_owned(), value?))));
    let mut states: Map<String, Value> =
        request.states.iter().map(|(name, state)| (name.clone(), state.clone().into())).collect();
    members.insert("features".into(), values(&request.features, &mut states));
    if !request.context.is_empty() {
        members.insert("context".into(), values(&request.context, &mut states));
    }
    if !states.is_empty() {
        members.insert("states".into(), states.into());
    }
    Value::Object(members).to_string().into_bytes()
}

/// Values by name; a number that JSON cannot hold is an invalid one.
fn values(values: &BTreeMap<String, ProtoValue>, states: &mut Map<String, Value>) -> Value {
    let mut object = Map::new();
    for (name, value) in values {
        let value = match &value.kind {
            Some(Kind::Number(number)) if !number.is_finite() => {
                states.entry(name.clone()).or_insert_with(|| "invalid".into());
                continue;
            }
            Some(Kind::Number(number)) => Value::from(*number),
            Some(Kind::Flag(flag)) => Value::Bool(*flag),
            Some(Kind::Text(text)) => Value::String(text.clone()),
            None => Value::Null,
        };
        object.insert(name.clone(), value);
    }
    object.into()
}

/// What the typed answer repeats of a record.
#[derive(Deserialize)]
struct Record {
    action: String,
    label: Option<String>,
    source: String,
    probability: Option<f64>,
    margin: Option<f64>,
    reasons: Vec<Reason>,
    degraded: bool,
    bundle_digest: Option<String>,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
    rank: u32,
    contribution: Option<f64>,
    #[serde(default)]
    approximate: bool,
}

fn response(record: Bytes, call: &Call) -> Result<DecideResponse, Problem> {
    let read: Record = serde_json::from_slice(&record).map_err(|error| {
        Problem::new(hyper::StatusCode::INTERNAL_SERVER_ERROR, "RECORD", format!("the module's record: {error}"))
    })?;
    let action = match read.action.as_str() {
        "allow" => proto::Action::Allow,
        "challenge" => proto::Action::Challenge,
        "block" => proto::Action::Block,
        _ => proto::Action::Unspecified,
    };
    let reasons = read.reasons.into_iter().map(|reason| proto::Reason {
        code: reason.code,
        rank: reason.rank,
        contribution: reason.contribution,
        approximate: reason.approximate,
    });
    Ok(DecideResponse {
        action: action.into(),
        label: read.label.unwrap_or_default(),
        source: read.source,
        probability: read.probability,
        margin: read.margin,
        reasons: reasons.collect(),
        degraded: read.degraded,
        bundle_digest: read.bundle_digest.unwrap_or_default(),
        correlation_id: call.correlation.id.to_str().unwrap_or_default().to_owned(),
        record,
    })
}
