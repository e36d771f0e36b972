//! Bodies: read whole within bounds, and written.

use super::problem::Problem;
use crate::serve::settings::Limits;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// The body of an answer.
pub(in crate::serve) enum ResponseBody {
    /// All at once.
    Full(Option<Bytes>),
    /// With trailers, as gRPC ends.
    Grpc(tonic::body::Body),
}

impl ResponseBody {
    pub(in crate::serve) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Full(Some(bytes.into()))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        match self.get_mut() {
            Self::Full(bytes) => {
                Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty()).map(|b| Ok(Frame::data(b))))
            }
            Self::Grpc(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Grpc(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Grpc(body) => body.size_hint(),
        }
    }
}

/// Reads a body whole, within its limit and the time of a request.
pub(in crate::serve) async fn read(
    body: Incoming,
    limits: &Limits,
    limit: usize,
    setting: &str,
) -> Result<Bytes, Problem> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Problem::too_large(limit, setting));
    }
    let whole = tokio::time::timeout(Duration::from_millis(limits.request_ms), collect(body, limit, setting));
    whole.await.unwrap_or_else(|_| {
        let detail = format!("the body did not arrive within the {} ms of limits.request_ms", limits.request_ms);
        Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", detail))
    })
}

async fn collect(mut body: Incoming, limit: usize, setting: &str) -> Result<Bytes, Problem> {
    // Nearly always the body is one piece, which is used where it lies.
    let first = data(&mut body).await?.unwrap_or_default();
    if body.is_end_stream() {
        return within(first, limit, setting);
    }
    let mut whole = BytesMut::from(first);
    while let Some(more) = data(&mut body).await? {
        whole.extend_from_slice(&more);
        if whole.len() > limit {
            return Err(Problem::too_large(limit, setting));
        }
    }
    within(whole.freeze(), limit, setting)
}

fn within(body: Bytes, limit: usize, setting: &str) -> Result<Bytes, Problem> {
    if body.len() > limit { Err(Problem::too_large(limit, setting)) } else { Ok(body) }
}

async fn data(body: &mut Incoming) -> Result<Option<Bytes>, Problem> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem::bad("BODY", format!("the body broke off: {error}")))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Refuses JSON that is nested deeper than allowed, without parsing it.
pub(in crate::serve) fn check_nesting(json: &[u8], limit: usize) -> Result<(), Problem> {
    let opening = json.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
    if opening <= limit {
        return Ok(());
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in json.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            let detail = format!("JSON is nested deeper than the {limit} levels of limits.nesting, byte {at}");
            return Err(Problem::bad("NESTING", detail));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_texts() {
        assert!(check_nesting(b"[[[]]]", 3).is_ok());
        assert!(check_nesting(b"[[[[]]]]", 3).is_err());
        assert!(check_nesting(br#"{"a":"[[[[[[\"[[[[[","b":[{}]}"#, 3).is_ok());
        assert!(check_nesting(&[b'['; 100_000], 16).is_err());
        assert!(check_nesting(br#"[{},{},{},{},{},{}]"#, 2).is_ok());
    }
}
