//! The policy part: its encoding, and its parse into a [`Policy`].

use super::costs::{CostMatrix, CutOffs};
use super::segment::{Condition, Segment, Test};
use super::{Policy, RequiredGroup};
use crate::action::Action;
use crate::cbor;
use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use crate::schema::{FeatureId, Schema};
use alloc::string::String;
use alloc::vec::Vec;
use minicbor::Encode;

/// The policy on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct PolicyWire<'b> {
    /// What is decided.
    #[b(0)]
    pub use_case: &'b str,
    /// Display labels of allow, challenge, block.
    #[b(1)]
    pub labels: LabelsWire<'b>,
    /// The action when nothing can be scored: 0 allow, 1 challenge.
    #[n(2)]
    pub fallback: u32,
    /// Cut-offs, fixed or derived.
    #[n(3)]
    pub cutoffs: CutOffsWire,
    /// F, P, c, k, L, q.
    #[n(4)]
    pub costs: Option<[f64; 6]>,
    /// Segments, first match first.
    #[b(5)]
    pub segments: Vec<SegmentWire<'b>>,
    /// Required groups.
    #[b(6)]
    pub required: Vec<RequiredWire<'b>>,
}

cbor::map! { PolicyWire<'b> { 0 => use_case, 1 => labels, 2 => fallback, 3 => cutoffs, 4 => costs or none, 5 => segments, 6 => required } }

/// Labels on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct LabelsWire<'b> {
    /// Of allow.
    #[b(0)]
    pub allow: &'b str,
    /// Of challenge.
    #[b(1)]
    pub challenge: &'b str,
    /// Of block.
    #[b(2)]
    pub block: &'b str,
}

cbor::map! { LabelsWire<'b> { 0 => allow, 1 => challenge, 2 => block } }

/// Cut-offs on the wire; two-way without the first.
#[derive(Clone, Copy, Debug, Encode)]
#[cbor(map)]
pub struct CutOffsWire {
    /// From here on: challenge.
    #[n(0)]
    pub challenge: Option<f64>,
    /// From here on: block.
    #[n(1)]
    pub block: f64,
}

cbor::map! { CutOffsWire { 0 => challenge or none, 1 => block } }

/// A segment on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct SegmentWire<'b> {
    /// Its name.
    #[b(0)]
    pub name: &'b str,
    /// Its conditions.
    #[n(1)]
    pub when: Vec<ConditionWire>,
    /// Its cut-offs.
    #[n(2)]
    pub cutoffs: Option<CutOffsWire>,
    /// Its costs.
    #[n(3)]
    pub costs: Option<[f64; 6]>,
    /// Strongest action.
    #[n(4)]
    pub at_most: u32,
}

cbor::map! { SegmentWire<'b> { 0 => name, 1 => when, 2 => cutoffs or none, 3 => costs or none, 4 => at_most } }

/// A condition on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct ConditionWire {
    /// Position of the feature.
    #[n(0)]
    pub feature: u32,
    /// 0 in, 1 not in, 2 within [first, second).
    #[n(1)]
    pub test: u32,
    /// Numbers, codes, or 0 and 1.
    #[n(2)]
    pub values: Vec<f64>,
}

cbor::map! { ConditionWire { 0 => feature, 1 => test, 2 => values } }

/// A required group on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct RequiredWire<'b> {
    /// Its name.
    #[b(0)]
    pub name: &'b str,
    /// Positions of its features.
    #[n(1)]
    pub features: Vec<u32>,
}

cbor::map! { RequiredWire<'b> { 0 => name, 1 => features } }

impl Policy {
    /// Parses the policy part against its schema.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT`, `SCHEMA` for an unknown feature, or `POLICY`.
    pub fn parse(part: &[u8], schema: &Schema) -> Result<Self> {
        let wire: PolicyWire<'_> = cbor::decode(part)?;
        let counts = wire.segments.len() <= limits::SEGMENTS && wire.required.len() <= limits::REQUIRED_GROUPS;
        ensure(counts, Code::Limit, "policy: too many segments or required groups")?;
        let labels = [wire.labels.allow, wire.labels.challenge, wire.labels.block];
        let texts = labels.iter().chain([&wire.use_case]).chain(wire.segments.iter().map(|s| &s.name));
        let texts = texts.chain(wire.required.iter().map(|group| &group.name));
        let named = texts.clone().all(|text| !text.is_empty());
        ensure(named, Code::Policy, "policy: empty name or label")?;
        ensure(texts.into_iter().all(|t| t.len() <= limits::NAME_BYTES), Code::Limit, "policy: name too long")?;
        let fallback = action(wire.fallback)?;
        ensure(fallback < Action::Block, Code::Policy, "policy: what is not scored may be allowed or challenged")?;
        let (cutoffs, costs) = (cutoffs(wire.cutoffs)?, wire.costs.map(costs).transpose()?);
        let at = |index| move |error: Error| error.at(index);
        let segments = wire.segments.iter().enumerate();
        let required = wire.required.iter().enumerate();
        Ok(Self {
            use_case: wire.use_case.into(),
            labels: labels.map(String::from),
            fallback,
            cutoffs,
            costs,
            segments: segments.map(|(i, s)| segment(s, schema).map_err(at(i))).collect::<Result<_>>()?,
            required: required.map(|(i, g)| group(g, schema).map_err(at(i))).collect::<Result<_>>()?,
        })
    }
}

fn action(number: u32) -> Result<Action> {
    Action::from_number(number).ok_or(Error::new(Code::Policy, "policy: unknown action"))
}

fn cutoffs(wire: CutOffsWire) -> Result<CutOffs> {
    let block = wire.block;
    let cutoffs = wire.challenge.map_or(CutOffs::TwoWay { block }, |challenge| CutOffs::ThreeWay { challenge, block });
    ensure(cutoffs.is_valid(), Code::Policy, "policy: cut-offs out of order or outside [0, 1]")?;
    Ok(cutoffs)
}

fn costs([false_negative, false_block, challenge, completion, lost_user, abuser_pass]: [f64; 6]) -> Result<CostMatrix> {
    let matrix = CostMatrix { false_negative, false_block, challenge, completion, lost_user, abuser_pass };
    ensure(matrix.is_valid(), Code::Policy, "policy: costs negative, not finite, or shares outside [0, 1]")?;
    Ok(matrix)
}

fn segment(wire: &SegmentWire<'_>, schema: &Schema) -> Result<Segment> {
    ensure(wire.when.len() <= limits::CONDITIONS, Code::Limit, "policy: too many conditions, segment")?;
    ensure(!wire.when.is_empty(), Code::Policy, "policy: segment without a condition, segment")?;
    ensure(wire.costs.is_none() || wire.cutoffs.is_some(), Code::Policy, "policy: costs without cut-offs, segment")?;
    Ok(Segment {
        name: wire.name.into(),
        when: wire.when.iter().map(|condition| self::condition(condition, schema)).collect::<Result<_>>()?,
        cutoffs: wire.cutoffs.map(cutoffs).transpose()?,
        costs: wire.costs.map(costs).transpose()?,
        at_most: action(wire.at_most)?,
    })
}

fn condition(wire: &ConditionWire, schema: &Schema) -> Result<Condition> {
    ensure(wire.values.len() <= limits::CONDITION_VALUES, Code::Limit, "policy: too many values, segment")?;
    ensure(!wire.values.iter().any(|value| value.is_nan()), Code::Policy, "policy: NaN in a condition, segment")?;
    let test = match (wire.test, wire.values.as_slice()) {
        (0, [_, ..]) => Test::In(wire.values.clone()),
        (1, [_, ..]) => Test::NotIn(wire.values.clone()),
        (2, &[from, below]) if from < below => Test::Within(from, below),
        _ => return Err(Error::new(Code::Policy, "policy: condition that never or always holds, segment")),
    };
    Ok(Condition { feature: feature(wire.feature, schema)?, test })
}

fn group(wire: &RequiredWire<'_>, schema: &Schema) -> Result<RequiredGroup> {
    ensure(wire.features.len() <= limits::FEATURES, Code::Limit, "policy: too many features, required group")?;
    ensure(!wire.features.is_empty(), Code::Policy, "policy: required group without features, group")?;
    let features = wire.features.iter().map(|id| feature(*id, schema)).collect::<Result<Vec<_>>>()?;
    Ok(RequiredGroup { name: wire.name.into(), features })
}

fn feature(position: u32, schema: &Schema) -> Result<FeatureId> {
    let id = FeatureId(usize::try_from(position).unwrap_or(usize::MAX));
    schema.get(id).map(|_| id).ok_or(Error::new(Code::Schema, "policy: names a feature the schema lacks, in"))
}
