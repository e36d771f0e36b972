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
use tollgate_host::import::{Source, Wanted};
use tollgate_host::sandbox::{Bounds, Instance, LoadedBundle, Sandbox};
use tollgate_scorer::trust::TrustedKeys;
use tollgate_scorer::{Rows, Scorer, Scratch, Trust, verify};
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
        "{{\"ready\":true,\"variants\":[\"wasmtime_predict\",\"wasmtime_score\",\"native_predict\",\"wasmtime_batch\",\
         \"native_batch\",\"wasmtime_explain\",\"native_explain\"],\"load_ms\":{started},\
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
            ["contributions"] => bench.contributions(),
            ["module", path] => std::fs::write(path, tollgate_module::TOLLGATE_WASM).expect("writes the module"),
            ["public"] => println!("{{\"public_hex\":\"{}\"}}", hex(&public(1))),
            ["bundle", path] => std::fs::write(path, &bench.file).expect("writes the bundle"),
            _ => panic!("unknown command: {line}"),
        }
    }
}

impl Bench {
    fn new(model: &Path, rows: &Path, width: usize) -> Self {
        let source = Source::read(model, &Wanted::default()).expect("the model");
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

    /// Times a variant: row by row, or all rows of a batch in one go.
    fn run(&mut self, variant: &str, count: usize) {
        if let "wasmtime_batch" | "native_batch" = variant {
            return self.run_batch(variant, count);
        }
        let rows = self.rows.clone();
        let mut rows = rows.chunks(self.width).cycle();
        let mut scratch = Scratch::default();
        let mut times: Vec<u64> = (0..count).map(|_| self.time(variant, &mut rows, &mut scratch)).collect();
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

    /// Nanoseconds for one row.
    fn time<'r>(&mut self, variant: &str, rows: &mut impl Iterator<Item = &'r [f64]>, scratch: &mut Scratch) -> u64 {
        let mut row = || rows.next().unwrap_or_default();
        let start = Instant::now();
        let mut group = 1;
        match variant {
            "wasmtime_predict" => {
                black_box(self.instance.predict(self.bundle, row(), self.width, 1, false).expect("predicts"));
            }
            "wasmtime_score" => {
                black_box(self.instance.score_row(self.bundle, row(), None).expect("scores"));
            }
            "wasmtime_explain" => {
                black_box(self.instance.contributions(self.bundle, row(), self.width, 1).expect("explains"));
            }
            "native_explain" => {
                black_box(self.scorer.contributions(row(), scratch).expect("explains"));
            }
            "native_predict" => {
                group = NATIVE_GROUP;
                for _ in 0..group {
                    black_box(self.scorer.predict(row(), false, scratch).expect("predicts"));
                }
            }
            other => panic!("unknown variant {other}"),
        }
        start.elapsed().as_nanos() as u64 / group as u64
    }

    fn run_batch(&mut self, variant: &str, count: usize) {
        let rows: Vec<f64> = self.rows.iter().copied().cycle().take(count * self.width).collect();
        let start = Instant::now();
        if variant == "wasmtime_batch" {
            black_box(self.instance.predict(self.bundle, &rows, self.width, 1, false).expect("predicts"));
        } else {
            black_box(self.scorer.predict_rows(&Rows::by_row(&rows, self.width), false, &mut Scratch::default()));
        }
        let per_row = start.elapsed().as_nanos() as f64 / count as f64;
        println!("{{\"variant\":\"{variant}\",\"per_row_ns\":{per_row:.1},\"n\":{count}}}");
    }

    fn contributions(&mut self) {
        let rows: Vec<f64> = self.rows.iter().copied().take(100 * self.width).collect();
        let found = self.instance.contributions(self.bundle, &rows, self.width, 1).expect("explains");
        println!("{found:?}");
    }

    fn predict(&mut self) {
        let rows: Vec<f64> = self.rows.iter().copied().take(100 * self.width).collect();
        let predicted = self.instance.predict(self.bundle, &rows, self.width, 1, false).expect("predicts");
        let numbers: Vec<String> = predicted.iter().map(|number| format!("{number:?}")).collect();
        println!("[{}]", numbers.join(","));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
