//! XGBoost models, raw scores bit by bit.
//!
//! Two sources: the parity cases (other projects' models with published predictions)
//! and a grid that `tests/python/xgboost_grid.py` trains with the official library.

use std::path::Path;
use tollgate_host::author;
use tollgate_host::import::Source;
use tollgate_host::sandbox::Bounds;
use tollgate_host::table::{Codes, Table};
use tollgate_tests::cases::{folders, grid_case, is_usable, json, parity_case};
use tollgate_tests::forge::{key, public};
use tollgate_tests::{Native, Runtime, Wasmtime, present, root, shared};

/// XGBoost computes links in single precision.
const SINGLE: f64 = 1e-6;

fn wasmtime() -> Wasmtime {
    Wasmtime::new(Bounds { memory_bytes: 1 << 30, ..Bounds::default() })
}

#[test]
fn parity_cases() {
    let Some(cases) = shared("parity", "XGBoost parity cases") else { return };
    let mut wasmtime = wasmtime();
    let (mut ran, mut rows_off) = (0, 0);
    for case in folders(&cases) {
        let meta = json(&case.join("meta.json"));
        if !meta["format"].as_str().is_some_and(|format| format.starts_with("xgboost_")) || !is_usable(&meta) {
            continue;
        }
        for model in ["model.json", "model.ubj"].into_iter().filter(|model| case.join(model).exists()) {
            ran += 1;
            rows_off += match meta["output"].as_str() {
                Some("class") => class_case(&case, model, &mut wasmtime),
                _ => parity_case(&case, model, &meta, &mut wasmtime),
            };
        }
    }
    println!("parity: {ran} XGBoost models, {rows_off} numbers off");
    assert_eq!(rows_off, 0);
    assert!(ran >= 33, "the XGBoost cases are there: {ran}");
}

/// A case that publishes classes: the one with the highest score, the first of several.
fn class_case(case: &Path, model: &str, wasmtime: &mut Wasmtime) -> usize {
    let source = Source::read(&case.join(model), None, None).unwrap_or_else(|failure| panic!("{failure}"));
    let rows = Table::read(&case.join("X.csv")).and_then(|table| table.features(source.features(), &Codes::new()));
    let expected = Table::read(&case.join("expected.csv")).and_then(|table| table.all_numbers()).expect("expected");
    wasmtime.load(&author::bare(&source, &key(1)).expect("signs"), &public(1), None, None).expect("loads");
    let (width, outputs) = (source.features().len(), source.outputs());
    let scores = wasmtime.predict(&rows.expect("rows"), width, outputs, false);
    let class = |scores: &[f64]| {
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        scores.iter().position(|score| *score == highest).map(|class| class as f64)
    };
    let classes: Vec<Option<f64>> = scores.chunks(outputs).map(class).collect();
    assert_eq!(classes.len(), expected.len(), "{}", case.display());
    classes.iter().zip(&expected).filter(|(got, want)| **got != Some(**want)).count()
}

#[test]
fn trained_grid() {
    let folder = root().join("target/xgboost-grid");
    let Some(grid) = present(folder, "grid trained with XGBoost, see `make xgboost-grid`") else { return };
    let (mut wasmtime, mut native) = (wasmtime(), Native::default());
    let (mut cases, mut rows, mut off) = (0, 0, Vec::new());
    for case in folders(&grid) {
        let meta = json(&case.join("meta.json"));
        let model = meta["model"].as_str().expect("the model's file");
        cases += 1;
        rows += meta["rows"].as_u64().unwrap_or(0);
        for runtime in [&mut wasmtime as &mut dyn Runtime, &mut native] {
            let wrong = grid_case(&case, model, &meta, SINGLE, runtime);
            if wrong > 0 {
                off.push(format!("{} on {}: {wrong} numbers", case.display(), runtime.name()));
            }
        }
    }
    println!("grid: {cases} models, {rows} rows, raw scores compared bit by bit");
    assert!(off.is_empty(), "{}", off.join("\n"));
    assert!(cases >= 60, "the grid is there");
}
