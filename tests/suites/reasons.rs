//! Reasons, sentence by sentence as the policy's rules have them, on every runtime.
//!
//! The model is a sum of its features, so that a contribution is the feature's own value and
//! ties can be written down exactly.

use serde_json::{Value, json};
use std::fmt::Write;
use tempfile::TempDir;
use tollgate_host::author;
use tollgate_host::sandbox::Bounds;
use tollgate_tests::forge::{key, public};
use tollgate_tests::{Runtime, Wasmtime, runtimes};

const FEATURES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Below a relative distance of 1e-6, and above it.
const NEAR: f64 = 1.0 / (1 << 30) as f64;
const FAR: f64 = 1.0 / (1 << 10) as f64;

/// A bundle of the sum of six features, with these reasons.
fn bundle(reasons: &str) -> Vec<u8> {
    let folder = TempDir::new().expect("a folder");
    let mut model = String::from("link = \"logistic\"\n[weights]\n");
    let mut toml = format!(
        "[bundle]\nname = \"m\"\nversion = \"1\"\nuse_case = \"m\"\ncreated = \"2026-01-01T00:00:00Z\"\n\
         fallback_action = \"challenge\"\n[model]\nfile = \"model.toml\"\nformat = \"linear\"\n\
         [golden]\nrows = \"golden.csv\"\nexpected = \"raw\"\n[calibrator]\nkind = \"identity\"\n\
         [policy.cutoffs]\nchallenge = 0.5\nblock = 0.9\n\
         [[policy.segments]]\nname = \"small fry\"\nat_most = \"challenge\"\n\
         when = [{{ feature = \"size\", less = 1.0 }}]\n\
         [[policy.required]]\nname = \"tail\"\nfeatures = [\"e\", \"f\"]\n{reasons}\n"
    );
    for name in FEATURES {
        let _ = writeln!(model, "{name} = 1.0");
        let _ = write!(toml, "[[features]]\nname = {name:?}\nkind = \"number\"\nmissing = 2.0\n");
    }
    toml.push_str(
        "[[features]]\nname = \"size\"\nkind = \"number\"\nmissing = 5.0\nat_most = \"challenge\"\nscored = false\n",
    );
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("bundle.toml", &toml);
    write("model.toml", &model);
    write("golden.csv", "a,b,c,d,e,f,raw\n1,2,3,4,5,6,21\n");
    author::build(folder.path(), &key(1)).unwrap_or_else(|failure| panic!("{failure}")).file
}

/// A request with these values; the others are 0, and `size` is large.
fn request(values: &[(&str, Value)]) -> String {
    let mut features = json!({"a": 0, "b": 0, "c": 0, "d": 0, "e": 0, "f": 0, "size": 5});
    for (name, value) in values {
        features[*name] = value.clone();
    }
    json!({"features": features}).to_string()
}

/// Code, contribution and near tie of each reason, the same on every runtime.
#[track_caller]
fn reasons(bundle: &[u8], values: &[(&str, Value)]) -> Vec<(String, Option<f64>, bool)> {
    let mut found: Option<Vec<(String, Option<f64>, bool)>> = None;
    for runtime in &mut runtimes() {
        runtime.load(bundle, &public(1), None, None).expect("loads");
        let record = runtime.score_json(request(values).as_bytes()).expect("decides");
        let record: Value = serde_json::from_str(&record).expect("JSON");
        let told = record["reasons"].as_array().expect("a list");
        let ranks: Vec<_> = told.iter().map(|reason| reason["rank"].as_u64()).collect();
        assert_eq!(ranks, (1..=told.len() as u64).map(Some).collect::<Vec<_>>(), "{record}");
        let reason = |reason: &Value| {
            let code = reason["code"].as_str().expect("a code").to_owned();
            (code, reason["contribution"].as_f64(), reason["near_tie"] == true)
        };
        let told: Vec<_> = told.iter().map(reason).collect();
        assert!(found.as_ref().is_none_or(|found| *found == told), "{}: {told:?}", runtime.name());
        found = Some(told);
    }
    found.expect("there are runtimes")
}

#[track_caller]
fn check(bundle: &[u8], values: &[(&str, Value)], want: &[(&str, Option<f64>, bool)]) {
    let want: Vec<_> = want.iter().map(|(code, sum, near)| ((*code).to_owned(), *sum, *near)).collect();
    assert_eq!(reasons(bundle, values), want);
}

/// The codes alone.
#[track_caller]
fn codes(bundle: &[u8], values: &[(&str, Value)], want: &[&str]) {
    let found: Vec<String> = reasons(bundle, values).into_iter().map(|reason| reason.0).collect();
    assert_eq!(found, want);
}

const GROUPS: &str = "[reasons]\n\
    [[reasons.groups]]\ncode = \"LATE\"\nfeatures = [\"c\"]\n\
    [[reasons.groups]]\ncode = \"SECOND\"\nfeatures = [\"b\"]\npriority = 2\n\
    [[reasons.groups]]\ncode = \"FIRST\"\nfeatures = [\"a\"]\npriority = 1\n\
    [[reasons.groups]]\ncode = \"LATER\"\nfeatures = [\"d\"]\n";

#[test]
fn the_stage_that_decided_comes_first() {
    let bundle = bundle("");
    let three = json!(3);
    // Nothing but the model decided: no stage.
    check(&bundle, &[("a", three.clone())], &[("A", Some(3.0), false)]);
    let small = [("a", three.clone()), ("size", json!(0.5))];
    check(&bundle, &small, &[("SEGMENT_SMALL_FRY", None, false), ("A", Some(3.0), false)]);
    let missing = [("a", three.clone()), ("b", Value::Null)];
    let want = [("INSUFFICIENT_DATA_B", None, false), ("A", Some(3.0), false)];
    check(&bundle, &missing, &want);
    // Not scored at all, so nothing else can be said.
    let tail = [("a", three), ("e", Value::Null), ("f", Value::Null)];
    check(&bundle, &tail, &[("INSUFFICIENT_DATA_TAIL", None, false)]);
}

#[test]
fn contributions_are_summed_within_groups_and_then_ranked() {
    let bundle = bundle("[reasons]\n[[reasons.groups]]\ncode = \"AB\"\nfeatures = [\"a\", \"b\"]\n");
    let values = [("a", json!(4)), ("b", json!(-2)), ("c", json!(3)), ("d", json!(1))];
    check(&bundle, &values, &[("C", Some(3.0), false), ("AB", Some(2.0), false), ("D", Some(1.0), false)]);
}

#[test]
fn only_the_adverse_direction_is_told() {
    let bundle = bundle("[reasons]\n[[reasons.groups]]\ncode = \"AB\"\nfeatures = [\"a\", \"b\"]\n");
    // A member that raises the risk is no reason where its group lowers it; zero is none either.
    let values = [("a", json!(1)), ("b", json!(-2)), ("c", json!(4)), ("d", json!(-0.5))];
    check(&bundle, &values, &[("C", Some(4.0), false)]);
    codes(&bundle, &[("a", json!(-3))], &[]);
}

#[test]
fn there_are_at_most_four_or_as_many_as_the_bundle_says() {
    let values: Vec<(&str, Value)> = FEATURES.iter().zip(1..).map(|(name, value)| (*name, json!(value))).collect();
    codes(&bundle(""), &values, &["F", "E", "D", "C"]);
    codes(&bundle("[reasons]\nmost = 2\n"), &values, &["F", "E"]);
    codes(&bundle("[reasons]\nmost = 6\n"), &values, &["F", "E", "D", "C", "B", "A"]);
    // The stage is one of them.
    let small = [values.as_slice(), &[("size", json!(0))]].concat();
    codes(&bundle("[reasons]\nmost = 2\n"), &small, &["SEGMENT_SMALL_FRY", "F"]);
}

#[test]
fn ties_go_by_declared_priority() {
    let bundle = bundle(GROUPS);
    let all: Vec<(&str, Value)> = ["a", "b", "c", "d", "e"].map(|name| (name, json!(1))).to_vec();
    // Numbers first, then the order of declaration, then features in no group.
    codes(&bundle, &all, &["FIRST", "SECOND", "LATE", "LATER"]);
    codes(&bundle, &[("e", json!(2)), ("d", json!(2)), ("c", json!(2))], &["LATE", "LATER", "E"]);
    codes(&bundle, &[("f", json!(2)), ("e", json!(2))], &["E", "F"]);
    // Priority breaks ties and does no more.
    codes(&bundle, &[("a", json!(2)), ("c", json!(2.5))], &["LATE", "FIRST"]);
    // Who is left out at the end of the list is decided in the same way.
    let equal = FEATURES.map(|name| (name, json!(0.5)));
    codes(&bundle, &equal, &["FIRST", "SECOND", "LATE", "LATER"]);
}

#[test]
fn near_ties_are_in_the_record() {
    let bundle = bundle(GROUPS);
    let two = |second: f64| [("a", json!(1.0)), ("b", json!(second)), ("c", json!(3))];
    let far = [("LATE", Some(3.0), false), ("FIRST", Some(1.0), false), ("SECOND", Some(1.0 - FAR), false)];
    check(&bundle, &two(1.0 - FAR), &far);
    let near = [("LATE", Some(3.0), false), ("FIRST", Some(1.0), true), ("SECOND", Some(1.0 - NEAR), false)];
    check(&bundle, &two(1.0 - NEAR), &near);
    let tie = [("LATE", Some(3.0), false), ("FIRST", Some(1.0), true), ("SECOND", Some(1.0), false)];
    check(&bundle, &two(1.0), &tie);
    // The last one told nearly lost its place to one that is not.
    let last = [("a", json!(4)), ("b", json!(3)), ("c", json!(2)), ("d", json!(1)), ("e", json!(1.0 - NEAR))];
    let told = reasons(&bundle, &last);
    assert_eq!(told.last(), Some(&("LATER".to_owned(), Some(1.0), true)));
}

/// A record without near ties does not speak of them.
#[test]
fn other_records_say_nothing_of_near_ties() {
    let mut runtime = Wasmtime::new(Bounds::default());
    runtime.load(&bundle(""), &public(1), None, None).expect("loads");
    let record = runtime.score_json(request(&[("a", json!(3)), ("b", json!(1))]).as_bytes()).expect("decides");
    assert!(record.contains("\"rank\":1") && !record.contains("near_tie"), "{record}");
}

#[test]
fn texts_are_told_by_language_and_never_for_missing_data() {
    let reasons = "[reasons]\n[[reasons.groups]]\ncode = \"AB\"\nfeatures = [\"a\", \"b\"]\n\
                   text = { en = \"much of both\", de = \"viel von beidem\" }\n";
    let mut runtime = Wasmtime::new(Bounds::default());
    runtime.load(&bundle(reasons), &public(1), None, None).expect("loads");
    let handle = runtime.bundle.expect("loaded");
    let mut explain = |values: &[(&str, Value)]| {
        let text = runtime.instance.explain_json(handle, request(values).as_bytes()).expect("explains");
        serde_json::from_str::<Value>(&text).expect("JSON")["reasons"].clone()
    };
    let told = explain(&[("a", json!(3))]);
    assert_eq!(told[0]["text"], json!({"en": "much of both", "de": "viel von beidem"}));
    // b is missing: 2 stands in. Its share counts apart from the group's, with no text.
    let told = explain(&[("a", json!(3)), ("b", Value::Null), ("c", json!(1))]);
    let shown: Vec<[&Value; 2]> =
        told.as_array().expect("a list").iter().map(|reason| [&reason["code"], &reason["text"]]).collect();
    let both = json!({"en": "much of both", "de": "viel von beidem"});
    let (missing, ab, c, none) = (json!("INSUFFICIENT_DATA_AB"), json!("AB"), json!("C"), json!({}));
    assert_eq!(shown, [[&missing, &none], [&ab, &both], [&c, &none]]);
}

/// Where no stage decided, a stand-in's own share is a reason among the others.
#[test]
fn a_stand_in_is_a_reason_of_its_own() {
    let bundle = bundle("");
    // A challenge anyway, so the cap of the missing value decides nothing.
    let values = [("a", json!(-1)), ("b", Value::Null), ("c", json!(0.5))];
    check(&bundle, &values, &[("INSUFFICIENT_DATA_B", Some(2.0), false), ("C", Some(0.5), false)]);
}
