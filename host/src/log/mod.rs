//! The decision log: what was decided, on what, and every loss of it.
//!
//! Workers lay framed records into a bounded lane each; one thread writes them to
//! append-only segments. A record that finds no room is counted, and the next that finds
//! room brings a frame that declares the loss, so a reader sees each gap explained.

pub mod frame;
pub mod lane;
pub mod mask;
pub mod read;
mod segment;
mod sync;
pub mod verify;
pub mod writer;
