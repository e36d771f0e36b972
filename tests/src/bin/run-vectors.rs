//! Replays vectors in this process: `run-vectors native|wasmtime VECTORS EDGES HOSTILE`.
//!
//! Prints how many answers were compared and how many differ, as JSON, for the table of
//! `tests/runtimes`.

#![allow(clippy::print_stdout)]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tollgate_host::sandbox::Bounds;
use tollgate_tests::cases::folders;
use tollgate_tests::{Native, Runtime, Wasmtime, doubles};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, vectors, edges, hostile] = arguments.as_slice() else {
        panic!("run-vectors native|wasmtime VECTORS EDGES HOSTILE");
    };
    let mut results = serde_json::Map::new();
    let sets = [folders(Path::new(vectors)), folders(Path::new(edges))].concat();
    match name.as_str() {
        "native" => {
            let mut native = Native::default();
            results.insert("records".into(), records(&mut native, &sets));
            results.insert("hostile".into(), refused(&mut native, Path::new(hostile)));
        }
        _ => {
            let mut wasmtime = Wasmtime::new(Bounds::default());
            results.insert("records".into(), records(&mut wasmtime, &sets));
            results.insert("rows".into(), rows(&mut wasmtime, &folders(Path::new(vectors))));
            results.insert("tagged".into(), rows(&mut wasmtime, &folders(Path::new(edges))));
            results.insert("hostile".into(), refused(&mut wasmtime, Path::new(hostile)));
        }
    }
    println!("{}", Value::Object(results));
}

/// Answers compared, those that differ, and the first of them.
#[derive(Default)]
struct Tally(usize, usize, String);

impl Tally {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, got: &T, want: &T) {
        self.0 += 1;
        if got != want {
            self.1 += 1;
            if self.2.is_empty() {
                self.2 = format!("{what}: want {want:?}, got {got:?}");
            }
        }
    }

    fn json(&self) -> Value {
        json!({"compared": self.0, "differing": self.1, "first": self.2})
    }
}

fn records(runtime: &mut dyn Runtime, sets: &[PathBuf]) -> Value {
    let mut tally = Tally::default();
    for folder in sets {
        load(runtime, folder);
        let text = |name: &str| String::from_utf8(read(&folder.join(name))).expect("UTF-8");
        let (requests, records) = (text("requests.ndjson"), text("records.ndjson"));
        assert_eq!(requests.lines().count(), records.lines().count());
        for (request, record) in requests.lines().zip(records.lines()) {
            let answer = runtime.score_json(request.as_bytes()).unwrap_or_else(|text| text);
            tally.same(request, &answer.as_str(), &record);
        }
    }
    tally.json()
}

fn rows(wasmtime: &mut Wasmtime, sets: &[PathBuf]) -> Value {
    let mut tally = Tally::default();
    for folder in sets {
        load(wasmtime, folder);
        let (cells, results) = (doubles(&folder.join("rows.f64")), read(&folder.join("compact.bin")));
        let width = cells.len() / (results.len() / 64);
        let tags = std::fs::read(folder.join("tags.bin")).ok();
        let tags = tags.as_ref().map(|tags| tags.chunks(width));
        let mut tags = tags.into_iter().flatten();
        for (index, (row, want)) in cells.chunks(width).zip(results.chunks(64)).enumerate() {
            let bundle = wasmtime.bundle.expect("loaded");
            let got = wasmtime.instance.score_row(bundle, row, tags.next()).expect("scores").to_bytes();
            tally.same(&format!("{} row {index}", folder.display()), &got.as_slice(), &want);
        }
    }
    tally.json()
}

/// A line of JSON and a file, again and again.
fn refused(runtime: &mut dyn Runtime, recorded: &Path) -> Value {
    let (mut tally, bytes) = (Tally::default(), read(recorded));
    let mut rest = bytes.as_slice();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let head: Value = serde_json::from_slice(&rest[..end]).expect("a line of JSON");
        let length = head["bytes"].as_u64().expect("a length") as usize;
        let (file, behind) = rest[end + 1..].split_at(length);
        rest = behind;
        let keys = head["keys"].as_str().expect("keys").as_bytes().chunks(2);
        let digits = keys.map(|pair| std::str::from_utf8(pair).expect("hexadecimal digits"));
        let keys: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect();
        let code = runtime.load(file, &keys, None, None).err().map_or("", |code| code.name());
        tally.same(head["test"].as_str().unwrap_or_default(), &code, &head["code"].as_str().unwrap_or_default());
    }
    tally.json()
}

fn load(runtime: &mut dyn Runtime, folder: &Path) {
    let (bundle, key) = (read(&folder.join("bundle.tollgate")), read(&folder.join("trust.key")));
    runtime.load(&bundle, &key, None, None).unwrap_or_else(|code| panic!("{}: {code:?}", folder.display()));
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
