//! A model document, whichever way it was written, and ways into it that know the path.

use crate::failure::{Failure, Result};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

/// How deep containers may nest; XGBoost needs nine levels.
pub(super) const DEPTH: usize = 64;

/// A value of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// A list of nothing but numbers, which is most of a model; also the empty list.
    Numbers(Vec<f64>),
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

/// A list as it grows: packed as long as it holds numbers only.
#[derive(Debug, Default)]
pub(super) struct ListBuilder {
    numbers: Vec<f64>,
    others: Option<Vec<Value>>,
}

impl ListBuilder {
    pub(super) fn push(&mut self, value: Value) {
        match (&mut self.others, value) {
            (None, Value::Number(number)) => self.numbers.push(number),
            (None, other) => {
                let mut values: Vec<Value> = self.numbers.drain(..).map(Value::Number).collect();
                values.push(other);
                self.others = Some(values);
            }
            (Some(values), value) => values.push(value),
        }
    }

    pub(super) fn finish(self) -> Value {
        self.others.map_or(Value::Numbers(self.numbers), Value::List)
    }
}

/// Adds a member to an object; a name twice would leave open which one counts.
pub(super) fn add_member(members: &mut BTreeMap<String, Value>, name: String, value: Value) -> Result<()> {
    if members.contains_key(&name) {
        return Err(Failure::refused("MODEL", format!("{name} stands twice in one object")));
    }
    members.insert(name, value);
    Ok(())
}

/// A value and how to get there.
#[derive(Clone, Debug)]
pub(super) struct At<'v> {
    pub(super) value: &'v Value,
    path: String,
}

impl<'v> At<'v> {
    pub(super) fn root(value: &'v Value) -> Self {
        Self { value, path: String::new() }
    }

    /// A refusal that names this place.
    pub(super) fn refused(&self, what: impl Display) -> Failure {
        let path = if self.path.is_empty() { "the document" } else { &self.path };
        Failure::refused("MODEL", format!("{path}: {what}"))
    }

    fn below(&self, name: &str, value: &'v Value) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { value, path }
    }

    /// A member, where there is one.
    pub(super) fn optional(&self, name: &str) -> Option<Self> {
        match self.value {
            Value::Object(members) => members.get(name).map(|value| self.below(name, value)),
            _ => None,
        }
    }

    /// A member.
    pub(super) fn get(&self, name: &str) -> Result<Self> {
        self.optional(name).ok_or_else(|| {
            self.refused(format!("{name} is missing; write the model with save_model(\"model.json\") of XGBoost"))
        })
    }

    /// The elements of a list of anything but numbers.
    pub(super) fn list(&self) -> Result<Vec<Self>> {
        let values = match self.value {
            Value::List(values) => values.as_slice(),
            Value::Numbers(numbers) if numbers.is_empty() => &[],
            _ => return Err(self.refused("a list was expected")),
        };
        let element = |(index, value)| Self { value, path: format!("{}[{index}]", self.path) };
        Ok(values.iter().enumerate().map(element).collect())
    }

    /// A list of numbers.
    pub(super) fn numbers(&self) -> Result<&'v [f64]> {
        match self.value {
            Value::Numbers(numbers) => Ok(numbers),
            _ => Err(self.refused("a list of numbers was expected")),
        }
    }

    /// A list of numbers of which there must be so many.
    pub(super) fn array(&self, count: usize) -> Result<&'v [f64]> {
        let numbers = self.numbers()?;
        if numbers.len() == count {
            return Ok(numbers);
        }
        Err(self.refused(format!("{} entries where {count} belong", numbers.len())))
    }

    /// Flags, as numbers or, up to XGBoost 1.5, as booleans.
    pub(super) fn flags(&self, count: usize) -> Result<Vec<bool>> {
        let Value::List(values) = self.value else {
            return Ok(self.array(count)?.iter().map(|number| *number != 0.0).collect());
        };
        let flag = |value: &Value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        };
        let flags: Option<Vec<bool>> = values.iter().map(flag).collect();
        flags.filter(|flags| flags.len() == count).ok_or_else(|| self.refused(format!("{count} flags were expected")))
    }

    /// A text.
    pub(super) fn text(&self) -> Result<&'v str> {
        match self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.refused("a text was expected")),
        }
    }

    /// A parameter: XGBoost writes numbers as texts.
    pub(super) fn parameter<T: FromStr>(&self) -> Result<T> {
        let parsed = match self.value {
            Value::Text(text) => text.trim().parse().ok(),
            Value::Number(number) => number.to_string().parse().ok(),
            _ => None,
        };
        parsed.ok_or_else(|| self.refused("not the number expected"))
    }
}

/// A number as a position or count.
pub(super) fn index(number: f64) -> Option<usize> {
    let whole = (0.0..=f64::from(i32::MAX)).contains(&number) && number.fract() == 0.0;
    whole.then_some(number as usize)
}
