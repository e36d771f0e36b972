//! The signed envelope: DSSE pre-authentication encoding under strict Ed25519.
//!
//! Source: DSSE v1 protocol (secure-systems-lab/dsse, protocol.md).

use super::keys::{KeyId, TrustedKey, TrustedKeys};
use crate::cbor;
use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use alloc::vec::Vec;
use minicbor::Encode;

/// The envelope on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct Envelope<'b> {
    /// Media type of the payload: what kind of document was signed.
    #[b(0)]
    pub payload_type: &'b str,
    /// The signed document, byte for byte.
    #[cbor(b(1), with = "minicbor::bytes")]
    pub payload: &'b [u8],
    /// At least one signature.
    #[b(2)]
    pub signatures: Vec<SignatureEntry<'b>>,
}

cbor::map! { Envelope<'b> { 0 => payload_type, 1 => payload as bytes, 2 => signatures } }

/// One signature and a hint at the key that made it.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct SignatureEntry<'b> {
    /// Eight bytes, a [`KeyId`]; decides error messages, never trust.
    #[cbor(b(0), with = "minicbor::bytes")]
    pub key_id: &'b [u8],
    /// 64 bytes.
    #[cbor(b(1), with = "minicbor::bytes")]
    pub signature: &'b [u8],
}

cbor::map! { SignatureEntry<'b> { 0 => key_id as bytes, 1 => signature as bytes } }

impl<'b> Envelope<'b> {
    /// Parses an envelope and returns its payload once a trusted key vouches for it.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT`, `WRONG_TYPE`, `UNSIGNED`, `UNTRUSTED_KEY` or
    /// `BAD_SIGNATURE`; nothing in the payload is looked at before it is verified.
    pub fn open(bytes: &'b [u8], payload_type: &str, trusted: &TrustedKeys) -> Result<(&'b [u8], KeyId)> {
        let envelope: Self = cbor::decode(bytes)?;
        ensure(envelope.payload_type == payload_type, Code::WrongType, "envelope: another type of document")?;
        ensure(!envelope.signatures.is_empty(), Code::Unsigned, "envelope: no signature")?;
        ensure(envelope.signatures.len() <= limits::SIGNATURES, Code::Limit, "envelope: too many signatures")?;
        let message = pre_authentication_encoding(payload_type, envelope.payload);
        let mut refusal = Error::new(Code::UntrustedKey, "envelope: signed by no key that is trusted here");
        let mut signer = None;
        for (index, entry) in envelope.signatures.iter().enumerate() {
            match entry.check(&message, trusted) {
                Ok(key) => signer = signer.or(Some(key)),
                Err(error) if error.code == Code::UntrustedKey => {}
                Err(error) if error.code == Code::BadSignature => refusal = error.at(index),
                Err(error) => return Err(error.at(index)),
            }
        }
        signer.map(|key| (envelope.payload, key)).ok_or(refusal)
    }
}

impl SignatureEntry<'_> {
    /// Tries every trusted key; the hint only chooses between the two refusals.
    fn check(&self, message: &[u8], trusted: &TrustedKeys) -> Result<KeyId> {
        let malformed = |_| Error::new(Code::Malformed, "envelope: signature or key id of a wrong length");
        let signature: &[u8; 64] = self.signature.try_into().map_err(malformed)?;
        let hint = KeyId(self.key_id.try_into().map_err(malformed)?);
        match trusted.iter().map(|key| (key.id(), key)).find(|(_, key)| key.verifies(message, signature)) {
            // INVARIANT: no unsigned byte of an accepted envelope can vary.
            Some((id, _)) if id == hint => Ok(id),
            Some(_) => Err(Error::new(Code::BadSignature, "envelope: key id names another key than the signer")),
            None if trusted.iter().map(TrustedKey::id).any(|id| id == hint) => {
                Err(Error::new(Code::BadSignature, "envelope: signature does not verify"))
            }
            None => Err(Error::new(Code::UntrustedKey, "envelope: signed by no key that is trusted here")),
        }
    }
}

/// The bytes that are signed: `DSSEv1 SP len(type) SP type SP len(body) SP body`.
///
/// ```
/// use tollgate_scorer::trust::pre_authentication_encoding;
/// assert_eq!(pre_authentication_encoding("text/a", b"hello"), b"DSSEv1 6 text/a 5 hello");
/// ```
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = alloc::format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
