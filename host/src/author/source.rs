//! `bundle.toml`: what an author writes beside a trained model.

use crate::failure::{self, Failure, Result};
use crate::import::{Format, Wanted};
use crate::table::Codes;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use tollgate_scorer::CostMatrix;

/// Bytes of the largest `bundle.toml` we read.
const SOURCE_BYTES: usize = 4 << 20;

/// The whole file. Unknown keys are errors: a misspelt key must not be ignored.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleSource {
    /// Name, version, use case.
    pub bundle: Head,
    /// The model file.
    pub model: ModelSource,
    /// Rows with the trainer's predictions.
    pub golden: GoldenSource,
    /// The calibrator.
    pub calibrator: CalibratorSource,
    /// The policy.
    pub policy: PolicySource,
    /// The features, in model order first.
    pub features: Vec<FeatureSource>,
    /// How contributions become reasons.
    pub reasons: Option<ReasonsSource>,
    /// Free entries of the manifest.
    #[serde(default)]
    pub provenance: BTreeMap<String, String>,
}

/// `[bundle]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What is decided.
    pub use_case: String,
    /// When it was made, RFC 3339. Signed as it is, so that builds are reproducible.
    pub created: String,
    /// The action when nothing can be scored.
    pub fallback_action: String,
    /// The model card, by default `CARD.md` where there is one.
    pub card: Option<PathBuf>,
}

/// `[reasons]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonsSource {
    /// Reasons of a decision, at most; 4 by default.
    pub most: Option<u32>,
    /// Groups. A scored feature in no group is a group of its own, behind all of these.
    #[serde(default)]
    pub groups: Vec<GroupSource>,
}

/// `[[reasons.groups]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSource {
    /// The stable code: A to Z, 0 to 9, underscore.
    pub code: String,
    /// Its features.
    pub features: Vec<String>,
    /// Of two with the same contribution the one with the lower number counts first; those
    /// without a number come last, and else the order of declaration decides.
    pub priority: Option<u32>,
    /// What to tell people, by language.
    #[serde(default)]
    pub text: BTreeMap<String, String>,
}

/// `[model]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSource {
    /// The model file.
    pub file: PathBuf,
    /// Its format; guessed without.
    pub format: Option<Format>,
    /// Only the first iterations.
    pub iterations: Option<usize>,
    /// The name of the output that is the score, for an ONNX model with several.
    pub output: Option<String>,
    /// For a model of several classes: names of those that are the risk.
    #[serde(default)]
    pub risk_classes: Vec<ClassName>,
    /// Names of the classes, where the model file does not have them.
    #[serde(default)]
    pub classes: Vec<ClassName>,
    /// Instead of names, the positions of the outputs that are the risk.
    #[serde(default)]
    pub risk_outputs: Vec<u32>,
}

impl ModelSource {
    /// What to read of the model file.
    pub fn of_file(&self) -> Wanted<'_> {
        Wanted { format: self.format, iterations: self.iterations, output: self.output.as_deref() }
    }
}

/// A class as its trainer has it: a text or a number.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum ClassName {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

impl Display for ClassName {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Text(text) => text.fmt(formatter),
        }
    }
}

/// `[golden]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenSource {
    /// A CSV file with the feature columns.
    pub rows: PathBuf,
    /// The column of the trainer's raw predictions; `NAME0, NAME1, ..` for several outputs.
    pub expected: String,
    /// Allowed distance; 0, the default, asks for the same bits.
    #[serde(default)]
    pub tolerance: f64,
}

/// `[calibrator]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibratorSource {
    /// Which curve.
    pub kind: CurveKind,
    /// What it reads.
    pub input: Option<CurveInput>,
    /// A CSV file with columns score, label and, if need be, weight.
    pub fit: Option<PathBuf>,
    /// A fitted curve instead: knots `x` and `y`, or `a`, `b`, `c`.
    pub fitted: Option<FittedSource>,
    /// Its version; the bundle's without.
    pub version: Option<String>,
}

/// The curves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CurveKind {
    /// The model's own link.
    Identity,
    /// Piecewise linear.
    Isotonic,
    /// Platt's sigmoid.
    Platt,
    /// Beta calibration.
    Beta,
}

/// What a calibrator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CurveInput {
    /// The raw score.
    Margin,
    /// The probability by the model's link.
    Probability,
}

/// A calibrator fitted elsewhere.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FittedSource {
    /// Isotonic: scores of the knots.
    pub x: Vec<f64>,
    /// Isotonic: probabilities of the knots.
    pub y: Vec<f64>,
    /// Platt, beta.
    pub a: Option<f64>,
    /// Platt, beta.
    pub b: Option<f64>,
    /// Beta.
    pub c: Option<f64>,
}

/// `[policy]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySource {
    /// Display labels.
    #[serde(default)]
    pub labels: LabelsSource,
    /// Costs that the cut-offs follow from.
    pub costs: Option<CostsSource>,
    /// Fixed cut-offs instead.
    pub cutoffs: Option<CutOffsSource>,
    /// Segments, first match first.
    #[serde(default)]
    pub segments: Vec<SegmentSource>,
    /// Groups that must not be absent as a whole.
    #[serde(default)]
    pub required: Vec<RequiredSource>,
}

/// How actions are called.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelsSource {
    /// Label of allow.
    pub allow: String,
    /// Label of challenge.
    pub challenge: String,
    /// Label of block.
    pub block: String,
}

impl Default for LabelsSource {
    fn default() -> Self {
        let [allow, challenge, block] = ["allow", "challenge", "block"].map(String::from);
        Self { allow, challenge, block }
    }
}

/// A cost matrix, all six to be said.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostsSource {
    /// F.
    pub false_negative: f64,
    /// P.
    pub false_block: f64,
    /// c.
    pub challenge: f64,
    /// k.
    pub completion: f64,
    /// L.
    pub lost_user: f64,
    /// q.
    pub abuser_pass: f64,
}

impl CostsSource {
    /// The core's cost matrix.
    pub fn matrix(self) -> CostMatrix {
        let Self { false_negative, false_block, challenge, completion, lost_user, abuser_pass } = self;
        CostMatrix { false_negative, false_block, challenge, completion, lost_user, abuser_pass }
    }
}

/// Fixed cut-offs; without `challenge`, there are two actions.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutOffsSource {
    /// From here on: challenge.
    pub challenge: Option<f64>,
    /// From here on: block.
    pub block: f64,
}

/// `[[policy.segments]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentSource {
    /// Its name.
    pub name: String,
    /// All must hold.
    pub when: Vec<ConditionSource>,
    /// Its own costs.
    pub costs: Option<CostsSource>,
    /// Its own cut-offs.
    pub cutoffs: Option<CutOffsSource>,
    /// The strongest action it allows.
    pub at_most: Option<String>,
}

/// A test on a feature; exactly one of the tests, or a range of two.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionSource {
    /// The feature.
    pub feature: String,
    /// The value.
    pub equals: Option<toml::Value>,
    /// Any other value.
    pub not_equals: Option<toml::Value>,
    /// One of these.
    #[serde(rename = "in")]
    pub any_of: Option<Vec<toml::Value>>,
    /// Below.
    pub less: Option<f64>,
    /// Up to.
    pub at_most: Option<f64>,
    /// Above.
    pub more: Option<f64>,
    /// From.
    pub at_least: Option<f64>,
}

/// `[[policy.required]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequiredSource {
    /// Its name.
    pub name: String,
    /// Its features.
    pub features: Vec<String>,
}

/// `[[features]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSource {
    /// Its name, as the model calls it.
    pub name: String,
    /// number, integer, boolean or category.
    pub kind: FeatureKind,
    /// Lowest allowed.
    pub min: Option<f64>,
    /// Highest allowed.
    pub max: Option<f64>,
    /// The categories; a value's position is its code in the model.
    pub values: Option<Vec<String>>,
    /// `"as_missing"`, or the value that stands in.
    pub missing: toml::Value,
    /// For a net: what explanations compare with, by default the value that stands in.
    pub baseline: Option<toml::Value>,
    /// Strongest action while missing.
    pub at_most: Option<String>,
    /// Weakest action while missing.
    pub at_least: Option<String>,
    /// What the trainer must have constrained: 1, 0, -1.
    pub monotone: Option<i8>,
    /// The model reads it; a feature that it does not read serves segments alone.
    #[serde(default = "yes")]
    pub scored: bool,
    /// How a host logs the value: full, hash, truncate or drop.
    pub log: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// Types of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureKind {
    /// A finite number.
    Number = 0,
    /// A whole number.
    Integer = 1,
    /// True or false.
    Boolean = 2,
    /// One of a list.
    Category = 3,
}

const fn yes() -> bool {
    true
}

impl BundleSource {
    /// Reads `bundle.toml`.
    ///
    /// # Errors
    /// `SOURCE` with line and key, or `IO`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = failure::read_text(path, SOURCE_BYTES)?;
        toml::from_str(&text).map_err(|error| Failure::refused("SOURCE", format!("{}: {error}", path.display())))
    }

    /// The feature of this name.
    ///
    /// # Errors
    /// `SOURCE` naming the feature.
    pub fn feature(&self, name: &str) -> Result<(usize, &FeatureSource)> {
        let found = self.features.iter().enumerate().find(|(_, feature)| feature.name == name);
        found.ok_or_else(|| Failure::refused("SOURCE", format!("no [[features]] entry is called {name:?}")))
    }
}

/// Category names by feature.
pub fn codes_of(features: &[FeatureSource]) -> Codes {
    let listed = features.iter().filter_map(|feature| Some((feature.name.clone(), feature.values.clone()?)));
    listed.collect()
}
