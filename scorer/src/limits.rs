//! Every bound of the core, in one place. Each is checked before anything is
//! allocated or looped over, so a hostile document costs at most its own length.

/// Bytes of a whole bundle file (64 MiB).
pub const BUNDLE_BYTES: usize = 64 << 20;
/// Bytes of the signed envelope that precedes the parts.
pub const ENVELOPE_BYTES: usize = 64 << 10;
/// Bytes of one part.
pub const PART_BYTES: u64 = 48 << 20;
/// Parts in a bundle.
pub const PARTS: usize = 16;
/// Signatures on an envelope.
pub const SIGNATURES: usize = 8;
/// Trusted keys a loader may be given.
pub const TRUSTED_KEYS: usize = 8;
/// Nesting of a structured part.
pub const CBOR_DEPTH: usize = 8;
/// Bytes of a name: feature, category, segment, bundle, label.
pub const NAME_BYTES: usize = 128;
/// Bytes of a longer text: description, provenance value, caller's id.
pub const TEXT_BYTES: usize = 1024;
/// Provenance entries of a manifest.
pub const PROVENANCE: usize = 32;
/// Features of a schema.
pub const FEATURES: usize = 10_000;
/// Values a category feature may take.
pub const CATEGORIES: usize = 10_000;
/// Values of all category features of a schema together.
pub const CATEGORIES_TOTAL: usize = 50_000;
/// Trees of a forest.
pub const TREES: usize = 100_000;
/// Leaves of one tree.
pub const LEAVES_PER_TREE: usize = 32_767;
/// Nodes of a forest, leaves included.
pub const NODES: usize = 8_000_000;
/// Slots of a forest: distinct (feature, missing rule) pairs and category sets.
pub const SLOTS: usize = 65_535;
/// Distinct thresholds of one feature.
pub const THRESHOLDS: usize = 65_534;
/// Layers of a neural net.
pub const LAYERS: usize = 1_000;
/// Numbers that a neural net computes for one row, features included.
pub const UNITS: usize = 1 << 18;
/// Outputs of a model (classes).
pub const OUTPUTS: usize = 1_000;
/// Knots of an isotonic calibrator.
pub const KNOTS: usize = 100_000;
/// Segments of a policy.
pub const SEGMENTS: usize = 256;
/// Conditions of one segment.
pub const CONDITIONS: usize = 16;
/// Values in one condition.
pub const CONDITION_VALUES: usize = 256;
/// Required groups of a policy.
pub const REQUIRED_GROUPS: usize = 64;
/// Golden rows of a bundle.
pub const GOLDEN_ROWS: usize = 4_096;
/// Reasons of one decision.
pub const REASONS: usize = 16;
/// Languages that a reason is told in.
pub const LANGUAGES: usize = 64;
/// Bytes of one JSON request.
pub const REQUEST_BYTES: usize = 1 << 20;
/// Unknown feature names kept for the record.
pub const UNKNOWN_NAMES: usize = 16;
/// Rows of one batch call.
pub const BATCH_ROWS: usize = 1 << 20;
/// How far ahead of the host's clock a bundle may claim to be made.
pub const CLOCK_SKEW_MS: u64 = 5 * 60 * 1000;
