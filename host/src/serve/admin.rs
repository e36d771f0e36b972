//! The listener of operators: status, reload, rollback, level of messages.

use super::bundles::{Command, now_ms};
use super::connection::Socket;
use super::listen::Listener;
use super::shared::{Phase, Shared};
use super::tracing_setup::Levels;
use crate::failure::{self, Failure, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, oneshot};

/// Connections of operators at a time.
const CONNECTIONS: usize = 32;
/// Bytes of a request's body.
const BODY_BYTES: usize = 4096;
/// Bytes of the longest token file.
const TOKEN_BYTES: usize = 4096;
/// Time for a request to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the handlers need.
struct Admin {
    shared: Arc<Shared>,
    commands: Sender<Command>,
    levels: Levels,
    /// The bearer token; without one the listener is a Unix socket of the owner.
    token: Option<Vec<u8>>,
}

/// Ends the listener when it is dropped.
pub(super) struct Opened(Option<tokio::task::JoinHandle<()>>);

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Opens the listener, if there is to be one.
///
/// # Errors
/// `USAGE` for TCP without a token, `LISTEN`, `IO`.
pub(super) async fn open(shared: &Arc<Shared>, commands: Sender<Command>, levels: Levels) -> Result<Opened> {
    let settings = &shared.settings;
    let by_state = || settings.state_dir.as_ref().map(|dir| format!("unix:{}", dir.join("admin.sock").display()));
    let address = settings.admin.listen.clone().or_else(by_state).filter(|address| !address.is_empty());
    let Some(address) = address else { return Ok(Opened(None)) };
    let token = settings.admin.token_file.as_ref().map(|path| failure::read(path, TOKEN_BYTES)).transpose()?;
    let token = token.map(|token| token.trim_ascii().to_vec());
    if token.as_ref().is_some_and(Vec::is_empty) {
        return Err(Failure::usage("admin.token_file is empty"));
    }
    if token.is_none() && !address.starts_with("unix:") {
        return Err(Failure::usage("admin.listen is a TCP address: that needs admin.token_file"));
    }
    let listener = Listener::open(&address).await?;
    #[cfg(unix)]
    if let Listener::Unix(_, path) = &listener {
        let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path, owner).map_err(|error| Failure::io(path, &error))?;
    }
    tracing::info!(address = listener.address(), "admin listening");
    let admin = Arc::new(Admin { shared: Arc::clone(shared), commands, levels, token });
    Ok(Opened(Some(tokio::spawn(accept(listener, admin)))))
}

async fn accept(listener: Listener, admin: Arc<Admin>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok(socket) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let admin = Arc::clone(&admin);
        tokio::spawn(async move {
            match socket {
                Socket::Tcp(socket) => match tokio::net::TcpStream::from_std(socket) {
                    Ok(socket) => speak(socket, admin).await,
                    Err(error) => tracing::debug!(%error, "an admin connection failed"),
                },
                #[cfg(unix)]
                Socket::Unix(socket) => match tokio::net::UnixStream::from_std(socket) {
                    Ok(socket) => speak(socket, admin).await,
                    Err(error) => tracing::debug!(%error, "an admin connection failed"),
                },
            }
            drop(place);
        });
    }
}

async fn speak(socket: impl AsyncRead + AsyncWrite + Unpin, admin: Arc<Admin>) {
    let service = service_fn(move |request| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(admin.answer(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    if let Err(error) = builder.serve_connection(TokioIo::new(socket), service).await {
        tracing::debug!(%error, "an admin connection ended early");
    }
}

impl Admin {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, body) = match self.route(request).await {
            Ok(body) => (StatusCode::OK, body),
            Err((status, failure)) => {
                let body = json!({
                    "type": format!("urn:tollgate:problem:{}", failure.code), "status": status.as_u16(),
                    "title": status.canonical_reason(), "code": failure.code, "detail": failure.message,
                });
                (status, body)
            }
        };
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = status;
        let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Value, (StatusCode, Failure)> {
        if request.uri().path() == "/livez" {
            return Ok(json!({"status": "alive"}));
        }
        if !self.is_allowed(&request) {
            let failure = Failure::refused("UNAUTHORIZED", "a bearer token is needed, that of admin.token_file");
            return Err((StatusCode::UNAUTHORIZED, failure));
        }
        let (head, body) = request.into_parts();
        let body = tokio::time::timeout(PATIENCE, Limited::new(body, BODY_BYTES).collect()).await;
        let body = body.ok().and_then(std::result::Result::ok).map(http_body_util::Collected::to_bytes);
        let Some(body) = body else {
            return Err((StatusCode::BAD_REQUEST, Failure::refused("BODY", "the body is too long or too slow")));
        };
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        match (&head.method, head.uri.path()) {
            (&Method::GET, "/v1/status") => Ok(self.status()),
            (&Method::POST, "/v1/reload") => {
                let unhold = asked["unhold"].as_bool().unwrap_or(false);
                self.command(|reply| Command::Reload { unhold, reply: Some(reply) }).await
            }
            (&Method::POST, "/v1/rollback") => self.command(|reply| Command::Rollback { reply }).await,
            (&Method::PUT, "/v1/log-level") => {
                let level = asked["level"].as_str().unwrap_or_default();
                self.levels.set(level).map_err(|failure| (StatusCode::BAD_REQUEST, failure))?;
                Ok(json!({"level": self.levels.get()}))
            }
            (_, path) => Err((StatusCode::NOT_FOUND, Failure::refused("NOT_FOUND", format!("nothing is at {path}")))),
        }
    }

    /// Without short cuts, so that time tells nothing of the token.
    fn is_allowed(&self, request: &Request<Incoming>) -> bool {
        let Some(token) = &self.token else { return true };
        let given = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
        let same = given.iter().zip(token).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0;
        same && given.len() == token.len()
    }

    async fn command(
        &self,
        command: impl FnOnce(super::bundles::Reply) -> Command,
    ) -> Result<Value, (StatusCode, Failure)> {
        let gone = || (StatusCode::SERVICE_UNAVAILABLE, Failure::refused("LEAVING", "the sidecar is ending"));
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| gone())?;
        let outcome = answer.await.map_err(|_| gone())?;
        outcome
            .map(|name| json!({"outcome": name, "bundle": self.bundle()}))
            .map_err(|failure| (StatusCode::CONFLICT, failure))
    }

    fn bundle(&self) -> Value {
        self.shared.active.load_full().map_or(Value::Null, |active| {
            json!({
                "name": active.described.name, "version": active.described.version, "digest": active.digest(),
                "slot": "stable", "loaded_ms": active.loaded_ms, "snapshot_bytes": active.snapshot.bytes(),
            })
        })
    }

    fn status(&self) -> Value {
        let shared = &self.shared;
        let gauges = &shared.gauges;
        let log = shared.log.as_ref().map(|log| {
            let (counts, stats) = (log.counts(), log.stats());
            json!({
                "queued": counts.queued, "dropped": counts.dropped, "waiting_bytes": counts.waiting_bytes,
                "written_bytes": stats.written_bytes.load(Ordering::Relaxed),
                "errors": stats.errors.load(Ordering::Relaxed), "failing": stats.failing.load(Ordering::Relaxed),
            })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"), "ready": shared.is_ready(), "serving": shared.phase() == Phase::Serving,
            "uptime_ms": now_ms().saturating_sub(shared.started_ms), "workers": shared.workers.len(),
            "source": shared.settings.bundle, "source_failing": gauges.source_failing.load(Ordering::Relaxed),
            "bundle": self.bundle(), "release": null, "connections": gauges.connections.load(Ordering::Relaxed),
            "requests": gauges.requests.load(Ordering::Relaxed), "log": log, "level": self.levels.get(),
        })
    }
}
