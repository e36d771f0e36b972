//! JSON as XGBoost writes it.
//!
//! A reader of our own for two reasons: XGBoost writes `NaN` and `Infinity` where they
//! occur, which is no JSON, and its decimals are singles: by way of a double, one that
//! lies half-way between two singles would be rounded twice.

use super::value::{DEPTH, ListBuilder, Value, add_member};
use crate::failure::{Failure, Result};
use std::collections::BTreeMap;

/// Reads a document.
pub(super) fn read(bytes: &[u8]) -> Result<Value> {
    let mut reader = Reader { bytes, at: 0 };
    let value = reader.value(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.refused("something follows the end of the document")),
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn refused(&self, what: &str) -> Failure {
        Failure::refused("MODEL", format!("JSON, byte {}: {what}", self.at))
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.bytes.get(self.at).copied()
    }

    /// Whether this byte comes next; passes it if so.
    fn passes(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value> {
        if depth > DEPTH {
            return Err(self.refused("nested too deeply"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.text().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.word(),
            None => Err(self.refused("the file is cut short")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value> {
        self.at += 1;
        let mut members = BTreeMap::new();
        if self.passes(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.refused("a name was expected"));
            }
            let name = self.text()?;
            if !self.passes(b':') {
                return Err(self.refused("a colon was expected"));
            }
            let value = self.value(depth + 1)?;
            add_member(&mut members, name, value)?;
            if self.passes(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.passes(b',') {
                return Err(self.refused("a comma or the end of the object was expected"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value> {
        self.at += 1;
        let mut list = ListBuilder::default();
        if self.passes(b']') {
            return Ok(list.finish());
        }
        loop {
            list.push(self.value(depth + 1)?);
            if self.passes(b']') {
                return Ok(list.finish());
            }
            if !self.passes(b',') {
                return Err(self.refused("a comma or the end of the list was expected"));
            }
        }
    }

    fn text(&mut self) -> Result<String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let mut escaped = false;
        let end = rest.iter().skip(1).position(|byte| {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        });
        let raw = end.and_then(|end| rest.get(..end + 2)).ok_or_else(|| self.refused("a text without end"))?;
        let text = serde_json::from_slice(raw).map_err(|error| self.refused(&format!("a text: {error}")))?;
        self.at += raw.len();
        Ok(text)
    }

    /// What comes next, as far as these bytes go.
    fn run(&self, belongs: impl Fn(u8) -> bool) -> &'b str {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| belongs(**byte)).count();
        std::str::from_utf8(rest.get(..length).unwrap_or_default()).unwrap_or_default()
    }

    fn number(&mut self) -> Result<Value> {
        let text = self.run(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        if text == "-" {
            return self.word();
        }
        let whole = text.parse::<i64>().ok().filter(|whole| whole.unsigned_abs() < 1 << 53);
        let number = whole.map(|whole| whole as f64).or_else(|| text.parse::<f32>().ok().map(f64::from));
        let number = number.ok_or_else(|| self.refused("not a number"))?;
        self.at += text.len();
        Ok(Value::Number(number))
    }

    fn word(&mut self) -> Result<Value> {
        let word = self.run(|byte| byte.is_ascii_alphabetic() || byte == b'-');
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            "NaN" | "-NaN" => Value::Number(f64::NAN),
            "Infinity" => Value::Number(f64::INFINITY),
            "-Infinity" => Value::Number(f64::NEG_INFINITY),
            _ => return Err(self.refused("a value was expected")),
        };
        self.at += word.len();
        Ok(value)
    }
}
