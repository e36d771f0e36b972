//! The three tree operators: which scores they give, as ONNX Runtime has it.

use super::ensemble::{Ensemble, Ground, Place, Together};
use super::op::Op;
use super::scores::{Score, Scores};
use super::trees_v3::{self, Parsed};
use super::trees_v5;
use crate::failure::Result;
use crate::import::{ForestSource, Source};
use tollgate_scorer::model::Link;

/// TreeEnsembleRegressor.
pub(super) fn regressor(op: &Op<'_>, ground: &Ground<'_>) -> Result<Scores> {
    let targets = usize::try_from(op.int("n_targets", 1)).map_err(|_| op.wrong("n_targets", "is negative"))?;
    let parsed = trees_v3::read(op, "target", targets)?;
    check_precision(op, ground, &parsed)?;
    let forest = parsed.ensemble.forest(op, ground, trees_v3::together(op)?)?;
    scored(op, forest, &op.text("post_transform", "NONE"))
}

/// TreeEnsemble.
pub(super) fn ensemble(op: &Op<'_>, ground: &Ground<'_>) -> Result<Scores> {
    let parsed = trees_v5::read(op)?;
    check_precision(op, ground, &parsed)?;
    let forest = parsed.ensemble.forest(op, ground, trees_v5::together(op)?)?;
    scored(op, forest, trees_v5::post(op)?)
}

/// TreeEnsembleClassifier.
pub(super) fn classifier(op: &Op<'_>, ground: &Ground<'_>) -> Result<Scores> {
    let classes = op.ints("classlabels_int64s").len().max(op.strings("classlabels_strings").len());
    let parsed = trees_v3::read(op, "class", classes)?;
    check_precision(op, ground, &parsed)?;
    let mut ensemble = parsed.ensemble;
    let post = op.text("post_transform", "NONE");
    if classes != 2 {
        let forest = ensemble.forest(op, ground, Together::Sum)?;
        return scored(op, forest, &post);
    }
    if weights(&ensemble).all(|(target, _)| target == 0) {
        return one_column(op, ground, ensemble, &post);
    }
    if !ensemble.base.is_empty() {
        let message = "with weights for both of two classes ONNX Runtime ignores some of them; leave base_values out";
        return Err(op.wrong("base_values", message));
    }
    if post == "NONE" && adds_up_to_one(&ensemble) {
        keep_second(&mut ensemble);
        let forest = ensemble.forest(op, ground, Together::Sum)?;
        return Ok(Scores::pair(Source::Forest(forest), Score::Complement(0)));
    }
    let forest = ensemble.forest(op, ground, Together::Sum)?;
    scored(op, forest, &post)
}

/// Two classes whose weights all stand in one column: the column scores the second class.
fn one_column(op: &Op<'_>, ground: &Ground<'_>, mut ensemble: Ensemble, post: &str) -> Result<Scores> {
    if ensemble.base.len() > 1 {
        let message =
            "one column of weights takes one base value; ONNX Runtime does not treat two as a model means them";
        return Err(op.wrong("base_values", message));
    }
    let positive = weights(&ensemble).all(|(_, weight)| weight >= 0.0);
    ensemble.targets = 1;
    let mut forest = ensemble.forest(op, ground, Together::Sum)?;
    let other = match link(op, post)? {
        Link::Probit => return Err(op.wrong("post_transform", "PROBIT of two classes in one column is not supported")),
        link @ Link::Logistic { .. } => {
            forest.link = link;
            Score::Complement(0)
        }
        // Softmax is not applied to a single column, whatever the attribute says.
        _ if positive => Score::Complement(0),
        _ => Score::Negative(0),
    };
    Ok(Scores::pair(Source::Forest(forest), other))
}

/// All targets, through the post transform; for a single target ONNX Runtime applies none
/// but PROBIT.
pub(super) fn scored(op: &Op<'_>, mut forest: ForestSource, post: &str) -> Result<Scores> {
    forest.link = link_for(op, post, forest.outputs)?;
    Ok(Scores::all(Source::Forest(forest)))
}

/// The link of a model with so many outputs.
pub(super) fn link_for(op: &Op<'_>, post: &str, outputs: usize) -> Result<Link> {
    match link(op, post)? {
        Link::Probit => Ok(Link::Probit),
        _ if outputs == 1 => Ok(Link::Identity),
        link => Ok(link),
    }
}

/// The link of a post transform.
pub(super) fn link(op: &Op<'_>, post: &str) -> Result<Link> {
    match post {
        "NONE" => Ok(Link::Identity),
        "LOGISTIC" => Ok(Link::Logistic { slope: 1.0 }),
        "SOFTMAX" => Ok(Link::Softmax),
        "SOFTMAX_ZERO" => Ok(Link::SoftmaxZero),
        "PROBIT" => Ok(Link::Probit),
        other => Err(op.wrong("post_transform", format!("{other:?} is not supported"))),
    }
}

fn check_precision(op: &Op<'_>, ground: &Ground<'_>, parsed: &Parsed) -> Result<()> {
    if parsed.double && !ground.double {
        return Err(op.refused("has double thresholds or weights but reads float values; give the graph double inputs"));
    }
    Ok(())
}

fn weights(ensemble: &Ensemble) -> impl Iterator<Item = (usize, f64)> {
    ensemble.leaves.iter().flat_map(|leaf| leaf.weights.iter().copied())
}

/// Whether the two scores of every row add up to one: every leaf gives two weights, with
/// one sum in a tree, and the sums of the trees add up to one.
fn adds_up_to_one(ensemble: &Ensemble) -> bool {
    const ROUNDING: f64 = 1e-5;
    let mut total = 0.0;
    for root in &ensemble.roots {
        let mut share = None;
        let mut seen = std::collections::HashSet::new();
        let mut waiting = vec![*root];
        while let Some(place) = waiting.pop() {
            match place {
                Place::Leaf(index) => {
                    let weights = ensemble.leaves.get(index).map_or(&[][..], |leaf| &leaf.weights);
                    let sum: f64 = weights.iter().map(|weight| weight.1).sum();
                    let first = *share.get_or_insert(sum);
                    if (sum - first).abs() > ROUNDING * first.abs() {
                        return false;
                    }
                }
                Place::Branch(index) if seen.insert(index) => {
                    if let Some(branch) = ensemble.branches.get(index) {
                        waiting.extend([branch.yes, branch.no]);
                    }
                }
                Place::Branch(_) => {}
            }
        }
        total += share.unwrap_or(0.0);
    }
    (total - 1.0).abs() <= ROUNDING
}

fn keep_second(ensemble: &mut Ensemble) {
    ensemble.targets = 1;
    for leaf in &mut ensemble.leaves {
        leaf.weights.retain(|weight| weight.0 == 1);
        leaf.weights.iter_mut().for_each(|weight| weight.0 = 0);
    }
}
