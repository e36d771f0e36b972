//! Requests and rows at the edges of a schema, made the same way each time: every state,
//! values at and beyond each bound, wrong types, unknown names, ids of every script.

use std::fmt::Write;
use tollgate_scorer::{Feature, Kind, Range, Schema};

/// A small generator of our own: vectors must not change with a library.
pub struct Random(pub u64);

impl Random {
    /// A number from 0 up to `below`.
    pub fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below.max(1)
    }

    /// A number from 0 up to 1.
    pub fn share(&mut self) -> f64 {
        self.below(1 << 30) as f64 / (1u64 << 30) as f64
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.get(self.below(from.len())).copied().unwrap_or_default()
    }
}

const IDS: [&str; 6] =
    ["\"e-1\"", "\"\"", "null", "\"caf\\u00e9 \\\"q\\\" \\\\ \\u0007\"", "\"\u{1f980}\"", "\"\u{05d0}\\n\""];
const STATES: [&str; 6] = ["missing", "null", "invalid", "stale", "timed_out", "quarantined"];
/// Names that no schema knows; JSON and JavaScript keep their order.
const UNKNOWN: [&str; 6] = ["surplus", "constructor", "__proto__", "na\\u00efve", "toString", "\u{1f511}"];
const WRONG: [&str; 12] = [
    "null",
    "\"\"",
    "\"no such value\"",
    "[]",
    "{}",
    "[[1],{\"a\":null}]",
    "{\"value\":1}",
    "1e308",
    "-1e308",
    "5e-324",
    "9007199254740993",
    "18446744073709551615",
];
/// Tags of typed rows, and two that no list has.
const TAGS: [u8; 12] = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

/// One request as JSON.
pub fn request(schema: &Schema, random: &mut Random) -> String {
    let (mut inside, mut outside) = (String::new(), String::new());
    let moved = random.below(4) == 0;
    for feature in schema.features() {
        match random.below(20) {
            0 => continue,
            1 if moved => put(&mut outside, &feature.name, &value(feature, random)),
            // In both places: given twice, so invalid.
            2 if moved => {
                put(&mut inside, &feature.name, &value(feature, random));
                put(&mut outside, &feature.name, &value(feature, random));
            }
            _ => put(&mut inside, &feature.name, &value(feature, random)),
        }
    }
    for _ in 0..random.below(5).saturating_sub(2) {
        let name = random.pick(&UNKNOWN);
        if !inside.contains(name) {
            put_raw(&mut inside, name, "1");
        }
    }
    let mut text = format!("{{\"decision_id\":{},\"features\":{{{inside}}}", random.pick(&IDS));
    if moved {
        write!(text, ",\"context\":{{{outside}}}").expect("a string");
    }
    more(&mut text, schema, random);
    text.push('}');
    text
}

/// What else a request may hold.
fn more(text: &mut String, schema: &Schema, random: &mut Random) {
    if random.below(3) == 0 {
        let mut states = String::new();
        for feature in schema.features().iter().filter(|_| random.below(8) == 0).collect::<Vec<_>>() {
            let state = random.pick(&STATES);
            put(&mut states, &feature.name, &format!("\"{state}\""));
        }
        write!(text, ",\"states\":{{{states}}}").expect("a string");
    }
    if random.below(4) == 0 {
        write!(text, ",\"correlation_id\":{}", random.pick(&IDS)).expect("a string");
    }
    match random.below(6) {
        0 => text.push_str(",\"event_time\":-9007199254740991"),
        1 => text.push_str(",\"event_time\":9007199254740991"),
        2 => text.push_str(",\"event_time\":null,\"counter\":9007199254740991"),
        3 => text.push_str(",\"counter\":0"),
        _ => {}
    }
}

/// A value at an edge of its feature, or of the wrong kind altogether.
fn value(feature: &Feature, random: &mut Random) -> String {
    if random.below(6) == 0 {
        return random.pick(&WRONG).into();
    }
    match &feature.kind {
        Kind::Boolean => random.pick(&["true", "false", "true", "false", "1", "\"true\""]).into(),
        Kind::Category(categories) => {
            let name = categories.names.get(random.below(categories.names.len())).map_or("", String::as_str);
            match random.below(16) {
                0 => quoted(&name.to_uppercase()),
                1 => "0".into(),
                _ => quoted(name),
            }
        }
        Kind::Number(range) | Kind::Integer(range) => format!("{:?}", number(*range, random)),
    }
}

fn number(Range { min, max }: Range, random: &mut Random) -> f64 {
    let middle = min + (max - min) * random.share().powi(6);
    match random.below(14) {
        0 => min,
        1 => max,
        2 => min.next_down(),
        3 => max.next_up(),
        4 => -0.0,
        5 => middle,
        6 => -middle,
        _ => middle.trunc(),
    }
}

/// A typed row: values, and a tag each.
pub fn tagged_row(schema: &Schema, random: &mut Random) -> (Vec<f64>, Vec<u8>) {
    schema.features().iter().map(|feature| cell(&feature.kind, random)).unzip()
}

fn cell(kind: &Kind, random: &mut Random) -> (f64, u8) {
    let tag = TAGS.get(random.below(TAGS.len())).copied().unwrap_or(255);
    let own = match kind {
        Kind::Number(range) | Kind::Integer(range) => (number(*range, random), 0),
        Kind::Boolean => (random.below(2) as f64, 3),
        Kind::Category(categories) => (random.below(categories.names.len()) as f64, 4),
    };
    match random.below(12) {
        0 => (own.0, tag),
        1 => (f64::NAN, tag),
        2 => (f64::INFINITY, own.1),
        3 => (2.5, own.1),
        4 => (own.0, 200),
        _ => own,
    }
}

fn put(members: &mut String, name: &str, value: &str) {
    let name = quoted(name);
    put_raw(members, name.trim_matches('"'), value);
}

fn put_raw(members: &mut String, name: &str, value: &str) {
    let comma = if members.is_empty() { "" } else { "," };
    write!(members, "{comma}\"{name}\":{value}").expect("a string");
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
