//! Errors as `application/problem+json` (RFC 9457), each with a stable code.

use super::body::ResponseBody;
use crate::serve::correlation::Correlation;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::json;
use tollgate_scorer::Code;

/// Seconds after which a client that was turned away should come again.
const RETRY_AFTER_SECONDS: &str = "1";

/// What is wrong with a request, or with us.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Problem {
    pub(in crate::serve) status: StatusCode,
    /// Stable, for programs.
    pub(in crate::serve) code: &'static str,
    /// What is wrong, where, and what to do.
    pub(in crate::serve) detail: String,
    /// The methods that a path knows, for 405.
    allow: Option<&'static str>,
}

impl Problem {
    pub(in crate::serve) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), allow: None }
    }

    pub(in crate::serve) fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(in crate::serve) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", detail)
    }

    pub(in crate::serve) fn method(allow: &'static str) -> Self {
        let detail = format!("this path takes {allow} only");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD", detail) }
    }

    pub(in crate::serve) fn too_large(limit: usize, setting: &str) -> Self {
        let detail = format!("the body is longer than the {limit} bytes that {setting} allows");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", detail)
    }

    pub(in crate::serve) fn overloaded(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED", detail)
    }

    pub(in crate::serve) fn not_ready() -> Self {
        let detail = "no bundle is loaded yet; /readyz says when one is";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "NOT_READY", detail)
    }

    pub(in crate::serve) fn log_full() -> Self {
        let detail = "the decision log is full, and log.when_full allows no decision without a record";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "LOG_FULL", detail)
    }

    /// What the module says of a request that it refuses.
    pub(in crate::serve) fn of_guest(code: Code, text: &str) -> Self {
        let status = match code {
            Code::Request => StatusCode::BAD_REQUEST,
            Code::Limit => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(
            status,
            code.name(),
            text.strip_prefix(code.name()).map_or(text, |rest| rest.trim_start_matches(": ")),
        )
    }

    /// The answer; `error` repeats the detail for clients of the Open Inference Protocol.
    pub(in crate::serve) fn into_response(self, correlation: &Correlation) -> Response<ResponseBody> {
        let body = json!({
            "type": format!("urn:tollgate:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(), "code": self.code, "detail": self.detail, "error": self.detail,
            "correlation_id": correlation.id.to_str().unwrap_or_default(),
        });
        let mut response = Response::new(ResponseBody::full(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        if let Some(allow) = self.allow {
            headers.insert(hyper::header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
