//! A model with several classes as a bundle: the sum of the risky classes is the risk.

use serde_json::Value;
use std::fmt::Write;
use tempfile::TempDir;
use tollgate_host::author;
use tollgate_host::import::Source;
use tollgate_tests::forge::{key, public};
use tollgate_tests::{doubles, present, root, runtimes};

const RISKY: [usize; 2] = [0, 2];

#[test]
fn the_risk_is_the_sum_of_the_named_classes() {
    let case = root().join("target/grid/obj_multiclass");
    let Some(case) = present(case, "multiclass model of the LightGBM grid, see `make grid`") else { return };
    let source = Source::read(&case.join("model.txt"), None, None).expect("imports");
    let (width, outputs) = (source.features().len(), source.outputs());
    let (rows, raw) = (doubles(&case.join("X.f64")), doubles(&case.join("raw.f64")));
    let responses = doubles(&case.join("response.f64"));
    let usable = |row: &&(usize, &[f64])| row.1.iter().all(|value| value.is_finite() && value.abs() < 1e9);
    let rows: Vec<(usize, &[f64])> = rows.chunks(width).enumerate().collect();
    let rows: Vec<(usize, &[f64])> = rows.iter().filter(usable).copied().take(40).collect();
    assert!(rows.len() > 20 && outputs > 2);
    let folder = folder(&source, &rows, &raw);
    std::fs::copy(case.join("model.txt"), folder.path().join("model.txt")).expect("copies");
    let built = author::build(folder.path(), &key(1)).unwrap_or_else(|failure| panic!("{failure}"));
    for runtime in &mut runtimes() {
        runtime.load(&built.file, &public(1), None, None).expect("loads");
        for (row, values) in &rows {
            let features: serde_json::Map<String, Value> =
                source.features().iter().cloned().zip(values.iter().map(|value| Value::from(*value))).collect();
            let request = Value::Object(serde_json::Map::from_iter([("features".into(), Value::Object(features))]));
            let record = runtime.score_json(request.to_string().as_bytes()).expect("decides");
            let record: Value = serde_json::from_str(&record).expect("JSON");
            let classes = &responses[row * outputs..(row + 1) * outputs];
            let want: f64 = RISKY.iter().map(|class| classes[*class]).sum();
            let got = record["probability"].as_f64().expect("a probability");
            assert!((got - want).abs() < 1e-12, "{}: {got}, {want}", runtime.name());
            let action = if want >= 0.9 {
                "block"
            } else if want >= 0.5 {
                "challenge"
            } else {
                "allow"
            };
            assert_eq!(record["action"], action);
            assert_eq!(record["reasons"].as_array().expect("a list").is_empty(), action == "allow", "{record}");
        }
    }
}

/// A folder to build from: `bundle.toml` and golden rows with one column a class.
fn folder(source: &Source, rows: &[(usize, &[f64])], raw: &[f64]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let outputs = source.outputs();
    let mut toml = format!(
        "[bundle]\nname = \"m\"\nversion = \"1\"\nuse_case = \"m\"\ncreated = \"2026-01-01T00:00:00Z\"\n\
         fallback_action = \"challenge\"\n[model]\nfile = \"model.txt\"\nrisk_outputs = {RISKY:?}\n\
         [golden]\nrows = \"golden.csv\"\nexpected = \"raw\"\n[calibrator]\nkind = \"identity\"\n\
         [policy.cutoffs]\nchallenge = 0.5\nblock = 0.9\n"
    );
    for name in source.features() {
        let _ = write!(toml, "[[features]]\nname = {name:?}\nkind = \"number\"\nmissing = \"as_missing\"\n");
    }
    let classes = (0..outputs).map(|class| format!("raw{class}"));
    let header: Vec<String> = source.features().iter().cloned().chain(classes).collect();
    let mut golden = header.join(",");
    for (row, values) in rows {
        let scores = &raw[row * outputs..(row + 1) * outputs];
        let cells: Vec<String> = values.iter().chain(scores).map(|number| format!("{number:?}")).collect();
        let _ = write!(golden, "\n{}", cells.join(","));
    }
    std::fs::write(folder.path().join("bundle.toml"), toml).expect("writes");
    std::fs::write(folder.path().join("golden.csv"), golden + "\n").expect("writes");
    folder
}
