//! XGBoost models, raw scores bit by bit.
//!
//! Two sources: the parity cases (other projects' models with published predictions)
//! and a grid that `tests/python/xgboost_grid.py` trains with the official library.

use std::path::Path;
use tollgate_host::author;
use tollgate_host::import::{Source, Wanted, xgboost};
use tollgate_host::sandbox::Bounds;
use tollgate_host::table::{Codes, Table};
use tollgate_tests::cases::{check_grid, contributions_case, folders, is_usable, json, parity_case};
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
        if meta["format"] == "xgboost_legacy_bin" {
            let refusal = Source::read(&case.join("model.model"), &Wanted::default()).expect_err("refused").message;
            assert!(refusal.contains("save_model(\"model.json\")"), "{refusal}");
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
    let source = Source::read(&case.join(model), &Wanted::default()).unwrap_or_else(|failure| panic!("{failure}"));
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
    assert!(check_grid(&grid, SINGLE) >= 60, "the grid is there");
}

/// Small models that XGBoost 3.4.1 wrote, with its predictions, see `make xgboost-fixtures`.
#[test]
fn newest_files() {
    let folder = root().join("tests/fixtures/xgboost");
    for case in folders(&folder) {
        let version = &json(&case.join("meta.json"))["xgboost"];
        assert_eq!(version, &serde_json::json!([3, 4, 1]), "{}", case.display());
    }
    assert!(check_grid(&folder, SINGLE) >= 13, "the models are there");
}

/// The whole grid trained with that version, where somebody has run it.
#[test]
fn newest_grid() {
    let folder = root().join("target/xgboost-newest");
    let Some(grid) = present(folder, "grid trained with XGBoost 3.4.1, see `make xgboost-newest`") else { return };
    assert!(check_grid(&grid, SINGLE) >= 165, "the grid is there");
}

/// Shapley values against XGBoost's own, which it computes in single precision.
#[test]
fn shapley_values() {
    let folder = root().join("target/xgboost-grid");
    let Some(grid) = present(folder, "grid trained with XGBoost, see `make xgboost-grid`") else { return };
    let mut wasmtime = wasmtime();
    let (mut explained, mut off) = (0, Vec::new());
    for case in folders(&grid) {
        let known = std::fs::metadata(case.join("contributions.f64")).is_ok_and(|file| file.len() > 0);
        let meta = json(&case.join("meta.json"));
        let model = meta["model"].as_str().expect("the model's file");
        if !known {
            continue;
        }
        match contributions_case(&case, model, 1e-5, &mut wasmtime) {
            Some(0) => explained += 1,
            Some(wrong) => off.push(format!("{}: {wrong} numbers", case.display())),
            None => off.push(format!("{}: refused, and XGBoost explains it", case.display())),
        }
    }
    println!("explained {explained} models");
    assert!(off.is_empty(), "{}", off.join("\n"));
    assert!(explained >= 120, "{explained}");
}

/// One tree, as XGBoost writes it: NaN is no JSON, and yet there.
const MODEL: &str = r#"{"learner": {
  "attributes": {}, "feature_names": ["a", "b"], "feature_types": ["float", "c"],
  "gradient_booster": {"name": "gbtree", "model": {
    "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": "1"},
    "iteration_indptr": [0, 1], "tree_info": [0],
    "trees": [{"id": 0, "tree_param": {"size_leaf_vector": "1"},
      "left_children": [1, 3, -1, -1, -1], "right_children": [2, 4, -1, -1, -1],
      "split_indices": [0, 1, 0, 0, 0], "split_conditions": [5E-1, 0E0, 1E0, 2E0, 4E0],
      "default_left": [1, 0, 0, 0, 0], "split_type": [0, 1, 0, 0, 0], "sum_hessian": [9, 5, 4, 2, NaN],
      "categories": [0, 7], "categories_nodes": [1], "categories_segments": [0], "categories_sizes": [2]}]}},
  "learner_model_param": {"base_score": "[5E-1]", "num_class": "0", "num_feature": "2", "num_target": "1"},
  "objective": {"name": "binary:logistic"}}, "version": [3, 2, 0]}"#;

#[test]
fn by_hand() {
    let source = xgboost(MODEL.as_bytes(), None).expect("the model reads");
    let mut native = Native::default();
    native.load(&author::bare(&source, &key(1)).expect("signs"), &public(1), None, None).expect("loads");
    let nan = f64::NAN;
    // 0.5 is not less than 0.5; category 7 is in the set, so it goes right; NaN as the default says.
    let rows = [0.5, 7.0, 0.4, 7.9, 0.4, 3.0, 0.4, -0.5, nan, 0.0, 0.49999999, nan, 1e-50, f64::INFINITY];
    assert_eq!(native.predict(&rows, 2, 1, false), [1.0, 4.0, 2.0, 2.0, 4.0, 1.0, 2.0]);
}

/// Why a model is refused.
fn refusal(bytes: &[u8], iterations: Option<usize>) -> String {
    xgboost(bytes, iterations).expect_err("refused").message
}

/// The model with one place changed is refused, and the message names it.
#[track_caller]
fn check(from: &str, to: &str, names: &str) {
    assert!(MODEL.contains(from), "{from}");
    let message = refusal(MODEL.replacen(from, to, 1).as_bytes(), None);
    assert!(message.contains(names), "{names}: {message}");
}

#[test]
fn refused_by_name() {
    check("binary:logistic", "rank:future", "learner.objective.name: objective \"rank:future\" is not supported");
    check("\"gbtree\"", "\"gbforest\"", "learner.gradient_booster.name: booster \"gbforest\" is not supported");
    check("[3, 2, 0]", "[4, 0, 0]", "version: XGBoost 4 is newer");
    check("\"[5E-1]\"", "\"[5E-1,1E-1]\"", "base_score: 2 scores for 1 outputs");
    check("\"[5E-1]\"", "\"2E0\"", "base_score: 2 is no probability");
    check("\"[5E-1]\"", "\"half\"", "base_score: \"half\" is no number");
    check("\"num_feature\": \"2\"", "\"num_feature\": \"0\"", "num_feature");
    check("\"num_feature\": \"2\"", "\"num_feature\": \"3\"", "feature_names: 2 names for 3 features");
    check(
        "\"num_class\": \"0\", \"num_feature\": \"2\", \"num_target\": \"1\"",
        "\"num_class\": \"3\", \"num_feature\": \"2\", \"num_target\": \"2\"",
        "several targets of several classes",
    );
    check(
        "\"size_leaf_vector\": \"1\"",
        "\"size_leaf_vector\": \"3\"",
        "trees[0]: tree_param.size_leaf_vector: 3 targets",
    );
    let raw = MODEL.replace("binary:logistic", "binary:logitraw").replace("[3, 2, 0]", "[1, 2, 0]");
    assert!(refusal(raw.as_bytes(), None).contains("before XGBoost 1.3"));
    let several = MODEL
        .replace("binary:logistic", "reg:expectileerror")
        .replace("\"num_target\": \"1\"", "\"num_target\": \"2\"");
    assert!(refusal(several.as_bytes(), None).contains("several expectiles"));
    let quantiles = several.replace("reg:expectileerror", "reg:quantileerror").replace("\"[5E-1]\"", "\"[5E-1,5E-1]\"");
    assert!(refusal(quantiles.replace("[3, 2, 0]", "[3, 4, 0]").as_bytes(), None).contains("several quantiles"));
    assert!(xgboost(quantiles.as_bytes(), None).is_ok(), "before 3.4 they are given as they are");
    let classes = MODEL.replace("binary:logistic", "multi:softprob");
    assert!(refusal(classes.as_bytes(), None).contains("a softmax of one class"));
}

#[test]
fn damaged_trees_are_refused() {
    check("\"tree_info\": [0]", "\"tree_info\": [1]", "trees[0]: tree_info says output 1");
    check("\"id\": 0", "\"id\": 1", "trees[0].id: the trees are out of order");
    check("[1, 3, -1, -1, -1]", "[1, 0, -1, -1, -1]", "node 0 does not exist or has two parents");
    check("[1, 3, -1, -1, -1]", "[1, 9, -1, -1, -1]", "node 9 does not exist or has two parents");
    check("[1, 3, -1, -1, -1]", "[1, 3, -1, -1]", "right_children: 5 entries where 4 belong");
    check("\"split_indices\": [0, 1,", "\"split_indices\": [0, 2,", "split_indices[1]: the feature does not exist");
    check("\"split_type\": [0, 1,", "\"split_type\": [0, 2,", "split_type[1]: only 0");
    check(
        "\"categories_nodes\": [1]",
        "\"categories_nodes\": [2]",
        "categories_nodes[1]: a categorical split without set",
    );
    check("\"categories_sizes\": [2]", "\"categories_sizes\": [3]", "the sets overlap");
    check("\"categories_segments\": [0]", "\"categories_segments\": [1]", "the set of node 1 does not exist");
    check("\"categories\": [0, 7]", "\"categories\": [0, -7]", "categories: -7 is no category");
    check("2E0, 4E0]", "2E0, 4E40]", "the value of leaf 4 is not finite");
    check("\"learner\": {", "\"scholar\": {", "learner is missing");
    check("\"attributes\": {}", "\"attributes\": {}, \"attributes\": {}", "attributes stands twice");
    check("\"attributes\": {}", "\"attributes\": nul", "JSON, byte");
}

#[test]
fn old_binary_files_are_refused_with_what_to_do() {
    for bytes in [&b"binf\0\0\0\x3f\x02\0\0\0"[..], b"bs64\tAAAA", b"\0\0\0\x3f\x02\0\0\0", b"", b"[{\"nodeid\": 0}]"] {
        let message = refusal(bytes, None);
        assert!(message.contains("save_model(\"model.json\")"), "{message}");
    }
}

#[test]
fn linear_boosters_have_no_iterations() {
    let linear = r#"{"learner": {
        "gradient_booster": {"name": "gblinear", "model": {"weights": [5E-1, -2E0, 2.5E-1]}},
        "learner_model_param": {"base_score": "5E-1", "num_class": "0", "num_feature": "2"},
        "objective": {"name": "reg:squarederror"}}}"#;
    let Ok(Source::Linear(source)) = xgboost(linear.as_bytes(), None) else { panic!("a linear model") };
    assert_eq!((source.weights, source.intercepts), (vec![0.5, -2.0], vec![0.75]));
    assert!(refusal(linear.as_bytes(), Some(3)).contains("no iterations"));
    assert!(refusal(linear.replace("2.5E-1]", "2.5E-1, 1]").as_bytes(), None).contains("4 entries where 3 belong"));
    assert!(refusal(linear.replace("2.5E-1]", "NaN]").as_bytes(), None).contains("weight 2 is not finite"));
}

/// A document in UBJSON with lists as XGBoost writes them.
fn ubjson(value: &serde_json::Value) -> Vec<u8> {
    let text = |text: &str| [&b"L"[..], &(text.len() as i64).to_be_bytes(), text.as_bytes()].concat();
    match value {
        serde_json::Value::Object(members) => {
            let members = members.iter().flat_map(|(name, value)| [text(name), ubjson(value)].concat());
            [&b"{"[..], &members.collect::<Vec<u8>>(), b"}"].concat()
        }
        serde_json::Value::Array(values) => {
            let numbers: Option<Vec<f64>> = values.iter().map(serde_json::Value::as_f64).collect();
            let count = (values.len() as i64).to_be_bytes();
            let Some(numbers) = numbers else {
                return [&b"[#L"[..], &count, &values.iter().flat_map(ubjson).collect::<Vec<u8>>()].concat();
            };
            let numbers: Vec<u8> = numbers.iter().flat_map(|number| (*number as f32).to_be_bytes()).collect();
            [&b"[$d#L"[..], &count, &numbers].concat()
        }
        serde_json::Value::String(string) => [&b"S"[..], &text(string)].concat(),
        serde_json::Value::Number(number) => [&b"l"[..], &(number.as_i64().unwrap_or(0) as i32).to_be_bytes()].concat(),
        _ => b"Z".to_vec(),
    }
}

#[test]
fn cut_or_changed_files_are_refused() {
    let value = serde_json::from_str(&MODEL.replace("NaN", "2")).expect("JSON");
    let binary = ubjson(&value);
    assert!(xgboost(&binary, None).is_ok(), "whole, the document reads");
    for whole in [MODEL.as_bytes(), &binary] {
        for length in 0..whole.len() {
            assert!(xgboost(&whole[..length], None).is_err(), "{length} of {} bytes", whole.len());
        }
        let mut longer = whole.to_vec();
        longer.push(b'}');
        assert!(refusal(&longer, None).contains("follows the end"));
        // Any byte changed: refused or read, but never a panic, nor memory for what is not there.
        for place in 0..whole.len() {
            for byte in [0, 0xff, b'[', b'{', b'#', b'$', b'L', b'"', b'9', b'N', whole[place] ^ 1] {
                let mut changed = whole.to_vec();
                changed[place] = byte;
                if let Ok(source) = xgboost(&changed, Some(1)) {
                    let _built_or_refused = author::bare(&source, &key(1));
                }
            }
        }
    }
}

#[test]
fn hostile_containers_are_refused() {
    let many = i64::MAX.to_be_bytes();
    let cases: [(&str, Vec<u8>); 9] = [
        ("deep lists", [&b"{i\x01a"[..], &b"[".repeat(100_000)].concat()),
        ("deep objects", b"{i\x01a".repeat(100_000)),
        ("a huge list", [&b"{i\x01a[#L"[..], &many].concat()),
        ("a huge list of numbers", [&b"{i\x01a[$d#L"[..], &many].concat()),
        ("a huge list of nothing", [&b"{i\x01a[$Z#l"[..], &[0x7f, 0xff, 0xff, 0xff]].concat()),
        ("a negative count", b"{i\x01a[#i\xff".to_vec()),
        ("a huge text", [&b"{i\x01aSL"[..], &many].concat()),
        ("a type without count", b"{i\x01a[$i\x01]}".to_vec()),
        ("big numbers as text", b"{i\x01aHi\x01\x31}".to_vec()),
    ];
    for (name, bytes) in cases {
        assert!(refusal(&bytes, None).contains("UBJSON, byte"), "{name}: {}", refusal(&bytes, None));
    }
    for text in ["{\"a\": ".repeat(100_000), format!("{{\"a\": {}", "[".repeat(100_000))] {
        assert!(refusal(text.as_bytes(), None).contains("nested too deeply"));
    }
}
