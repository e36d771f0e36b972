//! Schema, calibrator and policy parts from their source.

use super::sign::{PartSource, encode};
use super::source::{
    BundleSource, ConditionSource, CostsSource, CutOffsSource, FeatureKind, FeatureSource, GroupSource, SegmentSource,
};
use crate::failure::{Failure, Result};
use tollgate_scorer::bundle::Role;
use tollgate_scorer::policy::{ConditionWire, CutOffsWire, LabelsWire, PolicyWire, RequiredWire, SegmentWire};
use tollgate_scorer::{
    Action, CalibratorWire, CostMatrix, Curve, CutOffs, DEFAULT_MOST, FeatureWire, GroupWire, LogMask, ReasonsWire,
    SchemaWire,
};

fn refused(message: impl Into<String>) -> Failure {
    Failure::refused("SOURCE", message)
}

/// The schema part.
///
/// # Errors
/// `SOURCE` naming the feature and key.
pub fn schema_part(features: &[FeatureSource]) -> Result<PartSource> {
    let features = features.iter().map(feature).collect::<Result<Vec<_>>>()?;
    Ok(PartSource { role: Role::Schema, format: "schema/1", bytes: encode(&SchemaWire { features })? })
}

fn feature(source: &FeatureSource) -> Result<FeatureWire<'_>> {
    let named = |what: &str| refused(format!("feature {}: {what}", source.name));
    let stand_in = match &source.missing {
        toml::Value::String(word) if word == "as_missing" => None,
        value => {
            Some(value_of(source, value).ok_or_else(|| named("missing is \"as_missing\" or a value of the feature"))?)
        }
    };
    let action = |name: &Option<String>, default: Action| match name {
        None => Ok(default),
        Some(name) => Action::from_name(name).ok_or_else(|| named("at_most and at_least are allow or challenge")),
    };
    let (at_most, at_least) = (action(&source.at_most, Action::Challenge)?, action(&source.at_least, Action::Allow)?);
    if at_most == Action::Block || at_least == Action::Block {
        return Err(named("a missing value never blocks: at_most and at_least are allow or challenge"));
    }
    let log = match &source.log {
        None => None,
        Some(name) => {
            let found = LogMask::ALL.into_iter().find(|mask| mask.name() == name);
            let mask = found.ok_or_else(|| named("log is full, hash, truncate or drop"))?;
            Some(mask as u32).filter(|_| mask != LogMask::Full)
        }
    };
    Ok(FeatureWire {
        name: &source.name,
        kind: source.kind as u32,
        min: source.min,
        max: source.max,
        values: source.values.as_ref().map(|values| values.iter().map(String::as_str).collect()),
        scored: source.scored,
        stand_in,
        at_most: at_most as u32,
        at_least: at_least as u32,
        description: &source.description,
        log,
    })
}

/// A TOML value as the number that the model and the policy see.
pub(super) fn value_of(feature: &FeatureSource, value: &toml::Value) -> Option<f64> {
    match (feature.kind, value) {
        (FeatureKind::Boolean, toml::Value::Boolean(flag)) => Some(f64::from(u8::from(*flag))),
        (FeatureKind::Category, toml::Value::String(name)) => {
            feature.values.as_ref()?.iter().position(|value| value == name).map(|code| code as f64)
        }
        (FeatureKind::Number | FeatureKind::Integer, toml::Value::Integer(integer)) => Some(*integer as f64),
        (FeatureKind::Number | FeatureKind::Integer, toml::Value::Float(float)) => Some(*float),
        _ => None,
    }
}

/// The calibrator part.
///
/// # Errors
/// `ENCODING`.
pub fn calibrator_part(version: &str, reads_probability: bool, curve: &Curve) -> Result<PartSource> {
    let (kind, x, y) = match curve {
        Curve::Identity => (0, vec![], vec![]),
        Curve::Isotonic { x, y } => (1, x.clone(), y.clone()),
        Curve::Platt { a, b } => (2, vec![*a, *b], vec![]),
        Curve::Beta { a, b, c } => (3, vec![*a, *b, *c], vec![]),
    };
    let [x, y] = [x, y].map(|numbers| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>());
    let wire = CalibratorWire { version, kind, input: u32::from(reads_probability), x: &x, y: &y };
    Ok(PartSource { role: Role::Calibrator, format: "calibrator/1", bytes: encode(&wire)? })
}

/// The policy part.
///
/// # Errors
/// `SOURCE` naming the segment, group or key; `POLICY` for costs that make no sense.
pub fn policy_part(source: &BundleSource) -> Result<PartSource> {
    let policy = &source.policy;
    let (cutoffs, costs) = cutoffs(policy.costs, policy.cutoffs)?
        .ok_or_else(|| refused("[policy] needs [policy.costs] or [policy.cutoffs]"))?;
    check_segments(&policy.segments)?;
    let segments = policy.segments.iter().map(|segment| {
        self::segment(source, segment).map_err(|failure| failure.within(format!("segment {}", segment.name)))
    });
    let required = policy.required.iter().map(|group| {
        let features = group.features.iter().map(|name| Ok(source.feature(name)?.0 as u32));
        let features = features
            .collect::<Result<Vec<_>>>()
            .map_err(|failure| failure.within(format!("required {}", group.name)))?;
        Ok(RequiredWire { name: &group.name, features })
    });
    let fallback = Action::from_name(&source.bundle.fallback_action)
        .filter(|action| *action < Action::Block)
        .ok_or_else(|| refused("bundle.fallback_action is allow or challenge: missing data never blocks"))?;
    let wire = PolicyWire {
        use_case: &source.bundle.use_case,
        labels: LabelsWire {
            allow: &policy.labels.allow,
            challenge: &policy.labels.challenge,
            block: &policy.labels.block,
        },
        fallback: fallback as u32,
        cutoffs,
        costs,
        segments: segments.collect::<Result<_>>()?,
        required: required.collect::<Result<_>>()?,
    };
    Ok(PartSource { role: Role::Policy, format: "policy/1", bytes: encode(&wire)? })
}

type CutOffsAndCosts = (CutOffsWire, Option<[f64; 6]>);

/// Cut-offs that are fixed, or follow from costs; `None` when neither is said.
fn cutoffs(costs: Option<CostsSource>, fixed: Option<CutOffsSource>) -> Result<Option<CutOffsAndCosts>> {
    let array =
        |c: CostMatrix| [c.false_negative, c.false_block, c.challenge, c.completion, c.lost_user, c.abuser_pass];
    let matrix = costs.map(CostsSource::matrix);
    if matrix.is_some_and(|matrix| !matrix.is_valid()) {
        let message = "costs: amounts must not be negative, completion and abuser_pass are shares from 0 to 1, \
                       false_negative and false_block must cost something";
        return Err(Failure::refused("POLICY", message));
    }
    let cutoffs = match (matrix.and_then(|matrix| matrix.cutoffs()), fixed) {
        (_, Some(CutOffsSource { challenge: Some(challenge), block })) => CutOffs::ThreeWay { challenge, block },
        (_, Some(CutOffsSource { challenge: None, block })) => CutOffs::TwoWay { block },
        (Some(derived), None) => derived,
        (None, None) => return Ok(None),
    };
    if !cutoffs.is_valid() {
        return Err(Failure::refused("POLICY", "cut-offs must lie within [0, 1], challenge below block"));
    }
    let wire = CutOffsWire { challenge: cutoffs.challenge(), block: cutoffs.block() };
    Ok(Some((wire, matrix.map(array))))
}

/// Names twice, and segments behind one that takes all their rows, are mistakes.
fn check_segments(segments: &[SegmentSource]) -> Result<()> {
    for (index, segment) in segments.iter().enumerate() {
        for earlier in segments.iter().take(index) {
            if earlier.name == segment.name {
                return Err(refused(format!("two segments are called {:?}", segment.name)));
            }
            let spelt = |condition: &ConditionSource| format!("{condition:?}");
            let all: Vec<String> = segment.when.iter().map(spelt).collect();
            if earlier.when.iter().map(spelt).all(|condition| all.contains(&condition)) {
                let message = format!("segment {:?} is never reached: {:?} takes its rows", segment.name, earlier.name);
                return Err(refused(message));
            }
        }
    }
    Ok(())
}

fn segment<'s>(source: &'s BundleSource, segment: &'s SegmentSource) -> Result<SegmentWire<'s>> {
    let own = cutoffs(segment.costs, segment.cutoffs)?;
    let at_most = match &segment.at_most {
        None => Action::Block,
        Some(name) => Action::from_name(name).ok_or_else(|| refused("at_most is allow, challenge or block"))?,
    };
    if own.is_none() && at_most == Action::Block {
        return Err(refused("changes nothing: give costs, cutoffs or at_most"));
    }
    Ok(SegmentWire {
        name: &segment.name,
        when: segment.when.iter().map(|when| condition(source, when)).collect::<Result<_>>()?,
        cutoffs: own.map(|(cutoffs, _)| cutoffs),
        costs: own.and_then(|(_, costs)| costs),
        at_most: at_most as u32,
    })
}

fn condition(source: &BundleSource, when: &ConditionSource) -> Result<ConditionWire> {
    let (index, feature) = source.feature(&when.feature)?;
    let named = |what: &str| refused(format!("condition on {}: {what}", when.feature));
    let code = |value: &toml::Value| value_of(feature, value).ok_or_else(|| named("not a value of the feature"));
    // Half-open [from, below): the next double up turns "more" and "at most" into it.
    let from = when.at_least.or(when.more.map(f64::next_up));
    let below = when.less.or(when.at_most.map(f64::next_up));
    let (test, values) = match (&when.equals, &when.not_equals, &when.any_of, from.or(below)) {
        (Some(value), None, None, None) => (0, vec![code(value)?]),
        (None, Some(value), None, None) => (1, vec![code(value)?]),
        (None, None, Some(values), None) if !values.is_empty() => (0, values.iter().map(code).collect::<Result<_>>()?),
        (None, None, None, Some(_)) if matches!(feature.kind, FeatureKind::Number | FeatureKind::Integer) => {
            let (from, below) = (from.unwrap_or(f64::NEG_INFINITY), below.unwrap_or(f64::INFINITY));
            if from >= below {
                return Err(named("the range is empty"));
            }
            (2, vec![from, below])
        }
        _ => return Err(named("give one of equals, not_equals, in, or a range by at_least/more and less/at_most")),
    };
    Ok(ConditionWire { feature: index as u32, test, values })
}

/// The reasons part, where the author wrote one.
///
/// # Errors
/// `SOURCE` naming the group and the feature that is unknown.
pub fn reasons_part(source: &BundleSource) -> Result<Option<PartSource>> {
    let Some(reasons) = &source.reasons else { return Ok(None) };
    let scored: Vec<&FeatureSource> = source.features.iter().filter(|feature| feature.scored).collect();
    let position = |code: &str, name: &String| {
        let found = scored.iter().position(|feature| feature.name == *name);
        found.map(|at| at as u32).ok_or_else(|| refused(format!("reason {code}: {name} is no scored feature")))
    };
    // On the wire the order is the priority; the sort keeps the order of equals.
    let mut by_priority: Vec<&GroupSource> = reasons.groups.iter().collect();
    by_priority.sort_by_key(|group| group.priority.unwrap_or(u32::MAX));
    let groups = by_priority.into_iter().map(|group| {
        let features = group.features.iter().map(|name| position(&group.code, name)).collect::<Result<_>>()?;
        let texts = group.text.iter().map(|(language, text)| (language.as_str(), text.as_str())).collect();
        Ok(GroupWire { code: &group.code, features, texts })
    });
    let wire = ReasonsWire { most: reasons.most.unwrap_or(DEFAULT_MOST), groups: groups.collect::<Result<_>>()? };
    Ok(Some(PartSource { role: Role::Reasons, format: "reasons/1", bytes: encode(&wire)? }))
}
