//! HTTP: from a request to an answer.

mod batch;
mod body;
mod info;
mod problem;

pub(super) use body::{ResponseBody, check_nesting};
pub(super) use problem::Problem;

use super::connection::State;
use super::correlation::{CORRELATION_ID, Correlation};
use super::decide::{Asked, Outcome, micros};
use super::guest::Silence;
use super::metrics::{Endpoint, Stage};
use super::settings::WhenFull;
use super::worker::Worker;
use super::{grpc, oip};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// An answer before the headers that all answers have.
pub(super) type Answer = Result<Response<ResponseBody>, Problem>;

/// What every handler needs of a request beside its body.
pub(super) struct Call {
    pub(super) worker: Rc<Worker>,
    pub(super) correlation: Correlation,
    pub(super) arrived: Instant,
    pub(super) endpoint: Endpoint,
}

/// Answers one request; never fails.
pub(super) async fn answer(
    worker: Rc<Worker>,
    state: Rc<State>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let arrived = Instant::now();
    worker.note_asked(arrived);
    let open = Open::begin(Rc::clone(&worker), state);
    let (endpoint, exempt) = endpoint(&request);
    let call = Call { correlation: worker.ids.of(request.headers()), worker, arrived, endpoint };
    let limit = i64::try_from(call.worker.shared.settings.limits.requests).unwrap_or(i64::MAX);
    let is_grpc = grpc::is_grpc(request.headers());
    let outcome = if open.others >= limit && !exempt {
        call.worker.metrics().shed("requests");
        Err(Problem::overloaded("more requests are open than limits.requests allows"))
    } else if is_grpc {
        grpc::answer(&call, request).await
    } else {
        route(&call, request).await
    };
    let mut response = outcome.unwrap_or_else(|problem| match is_grpc {
        true => grpc::refuse(&problem),
        false => problem.into_response(&call.correlation),
    });
    let status = response.status().as_u16();
    response.headers_mut().insert(CORRELATION_ID, call.correlation.id);
    call.worker.metrics().answered(endpoint, status, micros(arrived.elapsed()));
    Ok(response)
}

/// What is asked for, and whether it is answered even under overload.
fn endpoint(request: &Request<Incoming>) -> (Endpoint, bool) {
    match request.uri().path() {
        "/v1/decide" => (Endpoint::Decide, false),
        "/v1/decide/batch" => (Endpoint::Batch, false),
        "/v1/explain" => (Endpoint::Explain, false),
        "/livez" | "/readyz" | "/metrics" | "/v2/health/live" | "/v2/health/ready" => (Endpoint::Info, true),
        "/v1/schema" | "/openapi.json" => (Endpoint::Info, false),
        path if grpc::is_grpc(request.headers()) => (grpc::endpoint(path), path.starts_with("/grpc.health.v1.")),
        path if oip::is_path(path) && path.ends_with("/infer") => (Endpoint::Infer, false),
        path if oip::is_path(path) => (Endpoint::Info, false),
        _ => (Endpoint::Other, false),
    }
}

async fn route(call: &Call, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    match (&head.method, head.uri.path()) {
        (&Method::POST, "/v1/decide") => decide(call, body).await,
        (&Method::POST, "/v1/decide/batch") => batch::decide(call, &head, body).await,
        (&Method::POST, "/v1/explain") => explain(call, body).await,
        (_, "/v1/decide" | "/v1/decide/batch" | "/v1/explain") => Err(Problem::method("POST")),
        (&Method::GET | &Method::HEAD | &Method::POST, path) if oip::is_path(path) => {
            oip::answer(call, &head, body).await
        }
        (&Method::GET | &Method::HEAD, path) => info::get(call, &head, path),
        (_, path) if info::is_known(path) => Err(Problem::method("GET")),
        (_, path) => Err(Problem::not_found(format!("nothing is at {path}; /openapi.json lists what is"))),
    }
}

async fn decide(call: &Call, body: Incoming) -> Answer {
    let json = call.read_json(body).await?;
    call.room_in_log(json.len()).await?;
    let asked = call.asked(&json);
    match call.worker.decide(&asked) {
        Outcome::Decided(record) => Ok(json_answer(record)),
        other => Err(refusal(other)),
    }
}

async fn explain(call: &Call, body: Incoming) -> Answer {
    let json = call.read_json(body).await?;
    let Some(active) = call.worker.shared.active.load_full() else { return Err(Problem::not_ready()) };
    let explained = call.worker.guest(&active, |instance, bundle| instance.explain_json(bundle, &json));
    match explained {
        Ok(explanation) => Ok(json_answer(explanation)),
        Err(Silence::Refused(code, text)) => Err(Problem::of_guest(code, &text)),
        Err(Silence::Lost(reason, text)) => {
            tracing::warn!(code = "GUEST_LOST", reason = reason.name(), "no explanation: {text}");
            Err(Problem::overloaded("the explanation took too long or failed; decisions are not affected"))
        }
    }
}

/// What is not a record, as a problem.
pub(super) fn refusal(outcome: Outcome) -> Problem {
    match outcome {
        Outcome::Refused(code, text) => Problem::of_guest(code, &text),
        Outcome::LogFull => Problem::log_full(),
        Outcome::NotReady | Outcome::Decided(_) => Problem::not_ready(),
    }
}

impl Call {
    /// The body of one request, within the limits of one.
    pub(super) async fn read_json(&self, body: Incoming) -> Result<Bytes, Problem> {
        let limits = &self.worker.shared.settings.limits;
        let json = self.read(body, limits.body_bytes, "limits.body_bytes").await?;
        check_nesting(&json, limits.nesting)?;
        Ok(json)
    }

    pub(super) async fn read(&self, body: Incoming, limit: usize, setting: &str) -> Result<Bytes, Problem> {
        let begun = Instant::now();
        let read = body::read(body, &self.worker.shared.settings.limits, limit, setting).await;
        self.worker.metrics().stages[Stage::Read as usize].observe(micros(begun.elapsed()));
        read
    }

    /// Waits for room in the log, where the settings say so.
    pub(super) async fn room_in_log(&self, input_bytes: usize) -> Result<(), Problem> {
        let settings = &self.worker.shared.settings;
        if settings.log.when_full != WhenFull::Block {
            return Ok(());
        }
        let until = self.arrived + Duration::from_millis(settings.limits.request_ms);
        while !self.worker.log_has_room(input_bytes) {
            if Instant::now() >= until {
                self.worker.metrics().shed("log");
                return Err(Problem::log_full());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    pub(super) fn asked<'a>(&'a self, json: &'a [u8]) -> Asked<'a> {
        Asked { endpoint: self.endpoint, correlation: &self.correlation, arrived: self.arrived, json }
    }
}

/// An answer of JSON.
pub(super) fn json_answer(json: impl Into<Bytes>) -> Response<ResponseBody> {
    typed("application/json", json)
}

/// An answer of some media type.
pub(super) fn typed(media_type: &'static str, bytes: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A turn of something long, after which others have theirs.
pub(super) struct Slice(Instant);

impl Slice {
    /// How long many rows are decided in one go.
    const LENGTH: Duration = Duration::from_micros(500);

    pub(super) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Lets others have their turn if this one was long enough.
    pub(super) async fn pause(&mut self) {
        if self.0.elapsed() > Self::LENGTH {
            tokio::task::yield_now().await;
            self.0 = Instant::now();
        }
    }
}

/// A request that is open, counted for as long as it lives.
struct Open {
    worker: Rc<Worker>,
    state: Rc<State>,
    /// Requests that were open already.
    others: i64,
}

impl Open {
    fn begin(worker: Rc<Worker>, state: Rc<State>) -> Self {
        state.head_since.set(None);
        state.requests.set(state.requests.get() + 1);
        let others = worker.shared.gauges.requests.fetch_add(1, Ordering::Relaxed);
        Self { worker, state, others }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.worker.shared.gauges.requests.fetch_sub(1, Ordering::Relaxed);
        self.state.requests.set(self.state.requests.get().saturating_sub(1));
        self.state.idle_since.set(self.worker.clock_ms());
    }
}
