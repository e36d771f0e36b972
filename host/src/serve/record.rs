//! The few facts of a decision record that metrics need, found without parsing it.
//!
//! The record is the guest's, with a fixed order of fields. Quotes inside its texts are
//! escaped, so a pattern that begins at an unescaped quote cannot be met inside one.

use memchr::memmem::{self, Finder};
use std::sync::LazyLock;

/// A pattern that is looked for in every record, prepared once.
type Pattern = LazyLock<Finder<'static>>;

static ACTION: Pattern = LazyLock::new(|| Finder::new(",\"action\":\""));
static SOURCE: Pattern = LazyLock::new(|| Finder::new(",\"source\":\""));
static DEGRADED: Pattern = LazyLock::new(|| Finder::new(",\"degraded\":true"));
static STATES: Pattern = LazyLock::new(|| Finder::new(",\"feature_states\":{"));
static UNKNOWN: Pattern = LazyLock::new(|| Finder::new("},\"unknown_features\":"));
static NONE_UNKNOWN: Pattern = LazyLock::new(|| Finder::new(",\"unknown_features\":[],"));

/// Whether a record says that the schema knew every field.
pub(super) fn knows_all(record: &[u8]) -> bool {
    NONE_UNKNOWN.find(record).is_some()
}

/// What was decided, as it stands in a record.
pub(super) struct Facts<'r> {
    pub(super) action: &'r [u8],
    pub(super) source: &'r [u8],
    pub(super) degraded: bool,
    states: &'r [u8],
}

impl<'r> Facts<'r> {
    pub(super) fn read(record: &'r [u8]) -> Self {
        let (action, rest) = text_after(record, &ACTION);
        let (source, rest) = text_after(rest, &SOURCE);
        let degraded = DEGRADED.find(rest).is_some();
        let states = match degraded {
            true => after(rest, &STATES),
            false => &[],
        };
        let end = UNKNOWN.find(states).unwrap_or(0);
        Self { action, source, degraded, states: &states[..end] }
    }

    /// The states of features that were not present.
    pub(super) fn states(&self) -> impl Iterator<Item = &'r [u8]> {
        memmem::find_iter(self.states, b"\":\"").map(|at| {
            let value = &self.states[at + 3..];
            &value[..memchr::memchr(b'"', value).unwrap_or(value.len())]
        })
    }
}

fn after<'r>(bytes: &'r [u8], pattern: &Pattern) -> &'r [u8] {
    pattern.find(bytes).map_or(&[], |at| &bytes[at + pattern.needle().len()..])
}

/// The text behind a pattern, and what follows it.
fn text_after<'r>(bytes: &'r [u8], pattern: &Pattern) -> (&'r [u8], &'r [u8]) {
    let rest = after(bytes, pattern);
    let (text, rest) = rest.split_at(memchr::memchr(b'"', rest).unwrap_or(0));
    (text, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_those_of_the_record_and_not_of_texts_in_it() {
        let record = br#"{"decision_id":"x\",\"action\":\"block","correlation_id":null,"use_case":"u","action":"challenge","label":"c","source":"missing_cap","feature_states":{"a":"missing","b \"x":"stale"},"unknown_features":[],"degraded":true,"bundle":"z"}"#;
        let facts = Facts::read(record);
        assert_eq!((facts.action, facts.source, facts.degraded), (&b"challenge"[..], &b"missing_cap"[..], true));
        assert_eq!(facts.states().collect::<Vec<_>>(), [&b"missing"[..], b"stale"]);
        let nothing = Facts::read(b"{}");
        assert_eq!((nothing.action, nothing.source, nothing.degraded), (&b""[..], &b""[..], false));
    }
}
