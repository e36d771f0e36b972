//! Where every input value meets the schema, whatever road it came by.
//!
//! JSON, typed rows and JavaScript objects all arrive as one [`Raw`] per feature.
//! Past this file there are no unknown NaNs, ranges or types.

use crate::error::{Code, Result, ensure};
use crate::schema::{Feature, FeatureId, Kind, Schema};
use alloc::vec::Vec;

/// What is known about a feature's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// A value of the right type and range.
    Present = 0,
    /// Absent from the input.
    #[default]
    Missing = 1,
    /// Given as null.
    Null = 2,
    /// Wrong type, out of range, NaN, unknown category, or given twice.
    Invalid = 3,
    /// The caller says the value is too old.
    Stale = 4,
    /// The caller says the look-up timed out.
    TimedOut = 5,
    /// Withdrawn by an operator.
    Quarantined = 6,
}

impl State {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 7] =
        [Self::Present, Self::Missing, Self::Null, Self::Invalid, Self::Stale, Self::TimedOut, Self::Quarantined];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Missing => "missing",
            Self::Null => "null",
            Self::Invalid => "invalid",
            Self::Stale => "stale",
            Self::TimedOut => "timed_out",
            Self::Quarantined => "quarantined",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A value as it came in, before the schema has its say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Raw<'a> {
    /// Not there, or not usable, for a reason the caller knows.
    Without(State),
    /// A number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Text: the name of a category.
    Text(&'a str),
    /// The code of a category.
    Code(f64),
    /// Anything else: a list, an object, a second value for the same feature.
    Other,
}

impl Raw<'_> {
    /// A cell of a typed row: a value and its tag.
    ///
    /// Tags: 0 number, 1 absent, 2 null, 3 boolean, 4 category code, 5 other,
    /// 6 stale, 7 timed out, 8 quarantined. An unknown tag is "other".
    pub fn from_tagged(value: f64, tag: u8) -> Self {
        match tag {
            0 => Self::Number(value),
            1 => Self::Without(State::Missing),
            2 => Self::Without(State::Null),
            3 if value == 0.0 || value == 1.0 => Self::Boolean(value == 1.0),
            4 => Self::Code(value),
            6 => Self::Without(State::Stale),
            7 => Self::Without(State::TimedOut),
            8 => Self::Without(State::Quarantined),
            _ => Self::Other,
        }
    }

    /// A cell without a tag: NaN is missing, anything else is of the feature's own type.
    pub fn untagged(value: f64, kind: &Kind) -> Self {
        match kind {
            _ if value.is_nan() => Self::Without(State::Missing),
            Kind::Category(_) => Self::Code(value),
            Kind::Boolean => Self::from_tagged(value, 3),
            Kind::Number(_) | Kind::Integer(_) => Self::Number(value),
        }
    }
}

/// A checked row: one value and one state per feature of its schema.
#[derive(Clone, Debug, Default)]
pub struct FeatureRow {
    values: Vec<f64>,
    states: Vec<State>,
    /// Features with a stand-in; zero is by far the commonest case.
    stand_ins: usize,
}

impl FeatureRow {
    /// A row in which every feature is missing.
    pub fn empty(schema: &Schema) -> Self {
        let mut row = Self::default();
        row.clear(schema);
        row
    }

    /// Makes every feature missing again, keeping the memory.
    pub fn clear(&mut self, schema: &Schema) {
        self.values.clear();
        self.values.extend(schema.features().iter().map(|feature| feature.when_missing.stand_in));
        self.states.clear();
        self.states.resize(schema.features().len(), State::Missing);
        self.stand_ins = schema.features().len();
    }

    /// Fills the row from cells in schema order; features beyond them stay missing.
    pub fn fill<'a>(&mut self, schema: &Schema, cells: impl Iterator<Item = Raw<'a>>) {
        self.values.clear();
        self.states.clear();
        self.stand_ins = 0;
        let cells = cells.chain(core::iter::repeat(Raw::Without(State::Missing)));
        for (feature, raw) in schema.features().iter().zip(cells) {
            let (value, state) = admit(feature, raw);
            self.values.push(value);
            self.states.push(state);
            self.stand_ins += usize::from(state != State::Present);
        }
    }

    /// Fills the row from values in schema order, with one tag each or none at all; features
    /// beyond them stay missing.
    ///
    /// # Errors
    /// `MISUSE` for more values than features, or tags that are not one a value.
    pub fn fill_typed(&mut self, schema: &Schema, values: &[f64], tags: Option<&[u8]>) -> Result<()> {
        let fits = values.len() <= schema.features().len() && tags.is_none_or(|tags| tags.len() == values.len());
        ensure(fits, Code::Misuse, "row: more values than features, or not one tag a value")?;
        match tags {
            Some(tags) => {
                self.fill(schema, values.iter().zip(tags).map(|(value, tag)| Raw::from_tagged(*value, *tag)));
            }
            None => {
                let cells = values.iter().zip(schema.features());
                self.fill(schema, cells.map(|(value, feature)| Raw::untagged(*value, &feature.kind)));
            }
        }
        Ok(())
    }

    /// The row as values and tags that [`FeatureRow::fill_typed`] would make it from.
    pub fn cells(&self, schema: &Schema) -> impl Iterator<Item = (f64, u8)> {
        schema.features().iter().zip(self.values.iter().zip(&self.states)).map(|(feature, (value, state))| {
            let tag = match (state, &feature.kind) {
                (State::Present, Kind::Number(_) | Kind::Integer(_)) => 0,
                (State::Present, Kind::Boolean) => 3,
                (State::Present, Kind::Category(_)) => 4,
                (State::Missing, _) => 1,
                (State::Null, _) => 2,
                (State::Invalid, _) => 5,
                (State::Stale, _) => 6,
                (State::TimedOut, _) => 7,
                (State::Quarantined, _) => 8,
            };
            (*value, tag)
        })
    }

    /// Sets one feature.
    pub fn set(&mut self, schema: &Schema, id: FeatureId, raw: Raw<'_>) {
        let cell = schema.get(id).zip(self.values.get_mut(id.0)).zip(self.states.get_mut(id.0));
        let Some(((feature, value), state)) = cell else { return };
        self.stand_ins -= usize::from(*state != State::Present);
        (*value, *state) = admit(feature, raw);
        self.stand_ins += usize::from(*state != State::Present);
    }

    /// The values, stand-ins included, in schema order.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The states, in schema order.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// How many features have a stand-in for their value.
    pub fn stand_ins(&self) -> usize {
        self.stand_ins
    }

    /// The value of a feature, unless something stands in for it.
    pub fn present(&self, id: FeatureId) -> Option<f64> {
        let state = self.states.get(id.0).copied()?;
        self.values.get(id.0).copied().filter(|_| state == State::Present)
    }
}

/// The one place where a raw value becomes a value and a state.
fn admit(feature: &Feature, raw: Raw<'_>) -> (f64, State) {
    let number = match (raw, &feature.kind) {
        (Raw::Without(state), _) => return (feature.when_missing.stand_in, state),
        (Raw::Number(number), Kind::Number(_) | Kind::Integer(_)) => Some(number),
        (Raw::Boolean(flag), Kind::Boolean) => Some(f64::from(u8::from(flag))),
        (Raw::Text(name), Kind::Category(categories)) => categories.code(name).map(|code| code as f64),
        (Raw::Code(code), Kind::Category(_)) => Some(code),
        _ => None,
    };
    match number.filter(|number| feature.kind.allows(*number)) {
        Some(number) => (number, State::Present),
        None => (feature.when_missing.stand_in, State::Invalid),
    }
}
