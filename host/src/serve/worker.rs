//! A worker: a thread that reads requests, decides and answers, with a guest of its own.
//!
//! A decision takes some microseconds, less than handing it to another thread would, so
//! it is made where the request was read. What takes longer is done in slices.

use super::connection::{self, Arrived};
use super::correlation::Ids;
use super::grpc;
use super::guest::Guest;
use super::metrics::WorkerMetrics;
use super::shared::{Phase, Shared};
use crate::failure::{Failure, Result};
use crate::log::lane::Lane;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;

/// How often connections are looked over for clients that take too long.
const SWEEP: Duration = Duration::from_millis(100);

/// What one worker thread owns.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) guest: RefCell<Guest>,
    pub(super) lane: Option<Arc<Lane>>,
    pub(super) writer: Option<Thread>,
    pub(super) ids: Ids,
    pub(super) services: grpc::Services,
    index: usize,
    /// Connections that this worker serves.
    pub(super) open: RefCell<connection::Watched>,
    /// Time since the worker began, as of the last sweep.
    pub(super) begun: Instant,
    generation: Cell<u64>,
    /// When a request came last, for [`stay_awake`].
    asked: Cell<Instant>,
    wanted: Notify,
}

thread_local! {
    /// The worker of this thread, for services whose futures may hold nothing of it.
    static CURRENT: RefCell<Option<Rc<Worker>>> = const { RefCell::new(None) };
}

/// A started worker, as the acceptor sees it.
pub(super) struct Handle {
    pub(super) arrivals: mpsc::UnboundedSender<Arrived>,
    thread: JoinHandle<()>,
}

impl Worker {
    pub(super) fn metrics(&self) -> &WorkerMetrics {
        &self.shared.workers[self.index]
    }

    /// The worker of this thread, if it is one.
    pub(super) fn current() -> Option<Rc<Self>> {
        CURRENT.with(|current| current.borrow().clone())
    }

    /// Starts the thread of one worker.
    ///
    /// # Errors
    /// `IO` when there is no thread to be had.
    pub(super) fn start(shared: &Arc<Shared>, index: usize) -> Result<Handle> {
        let (arrivals, arriving) = mpsc::unbounded_channel();
        let shared = Arc::clone(shared);
        let run = move || {
            if let Err(error) = run(shared, index, arriving) {
                tracing::error!(code = "WORKER", worker = index, %error, "a worker could not start");
            }
        };
        let thread = std::thread::Builder::new().name(format!("tollgate-{index}")).spawn(run);
        let thread = thread.map_err(|error| Failure::refused("IO", format!("no thread for a worker: {error}")))?;
        Ok(Handle { arrivals, thread })
    }

    fn new(shared: Arc<Shared>, index: usize) -> Self {
        let guest = Guest::new(shared.settings.scoring.isolation);
        Self {
            guest: RefCell::new(guest),
            lane: shared.log.as_ref().and_then(|log| log.lane(index)),
            writer: shared.log.as_ref().map(|log| log.writer()),
            ids: Ids::new(),
            services: grpc::Services::new(shared.health.clone(), shared.settings.limits.batch_bytes),
            index,
            open: RefCell::default(),
            begun: Instant::now(),
            generation: Cell::new(0),
            asked: Cell::new(Instant::now()),
            wanted: Notify::new(),
            shared,
        }
    }

    /// A request came: others may follow soon.
    pub(super) fn note_asked(&self, at: Instant) {
        if self.shared.settings.scoring.spin_us > 0 {
            self.asked.set(at);
            self.wanted.notify_one();
        }
    }

    /// Makes the instance of a new bundle before a request has to wait for it.
    fn warm(&self) {
        let Some(active) = self.shared.active.load_full() else { return };
        if self.generation.replace(active.generation) != active.generation {
            self.guest.borrow_mut().warm(&active);
        }
    }
}

impl Handle {
    /// Waits until the worker has ended.
    pub(super) fn join(self) {
        drop(self.arrivals);
        let _ = self.thread.join();
    }
}

fn run(shared: Arc<Shared>, index: usize, mut arriving: mpsc::UnboundedReceiver<Arrived>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worker = Rc::new(Worker::new(shared, index));
    CURRENT.with(|current| *current.borrow_mut() = Some(Rc::clone(&worker)));
    let local = LocalSet::new();
    worker.warm();
    local.block_on(&runtime, async {
        tokio::task::spawn_local(sweep(Rc::clone(&worker)));
        tokio::task::spawn_local(stay_awake(Rc::clone(&worker)));
        while let Some(arrived) = arriving.recv().await {
            tokio::task::spawn_local(connection::serve(Rc::clone(&worker), arrived));
        }
        connection::sweep(&worker, true);
        let limit = Duration::from_millis(worker.shared.settings.shutdown.drain_ms);
        let ended = async {
            while !worker.open.borrow().is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(limit, ended).await.is_err() {
            tracing::warn!(code = "DRAIN", open = worker.open.borrow().len(), "connections were cut at the end");
        }
    });
    CURRENT.with(|current| current.borrow_mut().take());
    Ok(())
}

/// Looks over the connections again and again, and at what bundle serves.
async fn sweep(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        worker.warm();
        let draining = worker.shared.phase() == Phase::Draining;
        connection::sweep(&worker, draining);
    }
}

/// Keeps the thread from sleeping for a while after each request: each turn of this task
/// looks for what has arrived, without waiting for it.
async fn stay_awake(worker: Rc<Worker>) {
    let spin = Duration::from_micros(worker.shared.settings.scoring.spin_us);
    loop {
        worker.wanted.notified().await;
        while worker.asked.get().elapsed() < spin {
            tokio::task::yield_now().await;
        }
    }
}
