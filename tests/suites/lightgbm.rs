//! LightGBM models, raw scores bit by bit.
//!
//! Two sources: the parity cases (other projects' models with published predictions)
//! and a grid that `tests/python/lightgbm_grid.py` trains with the official library.

use std::path::{Path, PathBuf};
use tollgate_host::author;
use tollgate_host::import::{Format, Source};
use tollgate_host::sandbox::Bounds;
use tollgate_host::table::{Codes, Table};
use tollgate_tests::forge::{key, public};
use tollgate_tests::{Native, Runtime, Wasmtime, doubles, present, root, shared};

/// Documented disagreements of the parity set, in neither direction a result.
fn is_usable(meta: &serde_json::Value) -> bool {
    meta["usable"] != false
}

fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(of).unwrap_or_else(|error| panic!("{}: {error}", of.display()));
    let mut folders: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|p| p.is_dir()).collect();
    folders.sort();
    folders
}

fn same_bits(got: f64, want: f64) -> bool {
    got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan()
}

#[test]
fn parity_cases() {
    let Some(cases) = shared("parity", "LightGBM parity cases") else { return };
    let mut wasmtime = Wasmtime::new(Bounds { memory_bytes: 1 << 30, ..Bounds::default() });
    let (mut ran, mut rows_off) = (0, 0);
    for case in folders(&cases) {
        let meta = json(&case.join("meta.json"));
        if meta["format"] != "lightgbm_text" || !is_usable(&meta) {
            continue;
        }
        ran += 1;
        rows_off += parity_case(&case, &meta, &mut wasmtime);
    }
    println!("parity: {ran} LightGBM cases, {rows_off} rows off");
    assert_eq!(rows_off, 0);
    assert!(ran >= 11, "the LightGBM cases are there");
}

fn parity_case(case: &Path, meta: &serde_json::Value, wasmtime: &mut Wasmtime) -> usize {
    let iterations = meta["iteration_limit"].as_u64().map(|limit| limit as usize);
    let mut source = Source::read(&case.join("model.txt"), Some(Format::Lightgbm), iterations).expect("imports");
    if let (Some("leaf_index"), Source::Forest(forest)) = (meta["output"].as_str(), source.clone()) {
        source = Source::Forest(forest.into_leaf_numbers());
    }
    let rows = Table::read(&case.join("X.csv")).and_then(|table| table.features(source.features(), &Codes::new()));
    let expected = Table::read(&case.join("expected.csv")).and_then(|table| table.all_numbers()).expect("expected");
    let response = matches!(meta["output"].as_str(), Some("probability" | "response"));
    wasmtime.load(&author::bare(&source, &key(1)).expect("signs"), &public(1), None, None).expect("loads");
    let (width, outputs) = (source.features().len(), source.outputs());
    let got = wasmtime.predict(&rows.expect("rows"), width, outputs, response);
    assert_eq!(got.len(), expected.len(), "{}", case.display());
    let tolerance = |key: &str| meta["tolerance"][key].as_f64().unwrap_or(0.0);
    let (abs, rel) = (tolerance("abs"), tolerance("rel"));
    let close = |(got, want): (&f64, &f64)| same_bits(*got, *want) || (got - want).abs() <= abs + rel * want.abs();
    let off = got.iter().zip(&expected).filter(|pair| !close((pair.0, pair.1))).count();
    if off > 0 {
        eprintln!("{}: {off} of {} numbers off", case.display(), got.len());
    }
    off
}

#[test]
fn trained_grid() {
    let Some(grid) = present(root().join("target/grid"), "grid trained with LightGBM, see `make grid`") else { return };
    let mut wasmtime = Wasmtime::new(Bounds { memory_bytes: 1 << 30, ..Bounds::default() });
    let mut native = Native::default();
    let (mut cases, mut rows, mut off) = (0, 0, Vec::new());
    for case in folders(&grid) {
        let meta = json(&case.join("meta.json"));
        cases += 1;
        rows += meta["rows"].as_u64().unwrap_or(0);
        for runtime in [&mut wasmtime as &mut dyn Runtime, &mut native] {
            let wrong = grid_case(&case, &meta, runtime);
            if wrong > 0 {
                off.push(format!("{} on {}: {wrong} numbers", case.display(), runtime.name()));
            }
        }
    }
    println!("grid: {cases} models, {rows} rows, raw scores compared bit by bit");
    assert!(off.is_empty(), "{}", off.join("\n"));
    assert!(cases >= 10, "the grid is there");
}

fn grid_case(case: &Path, meta: &serde_json::Value, runtime: &mut dyn Runtime) -> usize {
    let iterations = meta["iterations"].as_u64().map(|limit| limit as usize);
    let source = Source::read(&case.join("model.txt"), None, iterations).unwrap_or_else(|failure| panic!("{failure}"));
    let file = author::bare(&source, &key(1)).unwrap_or_else(|failure| panic!("{}: {failure}", case.display()));
    runtime.load(&file, &public(1), None, None).unwrap_or_else(|code| panic!("{}: {code:?}", case.display()));
    let (rows, width, outputs) = (doubles(&case.join("X.f64")), source.features().len(), source.outputs());
    let raw = runtime.predict(&rows, width, outputs, false);
    let want = doubles(&case.join("raw.f64"));
    assert_eq!(raw.len(), want.len(), "{}", case.display());
    let raw_off = raw.iter().zip(&want).filter(|(got, want)| !same_bits(**got, **want)).count();
    // Responses go through exp: ours is the same on every machine, the trainer's is its
    // own platform's, so they agree to rounding and not to the bit.
    let responses = runtime.predict(&rows, width, outputs, true);
    let want = doubles(&case.join("response.f64"));
    let close = |got: f64, want: f64| same_bits(got, want) || (got - want).abs() <= 1e-12 * (1.0 + want.abs());
    raw_off + responses.iter().zip(&want).filter(|(got, want)| !close(**got, **want)).count()
}

#[test]
fn refused_by_name() {
    let refusal = |text: &str| tollgate_host::import::lightgbm(text, None).expect_err("refused").message;
    let model = std::fs::read_to_string(root().join("models/loan/model.txt")).expect("the loan model");
    let check = |from: &str, to: &str, names: &str| {
        assert!(model.contains(from), "{from}");
        let message = refusal(&model.replacen(from, to, 1));
        assert!(message.contains(names), "{message}");
    };
    check("objective=binary", "objective=plackett_luce", "\"plackett_luce\" is not supported");
    check("version=v4", "version=v9", "version v9");
    check("num_leaves=15", "num_leaves=16", "entries where");
    check("left_child=", "left_child=0 ", "line");
    check("Tree=3", "Tree-3", "cut short");
    check("split_feature=", "split_feature=99 ", "line");
    let cut = &model[..model.len() / 2];
    assert!(refusal(&cut[..cut.rfind("Tree=").expect("a tree")]).contains("cut short"));
}
