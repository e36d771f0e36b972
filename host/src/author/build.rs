//! The whole way from a folder to a signed bundle.

use super::calibration::{self, Labelled};
use super::forest::model_part;
use super::golden::Golden;
use super::parts::{calibrator_part, policy_part, reasons_part, schema_part, value_of};
use super::risk::risk;
use super::sign::{PartSource, Provenance, sign};
use super::source::{BundleSource, CalibratorSource, CurveInput, CurveKind, FeatureSource, FittedSource, codes_of};
use crate::failure::{self, Failure, Result};
use crate::import::{NetOperation, Source};
use crate::sandbox;
use crate::table::Table;
use ed25519_dalek::SigningKey;
use std::path::Path;
use std::time::UNIX_EPOCH;
use tollgate_scorer::bundle::{Role, Trust, verify};
use tollgate_scorer::trust::TrustedKeys;
use tollgate_scorer::{Calibrator, Curve, Scorer};

/// Bytes of the largest model card.
const CARD_BYTES: usize = 1 << 20;
/// Names that must not be scored: what they say of a person is protected, or they
/// name the person and not the event.
const FORBIDDEN: [&str; 14] = [
    "sex",
    "gender",
    "race",
    "ethnicity",
    "religion",
    "nationality",
    "disability",
    "pregnant",
    "email",
    "e_mail",
    "phone",
    "ip",
    "ip_address",
    "user_id",
];

/// A bundle and what its author wants to hear of it.
#[derive(Debug)]
pub struct Built {
    /// The file.
    pub file: Vec<u8>,
    /// The same, activated: name, policy, calibrator, digest.
    pub scorer: Scorer,
    /// Bytes by part.
    pub parts: Vec<(Role, usize)>,
}

/// Builds and signs the bundle described by `folder/bundle.toml`.
///
/// # Errors
/// `SOURCE`, `MODEL`, `TABLE`, `CALIBRATION`, `POLICY`, `GOLDEN`, `IO`: what is wrong,
/// and where. A model that does not reproduce its trainer's predictions is refused.
pub fn build(folder: &Path, key: &SigningKey) -> Result<Built> {
    let source = BundleSource::read(&folder.join("bundle.toml"))?;
    let (model_source, model_part) = model(folder, &source)?;
    let model = sandbox::read_model(model_part.format, &model_part.bytes)?;
    agree(&source.features, &model_source)?;
    let calibrator_part = calibrator(folder, &source)?;
    let calibrator = Calibrator::parse(&calibrator_part.bytes)?;
    let codes = codes_of(&source.features);
    let golden = Golden::read(folder, &source.golden, model.features(), model.outputs(), &codes)?;
    let mut parts = vec![
        schema_part(&source.features)?,
        model_part,
        calibrator_part,
        policy_part(&source)?,
        golden.part(&model, &calibrator)?,
    ];
    parts.extend(reasons_part(&source)?);
    parts.extend(card(folder, &source)?);
    let file = sign(&provenance(&source)?, &parts, key)?;
    let scorer = activate(&file, key)?;
    Ok(Built { file, scorer, parts: parts.iter().map(|part| (part.role, part.bytes.len())).collect() })
}

fn model(folder: &Path, source: &BundleSource) -> Result<(Source, PartSource)> {
    let wanted = &source.model;
    let mut model = Source::read(&folder.join(&wanted.file), &wanted.of_file())?;
    if let Some(baseline) = model.baseline_mut() {
        let scored = source.features.iter().filter(|feature| feature.scored);
        baseline.iter_mut().zip(scored).for_each(|(number, feature)| *number = compared_with(feature));
    }
    let part = model_part(&model, &risk(&model, wanted)?)?;
    Ok((model, part))
}

/// What explanations of a net compare a feature with.
fn compared_with(feature: &FeatureSource) -> f64 {
    let own = feature.baseline.as_ref().unwrap_or(&feature.missing);
    value_of(feature, own).unwrap_or_default()
}

/// The schema's scored features are the model's, in its order; monotone constraints
/// that the author declares were given to the trainer; nothing forbidden is scored.
fn agree(features: &[FeatureSource], model: &Source) -> Result<()> {
    let scored: Vec<&FeatureSource> = features.iter().filter(|feature| feature.scored).collect();
    let names = model.features();
    let refused = |message: String| Err(Failure::refused("SCHEMA", message));
    if scored.len() != names.len() {
        return refused(format!("bundle.toml has {} scored features, the model {}", scored.len(), names.len()));
    }
    for (index, (feature, name)) in scored.iter().zip(names).enumerate() {
        if feature.name != *name {
            return refused(format!("feature {index} is {:?} in bundle.toml and {name:?} in the model", feature.name));
        }
        if FORBIDDEN.contains(&feature.name.to_lowercase().as_str()) {
            return refused(format!("feature {name:?} must not be scored: it is protected or names a person"));
        }
        if let (Some(declared), Source::Forest(forest)) = (feature.monotone, model) {
            let trained = forest.monotone.as_ref().and_then(|all| all.get(index)).copied().unwrap_or(0);
            if declared != trained {
                return refused(format!(
                    "feature {name:?}: monotone = {declared} declared, the model was trained with {trained}"
                ));
            }
        }
    }
    texts_agree(&scored, model)?;
    nets_agree(&scored, model)?;
    if let Source::Forest(forest) = model {
        let categorical = forest.categorical();
        let numeric = |index: &&usize| scored.get(**index).is_some_and(|feature| feature.values.is_none());
        if let Some(index) = categorical.iter().find(numeric) {
            return refused(format!(
                "feature {:?} is a category in the model; give kind = \"category\" and values",
                names[*index]
            ));
        }
    }
    Ok(())
}

/// A net has no answer to a missing value, nor to a category that its table has no row for.
fn nets_agree(features: &[&FeatureSource], model: &Source) -> Result<()> {
    let refused = |message: String| Err(Failure::refused("SCHEMA", message));
    let Source::Net(net) = model else { return Ok(()) };
    let fills = net.layers.iter().any(|layer| matches!(layer.operation, NetOperation::Fill(_)));
    let open = features.iter().find(|feature| value_of(feature, &feature.missing).is_none());
    if let (false, Some(feature)) = (fills, open) {
        return refused(format!(
            "feature {:?}: a net has no answer to a missing value; give missing = the value that stands in",
            feature.name
        ));
    }
    for (index, rows) in &net.tables {
        let Some(feature) = features.get(*index) else { continue };
        if feature.values.as_ref().is_some_and(|values| values.len() > *rows) {
            return refused(format!("feature {:?} has more values than its table has rows, {rows}", feature.name));
        }
    }
    Ok(())
}

/// The categories of a feature that the model reads as text begin with the texts that the
/// model knows: a value's position is its code.
fn texts_agree(features: &[&FeatureSource], model: &Source) -> Result<()> {
    for (name, texts) in &model.names().texts {
        let values = features.iter().find(|feature| feature.name == *name).and_then(|feature| feature.values.as_ref());
        if !values.is_some_and(|values| values.starts_with(texts)) {
            let message = format!(
                "feature {name:?} is a text in the model; give kind = \"category\" and values = {texts:?}, in this \
                 order; values that the model does not know come after these"
            );
            return Err(Failure::refused("SCHEMA", message));
        }
    }
    Ok(())
}

fn calibrator(folder: &Path, source: &BundleSource) -> Result<PartSource> {
    let wanted = &source.calibrator;
    let reads_probability = match (wanted.input, wanted.kind) {
        (Some(input), _) => input == CurveInput::Probability,
        (None, kind) => matches!(kind, CurveKind::Identity | CurveKind::Beta),
    };
    let curve = match (wanted.kind, &wanted.fit, &wanted.fitted) {
        (CurveKind::Identity, None, None) => Curve::Identity,
        (_, Some(path), None) if wanted.kind != CurveKind::Identity => fit(&folder.join(path), wanted)?,
        (_, None, Some(fitted)) => self::fitted(wanted.kind, fitted)?,
        _ => {
            return Err(Failure::refused(
                "SOURCE",
                "[calibrator] needs either fit = \"scores.csv\" or [calibrator.fitted]",
            ));
        }
    };
    calibrator_part(wanted.version.as_deref().unwrap_or(&source.bundle.version), reads_probability, &curve)
}

fn fit(path: &Path, wanted: &CalibratorSource) -> Result<Curve> {
    let table = Table::read(path)?;
    let (scores, labels) = (table.numbers("score")?, table.numbers("label")?);
    let weighted = table.header.iter().any(|column| column == "weight");
    let weights = if weighted { table.numbers("weight")? } else { vec![1.0; scores.len()] };
    let points = scores.into_iter().zip(labels).zip(weights);
    let points: Vec<Labelled> = points.map(|((score, label), weight)| Labelled { score, label, weight }).collect();
    let curve = match wanted.kind {
        CurveKind::Isotonic => calibration::isotonic(&points),
        CurveKind::Platt => calibration::platt(&points),
        CurveKind::Beta => calibration::beta(&points),
        CurveKind::Identity => Ok(Curve::Identity),
    };
    curve.map_err(|failure| failure.within(path.display()))
}

fn fitted(kind: CurveKind, fitted: &FittedSource) -> Result<Curve> {
    match (kind, fitted.clone()) {
        (CurveKind::Isotonic, FittedSource { x, y, a: None, b: None, c: None }) => Ok(Curve::Isotonic { x, y }),
        (CurveKind::Platt, FittedSource { a: Some(a), b: Some(b), c: None, .. }) => Ok(Curve::Platt { a, b }),
        (CurveKind::Beta, FittedSource { a: Some(a), b: Some(b), c: Some(c), .. }) => Ok(Curve::Beta { a, b, c }),
        _ => Err(Failure::refused(
            "SOURCE",
            "[calibrator.fitted]: isotonic takes x and y, platt a and b, beta a, b and c",
        )),
    }
}

fn card(folder: &Path, source: &BundleSource) -> Result<Option<PartSource>> {
    let default = folder.join("CARD.md");
    let path = match &source.bundle.card {
        Some(card) => folder.join(card),
        None if default.exists() => default,
        None => return Ok(None),
    };
    let bytes = failure::read(&path, CARD_BYTES)?;
    Ok(Some(PartSource { role: Role::Card, format: "text/markdown", bytes }))
}

fn provenance(source: &BundleSource) -> Result<Provenance> {
    let created = humantime::parse_rfc3339(&source.bundle.created).map_err(|error| {
        Failure::refused("SOURCE", format!("bundle.created: {error}; write it as 2026-11-22T00:00:00Z"))
    })?;
    let created = created.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Provenance {
        name: source.bundle.name.clone(),
        version: source.bundle.version.clone(),
        created_ms: u64::try_from(created.as_millis()).unwrap_or(u64::MAX),
        entries: source.provenance.clone(),
    })
}

/// What a loader will do: nothing leaves here that no module would accept.
fn activate(file: &[u8], key: &SigningKey) -> Result<Scorer> {
    let keys = TrustedKeys::parse(key.verifying_key().as_bytes())?;
    let bundle = verify(file, &Trust { keys, expected: None, now_ms: None })?;
    Ok(sandbox::activate(&bundle)?)
}
