//! The answer when nothing can be scored: the bundle's own fallback action, marked.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tollgate_scorer::limits;

/// Why nothing was scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The guest trapped: a bug, or no memory left.
    Trap,
    /// The guest took longer than it may.
    Deadline,
    /// No instance could be made.
    Unavailable,
    /// No bundle was loaded yet.
    NoBundle,
}

impl Reason {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Trap, Self::Deadline, Self::Unavailable, Self::NoBundle];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Unavailable => "unavailable",
            Self::NoBundle => "no_bundle",
        }
    }
}

/// What a host keeps of a bundle, so that it can answer without the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Fallback {
    use_case: String,
    labels: Vec<String>,
    /// The action: allow or challenge.
    #[serde(rename = "fallback_action")]
    pub action: String,
    digest: Option<String>,
    name: Option<String>,
    version: Option<String>,
}

/// What the record repeats of the request.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Ids {
    decision_id: Option<String>,
    correlation_id: Option<String>,
    event_time: Option<i64>,
}

impl Fallback {
    /// Reads it from the module's description of a bundle.
    pub fn of(description: &str) -> Self {
        serde_json::from_str(description).unwrap_or_default()
    }

    /// The same for a host that has no bundle yet.
    pub fn without_bundle(action: &str) -> Self {
        Self { action: action.to_owned(), ..Self::default() }
    }

    /// A decision record of the usual form with source `fallback`.
    pub fn record(&self, request: &[u8], reason: Reason) -> String {
        let ids: Ids = serde_json::from_slice(request).unwrap_or_default();
        let short = |text: Option<String>| text.filter(|text| text.len() <= limits::TEXT_BYTES);
        let place = ["allow", "challenge", "block"].iter().position(|action| *action == self.action);
        let label = place.and_then(|place| self.labels.get(place)).unwrap_or(&self.action);
        let none = Value::Null;
        json!({
            "decision_id": short(ids.decision_id), "correlation_id": short(ids.correlation_id),
            "event_time": ids.event_time, "use_case": self.use_case, "action": self.action, "label": label,
            "source": "fallback", "source_detail": reason.name(), "margin": none, "probability": none,
            "cutoffs": none, "expected_cost": none, "segment": none, "reasons": [], "rules_fired": [],
            "overrides": [], "feature_states": Map::new(), "unknown_features": [], "degraded": true,
            "bundle_digest": self.digest, "bundle_name": self.name, "bundle_version": self.version,
            "calibrator_version": none, "release_sequence": none, "slot": "stable", "shadow": [], "counter": none,
            "module_version": env!("CARGO_PKG_VERSION"), "record_version": 1,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_repeats_what_can_be_read_of_the_request() {
        let description = r#"{"use_case":"u","labels":["a","c","b"],"fallback_action":"challenge","digest":"d"}"#;
        let fallback = Fallback::of(description);
        let whole = fallback.record(br#"{"decision_id":"x","event_time":5,"features":{}}"#, Reason::Trap);
        let whole: Value = serde_json::from_str(&whole).expect("JSON");
        assert_eq!((&whole["decision_id"], &whole["event_time"]), (&json!("x"), &json!(5)));
        assert_eq!(
            (&whole["action"], &whole["label"], &whole["source_detail"]),
            (&json!("challenge"), &json!("c"), &json!("trap"))
        );
        let broken: Value = serde_json::from_str(&fallback.record(b"{", Reason::Deadline)).expect("JSON");
        assert_eq!((&broken["decision_id"], &broken["source"]), (&Value::Null, &json!("fallback")));
    }
}
