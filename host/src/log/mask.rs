//! What of an input may go into the log: per field full, hashed, truncated, or nothing.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::net::IpAddr;
use tollgate_scorer::LogMask;

/// By the name in a schema; one that is not known means the most cautious.
fn mask_of(name: &str) -> LogMask {
    LogMask::ALL.into_iter().find(|mask| mask.name() == name).unwrap_or(LogMask::Drop)
}

/// The masks of a bundle's schema.
#[derive(Clone, Debug, Default)]
pub struct Masks {
    by_name: BTreeMap<String, LogMask>,
    any: bool,
}

impl Masks {
    /// From the fields of a schema, each with its declared mask.
    pub fn of<'s>(fields: impl Iterator<Item = (&'s str, Option<&'s str>)>) -> Self {
        let by_name: BTreeMap<String, LogMask> =
            fields.map(|(name, mask)| (name.to_owned(), mask.map_or(LogMask::Full, mask_of))).collect();
        let any = by_name.values().any(|mask| *mask != LogMask::Full);
        Self { by_name, any }
    }

    /// Appends a request, masked. One whose fields are all known and unmasked is appended
    /// as it is; fields that the schema does not know are never written.
    pub fn write(&self, request: &[u8], all_known: bool, key: Option<&HashKey>, out: &mut Vec<u8>) {
        if all_known && !self.any {
            // Raw line breaks in JSON stand between tokens, where a space does as well.
            out.extend(request.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
            return;
        }
        let start = out.len();
        if self.masked(request, key, out).is_none() {
            out.truncate(start);
            out.extend_from_slice(b"null");
        }
    }

    fn masked(&self, request: &[u8], key: Option<&HashKey>, out: &mut Vec<u8>) -> Option<()> {
        let members: BTreeMap<&str, &RawValue> = serde_json::from_slice(request).ok()?;
        let mut kept = Map::new();
        for (name, value) in members {
            let value = match name {
                "features" | "context" => self.fields(value, key)?,
                _ => serde_json::from_str(value.get()).ok()?,
            };
            kept.insert(name.to_owned(), value);
        }
        serde_json::to_writer(out, &kept).ok()
    }

    fn fields(&self, object: &RawValue, key: Option<&HashKey>) -> Option<Value> {
        let mut fields: Map<String, Value> = serde_json::from_str(object.get()).ok()?;
        for (name, value) in &mut fields {
            let mask = self.by_name.get(name).copied().unwrap_or(LogMask::Drop);
            *value = masked(mask, std::mem::take(value), key);
        }
        Some(Value::Object(fields))
    }
}

fn masked(mask: LogMask, value: Value, key: Option<&HashKey>) -> Value {
    match (mask, value) {
        (LogMask::Full, value) => value,
        (_, Value::Null) => Value::Null,
        (LogMask::Hash, value) => key.map_or(Value::Null, |key| key.hash(&value).into()),
        (LogMask::Truncate, Value::String(text)) => text.parse().map_or(Value::Null, |ip| network(ip).into()),
        (LogMask::Truncate, Value::Number(number)) => two_digits(number.as_f64().unwrap_or_default()),
        (LogMask::Truncate, Value::Bool(flag)) => Value::Bool(flag),
        (LogMask::Truncate | LogMask::Drop, _) => Value::Null,
    }
}

fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

fn two_digits(number: f64) -> Value {
    format!("{number:.1e}").parse::<f64>().map_or(Value::Null, Value::from)
}

/// The secret that makes hashes worthless to who lacks it.
pub struct HashKey(Hmac<Sha256>);

impl HashKey {
    /// Any bytes; 32 random ones are good.
    pub fn new(secret: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(secret).ok().map(Self)
    }

    fn hash(&self, value: &Value) -> String {
        let mut mac = self.0.clone();
        mac.update(value.as_str().map_or_else(|| value.to_string(), String::from).as_bytes());
        crate::keys::hex(&mac.finalize().into_bytes()[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn write(masks: &Masks, request: &str, all_known: bool, key: Option<&HashKey>) -> Value {
        let mut out = Vec::new();
        masks.write(request.as_bytes(), all_known, key, &mut out);
        assert!(!out.contains(&b'\n'), "one line");
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn each_field_goes_as_declared() {
        let fields = [("a", None), ("ip", Some("truncate")), ("mail", Some("hash")), ("secret", Some("drop"))];
        let masks = Masks::of(fields.into_iter().chain([("n", Some("truncate")), ("odd", Some("new kind"))]));
        let request = r#"{"decision_id":"d","features":{"a":1,"ip":"192.0.2.77","mail":"x@example.org","secret":5,
            "n":12345,"odd":1,"unknown":"u"},"context":{"ip":"2001:db8:1:2::3"}}"#;
        let key = HashKey::new(b"key").expect("a key");
        let kept = write(&masks, request, false, Some(&key));
        assert_eq!(kept["decision_id"], "d");
        let kept = (&kept["features"], &kept["context"]);
        assert_eq!((&kept.0["a"], &kept.0["ip"], &kept.0["n"]), (&json!(1), &json!("192.0.2.0/24"), &json!(12000.0)));
        assert_eq!(kept.1["ip"], "2001:db8:1::/48");
        for gone in ["secret", "odd", "unknown"] {
            assert_eq!(kept.0[gone], Value::Null, "{gone}");
        }
        // HMAC-SHA-256 of the text, computed with Python's hmac module.
        assert_eq!(kept.0["mail"], "372bf0816c24e3563b7b5ba47ae30af1");
        assert_eq!(write(&masks, request, false, None)["features"]["mail"], Value::Null, "no key, no hash");
    }

    #[test]
    fn without_masks_the_input_stays_as_it_is_on_one_line() {
        let masks = Masks::of([("a", None)].into_iter());
        assert_eq!(write(&masks, "{\"features\":\n{\"a\":1}}\r\n", true, None), json!({"features": {"a": 1}}));
        assert_eq!(write(&masks, r#"{"features":{"a":1,"b":2}}"#, false, None)["features"], json!({"a": 1, "b": null}));
        assert_eq!(write(&masks, "{broken", false, None), Value::Null);
    }
}
