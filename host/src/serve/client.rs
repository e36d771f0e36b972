//! A small HTTP client: bundles from URLs, `tollgate admin`, `tollgate doctor`.

use crate::failure::{Failure, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Host and port.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Refuses URLs that this client cannot open.
///
/// # Errors
/// `USAGE`.
pub fn check(url: &Uri) -> Result<()> {
    match (url.scheme_str(), url.host()) {
        (Some("http"), Some(_)) => Ok(()),
        _ => Err(Failure::usage(format!("{url}: a URL begins with http:// and names a host"))),
    }
}

impl Target {
    /// Of a URL, or of `unix:PATH`.
    ///
    /// # Errors
    /// `USAGE`.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(Path::new(path).to_owned()));
        }
        let url: Uri = text.parse().map_err(|error| Failure::usage(format!("{text} is no URL: {error}")))?;
        check(&url)?;
        Ok(Self::of(&url))
    }

    fn of(url: &Uri) -> Self {
        Self::Tcp(format!("{}:{}", url.host().unwrap_or_default(), url.port_u16().unwrap_or(80)))
    }
}

/// Sends a request to a URL and waits for the whole answer.
///
/// # Errors
/// `UNREACHABLE`.
pub fn blocking(url: &Uri, request: Request<Bytes>, time: Duration, limit: usize) -> Result<Response<Bytes>> {
    send_blocking(&Target::of(url), request, time, limit)
}

/// As [`blocking`], to any target.
///
/// # Errors
/// `UNREACHABLE`.
pub fn send_blocking(
    target: &Target,
    request: Request<Bytes>,
    time: Duration,
    limit: usize,
) -> Result<Response<Bytes>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| unreachable(&error))?;
    runtime.block_on(async {
        let answer = tokio::time::timeout(time, send(target, request, limit));
        answer.await.unwrap_or_else(|_| Err(unreachable(&format!("no answer within {} s", time.as_secs()))))
    })
}

async fn send(target: &Target, request: Request<Bytes>, limit: usize) -> Result<Response<Bytes>> {
    match target {
        Target::Tcp(address) => {
            let socket = TcpStream::connect(address).await.map_err(|error| unreachable(&error))?;
            exchange(socket, request, address, limit).await
        }
        #[cfg(unix)]
        Target::Unix(path) => {
            let socket = tokio::net::UnixStream::connect(path).await;
            let socket = socket.map_err(|error| unreachable(&format!("{}: {error}", path.display())))?;
            exchange(socket, request, "localhost", limit).await
        }
        #[cfg(not(unix))]
        Target::Unix(_) => Err(unreachable(&"no Unix sockets on this system")),
    }
}

async fn exchange<I: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    socket: I,
    request: Request<Bytes>,
    host: &str,
    limit: usize,
) -> Result<Response<Bytes>> {
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await;
    let (mut sender, connection) = handshake.map_err(|error| unreachable(&error))?;
    tokio::spawn(connection);
    let (mut head, body) = request.into_parts();
    // Origin form: what servers expect of a client that speaks to them directly.
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).parse();
    head.uri = path.map_err(|error| unreachable(&error))?;
    let host = HeaderValue::from_str(host).map_err(|error| unreachable(&error))?;
    head.headers.entry(HOST).or_insert(host);
    let request = Request::from_parts(head, Full::new(body));
    let (head, body) = sender.send_request(request).await.map_err(|error| unreachable(&error))?.into_parts();
    let body = Limited::new(body, limit).collect().await.map_err(|error| unreachable(&error))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

fn unreachable(what: &dyn std::fmt::Display) -> Failure {
    Failure::refused("UNREACHABLE", what.to_string())
}
