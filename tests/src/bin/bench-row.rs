//! One row at a time through the module and through the native core, for `make bench`.
//!
//! Speaks lines over stdin and stdout, see `tests/bench/README.md`, so that rounds can be
//! interleaved with other libraries' in one run.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;
use tollgate_host::author;
use tollgate_host::import::Source;
use tollgate_host::sandbox::{Bounds, Instance, LoadedBundle, Sandbox};
use tollgate_scorer::trust::TrustedKeys;
use tollgate_scorer::{Scorer, Scratch, Trust, verify};
use tollgate_tests::doubles;
use tollgate_tests::forge::{key, public};

/// Rows timed together in the native variant, where a clock read would be visible.
const NATIVE_GROUP: usize = 8;

struct Bench {
    sandbox: Sandbox,
    instance: Instance,
    bundle: LoadedBundle,
    scorer: Scorer,
    file: Vec<u8>,
    rows: Vec<f64>,
    width: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, rows, features] = arguments.as_slice() else { panic!("bench-row MODEL ROWS_F64 FEATURES") };
    let mut bench = Bench::new(Path::new(model), Path::new(rows), features.parse().expect("a number"));
    let started = bench.load_ms(5);
    println!(
        "{{\"ready\":true,\"variants\":[\"wasmtime_predict\",\"wasmtime_score\",\"native_predict\"],\"load_ms\":{started},\
         \"bundle_bytes\":{},\"module_bytes\":{},\"module_brotli_bytes\":null}}",
        bench.file.len(),
        tollgate_module::TOLLGATE_WASM.len()
    );
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("stdin");
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["run", variant, count] => bench.run(variant, count.parse().expect("a number")),
            ["load", count] => println!("{{\"p50_ms\":{}}}", bench.load_ms(count.parse().expect("a number"))),
            ["predict"] => bench.predict(),
            ["bundle", path] => std::fs::write(path, &bench.file).expect("writes the bundle"),
            _ => panic!("unknown command: {line}"),
        }
    }
}

impl Bench {
    fn new(model: &Path, rows: &Path, width: usize) -> Self {
        let source = Source::read(model, None, None).expect("the model");
        let file = author::bare(&source, &key(1)).expect("a bundle");
        let sandbox = Sandbox::new(Bounds::default()).expect("the sandbox");
        let mut instance = sandbox.instance().expect("an instance");
        let bundle = instance.load(&file, &[public(1)], None, None).expect("loads");
        let trust = Trust { keys: TrustedKeys::parse(&public(1)).expect("a key"), expected: None, now_ms: None };
        let scorer = Scorer::activate(&verify(&file, &trust).expect("verifies")).expect("activates");
        Self { sandbox, instance, bundle, scorer, file, rows: doubles(rows), width }
    }

    /// Median time to verify, load and self-test in a fresh instance.
    fn load_ms(&mut self, count: usize) -> f64 {
        let mut times: Vec<f64> = (0..count)
            .map(|_| {
                let mut instance = self.sandbox.instance().expect("an instance");
                let start = Instant::now();
                instance.load(&self.file, &[public(1)], None, None).expect("loads");
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }

    fn run(&mut self, variant: &str, count: usize) {
        let rows: Vec<&[f64]> = self.rows.chunks(self.width).collect();
        let mut scratch = Scratch::default();
        let mut times: Vec<u64> = Vec::with_capacity(count);
        let mut next = rows.iter().cycle();
        while times.len() < count {
            let Some(row) = next.next() else { return };
            let start = Instant::now();
            match variant {
                "wasmtime_predict" => {
                    black_box(self.instance.predict(self.bundle, row, self.width, 1, false).expect("predicts"));
                }
                "wasmtime_score" => {
                    black_box(self.instance.score_row(self.bundle, row, None).expect("scores"));
                }
                "native_predict" => {
                    for _ in 0..NATIVE_GROUP {
                        let row = next.next().copied().unwrap_or_default();
                        black_box(self.scorer.predict(row, false, &mut scratch).expect("predicts"));
                    }
                    times.push(start.elapsed().as_nanos() as u64 / NATIVE_GROUP as u64);
                    continue;
                }
                other => panic!("unknown variant {other}"),
            }
            times.push(start.elapsed().as_nanos() as u64);
        }
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 100];
        println!(
            "{{\"variant\":\"{variant}\",\"p50_ns\":{},\"p10_ns\":{},\"p90_ns\":{},\"n\":{}}}",
            at(50),
            at(10),
            at(90),
            times.len()
        );
    }

    fn predict(&mut self) {
        let rows: Vec<f64> = self.rows.iter().copied().take(100 * self.width).collect();
        let predicted = self.instance.predict(self.bundle, &rows, self.width, 1, false).expect("predicts");
        let numbers: Vec<String> = predicted.iter().map(|number| format!("{number:?}")).collect();
        println!("[{}]", numbers.join(","));
    }
}
