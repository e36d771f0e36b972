//! The `forest/1` part: trees in pre-order, as separate streams that compress well.

use super::Forest;
use crate::cbor;
use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use crate::model::link::{Link, LinkWire};
use crate::model::{feature_names, risk};
use alloc::vec;
use alloc::vec::Vec;
use minicbor::Encode;
use minicbor::bytes::ByteSlice;
use tollgate_kernel::{Aggregate, Input, LinearTable, Missing, Plan, Rule, Split, Streams, TreeSpan, Trees};

/// A forest on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct ForestWire<'b> {
    /// Feature names, in model order.
    #[b(0)]
    pub features: Vec<&'b str>,
    /// Raw scores per row; tree t adds to output t mod outputs.
    #[n(1)]
    pub outputs: u32,
    /// Outputs whose responses add up to the risk; empty for a single output.
    #[n(2)]
    pub risk: Vec<u32>,
    /// From raw scores to responses.
    #[n(3)]
    pub link: LinkWire,
    /// Random forests: divide responses by this many iterations.
    #[n(4)]
    pub averaged_over: Option<u32>,
    /// What happens to values first: 0 nothing, 1 within 1e-35 of zero becomes zero,
    /// 2 rounding to single precision.
    #[n(5)]
    pub input: u32,
    /// Per feature: ascending thresholds, f64 little-endian.
    #[b(6)]
    pub thresholds: Vec<&'b ByteSlice>,
    /// What the splits refer to.
    #[b(7)]
    pub rules: Vec<RuleWire<'b>>,
    /// Per node in pre-order: its rule, or [`LEAF`]; u16 little-endian.
    #[cbor(b(8), with = "minicbor::bytes")]
    pub splits: &'b [u8],
    /// Per inner node: position of its threshold, 0 for categories; u16 little-endian.
    #[cbor(b(9), with = "minicbor::bytes")]
    pub ranks: &'b [u8],
    /// Per leaf: its value, f64 little-endian.
    #[cbor(b(10), with = "minicbor::bytes")]
    pub leaves: &'b [u8],
    /// For leaves that hold a linear function.
    #[b(11)]
    pub linear: Option<LinearLeavesWire<'b>>,
    /// How leaves come together: 0 sum, 1 sum in single precision, 2 least, 3 greatest.
    #[n(12)]
    pub aggregate: u32,
    /// Per output, what the sum starts with; empty for zeros.
    #[n(13)]
    pub start: Vec<f64>,
    /// Per output, what is added last; empty for zeros.
    #[n(14)]
    pub offset: Vec<f64>,
    /// How much training data each leaf saw, for explanations.
    #[b(15)]
    pub cover: Option<CoverWire<'b>>,
}

cbor::map! { ForestWire<'b> { 0 => features, 1 => outputs, 2 => risk, 3 => link, 4 => averaged_over or none, 5 => input, 6 => thresholds, 7 => rules, 8 => splits as bytes, 9 => ranks as bytes, 10 => leaves as bytes, 11 => linear or none, 12 => aggregate, 13 => start, 14 => offset, 15 => cover or none } }

/// The training data of the leaves, in their order.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct CoverWire<'b> {
    /// 0 counts of rows, u32; 1 sums of weights, f32.
    #[n(0)]
    pub kind: u32,
    /// Per leaf four bytes, little-endian.
    #[cbor(b(1), with = "minicbor::bytes")]
    pub leaves: &'b [u8],
}

cbor::map! { CoverWire<'b> { 0 => kind, 1 => leaves as bytes } }

/// How a feature is tested, on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct RuleWire<'b> {
    /// Position of the feature.
    #[n(0)]
    pub feature: u32,
    /// 0 missing is zero, 1 zero and NaN are missing, 2 NaN is missing, 3 category set,
    /// 4 set of numbers.
    #[n(1)]
    pub kind: u32,
    /// Missing values go left; for sets: count as in the set.
    #[n(2)]
    pub default_left: bool,
    /// For a category set: bit c is category c, words of 32 bits little-endian. For a set
    /// of numbers: f64 little-endian.
    #[b(3)]
    pub set: Option<&'b ByteSlice>,
}

cbor::map! { RuleWire<'b> { 0 => feature, 1 => kind, 2 => default_left, 3 => set or none } }

/// Linear leaves on the wire, in the order of the leaves.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct LinearLeavesWire<'b> {
    /// Per leaf: the constant, f64 little-endian.
    #[cbor(b(0), with = "minicbor::bytes")]
    pub constants: &'b [u8],
    /// Per leaf: number of terms, u16 little-endian.
    #[cbor(b(1), with = "minicbor::bytes")]
    pub counts: &'b [u8],
    /// Per term: the feature, u32 little-endian.
    #[cbor(b(2), with = "minicbor::bytes")]
    pub features: &'b [u8],
    /// Per term: the weight, f64 little-endian.
    #[cbor(b(3), with = "minicbor::bytes")]
    pub weights: &'b [u8],
}

cbor::map! { LinearLeavesWire<'b> { 0 => constants as bytes, 1 => counts as bytes, 2 => features as bytes, 3 => weights as bytes } }

impl Forest {
    /// Parses a `forest/1` part and lays the trees out.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT` or `MODEL`.
    pub fn parse(part: &[u8]) -> Result<Self> {
        let wire: ForestWire<'_> = cbor::decode(part)?;
        let features = feature_names(&wire.features)?;
        let outputs = wire.outputs as usize;
        ensure((1..=limits::OUTPUTS).contains(&outputs), Code::Limit, "model: no outputs, or too many")?;
        let Rules { thresholds, rules, splits_of } = rules(&wire, features.len())?;
        let streams = streams(&wire)?;
        let spans = spans(&streams, &splits_of)?;
        ensure(spans.len().is_multiple_of(outputs), Code::Model, "model: trees do not divide by the outputs")?;
        let linear = wire.linear.as_ref();
        let linear = linear.map(|wire| linear_table(wire, streams.leaves.len(), features.len())).transpose()?;
        let covers = wire.cover.as_ref().map(|cover| covers(cover, streams.leaves.len())).transpose()?;
        let (input, aggregate) = (input(wire.input)?, aggregate(wire.aggregate)?);
        let (spans, streams, thresholds, rules) = (&spans, &streams, &thresholds, &rules);
        let plan = Plan { spans, streams, thresholds, rules, input, aggregate, outputs };
        let trees =
            Trees::build(&plan, covers.as_deref(), linear).ok_or(Error::new(Code::Limit, "model: trees too large"))?;
        Ok(Self {
            features,
            outputs,
            risk: risk(&wire.risk, outputs)?,
            link: Link::parse(wire.link, outputs)?,
            averaged_over: averaged_over(wire.averaged_over)?,
            aggregate,
            start: per_output(wire.start, outputs)?,
            offset: per_output(wire.offset, outputs)?,
            trees,
        })
    }
}

fn input(kind: u32) -> Result<Input> {
    match kind {
        0 => Ok(Input::AsIs),
        1 => Ok(Input::TinyIsZero),
        2 => Ok(Input::Single),
        _ => Err(Error::new(Code::Model, "model: unknown treatment of inputs")),
    }
}

fn aggregate(kind: u32) -> Result<Aggregate> {
    match kind {
        0 => Ok(Aggregate::Sum),
        1 => Ok(Aggregate::SingleSum),
        2 => Ok(Aggregate::Least),
        3 => Ok(Aggregate::Greatest),
        _ => Err(Error::new(Code::Model, "model: unknown aggregate")),
    }
}

fn per_output(numbers: Vec<f64>, outputs: usize) -> Result<Vec<f64>> {
    let whole = numbers.is_empty() || numbers.len() == outputs;
    ensure(whole, Code::Model, "model: start or offset does not match the outputs")?;
    ensure(numbers.iter().all(|number| number.is_finite()), Code::Model, "model: start or offset not finite")?;
    Ok(numbers)
}

/// Checks and reads the training data of the leaves.
fn covers(wire: &CoverWire<'_>, leaves: usize) -> Result<Vec<f64>> {
    let (numbers, rest) = wire.leaves.as_chunks::<4>();
    ensure(rest.is_empty() && numbers.len() == leaves, Code::Model, "model: cover does not match the leaves")?;
    let cover: Vec<f64> = match wire.kind {
        0 => numbers.iter().map(|count| f64::from(u32::from_le_bytes(*count))).collect(),
        1 => numbers.iter().map(|weight| f64::from(f32::from_le_bytes(*weight))).collect(),
        _ => return Err(Error::new(Code::Model, "model: unknown kind of cover")),
    };
    let sane = cover.iter().all(|cover| cover.is_finite() && *cover >= 0.0);
    ensure(sane, Code::Model, "model: cover negative or not finite")?;
    Ok(cover)
}

fn averaged_over(count: Option<u32>) -> Result<Option<u32>> {
    ensure(count != Some(0), Code::Model, "model: averaged over no trees")?;
    Ok(count)
}

/// What splits refer to, read and checked.
struct Rules {
    /// Ascending, per feature.
    thresholds: Vec<Vec<f64>>,
    rules: Vec<Rule>,
    /// At how many ranks each rule can split.
    splits_of: Vec<usize>,
}

/// Reads thresholds and rules.
fn rules(wire: &ForestWire<'_>, features: usize) -> Result<Rules> {
    ensure(wire.thresholds.len() == features, Code::Model, "model: thresholds do not match the features")?;
    ensure(wire.rules.len() <= limits::SLOTS, Code::Limit, "model: too many rules")?;
    let mut all = Vec::with_capacity(features);
    for (feature, bytes) in wire.thresholds.iter().enumerate() {
        all.push(thresholds(bytes).map_err(|error| error.at(feature))?);
    }
    let mut rules = Vec::with_capacity(wire.rules.len());
    let mut splits_of = Vec::with_capacity(wire.rules.len());
    for (slot, rule) in wire.rules.iter().enumerate() {
        let feature = rule.feature as usize;
        let refused = |what| Error::new(Code::Model, what).at(slot);
        let splits = all.get(feature).map(Vec::len).ok_or(refused("model: feature out of range, rule"))?;
        let default_left = rule.default_left;
        let (rule, splits) = match (rule.kind, rule.set) {
            (0, None) => (Rule::Number { feature, missing: Missing::IsZero, default_left }, splits),
            (1, None) => (Rule::Number { feature, missing: Missing::ZeroOrNan, default_left }, splits),
            (2, None) => (Rule::Number { feature, missing: Missing::Nan, default_left }, splits),
            (3, Some(set)) => {
                let bits = words(set).ok_or(refused("model: category set is not whole words, rule"))?;
                (Rule::Set { feature, bits, missing_in: default_left }, 1)
            }
            (4, Some(set)) => {
                let numbers = numbers(set).ok_or(refused("model: set of numbers is not 8 bytes each, rule"))?;
                (Rule::OneOf { feature, numbers, missing_in: default_left }, 1)
            }
            _ => return Err(refused("model: unknown kind of rule, rule")),
        };
        rules.push(rule);
        splits_of.push(splits);
    }
    Ok(Rules { thresholds: all, rules, splits_of })
}

fn thresholds(bytes: &[u8]) -> Result<Vec<f64>> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    ensure(rest.is_empty(), Code::Model, "model: thresholds are not 8 bytes each, feature")?;
    ensure(chunks.len() <= limits::THRESHOLDS, Code::Limit, "model: too many thresholds, feature")?;
    let thresholds: Vec<f64> = chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect();
    // LightGBM does write infinite thresholds; NaN is refused by the order.
    ensure(thresholds.is_sorted_by(|a, b| a < b), Code::Model, "model: thresholds not ascending, feature")?;
    let ordered = !thresholds.iter().any(|threshold| threshold.is_nan());
    ensure(ordered, Code::Model, "model: threshold is NaN, feature")?;
    Ok(thresholds)
}

fn numbers(set: &[u8]) -> Option<Vec<f64>> {
    let (numbers, rest) = set.as_chunks::<8>();
    rest.is_empty().then(|| numbers.iter().map(|number| f64::from_le_bytes(*number)).collect())
}

fn words(set: &[u8]) -> Option<Vec<u32>> {
    let (words, rest) = set.as_chunks::<4>();
    rest.is_empty().then(|| words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

fn streams<'b>(wire: &ForestWire<'b>) -> Result<Streams<'b>> {
    let (splits, rest_a) = wire.splits.as_chunks::<2>();
    let (ranks, rest_b) = wire.ranks.as_chunks::<2>();
    let (leaves, rest_c) = wire.leaves.as_chunks::<8>();
    let whole = rest_a.is_empty() && rest_b.is_empty() && rest_c.is_empty();
    ensure(whole, Code::Model, "model: node streams are not whole numbers")?;
    ensure(splits.len() <= limits::NODES, Code::Limit, "model: too many nodes")?;
    let finite = leaves.iter().all(|leaf| f64::from_le_bytes(*leaf).is_finite());
    ensure(finite, Code::Model, "model: leaf not finite")?;
    Ok(Streams { splits, ranks, leaves })
}

/// Cuts the streams into trees and checks every split.
fn spans(streams: &Streams<'_>, splits_of: &[usize]) -> Result<Vec<TreeSpan>> {
    let mut spans = Vec::new();
    let (mut index, mut rank, mut leaf) = (0, 0, 0);
    while index < streams.splits.len() {
        ensure(spans.len() < limits::TREES, Code::Limit, "model: too many trees")?;
        let mut span = TreeSpan { splits: index..index, first_rank: rank, first_leaf: leaf, depth: 0 };
        // Depths of the places still to be filled.
        let mut open = vec![0u32];
        while let Some(depth) = open.pop() {
            let refused = |what| Error::new(Code::Model, what).at(index);
            ensure(index < streams.splits.len(), Code::Model, "model: last tree is cut short")?;
            match streams.split(index) {
                Split::Leaf => {
                    leaf += 1;
                    span.depth = span.depth.max(depth);
                }
                Split::Inner { slot } => {
                    let choices = *splits_of.get(slot).ok_or(refused("model: rule out of range, node"))?;
                    let inside = rank < streams.ranks.len() && usize::from(streams.rank(rank)) < choices;
                    ensure(inside, Code::Model, "model: threshold out of range").map_err(|e| e.at(index))?;
                    rank += 1;
                    open.extend([depth + 1; 2]);
                }
            }
            index += 1;
        }
        span.splits.end = index;
        ensure(leaf - span.first_leaf <= limits::LEAVES_PER_TREE, Code::Limit, "model: tree with too many leaves")?;
        spans.push(span);
    }
    let used_up = rank == streams.ranks.len() && leaf == streams.leaves.len();
    ensure(used_up, Code::Model, "model: nodes that belong to no tree")?;
    Ok(spans)
}

/// Checks counts, features and numbers of linear leaves.
fn linear_table(wire: &LinearLeavesWire<'_>, leaves: usize, features: usize) -> Result<LinearTable> {
    let (constants, rest_a) = wire.constants.as_chunks::<8>();
    let (counts, rest_b) = wire.counts.as_chunks::<2>();
    let (ids, rest_c) = wire.features.as_chunks::<4>();
    let (weights, rest_d) = wire.weights.as_chunks::<8>();
    let whole = [rest_a, rest_b, rest_c, rest_d].iter().all(|rest| rest.is_empty());
    let matching = constants.len() == leaves && counts.len() == leaves && ids.len() == weights.len();
    ensure(whole && matching, Code::Model, "model: linear leaves do not match the leaves")?;
    let terms: Vec<(u32, f64)> =
        ids.iter().zip(weights).map(|(id, w)| (u32::from_le_bytes(*id), f64::from_le_bytes(*w))).collect();
    let known = terms.iter().all(|(id, weight)| (*id as usize) < features && weight.is_finite());
    ensure(known, Code::Model, "model: linear leaf with an unknown feature or a weight not finite")?;
    let mut end = 0u32;
    let mut table = Vec::with_capacity(leaves);
    for (constant, count) in constants.iter().zip(counts) {
        let start = end;
        end = end.saturating_add(u32::from(u16::from_le_bytes(*count)));
        table.push((f64::from_le_bytes(*constant), start, end));
    }
    ensure(end as usize == terms.len(), Code::Model, "model: linear leaves do not add up to the terms")?;
    let finite = table.iter().all(|(constant, ..)| constant.is_finite());
    ensure(finite, Code::Model, "model: linear leaf with a constant not finite")?;
    Ok(LinearTable { leaves: table, terms })
}
