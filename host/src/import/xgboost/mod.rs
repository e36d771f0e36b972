//! XGBoost's model files, JSON and UBJSON, of versions 1.0 to 3.4, margins to the bit.
//!
//! Rules found by experiment with XGBoost 3.2; those of 1.3 to 3.1 agree but for what is
//! said here, and 3.3.0 and 3.4.1 agree with 3.2 on their own files over the same grid:
//! - inputs are rounded to single precision, then compared by `<`; NaN takes the default
//!   side; infinities and numbers too large for a single are compared as infinities;
//! - leaves are added in single precision to the base margin, tree after tree; those of
//!   DART are multiplied by their tree's weight first (predicted in place, as
//!   scikit-learn's interface does it, DART adds in another order: a last bit may differ);
//! - a category is the value without its fraction; one of the split's set goes right, any
//!   other left: also negative ones (-0.5 is not category 0) and those from 2^24 on;
//! - `base_score` is a probability for logistic objectives, kept 1e-6 away from 0 and 1
//!   (not so before 3.2), a mean where the link is exp, and a margin everywhere else, also
//!   for `binary:logitraw` (not so before 1.3, whose models of it are refused);
//! - before 1.3 the base margin was added after the leaves, so such a model's trainer and
//!   any later XGBoost, and we with it, differ in the last bit;
//! - a linear booster gives every output the base score of the first.
//!
//! Inputs of categorical features are codes: positions in the list of categories that the
//! model was trained with (`cats` since 3.1, which tells the categories of a data frame).
//! The list itself is not needed to score codes. All rounds count unless `iterations` says
//! otherwise: the attribute `best_iteration`, which scikit-learn's interface applies on its
//! own, is `iterations` minus one.

mod booster;
mod json;
mod objective;
mod tree;
mod ubjson;
mod value;

use super::Source;
use crate::failure::{Failure, Result};
use objective::Objective;
use tollgate_scorer::limits;
use value::{At, index};

/// How to come by a file that we read.
pub(super) const CONVERT: &str = "XGBoost's old binary format (.model, .bin) is not supported: \
    load the file into XGBoost 3.0 or older and save_model(\"model.json\")";

/// Reads a model, or only its first boosting rounds.
///
/// # Errors
/// `MODEL` with the path in the document and what is wrong there, or the name of what is
/// not supported; `LIMIT`.
pub fn xgboost(bytes: &[u8], iterations: Option<usize>) -> Result<Source> {
    let document = match layout(bytes) {
        Some(Layout::Json) => json::read(bytes)?,
        Some(Layout::Ubjson) => ubjson::read(bytes)?,
        None => return Err(Failure::refused("MODEL", CONVERT)),
    };
    let root = At::root(&document);
    let version = version(&root)?;
    let at = root.get("learner")?;
    let learner = Learner::read(&at, version)?;
    let booster = at.get("gradient_booster")?;
    let name = booster.get("name")?;
    match name.text()? {
        "gbtree" | "dart" => booster::forest(&booster, learner, iterations).map(Source::Forest),
        "gblinear" if iterations.is_some() => Err(Failure::usage("XGBoost's linear booster has no iterations")),
        "gblinear" => booster::linear(&booster, learner).map(Source::Linear),
        other => Err(name.refused(format!("booster {other:?} is not supported"))),
    }
}

/// Whether a file may be one of XGBoost's: an object in JSON or UBJSON, or the old binary
/// format, which is refused by name.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    layout(bytes).is_some() || bytes.starts_with(b"binf") || bytes.starts_with(b"bs64")
}

/// How a document is written.
enum Layout {
    Json,
    Ubjson,
}

fn layout(bytes: &[u8]) -> Option<Layout> {
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
    match bytes.get(start..)? {
        [b'{', second, ..] if second.is_ascii_whitespace() || b"\"}".contains(second) => Some(Layout::Json),
        [b'{', ..] if start == 0 => Some(Layout::Ubjson),
        _ => None,
    }
}

/// The version that wrote a document, 3.4 where it does not say; none newer than we know.
fn version(root: &At<'_>) -> Result<Version> {
    let Some(at) = root.optional("version") else { return Ok((3, 4)) };
    let part = |number: Option<&f64>| number.copied().and_then(index).unwrap_or_default();
    let numbers = at.numbers()?;
    match (part(numbers.first()), part(numbers.get(1))) {
        (major @ 4.., _) => Err(at.refused(format!("XGBoost {major} is newer than what we know, 3.4"))),
        version => Ok(version),
    }
}

/// Major and minor number.
type Version = (usize, usize);

/// What holds for every booster.
struct Learner {
    /// Names, in model order.
    features: Vec<String>,
    objective: Objective,
    /// Per output, the margin before the first tree.
    margins: Vec<f32>,
}

impl Learner {
    fn read(at: &At<'_>, version: Version) -> Result<Self> {
        let parameters = at.get("learner_model_param")?;
        let count: usize = parameters.get("num_feature")?.parameter()?;
        if count == 0 || count > limits::FEATURES {
            let what = format!("num_feature: {count} features, 1 to {} are supported", limits::FEATURES);
            return Err(parameters.refused(what));
        }
        let outputs = outputs(&parameters)?;
        let objective = objective::objective(at, outputs, version)?;
        let margins = objective.margins(&parameters, outputs)?;
        Ok(Self { features: feature_names(at, count)?, objective, margins })
    }
}

/// Classes or targets; a model has one kind only.
fn outputs(parameters: &At<'_>) -> Result<usize> {
    let number = |name| parameters.optional(name).map_or(Ok(1), |at| at.parameter::<usize>());
    let (classes, targets) = (number("num_class")?.max(1), number("num_target")?.max(1));
    let outputs = classes.max(targets);
    if classes > 1 && targets > 1 {
        return Err(parameters.refused("num_class, num_target: several targets of several classes are not supported"));
    }
    if outputs > limits::OUTPUTS {
        return Err(parameters.refused(format!("{outputs} outputs, at most {} are supported", limits::OUTPUTS)));
    }
    Ok(outputs)
}

/// The features' names; without any they are called f0, f1, ..., as XGBoost calls them.
fn feature_names(learner: &At<'_>, count: usize) -> Result<Vec<String>> {
    let names = learner.optional("feature_names").map(|at| at.list()).transpose()?.unwrap_or_default();
    if names.is_empty() {
        return Ok((0..count).map(|feature| format!("f{feature}")).collect());
    }
    if names.len() != count {
        let what = format!("feature_names: {} names for {count} features", names.len());
        return Err(learner.refused(what));
    }
    names.iter().map(|name| name.text().map(String::from)).collect()
}
