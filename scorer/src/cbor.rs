//! Strict, deterministic CBOR: one value has one encoding.
//!
//! Two steps, each linear in the document: a scan that enforces shape, limits and the one
//! canonical form without allocating, and a typed decode. The scan refuses doubled or unordered
//! keys, integers and lengths that are not minimal, numbers of less than double precision,
//! nulls, tags, indefinite lengths and trailing bytes; the decode refuses unknown fields. What
//! passes both is byte for byte what our encoder writes, which a test compares.

use crate::error::{Code, Error, Result};
use crate::limits;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Decoder};

/// Decodes a structured document that must be exactly what our encoder writes.
pub fn decode<'b, T>(bytes: &'b [u8]) -> Result<T>
where
    T: Decode<'b, ()>,
{
    scan(bytes)?;
    minicbor::decode(bytes).map_err(|error| {
        let malformed = Error::new(Code::Malformed, "structured part: wrong type or missing field, byte offset");
        error.position().map_or(malformed, |position| malformed.at(position))
    })
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

/// An open array or map.
#[derive(Clone, Copy, Default)]
struct Level<'b> {
    /// Items still expected.
    left: u64,
    /// Every other item is a key.
    map: bool,
    /// The key before.
    key: Option<&'b [u8]>,
}

/// One item: its major type, how many items it holds, and what keys are ordered by.
struct Item<'b> {
    major: u8,
    children: u64,
    content: &'b [u8],
}

/// Walks the items of one document: canonical, of definite lengths, bounded depth and sizes.
#[inline(never)]
fn scan(bytes: &[u8]) -> Result<()> {
    // The document itself is one item.
    let mut open = [Level::default(); limits::CBOR_DEPTH + 1];
    let mut depth = 0usize;
    if let Some(level) = open.first_mut() {
        level.left = 1;
    }
    let mut rest = bytes;
    loop {
        while open.get(depth).is_some_and(|level| level.left == 0) {
            if depth == 0 {
                return malformed(rest.is_empty(), "structured part: trailing bytes");
            }
            depth -= 1;
        }
        let at = bytes.len() - rest.len();
        let found = item(&mut rest).map_err(|error| error.at(at))?;
        if let Some(level) = open.get_mut(depth) {
            level.left -= 1;
            // A key that is a list or a map is left to the decode, after the limits.
            if level.map && level.left % 2 == 1 && matches!(found.major, 0 | 3) {
                let ordered = level.key.is_none_or(|key| key < found.content);
                malformed(ordered, "structured part: keys not in order").map_err(|error| error.at(at))?;
                level.key = Some(found.content);
            }
        }
        if found.children > 0 {
            depth += 1;
            let level = open.get_mut(depth);
            let level = level.ok_or(Error::new(Code::Limit, "structured part: nested too deeply").at(at))?;
            *level = Level { left: found.children, map: found.major == 5, key: None };
        }
    }
}

fn malformed(sound: bool, what: &'static str) -> Result<()> {
    if sound { Ok(()) } else { Err(Error::new(Code::Malformed, what)) }
}

/// Steps over one item head (and string content).
fn item<'b>(rest: &mut &'b [u8]) -> Result<Item<'b>> {
    let whole = *rest;
    let (&head, tail) = rest.split_first().ok_or(Error::new(Code::Length, "structured part: ends early"))?;
    *rest = tail;
    let (major, info) = (head >> 5, head & 31);
    let (argument, least) = match info {
        0..=23 => (u64::from(info), 0),
        24 => (big_endian(rest, 1)?, 24),
        25 => (big_endian(rest, 2)?, 1 << 8),
        26 => (big_endian(rest, 4)?, 1 << 16),
        27 => (big_endian(rest, 8)?, 1 << 32),
        _ => return Err(Error::new(Code::Malformed, "structured part: indefinite length")),
    };
    // Of simple values only booleans, of floats only doubles.
    let canonical = if major == 7 { matches!(info, 20 | 21 | 27) } else { argument >= least };
    malformed(canonical && major != 6, "structured part: not in canonical form")?;
    let left = rest.len() as u64;
    let mut children = 0;
    let mut content = whole.get(..whole.len() - rest.len()).unwrap_or_default();
    match major {
        2 | 3 => {
            let length = usize::try_from(argument).ok();
            let cut = length.and_then(|length| rest.split_at_checked(length));
            (content, *rest) =
                cut.ok_or(Error::new(Code::Limit, "structured part: string longer than the document"))?;
        }
        4 | 5 => {
            if argument > left {
                return Err(Error::new(Code::Limit, "structured part: more items than bytes"));
            }
            children = if major == 5 { argument * 2 } else { argument };
        }
        _ => {}
    }
    Ok(Item { major, children, content })
}

fn big_endian(rest: &mut &[u8], size: usize) -> Result<u64> {
    let (bytes, tail) = rest.split_at_checked(size).ok_or(Error::new(Code::Length, "structured part: ends early"))?;
    *rest = tail;
    Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
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
        check(&[0x81, 0xf6], Err(Code::Malformed)); // null
        check(&[0x98, 1, 1], Err(Code::Malformed)); // a length in two bytes
        check(&[0xa1, 0, 1], Err(Code::Malformed)); // map for array
    }

    /// Whatever is read is what the encoder writes of it.
    fn check_map(bytes: &[u8], expect: bool) {
        let read = decode::<BTreeMap<&str, f64>>(bytes);
        assert_eq!(read.is_ok(), expect, "{bytes:x?}");
        if let Ok(map) = read {
            assert_eq!(minicbor::to_vec(map).unwrap(), bytes);
        }
    }

    #[test]
    fn keys_are_in_order_and_numbers_double() {
        let one = [0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0];
        let map = |keys: &[&[u8]]| {
            let mut bytes = alloc::vec![0xa0 | keys.len() as u8];
            keys.iter().for_each(|key| bytes.extend(key.iter().chain(&one)));
            bytes
        };
        check_map(&map(&[b"\x61a", b"\x61b"]), true);
        check_map(&map(&[b"\x62ab", b"\x61b"]), true); // not by length
        check_map(&map(&[b"\x61b", b"\x61a"]), false);
        check_map(&map(&[b"\x61a", b"\x61a"]), false);
        check_map(&[0xa1, 0x61, b'a', 0xfa, 0x3f, 0x80, 0, 0], false); // single precision
    }

    #[test]
    fn bombs_are_refused_before_allocating() {
        check(&[0x81; 10_000], Err(Code::Limit));
        check(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Err(Code::Limit));
        check(&[0x81, 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Err(Code::Limit));
    }
}
