//! The thread that writes what waits in the lanes.

use super::frame::{self, Kind};
use super::lane::{Counts, Lane, Lanes};
use super::segment::Segments;
use super::sync::Syncer;
use crate::failure::{Failure, Result};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longest time that a record waits in memory.
const FLUSH: Duration = Duration::from_millis(5);
/// Time until a failed write is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// How long the end waits for a disk that takes nothing.
const LAST_TRIES: Duration = Duration::from_secs(3);
/// How often old segments are looked for.
const RETAIN_EVERY: Duration = Duration::from_secs(60);

/// How the log is kept; sizes in bytes, 0 means no bound.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the segments.
    pub dir: PathBuf,
    /// Room of each lane.
    pub queue_bytes: usize,
    /// Size at which a new segment is begun.
    pub segment_bytes: u64,
    /// All segments together.
    pub retain_bytes: u64,
    /// Age at which a segment goes.
    pub retain_hours: u64,
    /// At most so long until what is written is on the disk; 0 leaves it to the system.
    pub sync_ms: u64,
}

/// What the writer has done.
#[derive(Debug, Default)]
pub struct Stats {
    /// Bytes that were written.
    pub written_bytes: AtomicU64,
    /// Writes that failed.
    pub errors: AtomicU64,
    /// Segments that retention removed.
    pub removed: AtomicU64,
    /// 1 while the disk takes nothing.
    pub failing: AtomicBool,
    /// Bytes of records that the end gave up.
    pub given_up_bytes: AtomicU64,
}

/// A running log.
pub struct DecisionLog {
    lanes: Lanes,
    stats: Arc<Stats>,
    stop: Arc<AtomicBool>,
    writer: Thread,
    joins: Mutex<Option<JoinHandle<()>>>,
}

impl DecisionLog {
    /// Opens the first segment and starts the writer.
    ///
    /// # Errors
    /// `IO` when the folder cannot be written to.
    pub fn start(options: Options, workers: usize) -> Result<Self> {
        let at = |error: io::Error| Failure::io(&options.dir, &error);
        std::fs::create_dir_all(&options.dir).map_err(at)?;
        let lanes: Lanes = (0..workers).map(|i| Arc::new(Lane::new(i as u32, options.queue_bytes))).collect();
        let mut segments = Segments::new(&options.dir, process());
        segments.open(&vec![1; workers]).map_err(at)?;
        let syncer = Syncer::start().map_err(at)?;
        let (stats, stop) = (Arc::<Stats>::default(), Arc::<AtomicBool>::default());
        let run = Writer {
            next: vec![1; workers],
            options,
            lanes: Arc::clone(&lanes),
            segments,
            syncer,
            pending: Vec::new(),
            pending_next: (0, 1),
            stats: Arc::clone(&stats),
            synced: Instant::now(),
            unsynced: false,
            retained: None,
        };
        let stopping = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("tollgate-log".into()).spawn(move || run.run(&stopping));
        let thread = thread.map_err(|error| Failure::refused("IO", format!("no thread for the log: {error}")))?;
        let writer = thread.thread().clone();
        Ok(Self { lanes, stats, stop, writer, joins: Mutex::new(Some(thread)) })
    }

    /// A worker's queue.
    pub fn lane(&self, worker: usize) -> Option<Arc<Lane>> {
        self.lanes.get(worker).cloned()
    }

    /// The writer's thread, which lanes wake.
    pub fn writer(&self) -> Thread {
        self.writer.clone()
    }

    /// What the writer has done.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What all lanes have seen.
    pub fn counts(&self) -> Counts {
        self.lanes.iter().map(|lane| lane.counts()).fold(Counts::default(), |sum, one| Counts {
            queued: sum.queued + one.queued,
            dropped: sum.dropped + one.dropped,
            waiting_bytes: sum.waiting_bytes + one.waiting_bytes,
        })
    }

    /// Writes what waits, closes the log, and waits for that.
    pub fn close(&self) {
        self.stop.store(true, Ordering::Release);
        self.writer.unpark();
        let thread = self.joins.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

struct Writer {
    options: Options,
    lanes: Lanes,
    segments: Segments,
    syncer: Syncer,
    /// By stream, the next sequence number that is to be written.
    next: Vec<u64>,
    /// What one lane gave and the disk has not taken yet.
    pending: Vec<u8>,
    /// Its stream, and that stream's next sequence number once it is written.
    pending_next: (usize, u64),
    stats: Arc<Stats>,
    synced: Instant,
    unsynced: bool,
    retained: Option<Instant>,
}

impl Writer {
    fn run(mut self, stop: &AtomicBool) {
        loop {
            std::thread::park_timeout(FLUSH);
            if stop.load(Ordering::Acquire) {
                return self.end();
            }
            let wrote = self.write();
            let rotated = self.rotate();
            let wrote = wrote.and(rotated);
            self.note(&wrote);
            if wrote.is_err() {
                std::thread::sleep(RETRY);
            }
        }
    }

    /// Writes what waits in all lanes.
    fn write(&mut self) -> io::Result<()> {
        for index in 0..self.lanes.len() {
            // What a failed write kept goes first, so that order stays.
            self.write_pending()?;
            let next = self.lanes[index].take(&mut self.pending);
            if !self.pending.is_empty() {
                self.pending_next = (index, next);
                self.write_pending()?;
            }
        }
        let due = self.options.sync_ms != 0 && self.synced.elapsed() >= Duration::from_millis(self.options.sync_ms);
        if due && self.unsynced && self.syncer.is_idle() {
            self.segments.file().into_iter().for_each(|file| self.syncer.begin(file));
            (self.synced, self.unsynced) = (Instant::now(), false);
        }
        self.syncer.outcome().inspect_err(|_| self.segments.suspect())
    }

    fn write_pending(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.segments.append(&self.pending)?;
        self.stats.written_bytes.fetch_add(self.pending.len() as u64, Ordering::Relaxed);
        self.unsynced = true;
        self.pending.clear();
        let (index, next) = self.pending_next;
        self.next[index] = next;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let over = self.segments.is_over(self.options.segment_bytes);
        if over {
            let before = self.segments.open(&self.next)?;
            before.into_iter().for_each(|file| self.syncer.begin(file));
        }
        if over || self.retained.is_none_or(|at| at.elapsed() > RETAIN_EVERY) {
            self.retained = Some(Instant::now());
            let removed = self.segments.retain(self.options.retain_bytes, self.options.retain_hours)?;
            self.stats.removed.fetch_add(removed, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Counts failures; says once that they began and once that they ended.
    fn note(&self, outcome: &io::Result<()>) {
        let failing = outcome.is_err();
        let before = self.stats.failing.swap(failing, Ordering::Relaxed);
        match outcome {
            Err(error) => {
                self.stats.errors.fetch_add(1, Ordering::Relaxed);
                if !before {
                    tracing::error!(code = "LOG_WRITE", error = %error, "the decision log cannot be written");
                }
            }
            Ok(()) if before => tracing::info!("the decision log is written again"),
            Ok(()) => {}
        }
    }

    /// The last records, each stream's end, and all of it on the disk.
    fn end(mut self) {
        let started = Instant::now();
        self.lanes.iter().for_each(|lane| lane.finish());
        loop {
            let outcome = self.write().and_then(|()| self.close());
            self.note(&outcome);
            if outcome.is_ok() {
                return;
            }
            if started.elapsed() > LAST_TRIES {
                let waiting: u64 = self.lanes.iter().map(|lane| lane.counts().waiting_bytes).sum();
                let bytes = waiting + self.pending.len() as u64;
                self.stats.given_up_bytes.store(bytes, Ordering::Relaxed);
                tracing::error!(code = "LOG_LOST", bytes, "records were lost: the disk took nothing until the end");
                return;
            }
            std::thread::sleep(RETRY);
        }
    }

    fn close(&mut self) -> io::Result<()> {
        let mut close = Vec::new();
        for (stream, next) in (0..).zip(&self.next) {
            frame::push(&mut close, Kind::Close, stream, *next, |out| out.extend_from_slice(b"{}"));
        }
        self.segments.append(&close)?;
        self.syncer.finish()?;
        self.segments.sync()
    }
}

/// Names a process in file names: when it began, and its number.
fn process() -> String {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:013}-{:07}", elapsed.as_millis(), std::process::id())
}
