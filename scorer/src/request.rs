//! JSON requests, read in one pass straight into a [`FeatureRow`].
//!
//! ```json
//! {"decision_id": "d-1", "correlation_id": "c-1", "event_time": 1760000000000,
//!  "features": {"ip_signups_1h": 7, "is_tor": false, "country": "DE"},
//!  "context": {"merchant": "m-7"}, "states": {"asn_risk": "timed_out"}}
//! ```
//! Only `features` has to be there. Bad *values* lead to feature states; a request that
//! is not of this form is an error that names the byte.

use crate::error::{Code, Error, Result, ensure};
use crate::features::{FeatureRow, Raw, State};
use crate::limits;
use crate::schema::{FeatureId, Schema};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What is wrong with bytes that are no JSON.
const NO_JSON: &str = "request: not valid JSON, byte";

/// One request: the row to score and what the record repeats of it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The caller's id of the decision.
    pub decision_id: Option<String>,
    /// The caller's id of the request that led here.
    pub correlation_id: Option<String>,
    /// When the event happened, milliseconds since 1970.
    pub event_time: Option<i64>,
    /// Position in the caller's log; without it the scorer counts itself.
    pub counter: Option<u64>,
    /// Names that the schema does not know: the first few, for the record.
    pub unknown: Vec<String>,
    /// The checked row.
    pub row: FeatureRow,
}

impl Request {
    /// Parses a JSON request.
    ///
    /// # Errors
    /// `LIMIT` when it is too long, `REQUEST` with the byte offset when it is not JSON
    /// of the form above.
    pub fn parse(schema: &Schema, json: &[u8]) -> Result<Self> {
        ensure(json.len() <= limits::REQUEST_BYTES, Code::Limit, "request: longer than any may be")?;
        // Checked once, and not text by text as they are read.
        let text =
            core::str::from_utf8(json).map_err(|error| Error::new(Code::Request, NO_JSON).at(error.valid_up_to()))?;
        let mut reader = Reader::new(schema);
        let mut input = serde_json::Deserializer::from_str(text);
        let read = reader.deserialize(&mut input).and_then(|()| input.end());
        read.map_err(|error| {
            let what = reader.problem.unwrap_or(NO_JSON);
            Error::new(Code::Request, what).at(offset(json, error.line(), error.column()))
        })?;
        reader.finish()
    }

    /// A request of values and states by feature name, for shells that read no JSON.
    ///
    /// # Errors
    /// `REQUEST` for a state that there is not.
    pub fn of<'a>(
        schema: &Schema,
        values: impl Iterator<Item = (&'a str, Raw<'a>)>,
        states: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let mut reader = Reader { has_features: true, ..Reader::new(schema) };
        for (name, raw) in values {
            match schema.find(name) {
                Some(id) => reader.store(id, raw),
                None => reader.unknown(name),
            }
        }
        for (name, state) in states {
            reader.state(name, state).map_err(|what| Error::new(Code::Request, what))?;
        }
        reader.finish()
    }
}

/// Byte offset of a line and column, both counted from 1.
fn offset(json: &[u8], line: usize, column: usize) -> usize {
    let mut newlines = json.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let start = if line > 1 { newlines.nth(line - 2).unwrap_or(0) } else { 0 };
    start + column.saturating_sub(1)
}

/// The state of one parse.
struct Reader<'s> {
    schema: &'s Schema,
    request: Request,
    seen: Vec<bool>,
    states: Vec<(FeatureId, State)>,
    has_features: bool,
    problem: Option<&'static str>,
}

impl<'s> Reader<'s> {
    fn new(schema: &'s Schema) -> Self {
        let request = Request { row: FeatureRow::empty(schema), ..Request::default() };
        let seen = alloc::vec![false; schema.features().len()];
        Self { schema, request, seen, states: Vec::new(), has_features: false, problem: None }
    }

    /// States said by the caller outrank values, wherever they stood in the request.
    fn finish(mut self) -> Result<Request> {
        ensure(self.has_features, Code::Request, "request: no object named features")?;
        for (id, state) in &self.states {
            self.request.row.set(self.schema, *id, Raw::Without(*state));
        }
        Ok(self.request)
    }

    /// Stores a value; a second one for the same feature makes it invalid.
    fn store(&mut self, id: FeatureId, raw: Raw<'_>) {
        let twice = self.seen.get_mut(id.0).is_some_and(|seen| core::mem::replace(seen, true));
        self.request.row.set(self.schema, id, if twice { Raw::Other } else { raw });
    }

    /// The feature of a name; one that the schema does not know is noted.
    fn known(&mut self, name: &str, likely: FeatureId) -> Option<FeatureId> {
        if self.schema.get(likely).is_some_and(|feature| feature.name == name) {
            return Some(likely);
        }
        let id = self.schema.find(name);
        if id.is_none() {
            self.unknown(name);
        }
        id
    }

    fn unknown(&mut self, name: &str) {
        if self.request.unknown.len() < limits::UNKNOWN_NAMES {
            let end = name.floor_char_boundary(limits::NAME_BYTES);
            self.request.unknown.push(name.get(..end).unwrap_or_default().into());
        }
    }

    /// Keeps a state that the caller says.
    fn state(&mut self, name: &str, state: &str) -> Result<(), &'static str> {
        let state = State::from_name(state).filter(|state| *state != State::Present);
        let state = state.ok_or("request: unknown feature state, byte")?;
        match self.schema.find(name) {
            Some(id) if self.states.len() < limits::FEATURES => self.states.push((id, state)),
            Some(_) => return Err("request: too many feature states, byte"),
            None => self.unknown(name),
        }
        Ok(())
    }

    fn fail<E: serde::de::Error>(&mut self, problem: &'static str) -> E {
        self.problem = Some(problem);
        E::custom("")
    }

    fn text<E: serde::de::Error>(&mut self, text: Option<String>) -> Result<Option<String>, E> {
        match text {
            Some(text) if text.len() > limits::TEXT_BYTES => Err(self.fail("request: id is too long, byte")),
            text => Ok(text),
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Key(Field::of))? {
            match field {
                Some(Field::Features) => {
                    self.has_features = true;
                    map.next_value_seed(Values(self))?;
                }
                Some(Field::Context) => map.next_value_seed(Values(self))?,
                Some(Field::States) => map.next_value_seed(States(self))?,
                Some(Field::DecisionId) => {
                    let text = map.next_value()?;
                    self.request.decision_id = self.text(text)?;
                }
                Some(Field::CorrelationId) => {
                    let text = map.next_value()?;
                    self.request.correlation_id = self.text(text)?;
                }
                Some(Field::EventTime) => self.request.event_time = map.next_value()?,
                Some(Field::Counter) => self.request.counter = map.next_value()?,
                None => return Err(self.fail("request: unknown field, byte")),
            }
        }
        Ok(())
    }
}

/// The fields of a request.
#[derive(Clone, Copy)]
enum Field {
    Features,
    Context,
    States,
    DecisionId,
    CorrelationId,
    EventTime,
    Counter,
}

impl Field {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "features" => Self::Features,
            "context" => Self::Context,
            "states" => Self::States,
            "decision_id" => Self::DecisionId,
            "correlation_id" => Self::CorrelationId,
            "event_time" => Self::EventTime,
            "counter" => Self::Counter,
            _ => return None,
        })
    }
}

/// A key, used where it lies: a copy of each would cost more than reading it.
struct Key<F>(F);

impl<'de, T, F: FnOnce(&str) -> T> DeserializeSeed<'de> for Key<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, T, F: FnOnce(&str) -> T> Visitor<'de> for Key<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<T, E> {
        Ok((self.0)(name))
    }
}

/// The object of values by feature name.
struct Values<'r, 's>(&'r mut Reader<'s>);

impl<'de> DeserializeSeed<'de> for Values<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Values<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of feature values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        // Most callers keep to the order of the schema, so the next feature is tried first.
        let mut next = FeatureId(0);
        while let Some(known) = map.next_key_seed(Key(|name: &str| self.0.known(name, next)))? {
            match known {
                Some(id) => {
                    map.next_value_seed(Value { reader: self.0, id })?;
                    next = FeatureId(id.0 + 1);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// One feature's value, of any JSON type.
struct Value<'r, 's> {
    reader: &'r mut Reader<'s>,
    id: FeatureId,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a feature value")
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.reader.store(self.id, Raw::Number(number));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.reader.store(self.id, Raw::Number(number as f64));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.reader.store(self.id, Raw::Number(number as f64));
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.reader.store(self.id, Raw::Boolean(flag));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.reader.store(self.id, Raw::Text(text));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.reader.store(self.id, Raw::Without(State::Null));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.reader.store(self.id, Raw::Other);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.reader.store(self.id, Raw::Other);
        Ok(())
    }
}

/// The object of states by feature name.
struct States<'r, 's>(&'r mut Reader<'s>);

impl<'de> DeserializeSeed<'de> for States<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for States<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of feature states")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, state)) = map.next_entry::<String, String>()? {
            self.0.state(&name, &state).map_err(|problem| self.0.fail(problem))?;
        }
        Ok(())
    }
}
