//! Models with the predictions of their trainers, case by case, one folder each.

use crate::forge::{key, public};
use crate::{Native, Runtime, Wasmtime, doubles};
use std::path::{Path, PathBuf};
use tollgate_host::author;
use tollgate_host::import::{Source, Wanted};
use tollgate_host::sandbox::Bounds;
use tollgate_host::table::{Codes, Table};

/// Whether a parity case counts: documented disagreements are no result in either direction.
pub fn is_usable(meta: &serde_json::Value) -> bool {
    meta["usable"] != false
}

/// A file of JSON.
pub fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folders in a folder, by name.
pub fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(of).unwrap_or_else(|error| panic!("{}: {error}", of.display()));
    let mut folders: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|p| p.is_dir()).collect();
    folders.sort();
    folders
}

/// The same number to the bit; any NaN for any NaN.
pub fn same_bits(got: f64, want: f64) -> bool {
    got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan()
}

/// Scores a parity case in Wasmtime; returns how many numbers are outside the tolerance.
pub fn parity_case(case: &Path, model: &str, meta: &serde_json::Value, wasmtime: &mut Wasmtime) -> usize {
    let iterations = meta["iteration_limit"].as_u64().map(|limit| limit as usize);
    let mut source = Source::read(&case.join(model), &Wanted { iterations, ..Wanted::default() })
        .unwrap_or_else(|failure| panic!("{failure}"));
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

/// Scores a case of a trained grid: `X.f64`, `raw.f64` and `response.f64` beside the model,
/// little-endian doubles. Raw scores must agree to the bit, all rows at once and each alone,
/// responses within `tolerance`.
/// Returns how many numbers are off.
pub fn grid_case(
    case: &Path,
    model: &str,
    meta: &serde_json::Value,
    tolerance: f64,
    runtime: &mut dyn Runtime,
) -> usize {
    let iterations = meta["iterations"].as_u64().map(|limit| limit as usize);
    let source = Source::read(&case.join(model), &Wanted { iterations, ..Wanted::default() })
        .unwrap_or_else(|failure| panic!("{failure}"));
    let file = author::bare(&source, &key(1)).unwrap_or_else(|failure| panic!("{}: {failure}", case.display()));
    runtime.load(&file, &public(1), None, None).unwrap_or_else(|code| panic!("{}: {code:?}", case.display()));
    let (rows, width, outputs) = (doubles(&case.join("X.f64")), source.features().len(), source.outputs());
    let raw = runtime.predict(&rows, width, outputs, false);
    let want = doubles(&case.join("raw.f64"));
    assert_eq!(raw.len(), want.len(), "{}", case.display());
    let differ = |got: &[f64]| got.iter().zip(&want).filter(|(got, want)| !same_bits(**got, **want)).count();
    let alone = runtime.predict_alone(&rows, width, outputs);
    assert_eq!(alone.len(), want.len(), "{}", case.display());
    let raw_off = differ(&raw) + differ(&alone);
    // Responses go through exp: ours is the same on every machine, the trainer's is its
    // own platform's, so they agree to rounding and not to the bit.
    let responses = runtime.predict(&rows, width, outputs, true);
    let want = doubles(&case.join("response.f64"));
    let close = |got: f64, want: f64| same_bits(got, want) || (got - want).abs() <= tolerance * (1.0 + want.abs());
    raw_off + responses.iter().zip(&want).filter(|(got, want)| !close(**got, **want)).count()
}

/// Scores every case of a trained grid in Wasmtime and natively, see [`grid_case`]; returns
/// how many cases there are.
///
/// # Panics
/// When a number is off, naming every case that has one.
pub fn check_grid(grid: &Path, tolerance: f64) -> usize {
    let mut wasmtime = Wasmtime::new(Bounds { memory_bytes: 1 << 30, ..Bounds::default() });
    let mut native = Native::default();
    let (mut cases, mut rows, mut off) = (0, 0, Vec::new());
    for case in folders(grid) {
        let meta = json(&case.join("meta.json"));
        let model = meta["model"].as_str().unwrap_or("model.txt");
        cases += 1;
        rows += meta["rows"].as_u64().unwrap_or(0);
        for runtime in [&mut wasmtime as &mut dyn Runtime, &mut native] {
            let wrong = grid_case(&case, model, &meta, tolerance, runtime);
            if wrong > 0 {
                off.push(format!("{} on {}: {wrong} numbers", case.display(), runtime.name()));
            }
        }
    }
    eprintln!("grid: {cases} models, {rows} rows, raw scores compared bit by bit");
    assert!(off.is_empty(), "{}", off.join("\n"));
    cases
}

/// Explains a case of a trained grid that has `contributions.f64`, and `explained_X.f64` where
/// these are of other rows than `X.f64`. Returns how many numbers
/// are off by more than `tolerance` of the margin's scale; `None` where the model is refused
/// because nobody knows how much training data its leaves saw.
pub fn contributions_case(case: &Path, model: &str, tolerance: f64, runtime: &mut dyn Runtime) -> Option<usize> {
    let iterations = json(&case.join("meta.json"))["iterations"].as_u64().map(|limit| limit as usize);
    let source = Source::read(&case.join(model), &Wanted { iterations, ..Wanted::default() })
        .unwrap_or_else(|failure| panic!("{failure}"));
    let file = author::bare(&source, &key(1)).unwrap_or_else(|failure| panic!("{}: {failure}", case.display()));
    runtime.load(&file, &public(1), None, None).unwrap_or_else(|code| panic!("{}: {code:?}", case.display()));
    let (width, outputs) = (source.features().len(), source.outputs());
    let own = case.join("explained_X.f64");
    let rows = doubles(&if own.exists() { own } else { case.join("X.f64") });
    let got = runtime.contributions(&rows, width, outputs).ok()?;
    let (want, raw) = (doubles(&case.join("contributions.f64")), runtime.predict(&rows, width, outputs, false));
    assert_eq!(got.len(), want.len(), "{}", case.display());
    let mut off = 0;
    for ((got, want), margin) in got.chunks(width + 1).zip(want.chunks(width + 1)).zip(raw) {
        let scale = want.iter().map(|value| value.abs()).fold(margin.abs(), f64::max);
        let differs = |(got, want): (&f64, &f64)| (got - want).abs() > tolerance * scale;
        let sum: f64 = got.iter().sum();
        off += got.iter().zip(want).filter(|pair| differs(*pair)).count();
        off += usize::from((sum - margin).abs() > tolerance * scale);
    }
    Some(off)
}
