//! ONNX graphs of trees, linear models and nets, against ONNX Runtime.
//!
//! Two sources: the parity cases and a grid that `tests/python/onnx_grid.py` writes.

use serde_json::json;
use std::path::Path;
use tollgate_host::author;
use tollgate_host::import::{Source, Wanted};
use tollgate_host::sandbox::Bounds;
use tollgate_tests::cases::{folders, is_usable, json as read_json, parity_case, same_bits};
use tollgate_tests::forge::{key, public};
use tollgate_tests::{Native, Runtime, Wasmtime, doubles, present, root, shared};

/// Trees compiled to tensor operators, which are not ours to lower.
const OTHER: [&str; 1] = ["_tensor"];

#[test]
fn parity_cases() {
    let Some(cases) = shared("parity", "ONNX parity cases") else { return };
    let mut wasmtime = Wasmtime::new(Bounds { memory_bytes: 1 << 30, ..Bounds::default() });
    let (mut ran, mut rows_off) = (0, 0);
    for case in folders(&cases) {
        let mut meta = read_json(&case.join("meta.json"));
        let other = OTHER.iter().any(|name| case.to_string_lossy().contains(name));
        if meta["format"] != "onnx" || !is_usable(&meta) || other {
            continue;
        }
        // What the graph gives out is the response.
        meta["output"] = "response".into();
        ran += 1;
        rows_off += parity_case(&case, "model.onnx", &meta, &mut wasmtime);
    }
    println!("parity: {ran} ONNX cases, {rows_off} rows off");
    assert_eq!(rows_off, 0);
    assert!(ran >= 6, "the ONNX cases are there");
}

#[test]
fn runtime_grid() {
    let Some(grid) = present(root().join("target/onnx-grid"), "grid of ONNX Runtime, see `make onnx-grid`") else {
        return;
    };
    let mut wasmtime = Wasmtime::new(Bounds { memory_bytes: 1 << 30, ..Bounds::default() });
    let mut native = Native::default();
    let (mut cases, mut rows, mut bitwise, mut off) = (0, 0, 0, Vec::new());
    for case in folders(&grid) {
        // Those run in the ONNX module alone, see `nets.rs`.
        if case.file_name().is_some_and(|name| name.to_string_lossy().starts_with("graph_")) {
            continue;
        }
        let meta = read_json(&case.join("meta.json"));
        cases += 1;
        rows += meta["rows"].as_u64().unwrap_or(0);
        bitwise += usize::from(meta["raw"] == true);
        for runtime in [&mut wasmtime as &mut dyn Runtime, &mut native] {
            let wrong = grid_case(&case, &meta, runtime);
            off.extend(wrong.into_iter().map(|wrong| format!("{} on {}: {wrong}", case.display(), runtime.name())));
        }
    }
    println!("onnx grid: {cases} models, {rows} rows; raw scores of {bitwise} compared bit by bit");
    assert!(off.is_empty(), "{}", off.join("\n"));
    assert!(cases >= 100, "the grid is there");
}

/// The examples in models/sklearn, which the grid runs, against scikit-learn itself.
#[test]
fn examples() {
    let Some(examples) = present(root().join("target/sklearn"), "scikit-learn examples, see `make onnx-grid`") else {
        return;
    };
    let mut wasmtime = Wasmtime::new(Bounds { memory_bytes: 1 << 30, ..Bounds::default() });
    let meta = json!({ "output": "probability", "tolerance": { "abs": 1e-6 } });
    let cases = folders(&examples);
    assert_eq!(cases.len(), 4, "{cases:?}");
    for case in cases {
        // The files of the example by the names of a parity case.
        let copy = tempfile::tempdir().expect("a folder");
        for (from, to) in [("model.onnx", "model.onnx"), ("rows.csv", "X.csv"), ("expected.csv", "expected.csv")] {
            std::fs::copy(case.join(from), copy.path().join(to)).unwrap_or_else(|error| panic!("{from}: {error}"));
        }
        assert_eq!(parity_case(copy.path(), "model.onnx", &meta, &mut wasmtime), 0, "{}", case.display());
    }
}

/// A model has no iterations to choose from, and its bytes tell what it is.
#[test]
fn iterations_are_a_usage_error() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), [0x08, 0x09]).expect("written");
    let failure = Source::read(file.path(), &Wanted { iterations: Some(3), ..Wanted::default() }).expect_err("refused");
    assert_eq!((failure.code, failure.exit), ("USAGE", tollgate_host::Exit::Usage));
    assert_eq!(Source::read(file.path(), &Wanted::default()).expect_err("refused").code, "MODEL");
}

/// Scores a case; says what is off.
fn grid_case(case: &Path, meta: &serde_json::Value, runtime: &mut dyn Runtime) -> Option<String> {
    let source = match Source::read(&case.join("model.onnx"), &Wanted::default()) {
        Ok(source) => source,
        Err(failure) => return Some(failure.message),
    };
    let file = match author::bare(&source, &key(1)) {
        Ok(file) => file,
        Err(failure) => return Some(failure.message),
    };
    runtime.load(&file, &public(1), None, None).unwrap_or_else(|code| panic!("{}: {code:?}", case.display()));
    let (rows, width, outputs) = (doubles(&case.join("X.f64")), source.features().len(), source.outputs());
    if (Some(width as u64), Some(outputs as u64)) != (meta["features"].as_u64(), meta["outputs"].as_u64()) {
        return Some(format!("{width} features and {outputs} outputs, where the graph has {meta}"));
    }
    for (what, words) in [("texts", json!(source.names().texts)), ("classes", json!(source.names().classes))] {
        if !meta[what].is_null() && meta[what] != words {
            return Some(format!("{what} {words}, where the trainer has {}", meta[what]));
        }
    }
    let want = doubles(&case.join("response.f64"));
    let got = runtime.predict(&rows, width, outputs, true);
    let tolerance = meta["tolerance"].as_f64().unwrap_or(0.0);
    let close = |got: f64, want: f64| same_bits(got, want) || (got - want).abs() <= tolerance * (1.0 + want.abs());
    let mut report = Vec::from_iter(differences("responses", &rows, width, &got, &want, outputs, close));
    if meta["raw"] == true {
        let want = doubles(&case.join("raw.f64"));
        let got = runtime.predict(&rows, width, outputs, false);
        report.extend(differences("raw scores", &rows, width, &got, &want, outputs, same_bits));
    }
    (!report.is_empty()).then(|| report.join("; "))
}

fn differences(
    what: &str,
    rows: &[f64],
    width: usize,
    got: &[f64],
    want: &[f64],
    outputs: usize,
    same: impl Fn(f64, f64) -> bool,
) -> Option<String> {
    assert_eq!(got.len(), want.len());
    let off: Vec<usize> = (0..got.len()).filter(|at| !same(got[*at], want[*at])).collect();
    let first = *off.first()?;
    let row = first / outputs;
    Some(format!(
        "{} of {} {what}, first in row {row} {:?}: {:?} where {:?} belongs",
        off.len(),
        got.len(),
        &rows[row * width..(row + 1) * width],
        got[first],
        want[first]
    ))
}
