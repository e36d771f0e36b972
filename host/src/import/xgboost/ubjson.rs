//! Universal Binary JSON, draft 12, as XGBoost writes it: big-endian numbers, containers
//! with counts, lists of one type.
//!
//! A reader of our own: few crates read UBJSON, and none bounds what a count in a hostile
//! file may allocate. Here nothing is allocated that the bytes left could not fill.

use super::value::{DEPTH, ListBuilder, Value, add_member};
use crate::failure::{Failure, Result};
use std::collections::BTreeMap;

/// Reads a document.
pub(super) fn read(bytes: &[u8]) -> Result<Value> {
    let mut reader = Reader { bytes, at: 0 };
    let marker = reader.marker()?;
    let value = reader.value(marker, 0)?;
    match reader.bytes.get(reader.at) {
        None => Ok(value),
        Some(_) => Err(reader.refused("something follows the end of the document")),
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

/// What a container says about its elements.
struct Header {
    /// The type of all of them.
    kind: Option<u8>,
    /// Their number; without one, the container has an end marker.
    count: Option<usize>,
}

impl<'b> Reader<'b> {
    fn refused(&self, what: &str) -> Failure {
        Failure::refused("MODEL", format!("UBJSON, byte {}: {what}", self.at))
    }

    fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        let end = self.at.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.refused("the file is cut short"))?;
        self.at += count;
        Ok(taken)
    }

    /// The next marker; no-ops are passed.
    fn marker(&mut self) -> Result<u8> {
        loop {
            match self.take(1)? {
                [b'N'] => {}
                [marker] => return Ok(*marker),
                _ => return Err(self.refused("a marker was expected")),
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn value(&mut self, marker: u8, depth: usize) -> Result<Value> {
        if depth > DEPTH {
            return Err(self.refused("nested too deeply"));
        }
        if let Some(size) = size_of_number(marker) {
            let bytes = self.take(size)?;
            return Ok(Value::Number(number(marker, bytes)));
        }
        match marker {
            b'Z' => Ok(Value::Null),
            b'T' => Ok(Value::Bool(true)),
            b'F' => Ok(Value::Bool(false)),
            b'S' => self.text().map(Value::Text),
            b'C' => self.take(1).map(|byte| Value::Text(String::from_utf8_lossy(byte).into_owned())),
            b'[' => self.list(depth),
            b'{' => self.object(depth),
            other => Err(self.refused(&format!("values of type {:?} are not supported", char::from(other)))),
        }
    }

    fn header(&mut self) -> Result<Header> {
        let mut header = Header { kind: None, count: None };
        if self.peek() == Some(b'$') {
            self.at += 1;
            header.kind = Some(self.marker()?);
            if self.peek() != Some(b'#') {
                return Err(self.refused("a type of elements without their number"));
            }
        }
        if self.peek() == Some(b'#') {
            self.at += 1;
            let count = self.length()?;
            let least = header.kind.and_then(size_of_number).unwrap_or(1);
            // Elements without a body would cost memory and no bytes.
            let bodiless = matches!(header.kind, Some(b'Z' | b'T' | b'F'));
            if bodiless || count > self.left() / least {
                return Err(self.refused(&format!("{count} elements do not fit into the bytes left")));
            }
            header.count = Some(count);
        }
        Ok(header)
    }

    fn list(&mut self, depth: usize) -> Result<Value> {
        let header = self.header()?;
        if let (Some(marker), Some(count)) = (header.kind, header.count)
            && let Some(size) = size_of_number(marker)
        {
            let bytes = self.take(count.saturating_mul(size))?;
            return Ok(Value::Numbers(bytes.chunks_exact(size).map(|bytes| number(marker, bytes)).collect()));
        }
        let mut list = ListBuilder::default();
        let mut seen = 0;
        while !self.ends(&header, seen, b']') {
            let marker = header.kind.map_or_else(|| self.marker(), Ok)?;
            list.push(self.value(marker, depth + 1)?);
            seen += 1;
        }
        Ok(list.finish())
    }

    fn object(&mut self, depth: usize) -> Result<Value> {
        let header = self.header()?;
        let mut members = BTreeMap::new();
        let mut seen = 0;
        while !self.ends(&header, seen, b'}') {
            let name = self.text()?;
            let marker = header.kind.map_or_else(|| self.marker(), Ok)?;
            let value = self.value(marker, depth + 1)?;
            add_member(&mut members, name, value)?;
            seen += 1;
        }
        Ok(Value::Object(members))
    }

    /// Whether a container ends here, by its count or by the end marker, which is passed.
    fn ends(&mut self, header: &Header, seen: usize, marker: u8) -> bool {
        if let Some(count) = header.count {
            return seen == count;
        }
        while self.peek() == Some(b'N') {
            self.at += 1;
        }
        let ends = self.peek() == Some(marker);
        self.at += usize::from(ends);
        ends
    }

    fn length(&mut self) -> Result<usize> {
        let marker = self.marker()?;
        let size = size_of_number(marker).filter(|_| !matches!(marker, b'd' | b'D'));
        let bytes = self.take(size.ok_or_else(|| self.refused("a length was expected"))?)?;
        let length = number(marker, bytes);
        super::value::index(length).ok_or_else(|| self.refused(&format!("a length of {length} is not supported")))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.refused("a text is not UTF-8"))
    }
}

/// Bytes of a number of this type.
fn size_of_number(marker: u8) -> Option<usize> {
    match marker {
        b'i' | b'U' => Some(1),
        b'I' => Some(2),
        b'l' | b'd' => Some(4),
        b'L' | b'D' => Some(8),
        _ => None,
    }
}

/// A number from its bytes, of which there are as many as its type takes.
fn number(marker: u8, bytes: &[u8]) -> f64 {
    match (marker, bytes) {
        (b'i', [byte]) => f64::from(*byte as i8),
        (b'U', [byte]) => f64::from(*byte),
        (b'I', [a, b]) => f64::from(i16::from_be_bytes([*a, *b])),
        (b'l', [a, b, c, d]) => f64::from(i32::from_be_bytes([*a, *b, *c, *d])),
        (b'd', [a, b, c, d]) => f64::from(f32::from_be_bytes([*a, *b, *c, *d])),
        (b'L', _) => bytes.as_array().map_or(f64::NAN, |bytes| i64::from_be_bytes(*bytes) as f64),
        (b'D', _) => bytes.as_array().map_or(f64::NAN, |bytes| f64::from_be_bytes(*bytes)),
        _ => f64::NAN,
    }
}
