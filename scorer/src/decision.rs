//! Decisions and their record, version 1.

use crate::action::Action;
use crate::calibrator::Probability;
use crate::features::{FeatureRow, State};
use crate::json::Writer;
use crate::model::Margin;
use crate::policy::{Costs, CutOffs, Policy, Source};
use crate::reasons::{Reason, Reasons};
use crate::schema::Schema;
use alloc::string::String;

/// What was decided for one row, and what it follows from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// The action.
    pub action: Action,
    /// The stage that had the last word.
    pub source: Source,
    /// The segment of the row.
    pub segment: Option<usize>,
    /// Raw score and calibrated probability; `None` when nothing was scored.
    pub scored: Option<(Margin, Probability)>,
    /// The cut-offs in force.
    pub cutoffs: CutOffs,
    /// What each action is expected to cost.
    pub expected_cost: Option<Costs>,
    /// How many features have a stand-in for their value.
    pub stand_ins: usize,
}

/// The numbers of a decision in 64 bytes, little-endian; the page of the module's calls
/// has the layout.
pub type Compact = [u8; 64];

/// Everything a record repeats that is not the decision itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) policy: &'a Policy,
    pub(crate) reasons: (&'a Reasons, &'a [Reason]),
    /// Contributions come from a sample.
    pub(crate) approximate: bool,
    /// What every record of the bundle has in common, by [`common`].
    pub(crate) common: &'a str,
}

/// What all records of a bundle have in common, written once: members of their object.
pub(crate) fn common(digest: &str, name: &str, version: &str, calibrator_version: &str) -> String {
    let mut json = Writer::some();
    json.text("bundle_digest", digest);
    json.text("bundle_name", name);
    json.text("bundle_version", version);
    json.text("calibrator_version", calibrator_version);
    json.integer_or_null("release_sequence", None);
    json.text("slot", "stable");
    json.empty_list("shadow");
    json.into_members()
}

/// What the caller said about the event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event<'a> {
    /// The caller's id of the decision.
    pub decision_id: Option<&'a str>,
    /// The caller's id of the request that led here.
    pub correlation_id: Option<&'a str>,
    /// When the event happened, milliseconds since 1970.
    pub event_time: Option<i64>,
    /// Names that the schema does not know.
    pub unknown: &'a [String],
    /// Position in the log.
    pub counter: u64,
}

impl Decision {
    /// Whether anything kept the whole model from speaking on whole data.
    pub fn degraded(&self) -> bool {
        self.stand_ins > 0
    }

    /// The decision's numbers, the same bytes from every shell.
    pub fn compact(&self) -> Compact {
        let (margin, probability) = match self.scored {
            Some((margin, probability)) => (margin.0, probability.get()),
            None => (f64::NAN, f64::NAN),
        };
        let costs = self.expected_cost.map_or([f64::NAN; 3], |costs| [costs.allow, costs.challenge, costs.block]);
        let [a, b, c, d] = u32::try_from(self.stand_ins).unwrap_or(u32::MAX).to_le_bytes();
        let head = [self.action as u8, self.source.number(), u8::from(self.degraded()), 0, a, b, c, d];
        let [allow, challenge, block] = costs;
        let numbers = [margin, probability, allow, challenge, block].map(|number| one_nan(number).to_le_bytes());
        let mut out = [0; 64];
        let words = core::iter::once(head).chain(numbers);
        out.as_chunks_mut::<8>().0.iter_mut().zip(words).for_each(|(to, from)| *to = from);
        out
    }

    /// The record as JSON; the same decision gives the same bytes on every runtime.
    pub(crate) fn record(&self, setting: Setting<'_>, row: &FeatureRow, event: Event<'_>) -> String {
        let mut json = Writer::object();
        json.text_or_null("decision_id", event.decision_id);
        json.text_or_null("correlation_id", event.correlation_id);
        json.integer_or_null("event_time", event.event_time);
        json.text("use_case", &setting.policy.use_case);
        json.text("action", self.action.name());
        let label = setting.policy.labels.iter().zip(Action::ALL).find(|(_, action)| *action == self.action);
        json.text_or_null("label", label.map(|(label, _)| label.as_str()));
        json.text("source", self.source.name());
        json.text_or_null("source_detail", self.source_detail(setting));
        json.number("margin", self.scored.map(|(margin, _)| margin.0));
        json.number("probability", self.scored.map(|(_, probability)| probability.get()));
        self.write_economics(&mut json);
        let segment = self.segment.and_then(|index| setting.policy.segments.get(index));
        json.text_or_null("segment", segment.map(|segment| segment.name.as_str()));
        let (reasons, found) = setting.reasons;
        reasons.write(&mut json, found, false, setting.approximate);
        // Rules, overrides, releases and shadows are written by later versions.
        ["rules_fired", "overrides"].iter().for_each(|key| json.empty_list(key));
        write_states(&mut json, setting.schema, row);
        json.list("unknown_features", event.unknown.iter().map(String::as_str));
        json.boolean("degraded", self.degraded());
        json.members(setting.common);
        json.integer_or_null("counter", i64::try_from(event.counter).ok());
        json.text("module_version", env!("CARGO_PKG_VERSION"));
        json.integer_or_null("record_version", Some(1));
        json.finish()
    }

    fn source_detail<'a>(&self, setting: Setting<'a>) -> Option<&'a str> {
        let policy = setting.policy;
        match self.source {
            Source::CutOffs => None,
            Source::Segment(index) | Source::SegmentCap(index) => policy.segments.get(index).map(|s| s.name.as_str()),
            Source::MissingCap(id) | Source::MissingFloor(id) => setting.schema.get(id).map(|f| f.name.as_str()),
            Source::Required(index) => policy.required.get(index).map(|group| group.name.as_str()),
        }
    }

    fn write_economics(&self, json: &mut Writer) {
        json.open("cutoffs");
        json.number("challenge", self.cutoffs.challenge());
        json.number("block", Some(self.cutoffs.block()));
        json.close();
        match self.expected_cost {
            None => json.null("expected_cost"),
            Some(costs) => {
                json.open("expected_cost");
                json.number("allow", Some(costs.allow));
                json.number("challenge", Some(costs.challenge));
                json.number("block", Some(costs.block));
                json.close();
            }
        }
    }
}

/// Engines may give a NaN any sign and payload; what leaves the core has one form.
pub fn one_nan(number: f64) -> f64 {
    if number.is_nan() { f64::NAN } else { number }
}

/// Only what is not present, by feature name, in schema order.
fn write_states(json: &mut Writer, schema: &Schema, row: &FeatureRow) {
    json.open("feature_states");
    let cells = schema.features().iter().zip(row.states());
    for (feature, state) in cells.filter(|(_, state)| **state != State::Present) {
        json.text(&feature.name, state.name());
    }
    json.close();
}
