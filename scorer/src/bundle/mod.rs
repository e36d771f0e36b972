//! The bundle: one immutable, signed file with everything a decision needs.
//!
//! ```text
//! "TOLLGATE" | version u16 | envelope length u32 | envelope | part | part | ...
//! ```
//! Integers are little-endian. The envelope signs the manifest; the manifest fixes
//! role, format, length and SHA-256 of each part; the parts fill the file to its end.

mod container;
mod manifest;
mod verify;

pub use container::{Container, MAGIC, VERSION, assemble};
pub use manifest::{BundleDigest, FORMAT, Manifest, ManifestWire, PartWire, Role};
pub use verify::{Bundle, Trust, Verified, verify};

/// What the envelope of a bundle says it signs.
pub const PAYLOAD_TYPE: &str = "application/vnd.tollgate.bundle.v1+cbor";
