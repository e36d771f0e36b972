//! A JSON writer with one spelling for each value: no spaces, keys in the order they
//! are written, shortest numbers that read back to the same bits.

use alloc::string::String;
use core::fmt::Write;

/// An object being written.
pub(crate) struct Writer {
    text: String,
    first: bool,
}

impl Writer {
    pub(crate) fn object() -> Self {
        Self { text: String::from("{"), first: true }
    }

    pub(crate) fn finish(mut self) -> String {
        self.text.push('}');
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
        if !core::mem::take(&mut self.first) {
            self.text.push(',');
        }
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
            Some(value) => self.raw(key, format_args!("{}", zmij::Buffer::new().format_finite(value))),
            None => self.null(key),
        }
    }

    pub(crate) fn integer_or_null(&mut self, key: &str, value: Option<i64>) {
        match value {
            Some(value) => self.raw(key, format_args!("{value}")),
            None => self.null(key),
        }
    }

    /// A member that was written by another writer.
    pub(crate) fn object_text(&mut self, key: &str, object: &str) {
        self.raw(key, format_args!("{object}"));
    }

    pub(crate) fn boolean(&mut self, key: &str, value: bool) {
        self.raw(key, format_args!("{value}"));
    }

    pub(crate) fn null(&mut self, key: &str) {
        self.raw(key, format_args!("null"));
    }

    pub(crate) fn empty_list(&mut self, key: &str) {
        self.raw(key, format_args!("[]"));
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

    fn raw(&mut self, key: &str, value: core::fmt::Arguments<'_>) {
        self.key(key);
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(value);
    }

    fn key(&mut self, key: &str) {
        if !core::mem::take(&mut self.first) {
            self.text.push(',');
        }
        self.string(key);
        self.text.push(':');
    }

    fn string(&mut self, value: &str) {
        self.text.push('"');
        for character in value.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                c if c < ' ' => {
                    let _ = write!(self.text, "\\u{:04x}", c as u32);
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }
}
