//! The outer layout of a bundle file.

use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use alloc::vec::Vec;

/// The first eight bytes of every bundle.
pub const MAGIC: [u8; 8] = *b"TOLLGATE";
/// The container version this module reads and writes.
pub const VERSION: u16 = 1;
/// Magic, version and envelope length.
const HEADER_BYTES: usize = 14;

/// A bundle file cut into envelope and parts; nothing in it is trusted yet.
#[derive(Clone, Copy, Debug)]
pub struct Container<'b> {
    /// The CBOR envelope.
    pub envelope: &'b [u8],
    /// Everything behind it: the parts, back to back.
    pub parts: &'b [u8],
}

impl<'b> Container<'b> {
    /// Cuts a file.
    ///
    /// # Errors
    /// `LENGTH` for a file cut short, `MALFORMED` for one that is no bundle,
    /// `INCOMPATIBLE` for a later container version, `LIMIT` beyond the bounds.
    pub fn parse(file: &'b [u8]) -> Result<Self> {
        ensure(file.len() <= limits::BUNDLE_BYTES, Code::Limit, "bundle: larger than any bundle may be")?;
        let short = Error::new(Code::Length, "bundle: ends early").at(file.len());
        let known = MAGIC.len().min(file.len());
        ensure(file.get(..known) == MAGIC.get(..known), Code::Malformed, "bundle: does not start with TOLLGATE")?;
        let (header, body) = file.split_at_checked(HEADER_BYTES).ok_or(short)?;
        let version = header.get(8..10).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes);
        let length = header.get(10..).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        ensure(version != 0, Code::Malformed, "bundle: container version 0")?;
        ensure(version <= VERSION, Code::Incompatible, "bundle: container version is newer than this module")?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        ensure(length <= limits::ENVELOPE_BYTES, Code::Limit, "bundle: envelope larger than any may be")?;
        let (envelope, parts) = body.split_at_checked(length).ok_or(short)?;
        Ok(Self { envelope, parts })
    }
}

/// Writes a bundle file from its envelope and parts, in manifest order.
pub fn assemble<'p>(envelope: &[u8], parts: impl IntoIterator<Item = &'p [u8]>) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&u32::try_from(envelope.len()).unwrap_or(u32::MAX).to_le_bytes());
    file.extend_from_slice(envelope);
    parts.into_iter().for_each(|part| file.extend_from_slice(part));
    file
}
