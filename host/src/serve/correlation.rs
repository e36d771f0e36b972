//! Which request an answer belongs to: the caller's id, its trace, or an id of our own.

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use std::cell::Cell;
use std::fmt::Write;

/// The header of the correlation id, in requests and answers.
pub(super) const CORRELATION_ID: &str = "x-correlation-id";
/// The header of the W3C trace context.
const TRACEPARENT: &str = "traceparent";
/// Bytes of a caller's id; a longer one is replaced.
const ID_BYTES: usize = 128;

/// How one request is named.
#[derive(Clone, Debug)]
pub(super) struct Correlation {
    /// The id that the answer and the log carry: visible ASCII without quotes.
    pub(super) id: HeaderValue,
    /// The caller's trace.
    pub(super) trace: Option<Trace>,
}

/// A valid `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trace {
    text: [u8; 55],
}

impl Trace {
    /// Reads version 00 and, as the specification asks, the known part of later ones.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let known: [u8; 55] = text.get(..55)?.try_into().ok()?;
        let is_hex = |range: std::ops::Range<usize>| {
            known[range].iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte))
        };
        let dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
        let version = &known[..2];
        let whole = text.len() == 55 || (version != b"00" && text[55] == b'-');
        let zero = |range: std::ops::Range<usize>| known[range].iter().all(|byte| *byte == b'0');
        let valid = dashes && is_hex(0..2) && is_hex(3..35) && is_hex(36..52) && is_hex(53..55);
        (valid && whole && version != b"ff" && !zero(3..35) && !zero(36..52)).then_some(Self { text: known })
    }

    /// The trace's id, 32 hexadecimal digits.
    pub(super) fn id(&self) -> &str {
        std::str::from_utf8(&self.text[3..35]).unwrap_or_default()
    }
}

/// Makes ids that no other worker or process makes.
pub(super) struct Ids {
    base: u64,
    next: Cell<u64>,
}

impl Ids {
    pub(super) fn new() -> Self {
        let mut seed = [0; 16];
        // Without randomness ids are still unique within the process by their counter.
        let _ = getrandom::fill(&mut seed);
        let half = |at: usize| seed[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        Self { base: half(0), next: Cell::new(half(8)) }
    }

    /// The request's own id, or its trace's, or a new one.
    pub(super) fn of(&self, headers: &HeaderMap) -> Correlation {
        let trace = headers.get(TRACEPARENT).and_then(|value| Trace::parse(value.as_bytes()));
        let given = headers.get(CORRELATION_ID).filter(|value| is_usable(value.as_bytes())).cloned();
        let traced = || trace.and_then(|trace| HeaderValue::from_str(trace.id()).ok());
        Correlation { id: given.or_else(traced).unwrap_or_else(|| self.fresh()), trace }
    }

    fn fresh(&self) -> HeaderValue {
        let next = self.next.get().wrapping_add(1);
        self.next.set(next);
        let mut text = String::with_capacity(32);
        let _ = write!(text, "{:016x}{:016x}", self.base, next);
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static("none"))
    }
}

fn is_usable(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"' && *byte != b'\\';
    !id.is_empty() && id.len() <= ID_BYTES && id.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_those_of_the_specification() {
        let good = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(Trace::parse(good).expect("valid").id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(Trace::parse(b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later").is_some());
        for bad in [
            &b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"[..],
            b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            b"",
        ] {
            assert_eq!(Trace::parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn an_id_is_the_callers_or_the_traces_or_new() {
        let ids = Ids::new();
        let mut headers = HeaderMap::new();
        let (one, two) = (ids.of(&headers).id, ids.of(&headers).id);
        assert!(one.len() == 32 && one != two);
        headers
            .insert(TRACEPARENT, HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        assert_eq!(ids.of(&headers).id, "4bf92f3577b34da6a3ce929d0e0e4736");
        headers.insert(CORRELATION_ID, HeaderValue::from_static("order-7"));
        assert_eq!(ids.of(&headers).id, "order-7");
        headers.insert(CORRELATION_ID, HeaderValue::from_static("has \"quotes\""));
        assert_ne!(ids.of(&headers).id, "has \"quotes\"", "an id goes into JSON as it is");
    }
}
