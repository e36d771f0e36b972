//! A JSON writer with one spelling for each value: no spaces, keys in the order they
//! are written, shortest numbers that read back to the same bits.

use alloc::string::String;
use core::fmt::Write;

/// Room that a writer starts with: what a record without reasons takes.
const USUAL_BYTES: usize = 1280;

/// An object being written.
pub(crate) struct Writer {
    text: String,
    first: bool,
}

impl Writer {
    pub(crate) fn object() -> Self {
        let mut text = String::with_capacity(USUAL_BYTES);
        text.push('{');
        Self { text, first: true }
    }

    pub(crate) fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }

    /// Members for [`Writer::members`].
    pub(crate) fn some() -> Self {
        Self { text: String::new(), first: true }
    }

    pub(crate) fn into_members(self) -> String {
        self.text
    }

    pub(crate) fn open(&mut self, key: &str) {
        self.key(key);
        self.text.push('{');
        self.first = true;
    }

    pub(crate) fn close(&mut self) {
        self.text.push('}');
        self.first = false;
    }

    pub(crate) fn open_list(&mut self, key: &str) {
        self.key(key);
        self.text.push('[');
        self.first = true;
    }

    /// Opens an object in a list; `close` ends it.
    pub(crate) fn open_item(&mut self) {
        self.comma();
        self.text.push('{');
        self.first = true;
    }

    pub(crate) fn close_list(&mut self) {
        self.text.push(']');
        self.first = false;
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.string(value);
    }

    pub(crate) fn text_or_null(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(key, value),
            None => self.null(key),
        }
    }

    /// A number; one that is not finite has no JSON and is written as null.
    pub(crate) fn number(&mut self, key: &str, value: Option<f64>) {
        match value.filter(|value| value.is_finite()) {
            // The shortest form that reads back, with an exponent where long.
            Some(value) => self.raw(key, zmij::Buffer::new().format_finite(value)),
            None => self.null(key),
        }
    }

    pub(crate) fn integer_or_null(&mut self, key: &str, value: Option<i64>) {
        match value {
            Some(value) => {
                self.key(key);
                // Writing to a String cannot fail.
                let _ = write!(self.text, "{value}");
            }
            None => self.null(key),
        }
    }

    /// A member that was written by another writer.
    pub(crate) fn object_text(&mut self, key: &str, object: &str) {
        self.raw(key, object);
    }

    /// Members that another writer wrote, without their braces.
    pub(crate) fn members(&mut self, members: &str) {
        self.comma();
        self.text.push_str(members);
    }

    pub(crate) fn boolean(&mut self, key: &str, value: bool) {
        self.raw(key, if value { "true" } else { "false" });
    }

    pub(crate) fn null(&mut self, key: &str) {
        self.raw(key, "null");
    }

    pub(crate) fn empty_list(&mut self, key: &str) {
        self.raw(key, "[]");
    }

    pub(crate) fn list<'a>(&mut self, key: &str, values: impl Iterator<Item = &'a str>) {
        self.key(key);
        self.text.push('[');
        for (index, value) in values.enumerate() {
            if index > 0 {
                self.text.push(',');
            }
            self.string(value);
        }
        self.text.push(']');
    }

    fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.text.push_str(value);
    }

    fn key(&mut self, key: &str) {
        self.comma();
        self.string(key);
        self.text.push(':');
    }

    fn comma(&mut self) {
        if !core::mem::take(&mut self.first) {
            self.text.push(',');
        }
    }

    /// Copies what lies between two characters that need an escape at once: most texts have
    /// none.
    fn string(&mut self, value: &str) {
        self.text.push('"');
        let mut rest = value;
        let special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
        // INVARIANT: what is special is one byte long, so texts are cut between characters.
        while let Some(at) = rest.as_bytes().iter().position(special) {
            self.text.push_str(rest.get(..at).unwrap_or_default());
            self.escape(rest.as_bytes().get(at).copied().unwrap_or_default());
            rest = rest.get(at + 1..).unwrap_or_default();
        }
        self.text.push_str(rest);
        self.text.push('"');
    }

    fn escape(&mut self, special: u8) {
        match special {
            b'"' => self.text.push_str("\\\""),
            b'\\' => self.text.push_str("\\\\"),
            b'\n' => self.text.push_str("\\n"),
            b'\r' => self.text.push_str("\\r"),
            b'\t' => self.text.push_str("\\t"),
            control => {
                let _ = write!(self.text, "\\u{control:04x}");
            }
        }
    }
}
