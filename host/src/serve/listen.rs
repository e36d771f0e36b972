//! Listeners: accept, count, hand over to the worker with the fewest connections.

use super::connection::{Arrived, Permit, Socket};
use super::shared::{Phase, Shared};
use super::worker::Handle;
use crate::failure::{Failure, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait in the system to be accepted.
const BACKLOG: u32 = 4096;
/// After a failed accept, such as without file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// What a connection too many is told.
const FULL: &str =
    "{\"status\":503,\"code\":\"OVERLOADED\",\"detail\":\"more connections are open than limits.connections allows\"}";

/// An open listener.
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, PathBuf),
}

impl Listener {
    /// Opens `HOST:PORT` or `unix:PATH`.
    ///
    /// # Errors
    /// `LISTEN`.
    pub(super) async fn open(address: &str) -> Result<Self> {
        let at = |error: std::io::Error| Failure::refused("LISTEN", format!("{address}: {error}"));
        if let Some(path) = address.strip_prefix("unix:") {
            return unix(Path::new(path)).map_err(at);
        }
        let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        for resolved in tokio::net::lookup_host(address).await.map_err(at)? {
            let socket = if resolved.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(at)?;
            socket.set_reuseaddr(true).map_err(at)?;
            match socket.bind(resolved).and_then(|()| socket.listen(BACKLOG)) {
                Ok(listener) => return Ok(Self::Tcp(listener)),
                Err(error) => last = error,
            }
        }
        Err(at(last))
    }

    /// Where it listens, with the port that the system chose.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(|e| e.to_string(), |address| address.to_string()),
            #[cfg(unix)]
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    pub(super) async fn accept(&self) -> std::io::Result<Socket> {
        match self {
            Self::Tcp(listener) => Ok(Socket::Tcp(listener.accept().await?.0.into_std()?)),
            #[cfg(unix)]
            Self::Unix(listener, _) => Ok(Socket::Unix(listener.accept().await?.0.into_std()?)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(unix)]
fn unix(path: &Path) -> std::io::Result<Listener> {
    // A socket that a killed process left behind is in the way; one that answers is not.
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(std::io::ErrorKind::AddrInUse.into());
    }
    if std::fs::symlink_metadata(path).is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()))
    {
        std::fs::remove_file(path)?;
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    Ok(Listener::Unix(tokio::net::UnixListener::bind(path)?, path.to_owned()))
}

#[cfg(not(unix))]
fn unix(_: &Path) -> std::io::Result<Listener> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// The workers, each with the number of its connections.
pub(super) struct Crew {
    pub(super) workers: Vec<(Handle, Arc<AtomicUsize>)>,
}

/// Accepts until the sidecar drains.
pub(super) async fn accept(listener: Listener, shared: Arc<Shared>, crew: Arc<Crew>) {
    let mut phase = shared.phase.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = phase.wait_for(|phase| *phase == Phase::Draining) => return,
        };
        match accepted {
            Ok(socket) => admit(&shared, &crew, socket),
            Err(error) => {
                tracing::warn!(code = "ACCEPT", %error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, crew: &Crew, socket: Socket) {
    let limit = i64::try_from(shared.settings.limits.connections).unwrap_or(i64::MAX);
    if shared.gauges.connections.fetch_add(1, Ordering::Relaxed) >= limit {
        shared.gauges.connections.fetch_sub(1, Ordering::Relaxed);
        shared.gauges.connections_refused.fetch_add(1, Ordering::Relaxed);
        return turn_away(socket);
    }
    let least = crew.workers.iter().min_by_key(|(_, open)| open.load(Ordering::Relaxed));
    let Some((worker, open)) = least else { return };
    let permit = Permit::new(Arc::clone(shared), Arc::clone(open));
    // A worker that has ended drops the connection, and with it the permit.
    let _ = worker.arrivals.send(Arrived { socket, permit });
}

/// One short answer that the socket's buffer takes at once.
fn turn_away(socket: Socket) {
    use std::io::Write;
    let head = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-type: application/problem+json";
    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{FULL}", FULL.len());
    let _ = match socket {
        Socket::Tcp(mut socket) => socket.write(answer.as_bytes()),
        #[cfg(unix)]
        Socket::Unix(mut socket) => socket.write(answer.as_bytes()),
    };
}
