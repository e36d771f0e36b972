//! Reasons: which groups of features made a decision stricter.
//!
//! Contributions in margin space are summed within groups that the author maps features to,
//! then ranked. Only what raises the risk is a reason. A value that something stands in for
//! is never presented as behaviour: its share is a reason of its own, `INSUFFICIENT_DATA_x`.

use crate::cbor;
use crate::error::{Code, Error, Result, ensure};
use crate::features::{FeatureRow, State};
use crate::json::Writer;
use crate::limits;
use crate::policy::{Policy, Source};
use crate::schema::Schema;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use minicbor::Encode;

/// Reasons that a decision has at most where the bundle does not say.
pub const DEFAULT_MOST: u32 = 4;

/// Contributions this close, relative to the larger, are told as a near tie.
const NEAR_TIE: f64 = 1e-6;

/// The reasons part on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct ReasonsWire<'b> {
    /// Reasons of a decision, at most.
    #[n(0)]
    pub most: u32,
    /// Groups by priority: of two with the same contribution the first one counts.
    #[b(1)]
    pub groups: Vec<GroupWire<'b>>,
}

cbor::map! { ReasonsWire<'b> { 0 => most, 1 => groups } }

/// A group of features on the wire.
#[derive(Debug, Encode)]
#[cbor(map)]
pub struct GroupWire<'b> {
    /// The stable code.
    #[b(0)]
    pub code: &'b str,
    /// Positions of its features in the schema.
    #[n(1)]
    pub features: Vec<u32>,
    /// What to tell people, by language.
    #[b(2)]
    pub texts: BTreeMap<&'b str, &'b str>,
}

cbor::map! { GroupWire<'b> { 0 => code, 1 => features, 2 => texts } }

/// How contributions become reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasons {
    most: usize,
    groups: Vec<Group>,
    /// Per scored feature its group.
    group_of: Vec<usize>,
}

/// Features that are one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    code: String,
    texts: Vec<(String, String)>,
}

/// One reason of a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The stable code.
    pub code: String,
    /// How much it added to the margin; `None` for a stage of the policy.
    pub contribution: Option<f64>,
    /// The next one is nearly as strong.
    near_tie: bool,
    /// The group whose texts tell it; none where data is missing or a stage decided.
    group: Option<usize>,
}

impl Reasons {
    /// Parses a `reasons/1` part; without one every scored feature is its own group.
    ///
    /// # Errors
    /// `MALFORMED`, `LIMIT`, or `SCHEMA` for a feature that is unknown or in two groups.
    pub fn parse(part: &[u8], schema: &Schema) -> Result<Self> {
        let none = ReasonsWire { most: DEFAULT_MOST, groups: Vec::new() };
        let wire: ReasonsWire<'_> = if part.is_empty() { none } else { cbor::decode(part)? };
        ensure((1..=limits::REASONS).contains(&(wire.most as usize)), Code::Limit, "reasons: none, or too many")?;
        ensure(wire.groups.len() <= limits::FEATURES, Code::Limit, "reasons: too many groups")?;
        let mut group_of = vec![None; schema.scored().len()];
        let mut groups = Vec::with_capacity(wire.groups.len());
        for (index, group) in wire.groups.iter().enumerate() {
            for feature in &group.features {
                let place = group_of.get_mut(*feature as usize).filter(|place| place.is_none());
                let refused = Error::new(Code::Schema, "reasons: feature unknown, not scored, or in two groups, group");
                *place.ok_or(refused.at(index))? = Some(index);
            }
            groups.push(Group::parse(group).map_err(|error| error.at(index))?);
        }
        let group_of = schema.scored().iter().zip(group_of).map(|(feature, group)| {
            group.unwrap_or_else(|| {
                groups.push(Group { code: code_of(&feature.name), texts: Vec::new() });
                groups.len() - 1
            })
        });
        let group_of = group_of.collect();
        Ok(Self { most: wire.most as usize, groups, group_of })
    }

    /// Every code that a decision's reasons may have, in order of the alphabet.
    pub fn codes(&self, policy: &Policy) -> BTreeSet<String> {
        let used = self.group_of.iter().filter_map(|group| self.groups.get(*group)).map(|group| &group.code);
        let values = used.flat_map(|code| [code.clone(), insufficient(code)]);
        let caps = (0..policy.segments.len()).map(Source::SegmentCap);
        let stages = caps.chain((0..policy.required.len()).map(Source::Required));
        values.chain(stages.filter_map(|stage| Some(self.stage(stage, policy)?.code))).collect()
    }

    /// The code of a scored feature's group.
    pub(crate) fn code(&self, feature: usize) -> &str {
        self.group(feature).map_or("", |group| &group.code)
    }

    /// The stage that decided, where it was not the model; then groups by how much they
    /// raised the margin. `contributions` has a number per scored feature.
    pub(crate) fn rank(&self, source: Source, policy: &Policy, row: &FeatureRow, contributions: &[f64]) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = self.stage(source, policy).into_iter().collect();
        let mut sums = self.sums(row, contributions);
        while reasons.len() < self.most {
            let Some((at, contribution)) = strongest(&sums) else { break };
            sums.retain(|(other, _)| *other != at);
            let next = strongest(&sums).map_or(0.0, |(_, next)| next);
            let near_tie = contribution - next <= NEAR_TIE * contribution;
            let code = self.code_at(at);
            if reasons.iter().all(|reason| reason.code != code) {
                reasons.push(Reason {
                    code,
                    contribution: Some(contribution),
                    near_tie,
                    group: (!at.1).then_some(at.0),
                });
            }
        }
        reasons
    }

    /// Per group, and there apart for values and stand-ins, the sum of contributions.
    fn sums(&self, row: &FeatureRow, contributions: &[f64]) -> Vec<((usize, bool), f64)> {
        let mut sums: Vec<((usize, bool), f64)> =
            (0..self.groups.len()).flat_map(|group| [((group, false), 0.0), ((group, true), 0.0)]).collect();
        for ((group, contribution), state) in self.group_of.iter().zip(contributions).zip(row.states()) {
            let at = 2 * group + usize::from(*state != State::Present);
            if let Some((_, sum)) = sums.get_mut(at) {
                *sum += contribution;
            }
        }
        sums.retain(|(_, sum)| *sum > 0.0);
        sums
    }

    fn stage(&self, source: Source, policy: &Policy) -> Option<Reason> {
        let code = match source {
            Source::CutOffs | Source::Segment(_) => return None,
            Source::SegmentCap(index) => ["SEGMENT_", &code_of(&policy.segments.get(index)?.name)].concat(),
            Source::Required(index) => insufficient(&code_of(&policy.required.get(index)?.name)),
            Source::MissingCap(feature) | Source::MissingFloor(feature) => insufficient(self.code(feature.0)),
        };
        Some(Reason { code, contribution: None, near_tie: false, group: None })
    }

    fn code_at(&self, (group, stand_in): (usize, bool)) -> String {
        let code = self.groups.get(group).map_or("", |group| &group.code);
        if stand_in { insufficient(code) } else { code.into() }
    }

    fn group(&self, feature: usize) -> Option<&Group> {
        self.group_of.get(feature).and_then(|group| self.groups.get(*group))
    }

    /// Writes reasons with code, rank and contribution, and of a near tie that it is one;
    /// for an explanation also their texts. A contribution that comes from a sample says so.
    pub(crate) fn write(&self, json: &mut Writer, reasons: &[Reason], explain: bool, approximate: bool) {
        json.open_list("reasons");
        for (rank, reason) in (1..).zip(reasons) {
            json.open_item();
            json.text("code", &reason.code);
            json.integer_or_null("rank", Some(rank));
            json.number("contribution", reason.contribution);
            if approximate && reason.contribution.is_some() {
                json.boolean("approximate", true);
            }
            if explain || reason.near_tie {
                json.boolean("near_tie", reason.near_tie);
            }
            if explain {
                json.open("text");
                let texts = reason.group.and_then(|group| self.groups.get(group)).map(|group| &group.texts);
                texts.into_iter().flatten().for_each(|(language, text)| json.text(language, text));
                json.close();
            }
            json.close();
        }
        json.close_list();
    }
}

impl Group {
    fn parse(wire: &GroupWire<'_>) -> Result<Self> {
        let bounded = wire.code.len() <= limits::NAME_BYTES && wire.texts.len() <= limits::LANGUAGES;
        ensure(bounded, Code::Limit, "reasons: code too long, or too many languages, group")?;
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let sound = !wire.code.is_empty() && wire.code.bytes().all(plain);
        ensure(sound, Code::Schema, "reasons: a code is A to Z, 0 to 9 and _, group")?;
        let short = wire
            .texts
            .iter()
            .all(|(language, text)| language.len() <= limits::NAME_BYTES && text.len() <= limits::TEXT_BYTES);
        ensure(short, Code::Limit, "reasons: text too long, group")?;
        let texts = wire.texts.iter().map(|(language, text)| ((*language).into(), (*text).into())).collect();
        Ok(Self { code: wire.code.into(), texts })
    }
}

/// The largest sum; of equals the first.
fn strongest(sums: &[((usize, bool), f64)]) -> Option<((usize, bool), f64)> {
    sums.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// A name as a code: letters in upper case, all else an underscore.
fn code_of(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(plain).collect()
}

fn insufficient(code: &str) -> String {
    ["INSUFFICIENT_DATA_", code].concat()
}
