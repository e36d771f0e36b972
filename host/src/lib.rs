//! Everything that touches the world: files, terminals, wasmtime.
//!
//! `import` reads trained models, `author` makes signed bundles of them, `sandbox`
//! runs `tollgate.wasm`, and `cli` is the `tollgate` command. Decisions come out of the
//! sandbox; the linked `tollgate-scorer` serves formats, building and offline checks.

pub mod author;
pub mod cli;
mod failure;
mod fallback;
pub mod import;
pub mod keys;
pub mod log;
mod picture;
pub mod sandbox;
pub mod serve;
pub mod table;

pub use failure::{Exit, Failure, Result};
