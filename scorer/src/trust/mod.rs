//! Who may speak: trusted keys and signatures over exact bytes.

mod envelope;
mod keys;

pub use envelope::{Envelope, SignatureEntry, pre_authentication_encoding};
pub use keys::{KeyId, TrustedKey, TrustedKeys};
