//! The thread that waits for the disk, so that the writer does not: a busy disk may take
//! seconds, and records of that time have no other place than the lanes.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// The running thread.
pub(super) struct Syncer {
    files: Option<Sender<Arc<File>>>,
    outcomes: Receiver<io::Result<()>>,
    in_flight: usize,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start() -> io::Result<Self> {
        let (files, given) = channel::<Arc<File>>();
        let (told, outcomes) = channel();
        let run = move || {
            // Ends when either side is gone.
            while given.recv().is_ok_and(|file| told.send(file.sync_data()).is_ok()) {}
        };
        let thread = std::thread::Builder::new().name("tollgate-sync".into()).spawn(run)?;
        Ok(Self { files: Some(files), outcomes, in_flight: 0, thread: Some(thread) })
    }

    /// Whether the disk has everything that it was given.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// Gives the disk what was written to a file.
    pub(super) fn begin(&mut self, file: Arc<File>) {
        if self.files.as_ref().is_some_and(|files| files.send(file).is_ok()) {
            self.in_flight += 1;
        }
    }

    /// What became of it, as far as that is known.
    ///
    /// # Errors
    /// The first failure since the last look.
    pub(super) fn outcome(&mut self) -> io::Result<()> {
        let mut all = Ok(());
        while let Ok(one) = self.outcomes.try_recv() {
            self.in_flight -= 1;
            all = all.and(one);
        }
        all
    }

    /// Waits for all of it; from then on nothing is taken.
    ///
    /// # Errors
    /// As for [`Syncer::outcome`].
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.files = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.outcome()
    }
}
