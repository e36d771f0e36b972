//! Strict, deterministic CBOR: one value has one encoding.
//!
//! Three steps, each linear in the document: a scan that enforces shape and limits
//! without allocating, a typed decode, and a comparison of the canonical encoding
//! with the bytes at hand. The last refuses unknown fields, doubled or unordered
//! keys, non-minimal integers, half floats and trailing bytes in one stroke.

use crate::error::{Code, Error, Result, ensure};
use crate::limits;
use minicbor::decode::Error as DecodeError;
use minicbor::encode::Write;
use minicbor::{Decode, Decoder, Encode, Encoder};

/// Decodes a structured document that must be exactly what our encoder writes.
pub fn decode<'b, T>(bytes: &'b [u8]) -> Result<T>
where
    T: Decode<'b, ()> + Encode<()>,
{
    scan(bytes)?;
    let value: T = minicbor::decode(bytes).map_err(|error| {
        let malformed = Error::new(Code::Malformed, "structured part: wrong type or missing field, byte offset");
        error.position().map_or(malformed, |position| malformed.at(position))
    })?;
    let mut rest = Compare(bytes);
    Encoder::new(&mut rest)
        .encode(&value)
        .map_err(|_| Error::new(Code::Malformed, "structured part: not in canonical form"))?;
    ensure(rest.0.is_empty(), Code::Malformed, "structured part: trailing bytes")?;
    Ok(value)
}

/// Reads a struct from a map with integer keys; `or none` marks fields that may be absent.
/// Derived code would also read nulls and maps of indefinite length, which [`decode`] refuses
/// anyway, and be twice as long for it.
macro_rules! map {
    ($target:ty { $($key:literal => $field:ident $(as $bytes:ident)? $(or $none:ident)?),* }) => {
        impl<'b, C> minicbor::Decode<'b, C> for $target {
            fn decode(
                decoder: &mut minicbor::Decoder<'b>,
                _context: &mut C,
            ) -> Result<Self, minicbor::decode::Error> {
                $(let mut $field = None;)*
                for _ in 0..crate::cbor::members(decoder)? {
                    match decoder.u32()? {
                        $($key => $field = Some(crate::cbor::map!(@read decoder, _context $(, $bytes)?)),)*
                        _ => return Err(minicbor::decode::Error::message("unknown field")),
                    }
                }
                Ok(Self { $($field: crate::cbor::map!(@take $field $(, $none)?),)* })
            }
        }
    };
    (@read $decoder:ident, $context:ident) => { minicbor::Decode::decode($decoder, $context)? };
    (@read $decoder:ident, $context:ident, $bytes:ident) => { minicbor::$bytes::decode($decoder, $context)? };
    (@take $field:ident) => { $field.ok_or(crate::cbor::missing())? };
    (@take $field:ident, $none:ident) => { $field };
}

pub(crate) use map;

/// Members of a map of definite length.
pub(crate) fn members(decoder: &mut Decoder<'_>) -> Result<u64, DecodeError> {
    decoder.map()?.ok_or(DecodeError::message("indefinite length"))
}

/// A field that has to be there is not.
pub(crate) fn missing() -> DecodeError {
    DecodeError::message("missing field")
}

/// A writer that accepts only the bytes it was given: equality without a copy.
struct Compare<'b>(&'b [u8]);

/// What was written differs from what is there.
#[derive(Debug)]
struct Differs;

impl Write for Compare<'_> {
    type Error = Differs;

    fn write_all(&mut self, written: &[u8]) -> core::result::Result<(), Differs> {
        self.0 = self.0.strip_prefix(written).ok_or(Differs)?;
        Ok(())
    }
}

/// Walks the items of one document: definite lengths, bounded depth and sizes.
#[inline(never)]
fn scan(bytes: &[u8]) -> Result<()> {
    // Items still expected at each open level; the document itself is one item.
    let mut open = [0u64; limits::CBOR_DEPTH + 1];
    let mut depth = 0usize;
    if let Some(level) = open.first_mut() {
        *level = 1;
    }
    let mut rest = bytes;
    loop {
        while open.get(depth).copied() == Some(0) {
            if depth == 0 {
                return ensure(rest.is_empty(), Code::Malformed, "structured part: trailing bytes");
            }
            depth -= 1;
        }
        if let Some(level) = open.get_mut(depth) {
            *level -= 1;
        }
        let at = bytes.len() - rest.len();
        let children = item(&mut rest).map_err(|error| error.at(at))?;
        if children > 0 {
            depth += 1;
            match open.get_mut(depth) {
                Some(level) => *level = children,
                None => return Err(Error::new(Code::Limit, "structured part: nested too deeply").at(at)),
            }
        }
    }
}

/// Steps over one item head (and string content); returns how many items it holds.
fn item(rest: &mut &[u8]) -> Result<u64> {
    let (&head, tail) = rest.split_first().ok_or(Error::new(Code::Length, "structured part: ends early"))?;
    *rest = tail;
    let (major, info) = (head >> 5, head & 31);
    let argument = match info {
        0..=23 => u64::from(info),
        24..=27 => big_endian(rest, 1 << (info - 24))?,
        _ => return Err(Error::new(Code::Malformed, "structured part: indefinite length")),
    };
    let left = rest.len() as u64;
    match major {
        0 | 1 => Ok(0),
        2 | 3 => {
            ensure(argument <= left, Code::Limit, "structured part: string longer than the document")?;
            *rest = usize::try_from(argument).ok().and_then(|n| rest.get(n..)).unwrap_or_default();
            Ok(0)
        }
        4 | 5 => {
            ensure(argument <= left, Code::Limit, "structured part: more items than bytes")?;
            Ok(if major == 5 { argument * 2 } else { argument })
        }
        6 => Err(Error::new(Code::Malformed, "structured part: tags are not used")),
        _ => Ok(0),
    }
}

fn big_endian(rest: &mut &[u8], size: usize) -> Result<u64> {
    let (bytes, tail) = rest.split_at_checked(size).ok_or(Error::new(Code::Length, "structured part: ends early"))?;
    *rest = tail;
    Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn check(bytes: &[u8], expect: Result<u64, Code>) {
        assert_eq!(decode::<Vec<u64>>(bytes).map(|v| v.iter().sum()).map_err(|e| e.code), expect);
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        check(&[0x82, 1, 2], Ok(3));
        check(&[0x82, 0x18, 1, 2], Err(Code::Malformed)); // 1 in two bytes
        check(&[0x82, 1, 2, 0], Err(Code::Malformed)); // trailing
        check(&[0x9f, 1, 0xff], Err(Code::Malformed)); // indefinite
        check(&[0x82, 0x19, 1], Err(Code::Length)); // an item cut short
        check(&[0x82, 1], Err(Code::Limit)); // more items than bytes
        check(&[0x81, 0xf9, 0, 0], Err(Code::Malformed)); // float for integer
        check(&[0x81, 0x20], Err(Code::Malformed)); // negative
        check(&[0x81, 0xc1, 1], Err(Code::Malformed)); // tag
        check(&[0xa1, 0, 1], Err(Code::Malformed)); // map for array
    }

    #[test]
    fn bombs_are_refused_before_allocating() {
        check(&[0x81; 10_000], Err(Code::Limit));
        check(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Err(Code::Limit));
        check(&[0x81, 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Err(Code::Limit));
    }
}
