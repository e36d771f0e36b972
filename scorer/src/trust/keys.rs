//! Ed25519 public keys that a loader trusts.

use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use alloc::vec::Vec;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

/// The first eight bytes of a key's SHA-256: names a key in messages and envelopes.
///
/// It is a hint. Trust follows from the signature alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 8]);

impl KeyId {
    /// The id of a public key.
    pub fn of(key: &[u8; 32]) -> Self {
        let mut id = [0; 8];
        id.iter_mut().zip(Sha256::digest(key)).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

/// One key, parsed: on the curve and not of small order.
#[derive(Clone, Debug)]
pub struct TrustedKey {
    id: KeyId,
    key: VerifyingKey,
}

impl TrustedKey {
    /// Parses 32 bytes.
    ///
    /// # Errors
    /// `MALFORMED` when they are no point of the curve, or a weak one.
    pub fn parse(bytes: &[u8; 32]) -> Result<Self> {
        let refused = Error::new(Code::Malformed, "trusted key: not a usable Ed25519 public key");
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| refused)?;
        if key.is_weak() {
            return Err(refused);
        }
        Ok(Self { id: KeyId::of(bytes), key })
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Strict verification (RFC 8032 with S < L, no small-order A or R, no cofactor).
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

/// The keys given to a loader; a signature by any one of them suffices.
#[derive(Clone, Debug)]
pub struct TrustedKeys(Vec<TrustedKey>);

impl TrustedKeys {
    /// Parses 32 bytes a key, back to back.
    ///
    /// # Errors
    /// `LENGTH` when they are no multiple of 32, `LIMIT` when there are too many,
    /// `MALFORMED` for a key that cannot be used or none at all.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (keys, rest) = bytes.as_chunks::<32>();
        ensure(rest.is_empty(), Code::Length, "trusted keys: not 32 bytes each")?;
        ensure(!keys.is_empty(), Code::Malformed, "trusted keys: none given")?;
        ensure(keys.len() <= limits::TRUSTED_KEYS, Code::Limit, "trusted keys: too many")?;
        keys.iter().map(TrustedKey::parse).collect::<Result<_>>().map(Self)
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &TrustedKey> {
        self.0.iter()
    }
}
