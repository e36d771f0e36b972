//! Segments on the disk: opened one after the other, appended to, never changed, removed
//! when they are too old or too many.

use super::frame::{self, Kind, MAGIC};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How the name of a segment begins and ends.
pub(super) const PREFIX: &str = "decisions-";
pub(super) const SUFFIX: &str = ".tgl";

/// The segments that one process writes.
pub(super) struct Segments {
    dir: PathBuf,
    process: String,
    number: u64,
    file: Option<Arc<File>>,
    /// Bytes of the current segment that are known to be whole frames.
    good_bytes: u64,
    /// Something may stand behind them that a failed write left.
    is_torn: bool,
    /// The system said that it lost some of the segment, and will not say so again.
    is_suspect: bool,
}

impl Segments {
    pub(super) fn new(dir: &Path, process: String) -> Self {
        Self { dir: dir.to_owned(), process, number: 0, file: None, good_bytes: 0, is_torn: false, is_suspect: false }
    }

    /// Begins a segment and gives back the one before, which is not on the disk yet; that
    /// stays in use if this fails.
    pub(super) fn open(&mut self, next: &[u64]) -> io::Result<Option<Arc<File>>> {
        let number = self.number + 1;
        let path = self.dir.join(format!("{PREFIX}{}-{number:06}{SUFFIX}", self.process));
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        let mut head = MAGIC.to_vec();
        let json = serde_json::json!({"process": self.process, "segment": number, "next": next}).to_string();
        frame::push(&mut head, Kind::Head, 0, number, |out| out.extend_from_slice(json.as_bytes()));
        if let Err(error) = file.write_all(&head) {
            // A segment without a head is none; the number is used again.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        (self.number, self.good_bytes) = (number, head.len() as u64);
        (self.is_torn, self.is_suspect) = (false, false);
        Ok(self.file.replace(Arc::new(file)))
    }

    /// The segment that is written to.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        self.file.clone()
    }

    /// The disk failed: the system may call lost pages written from now on, so that nothing
    /// more goes into this segment.
    pub(super) fn suspect(&mut self) {
        self.is_suspect = true;
    }

    /// Whether the next frames belong into a new segment.
    pub(super) fn is_over(&self, segment_bytes: u64) -> bool {
        self.is_suspect || self.good_bytes >= segment_bytes
    }

    /// Appends whole frames, all or none: what a failed write left behind is cut off, at
    /// the latest before the next one.
    pub(super) fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        let Some(mut file) = self.file.as_deref() else { return Err(io::ErrorKind::NotFound.into()) };
        if self.is_torn {
            file.set_len(self.good_bytes)?;
        }
        self.is_torn = true;
        match file.write_all(frames) {
            Ok(()) => {
                self.good_bytes += frames.len() as u64;
                self.is_torn = false;
                Ok(())
            }
            Err(error) => {
                self.is_torn = file.set_len(self.good_bytes).is_err();
                Err(error)
            }
        }
    }

    /// Waits until the disk has all of the segment.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.as_deref().map_or(Ok(()), File::sync_data)
    }

    /// Removes the oldest segments beyond a size or an age; 0 means no bound. Says how
    /// many went.
    pub(super) fn retain(&self, bytes: u64, hours: u64) -> io::Result<u64> {
        let current = self.dir.join(format!("{PREFIX}{}-{:06}{SUFFIX}", self.process, self.number));
        let mut all = Vec::new();
        for path in list(&self.dir)? {
            let metadata = fs::metadata(&path)?;
            all.push((path, metadata.len(), metadata.modified()?));
        }
        let mut total: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
        let oldest = SystemTime::now().checked_sub(Duration::from_secs(hours.saturating_mul(3600)));
        let mut removed = 0;
        for (path, length, modified) in all.into_iter().filter(|(path, ..)| *path != current) {
            let too_much = bytes != 0 && total > bytes;
            let too_old = hours != 0 && oldest.is_some_and(|oldest| modified < oldest);
            if too_much || too_old {
                fs::remove_file(&path)?;
                total -= length;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// The segments of a folder, oldest first: names begin with the time their process began.
pub(super) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
