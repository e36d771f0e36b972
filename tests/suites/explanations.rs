//! Reasons and explanations of the signup example, on every runtime.

use serde_json::Value;
use std::collections::BTreeMap;
use tollgate_host::author;
use tollgate_host::import::{self, Source};
use tollgate_host::sandbox::Bounds;
use tollgate_tests::forge::{key, public};
use tollgate_tests::{Runtime, runtimes};
use tollgate_tests::{Wasmtime, root};

/// The signup bundle of the recorded decisions, its key, and its requests.
fn signup() -> (Vec<u8>, Vec<u8>, Vec<String>) {
    let folder = root().join("tests/vectors/signup");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let requests = String::from_utf8(read("requests.ndjson")).expect("UTF-8");
    (read("bundle.tollgate"), read("trust.key"), requests.lines().map(String::from).collect())
}

fn records() -> Vec<Value> {
    let (bundle, key, requests) = signup();
    let mut all = Vec::new();
    for runtime in &mut runtimes() {
        runtime.load(&bundle, &key, None, None).expect("loads");
        let decided = requests.iter().filter_map(|request| runtime.score_json(request.as_bytes()).ok());
        all.extend(decided.map(|record| serde_json::from_str(&record).expect("JSON")));
    }
    all
}

#[test]
fn reasons_are_adverse_ranked_and_few() {
    let (mut with, mut without) = (0, 0);
    for record in records() {
        let reasons = record["reasons"].as_array().expect("a list");
        if record["action"] == "allow" {
            assert!(reasons.is_empty(), "{record}");
            without += 1;
            continue;
        }
        with += usize::from(!reasons.is_empty());
        assert!(reasons.len() <= 4, "{record}");
        let ranks: Vec<u64> = reasons.iter().filter_map(|reason| reason["rank"].as_u64()).collect();
        assert_eq!(ranks, (1..=reasons.len() as u64).collect::<Vec<_>>());
        let by_model: Vec<f64> = reasons.iter().filter_map(|reason| reason["contribution"].as_f64()).collect();
        assert!(by_model.iter().all(|contribution| *contribution > 0.0), "only what raises the risk: {record}");
        assert!(by_model.is_sorted_by(|a, b| a >= b), "{record}");
        let codes: Vec<&str> = reasons.iter().filter_map(|reason| reason["code"].as_str()).collect();
        assert!(codes.iter().enumerate().all(|(at, code)| !codes[..at].contains(code)), "{record}");
    }
    assert!(with > 50 && without > 50, "both happen: {with} with reasons, {without} allowed");
}

#[test]
fn the_stage_that_decided_comes_first() {
    let mut met = BTreeMap::new();
    for record in records() {
        let source = record["source"].as_str().expect("text").to_owned();
        let first = &record["reasons"][0];
        let code = first["code"].as_str().unwrap_or_default().to_owned();
        match source.as_str() {
            "missing_cap" | "required" if record["action"] != "allow" => {
                assert!(code.starts_with("INSUFFICIENT_DATA_"), "{record}");
                assert!(first["contribution"].is_null(), "{record}");
                *met.entry(source).or_insert(0) += 1;
            }
            "segment_cap" if record["action"] != "allow" => {
                assert!(code.starts_with("SEGMENT_"), "{record}");
                *met.entry(source).or_insert(0) += 1;
            }
            _ => {}
        }
    }
    assert!(met.contains_key("missing_cap") && met.contains_key("required"), "{met:?}");
}

#[test]
fn explanations_add_up_and_agree_with_the_record() {
    let (bundle, key, requests) = signup();
    let mut runtime = Wasmtime::new(Bounds::default());
    runtime.load(&bundle, &key, None, None).expect("loads");
    let handle = runtime.bundle.expect("loaded");
    let mut explained = 0;
    for request in &requests {
        let Ok(text) = runtime.instance.explain_json(handle, request.as_bytes()) else { continue };
        let explanation: Value = serde_json::from_str(&text).expect("JSON");
        let Some(margin) = explanation["margin"].as_f64() else { continue };
        let features = explanation["features"].as_array().expect("features");
        let sum: f64 = features.iter().filter_map(|feature| feature["contribution"].as_f64()).sum();
        let expected = explanation["expected_margin"].as_f64().expect("a number");
        assert!((expected + sum - margin).abs() < 1e-9, "{expected} + {sum} = {margin}");
        assert_eq!(explanation["record"]["margin"].as_f64(), Some(margin));
        groups_sum_up(&explanation, features);
        explained += 1;
    }
    assert!(explained > 200, "{explained}");
}

/// Each reason of the model is the sum of its group's features; those that something stands
/// in for count apart.
fn groups_sum_up(explanation: &Value, features: &[Value]) {
    for reason in explanation["reasons"].as_array().into_iter().flatten() {
        let Some(contribution) = reason["contribution"].as_f64() else { continue };
        let code = reason["code"].as_str().unwrap_or_default();
        let (group, stood_in) = match code.strip_prefix("INSUFFICIENT_DATA_") {
            Some(group) => (group, true),
            None => (code, false),
        };
        let members = features.iter().filter(|feature| feature["code"] == group);
        let members = members.filter(|feature| (feature["state"] != "present") == stood_in);
        let sum: f64 = members.filter_map(|feature| feature["contribution"].as_f64()).sum();
        assert!((sum - contribution).abs() < 1e-12, "{reason}: {sum}");
        let told = reason["text"].as_object().is_some_and(|texts| !texts.is_empty());
        assert!(!(stood_in && told), "missing data is never told as behaviour: {reason}");
    }
}

/// Linear models have a closed form: weight times the distance from the mean.
#[test]
fn linear_models_are_explained_by_hand() {
    let text = "intercept = 1.0\nlink = \"identity\"\n[weights]\na = 2.0\nb = -0.5\n[means]\na = 3.0\n";
    let source = Source::Linear(import::linear(text).expect("reads"));
    let file = author::bare(&source, &key(1)).expect("signs");
    for runtime in &mut runtimes() {
        runtime.load(&file, &public(1), None, None).expect("loads");
        // Two (5 - 3) is 4, minus a half of 8 is -4, and 1 + 2 times 3 is 7 on average.
        assert_eq!(runtime.contributions(&[5.0, 8.0], 2, 1).expect("explains"), [4.0, -4.0, 7.0]);
        assert_eq!(runtime.predict(&[5.0, 8.0], 2, 1, false), [7.0]);
    }
}
