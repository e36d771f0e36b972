//! Linear operators. Scalers before them fold into weights and intercepts; one-hot and
//! imputed columns make them sums of small trees with linear leaves.

use super::column::{Column, Kind, Step};
use super::ensemble::{Ground, present};
use super::op::{Constant, Op};
use super::region::{Mode, Region};
use super::scores::{Score, Scores};
use super::trees;
use crate::failure::Result;
use crate::import::{ForestSource, LeafFunction, LinearSource, Names, Node, Source, Split, Test, Tree};
use tollgate_scorer::limits;
use tollgate_scorer::model::Link;
use tollgate_scorer::model::forest::{Aggregate, Missing};

/// Infinite in single precision, finite in double as leaves must be.
const BEYOND_SINGLE: f64 = 1e300;

/// Values that a column of categories may have.
const OUTCOMES: usize = limits::CATEGORIES;

/// LinearRegressor.
pub(super) fn regressor(op: &Op<'_>, ground: &Ground<'_>) -> Result<Scores> {
    let targets = usize::try_from(op.int("targets", 1)).map_err(|_| op.wrong("targets", "is negative"))?;
    let mut intercepts = op.floats("intercepts");
    if intercepts.is_empty() {
        intercepts = vec![0.0; targets.min(limits::OUTPUTS + 1)];
    }
    op.length("intercepts", intercepts.len(), targets)?;
    let link = trees::link_for(op, &op.text("post_transform", "NONE"), targets)?;
    Ok(Scores::all(model(op, ground, "coefficients", op.floats("coefficients"), intercepts, link)?))
}

/// LinearClassifier.
pub(super) fn classifier(op: &Op<'_>, ground: &Ground<'_>) -> Result<Scores> {
    let (mut weights, mut intercepts) = (op.floats("coefficients"), op.floats("intercepts"));
    let classes = op.ints("classlabels_ints").len().max(op.strings("classlabels_strings").len());
    let post = trees::link(op, &op.text("post_transform", "NONE"))?;
    if intercepts.len() != classes && (intercepts.len(), classes) != (1, 2) {
        return Err(op.wrong("intercepts", format!("has {} entries for {classes} classes", intercepts.len())));
    }
    if let Some((weight, intercept)) = opposite(&weights, &intercepts)
        && let Some(slope) = two_class_slope(post)
    {
        (weights, intercepts) = (weight, vec![intercept]);
        let link = Link::Logistic { slope };
        return Ok(Scores::pair(model(op, ground, "coefficients", weights, intercepts, link)?, Score::Complement(0)));
    }
    if intercepts.len() > 1 {
        return Ok(Scores::all(model(op, ground, "coefficients", weights, intercepts, post)?));
    }
    // One row for two classes: softmax is not applied, whatever the attribute says.
    let link = match post {
        Link::Logistic { .. } => post,
        Link::Probit => return Err(op.wrong("post_transform", "PROBIT of one row for two classes is not supported")),
        _ => Link::Identity,
    };
    Ok(Scores::pair(model(op, ground, "coefficients", weights, intercepts, link)?, Score::Complement(0)))
}

/// A product with a constant matrix, one column an output.
pub(super) fn product(op: &Op<'_>, ground: &Ground<'_>, matrix: &Constant, transposed: bool) -> Result<Scores> {
    let (rows, columns) = match matrix.dims.as_slice() {
        [rows] => (*rows, 1),
        [rows, columns] if transposed => (*columns, *rows),
        [rows, columns] => (*rows, *columns),
        _ => return Err(op.refused("multiplies by a constant that is no matrix")),
    };
    let width = if transposed { 1 } else { columns };
    let (down, across) = if transposed { (1, rows) } else { (width, 1) };
    let at = |output: usize, row: usize| matrix.values.get(row * down + output * across).copied();
    let weights = (0..columns).flat_map(|output| (0..rows).map(move |row| at(output, row)));
    let weights = weights.collect::<Option<Vec<f64>>>().ok_or_else(|| op.refused("its matrix is cut short"))?;
    Ok(Scores::all(model(op, ground, "matrix", weights, vec![0.0; columns], Link::Identity)?))
}

/// The second row, where the first is its opposite.
fn opposite(weights: &[f64], intercepts: &[f64]) -> Option<(Vec<f64>, f64)> {
    let [first, second] = intercepts else { return None };
    let (one, two) = weights.split_at_checked(weights.len() / 2)?;
    let turned = one.len() == two.len() && one.iter().zip(two).all(|(a, b)| *a == -*b) && *first == -*second;
    turned.then(|| (two.to_vec(), *second))
}

/// The slope at which a logistic of the second score is the second class's response, where
/// the first score is its opposite.
fn two_class_slope(post: Link) -> Option<f64> {
    match post {
        Link::Logistic { slope } => Some(slope),
        Link::Softmax => Some(2.0),
        _ => None,
    }
}

fn model(
    op: &Op<'_>,
    ground: &Ground<'_>,
    attribute: &str,
    weights: Vec<f64>,
    intercepts: Vec<f64>,
    link: Link,
) -> Result<Source> {
    let (outputs, columns) = (intercepts.len(), ground.columns.len());
    if outputs == 0 || outputs > limits::OUTPUTS {
        return Err(op.refused(format!("{outputs} outputs; 1 to {} are supported", limits::OUTPUTS)));
    }
    op.length(attribute, weights.len(), outputs * columns)?;
    if !weights.iter().chain(&intercepts).all(|number| number.is_finite()) {
        return Err(op.wrong(attribute, "has a number that is not finite"));
    }
    let lines: Option<Vec<(f64, f64)>> = ground.columns.iter().map(Column::affine).collect();
    match lines {
        Some(lines) => Ok(Source::Linear(folded(ground, &lines, &weights, intercepts, link))),
        None => additive(op, ground, &weights, intercepts, link).map(Source::Forest),
    }
}

fn folded(
    ground: &Ground<'_>,
    lines: &[(f64, f64)],
    weights: &[f64],
    mut intercepts: Vec<f64>,
    link: Link,
) -> LinearSource {
    let width = ground.names.len();
    let mut folded = vec![0.0; width * intercepts.len()];
    let rows = weights.chunks(lines.len().max(1)).zip(folded.chunks_mut(width.max(1))).zip(&mut intercepts);
    for ((row, folded), intercept) in rows {
        for ((weight, (factor, constant)), column) in row.iter().zip(lines).zip(ground.columns) {
            if let Some(slot) = folded.get_mut(column.feature) {
                *slot += weight * factor;
            }
            *intercept += weight * constant;
        }
    }
    let plain = ground.columns.iter().all(|column| column.steps.is_empty() && column.kind == Kind::Single);
    LinearSource {
        features: ground.names.to_vec(),
        names: Names::default(),
        weights: folded,
        intercepts,
        link,
        single: plain,
        skip_missing: false,
        means: Vec::new(),
    }
}

/// One small tree a column and output, whose leaves are constants or linear in the feature.
fn additive(
    op: &Op<'_>,
    ground: &Ground<'_>,
    weights: &[f64],
    intercepts: Vec<f64>,
    link: Link,
) -> Result<ForestSource> {
    let outputs = intercepts.len();
    // A column may need two trees an output.
    if ground.columns.len().saturating_mul(2 * outputs) > limits::TREES {
        return Err(op.refused("has too many one-hot columns for its outputs"));
    }
    let mut trees = Vec::new();
    for (index, column) in ground.columns.iter().enumerate() {
        let pieces = pieces(op, column)?;
        let mut later = Vec::new();
        for row in weights.chunks(ground.columns.len().max(1)) {
            let weight = row.get(index).copied().unwrap_or(0.0);
            let (tree, second) = pieces.trees(column.feature, weight);
            trees.push(tree);
            later.extend(second);
        }
        trees.extend(later);
    }
    Ok(ForestSource {
        features: ground.names.to_vec(),
        names: Names::default(),
        outputs,
        link,
        averaged_over: None,
        input: ground.input,
        aggregate: Aggregate::SingleSum,
        start: intercepts,
        offset: Vec::new(),
        trees,
        monotone: None,
    })
}

/// A column as a function of its feature.
enum Pieces {
    /// A line, and what a missing value becomes.
    Line { factor: f64, constant: f64, missing: f64 },
    /// Constants, each behind the tests that lead to it; then one for the rest.
    Steps { tests: Vec<(Test, f64)>, rest: f64 },
}

fn pieces(op: &Op<'_>, column: &Column) -> Result<Pieces> {
    let fold = |steps: &[Step]| Column { steps: steps.to_vec(), ..column.clone() }.affine();
    let missing = column.value(f64::NAN);
    let last =
        column.steps.iter().rposition(|step| matches!(step, Step::Map { .. } | Step::Above(_) | Step::Stairs { .. }));
    let Some(last) = last else {
        let kept: Vec<Step> = column.steps.iter().filter(|step| !fills_missing(step)).cloned().collect();
        let line = fold(&kept).ok_or_else(|| op.refused("reads a column that is clipped, truncated or has a number replaced; only scaling, imputing of missing values and one-hot columns are supported before a linear model"))?;
        return Ok(Pieces::Line { factor: line.0, constant: line.1, missing });
    };
    let (before, after) = column.steps.split_at_checked(last + 1).unwrap_or_default();
    let outcomes = match before.last() {
        Some(Step::Map { pairs, nan, .. }) => pairs.iter().map(|pair| pair.1).chain([*nan]).collect::<Vec<f64>>(),
        Some(Step::Stairs { values, nan, .. }) => values.iter().copied().chain([*nan]).collect(),
        _ => vec![1.0],
    };
    let rest = match before.last() {
        Some(Step::Map { other, .. }) => *other,
        Some(Step::Stairs { values, .. }) => values.first().copied().unwrap_or_default(),
        _ => 0.0,
    };
    let mut distinct: Vec<f64> = outcomes.into_iter().filter(|outcome| *outcome != rest).collect();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    if distinct.len() > OUTCOMES {
        return Err(op.refused(format!("a column has {} values, more than {OUTCOMES}", distinct.len())));
    }
    let mapped = Column { steps: before.to_vec(), ..column.clone() };
    let end = |outcome: f64| after.iter().fold(outcome, |x, step| step.apply(x));
    let region = |outcome: &f64| (*outcome, Region::of(&Mode::Equal, *outcome, false, &mapped));
    let regions: Vec<(f64, Region)> = distinct.iter().map(region).collect();
    Ok(listed(&mapped, &regions, end, rest).unwrap_or_else(|| by_cuts(&mapped, &regions, end)))
}

/// One list of numbers for each outcome, where all are such lists.
fn listed(mapped: &Column, regions: &[(f64, Region)], end: impl Fn(f64) -> f64, rest: f64) -> Option<Pieces> {
    let mut tests = Vec::new();
    for (outcome, region) in regions {
        match region.chain(mapped).tests.as_slice() {
            [(test @ Test::OneOf { .. }, true)] => tests.push((test.clone(), end(*outcome))),
            _ => return None,
        }
    }
    Some(Pieces::Steps { tests, rest: end(rest) })
}

/// The value between any two places where some outcome begins or ends.
fn by_cuts(mapped: &Column, regions: &[(f64, Region)], end: impl Fn(f64) -> f64) -> Pieces {
    let value = |x: f64| end(mapped.value(x));
    let mut cuts: Vec<f64> = regions.iter().flat_map(|(_, region)| region.cuts()).copied().collect();
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    let is_missing = Test::OneOf { numbers: vec![], missing_left: true };
    let at_most = |cut: f64| Test::AtMost { threshold: cut, missing: Missing::Nan, default_left: false };
    let mut tests = vec![(is_missing, value(f64::NAN))];
    tests.extend(cuts.into_iter().map(|cut| (at_most(cut), value(cut))));
    Pieces::Steps { tests, rest: value(f64::INFINITY) }
}

fn fills_missing(step: &Step) -> bool {
    matches!(step, Step::Fill { missing, .. } if missing.is_nan())
}

impl Pieces {
    /// The tree of a column for one output, and a second one where a missing value must
    /// make the score NaN: no leaf may be NaN, but infinity less infinity is.
    fn trees(&self, feature: usize, weight: f64) -> (Tree, Option<Tree>) {
        match self {
            Self::Steps { tests, rest } => {
                let tests = tests.iter().map(|(test, value)| (test.clone(), constant(weight * value)));
                (chain(feature, tests.collect(), constant(weight * rest)), None)
            }
            Self::Line { factor, constant: shift, missing } => {
                let terms = vec![(feature, weight * factor)];
                let function = LeafFunction { constant: weight * shift, terms };
                let line = Node::Leaf { value: 0.0, number: 0, function: Some(function), cover: None };
                if !missing.is_nan() {
                    return (chain(feature, vec![(present(), line)], constant(weight * missing)), None);
                }
                let second = chain(feature, vec![(present(), constant(-0.0))], constant(-BEYOND_SINGLE));
                (chain(feature, vec![(present(), line)], constant(BEYOND_SINGLE)), Some(second))
            }
        }
    }
}

fn constant(value: f64) -> Node {
    Node::Leaf { value, number: 0, function: None, cover: None }
}

/// A tree that makes one test after the other.
fn chain(feature: usize, tests: Vec<(Test, Node)>, last: Node) -> Tree {
    let mut nodes = Vec::with_capacity(2 * tests.len() + 1);
    for (test, leaf) in tests {
        let place = nodes.len();
        nodes.push(Node::Split(Split { feature, test, left: place + 1, right: place + 2 }));
        nodes.push(leaf);
    }
    nodes.push(last);
    Tree { nodes }
}
