//! Many requests in one: lines of JSON, or a JSON list.

use super::{Answer, Call, Outcome, Problem, Slice, check_nesting, json_answer, refusal, typed};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
/// The media type of lines.
const NDJSON: &str = "application/x-ndjson";

/// A list of requests.
#[derive(Deserialize)]
struct Listed<'b> {
    #[serde(borrow)]
    requests: Vec<&'b RawValue>,
}

/// Decides a batch. A row that cannot be scored gets an error in its place.
pub(super) async fn decide(call: &Call, head: &Parts, body: Incoming) -> Answer {
    let limits = &call.worker.shared.settings.limits;
    let bytes = call.read(body, limits.batch_bytes, "limits.batch_bytes").await?;
    let media = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lines = media.starts_with(NDJSON) || media.starts_with("application/jsonl");
    let rows: Vec<&[u8]> = if lines {
        bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect()
    } else {
        check_nesting(&bytes, limits.nesting.saturating_add(2))?;
        let listed: Result<Listed<'_>, _> = serde_json::from_slice(&bytes);
        let listed = listed.map_err(|error| {
            Problem::bad("REQUEST", format!("a batch is {{\"requests\": [..]}}, or lines of {NDJSON}: {error}"))
        })?;
        listed.requests.into_iter().map(|row| row.get().as_bytes()).collect()
    };
    if rows.len() > limits.batch_rows {
        let detail = format!("{} rows, more than the {} of limits.batch_rows", rows.len(), limits.batch_rows);
        return Err(Problem::new(hyper::StatusCode::PAYLOAD_TOO_LARGE, "BATCH_ROWS", detail));
    }
    let (open, between, close) = if lines { ("", "\n", "\n") } else { ("{\"decisions\":[", ",", "]}") };
    let mut out = open.as_bytes().to_vec();
    let mut slice = Slice::begin();
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(between.as_bytes());
        }
        one(call, row, index, &mut out).await?;
        slice.pause().await;
    }
    out.extend_from_slice(close.as_bytes());
    Ok(if lines { typed(NDJSON, out) } else { json_answer(out) })
}

async fn one(call: &Call, row: &[u8], index: usize, out: &mut Vec<u8>) -> Result<(), Problem> {
    call.room_in_log(row.len()).await?;
    let limits = &call.worker.shared.settings.limits;
    let refused = match check_nesting(row, limits.nesting) {
        Err(problem) => problem,
        Ok(()) => match call.worker.decide(&call.asked(row)) {
            Outcome::Decided(record) => {
                out.extend_from_slice(&record);
                return Ok(());
            }
            other @ Outcome::Refused(..) => refusal(other),
            other => return Err(refusal(other)),
        },
    };
    let error = json!({"error": {"code": refused.code, "index": index, "message": refused.detail}});
    out.extend_from_slice(error.to_string().as_bytes());
    Ok(())
}
