//! LightGBM's text format, versions 2 to 4, read to the bit.
//!
//! Rules checked against LightGBM 4.7 (`src/io/tree.cpp`, `include/LightGBM/tree.h`,
//! `src/boosting/gbdt_model_text.cpp`, `src/c_api.cpp`):
//! - numbers are read with correct rounding, the `sigmoid` parameter is not (see
//!   [`loose_number`]);
//! - input values within 1e-35 (as float) of zero reach the trees as zero;
//! - categories are truncated to integers; NaN, negative and unlisted ones go right;
//! - raw scores of a random forest are sums, only responses are averages.

use super::Names;
use super::forest::{CategorySet, ForestSource, LeafFunction, Node, Split, Test, Tree};
use crate::failure::{Failure, Result};
use std::collections::HashMap;
use std::str::FromStr;
use tollgate_scorer::limits;
use tollgate_scorer::model::Link;
use tollgate_scorer::model::forest::{Aggregate, Input, Missing};

/// Reads a model, or only its first iterations.
///
/// # Errors
/// `MODEL` with line and field at fault, or with the name of what is not supported.
pub fn lightgbm(text: &str, iterations: Option<usize>) -> Result<ForestSource> {
    let mut lines = Lines::new(text);
    let header = Section::read_header(&mut lines)?;
    let outputs = header.number("num_tree_per_iteration").or_else(|_| header.number("num_class"))?;
    let features = header.feature_names()?;
    if outputs == 0 || outputs > limits::OUTPUTS {
        return Err(header.refused("num_tree_per_iteration", format!("{outputs} outputs are not supported")));
    }
    let declared = header.get("tree_sizes").map(|sizes| sizes.split_ascii_whitespace().count());
    let mut trees = Vec::new();
    while let Some(section) = Section::read_tree(&mut lines)? {
        trees.push(tree(&section, features.len())?);
    }
    if declared.is_some_and(|declared| declared != trees.len()) || trees.len() % outputs != 0 {
        let message =
            format!("file is cut short or edited: the header announces {declared:?} trees, {} are there", trees.len());
        return Err(Failure::refused("MODEL", message));
    }
    let rounds = iterations.unwrap_or(usize::MAX).min(trees.len() / outputs);
    trees.truncate(rounds * outputs);
    Ok(ForestSource {
        features,
        names: Names::default(),
        outputs,
        link: link(&header, outputs)?,
        averaged_over: header.get("average_output").map(|_| u32::try_from(rounds.max(1)).unwrap_or(u32::MAX)),
        input: Input::TinyIsZero,
        aggregate: Aggregate::Sum,
        start: Vec::new(),
        offset: Vec::new(),
        trees,
        monotone: header.get("monotone_constraints").map(|_| header.numbers("monotone_constraints")).transpose()?,
    })
}

/// Lines with their numbers, counted from 1.
struct Lines<'t> {
    lines: std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'t>>>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        Self { lines: text.lines().enumerate().peekable() }
    }

    fn peek(&mut self) -> Option<&'t str> {
        self.lines.peek().map(|(_, line)| *line)
    }

    fn next(&mut self) -> Option<(usize, &'t str)> {
        self.lines.next().map(|(index, line)| (index + 1, line))
    }
}

/// Lines `key=value` up to the next tree or blank line.
struct Section<'t> {
    entries: HashMap<&'t str, (usize, &'t str)>,
    line: usize,
}

impl<'t> Section<'t> {
    fn read_header(lines: &mut Lines<'t>) -> Result<Self> {
        let mut section = Self { entries: HashMap::new(), line: 1 };
        while lines.peek().is_some_and(|line| !line.starts_with("Tree=")) {
            if lines.peek() == Some("end of trees") {
                break;
            }
            section.take(lines);
        }
        match section.get("version") {
            None | Some("v2" | "v3" | "v4") => Ok(section),
            Some(version) => Err(section.refused("version", format!("model version {version} is not supported"))),
        }
    }

    fn read_tree(lines: &mut Lines<'t>) -> Result<Option<Self>> {
        while lines.peek().is_some_and(str::is_empty) {
            lines.next();
        }
        if !lines.peek().is_some_and(|line| line.starts_with("Tree=")) {
            return Ok(None);
        }
        let line = lines.next().map_or(0, |(number, _)| number);
        let mut section = Self { entries: HashMap::new(), line };
        while lines.peek().is_some_and(|line| !line.is_empty()) {
            section.take(lines);
        }
        Ok(Some(section))
    }

    fn take(&mut self, lines: &mut Lines<'t>) {
        if let Some((number, line)) = lines.next() {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            self.entries.insert(key, (number, value));
        }
    }

    fn get(&self, key: &str) -> Option<&'t str> {
        self.entries.get(key).map(|(_, value)| *value)
    }

    fn refused(&self, key: &str, what: impl std::fmt::Display) -> Failure {
        let line = self.entries.get(key).map_or(self.line, |(number, _)| *number);
        Failure::refused("MODEL", format!("line {line}, {key}: {what}"))
    }

    fn number<T: FromStr>(&self, key: &str) -> Result<T> {
        let value = self.get(key).ok_or_else(|| self.refused(key, "missing"))?;
        value.trim().parse().map_err(|_| self.refused(key, format!("{value:?} is not the number expected")))
    }

    fn numbers<T: FromStr>(&self, key: &str) -> Result<Vec<T>> {
        let values = self.get(key).unwrap_or_default().split_ascii_whitespace();
        let parsed = values.enumerate().map(|(index, value)| {
            value
                .parse()
                .map_err(|_| self.refused(key, format!("entry {index}, {value:?}, is not the number expected")))
        });
        parsed.collect()
    }

    /// Numbers of which there must be so many.
    fn array<T: FromStr>(&self, key: &str, count: usize) -> Result<Vec<T>> {
        let values = self.numbers(key)?;
        if values.len() == count {
            return Ok(values);
        }
        Err(self.refused(key, format!("{} entries where {count} belong", values.len())))
    }

    fn feature_names(&self) -> Result<Vec<String>> {
        let highest: usize = self.number("max_feature_idx")?;
        let names = self.get("feature_names").ok_or_else(|| self.refused("feature_names", "missing"))?;
        let names: Vec<String> = names.split(' ').filter(|name| !name.is_empty()).map(String::from).collect();
        if highest.checked_add(1) != Some(names.len()) || names.len() > limits::FEATURES {
            let what = format!(
                "{} names, max_feature_idx says {}, at most {} are supported",
                names.len(),
                highest,
                limits::FEATURES
            );
            return Err(self.refused("feature_names", what));
        }
        Ok(names)
    }
}

/// The objective's link. Names and aliases as LightGBM's loader takes them.
fn link(header: &Section<'_>, outputs: usize) -> Result<Link> {
    let Some(objective) = header.get("objective") else { return Ok(Link::Identity) };
    let mut words = objective.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    let plain = if words.contains(&"sqrt") { Link::SignedSquare } else { Link::Identity };
    let link = match name {
        "regression"
        | "regression_l2"
        | "l2"
        | "mean_squared_error"
        | "mse"
        | "l2_root"
        | "root_mean_squared_error"
        | "rmse"
        | "regression_l1"
        | "l1"
        | "mean_absolute_error"
        | "mae"
        | "fair"
        | "quantile"
        | "mape"
        | "mean_absolute_percentage_error" => plain,
        "huber" | "lambdarank" | "rank_xendcg" | "xendcg" | "xe_ndcg" | "xe_ndcg_mart" | "xendcg_mart" | "none"
        | "null" | "custom" | "na" => Link::Identity,
        "poisson" | "gamma" | "tweedie" => Link::Exp,
        "binary" | "multiclassova" | "multiclass_ova" | "ova" | "ovr" => {
            Link::Logistic { slope: sigmoid(header, &words)? }
        }
        "cross_entropy" | "xentropy" => Link::Logistic { slope: 1.0 },
        "cross_entropy_lambda" | "xentlambda" => Link::SoftPlus,
        "multiclass" | "softmax" => Link::Softmax,
        other => return Err(header.refused("objective", format!("objective {other:?} is not supported"))),
    };
    match link {
        Link::Softmax if outputs == 1 => Err(header.refused("objective", "multiclass with one output")),
        link => Ok(link),
    }
}

/// The `sigmoid` parameter of an objective, 1 without.
fn sigmoid(header: &Section<'_>, words: &[&str]) -> Result<f64> {
    let given = words.iter().find_map(|word| word.strip_prefix("sigmoid:")).map(loose_number);
    let slope = given.unwrap_or(Some(1.0)).filter(|slope| *slope > 0.0 && slope.is_finite());
    slope.ok_or_else(|| header.refused("objective", "sigmoid is not a positive number"))
}

/// A number as LightGBM's quick parser reads it: digits before the point plus digits
/// after it over a power of ten, which is not always the nearest double.
fn loose_number(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    if exponent != "0" {
        return text.parse().ok();
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |digits: &str| digits.chars().try_fold(0.0, |sum, c| Some(sum * 10.0 + f64::from(c.to_digit(10)?)));
    let scale = fraction.chars().fold(1.0, |scale, _| scale * 10.0);
    Some(digits(whole)? + digits(fraction)? / scale)
}

fn tree(section: &Section<'_>, features: usize) -> Result<Tree> {
    let leaves: usize = section.number("num_leaves")?;
    if leaves == 0 || leaves > limits::LEAVES_PER_TREE {
        return Err(section.refused("num_leaves", format!("{leaves} leaves are not supported")));
    }
    let parts = Parts::read(section, leaves)?;
    let mut nodes = Vec::with_capacity(2 * leaves);
    // LightGBM numbers splits from 0 and leaf n as -n-1; each must be met once.
    let root = if leaves == 1 { -1 } else { 0 };
    let mut waiting = vec![(root, None)];
    let mut met = vec![false; 2 * leaves];
    while let Some((child, parent)) = waiting.pop() {
        let place = usize::try_from(child).unwrap_or_else(|_| leaves + (-1 - child) as usize);
        let fresh = met.get_mut(place).filter(|met| !**met && (child < 0 || place < leaves - 1));
        let refused = || section.refused("left_child", format!("child {child} does not exist or has two parents"));
        *fresh.ok_or_else(refused)? = true;
        link_to_parent(&mut nodes, parent);
        if child < 0 {
            nodes.push(parts.leaf((-1 - child) as usize, section, features)?);
        } else {
            let (split, left, right) = parts.split(child as usize, section, features)?;
            let at = nodes.len();
            nodes.push(Node::Split(split));
            waiting.extend([(right, Some((at, false))), (left, Some((at, true)))]);
        }
    }
    if nodes.len() == 2 * leaves - 1 {
        Ok(Tree { nodes })
    } else {
        Err(section.refused("left_child", "some nodes have no parent"))
    }
}

/// Tells a parent that its child comes next.
fn link_to_parent(nodes: &mut [Node], parent: Option<(usize, bool)>) {
    let next = nodes.len();
    if let Some((at, is_left)) = parent
        && let Some(Node::Split(split)) = nodes.get_mut(at)
    {
        *if is_left { &mut split.left } else { &mut split.right } = next;
    }
}

/// The arrays of one tree.
struct Parts {
    left: Vec<i64>,
    right: Vec<i64>,
    feature: Vec<usize>,
    threshold: Vec<f64>,
    decision: Vec<i8>,
    boundaries: Vec<usize>,
    bits: Vec<u32>,
    value: Vec<f64>,
    /// Training rows per leaf; empty where the file does not tell.
    count: Vec<f64>,
    functions: Option<Vec<LeafFunction>>,
}

impl Parts {
    fn read(section: &Section<'_>, leaves: usize) -> Result<Self> {
        let splits = leaves - 1;
        let categories: usize = section.number("num_cat")?;
        if categories > splits {
            return Err(section.refused("num_cat", format!("{categories} category sets in a tree of {splits} splits")));
        }
        let has_decisions = section.get("decision_type").is_some();
        let has_sets = categories > 0;
        let boundaries = if has_sets { section.array("cat_boundaries", categories + 1)? } else { Vec::new() };
        let bits = boundaries.last().copied().unwrap_or(0);
        let is_linear = section.get("is_linear").is_some_and(|flag| flag.trim() != "0");
        Ok(Self {
            left: section.array("left_child", splits)?,
            right: section.array("right_child", splits)?,
            feature: section.array("split_feature", splits)?,
            threshold: section.array("threshold", splits)?,
            decision: if has_decisions { section.array("decision_type", splits)? } else { vec![0; splits] },
            bits: if has_sets { section.array("cat_threshold", bits)? } else { Vec::new() },
            boundaries,
            value: section.array("leaf_value", leaves)?,
            count: match section.get("leaf_count") {
                Some(counts) if !counts.trim().is_empty() => section.array("leaf_count", leaves)?,
                _ => Vec::new(),
            },
            functions: if is_linear { Some(functions(section, leaves)?) } else { None },
        })
    }

    fn split(&self, index: usize, section: &Section<'_>, features: usize) -> Result<(Split, i64, i64)> {
        let missing = || section.refused("split_feature", format!("split {index} does not exist"));
        let feature = *self.feature.get(index).ok_or_else(missing)?;
        if feature >= features {
            return Err(section.refused("split_feature", format!("feature {feature} does not exist")));
        }
        let decision = self.decision.get(index).copied().unwrap_or_default();
        let threshold = self.threshold.get(index).copied().unwrap_or(f64::NAN);
        let test = if decision & 1 == 1 {
            Test::In { set: self.set(threshold, section)?, missing_left: false }
        } else if threshold.is_nan() {
            return Err(section.refused("threshold", format!("threshold {index} is not a number")));
        } else {
            let missing = match decision >> 2 & 3 {
                0 => Missing::IsZero,
                1 => Missing::ZeroOrNan,
                2 => Missing::Nan,
                _ => return Err(section.refused("decision_type", format!("missing type of split {index} is unknown"))),
            };
            Test::AtMost { threshold, missing, default_left: decision & 2 == 2 }
        };
        let [left, right] = [&self.left, &self.right].map(|children| children.get(index).copied().unwrap_or_default());
        Ok((Split { feature, test, left: 0, right: 0 }, left, right))
    }

    /// The category set that a split's "threshold" is the number of.
    fn set(&self, number: f64, section: &Section<'_>) -> Result<CategorySet> {
        let refused = || section.refused("cat_boundaries", format!("category set {number} does not exist"));
        let bounds = self.boundaries.windows(2).nth(number as usize);
        let words = bounds.and_then(|bounds| self.bits.get(bounds[0]..bounds[1])).ok_or_else(refused)?;
        let bits = words.iter().enumerate().flat_map(|(index, word)| {
            (0..32).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index as u32 * 32 + bit)
        });
        Ok(bits.collect())
    }

    fn leaf(&self, number: usize, section: &Section<'_>, features: usize) -> Result<Node> {
        let value = self.value.get(number).copied().filter(|value| value.is_finite());
        let value =
            value.ok_or_else(|| section.refused("leaf_value", format!("leaf {number} is missing or not finite")))?;
        let function = self.functions.as_ref().and_then(|functions| functions.get(number)).cloned();
        let known = |function: &LeafFunction| function.terms.iter().all(|(feature, _)| *feature < features);
        if function.as_ref().is_some_and(|function| !known(function)) {
            return Err(section.refused("leaf_features", format!("leaf {number} uses a feature that does not exist")));
        }
        let cover = self.count.get(number).copied();
        Ok(Node::Leaf { value, number, function, cover })
    }
}

/// The linear functions of a linear tree's leaves.
fn functions(section: &Section<'_>, leaves: usize) -> Result<Vec<LeafFunction>> {
    let constants: Vec<f64> = section.array("leaf_const", leaves)?;
    let counts: Vec<usize> = match section.get("num_features") {
        Some(counts) if !counts.trim().is_empty() => section.array("num_features", leaves)?,
        _ => vec![0; leaves],
    };
    let total = counts.iter().fold(0usize, |sum, count| sum.saturating_add(*count));
    let features: Vec<usize> = section.array("leaf_features", total)?;
    let weights: Vec<f64> = section.array("leaf_coeff", total)?;
    let mut terms = features.into_iter().zip(weights);
    let finite = constants.iter().all(|constant| constant.is_finite());
    if !finite {
        return Err(section.refused("leaf_const", "not finite"));
    }
    Ok(constants
        .into_iter()
        .zip(counts)
        .map(|(constant, count)| LeafFunction { constant, terms: terms.by_ref().take(count).collect() })
        .collect())
}
