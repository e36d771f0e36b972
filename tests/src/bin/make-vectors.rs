//! Writes the conformance vectors: `make-vectors [FOLDER]`, by default `tests/vectors`.
//!
//! Bundles of both example models, signed with the public test key; requests of every
//! state; and what the native core answers. Run it when a format changes on purpose and
//! look at the difference; every runtime must answer the same bytes.
//!
//! `make-vectors --edges FOLDER` writes further ones, which need no place in the repository:
//! for each committed bundle, requests and tagged rows at the edges of its schema; and
//! `big.tollgate`, a forest of 500 trees for the budgets.
//!
//! `make-vectors --graph SOURCE FOLDER` writes those of a bundle whose model is an ONNX graph, as
//! the ONNX module decides in wasmtime.

#![allow(clippy::print_stdout)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use tollgate_host::author;
use tollgate_host::sandbox::{Bounds, activate};
use tollgate_scorer::trust::TrustedKeys;
use tollgate_scorer::{Kind, Schema, Scorer, Trust, verify};
use tollgate_tests::big;
use tollgate_tests::edges::{self, Random};
use tollgate_tests::forge::{doubles, key, public};
use tollgate_tests::{Native, Runtime, Wasmtime, root};

/// Requests and rows per bundle.
const COUNT: usize = 400;

/// Edge requests, and tagged rows, per bundle.
const EDGES: usize = 600;

fn main() {
    let committed = root().join("tests/vectors");
    let (first, second) = (std::env::args().nth(1), std::env::args().nth(2));
    if first.as_deref() == Some("--edges") {
        let folder = second.map(PathBuf::from).expect("make-vectors --edges FOLDER");
        for model in ["signup", "loan", "checkout"] {
            let file = std::fs::read(committed.join(model).join("bundle.tollgate")).expect("a committed bundle");
            write_edges(&file, &folder.join(model), Wasmtime::new(Bounds::default()));
        }
        return std::fs::write(folder.join("big.tollgate"), big::bundle(500, 31, 40)).expect("writes");
    }
    if first.as_deref() == Some("--graph") {
        let [source, target] = [second, std::env::args().nth(3)].map(|path| path.expect("--graph SOURCE FOLDER"));
        let file = author::build(Path::new(&source), &key(1)).unwrap_or_else(|failure| panic!("{failure}")).file;
        return write_edges(&file, Path::new(&target), Wasmtime::for_graphs());
    }
    let folder = first.map_or(committed, PathBuf::from);
    for model in ["signup", "loan", "checkout"] {
        let file = author::build(&root().join("models").join(model), &key(1)).expect("builds").file;
        let target = folder.join(model);
        std::fs::create_dir_all(&target).expect("a folder");
        write(&target, &file);
        println!("{}: {COUNT} requests, {COUNT} rows", target.display());
    }
}

fn write(target: &Path, file: &[u8]) {
    let scorer = scorer(file);
    let mut random = Random(7);
    let requests: Vec<String> = (0..COUNT).map(|index| request(scorer.schema(), index, &mut random)).collect();
    let records = records(file, &requests);
    let rows: Vec<f64> = (0..COUNT).flat_map(|_| row(scorer.schema(), &mut random)).collect();
    let put = |name: &str, bytes: &[u8]| std::fs::write(target.join(name), bytes).expect("writes");
    put("bundle.tollgate", file);
    put("trust.key", &public(1));
    put("requests.ndjson", (requests.join("\n") + "\n").as_bytes());
    put("records.ndjson", (records.join("\n") + "\n").as_bytes());
    put("rows.f64", &doubles(&rows));
    put("compact.bin", &compact(file, &rows));
}

/// Edge vectors of a bundle: requests with records, tagged rows with results.
fn write_edges(file: &[u8], target: &Path, mut wasmtime: Wasmtime) {
    let (scorer, mut random) = (scorer(file), Random(11));
    let schema = scorer.schema();
    let requests: Vec<String> = (0..EDGES).map(|_| edges::request(schema, &mut random)).collect();
    let rows: Vec<(Vec<f64>, Vec<u8>)> = (0..EDGES).map(|_| edges::tagged_row(schema, &mut random)).collect();
    let records = records(file, &requests);
    wasmtime.load(file, &public(1), None, None).expect("loads");
    let bundle = wasmtime.bundle.expect("loaded");
    let mut results = Vec::new();
    for (values, tags) in &rows {
        let result = wasmtime.instance.score_row(bundle, values, Some(tags)).expect("scores");
        results.extend_from_slice(&result.to_bytes());
    }
    std::fs::create_dir_all(target).expect("a folder");
    let put = |name: &str, bytes: &[u8]| std::fs::write(target.join(name), bytes).expect("writes");
    put("bundle.tollgate", file);
    put("trust.key", &public(1));
    put("requests.ndjson", (requests.join("\n") + "\n").as_bytes());
    put("records.ndjson", (records.join("\n") + "\n").as_bytes());
    put("rows.f64", &doubles(&rows.iter().flat_map(|row| row.0.clone()).collect::<Vec<_>>()));
    put("tags.bin", &rows.iter().flat_map(|row| row.1.clone()).collect::<Vec<_>>());
    put("compact.bin", &results);
    println!("{}: {EDGES} requests, {EDGES} tagged rows", target.display());
}

fn scorer(file: &[u8]) -> Scorer {
    let keys = TrustedKeys::parse(&public(1)).expect("a key");
    let bundle = verify(file, &Trust { keys, expected: None, now_ms: None }).expect("verifies");
    activate(&bundle).expect("activates")
}

/// What the native core answers.
fn records(file: &[u8], requests: &[String]) -> Vec<String> {
    let mut native = Native::default();
    native.load(file, &public(1), None, None).expect("loads");
    let answer = |request: &String| native.score_json(request.as_bytes()).unwrap_or_else(|text| text);
    requests.iter().map(answer).collect()
}

/// Compact results come from the module: they are its own format.
fn compact(file: &[u8], rows: &[f64]) -> Vec<u8> {
    let mut wasmtime = Wasmtime::new(Bounds::default());
    wasmtime.load(file, &public(1), None, None).expect("loads");
    let bundle = wasmtime.bundle.expect("loaded");
    let results = wasmtime.instance.score_batch(bundle, rows, COUNT).expect("scores");
    results.iter().flat_map(|result| result.to_bytes()).collect()
}

/// One value as JSON: mostly good, sometimes of every bad kind.
fn value(kind: &Kind, random: &mut Random) -> String {
    match (random.below(40), kind) {
        (0, _) => "null".into(),
        (1, _) => "\"no such value\"".into(),
        (2, _) => "1e300".into(),
        (3, _) => "[1,2]".into(),
        (4, _) => "-0.5".into(),
        (_, Kind::Boolean) => ["true", "false"][random.below(2)].into(),
        (_, Kind::Category(categories)) => format!("{:?}", categories.names[random.below(categories.names.len())]),
        (_, Kind::Integer(range)) => format!("{}", within(range.min, range.max, random) as i64),
        (_, Kind::Number(range)) => format!("{:?}", within(range.min, range.max, random)),
    }
}

/// Small values are commoner than large ones, as in life.
fn within(min: f64, max: f64, random: &mut Random) -> f64 {
    let share = random.share();
    (min + (max - min) * share * share * share * share).clamp(min, max)
}

fn request(schema: &Schema, index: usize, random: &mut Random) -> String {
    let mut text = format!("{{\"decision_id\":\"v-{index}\",\"features\":{{");
    let keep = 50 - random.below(12).saturating_sub(6) * 8;
    let features = schema.features().iter().filter(|_| random.below(50) < keep).collect::<Vec<_>>();
    for (place, feature) in features.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(text, "{comma}{:?}:{}", feature.name, value(&feature.kind, random)).expect("a string");
    }
    text.push('}');
    let states = ["stale", "timed_out", "quarantined", "missing"];
    match random.below(20) {
        0 => write!(text, ",\"states\":{{{:?}:{:?}}}", schema.features()[0].name, states[index % 4]).expect("a string"),
        1 => write!(text, ",\"event_time\":{},\"correlation_id\":\"c\\u00e9\\n\"", 1_700_000_000_000u64 + index as u64)
            .expect("a string"),
        2 => text.push_str(",\"context\":{\"unknown\":1}"),
        3 => text.push_str(",\"surprise\":1"),
        _ => {}
    }
    text.push('}');
    text
}

fn row(schema: &Schema, random: &mut Random) -> Vec<f64> {
    let cell = |kind: &Kind, random: &mut Random| match (random.below(30), kind) {
        (0, _) => f64::NAN,
        (1, _) => f64::INFINITY,
        (2, _) => -1e300,
        (_, Kind::Boolean) => random.below(2) as f64,
        (_, Kind::Category(categories)) => random.below(categories.names.len() + 1) as f64,
        (_, Kind::Integer(range)) => within(range.min, range.max, random).trunc(),
        (_, Kind::Number(range)) => within(range.min, range.max, random),
    };
    schema.features().iter().map(|feature| cell(&feature.kind, random)).collect()
}
