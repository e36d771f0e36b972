//! The table of hostile bundles, a test a row: never a trap, never a change to what
//! serves, always a stable code. Numbers are those of the design page `bundle.md`.

mod contents;
mod documents;
mod reasons;
mod signatures;

use std::io::Write;
use std::sync::{LazyLock, Mutex};
use tollgate_scorer::Code;
use tollgate_scorer::bundle::PAYLOAD_TYPE;
use tollgate_tests::cbor::Cbor;
use tollgate_tests::forge::{self, Forged, envelope, public};
use tollgate_tests::{Runtime, runtimes};

const REQUEST: &[u8] = br#"{"features":{"ip_risk":60,"country":"BB"},"counter":1}"#;

/// The code of a load, after an honest bundle was loaded; the honest one must go on
/// scoring as before whatever the load brought.
fn load(runtime: &mut dyn Runtime, file: &[u8], keys: &[u8]) -> Result<(), Code> {
    runtime.load(&Forged::default().file(), &public(1), None, None).expect("the honest bundle loads");
    let before = runtime.score_json(REQUEST).expect("and scores");
    let result = runtime.load(file, keys, None, None);
    record(file, keys, result);
    if result.is_err() {
        assert_eq!(runtime.score_json(REQUEST).as_ref(), Ok(&before), "{}: what served must go on", runtime.name());
    }
    result
}

/// Where every bundle of this suite is written for the runtimes that live outside of this
/// process: a line of JSON each (test, code, keys, bytes), then the file.
static RECORDED: LazyLock<Option<Mutex<std::fs::File>>> = LazyLock::new(|| {
    let path = std::env::var_os("TOLLGATE_HOSTILE_OUT")?;
    Some(Mutex::new(std::fs::File::create(path).expect("a file to record hostile bundles in")))
});

fn record(file: &[u8], keys: &[u8], result: Result<(), Code>) {
    let Some(recorded) = RECORDED.as_ref() else { return };
    let thread = std::thread::current();
    let code = result.err().map_or("", Code::name);
    let keys: String = keys.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = thread.name().unwrap_or_default();
    let head = format!("{{\"test\":\"{name}\",\"code\":\"{code}\",\"keys\":\"{keys}\",\"bytes\":{}}}\n", file.len());
    let mut recorded = recorded.lock().expect("no test panics while it records");
    recorded.write_all(&[head.as_bytes(), file].concat()).expect("records");
}

#[track_caller]
fn check_file(file: &[u8], expect: Code) {
    for mut runtime in runtimes() {
        assert_eq!(load(runtime.as_mut(), file, &public(1)), Err(expect), "{}", runtime.name());
    }
}

#[track_caller]
fn check(forged: &Forged, expect: Code) {
    check_file(&forged.file(), expect);
}

#[track_caller]
fn check_manifest(change: fn(&mut Cbor), expect: Code) {
    check(&Forged { manifest: change, ..Forged::default() }, expect);
}

#[track_caller]
fn check_envelope(change: impl FnOnce(&mut Cbor), expect: Code) {
    let forged = Forged::default();
    let mut wrapped = envelope(PAYLOAD_TYPE, &forged.manifest(), &[(1, 1)]);
    change(&mut wrapped);
    check_file(&forged.file_with(&wrapped.encode()), expect);
}

#[test]
fn the_honest_bundle_scores() {
    for mut runtime in runtimes() {
        load(runtime.as_mut(), &Forged::default().file(), &public(1)).expect("loads");
        let record = runtime.score_json(REQUEST).expect("scores");
        assert!(record.contains(r#""action":"block""#) && record.contains(r#""margin":3.0"#), "{record}");
    }
}

/// An honest part to be changed.
fn part(role: &str) -> Cbor {
    match role {
        "schema" => forge::schema(),
        "model" => forge::forest(),
        "calibrator" => forge::calibrator(),
        "policy" => forge::policy(),
        _ => forge::golden(),
    }
}
