//! One set of vectors, every runtime: decision records byte by byte.
//!
//! Native and wasmtime run here; `tests/python/run_vectors.py` runs the same files in
//! wasmtime under Python, see `make test`.

use std::path::{Path, PathBuf};
use tollgate_host::sandbox::Bounds;
use tollgate_tests::{Wasmtime, doubles, root, runtimes};

fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("tests/vectors")).expect("tests/vectors");
    let mut folders: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|p| p.is_dir()).collect();
    folders.sort();
    folders
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{}/{name}: {error}", folder.display()))
}

fn lines(folder: &Path, name: &str) -> Vec<String> {
    String::from_utf8(read(folder, name)).expect("UTF-8").lines().map(String::from).collect()
}

#[test]
fn records_are_the_same_bytes_everywhere() {
    let mut compared = 0;
    for folder in folders() {
        let (bundle, keys) = (read(&folder, "bundle.tollgate"), read(&folder, "trust.key"));
        let (requests, records) = (lines(&folder, "requests.ndjson"), lines(&folder, "records.ndjson"));
        assert_eq!(requests.len(), records.len());
        for mut runtime in runtimes() {
            runtime.load(&bundle, &keys, None, None).expect("loads");
            for (request, record) in requests.iter().zip(&records) {
                let answer = runtime.score_json(request.as_bytes()).unwrap_or_else(|text| text);
                assert_eq!(answer, *record, "{} on {}", folder.display(), runtime.name());
                compared += 1;
            }
        }
    }
    println!("conformance: {compared} records compared");
    assert!(compared >= 1600);
}

#[test]
fn vectors_hold_every_action_and_state() {
    let all: String = folders().iter().flat_map(|folder| lines(folder, "records.ndjson")).collect();
    let actions = ["allow", "challenge", "block"].map(|action| format!("\"action\":\"{action}\""));
    let states =
        ["missing", "null", "invalid", "stale", "timed_out", "quarantined"].map(|state| format!(":\"{state}\""));
    let sources = ["cutoffs", "missing_cap", "missing_floor", "required", "segment"];
    let sources = sources.map(|source| format!("\"source\":\"{source}\""));
    for needle in actions.iter().chain(&states).chain(&sources) {
        assert!(all.contains(needle.as_str()), "no record with {needle}");
    }
    assert!(all.contains("REQUEST: "), "no refused request");
}

#[test]
fn typed_rows_give_the_same_results() {
    for folder in folders() {
        let mut wasmtime = Wasmtime::new(Bounds::default());
        let bundle =
            wasmtime.instance.load(&read(&folder, "bundle.tollgate"), &[key(&folder)], None, None).expect("loads");
        let (rows, expected) = (doubles(&folder.join("rows.f64")), read(&folder, "compact.bin"));
        let count = expected.len() / 64;
        let width = rows.len() / count;
        let batch = wasmtime.instance.score_batch(bundle, &rows, count).expect("scores");
        for ((row, together), expected) in rows.chunks(width).zip(&batch).zip(expected.chunks(64)) {
            let alone = wasmtime.instance.score_row(bundle, row, None).expect("scores");
            assert_eq!(alone.to_bytes().as_slice(), expected);
            assert_eq!(together.to_bytes().as_slice(), expected);
        }
    }
}

fn key(folder: &Path) -> [u8; 32] {
    read(folder, "trust.key").try_into().expect("32 bytes")
}
