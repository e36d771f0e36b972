//! What the suites share: runtimes, forged bundles, places of data.
//!
//! A suite says what must hold; `Runtime` says where. Each runtime gets the same
//! bundles and inputs, and its answers are compared byte by byte.

pub mod big;
pub mod cases;
pub mod cbor;
pub mod edges;
pub mod forge;
pub mod property;
mod runtime;

pub use runtime::{Native, Runtime, Wasmtime, runtimes};

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A folder of the shared data, or `None` with one line that says what is skipped.
pub fn shared(folder: &str, skipped: &str) -> Option<PathBuf> {
    present(root().join("../shared").join(folder), skipped)
}

/// A folder, or `None` with one line that says what is skipped.
pub fn present(folder: PathBuf, skipped: &str) -> Option<PathBuf> {
    if folder.exists() {
        return Some(folder);
    }
    eprintln!("skipped: {skipped} ({} is not there)", folder.display());
    None
}

/// Reads little-endian doubles.
///
/// # Panics
/// When the file cannot be read.
pub fn doubles(path: &Path) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes.as_chunks::<8>().0.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect()
}
