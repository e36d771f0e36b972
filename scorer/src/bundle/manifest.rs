//! The manifest: the signed list of what a bundle holds.

use crate::cbor;
use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use minicbor::Encode;
use sha2::{Digest, Sha256};

/// The manifest format this module reads and writes.
pub const FORMAT: u32 = 1;

/// SHA-256 of the signed manifest, which fixes every part by its own digest.
///
/// It names a bundle whoever signed it, so adding or dropping a signature neither
/// makes a new bundle nor evades a revocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundleDigest(pub [u8; 32]);

impl fmt::Display for BundleDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BundleDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a part is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Features, their ranges and what stands in when they are missing.
    Schema,
    /// The trained model.
    Model,
    /// Margin to probability.
    Calibrator,
    /// Probability and segment to action.
    Policy,
    /// Rows with the trainer's predictions.
    Golden,
    /// Groups of features and their texts, for reasons.
    Reasons,
    /// The model card, text for people.
    Card,
}

impl Role {
    /// Every role, in the order in which parts stand in a bundle.
    pub const ALL: [Self; 7] =
        [Self::Schema, Self::Model, Self::Calibrator, Self::Policy, Self::Golden, Self::Reasons, Self::Card];

    /// The role's name in the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Model => "model",
            Self::Calibrator => "calibrator",
            Self::Policy => "policy",
            Self::Golden => "golden",
            Self::Reasons => "reasons",
            Self::Card => "card",
        }
    }

    /// The formats that this module can read for the role.
    const fn formats(self) -> &'static [&'static str] {
        match self {
            Self::Schema => &["schema/1"],
            Self::Model => &["forest/1", "linear/1", "layers/1", "onnx/1"],
            Self::Calibrator => &["calibrator/1"],
            Self::Policy => &["policy/1"],
            Self::Golden => &["golden/1"],
            Self::Reasons => &["reasons/1"],
            Self::Card => &["text/markdown"],
        }
    }
}

/// The manifest on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct ManifestWire<'b> {
    /// [`FORMAT`].
    #[n(0)]
    pub format: u32,
    /// The bundle's name.
    #[b(1)]
    pub name: &'b str,
    /// The bundle's version, as its author counts.
    #[b(2)]
    pub version: &'b str,
    /// When it was made, milliseconds since 1970.
    #[n(3)]
    pub created_ms: u64,
    /// The lowest ABI version of a module that may load it.
    #[n(4)]
    pub min_abi: u32,
    /// The parts, in file order.
    #[b(5)]
    pub parts: Vec<PartWire<'b>>,
    /// Where the model came from: training run, data digests, framework.
    #[b(6)]
    pub provenance: BTreeMap<&'b str, &'b str>,
}

cbor::map! { ManifestWire<'b> { 0 => format, 1 => name, 2 => version, 3 => created_ms, 4 => min_abi, 5 => parts, 6 => provenance } }

/// One part of the manifest on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct PartWire<'b> {
    /// A [`Role`] by name.
    #[b(0)]
    pub role: &'b str,
    /// The part's format and its version.
    #[b(1)]
    pub format: &'b str,
    /// Bytes.
    #[n(2)]
    pub length: u64,
    /// SHA-256 of those bytes.
    #[cbor(b(3), with = "minicbor::bytes")]
    pub sha256: &'b [u8],
    /// Whether a loader that does not know the role must refuse the bundle.
    #[n(4)]
    pub mandatory: bool,
}

cbor::map! { PartWire<'b> { 0 => role, 1 => format, 2 => length, 3 => sha256 as bytes, 4 => mandatory } }

/// A manifest that holds together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The bundle's name.
    pub name: String,
    /// The bundle's version.
    pub version: String,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// Provenance, key to value.
    pub provenance: BTreeMap<String, String>,
    /// Digest of the manifest: the bundle's identity.
    pub digest: BundleDigest,
    /// The parts, in file order.
    pub parts: Vec<PartEntry>,
}

/// One part: where it lies and what it must hash to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartEntry {
    /// The role, or `None` for an optional part that this module does not know.
    pub role: Option<Role>,
    /// The role's name as written.
    pub name: String,
    /// The part's format.
    pub format: String,
    /// Bytes.
    pub length: usize,
    /// SHA-256.
    pub sha256: [u8; 32],
}

impl Manifest {
    /// Parses the verified payload of an envelope.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT`, `INCOMPATIBLE` or `PARTS`.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        let wire: ManifestWire<'_> = cbor::decode(payload)?;
        ensure(wire.format == FORMAT, Code::Incompatible, "manifest: a format this module does not know")?;
        ensure(wire.min_abi <= crate::ABI_VERSION, Code::Incompatible, "manifest: needs a newer module")?;
        ensure(wire.parts.len() <= limits::PARTS, Code::Limit, "manifest: too many parts")?;
        ensure(wire.provenance.len() <= limits::PROVENANCE, Code::Limit, "manifest: too much provenance")?;
        let texts = wire.provenance.iter().flat_map(|(key, value)| [*key, *value]);
        ensure(
            texts.chain([wire.name, wire.version]).all(|text| text.len() <= limits::TEXT_BYTES),
            Code::Limit,
            "manifest: text too long",
        )?;
        ensure(!wire.name.is_empty(), Code::Malformed, "manifest: the bundle has no name")?;
        let parts = wire
            .parts
            .iter()
            .enumerate()
            .map(|(index, part)| PartEntry::parse(part).map_err(|error| error.at(index)))
            .collect::<Result<Vec<_>>>()?;
        complete(&parts)?;
        // One by one: to collect would sort, with code that travels with every module.
        let mut provenance = BTreeMap::new();
        for (key, value) in &wire.provenance {
            provenance.insert((*key).into(), (*value).into());
        }
        Ok(Self {
            name: wire.name.into(),
            version: wire.version.into(),
            created_ms: wire.created_ms,
            provenance,
            digest: BundleDigest(Sha256::digest(payload).into()),
            parts,
        })
    }
}

impl PartEntry {
    fn parse(wire: &PartWire<'_>) -> Result<Self> {
        ensure(wire.role.len() <= limits::NAME_BYTES, Code::Limit, "manifest: role name too long")?;
        ensure(is_plain(wire.role), Code::Parts, "manifest: role is not a plain name, part")?;
        ensure(wire.length <= limits::PART_BYTES, Code::Limit, "manifest: part larger than any may be, part")?;
        let role = Role::ALL.into_iter().find(|role| role.name() == wire.role);
        ensure(role.is_some() || !wire.mandatory, Code::Parts, "manifest: unknown mandatory part, part")?;
        ensure(
            role.is_none_or(|role| role.formats().contains(&wire.format)),
            Code::Malformed,
            "manifest: unknown part format, part",
        )?;
        Ok(Self {
            role,
            name: wire.role.into(),
            format: wire.format.into(),
            length: usize::try_from(wire.length).unwrap_or(usize::MAX),
            sha256: wire
                .sha256
                .try_into()
                .map_err(|_| Error::new(Code::Malformed, "manifest: part digest is not a SHA-256, part"))?,
        })
    }
}

/// Each known role at most once; the five that a decision needs, all there.
fn complete(parts: &[PartEntry]) -> Result<()> {
    for role in Role::ALL {
        let count = parts.iter().filter(|part| part.role == Some(role)).count();
        ensure(count <= 1, Code::Parts, "manifest: a part stands twice")?;
        let optional = matches!(role, Role::Reasons | Role::Card);
        ensure(count == 1 || optional, Code::Parts, "manifest: a part is missing")?;
    }
    Ok(())
}

/// Lower-case letters, digits, `-`, `_`: nothing that a file system could interpret.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}
