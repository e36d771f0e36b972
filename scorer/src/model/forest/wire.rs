//! The `forest/1` part: trees in pre-order, as separate streams that compress well.

use super::Forest;
use crate::cbor;
use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use crate::model::feature_names;
use crate::model::link::{Link, LinkWire};
use alloc::vec;
use alloc::vec::Vec;
use minicbor::bytes::ByteSlice;
use minicbor::{Decode, Encode};
use tollgate_kernel::{LinearTable, Missing, Ranks, Rule, Split, Streams, TreeSpan, Trees};

/// A forest on the wire.
#[derive(Debug, Encode, Decode)]
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
    /// Values within 1e-35 of zero count as zero.
    #[n(5)]
    pub tiny_is_zero: bool,
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
}

/// How a feature is tested, on the wire.
#[derive(Debug, Encode, Decode)]
#[cbor(map)]
pub struct RuleWire<'b> {
    /// Position of the feature.
    #[n(0)]
    pub feature: u32,
    /// 0 missing is zero, 1 zero and NaN are missing, 2 NaN is missing, 3 category set.
    #[n(1)]
    pub kind: u32,
    /// Missing values go left.
    #[n(2)]
    pub default_left: bool,
    /// For a category set: bit c is category c, words of 32 bits little-endian.
    #[b(3)]
    pub set: Option<&'b ByteSlice>,
}

/// Linear leaves on the wire, in the order of the leaves.
#[derive(Debug, Encode, Decode)]
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
        let (ranks, splits_of) = ranks(&wire, features.len())?;
        let streams = streams(&wire)?;
        let spans = spans(&streams, &splits_of)?;
        ensure(spans.len().is_multiple_of(outputs), Code::Model, "model: trees do not divide by the outputs")?;
        let linear = wire.linear.as_ref();
        let linear = linear.map(|wire| linear_table(wire, streams.leaves.len(), features.len())).transpose()?;
        let too_large = Error::new(Code::Limit, "model: trees too large");
        let trees = Trees::build(&spans, &streams, ranks, linear).ok_or(too_large)?;
        Ok(Self {
            features,
            outputs,
            risk: risk(&wire.risk, outputs)?,
            link: Link::parse(wire.link, outputs)?,
            averaged_over: averaged_over(wire.averaged_over)?,
            trees,
        })
    }
}

fn risk(wire: &[u32], outputs: usize) -> Result<Vec<usize>> {
    let risk: Vec<usize> = wire.iter().map(|output| *output as usize).collect();
    let known = risk.is_sorted_by(|a, b| a < b) && risk.iter().all(|output| *output < outputs);
    ensure(known && risk.is_empty() == (outputs == 1), Code::Model, "model: risk names unknown outputs, or none")?;
    Ok(risk)
}

fn averaged_over(count: Option<u32>) -> Result<Option<u32>> {
    ensure(count != Some(0), Code::Model, "model: averaged over no trees")?;
    Ok(count)
}

/// Reads thresholds and rules; also returns how many ranks each rule can split at.
fn ranks(wire: &ForestWire<'_>, features: usize) -> Result<(Ranks, Vec<usize>)> {
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
            (3, Some(set)) if !default_left => {
                let bits = words(set).ok_or(refused("model: category set is not whole words, rule"))?;
                (Rule::Set { feature, bits }, 1)
            }
            _ => return Err(refused("model: unknown kind of rule, rule")),
        };
        rules.push(rule);
        splits_of.push(splits);
    }
    Ok((Ranks::new(all, rules, wire.tiny_is_zero), splits_of))
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
                    let inside = rank < streams.ranks.len() && (streams.rank(rank) as usize) < choices;
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
