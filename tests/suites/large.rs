//! A model of 5,000 trees x 255 leaves: built, loaded in the sandbox and scored to the bit.
//!
//! `make large` writes it. Times are printed and not judged.

use std::time::Instant;
use tollgate_host::author;
use tollgate_host::sandbox::Bounds;
use tollgate_tests::cases::same_bits;
use tollgate_tests::forge::{key, public};
use tollgate_tests::{Runtime, Wasmtime, doubles, present, root};

const FEATURES: usize = 40;

#[test]
fn five_thousand_trees() {
    let folder = root().join("target/large");
    let Some(folder) = present(folder, "model of 5,000 trees x 255 leaves, see `make large`") else { return };
    let built = author::build(&folder, &key(1)).unwrap_or_else(|failure| panic!("{failure}"));
    // The usual memory; time for a machine that is much slower than the usual one.
    let mut wasmtime = Wasmtime::new(Bounds { load_ms: 300_000, call_ms: 300_000, ..Bounds::default() });
    let began = Instant::now();
    wasmtime.load(&built.file, &public(1), None, None).expect("loads, in the sandbox's usual memory");
    let load = began.elapsed();
    let (rows, want) = (doubles(&folder.join("X.f64")), doubles(&folder.join("raw.f64")));
    let began = Instant::now();
    let got = wasmtime.predict(&rows, FEATURES, 1, false);
    let score = began.elapsed() / u32::try_from(want.len()).expect("few rows");
    assert_eq!((got.len(), rows.len()), (want.len(), FEATURES * want.len()));
    let off = got.iter().zip(&want).filter(|(got, want)| !same_bits(**got, **want)).count();
    println!(
        "large: {} rows, {off} off; bundle {} bytes, verified, loaded and self-tested in {} ms, {} us a row",
        want.len(),
        built.file.len(),
        load.as_millis(),
        score.as_micros()
    );
    assert_eq!(off, 0);
}
