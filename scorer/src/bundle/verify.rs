//! From bytes to `Verified<Bundle>`: the only way there is.

use super::PAYLOAD_TYPE;
use super::container::Container;
use super::manifest::{BundleDigest, Manifest, Role};
use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use crate::trust::{Envelope, KeyId, TrustedKeys};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Deref;
use sha2::{Digest, Sha256};

/// What a loader believes before it sees any bundle.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Keys, any one of which may sign bundles.
    pub keys: TrustedKeys,
    /// The digest that was asked for, where a release or an operator names one.
    pub expected: Option<BundleDigest>,
    /// The host's clock, milliseconds since 1970; `None` where there is no clock, and
    /// then nothing about time is claimed.
    pub now_ms: Option<u64>,
}

/// Something whose signature and digests were checked.
///
/// INVARIANT: built by [`verify`] alone; the field is private to this module.
#[derive(Debug)]
pub struct Verified<T>(T);

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The contents of a bundle, copied out of the file they were verified in.
#[derive(Debug)]
pub struct Bundle {
    /// The signed manifest.
    pub manifest: Manifest,
    /// Which of the trusted keys signed it.
    pub signer: KeyId,
    parts: Vec<Vec<u8>>,
}

impl Bundle {
    /// The bytes of a part, empty where the bundle has none of that role.
    pub fn part(&self, role: Role) -> &[u8] {
        let index = self.manifest.parts.iter().position(|part| part.role == Some(role));
        index.and_then(|index| self.parts.get(index)).map_or(&[], Vec::as_slice)
    }

    /// The format of a part, empty where the bundle has none of that role.
    pub fn format(&self, role: Role) -> &str {
        self.manifest.parts.iter().find(|part| part.role == Some(role)).map_or("", |part| &part.format)
    }

    /// Optional parts that this module does not know, by name: never ignored silently.
    pub fn unknown_parts(&self) -> impl Iterator<Item = &String> {
        self.manifest.parts.iter().filter(|part| part.role.is_none()).map(|part| &part.name)
    }
}

/// Verifies a bundle file: layout, signature, manifest, digest of every part.
///
/// The parts are copied before they are hashed, and the copies are what is parsed
/// later, so a host that changes the buffer meanwhile changes nothing.
///
/// # Errors
/// Any code of `UNSIGNED` to `INCOMPATIBLE`, or `NOT_YET`.
pub fn verify(file: &[u8], trust: &Trust) -> Result<Verified<Bundle>> {
    let container = Container::parse(file)?;
    let (payload, signer) = Envelope::open(container.envelope, PAYLOAD_TYPE, &trust.keys)?;
    let manifest = Manifest::parse(payload)?;
    if let Some(expected) = trust.expected {
        ensure(manifest.digest == expected, Code::Digest, "bundle: not the one that was asked for")?;
    }
    if let Some(now) = trust.now_ms {
        let horizon = now.saturating_add(limits::CLOCK_SKEW_MS);
        ensure(manifest.created_ms <= horizon, Code::NotYet, "bundle: made in the future")?;
    }
    let parts = cut(container.parts, &manifest)?;
    Ok(Verified(Bundle { manifest, signer, parts }))
}

/// Cuts the tail of the file into parts and checks each against its digest.
fn cut(mut rest: &[u8], manifest: &Manifest) -> Result<Vec<Vec<u8>>> {
    let declared = manifest.parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.length));
    ensure(declared <= limits::BUNDLE_BYTES, Code::Limit, "bundle: parts larger than any bundle may be")?;
    ensure(declared == rest.len(), Code::Length, "bundle: parts are not as long as the manifest says")?;
    let mut parts = Vec::with_capacity(manifest.parts.len());
    for (index, entry) in manifest.parts.iter().enumerate() {
        let (part, tail) = rest.split_at_checked(entry.length).ok_or(Error::new(Code::Length, "bundle: ends early"))?;
        let copy = part.to_vec();
        let digest: [u8; 32] = Sha256::digest(&copy).into();
        if digest != entry.sha256 {
            return Err(Error::new(Code::Digest, "bundle: part does not match its digest, part").at(index));
        }
        parts.push(copy);
        rest = tail;
    }
    Ok(parts)
}
