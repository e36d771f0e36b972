//! gRPC: `tollgate.v1.Decisions`, the Open Inference Protocol, health and reflection, on
//! every listener beside HTTP.

mod decisions;
mod inference;

/// The messages and services of `proto/`, generated when the crate is built.
#[allow(missing_docs, unused_qualifications, clippy::all, reason = "generated")]
mod proto {
    pub(super) mod tollgate {
        tonic::include_proto!("tollgate.v1");
    }
    pub(super) mod inference {
        tonic::include_proto!("inference");
    }
    /// Both files as reflection gives them out.
    pub(super) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}

use super::correlation::{CORRELATION_ID, Correlation};
use super::http::{Answer, Call, Problem, ResponseBody};
use super::metrics::Endpoint;
use super::worker::Worker;
use decisions::Decisions;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Request, Response, StatusCode};
use inference::Inference;
use proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use proto::tollgate::decisions_server::DecisionsServer;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tonic::Status;
use tonic::codegen::Service;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

type Answering = Pin<Box<dyn Future<Output = Result<Response<tonic::body::Body>, Infallible>>>>;
type Handler = Box<dyn Fn(Request<Incoming>) -> Answering>;

/// The services whose health is told, the empty one for the whole server.
const HEALTHY: [&str; 3] = ["", "tollgate.v1.Decisions", "inference.GRPCInferenceService"];

/// Whether a request is gRPC.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// What is counted for a path.
pub(super) fn endpoint(path: &str) -> Endpoint {
    match path {
        "/tollgate.v1.Decisions/Decide" | "/tollgate.v1.Decisions/DecideBatch" => Endpoint::GrpcDecide,
        "/inference.GRPCInferenceService/ModelInfer" => Endpoint::GrpcInfer,
        _ => Endpoint::Info,
    }
}

/// The services, by the beginning of their paths.
pub(super) struct Services(Vec<(&'static str, Handler)>);

impl Services {
    pub(super) fn new(health: HealthReporter, most_bytes: usize) -> Self {
        let decisions = DecisionsServer::new(Decisions).max_decoding_message_size(most_bytes);
        let inference = GrpcInferenceServiceServer::new(Inference).max_decoding_message_size(most_bytes);
        let health = tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(health),
        );
        let mut all = vec![
            ("/tollgate.v1.Decisions/", handler(decisions)),
            ("/inference.GRPCInferenceService/", handler(inference)),
            ("/grpc.health.v1.Health/", handler(health)),
        ];
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        if let (Ok(v1), Ok(v1alpha)) = (reflection().build_v1(), reflection().build_v1alpha()) {
            all.push(("/grpc.reflection.v1.ServerReflection/", handler(v1)));
            all.push(("/grpc.reflection.v1alpha.ServerReflection/", handler(v1alpha)));
        }
        Self(all)
    }
}

fn handler<S>(service: S) -> Handler
where
    S: Service<Request<Incoming>, Response = Response<tonic::body::Body>, Error = Infallible> + Clone + 'static,
    S::Future: 'static,
{
    Box::new(move |request| {
        let mut service = service.clone();
        Box::pin(async move { service.call(request).await })
    })
}

/// Answers a gRPC request.
pub(super) async fn answer(call: &Call, mut request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let found = call.worker.services.0.iter().find(|(prefix, _)| path.starts_with(prefix));
    let Some((_, handler)) = found else { return Ok(failed(&Status::unimplemented("no such service"))) };
    // The service reads the id from here, as it would the caller's own.
    request.headers_mut().insert(CORRELATION_ID, call.correlation.id.clone());
    let limit = Duration::from_millis(call.worker.shared.settings.limits.request_ms);
    match tokio::time::timeout(limit, handler(request)).await {
        Ok(Ok(response)) => Ok(response.map(ResponseBody::Grpc)),
        Ok(Err(never)) => match never {},
        Err(_) => Ok(failed(&Status::deadline_exceeded("the request took longer than limits.request_ms"))),
    }
}

/// A refusal that gRPC clients can read.
pub(super) fn refuse(problem: &Problem) -> Response<ResponseBody> {
    failed(&status(problem))
}

fn failed(status: &Status) -> Response<ResponseBody> {
    status.clone().into_http::<tonic::body::Body>().map(ResponseBody::Grpc)
}

/// A problem as a gRPC status; its code stands in front.
fn status(problem: &Problem) -> Status {
    let text = format!("{}: {}", problem.code, problem.detail);
    match problem.status {
        StatusCode::NOT_FOUND => Status::not_found(text),
        StatusCode::SERVICE_UNAVAILABLE => Status::unavailable(text),
        StatusCode::INTERNAL_SERVER_ERROR => Status::internal(text),
        StatusCode::PAYLOAD_TOO_LARGE => Status::resource_exhausted(text),
        _ => Status::invalid_argument(text),
    }
}

/// What is known of a call beside the worker, which no future of a service may hold.
struct Named {
    correlation: Correlation,
    arrived: Instant,
    endpoint: Endpoint,
}

impl Named {
    fn of(metadata: tonic::metadata::MetadataMap, endpoint: Endpoint) -> Result<Self, Status> {
        let correlation = worker()?.ids.of(&metadata.into_headers());
        Ok(Self { correlation, arrived: Instant::now(), endpoint })
    }

    fn call(&self) -> Result<Call, Status> {
        let Self { correlation, arrived, endpoint } = self;
        Ok(Call { worker: worker()?, correlation: correlation.clone(), arrived: *arrived, endpoint: *endpoint })
    }
}

fn worker() -> Result<Rc<Worker>, Status> {
    Worker::current().ok_or_else(|| Status::internal("no worker on this thread"))
}

/// Tells the health service how the sidecar is, whenever that changes.
pub(super) async fn report_health(health: HealthReporter, shared: std::sync::Arc<super::shared::Shared>) {
    let mut told = None;
    loop {
        let ready = shared.is_ready();
        if told != Some(ready) {
            let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
            for service in HEALTHY {
                health.set_service_status(service, status).await;
            }
            told = Some(ready);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
