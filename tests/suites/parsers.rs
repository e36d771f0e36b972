//! Whatever comes in: no parser panics, no input traps the module, and every refusal
//! has a code that stays.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use tollgate_host::author::{self, BundleSource};
use tollgate_host::import::{Source, lightgbm};
use tollgate_host::sandbox::Bounds;
use tollgate_host::table::{Codes, Table};
use tollgate_scorer::Code;
use tollgate_tests::forge::{Forged, key, public};
use tollgate_tests::{Native, Runtime, Wasmtime, root};

const REQUEST: &[u8] = br#"{"decision_id":"d-1","features":{"ip_risk":60,"country":"BB","other":1},"states":{"country":"stale"},"counter":1}"#;

#[track_caller]
fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let run = TestRunner::new(config).run(&strategy, |value| {
        test(value);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}

/// The same input for the core in this process and in the sandbox; they must agree. A
/// trap ends the test.
struct Both {
    native: Native,
    wasmtime: Wasmtime,
    inputs: u32,
}

impl Both {
    fn new() -> Self {
        let mut both = Self { native: Native::default(), wasmtime: Wasmtime::new(Bounds::default()), inputs: 0 };
        assert_eq!(both.load(&Forged::default().file()), Ok(()));
        both
    }

    /// Loads in this process, and each fourth time in the sandbox too.
    fn load(&mut self, file: &[u8]) -> Result<(), Code> {
        let loaded = self.native.load(file, &public(1), None, None);
        if self.inputs.is_multiple_of(4) {
            assert_eq!(self.wasmtime.load(file, &public(1), None, None), loaded);
            let _ = loaded.is_ok().then(|| self.score(REQUEST));
        }
        self.inputs += 1;
        loaded
    }

    fn score(&mut self, request: &[u8]) -> Result<String, String> {
        let record = self.native.score_json(request);
        assert_eq!(self.wasmtime.score_json(request), record, "{}", String::from_utf8_lossy(request));
        record
    }

    /// A record that is JSON, or an error with a place inside the request.
    fn decide(&mut self, request: &[u8]) -> Result<Value, String> {
        let shown = String::from_utf8_lossy(&request[..request.len().min(400)]).into_owned();
        match self.score(request) {
            Ok(record) => {
                Ok(serde_json::from_str(&record).unwrap_or_else(|error| panic!("{shown}: {record}: {error}")))
            }
            Err(text) => {
                assert!(text.starts_with("REQUEST: ") || text.starts_with("LIMIT: "), "{shown}: {text}");
                assert!(place(&text).is_none_or(|at| at <= request.len()), "{shown}: {text}");
                Err(text)
            }
        }
    }
}

/// The byte that an error text points to.
fn place(text: &str) -> Option<usize> {
    text.split_once("(at ")?.1.strip_suffix(')')?.parse().ok()
}

/// Bytes overwritten, and perhaps the end cut off.
#[derive(Clone, Debug)]
struct Damage {
    bytes: Vec<(Index, u8)>,
    cut: Option<Index>,
}

impl Damage {
    fn strategy(most: usize) -> impl Strategy<Value = Self> {
        let heads =
            vec![0, 1, 0x18, 0x1b, 0x7f, 0x80, 0x9b, 0x9f, 0xa1, 0xbb, 0xc2, 0xf6, 0xf9, 0xfb, 0xff, b'"', b'{', b'\\'];
        let byte = prop_oneof![any::<u8>(), prop::sample::select(heads)];
        let bytes = prop::collection::vec((any::<Index>(), byte), 1..most);
        (bytes, prop::option::weighted(0.2, any::<Index>())).prop_map(|(bytes, cut)| Self { bytes, cut })
    }

    fn of(&self, honest: &[u8]) -> Vec<u8> {
        let mut bytes = honest.to_vec();
        for (at, byte) in &self.bytes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        if let Some(cut) = &self.cut {
            bytes.truncate(cut.index(honest.len()));
        }
        bytes
    }
}

#[test]
fn damaged_bundles_are_refused() {
    let both = RefCell::new(Both::new());
    let honest = Forged::default().file();
    let noise =
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|tail| [b"TOLLGATE\x01\0".as_slice(), &tail].concat());
    let damaged = Damage::strategy(8).prop_map(|damage| damage.of(&Forged::default().file()));
    check(256, prop_oneof![3 => damaged, 1 => noise, 1 => prop::collection::vec(any::<u8>(), 0..100)], |file| {
        let loaded = both.borrow_mut().load(&file);
        assert_eq!(loaded.is_ok(), file == honest, "{loaded:?}");
    });
}

/// A signature vouches for the author, not for the author's tools.
#[test]
fn damaged_parts_under_a_good_signature() {
    let both = RefCell::new(Both::new());
    let role = prop::sample::select(vec!["schema", "model", "calibrator", "policy", "golden"]);
    check(512, (role, Damage::strategy(4)), |(role, damage)| {
        let honest = Forged::default();
        let part = honest.parts.iter().find(|part| part.0 == role).expect("the part");
        let code = both.borrow_mut().load(&Forged::with_bytes(role, damage.of(&part.2)).file()).err();
        let known = [
            Code::Malformed,
            Code::Length,
            Code::Limit,
            Code::Parts,
            Code::Schema,
            Code::Model,
            Code::Policy,
            Code::SelfTest,
        ];
        assert!(code.is_none_or(|code| known.contains(&code)), "{role}: {code:?}");
    });
}

#[test]
fn odd_requests() {
    let mut both = Both::new();
    let deep = |open: &str, close: &str| [open.repeat(10_000), close.repeat(10_000)].concat();
    let (lists, objects) = (deep("[", "]"), deep("{\"a\":", "}").replace(":}", ":1}"));
    for request in [
        lists.clone(),
        objects.clone(),
        format!("{{\"features\":{lists}}}"),
        format!("{{\"features\":{{\"ip_risk\":{lists},\"other\":{objects}}}}}"),
        format!("{{\"features\":{{\"ip_risk\":{}", "[".repeat(10_000)),
        format!("{{\"features\":{{}},\"states\":{{\"ip_risk\":{lists}}}}}"),
    ] {
        let _ = both.decide(request.as_bytes());
    }
    for refused in [
        "",
        " ",
        "null",
        "1",
        "\"features\"",
        "[]",
        "{}",
        "{\"features\":null}",
        "{\"features\":[]}",
        "{\"context\":{}}",
        "{\"features\":{}} x",
        "{\"features\":{}}{}",
        "{\"features\":{\"ip_risk\":NaN}}",
        "{\"features\":{\"ip_risk\":Infinity}}",
        "{\"features\":{\"ip_risk\":01}}",
        "{\"features\":{\"ip_risk\":}}",
        "{\"features\":{\"ip_risk\" 1}}",
        "{'features':{}}",
        "{\"features\":{},\"feature\":{}}",
        "{\"features\":{},\"states\":{\"ip_risk\":\"present\"}}",
        "{\"features\":{},\"counter\":-1}",
        "{\"features\":{},\"states\":{\"ip_risk\":\"gone\"}}",
        "{\"features\":{},\"event_time\":\"now\"}",
        "{\"features\":{}",
        "\u{feff}{}",
    ] {
        let error = both.decide(refused.as_bytes()).expect_err(refused);
        assert!(error.starts_with("REQUEST: "), "{refused}: {error}");
    }
    // Either the request or the value is refused, and on every runtime the same.
    for value in [
        "1e999",
        "-1e999",
        "1e-999",
        "123456789012345678901234567890",
        "-9223372036854775809",
        "0.1e1",
        "1E+2",
        "-0",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\u0000\"",
        "\"\\x\"",
        "\"\u{fffd}\"",
        "\"",
        "tru",
        "nul",
        "--1",
        "1.",
        ".5",
        "+1",
    ] {
        let _ = both.decide(format!("{{\"features\":{{\"ip_risk\":{value}}}}}").as_bytes());
        let _ = both.decide(format!("{{\"features\":{{\"country\":{value}}}}}").as_bytes());
        let _ = both.decide(format!("{{\"features\":{{\"other\":{value}}}}}").as_bytes());
        let _ = both.decide(format!("{{\"features\":{{}},\"decision_id\":{value},\"counter\":{value}}}").as_bytes());
    }
    for bytes in [b"\xff".as_slice(), b"\xc0\xaf", b"\xed\xa0\x80", b"\xf0\x9f"] {
        for (head, tail) in [
            (r#"{"features":{"country":""#, r#""}}"#),
            (r#"{"features":{""#, r#"":1}}"#),
            (r#"{"features":{},"decision_id":""#, r#""}"#),
        ] {
            let _ = both.decide(&[head.as_bytes(), bytes, tail.as_bytes()].concat());
        }
    }
}

#[test]
fn requests_are_bounded() {
    let mut both = Both::new();
    let head = r#"{"features":{}}"#;
    let padded = |bytes: usize| (head.to_owned() + &" ".repeat(bytes - head.len())).into_bytes();
    assert!(both.decide(&padded(1 << 20)).is_ok());
    let error = both.decide(&padded((1 << 20) + 1)).expect_err("too long");
    assert!(error.starts_with("LIMIT: "), "{error}");
    let named = |bytes: usize| json!({"decision_id": "x".repeat(bytes), "features": {}}).to_string();
    assert!(both.decide(named(1025).as_bytes()).is_err() && both.decide(named(1024).as_bytes()).is_ok());
    let many: Map<String, Value> = (0..1000).map(|number| (format!("f{number}"), json!(number))).collect();
    let record = both.decide(json!({"features": many}).to_string().as_bytes()).expect("unknown names do not fail");
    assert_eq!(record["unknown_features"].as_array().map(Vec::len), Some(tollgate_scorer::limits::UNKNOWN_NAMES));
}

#[test]
fn a_feature_given_twice_is_invalid() {
    let mut both = Both::new();
    for request in [
        r#"{"features":{"ip_risk":60,"ip_risk":60,"country":"BB"}}"#,
        r#"{"features":{"ip_risk":60,"country":"BB"},"context":{"ip_risk":60}}"#,
        r#"{"features":{"ip_risk":60,"country":"BB"},"features":{"ip_risk":60}}"#,
    ] {
        let record = both.decide(request.as_bytes()).expect(request);
        assert_eq!(record["feature_states"], json!({"ip_risk": "invalid"}), "{request}");
    }
}

#[test]
fn errors_name_the_byte() {
    let mut both = Both::new();
    // The place is that of the last byte of the mark.
    for (request, mark) in [
        (r#"{"features": {"ip_risk": 1,}}"#, ",}"),
        ("{\n \"features\":\n {\"ip_risk\": 1,}}\n", ",}"),
        (r#"{"features": {"ip_risk": 1 "country"}}"#, "1 \""),
        (r#"{"features": {"ip_risk": +1}}"#, "+"),
        (r#"{"features": {}} x"#, " x"),
    ] {
        let error = both.decide(request.as_bytes()).expect_err(request);
        let at = request.find(mark).expect("the mark") + mark.len() - 1;
        assert_eq!((error.split(':').next(), place(&error)), (Some("REQUEST"), Some(at)), "{request}: {error}");
    }
}

#[test]
fn random_requests() {
    let both = RefCell::new(Both::new());
    let words = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"features\"",
        "\"states\"",
        "\"context\"",
        "\"ip_risk\"",
        "\"country\"",
        "\"stale\"",
        "\"BB\"",
        "60",
        "1e999",
        "-",
        "null",
        "true",
        "\"\\ud800\"",
        "\"",
        "\\",
        " ",
        "\n",
        "{\"features\":{",
        "\"counter\":1",
        "é",
    ];
    let spelt = prop::collection::vec(prop::sample::select(words.to_vec()), 0..20)
        .prop_map(|words| words.concat().into_bytes());
    let damaged = Damage::strategy(4).prop_map(|damage| damage.of(REQUEST));
    check(1024, prop_oneof![2 => spelt, 3 => damaged, 1 => prop::collection::vec(any::<u8>(), 0..100)], |request| {
        let _ = both.borrow_mut().decide(&request);
    });
}

#[test]
fn records_repeat_texts_exactly() {
    let both = RefCell::new(Both::new());
    let odd = prop::sample::select(vec![
        "\"",
        "\\",
        "\n",
        "\u{0}",
        "\u{1f}",
        "\u{7f}",
        "\u{2028}",
        "/",
        "\u{10ffff}",
        "</script>",
        "\u{feff}",
    ]);
    let text =
        || prop_oneof![any::<String>(), prop::collection::vec(odd.clone(), 1..9).prop_map(|parts| parts.concat())];
    check(256, (text(), text(), text()), |(decision, correlation, name)| {
        let name = format!("?{name}");
        let features: Map<String, Value> = [(name.clone(), json!(1))].into_iter().collect();
        let request = json!({"decision_id": decision, "correlation_id": correlation, "features": features}).to_string();
        let record = both.borrow_mut().score(request.as_bytes()).expect("a record");
        assert!(record.bytes().all(|byte| byte >= b' '), "control characters are escaped: {record}");
        let record: Value = serde_json::from_str(&record).expect("JSON");
        assert_eq!(
            (record["decision_id"].as_str(), record["correlation_id"].as_str()),
            (Some(&*decision), Some(&*correlation))
        );
        let shown = &name[..name.floor_char_boundary(tollgate_scorer::limits::NAME_BYTES)];
        assert_eq!(record["unknown_features"], json!([shown]));
    });
}

/// One change to a text of lines `key=value value ..`.
#[derive(Clone, Debug)]
enum Edit {
    Delete(Index),
    Repeat(Index),
    Word(Index, Index, &'static str),
    Cut(Index),
}

impl Edit {
    fn strategy() -> impl Strategy<Value = Self> {
        let words = vec![
            "",
            "-1",
            "0",
            "1",
            "2",
            "1e999",
            "-1e999",
            "nan",
            "1e300",
            "2147483648",
            "4294967295",
            "18446744073709551615",
            "99999999999999999999",
            "-9223372036854775808",
            "9223372036854775807",
            "text",
            "é",
            "=",
            "[",
            "\"",
            "'''",
            "{}",
            "true",
        ];
        let line = any::<Index>;
        prop_oneof![
            2 => line().prop_map(Self::Delete),
            1 => line().prop_map(Self::Repeat),
            8 => (line(), line(), prop::sample::select(words)).prop_map(|(at, word, new)| Self::Word(at, word, new)),
            1 => line().prop_map(Self::Cut),
        ]
    }

    fn apply(&self, lines: &mut Vec<String>) {
        let count = lines.len().max(1);
        lines.resize(count, String::new());
        match self {
            Self::Delete(at) => drop(lines.remove(at.index(count))),
            Self::Repeat(at) => lines.insert(at.index(count), lines[at.index(count)].clone()),
            Self::Cut(at) => lines.truncate(at.index(count)),
            Self::Word(at, word, new) => {
                let line = &mut lines[at.index(count)];
                let (key, value) = line.split_once('=').unwrap_or((line.as_str(), ""));
                let mut words: Vec<&str> = value.split(' ').collect();
                let place = word.index(words.len());
                words[place] = *new;
                *line = format!("{key}={}", words.join(" "));
            }
        }
    }
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    edits.iter().for_each(|edit| edit.apply(&mut lines));
    lines.join("\n")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The loan model with its first three trees.
fn small_model() -> String {
    let model = read("models/loan/model.txt");
    let (head, rest) = model.split_once("\nTree=0\n").expect("a first tree");
    let (trees, _) = rest.split_once("\nTree=3\n").expect("a fourth tree");
    let sizes = head.lines().find(|line| line.starts_with("tree_sizes=")).expect("sizes");
    format!("{}\nTree=0\n{trees}\nend of trees\n", head.replace(sizes, "tree_sizes=1 1 1"))
}

/// Imports, and makes a bundle of what could be imported.
fn import(text: &str) {
    match lightgbm(text, None) {
        Err(failure) => assert_eq!(failure.code, "MODEL", "{failure}"),
        Ok(forest) => {
            if let Ok(file) = author::bare(&Source::Forest(forest), &key(1)) {
                let _ = Native::default().load(&file, &public(1), None, None);
            }
        }
    }
}

#[test]
fn edited_models_are_imported_or_refused() {
    let model = small_model();
    assert_eq!(lightgbm(&model, None).expect("imports").trees.len(), 3);
    check(512, prop::collection::vec(Edit::strategy(), 1..4), |edits| import(&edited(&model, &edits)));
}

#[test]
fn models_with_numbers_at_the_end_of_their_range() {
    let model = small_model();
    let with = |model: &str, key: &str, number: &str| {
        let at = model.find(&format!("\n{key}=")).expect(key) + key.len() + 2;
        let end = at + model[at..].find([' ', '\n']).expect("an end");
        [&model[..at], number, &model[end..]].concat()
    };
    let large = ["18446744073709551615", "9223372036854775807", "-9223372036854775808", "4294967296", "-1"];
    for key in [
        "max_feature_idx",
        "num_class",
        "num_tree_per_iteration",
        "num_leaves",
        "num_cat",
        "left_child",
        "split_feature",
    ] {
        large.iter().for_each(|number| import(&with(&model, key, number)));
    }
    // A category split names its set by a double.
    let sets = with(&model, "num_cat", "1\ncat_boundaries=0 1\ncat_threshold=1");
    let sets = with(&sets, "decision_type", "1");
    for number in ["0", "1", "-1", "0.5", "1e300", "-1e300", "nan", "inf", "18446744073709551615"] {
        import(&with(&sets, "threshold", number));
        import(&with(&with(&sets, "threshold", "0"), "cat_boundaries", number));
    }
    for key in ["num_features", "leaf_features", "leaf_coeff", "leaf_const"] {
        import(&with(&model, "is_linear", &format!("1\n{key}=18446744073709551615 1")));
    }
}

fn source(text: &str) -> Result<BundleSource, tollgate_host::Failure> {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("edited-{}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let source = BundleSource::read(&path);
    let _ = std::fs::remove_file(&path);
    source
}

#[test]
fn edited_bundle_descriptions_are_read_or_refused() {
    let texts = [read("models/loan/bundle.toml"), read("models/signup/bundle.toml")];
    texts.iter().for_each(|text| assert!(source(text).is_ok()));
    check(
        256,
        (prop::sample::select(texts.to_vec()), prop::collection::vec(Edit::strategy(), 1..4)),
        |(text, edits)| match source(&edited(&text, &edits)) {
            Err(failure) => assert_eq!(failure.code, "SOURCE", "{failure}"),
            Ok(source) => {
                for failure in [author::schema_part(&source.features).err(), author::policy_part(&source).err()]
                    .into_iter()
                    .flatten()
                {
                    assert!(["SOURCE", "POLICY"].contains(&failure.code), "{failure}");
                }
            }
        },
    );
    for deep in [
        "x = ".to_owned() + &"[".repeat(10_000),
        "x = ".to_owned() + &"{a=".repeat(10_000),
        format!("[{}x]", "x.".repeat(10_000)),
    ] {
        assert_eq!(source(&deep).expect_err("no bundle").code, "SOURCE");
    }
}

#[test]
fn any_bytes_as_a_table() {
    let byte = prop::sample::select(b",,,\"\n\n\r;11.-eaA \t\xff\x00\xc3".to_vec());
    check(512, prop::collection::vec(byte, 0..200), |bytes| match Table::parse(&bytes, "table") {
        Err(failure) => assert_eq!(failure.code, "TABLE", "{failure}"),
        Ok(table) => {
            assert!(table.rows.iter().all(|row| row.len() == table.header.len()));
            let names: Vec<String> = table.header.iter().take(2).cloned().collect();
            let codes: Codes = names.iter().map(|name| (name.clone(), vec!["a".to_owned(), "A".to_owned()])).collect();
            let failures = [table.all_numbers().err(), table.features(&names, &codes).err(), table.numbers("1").err()];
            for failure in failures.into_iter().flatten() {
                assert_eq!(failure.code, "TABLE", "{failure}");
            }
        }
    });
}
