//! Manifest, signature, file.

use crate::failure::{Failure, Result};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use tollgate_scorer::bundle::{FORMAT, ManifestWire, PAYLOAD_TYPE, PartWire, Role, assemble};
use tollgate_scorer::trust::{Envelope, KeyId, SignatureEntry, pre_authentication_encoding};

/// Where a bundle came from.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// The bundle's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// Anything else worth keeping.
    pub entries: BTreeMap<String, String>,
}

/// A part to be signed.
#[derive(Clone, Debug)]
pub struct PartSource {
    /// What it is for.
    pub role: Role,
    /// Its format.
    pub format: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Canonical CBOR of a wire type.
///
/// # Errors
/// `ENCODING`; does not happen when memory suffices.
pub fn encode<T: minicbor::Encode<()>>(value: &T) -> Result<Vec<u8>> {
    minicbor::to_vec(value).map_err(|error| Failure::refused("ENCODING", error.to_string()))
}

/// Signs parts as one bundle and returns the file.
///
/// # Errors
/// `ENCODING`; does not happen when memory suffices.
pub fn sign(provenance: &Provenance, parts: &[PartSource], key: &SigningKey) -> Result<Vec<u8>> {
    let digests: Vec<[u8; 32]> = parts.iter().map(|part| Sha256::digest(&part.bytes).into()).collect();
    let entries = parts.iter().zip(&digests).map(|(part, digest)| PartWire {
        role: part.role.name(),
        format: part.format,
        length: part.bytes.len() as u64,
        sha256: digest,
        mandatory: part.role != Role::Card,
    });
    let manifest = encode(&ManifestWire {
        format: FORMAT,
        name: &provenance.name,
        version: &provenance.version,
        created_ms: provenance.created_ms,
        min_abi: tollgate_scorer::ABI_VERSION,
        parts: entries.collect(),
        provenance: provenance.entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
    })?;
    let signature = key.sign(&pre_authentication_encoding(PAYLOAD_TYPE, &manifest)).to_bytes();
    let key_id = KeyId::of(key.verifying_key().as_bytes()).0;
    let envelope = encode(&Envelope {
        payload_type: PAYLOAD_TYPE,
        payload: &manifest,
        signatures: vec![SignatureEntry { key_id: &key_id, signature: &signature }],
    })?;
    Ok(assemble(&envelope, parts.iter().map(|part| part.bytes.as_slice())))
}
