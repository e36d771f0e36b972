//! One connection: which protocol it speaks, and how long it may take.
//!
//! Instead of a timer a request, every connection notes where it stands, and one sweep
//! per worker closes those that take too long.

use super::http;
use super::shared::Shared;
use super::watched_io::{Prefixed, WatchedIo};
use super::worker::Worker;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Notify;

/// What HTTP/2 connections begin with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long streams without an open request live on when the sidecar ends.
const STREAMS_END_MS: u64 = 500;

/// A connection that was accepted.
pub(super) struct Arrived {
    pub(super) socket: Socket,
    /// Counts the connection as open for as long as it lives.
    pub(super) permit: Permit,
}

/// Where it came from; sockets of the system, for they change their thread.
pub(super) enum Socket {
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

/// One of the connections that may be open, counted in all and by worker.
pub(super) struct Permit {
    shared: Arc<Shared>,
    of_worker: Arc<AtomicUsize>,
}

impl Permit {
    /// INVARIANT: the caller has counted the connection in all.
    pub(super) fn new(shared: Arc<Shared>, of_worker: Arc<AtomicUsize>) -> Self {
        of_worker.fetch_add(1, Ordering::Relaxed);
        Self { shared, of_worker }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.of_worker.fetch_sub(1, Ordering::Relaxed);
        self.shared.gauges.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where a connection stands; times in milliseconds of the worker's clock.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Requests whose head is read and whose answer is not written.
    pub(super) requests: Cell<u32>,
    /// Since when a head is being read.
    pub(super) head_since: Cell<Option<u64>>,
    /// Since when nothing was asked.
    pub(super) idle_since: Cell<u64>,
    /// Since when the client takes nothing of an answer.
    pub(super) stuck_since: Cell<Option<u64>>,
    is_http2: Cell<bool>,
    /// Since when it is asked to end.
    left_since: Cell<Option<u64>>,
    /// What it is told to do; INVARIANT: `told` is notified with each change.
    order: Cell<Option<Order>>,
    told: Notify,
}

/// What a connection is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// To end after its open requests.
    Leave,
    /// To end at once.
    Cut,
}

impl State {
    fn tell(&self, order: Order) {
        if self.order.get() < Some(order) {
            self.order.set(Some(order));
            self.told.notify_one();
        }
    }

    /// Waits for the next order.
    async fn told(&self) -> Option<Order> {
        self.told.notified().await;
        self.order.get()
    }
}

/// Connections of one worker by a number of their own.
#[derive(Debug, Default)]
pub(super) struct Watched {
    next: u64,
    open: BTreeMap<u64, Rc<State>>,
}

impl Watched {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}

impl Worker {
    /// Milliseconds since the worker began.
    pub(super) fn clock_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Closes connections that take too long, and at the end all that are idle.
pub(super) fn sweep(worker: &Worker, draining: bool) {
    let (limits, now) = (&worker.shared.settings.limits, worker.clock_ms());
    let late = |since: Option<u64>, limit: u64| since.is_some_and(|since| now.saturating_sub(since) > limit);
    for state in worker.open.borrow().open.values() {
        let slow_head = !state.is_http2.get() && late(state.head_since.get(), limits.header_ms);
        // Streams without an end, such as watches of health, do not hold up the drain.
        let only_streams = draining && state.requests.get() == 0 && late(state.left_since.get(), STREAMS_END_MS);
        if slow_head || only_streams || late(state.stuck_since.get(), limits.request_ms) {
            state.tell(Order::Cut);
        }
        let idle = state.requests.get() == 0 && late(Some(state.idle_since.get()), limits.idle_ms);
        if draining || (idle && state.head_since.get().is_none_or(|_| state.is_http2.get())) {
            state.tell(Order::Leave);
        }
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve(worker: Rc<Worker>, arrived: Arrived) {
    let state = Rc::new(State::default());
    state.idle_since.set(worker.clock_ms());
    let number = {
        let mut open = worker.open.borrow_mut();
        open.next += 1;
        let number = open.next;
        open.open.insert(number, Rc::clone(&state));
        number
    };
    let _permit = arrived.permit;
    match arrived.socket {
        Socket::Tcp(socket) => {
            let _ = socket.set_nodelay(true);
            if let Ok(socket) = tokio::net::TcpStream::from_std(socket) {
                speak(&worker, &state, socket).await;
            }
        }
        #[cfg(unix)]
        Socket::Unix(socket) => {
            if let Ok(socket) = tokio::net::UnixStream::from_std(socket) {
                speak(&worker, &state, socket).await;
            }
        }
    }
    worker.open.borrow_mut().open.remove(&number);
}

async fn speak<I: AsyncRead + AsyncWrite + Unpin + 'static>(worker: &Rc<Worker>, state: &Rc<State>, mut socket: I) {
    let begun = tokio::select! {
        begun = preface(worker, state, &mut socket) => begun,
        _ = state.told() => return,
    };
    let Ok(begun) = begun else { return };
    let is_http2 = begun == PREFACE;
    state.is_http2.set(is_http2);
    let io = WatchedIo::new(Prefixed::new(begun, socket), Rc::clone(worker), Rc::clone(state));
    let (for_service, shared_state) = (Rc::clone(worker), Rc::clone(state));
    let service = service_fn(move |request| http::answer(Rc::clone(&for_service), Rc::clone(&shared_state), request));
    let limits = &worker.shared.settings.limits;
    if is_http2 {
        let mut builder = http2::Builder::new(LocalExecutor);
        builder
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
        builder.timer(hyper_util::rt::TokioTimer::new());
        builder.keep_alive_interval(Duration::from_secs(30));
        drive(worker, state, builder.serve_connection(TokioIo::new(io), service)).await;
    } else {
        let mut builder = http1::Builder::new();
        builder.max_headers(limits.headers).max_header_size(limits.header_bytes).half_close(false);
        drive(worker, state, builder.serve_connection(TokioIo::new(io), service)).await;
    }
}

/// Reads until it is clear whether the client begins HTTP/2.
async fn preface(worker: &Worker, state: &State, socket: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut begun = Vec::with_capacity(PREFACE.len());
    while begun.len() < PREFACE.len() && PREFACE.starts_with(&begun) {
        let rest = (PREFACE.len() - begun.len()) as u64;
        if (&mut *socket).take(rest).read_buf(&mut begun).await? == 0 {
            break;
        }
        if state.head_since.get().is_none() {
            state.head_since.set(Some(worker.clock_ms()));
        }
    }
    Ok(begun)
}

/// A connection of either protocol that can be asked to end.
trait Graceful: Future<Output = Result<(), hyper::Error>> {
    fn leave(self: Pin<&mut Self>);
}

impl<I, B, S> Graceful for http1::Connection<I, S>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn leave(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, B, S> Graceful for http2::Connection<I, S, LocalExecutor>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Future: 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn leave(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

async fn drive(worker: &Worker, state: &State, connection: impl Graceful) {
    let mut connection = pin!(connection);
    loop {
        let order = tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            order = state.told() => order,
        };
        if order == Some(Order::Cut) {
            return;
        }
        state.left_since.set(Some(worker.clock_ms()));
        connection.as_mut().leave();
    }
}

/// Runs what HTTP/2 spawns on the worker's own thread.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
