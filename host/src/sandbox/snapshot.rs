//! The memory of an instance that has just loaded a bundle, to make more of them.
//!
//! Loading verifies signatures and runs the golden rows; copying its outcome takes a
//! fraction of that. What an instance holds beside its memory is one stack pointer, which
//! is back where it started whenever a call has returned.

use super::instance::{Block, Instance};
use super::{LoadedBundle, Sandbox};
use crate::failure::Result;

/// What is compared and copied at a time.
pub(super) const PAGE_BYTES: usize = 4096;
/// The unit that guest memory grows by.
pub(super) const WASM_PAGE_BYTES: usize = 64 << 10;

/// An instance with a loaded bundle, as data.
pub struct Snapshot {
    pub(super) pages: Vec<(usize, Box<[u8]>)>,
    pub(super) memory_bytes: usize,
    pub(super) arena: Block,
    bundle: LoadedBundle,
}

impl Snapshot {
    /// Bytes that the snapshot itself takes.
    pub fn bytes(&self) -> usize {
        self.pages.iter().map(|(_, page)| page.len()).sum()
    }
}

impl Sandbox {
    /// Keeps what an instance holds. To be taken right after the load, before any request.
    ///
    /// # Errors
    /// `SANDBOX` when no instance can be made to compare with.
    pub fn snapshot(&self, instance: &Instance, bundle: LoadedBundle) -> Result<Snapshot> {
        let fresh = self.instance()?;
        let pages = instance.pages_beside(&fresh);
        Ok(Snapshot { pages, memory_bytes: instance.memory_bytes(), arena: instance.arena(), bundle })
    }

    /// A new instance that holds what the snapshot's did, and nothing else.
    ///
    /// # Errors
    /// `SANDBOX` when memory is refused.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<(Instance, LoadedBundle)> {
        let mut instance = self.instance()?;
        instance.fill(snapshot)?;
        Ok((instance, snapshot.bundle))
    }
}
