//! A small HTTP client: bundles from URLs, `tollgate admin`, `tollgate doctor`.

use crate::failure::{Failure, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Host and port.
    Tcp(String),
    /// The same with TLS; the certificates to trust are those of a file or of the system.
    Tls(String, Option<PathBuf>),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Refuses URLs that this client cannot open.
///
/// # Errors
/// `USAGE`.
pub fn check(url: &Uri) -> Result<()> {
    match (url.scheme_str(), url.host()) {
        (Some("http" | "https"), Some(_)) => Ok(()),
        _ => Err(Failure::usage(format!("{url}: a URL begins with http:// or https:// and names a host"))),
    }
}

impl Target {
    /// Of a URL, or of `unix:PATH`. With TLS the certificates of the system count.
    ///
    /// # Errors
    /// `USAGE`.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(Path::new(path).to_owned()));
        }
        let url: Uri = text.parse().map_err(|error| Failure::usage(format!("{text} is no URL: {error}")))?;
        check(&url)?;
        Ok(Self::of(&url, None))
    }

    fn of(url: &Uri, ca_file: Option<&Path>) -> Self {
        let host = url.host().unwrap_or_default();
        let at = |usual: u16| format!("{host}:{}", url.port_u16().unwrap_or(usual));
        match url.scheme_str() {
            Some("https") => Self::Tls(at(443), ca_file.map(Path::to_owned)),
            _ => Self::Tcp(at(80)),
        }
    }
}

/// Sends a request to a URL and waits for the whole answer; a file of certificates replaces
/// those of the system.
///
/// # Errors
/// `UNREACHABLE`; `TLS` for a server that is not who the URL names.
pub fn blocking(
    url: &Uri,
    ca_file: Option<&Path>,
    request: Request<Bytes>,
    time: Duration,
    limit: usize,
) -> Result<Response<Bytes>> {
    send_blocking(&Target::of(url, ca_file), request, time, limit)
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
        Target::Tls(address, ca_file) => {
            let connector = tls(ca_file.as_deref())?;
            let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
            let name =
                ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|error| not_named(&error))?;
            let socket = TcpStream::connect(address).await.map_err(|error| unreachable(&error))?;
            let socket = connector.connect(name, socket).await.map_err(|error| not_named(&error))?;
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

/// What checks a server. Certificates are read anew each time, so that renewed ones count.
fn tls(ca_file: Option<&Path>) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let certificates = match ca_file {
        Some(path) => {
            let wrong = |error| Failure::refused("TLS", format!("{}: {error}", path.display()));
            let read = CertificateDer::pem_file_iter(path).map_err(wrong)?;
            read.collect::<std::result::Result<_, _>>().map_err(wrong)?
        }
        // Those that cannot be read are passed over, as browsers do.
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(Failure::refused("TLS", "no certificates to check servers against; ca_file names a file of them"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| not_named(&error))?.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
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

fn not_named(what: &dyn std::fmt::Display) -> Failure {
    Failure::refused("TLS", what.to_string())
}
