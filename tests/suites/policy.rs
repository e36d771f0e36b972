//! Segments, caps and floors: what a policy says and what it never does.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use tollgate_host::sandbox::Bounds;
use tollgate_scorer::{CostMatrix, Probability};
use tollgate_tests::cbor::Cbor;
use tollgate_tests::forge::{self, COSTS, Forged, public};
use tollgate_tests::property::check;
use tollgate_tests::{Native, Runtime, Wasmtime, runtimes};

const ACTIONS: [&str; 3] = ["allow", "challenge", "block"];
const SOURCES: [&str; 6] = ["cutoffs", "segment", "segment_cap", "missing_cap", "missing_floor", "required"];

/// Loads the honest bundle with one part changed into a runtime.
fn load(runtime: &mut dyn Runtime, role: &str, part: &Cbor) {
    let file = Forged::with(role, part).file();
    runtime.load(&file, &public(1), None, None).unwrap_or_else(|code| panic!("{}: {code:?}", runtime.name()));
}

#[track_caller]
fn decide(runtime: &mut dyn Runtime, request: &str) -> Value {
    let record = runtime.score_json(request.as_bytes()).unwrap_or_else(|error| panic!("{request}: {error}"));
    serde_json::from_str(&record).expect("a record is JSON")
}

/// A row that is blocked when it is whole, with one feature's value and state changed.
fn request(changed: &str, value: Option<&str>, state: Option<&str>) -> String {
    let features = [("ip_risk", "60"), ("country", "\"BB\"")].into_iter().filter_map(|(name, usual)| {
        let value = if name == changed { value.or(state.map(|_| usual))? } else { usual };
        Some(format!("\"{name}\":{value}"))
    });
    let features: Vec<String> = features.collect();
    let states = state.map_or_else(String::new, |state| format!(",\"states\":{{\"{changed}\":\"{state}\"}}"));
    format!("{{\"features\":{{{}}}{states}}}", features.join(","))
}

#[test]
fn missing_never_blocks() {
    let any = [(None, None, "missing"), (Some("null"), None, "null")];
    let any = any.into_iter().chain(["true", "[1]", "{}", "[]"].map(|value| (Some(value), None, "invalid")));
    let said =
        ["missing", "null", "invalid", "stale", "timed_out", "quarantined"].map(|state| (None, Some(state), state));
    let any: Vec<_> = any.chain(said).collect();
    let own: [(&str, &[&str]); 2] = [
        ("ip_risk", &["\"60\"", "-0.1", "100.1", "1e300", "-1e300", "60,\"ip_risk\":60"]),
        ("country", &["60", "0", "\"ZZ\"", "\"\"", "\"bb\"", "\"BB \"", "\"BB\",\"country\":\"BB\""]),
    ];
    for mut runtime in runtimes() {
        load(runtime.as_mut(), "policy", &forge::policy());
        let whole = decide(runtime.as_mut(), &request("", None, None));
        assert_eq!((&whole["action"], &whole["feature_states"]), (&json!("block"), &json!({})));
        for (feature, invalid) in own {
            let invalid = invalid.iter().map(|value| (Some(*value), None, "invalid"));
            for (value, said, state) in any.iter().copied().chain(invalid) {
                let request = request(feature, value, said);
                let record = decide(runtime.as_mut(), &request);
                let got = ["action", "source", "source_detail", "feature_states", "degraded", "margin"]
                    .map(|key| &record[key]);
                let want = [
                    json!("challenge"),
                    json!("missing_cap"),
                    json!(feature),
                    json!({feature: state}),
                    json!(true),
                    json!(3.0),
                ];
                assert_eq!(got, want.each_ref(), "{}: {request}", runtime.name());
            }
        }
    }
}

#[test]
fn floors_outweigh_caps() {
    let mut schema = forge::schema();
    schema.get_mut(0).items()[0].set(7, Cbor::Uint(0)); // ip_risk missing: at most allow
    schema.get_mut(0).items()[1].set(8, Cbor::Uint(1)); // country missing: at least challenge
    for mut runtime in runtimes() {
        load(runtime.as_mut(), "schema", &schema);
        for (features, action, source, detail) in [
            (json!({"ip_risk": 10, "country": "AA"}), "allow", "cutoffs", json!(null)),
            (json!({"country": "BB"}), "allow", "missing_cap", json!("ip_risk")),
            (json!({"ip_risk": 10}), "challenge", "missing_floor", json!("country")),
            (json!({"ip_risk": 60}), "challenge", "missing_cap", json!("country")),
            (json!({}), "challenge", "missing_floor", json!("country")),
        ] {
            let record = decide(runtime.as_mut(), &json!({"features": features}).to_string());
            let got = ["action", "source", "source_detail"].map(|key| &record[key]);
            assert_eq!(got, [&json!(action), &json!(source), &detail], "{}: {features}", runtime.name());
        }
    }
}

/// Random requests: values of every type, some absent, some with a state.
fn requests() -> impl Strategy<Value = String> {
    let odd = || {
        let values =
            ["null", "true", "[]", "{\"a\":1}", "\"ZZ\"", "-1", "101", "1e300", "18446744073709551615", "\"\""];
        prop::sample::select(values.to_vec()).prop_map(String::from)
    };
    let number = (0.0..100.0f64).prop_map(|number| number.to_string());
    let name = prop::sample::select(vec!["\"AA\"", "\"BB\""]).prop_map(String::from);
    let risk = prop::option::weighted(0.8, prop_oneof![3 => number, 1 => odd()]);
    let country = prop::option::weighted(0.8, prop_oneof![3 => name, 1 => odd()]);
    let state = prop::sample::select(vec!["missing", "null", "invalid", "stale", "timed_out", "quarantined"]);
    let states = prop::option::weighted(0.2, (prop::sample::select(vec!["ip_risk", "country", "other"]), state));
    (risk, country, states).prop_map(|(risk, country, states)| {
        let risk = risk.map(|value| format!("\"ip_risk\":{value}"));
        let country = country.map(|value| format!("\"country\":{value}"));
        let features: Vec<String> = risk.into_iter().chain(country).collect();
        let states = states.map_or_else(String::new, |(name, state)| format!(",\"states\":{{\"{name}\":\"{state}\"}}"));
        format!("{{\"features\":{{{}}}{states}}}", features.join(","))
    })
}

#[test]
fn only_whole_rows_are_blocked() {
    let both = RefCell::new((Native::default(), Wasmtime::new(Bounds::default())));
    load(&mut both.borrow_mut().0, "policy", &forge::policy());
    load(&mut both.borrow_mut().1, "policy", &forge::policy());
    let blocked = Cell::new(0);
    check(1024, requests(), |request| {
        let (native, wasmtime) = &mut *both.borrow_mut();
        let record = decide(native, &request);
        assert_eq!(decide(wasmtime, &request), record, "{request}");
        let whole = record["feature_states"] == json!({});
        assert_eq!(record["degraded"] == json!(false), whole, "{request}: {record}");
        assert!(whole || record["action"] != "block", "{request}: {record}");
        blocked.set(blocked.get() + u32::from(record["action"] == "block"));
    });
    assert!(blocked.get() > 0, "the requests reach a block");
}

/// The honest policy with a key set, in canonical order.
fn policy_with(key: u64, value: Cbor) -> Cbor {
    let mut policy = forge::policy();
    policy.set(key, value);
    if let Cbor::Map(entries) = &mut policy {
        entries.sort_by_key(|entry| entry.0);
    }
    policy
}

fn condition(feature: u64, test: u64, values: &[f64]) -> Cbor {
    let values = values.iter().map(|value| Cbor::Float(*value)).collect();
    Cbor::Map(vec![(0, Cbor::Uint(feature)), (1, Cbor::Uint(test)), (2, Cbor::Array(values))])
}

fn segment(name: &str, when: Vec<Cbor>, cutoffs: Option<[f64; 2]>, at_most: u64) -> Cbor {
    let mut entries = vec![(0, Cbor::text(name)), (1, Cbor::Array(when))];
    let cutoffs =
        cutoffs.map(|[challenge, block]| Cbor::Map(vec![(0, Cbor::Float(challenge)), (1, Cbor::Float(block))]));
    entries.extend(cutoffs.map(|cutoffs| (2, cutoffs)));
    entries.push((4, Cbor::Uint(at_most)));
    Cbor::Map(entries)
}

/// A policy of four segments, the last of which no row reaches alone.
fn segmented() -> Cbor {
    const RISK: u64 = 0;
    const COUNTRY: u64 = 1;
    policy_with(
        5,
        Cbor::Array(vec![
            segment("capped", vec![condition(COUNTRY, 0, &[1.0]), condition(RISK, 2, &[80.0, 90.0])], None, 1),
            segment("strict", vec![condition(COUNTRY, 0, &[0.0])], Some([0.1, 0.7]), 2),
            segment("low", vec![condition(COUNTRY, 1, &[0.0]), condition(RISK, 2, &[0.0, 20.0])], Some([0.05, 0.1]), 2),
            segment(
                "shadowed",
                vec![condition(COUNTRY, 0, &[1.0]), condition(RISK, 2, &[85.0, 90.0])],
                Some([0.0, 0.1]),
                2,
            ),
        ]),
    )
}

/// Margins are -2, 1 and 3, so probabilities 0.119, 0.731 and 0.953.
#[test]
fn segments_choose_cut_offs_and_caps() {
    let policy = segmented();
    let [strict, low] =
        [[0.1, 0.7], [0.05, 0.1]].map(|[challenge, block]| json!({"challenge": challenge, "block": block}));
    let (own, none) = (json!({"challenge": 0.5, "block": 0.9}), Value::Null);
    for mut runtime in runtimes() {
        load(runtime.as_mut(), "policy", &policy);
        for (features, action, source, segment, cutoffs) in [
            (json!({"ip_risk": 80, "country": "BB"}), "challenge", "segment_cap", json!("capped"), own.clone()),
            (json!({"ip_risk": 87, "country": "BB"}), "challenge", "segment_cap", json!("capped"), own.clone()),
            (json!({"ip_risk": 79.99, "country": "BB"}), "block", "cutoffs", none.clone(), own.clone()),
            (json!({"ip_risk": 90, "country": "BB"}), "block", "cutoffs", none.clone(), own.clone()),
            (json!({"ip_risk": 85, "country": "AA"}), "block", "segment", json!("strict"), strict.clone()),
            (json!({"ip_risk": 10, "country": "AA"}), "challenge", "segment", json!("strict"), strict.clone()),
            (json!({"ip_risk": 10, "country": "BB"}), "block", "segment", json!("low"), low.clone()),
            (json!({"ip_risk": 20, "country": "BB"}), "allow", "cutoffs", none.clone(), own.clone()),
            // A stand-in meets no condition, "not one of" included.
            (json!({"ip_risk": 10}), "allow", "cutoffs", none.clone(), own.clone()),
        ] {
            let record = decide(runtime.as_mut(), &json!({"features": features}).to_string());
            let got = ["action", "source", "segment", "cutoffs"].map(|key| &record[key]);
            assert_eq!(got, [&json!(action), &json!(source), &segment, &cutoffs], "{}: {features}", runtime.name());
            let detail = if source == "cutoffs" { &none } else { &segment };
            assert_eq!(&record["source_detail"], detail, "{}: {features}", runtime.name());
        }
    }
}

#[test]
fn an_absent_required_group_falls_back() {
    let group = Cbor::Map(vec![(0, Cbor::text("signals")), (1, Cbor::Array(vec![Cbor::Uint(0), Cbor::Uint(1)]))]);
    for mut runtime in runtimes() {
        for (number, action) in (0u64..).zip(ACTIONS).take(2) {
            let mut policy = policy_with(6, Cbor::Array(vec![group.clone()]));
            policy.set(2, Cbor::Uint(number));
            load(runtime.as_mut(), "policy", &policy);
            let record = decide(runtime.as_mut(), r#"{"features":{"ip_risk":"?"},"states":{"country":"stale"}}"#);
            let got = ["action", "source", "source_detail"].map(|key| record[key].as_str());
            assert_eq!(got, [Some(action), Some("required"), Some("signals")], "{}", runtime.name());
            assert_eq!(record["feature_states"], json!({"ip_risk": "invalid", "country": "stale"}));
            for key in ["margin", "probability", "expected_cost", "segment"] {
                assert!(record[key].is_null(), "{key}: {record}");
            }
            let one = decide(runtime.as_mut(), r#"{"features":{"ip_risk":10}}"#);
            assert_eq!((one["source"].as_str(), one["margin"].as_f64()), (Some("cutoffs"), Some(-2.0)));
        }
    }
}

/// The honest policy with the costs of [`COSTS`].
fn priced() -> Cbor {
    let CostMatrix { false_negative, false_block, challenge, completion, lost_user, abuser_pass } = COSTS;
    let costs = [false_negative, false_block, challenge, completion, lost_user, abuser_pass];
    policy_with(4, Cbor::Array(costs.map(Cbor::Float).to_vec()))
}

/// A member of a record, NaN where it is null, as the typed result has it.
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn same_bits(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

#[test]
fn expected_costs_are_in_the_record() {
    for mut runtime in runtimes() {
        load(runtime.as_mut(), "policy", &priced());
        for features in
            [json!({"ip_risk": 10, "country": "AA"}), json!({"ip_risk": 60, "country": "AA"}), json!({"ip_risk": 60})]
        {
            let record = decide(runtime.as_mut(), &json!({"features": features}).to_string());
            let expected = COSTS.expected(Probability::clamped(number(&record["probability"])));
            let got = ACTIONS.map(|action| number(&record["expected_cost"][action]).to_bits());
            assert_eq!(got, [expected.allow, expected.challenge, expected.block].map(f64::to_bits), "{record}");
        }
    }
}

/// A cell as it stands in a typed row, and as JSON; NaN is absent in both.
fn cells() -> impl Strategy<Value = (f64, f64)> {
    let risk = prop_oneof![1 => Just(f64::NAN), 6 => -10.0..110.0f64, 1 => prop::sample::select(vec![0.0, 50.0, 100.0, -0.0, 1e300])];
    (risk, prop::sample::select(vec![f64::NAN, 0.0, 1.0, 1.0, 2.0]))
}

#[test]
fn both_roads_come_to_the_same_decision() {
    let wasmtime = RefCell::new(Wasmtime::new(Bounds::default()));
    let mut policy = priced();
    let group = Cbor::Map(vec![(0, Cbor::text("all")), (1, Cbor::Array(vec![Cbor::Uint(0), Cbor::Uint(1)]))]);
    policy.set(6, Cbor::Array(vec![group]));
    load(&mut *wasmtime.borrow_mut(), "policy", &policy);
    check(512, cells(), |(risk, country)| {
        let wasmtime = &mut *wasmtime.borrow_mut();
        let bundle = wasmtime.bundle.expect("loaded");
        let mut features = serde_json::Map::new();
        if !risk.is_nan() {
            features.insert("ip_risk".into(), json!(risk));
        }
        if !country.is_nan() {
            features.insert("country".into(), json!(["AA", "BB", "ZZ"][country as usize]));
        }
        let mut by_json = decide(wasmtime, &json!({"features": features}).to_string());
        let row = wasmtime.instance.score_row(bundle, &[risk, country], None).expect("scores");
        let mut by_row: Value =
            serde_json::from_str(&wasmtime.instance.record(bundle).expect("a record")).expect("JSON");
        assert_eq!(by_json["action"], ACTIONS[usize::from(row.action)]);
        assert_eq!(by_json["source"], SOURCES[usize::from(row.source)]);
        assert_eq!(by_json["degraded"], json!(row.degraded));
        assert_eq!(by_json["feature_states"].as_object().map(serde_json::Map::len), Some(row.stand_ins as usize));
        let costs = ACTIONS.map(|action| number(&by_json["expected_cost"][action]));
        let numbers = [number(&by_json["margin"]), number(&by_json["probability"]), costs[0], costs[1], costs[2]];
        assert!(numbers.iter().zip(row.numbers).all(|(a, b)| same_bits(*a, b)), "{by_json} {row:?}");
        // The records differ in the place in the log alone.
        for record in [&mut by_json, &mut by_row] {
            record["counter"] = Value::Null;
        }
        assert_eq!(by_json, by_row);
    });
}
