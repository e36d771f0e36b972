//! Imported models to model parts.

use super::net::{graph_part, net_part};
use super::sign::{PartSource, encode};
use crate::failure::{Failure, Result};
use crate::import::{CategorySet, ForestSource, LeafFunction, LinearSource, Node, Source, Split, Test, Tree};
use minicbor::bytes::ByteSlice;
use std::collections::BTreeMap;
use tollgate_scorer::bundle::Role;
use tollgate_scorer::limits;
use tollgate_scorer::model::forest::{CoverWire, ForestWire, LEAF, LinearLeavesWire, Missing, RuleWire};
use tollgate_scorer::model::{LinearWire, ONNX};

/// Encodes a model; `risk` names the risky outputs of a model with several.
///
/// # Errors
/// `MODEL` or `LIMIT` for what a bundle cannot hold.
pub fn model_part(source: &Source, risk: &[u32]) -> Result<PartSource> {
    match source {
        Source::Forest(forest) => {
            Ok(PartSource { role: Role::Model, format: "forest/1", bytes: Encoder::new(forest)?.encode(risk)? })
        }
        Source::Linear(linear) => {
            Ok(PartSource { role: Role::Model, format: "linear/1", bytes: linear_part(linear, risk)? })
        }
        Source::Net(net) => Ok(PartSource { role: Role::Model, format: "layers/1", bytes: net_part(net, risk)? }),
        Source::Graph(graph) => Ok(PartSource { role: Role::Model, format: ONNX, bytes: graph_part(graph, risk)? }),
    }
}

fn linear_part(linear: &LinearSource, risk: &[u32]) -> Result<Vec<u8>> {
    encode(&LinearWire {
        features: linear.features.iter().map(String::as_str).collect(),
        weights: linear.weights.clone(),
        intercepts: linear.intercepts.clone(),
        link: linear.link.to_wire(),
        risk: risk.to_vec(),
        single: linear.single,
        skip_missing: linear.skip_missing,
        means: linear.means.clone(),
    })
}

/// What a split refers to: one slot of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    Number {
        feature: usize,
        missing: u32,
        default_left: bool,
    },
    Set {
        feature: usize,
        set: CategorySet,
        missing_in: bool,
    },
    /// The numbers by their bits, so that rules have an order.
    OneOf {
        feature: usize,
        numbers: Vec<u64>,
        missing_in: bool,
    },
}

/// The forest part as it grows.
struct Encoder<'f> {
    forest: &'f ForestSource,
    /// Per feature, ascending.
    thresholds: Vec<Vec<f64>>,
    rules: BTreeMap<Rule, u16>,
    splits: Vec<u8>,
    ranks: Vec<u8>,
    leaves: Vec<u8>,
    functions: Vec<Option<LeafFunction>>,
    covers: Vec<Option<f64>>,
}

impl<'f> Encoder<'f> {
    /// Collects thresholds and rules.
    fn new(forest: &'f ForestSource) -> Result<Self> {
        let mut thresholds = vec![Vec::new(); forest.features.len()];
        let mut rules = BTreeMap::new();
        for split in forest.trees.iter().flat_map(|tree| &tree.nodes).filter_map(as_split) {
            if let (Test::AtMost { threshold, .. }, Some(list)) = (&split.test, thresholds.get_mut(split.feature)) {
                list.push(*threshold);
            }
            rules.insert(rule(split), 0);
        }
        for (feature, list) in thresholds.iter_mut().enumerate() {
            list.sort_by(f64::total_cmp);
            // -0 and 0 split alike; the first, whatever its sign, stands for both.
            list.dedup_by(|a, b| a == b);
            if list.len() > limits::THRESHOLDS {
                let name = &forest.features[feature];
                let message = format!(
                    "feature {name} has {} thresholds, at most {} are supported",
                    list.len(),
                    limits::THRESHOLDS
                );
                return Err(Failure::refused("LIMIT", message));
            }
        }
        if rules.len() >= limits::SLOTS {
            let message =
                format!("{} distinct rules and category sets, at most {} are supported", rules.len(), limits::SLOTS);
            return Err(Failure::refused("LIMIT", message));
        }
        rules.values_mut().zip(0..).for_each(|(slot, number)| *slot = number);
        let (splits, ranks, leaves) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { forest, thresholds, rules, splits, ranks, leaves, functions: Vec::new(), covers: Vec::new() })
    }

    fn encode(mut self, risk: &[u32]) -> Result<Vec<u8>> {
        self.forest.trees.iter().for_each(|tree| self.push_tree(tree));
        let thresholds: Vec<Vec<u8>> = self.thresholds.iter().map(|list| doubles(list)).collect();
        let sets: Vec<Option<Vec<u8>>> = self.rules.keys().map(set_bytes).collect();
        let linear = self.linear();
        let cover = self.cover();
        encode(&ForestWire {
            features: self.forest.features.iter().map(String::as_str).collect(),
            outputs: self.forest.outputs as u32,
            risk: risk.to_vec(),
            link: self.forest.link.to_wire(),
            averaged_over: self.forest.averaged_over,
            input: self.forest.input as u32,
            thresholds: thresholds.iter().map(|bytes| <&ByteSlice>::from(bytes.as_slice())).collect(),
            rules: self.rules.keys().zip(&sets).map(|(rule, set)| rule_wire(rule, set.as_deref())).collect(),
            splits: &self.splits,
            ranks: &self.ranks,
            leaves: &self.leaves,
            linear: linear.as_ref().map(Linear::wire),
            aggregate: self.forest.aggregate as u32,
            start: self.forest.start.clone(),
            offset: self.forest.offset.clone(),
            cover: cover.as_ref().map(|(kind, leaves)| CoverWire { kind: *kind, leaves }),
        })
    }

    /// Writes a tree in pre-order, left before right.
    fn push_tree(&mut self, tree: &Tree) {
        let mut waiting = vec![0];
        while let Some(node) = waiting.pop().and_then(|place| tree.nodes.get(place)) {
            match node {
                Node::Leaf { value, function, cover, .. } => {
                    self.covers.push(*cover);
                    self.splits.extend(LEAF.to_le_bytes());
                    self.leaves.extend(value.to_le_bytes());
                    self.functions.push(function.clone());
                }
                Node::Split(split) => {
                    let slot = self.rules.get(&rule(split)).copied().unwrap_or_default();
                    self.splits.extend(slot.to_le_bytes());
                    self.ranks.extend(self.rank(split).to_le_bytes());
                    waiting.extend([split.right, split.left]);
                }
            }
        }
    }

    fn rank(&self, split: &Split) -> u16 {
        let Test::AtMost { threshold, .. } = split.test else { return 0 };
        let list = self.thresholds.get(split.feature).map_or(&[][..], Vec::as_slice);
        list.partition_point(|other| *other < threshold) as u16
    }

    /// Kind and bytes of the leaves' cover, where all of it is known.
    fn cover(&self) -> Option<(u32, Vec<u8>)> {
        let covers = self.covers.iter().copied().collect::<Option<Vec<f64>>>()?;
        if covers.iter().all(|cover| *cover == f64::from(*cover as u32)) {
            return Some((0, covers.iter().flat_map(|cover| (*cover as u32).to_le_bytes()).collect()));
        }
        Some((1, covers.iter().flat_map(|cover| (*cover as f32).to_le_bytes()).collect()))
    }

    fn linear(&self) -> Option<Linear> {
        self.functions.iter().any(Option::is_some).then(|| {
            let mut linear = Linear::default();
            // In a forest with linear leaves, a plain leaf is a constant function.
            for (function, value) in self.functions.iter().zip(self.leaves.as_chunks::<8>().0) {
                let constant = function.as_ref().map_or(f64::from_le_bytes(*value), |function| function.constant);
                let terms = function.as_ref().map_or(&[][..], |function| &function.terms);
                linear.constants.extend(constant.to_le_bytes());
                linear.counts.extend((terms.len() as u16).to_le_bytes());
                for (feature, weight) in terms {
                    linear.features.extend((*feature as u32).to_le_bytes());
                    linear.weights.extend(weight.to_le_bytes());
                }
            }
            linear
        })
    }
}

/// The streams of linear leaves.
#[derive(Default)]
struct Linear {
    constants: Vec<u8>,
    counts: Vec<u8>,
    features: Vec<u8>,
    weights: Vec<u8>,
}

impl Linear {
    fn wire(&self) -> LinearLeavesWire<'_> {
        LinearLeavesWire {
            constants: &self.constants,
            counts: &self.counts,
            features: &self.features,
            weights: &self.weights,
        }
    }
}

fn as_split(node: &Node) -> Option<&Split> {
    match node {
        Node::Split(split) => Some(split),
        Node::Leaf { .. } => None,
    }
}

fn rule(split: &Split) -> Rule {
    match &split.test {
        Test::AtMost { missing, default_left, .. } => {
            // Without a missing value there is no default side.
            let default_left = *default_left && *missing != Missing::IsZero;
            Rule::Number { feature: split.feature, missing: *missing as u32, default_left }
        }
        Test::In { set, missing_left } => {
            Rule::Set { feature: split.feature, set: set.clone(), missing_in: *missing_left }
        }
        Test::OneOf { numbers, missing_left } => {
            let numbers = numbers.iter().map(|number| number.to_bits()).collect();
            Rule::OneOf { feature: split.feature, numbers, missing_in: *missing_left }
        }
    }
}

fn rule_wire<'s>(rule: &Rule, set: Option<&'s [u8]>) -> RuleWire<'s> {
    let (feature, kind, default_left) = match rule {
        Rule::Number { feature, missing, default_left } => (feature, *missing, *default_left),
        Rule::Set { feature, missing_in, .. } => (feature, 3, *missing_in),
        Rule::OneOf { feature, missing_in, .. } => (feature, 4, *missing_in),
    };
    RuleWire { feature: *feature as u32, kind, default_left, set: set.map(<&ByteSlice>::from) }
}

/// A set as it stands on the wire.
fn set_bytes(rule: &Rule) -> Option<Vec<u8>> {
    match rule {
        Rule::Number { .. } => None,
        Rule::Set { set, .. } => Some(category_bits(set)),
        Rule::OneOf { numbers, .. } => Some(numbers.iter().flat_map(|bits| bits.to_le_bytes()).collect()),
    }
}

/// A category set as whole words of 32 bits, as short as can be.
fn category_bits(set: &CategorySet) -> Vec<u8> {
    let words = set.last().map_or(0, |highest| *highest as usize / 32 + 1);
    let mut bits = vec![0u32; words];
    for category in set {
        bits[*category as usize / 32] |= 1 << (category % 32);
    }
    bits.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn doubles(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
