//! The thread that looks after the serving bundle: polls its source, verifies what is new
//! beside what serves, swaps, rolls back.

use super::active::Active;
use super::disk::Disk;
use super::source::Source;
use crate::failure::{Failure, Result};
use crate::keys;
use crate::serve::shared::Shared;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Codes of refusals that time may mend: the same bytes are tried again.
const PASSING: [&str; 4] = ["NOT_YET", "SANDBOX", "LIMIT", "TRAP"];

/// How long a start waits for the first bundle.
const FIRST: Duration = Duration::from_secs(3);

/// What the keeper is asked for; the reply says what became of it.
pub(in crate::serve) enum Command {
    /// Look at the source now; `unhold` takes a bundle that was rolled back.
    Reload {
        unhold: bool,
        reply: Option<Reply>,
    },
    /// Serve the previous bundle again.
    Rollback {
        reply: Reply,
    },
    Stop,
}

/// Where an outcome goes: its name in the metrics.
pub(in crate::serve) type Reply = oneshot::Sender<Result<&'static str>>;

/// The running keeper.
pub(in crate::serve) struct Keeper {
    pub(in crate::serve) commands: Sender<Command>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Starts the thread and waits until it has the first bundle, or says why there is
    /// none; but not for long, for health is asked about meanwhile.
    ///
    /// # Errors
    /// `USAGE` or `IO` for settings that can never work.
    pub(in crate::serve) async fn start(shared: &Arc<Shared>) -> Result<Self> {
        let mut work = Work::new(Arc::clone(shared))?;
        let (commands, waiting) = channel();
        let (booted, boot) = oneshot::channel();
        let run = move || {
            work.boot();
            // Nobody waits for a slow one.
            let _ = booted.send(());
            work.run(&waiting);
        };
        let thread = std::thread::Builder::new().name("tollgate-bundles".into()).spawn(run);
        let thread = thread.map_err(|error| Failure::refused("IO", format!("no thread for bundles: {error}")))?;
        let _ = tokio::time::timeout(FIRST, boot).await;
        Ok(Self { commands, thread })
    }

    pub(in crate::serve) fn stop(self) {
        let _ = self.commands.send(Command::Stop);
        let _ = self.thread.join();
    }
}

struct Work {
    shared: Arc<Shared>,
    source: Source,
    disk: Disk,
    keys: Vec<[u8; 32]>,
    previous: Option<Arc<Active>>,
    /// Digest of the file that an operator rolled back.
    held: Option<String>,
    generation: u64,
    /// What stands at the source was refused.
    refused: bool,
}

impl Work {
    fn new(shared: Arc<Shared>) -> Result<Self> {
        let source = Source::parse(&shared.settings.bundle, shared.settings.ca_file.as_deref())?;
        let disk = Disk::open(shared.settings.state_dir.as_deref())?;
        let keys = read_keys(&shared)?;
        Ok(Self { held: disk.held(), shared, source, disk, keys, previous: None, generation: 0, refused: false })
    }

    /// The source if it can be had, else what was good last time.
    fn boot(&mut self) {
        let failure = match self.poll() {
            Ok(_) if self.shared.active.load().is_some() => return,
            Ok(_) => Failure::refused("HELD", "the source's bundle was rolled back"),
            Err(failure) => failure,
        };
        for file in self.disk.candidates() {
            match self.load(file) {
                Ok(active) => {
                    let digest = active.digest().to_owned();
                    tracing::warn!(code = failure.code, digest, "serving the last good bundle: {}", failure.message);
                    self.shared.active.store(Some(Arc::new(active)));
                    return;
                }
                Err(failure) => tracing::error!(code = failure.code, "the kept bundle: {}", failure.message),
            }
        }
        tracing::error!(code = failure.code, "no bundle to serve yet: {}", failure.message);
    }

    fn run(mut self, commands: &Receiver<Command>) {
        let every = Duration::from_millis(self.shared.settings.poll_ms.max(10));
        loop {
            match commands.recv_timeout(every) {
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.poll();
                }
                Ok(Command::Reload { unhold, reply }) => {
                    let outcome = self.reload(unhold);
                    reply.map(|reply| reply.send(outcome));
                }
                Ok(Command::Rollback { reply }) => {
                    let _ = reply.send(self.roll_back());
                }
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn reload(&mut self, unhold: bool) -> Result<&'static str> {
        match read_keys(&self.shared) {
            Ok(keys) => self.keys = keys,
            Err(failure) => tracing::error!(code = failure.code, "keys stay as they were: {}", failure.message),
        }
        if unhold {
            self.held = None;
            self.disk.hold(None)?;
        }
        self.source.forget();
        self.poll()
    }

    /// One look at the source.
    fn poll(&mut self) -> Result<&'static str> {
        let outcome = self.look();
        match &outcome {
            Ok(name) => self.shared.reloaded(name, self.refused),
            Err(failure) => {
                let unreachable = ["IO", "UNREACHABLE", "TLS", "NO_BUNDLE"].contains(&failure.code);
                self.shared.reloaded(if unreachable { "unreachable" } else { "refused" }, true);
                tracing::error!(code = failure.code, "the bundle stays as it is: {}", failure.message);
            }
        }
        outcome
    }

    fn look(&mut self) -> Result<&'static str> {
        let Some(file) = self.source.fetch()? else { return Ok("unchanged") };
        self.refused = false;
        let serving = self.shared.active.load_full();
        if serving.is_some_and(|active| *active.file == *file) || self.held == Some(digest(&file)) {
            return Ok("unchanged");
        }
        let active = self.load(file).inspect_err(|failure| {
            self.refused = true;
            if PASSING.contains(&failure.code) {
                self.source.forget();
            }
        })?;
        self.held = None;
        self.disk.hold(None).unwrap_or_else(|failure| warn_disk(&failure));
        self.disk.save(&active.file).unwrap_or_else(|failure| warn_disk(&failure));
        let (name, version, digest) =
            (active.described.name.clone(), active.described.version.clone(), active.digest().to_owned());
        self.previous = self.shared.active.swap(Some(Arc::new(active)));
        tracing::info!(name, version, digest, "a new bundle serves");
        Ok("swapped")
    }

    fn load(&mut self, file: Vec<u8>) -> Result<Active> {
        self.generation += 1;
        Active::load(self.shared.sandbox_for(&file)?, file.into(), &self.keys, self.generation)
    }

    fn roll_back(&mut self) -> Result<&'static str> {
        let none = || Failure::refused("NO_PREVIOUS", "no bundle served before this one");
        let previous = match self.previous.take() {
            Some(previous) => previous,
            None => {
                let file = self.disk.previous().ok_or_else(none)?;
                Arc::new(self.load(file)?)
            }
        };
        let left = self.shared.active.swap(Some(Arc::clone(&previous)));
        self.held = left.map(|left| digest(&left.file));
        // What the disk cannot keep holds until the next start; that is told, not hidden.
        self.disk.hold(self.held.as_deref()).unwrap_or_else(|failure| warn_disk(&failure));
        self.disk.save(&previous.file).unwrap_or_else(|failure| warn_disk(&failure));
        self.disk.forget_previous();
        self.shared.reloaded("rolled_back", self.refused);
        tracing::warn!(digest = previous.digest(), "rolled back; the bundle that was left is not taken again");
        Ok("rolled_back")
    }
}

fn read_keys(shared: &Shared) -> Result<Vec<[u8; 32]>> {
    shared.settings.trust.iter().map(|path| Ok(keys::load_public(path)?.to_bytes())).collect()
}

fn digest(file: &[u8]) -> String {
    keys::hex(&Sha256::digest(file))
}

fn warn_disk(failure: &Failure) {
    tracing::error!(code = failure.code, "the state folder: {}", failure.message);
}
