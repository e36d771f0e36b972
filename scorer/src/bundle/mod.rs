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

use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use alloc::vec::Vec;

pub use container::{Container, MAGIC, VERSION, assemble};
pub use manifest::{BundleDigest, FORMAT, Manifest, ManifestWire, PartWire, Role};
pub use verify::{Bundle, Trust, Verified, verify};

/// What the envelope of a bundle says it signs.
pub const PAYLOAD_TYPE: &str = "application/vnd.tollgate.bundle.v1+cbor";

/// A bundle and everything parsed from it stay below this many times its length.
const LOAD_FACTOR: usize = 12;
/// Memory that loading needs whatever the bundle.
const LOAD_BYTES: usize = 1 << 20;

/// Asks for all the memory that loading a file may need, before anything is touched: a
/// refusal becomes an error here and not an abort half-way.
///
/// # Errors
/// `LIMIT` for a file that is too large, and where memory is refused.
pub fn admit(length: usize) -> Result<()> {
    ensure(length <= limits::BUNDLE_BYTES, Code::Limit, "bundle: larger than any bundle may be")?;
    let bytes = length.saturating_mul(LOAD_FACTOR).saturating_add(LOAD_BYTES);
    let refused = Error::new(Code::Limit, "load: not enough memory for a bundle of this size");
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| refused)
}
