//! Bundles of a bare model, for `tollgate model` and tests: no ranges, no calibration,
//! a policy that nobody asks.

use super::forest::model_part;
use super::golden::Golden;
use super::parts::calibrator_part;
use super::sign::{PartSource, Provenance, encode, sign};
use crate::failure::Result;
use crate::import::Source;
use crate::sandbox;
use ed25519_dalek::SigningKey;
use tollgate_scorer::bundle::Role;
use tollgate_scorer::policy::{CutOffsWire, LabelsWire, PolicyWire};
use tollgate_scorer::{Action, Calibrator, Curve, FeatureWire, SchemaWire};

/// Signs a model on its own; its golden row is its own prediction.
///
/// # Errors
/// `MODEL` or `LIMIT` for what a bundle cannot hold.
pub fn bare(source: &Source, key: &SigningKey) -> Result<Vec<u8>> {
    let risk: &[u32] = if source.outputs() > 1 { &[0] } else { &[] };
    let model_part = model_part(source, risk)?;
    let model = sandbox::read_model(model_part.format, &model_part.bytes)?;
    let calibrator_part = calibrator_part("none", false, &Curve::Platt { a: -1.0, b: 0.0 })?;
    let golden = Golden::own(&model).part(&model, &Calibrator::parse(&calibrator_part.bytes)?)?;
    let parts = [schema_part(source.features())?, model_part, calibrator_part, policy_part()?, golden];
    sign(&Provenance { name: "model".into(), ..Provenance::default() }, &parts, key)
}

/// The schema of a bare model: every feature a number that may be missing.
fn schema_part(names: &[String]) -> Result<PartSource> {
    let features = names.iter().map(|name| FeatureWire {
        name,
        kind: 0,
        min: None,
        max: None,
        values: None,
        scored: true,
        stand_in: None,
        at_most: 1,
        at_least: 0,
        description: "",
        log: None,
    });
    let bytes = encode(&SchemaWire { features: features.collect() })?;
    Ok(PartSource { role: Role::Schema, format: "schema/1", bytes })
}

/// The policy of a bare model: decides at one half, for `tollgate model`.
fn policy_part() -> Result<PartSource> {
    let wire = PolicyWire {
        use_case: "predict",
        labels: LabelsWire { allow: "allow", challenge: "challenge", block: "block" },
        fallback: Action::Challenge as u32,
        cutoffs: CutOffsWire { challenge: None, block: 0.5 },
        costs: None,
        segments: vec![],
        required: vec![],
    };
    Ok(PartSource { role: Role::Policy, format: "policy/1", bytes: encode(&wire)? })
}
