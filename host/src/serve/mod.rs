//! The sidecar: decisions over HTTP and gRPC for programs of any language.
//!
//! `listen` accepts, `worker` reads, decides and answers on as many threads as cores,
//! each with a guest of its own; `bundles` keeps what serves current, `admin` is for
//! operators. [`run`] is the whole life of the process.

mod admin;
mod bundles;
pub mod client;
mod connection;
mod correlation;
mod decide;
mod grpc;
mod guest;
mod http;
mod listen;
mod metrics;
mod notify;
mod oip;
mod record;
pub mod settings;
mod settings_read;
mod shared;
mod tracing_setup;
mod watched_io;
mod worker;

pub use settings_read::{Overrides, read as read_settings, shown};

use crate::failure::{self, Failure, Result};
use crate::fallback::Fallback;
use crate::log::mask::HashKey;
use crate::log::writer::{DecisionLog, Options};
use crate::sandbox::{Bounds, Sandbox};
use bundles::{Command, Keeper};
use listen::{Crew, Listener};
use settings::Settings;
use shared::{Phase, Shared};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tollgate_scorer::limits;
use worker::Worker;

/// Bytes of the largest key for hashed fields.
const KEY_BYTES: usize = 4096;

/// Instances beside those of the workers: one that loads a bundle, one to compare it with.
const SPARE_PLACES: usize = 4;

/// Serves until a signal ends it.
///
/// # Errors
/// `USAGE`, `LISTEN` or `IO` for settings that cannot work; a bundle that cannot be had is
/// no reason to end.
pub fn run(settings: Settings) -> Result<()> {
    let levels = tracing_setup::start(&settings.logging.level)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::refused("IO", format!("no runtime: {error}")))?;
    runtime.block_on(async {
        // Before anything is announced: a signal that came earlier would end the process.
        let signals = Signals::install().map_err(|error| Failure::refused("IO", format!("signals: {error}")))?;
        let shared = Arc::new(prepare(settings)?);
        serve(shared, signals, levels).await
    })
}

async fn serve(shared: Arc<Shared>, mut signals: Signals, levels: tracing_setup::Levels) -> Result<()> {
    let mut listeners = Vec::new();
    for address in &shared.settings.listen {
        listeners.push(Listener::open(address).await?);
    }
    let keeper = Keeper::start(&shared).await?;
    #[cfg(feature = "otlp")]
    let exporter = metrics::Exporter::start(&shared)?;
    let admin = admin::open(&shared, keeper.commands.clone(), levels).await?;
    let started = (0..shared.workers.len()).map(|index| Worker::start(&shared, index)).collect::<Result<Vec<_>>>()?;
    let workers = started.into_iter().map(|worker| (worker, Arc::new(AtomicUsize::new(0)))).collect();
    let crew = Arc::new(Crew { workers });
    let mut accepting = Vec::new();
    for listener in listeners {
        tracing::info!(address = listener.address(), "listening");
        accepting.push(tokio::spawn(listen::accept(listener, Arc::clone(&shared), Arc::clone(&crew))));
    }
    let health = tokio::spawn(grpc::report_health(shared.health.clone(), Arc::clone(&shared)));
    notify::say("READY=1");
    while signals.next().await == Signalled::Reload {
        tracing::info!("reloading");
        let _ = keeper.commands.send(Command::Reload { unhold: false, reply: None });
    }
    notify::say("STOPPING=1");
    tracing::info!("leaving");
    shared.phase.send_replace(Phase::Leaving);
    tokio::time::sleep(Duration::from_millis(shared.settings.shutdown.delay_ms)).await;
    shared.phase.send_replace(Phase::Draining);
    for task in accepting {
        let _ = task.await;
    }
    drop(admin);
    health.abort();
    end(&shared, crew, keeper).await;
    #[cfg(feature = "otlp")]
    let _ = tokio::task::spawn_blocking(|| exporter.map(metrics::Exporter::stop)).await;
    Ok(())
}

/// Waits for open requests, then for the log.
async fn end(shared: &Arc<Shared>, crew: Arc<Crew>, keeper: Keeper) {
    let shared = Arc::clone(shared);
    let ended = tokio::task::spawn_blocking(move || {
        let workers = Arc::try_unwrap(crew).map(|crew| crew.workers).unwrap_or_default();
        workers.into_iter().for_each(|(worker, _)| worker.join());
        if let Some(log) = &shared.log {
            log.close();
        }
        keeper.stop();
    });
    let _ = ended.await;
    tracing::info!("ended");
}

fn prepare(settings: Settings) -> Result<Shared> {
    raise_file_limit();
    let scoring = &settings.scoring;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if scoring.workers == 0 { cores } else { scoring.workers };
    let strict = scoring.isolation == settings::Isolation::PerRequest;
    let bounds = Bounds {
        memory_bytes: scoring.memory_bytes,
        load_ms: scoring.load_ms.max(1),
        call_ms: scoring.deadline_ms.max(1),
        places: if strict { (workers + SPARE_PLACES) as u32 } else { 0 },
    };
    let sandbox = match &settings.module {
        None => Sandbox::new(bounds)?,
        Some(path) => Sandbox::with_module(&failure::read(path, limits::BUNDLE_BYTES)?, bounds)?,
    };
    let log = settings.log.dir.as_ref().map(|dir| DecisionLog::start(log_options(&settings, dir.clone()), workers));
    let hash_key = settings.log.hash_key_file.as_ref().map(|path| failure::read(path, KEY_BYTES)).transpose()?;
    Ok(Shared {
        sandbox: Arc::new(sandbox),
        active: arc_swap::ArcSwapOption::empty(),
        without_bundle: settings.fallback_action.as_deref().map(Fallback::without_bundle),
        log: log.transpose()?,
        hash_key: hash_key.and_then(|key| HashKey::new(key.trim_ascii())),
        workers: (0..workers).map(|_| metrics::WorkerMetrics::default()).collect(),
        gauges: shared::Gauges::default(),
        health: tonic_health::server::HealthReporter::new(),
        phase: watch::Sender::new(Phase::Serving),
        started_ms: bundles::now_ms(),
        settings,
    })
}

fn log_options(settings: &Settings, dir: std::path::PathBuf) -> Options {
    let log = &settings.log;
    Options {
        dir,
        queue_bytes: log.queue_bytes,
        segment_bytes: log.segment_bytes,
        retain_bytes: log.retain_bytes,
        retain_hours: log.retain_hours,
        sync_ms: log.sync_ms,
    }
}

/// As many open files as the system lets us have: a connection is one.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(code = "FILES", %error, "the limit on open files stays as it is");
    }
}

/// The signals that the sidecar knows.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signalled {
    Reload,
    End,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Signalled {
        tokio::select! {
            _ = self.hangup.recv() => Signalled::Reload,
            _ = self.terminate.recv() => Signalled::End,
            _ = self.interrupt.recv() => Signalled::End,
        }
    }
}
