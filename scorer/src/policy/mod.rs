//! Probability and segment to action: a declarative table, no clock, no I/O.

mod costs;
mod segment;
mod wire;

pub use costs::{CostMatrix, Costs, CutOffs};
pub use segment::{Condition, Segment, Test};
pub use wire::{ConditionWire, CutOffsWire, LabelsWire, PolicyWire, RequiredWire, SegmentWire};

use crate::action::Action;
use crate::calibrator::Probability;
use crate::features::{FeatureRow, State};
use crate::schema::{FeatureId, Schema};
use alloc::string::String;
use alloc::vec::Vec;

/// Which stage of the policy had the last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The policy's own cut-offs.
    CutOffs,
    /// The cut-offs of a segment.
    Segment(usize),
    /// The strongest action that a segment allows.
    SegmentCap(usize),
    /// A stand-in lowered the action.
    MissingCap(FeatureId),
    /// A stand-in raised the action.
    MissingFloor(FeatureId),
    /// A required group is absent as a whole: nothing was scored.
    Required(usize),
}

impl Source {
    /// The stable name of the stage.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CutOffs => "cutoffs",
            Self::Segment(_) => "segment",
            Self::SegmentCap(_) => "segment_cap",
            Self::MissingCap(_) => "missing_cap",
            Self::MissingFloor(_) => "missing_floor",
            Self::Required(_) => "required",
        }
    }

    /// The stage's number in the compact result of the ABI.
    pub const fn number(self) -> u8 {
        match self {
            Self::CutOffs => 0,
            Self::Segment(_) => 1,
            Self::SegmentCap(_) => 2,
            Self::MissingCap(_) => 3,
            Self::MissingFloor(_) => 4,
            Self::Required(_) => 5,
        }
    }
}

/// Features of which at least one must be present for anything to be scored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredGroup {
    /// Its name.
    pub name: String,
    /// Its features.
    pub features: Vec<FeatureId>,
}

/// A decision policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What is decided, for the record.
    pub use_case: String,
    /// How the actions are called here, in the order of [`Action::ALL`].
    pub labels: [String; 3],
    /// The action when nothing can be scored.
    pub fallback: Action,
    /// Cut-offs where no segment matches.
    pub cutoffs: CutOffs,
    /// Costs where no segment matches.
    pub costs: Option<CostMatrix>,
    /// The first match counts.
    pub segments: Vec<Segment>,
    /// Groups that must not be absent as a whole.
    pub required: Vec<RequiredGroup>,
}

/// What a policy says about one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ruling {
    /// The action.
    pub action: Action,
    /// The stage that had the last word.
    pub source: Source,
    /// The segment that the row falls in.
    pub segment: Option<usize>,
    /// The cut-offs that were applied.
    pub cutoffs: CutOffs,
    /// What each action is expected to cost.
    pub expected_cost: Option<Costs>,
}

impl Policy {
    /// The first required group of which nothing is present.
    pub fn absent_group(&self, row: &FeatureRow) -> Option<usize> {
        if row.stand_ins() == 0 {
            return None;
        }
        let absent = |id: &FeatureId| row.present(*id).is_none();
        self.required.iter().position(|group| group.features.iter().all(absent))
    }

    /// Rules on a row: segment, its cut-offs, then the caps and floors in order.
    pub fn rule(&self, schema: &Schema, row: &FeatureRow, probability: Probability) -> Ruling {
        let segment = self.segments.iter().position(|segment| segment.matches(row));
        let chosen = segment.and_then(|index| self.segments.get(index));
        let own = chosen.and_then(|segment| segment.cutoffs.map(|cutoffs| (cutoffs, segment.costs)));
        let (cutoffs, costs) = own.unwrap_or((self.cutoffs, self.costs));
        let mut ruling = Ruling {
            action: cutoffs.action(probability),
            source: segment.filter(|_| own.is_some()).map_or(Source::CutOffs, Source::Segment),
            segment,
            cutoffs,
            expected_cost: costs.map(|matrix| matrix.expected(probability)),
        };
        if let Some((index, segment)) = segment.zip(chosen) {
            ruling.cap(segment.at_most, Source::SegmentCap(index));
        }
        if row.stand_ins() > 0 {
            ruling.bound_by_stand_ins(schema, row);
        }
        ruling
    }
}

impl Ruling {
    fn cap(&mut self, at_most: Action, source: Source) {
        if self.action > at_most {
            (self.action, self.source) = (at_most, source);
        }
    }

    fn raise(&mut self, at_least: Action, source: Source) {
        if self.action < at_least {
            (self.action, self.source) = (at_least, source);
        }
    }

    /// Caps first, then floors: "at least challenge" of one missing feature outweighs
    /// "at most allow" of another. Missing never blocks: no floor is above challenge.
    fn bound_by_stand_ins(&mut self, schema: &Schema, row: &FeatureRow) {
        let standing_in = || {
            let cells = schema.features().iter().zip(row.states()).enumerate();
            cells.filter(|(_, (_, state))| **state != State::Present)
        };
        for (index, (feature, _)) in standing_in() {
            self.cap(feature.when_missing.at_most, Source::MissingCap(FeatureId(index)));
        }
        for (index, (feature, _)) in standing_in() {
            self.raise(feature.when_missing.at_least, Source::MissingFloor(FeatureId(index)));
        }
    }
}
