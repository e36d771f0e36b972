//! Reading segments, entry by entry.

use super::frame::{self, Entry, FRAME_BYTES, HEAD_BYTES, MAGIC, Next};
use super::segment;
use crate::failure::{Failure, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// How a segment ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// After a whole frame.
    Whole,
    /// Within a frame: the process or the machine stopped, or it is being written.
    Torn,
    /// At bytes that no writer wrote.
    Damaged(String),
}

/// The segments that are meant: a folder's, or a file alone.
///
/// # Errors
/// `IO`.
pub fn segments(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_dir() {
        return segment::list(path).map_err(|error| Failure::io(path, &error));
    }
    Ok(vec![path.to_owned()])
}

/// Visits each entry of a segment and says how it ends.
///
/// # Errors
/// `IO`, and what `visit` fails with.
pub fn entries(path: &Path, mut visit: impl FnMut(Entry<'_>) -> Result<()>) -> Result<End> {
    let at = |error: std::io::Error| Failure::io(path, &error);
    let mut file = BufReader::with_capacity(CHUNK_BYTES, File::open(path).map_err(at)?);
    let mut magic = Vec::new();
    file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(at)?;
    if magic != MAGIC {
        return Ok(if MAGIC.starts_with(&magic) { End::Torn } else { End::Damaged("no decision log".into()) });
    }
    let (mut frame, mut position) = (Vec::new(), MAGIC.len());
    loop {
        frame.clear();
        file.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut frame).map_err(at)?;
        if let Some(length) = frame.get(..4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes) {
            let length = (length as usize).min(FRAME_BYTES) as u64;
            file.by_ref().take(length).read_to_end(&mut frame).map_err(at)?;
        }
        match frame::next(&frame) {
            Next::End => return Ok(End::Whole),
            Next::Torn => return Ok(End::Torn),
            Next::Damaged(what) => return Ok(End::Damaged(format!("{what}, at byte {position}"))),
            Next::Entry(entry, bytes) => {
                visit(entry)?;
                position += bytes;
            }
        }
    }
}
