//! Whatever a server is sent: no parser panics, no input traps the module, and every refusal
//! has a code that stays.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use tollgate_host::sandbox::Bounds;
use tollgate_scorer::Code;
use tollgate_tests::forge::{Forged, public};
use tollgate_tests::property::check;
use tollgate_tests::{Native, Runtime, Wasmtime};

const REQUEST: &[u8] = br#"{"decision_id":"d-1","features":{"ip_risk":60,"country":"BB","other":1},"states":{"country":"stale"},"counter":1}"#;

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

/// Texts that are no request.
const REFUSED: &[&str] = &[
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
];

/// Values that are odd or no JSON at all.
const ODD_VALUES: &[&str] = &[
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
];

#[test]
fn nested_requests() {
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
}

#[test]
fn texts_that_are_no_request() {
    let mut both = Both::new();
    for refused in REFUSED {
        let error = both.decide(refused.as_bytes()).expect_err(refused);
        assert!(error.starts_with("REQUEST: "), "{refused}: {error}");
    }
}

/// Either the request or the value is refused, and on every runtime the same.
#[test]
fn odd_values() {
    let mut both = Both::new();
    for value in ODD_VALUES {
        let _ = both.decide(format!("{{\"features\":{{\"ip_risk\":{value}}}}}").as_bytes());
        let _ = both.decide(format!("{{\"features\":{{\"country\":{value}}}}}").as_bytes());
        let _ = both.decide(format!("{{\"features\":{{\"other\":{value}}}}}").as_bytes());
        let _ = both.decide(format!("{{\"features\":{{}},\"decision_id\":{value},\"counter\":{value}}}").as_bytes());
    }
}

#[test]
fn bytes_that_are_no_text() {
    let mut both = Both::new();
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
