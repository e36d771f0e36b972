//! A model with several classes as a bundle: the sum of the risky classes is the risk.

use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tollgate_host::author::{self, Built};
use tollgate_host::import::{Source, Wanted};
use tollgate_host::{Failure, Result};
use tollgate_tests::cases::json;
use tollgate_tests::forge::{key, public};
use tollgate_tests::{doubles, present, root, runtimes};

/// Cases of the grids: where they are, what makes them.
const LIGHTGBM: (&str, &str) = ("target/grid/obj_multiclass", "grid trained with LightGBM, see `make grid`");
const XGBOOST: (&str, &str) =
    ("target/xgboost-grid/multi_softprob_given", "grid trained with XGBoost, see `make xgboost-grid`");
const WORDS: (&str, &str) = ("target/onnx-grid/class_words_forest", "grid of ONNX Runtime, see `make onnx-grid`");
const NUMBERS: (&str, &str) = ("target/onnx-grid/class_numbers_forest", "grid of ONNX Runtime, see `make onnx-grid`");
const TEXTS: (&str, &str) = ("target/onnx-grid/text_onehot_forest", "grid of ONNX Runtime, see `make onnx-grid`");

#[test]
fn positions() {
    check(LIGHTGBM, "risk_outputs = [0, 2]", &[0, 2]);
}

/// LightGBM's and XGBoost's files know classes by number only.
#[test]
fn numbers_as_the_trainer_has_them() {
    check(LIGHTGBM, "risk_classes = [0, 2]", &[0, 2]);
    check(LIGHTGBM, "risk_classes = [\"1\"]", &[1]);
    check(XGBOOST, "risk_classes = [3, 1]", &[1, 3]);
    check(NUMBERS, "risk_classes = [20, 3]", &[0, 2]);
}

#[test]
fn names_of_the_file() {
    check(WORDS, "risk_classes = [\"fraud\", \"abuse\"]", &[0, 2]);
    check(WORDS, "risk_classes = [\"fine\"]", &[1]);
}

#[test]
fn names_that_the_author_gives() {
    let Some(case) = Case::read(LIGHTGBM) else { return };
    let names: Vec<String> = (0..case.outputs).map(|class| format!("class {class}")).collect();
    check(LIGHTGBM, &format!("classes = {names:?}\nrisk_classes = [\"class 2\", \"class 1\"]"), &[1, 2]);
    refused(LIGHTGBM, "classes = [\"a\", \"b\"]\nrisk_classes = [\"a\"]", &["model.classes has 2 names"]);
    let twice = vec!["a"; case.outputs];
    refused(LIGHTGBM, &format!("classes = {twice:?}\nrisk_classes = [\"a\"]"), &["names \"a\" twice"]);
}

#[test]
fn wrong_names_are_refused_with_those_there_are() {
    let known = "its classes are \"abuse\", \"fine\", \"fraud\"";
    refused(WORDS, "risk_classes = [\"fraud\", \"Abuse\"]", &["no class \"Abuse\"", known]);
    refused(WORDS, "risk_classes = [1]", &["no class \"1\"", known]);
    refused(WORDS, "", &["3 outputs", "risk_classes", known]);
    refused(WORDS, "risk_classes = [\"fraud\", \"fraud\"]", &["names \"fraud\" twice"]);
    refused(WORDS, "risk_classes = [\"fraud\", \"fine\", \"abuse\"]", &["every class"]);
    refused(WORDS, "risk_classes = [\"fraud\"]\nrisk_outputs = [2]", &["not both"]);
    let other = "classes = [\"a\", \"b\", \"c\"]\nrisk_classes = [\"a\"]";
    refused(WORDS, other, &["not those of the model file", known]);
    refused(LIGHTGBM, "risk_classes = [0, 99]", &["no class \"99\"", "its classes are \"0\", \"1\""]);
    refused(NUMBERS, "risk_classes = [1]", &["no class \"1\"", "\"3\", \"7\", \"20\""]);
    refused(WORDS, "risk_classes = [1.5]", &["bundle.toml", "risk_classes"]);
}

/// A model of two classes scores the second one, which may be named.
#[test]
fn of_two_classes_the_second_is_the_risk() {
    let Some(case) = Case::read(TEXTS) else { return };
    assert_eq!(case.outputs, 1);
    case.build("risk_classes = [1]").unwrap_or_else(|failure| panic!("{failure}"));
    case.build("").unwrap_or_else(|failure| panic!("{failure}"));
    refused(TEXTS, "risk_classes = [0]", &["scores the second one", "\"0\", \"1\""]);
    refused(TEXTS, "risk_classes = [\"fraud\"]", &["no class \"fraud\""]);
}

/// What a model reads as text is a category with the model's own list of values, in its order.
#[test]
fn texts_are_categories_in_the_models_order() {
    let Some(case) = Case::read(TEXTS) else { return };
    let built = case.build("").unwrap_or_else(|failure| panic!("{failure}"));
    let responses = doubles(&case.folder.join("response.f64"));
    let texts = json(&case.folder.join("meta.json"))["texts"].clone();
    for runtime in &mut runtimes() {
        runtime.load(&built.file, &public(1), None, None).expect("loads");
        for (row, values) in case.usable() {
            let mut features = serde_json::Map::new();
            for (name, value) in case.source.features().iter().zip(values) {
                let word = texts.get(name).map(|words| words.get(*value as usize).cloned());
                // A text that nobody knows is invalid, and its stand-in is "as missing".
                features.insert(name.clone(), word.map_or(Value::from(*value), |word| word.unwrap_or("?".into())));
            }
            let record = runtime.score_json(serde_json::json!({ "features": features }).to_string().as_bytes());
            let record: Value = serde_json::from_str(&record.expect("decides")).expect("JSON");
            let got = record["probability"].as_f64().expect("a probability");
            assert!((got - responses[row]).abs() < 1e-6, "{}: {got}, {}: {features:?}", runtime.name(), responses[row]);
        }
    }
    let message =
        case.build_with("", |toml| toml.replace("\"app\", \"pos\"", "\"pos\", \"app\"")).expect_err("refused");
    let words = ["\"channel\"", "text in the model", "\"app\", \"pos\", \"shop in shop\", \"web\""];
    assert!(words.iter().all(|word| message.message.contains(word)), "{message}");
}

/// A case of a grid, as an author would have it.
struct Case {
    folder: PathBuf,
    model: String,
    source: Source,
    width: usize,
    outputs: usize,
    rows: Vec<f64>,
    raw: Vec<f64>,
}

impl Case {
    fn read((folder, what): (&str, &str)) -> Option<Self> {
        let folder = present(root().join(folder), what)?;
        let names = ["model.txt", "model.json", "model.ubj", "model.onnx"];
        let model = names.into_iter().find(|name| folder.join(name).exists()).expect("a model").to_owned();
        let source = Source::read(&folder.join(&model), &Wanted::default()).expect("imports");
        let (width, outputs) = (source.features().len(), source.outputs());
        let (rows, raw) = (doubles(&folder.join("X.f64")), doubles(&folder.join("raw.f64")));
        Some(Self { folder, model, source, width, outputs, rows, raw })
    }

    /// Rows that a schema of plain numbers takes, with their numbers.
    fn usable(&self) -> Vec<(usize, &[f64])> {
        let usable = |row: &(usize, &[f64])| row.1.iter().all(|value| value.is_finite() && value.abs() < 1e9);
        let rows: Vec<_> = self.rows.chunks(self.width).enumerate().filter(usable).take(60).collect();
        assert!(rows.len() > 20);
        rows
    }

    fn build(&self, model: &str) -> Result<Built> {
        self.build_with(model, |toml| toml)
    }

    /// Builds with these lines in `[model]`, and the whole file changed.
    fn build_with(&self, model: &str, change: impl Fn(String) -> String) -> Result<Built> {
        let folder = TempDir::new().expect("a folder");
        std::fs::copy(self.folder.join(&self.model), folder.path().join(&self.model)).expect("copies");
        std::fs::write(folder.path().join("bundle.toml"), change(self.bundle_toml(model))).expect("writes");
        std::fs::write(folder.path().join("golden.csv"), self.golden()).expect("writes");
        author::build(folder.path(), &key(1))
    }

    fn bundle_toml(&self, model: &str) -> String {
        let mut toml = format!(
            "[bundle]\nname = \"m\"\nversion = \"1\"\nuse_case = \"m\"\ncreated = \"2026-01-01T00:00:00Z\"\n\
             fallback_action = \"challenge\"\n[model]\nfile = {:?}\n{model}\n\
             [golden]\nrows = \"golden.csv\"\nexpected = \"raw\"\n[calibrator]\n{}\n\
             [policy.cutoffs]\nchallenge = 0.5\nblock = 0.9\n",
            self.model,
            self.calibrator()
        );
        for name in self.source.features() {
            let kind = match self.source.names().texts.get(name) {
                Some(words) => format!("kind = \"category\"\nvalues = {words:?}"),
                None => "kind = \"number\"".into(),
            };
            let _ = write!(toml, "[[features]]\nname = {name:?}\n{kind}\nmissing = \"as_missing\"\n");
        }
        toml
    }

    /// A curve that changes nothing. Forests of scikit-learn give probabilities as raw scores.
    fn calibrator(&self) -> &'static str {
        match (self.model.as_str(), self.outputs) {
            ("model.onnx", 1) => "kind = \"isotonic\"\ninput = \"margin\"\nfitted = { x = [0, 1], y = [0, 1] }",
            ("model.onnx", _) => "kind = \"platt\"\nfitted = { a = -1.0, b = 0.0 }",
            _ => "kind = \"identity\"",
        }
    }

    /// Golden rows with one column a class, or one for all; texts by their words.
    fn golden(&self) -> String {
        let columns = if self.outputs == 1 {
            vec!["raw".to_owned()]
        } else {
            (0..self.outputs).map(|class| format!("raw{class}")).collect()
        };
        let header: Vec<String> = self.source.features().iter().cloned().chain(columns).collect();
        let mut golden = header.join(",");
        let texts: Vec<_> = self.source.features().iter().map(|name| self.source.names().texts.get(name)).collect();
        let word = |(value, texts): (&f64, &Option<&Vec<String>>)| match texts {
            Some(words) => words.get(*value as usize).cloned().unwrap_or_default(),
            None => format!("{value:?}"),
        };
        for (row, values) in self.usable().into_iter().take(30) {
            let scores = &self.raw[row * self.outputs..(row + 1) * self.outputs];
            let cells: Vec<String> = values.iter().zip(&texts).map(word).collect();
            let scores: Vec<String> = scores.iter().map(|score| format!("{score:?}")).collect();
            let _ = write!(golden, "\n{},{}", cells.join(","), scores.join(","));
        }
        golden + "\n"
    }
}

/// Builds with these lines, and finds the sum of the risky classes' responses in each record.
#[track_caller]
fn check(case: (&str, &str), lines: &str, risky: &[usize]) {
    let Some(case) = Case::read(case) else { return };
    assert!(case.outputs > 2);
    let built = case.build(lines).unwrap_or_else(|failure| panic!("{failure}"));
    let responses = doubles(&case.folder.join("response.f64"));
    let explained = !case.model.ends_with(".onnx");
    for runtime in &mut runtimes() {
        runtime.load(&built.file, &public(1), None, None).expect("loads");
        for (row, values) in case.usable() {
            let features: serde_json::Map<String, Value> =
                case.source.features().iter().cloned().zip(values.iter().map(|value| Value::from(*value))).collect();
            let record = runtime.score_json(serde_json::json!({ "features": features }).to_string().as_bytes());
            let record: Value = serde_json::from_str(&record.expect("decides")).expect("JSON");
            let classes = &responses[row * case.outputs..(row + 1) * case.outputs];
            let want: f64 = risky.iter().map(|class| classes[*class]).sum();
            let got = record["probability"].as_f64().expect("a probability");
            assert!((got - want).abs() < 1e-6, "{}: {got}, {want}", runtime.name());
            assert_eq!(record["action"], action(got));
            let told = !record["reasons"].as_array().expect("a list").is_empty();
            assert_eq!(told, explained && action(got) != "allow", "{record}");
        }
    }
}

fn action(probability: f64) -> &'static str {
    match probability {
        0.9.. => "block",
        0.5.. => "challenge",
        _ => "allow",
    }
}

/// Building with these lines is refused with a message that has all of these words.
#[track_caller]
fn refused(case: (&str, &str), lines: &str, words: &[&str]) {
    let Some(case) = Case::read(case) else { return };
    let Failure { code, message, .. } = case.build(lines).expect_err("refused");
    assert_eq!(code, "SOURCE");
    assert!(words.iter().all(|word| message.contains(word)), "{words:?}: {message}");
}

/// The folders are those of the grids, which `make test` writes first.
#[test]
fn cases_are_in_the_grids() {
    for (folder, _) in [LIGHTGBM, XGBOOST, WORDS, NUMBERS, TEXTS] {
        let grid = Path::new(folder).parent().expect("a grid");
        assert!(!root().join(grid).exists() || root().join(folder).exists(), "{folder}");
    }
}
