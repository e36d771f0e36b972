//! A bundle that serves: verified, self-tested and kept as a snapshot.

use crate::failure::Result;
use crate::fallback::Fallback;
use crate::log::mask::Masks;
use crate::sandbox::{Sandbox, Snapshot};
use bytes::Bytes;
use serde::Deserialize;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A bundle that serves.
pub(in crate::serve) struct Active {
    /// Rises with each change of what serves; workers compare it.
    pub(in crate::serve) generation: u64,
    /// The file as it was verified.
    pub(in crate::serve) file: Arc<[u8]>,
    /// What the module says of the bundle, as JSON.
    pub(in crate::serve) description: Bytes,
    /// The same, read.
    pub(in crate::serve) described: Described,
    /// What answers when the guest cannot.
    pub(in crate::serve) fallback: Fallback,
    /// Where it runs.
    pub(in crate::serve) sandbox: Arc<Sandbox>,
    /// What instances are made from.
    pub(in crate::serve) snapshot: Snapshot,
    /// How fields go into the log.
    pub(in crate::serve) masks: Masks,
    /// When it was loaded, milliseconds since 1970.
    pub(in crate::serve) loaded_ms: u64,
}

/// What the sidecar itself needs of a description.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::serve) struct Described {
    pub(in crate::serve) name: String,
    pub(in crate::serve) version: String,
    pub(in crate::serve) digest: String,
    pub(in crate::serve) features: Vec<DescribedFeature>,
}

/// One feature of a description.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::serve) struct DescribedFeature {
    pub(in crate::serve) name: String,
    pub(in crate::serve) kind: String,
    pub(in crate::serve) scored: bool,
    #[serde(default)]
    pub(in crate::serve) values: Vec<String>,
    #[serde(default)]
    pub(in crate::serve) log: Option<String>,
}

impl Active {
    /// Verifies and self-tests a bundle in an instance of its own and keeps the outcome.
    ///
    /// # Errors
    /// The module's code for a bundle that it refuses.
    pub(in crate::serve) fn load(
        sandbox: Arc<Sandbox>,
        file: Arc<[u8]>,
        keys: &[[u8; 32]],
        generation: u64,
    ) -> Result<Self> {
        let loaded_ms = now_ms();
        let mut instance = sandbox.instance()?;
        let bundle = instance.load(&file, keys, None, Some(loaded_ms))?;
        let snapshot = sandbox.snapshot(&instance, bundle)?;
        let description = instance.describe(bundle)?;
        let described: Described = serde_json::from_str(&description)
            .map_err(|error| crate::Failure::refused("SANDBOX", format!("the module's description: {error}")))?;
        Ok(Self {
            generation,
            file,
            fallback: Fallback::of(&description),
            masks: Masks::of(described.features.iter().map(|f| (f.name.as_str(), f.log.as_deref()))),
            described,
            description: description.into(),
            snapshot,
            sandbox,
            loaded_ms,
        })
    }

    /// The digest, in hexadecimal.
    pub(in crate::serve) fn digest(&self) -> &str {
        &self.described.digest
    }
}

/// Milliseconds since 1970.
pub(in crate::serve) fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
