//! The last good bundle and the one before it, on the disk: a start without the source.

use crate::failure::{self, Failure, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tollgate_scorer::limits;

const LAST_GOOD: &str = "last-good.tollgate";
const PREVIOUS: &str = "previous.tollgate";
const HELD: &str = "held";

/// The folder of what outlives the process.
pub(super) struct Disk(Option<PathBuf>);

impl Disk {
    /// # Errors
    /// `IO` when the folder cannot be made.
    pub(super) fn open(dir: Option<&Path>) -> Result<Self> {
        if let Some(dir) = dir {
            fs::create_dir_all(dir).map_err(|error| Failure::io(dir, &error))?;
        }
        Ok(Self(dir.map(Path::to_owned)))
    }

    /// Keeps a bundle as the last good one, and the last good one as the previous.
    ///
    /// INVARIANT: at each moment a whole file stands under the name of the last good one,
    /// or none ever did.
    pub(super) fn save(&self, file: &[u8]) -> Result<()> {
        let Some(dir) = &self.0 else { return Ok(()) };
        let (good, previous) = (dir.join(LAST_GOOD), dir.join(PREVIOUS));
        if fs::read(&good).is_ok_and(|kept| kept == file) {
            return Ok(());
        }
        let new = write_aside(dir, LAST_GOOD, file).map_err(|error| Failure::io(dir, &error))?;
        let swapped = keep_previous(&good, &previous).and_then(|()| fs::rename(&new, &good)).and_then(|()| sync(dir));
        swapped.map_err(|error| Failure::io(dir, &error))
    }

    /// What to try at a start without the source, best first.
    pub(super) fn candidates(&self) -> Vec<Vec<u8>> {
        let Some(dir) = &self.0 else { return Vec::new() };
        let read = |name: &str| failure::read(&dir.join(name), limits::BUNDLE_BYTES).ok();
        [LAST_GOOD, PREVIOUS].into_iter().filter_map(read).collect()
    }

    /// The bundle before the last good one.
    pub(super) fn previous(&self) -> Option<Vec<u8>> {
        failure::read(&self.0.as_ref()?.join(PREVIOUS), limits::BUNDLE_BYTES).ok()
    }

    /// After a rollback: nothing stands before the last good one any more.
    pub(super) fn forget_previous(&self) {
        if let Some(dir) = &self.0 {
            let _ = fs::remove_file(dir.join(PREVIOUS));
        }
    }

    /// The digest of the file that an operator rolled back.
    pub(super) fn held(&self) -> Option<String> {
        fs::read_to_string(self.0.as_ref()?.join(HELD)).ok().map(|text| text.trim().to_owned())
    }

    pub(super) fn hold(&self, digest: Option<&str>) -> Result<()> {
        let Some(dir) = &self.0 else { return Ok(()) };
        let done = match digest {
            Some(digest) => write_aside(dir, HELD, digest.as_bytes()).and_then(|new| fs::rename(new, dir.join(HELD))),
            None => fs::remove_file(dir.join(HELD)).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            }),
        };
        done.and_then(|()| sync(dir)).map_err(|error| Failure::io(dir, &error))
    }
}

/// A whole file on the disk, under a name that nobody reads.
fn write_aside(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let path = dir.join(format!("{name}.new"));
    let mut file = File::create(&path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(path)
}

/// Gives the last good file its second name; it keeps the first until it is replaced.
fn keep_previous(good: &Path, previous: &Path) -> io::Result<()> {
    let link = previous.with_extension("link");
    match fs::remove_file(&link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match fs::hard_link(good, &link) {
        Ok(()) => fs::rename(&link, previous),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A file system without links.
        Err(_) => fs::copy(good, &link).and_then(|_| fs::rename(&link, previous)),
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
