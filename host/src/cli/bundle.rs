//! `tollgate bundle`

use super::now_ms;
use super::output::{self, Output};
use crate::author;
use crate::failure::{self, Failure, Result};
use crate::keys;
use crate::sandbox::{self, Bounds, Sandbox};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use tollgate_scorer::bundle::{PAYLOAD_TYPE, Role, Trust, verify};
use tollgate_scorer::trust::TrustedKeys;
use tollgate_scorer::{Calibrator, CutOffs, Kind, Scorer, limits};

#[derive(Subcommand)]
pub(super) enum BundleCommand {
    /// Build and sign a bundle from a folder with bundle.toml and the trained model.
    ///
    /// Fits the calibrator, derives the cut-offs from the costs, and refuses a model that
    /// does not reproduce its trainer's predictions on the golden rows.
    Build(Build),
    /// Verify a bundle as a server would: signature, digests, limits, golden rows.
    Verify(Verify),
    /// Show what is in a bundle.
    Inspect(Inspect),
}

#[derive(Args)]
pub(super) struct Build {
    /// The folder with bundle.toml.
    folder: PathBuf,
    /// The secret key to sign with, from `tollgate keys new`.
    #[arg(short, long)]
    key: PathBuf,
    /// The bundle to write.
    #[arg(short, long)]
    output: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Verify {
    /// The bundle.
    bundle: PathBuf,
    /// The public key that must have signed it.
    #[arg(long)]
    trust: PathBuf,
    /// The digest of the bundle that is meant, 64 hexadecimal digits.
    #[arg(long)]
    digest: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Inspect {
    /// The bundle.
    bundle: PathBuf,
    /// The public key that must have signed it.
    #[arg(long)]
    trust: PathBuf,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

impl BundleCommand {
    pub(super) fn run(&self) -> Result<()> {
        match self {
            Self::Build(build) => build.run(),
            Self::Verify(verify) => verify.run(),
            Self::Inspect(inspect) => inspect.run(),
        }
    }
}

impl Build {
    fn run(&self) -> Result<()> {
        let key = keys::load_secret(&self.key)?;
        let built = author::build(&self.folder, &key)?;
        let public = key.verifying_key().to_bytes();
        // The same check that every server makes, in the sandbox it makes it in.
        let mut instance = Sandbox::for_bundle(&built.file, Bounds::default())?.instance()?;
        instance.load(&built.file, &[public], None, None)?;
        failure::write(&self.output, &built.file)?;
        let scorer = &built.scorer;
        let parts = built.parts.iter().map(|(role, bytes)| (role.name().to_owned(), json!(bytes)));
        output::facts(
            self.json,
            &json!({
                "bundle": self.output.display().to_string(),
                "digest": scorer.digest().to_string(),
                "bytes": built.file.len(),
                "parts": Value::Object(parts.collect()),
                "signed_by": keys::id(&key.verifying_key()),
                "features": scorer.schema().features().len(),
                "cutoffs": cutoffs_json(scorer.policy().cutoffs),
                "golden": "every golden row agrees with the trainer",
            }),
        )
    }
}

impl Verify {
    fn run(&self) -> Result<()> {
        let key = keys::load_public(&self.trust)?;
        let file = failure::read(&self.bundle, limits::BUNDLE_BYTES)?;
        let digest = self.digest.as_deref().map(keys::digest_from_hex).transpose()?;
        let mut instance = Sandbox::for_bundle(&file, Bounds::default())?.instance()?;
        let bundle = instance
            .load(&file, &[key.to_bytes()], digest, Some(now_ms()))
            .map_err(|error| Failure::from(error).within(self.bundle.display()))?;
        let described: Value = serde_json::from_str(&instance.describe(bundle)?).unwrap_or_default();
        output::facts(
            self.json,
            &json!({
                "verified": true,
                "name": described["name"],
                "version": described["version"],
                "digest": described["digest"],
                "signed_by": keys::id(&key),
                "golden_rows": described["golden_rows"],
                "sandbox_memory_bytes": instance.memory_bytes(),
            }),
        )
    }
}

impl Inspect {
    fn run(&self) -> Result<()> {
        let file = failure::read(&self.bundle, limits::BUNDLE_BYTES)?;
        let keys = TrustedKeys::parse(keys::load_public(&self.trust)?.as_bytes())?;
        let bundle = verify(&file, &Trust { keys, expected: None, now_ms: Some(now_ms()) })?;
        let scorer = sandbox::activate(&bundle)?;
        let manifest = &bundle.manifest;
        let created = UNIX_EPOCH + Duration::from_millis(manifest.created_ms.min(253_402_300_799_000));
        let parts = manifest.parts.iter().map(|part| {
            json!({"role": part.name, "format": part.format, "bytes": part.length, "sha256": keys::hex(&part.sha256)})
        });
        let everything = json!({
            "name": manifest.name,
            "version": manifest.version,
            "digest": manifest.digest.to_string(),
            "created": humantime::format_rfc3339_seconds(created).to_string(),
            "signed_by": keys::hex(&bundle.signer.0),
            "payload_type": PAYLOAD_TYPE,
            "provenance": manifest.provenance,
            "parts": parts.collect::<Vec<_>>(),
            "model": model_json(&scorer),
            "calibrator": calibrator_json(scorer.calibrator()),
            "policy": policy_json(&scorer),
            "features": features_json(&scorer),
            "card": String::from_utf8_lossy(bundle.part(Role::Card)),
        });
        if self.json || !output::on_terminal() {
            return output::facts(true, &everything);
        }
        for_people(&everything, &self.bundle)
    }
}

fn for_people(everything: &Value, path: &Path) -> Result<()> {
    let mut output = Output::new();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    output.line(path.display())?;
    for key in ["name", "version", "digest", "created", "signed_by", "model", "calibrator", "policy"] {
        output.line(format_args!("{key:<11} {}", text(&everything[key])))?;
    }
    let columns = ["name", "kind", "allowed", "when_missing", "at_most", "at_least"];
    let mut table = output::table(&columns);
    for feature in everything["features"].as_array().into_iter().flatten() {
        table.add_row(columns.map(|column| text(&feature[column])));
    }
    output.line(table)?;
    output.finish()
}

fn model_json(scorer: &Scorer) -> Value {
    let model = scorer.model();
    json!({"features": model.features().len(), "outputs": model.outputs(), "link": format!("{:?}", model.link())})
}

fn calibrator_json(calibrator: &Calibrator) -> Value {
    json!({
        "version": calibrator.version,
        "reads": if calibrator.reads_probability { "probability" } else { "margin" },
        "curve": curve_text(&calibrator.curve),
    })
}

fn curve_text(curve: &tollgate_scorer::Curve) -> String {
    use tollgate_scorer::Curve::{Beta, Identity, Isotonic, Platt};
    match curve {
        Identity => "identity".into(),
        Isotonic { x, .. } => format!("isotonic, {} knots", x.len()),
        Platt { a, b } => format!("platt, a = {a:?}, b = {b:?}"),
        Beta { a, b, c } => format!("beta, a = {a:?}, b = {b:?}, c = {c:?}"),
    }
}

fn policy_json(scorer: &Scorer) -> Value {
    let policy = scorer.policy();
    let segments = policy.segments.iter().map(|segment| {
        json!({
            "name": segment.name,
            "cutoffs": segment.cutoffs.map(cutoffs_json),
            "at_most": segment.at_most.name(),
            "conditions": segment.when.len(),
        })
    });
    json!({
        "use_case": policy.use_case,
        "labels": policy.labels,
        "fallback_action": policy.fallback.name(),
        "cutoffs": cutoffs_json(policy.cutoffs),
        "segments": segments.collect::<Vec<_>>(),
        "required": policy.required.iter().map(|group| group.name.clone()).collect::<Vec<_>>(),
    })
}

fn features_json(scorer: &Scorer) -> Vec<Value> {
    let scored = scorer.schema().scored().len();
    let features = scorer.schema().features().iter().enumerate();
    let entries = features.map(|(index, feature)| {
        let allowed = match &feature.kind {
            Kind::Number(range) | Kind::Integer(range) => json!([range.min, range.max]),
            Kind::Boolean => json!([false, true]),
            Kind::Category(categories) => json!(categories.names),
        };
        let missing = feature.when_missing;
        json!({
            "name": feature.name,
            "kind": feature.kind.name(),
            "allowed": allowed,
            "scored": index < scored,
            "when_missing": if missing.stand_in.is_nan() { json!("as_missing") } else { json!(missing.stand_in) },
            "at_most": missing.at_most.name(),
            "at_least": missing.at_least.name(),
            "description": feature.description,
        })
    });
    entries.collect()
}

/// Cut-offs as people and scripts see them.
pub(super) fn cutoffs_json(cutoffs: CutOffs) -> Value {
    json!({"challenge": cutoffs.challenge(), "block": cutoffs.block()})
}
