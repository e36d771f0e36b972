//! The decision log: everything is there or declared lost.

use crate::rounds;
use crate::sidecar::{Sidecar, rows, shop, until};
use crate::workshop::{Workshop, json};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

fn verify(shop: &Workshop, status: i32) -> Value {
    shop.run("log verify log --json").expect(status).json()
}

fn segments(shop: &Workshop) -> Vec<std::path::PathBuf> {
    let mut all: Vec<_> = fs::read_dir(shop.path("log")).expect("a log").map(|e| e.expect("an entry").path()).collect();
    all.sort();
    all
}

#[test]
fn logged_decisions_can_be_read_and_made_again() {
    let shop = shop();
    let mut sidecar = Sidecar::start(&shop, "--log-dir log");
    let answers: Vec<Value> = rows(&shop).iter().map(|row| sidecar.decide(row)).collect();
    assert!(sidecar.stop().success());
    let report = verify(&shop, 0);
    assert_eq!((&report["decisions"], &report["unclosed"]), (&json!(40), &json!(0)), "{report}");
    let entries: Vec<Value> = shop.run("log cat log").expect(0).lines().iter().map(|line| json(line)).collect();
    let decisions: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "decision").collect();
    for (row, answer) in rows(&shop).iter().zip(&answers) {
        let entry =
            decisions.iter().find(|e| e["entry"]["record"]["decision_id"] == answer["decision_id"]).expect("logged");
        assert_eq!((&entry["entry"]["record"], &entry["entry"]["input"]), (answer, &json(row)));
        assert_eq!(entry["entry"]["endpoint"], "decide");
        assert!(entry["entry"]["time_ms"].as_u64().is_some_and(|time| time > 1_700_000_000_000));
    }
    let records = shop.run("log cat --records log").expect(0).out;
    shop.write("records.ndjson", records);
    shop.run("replay signup.tollgate records.ndjson --trust k.pub").expect(0);
}

#[test]
fn fields_are_masked_as_the_schema_declares() {
    let shop = Workshop::new();
    let mut masked = shop.read("signup/bundle.toml");
    for (feature, mask) in [("asn_risk", "hash"), ("ip_phone_km", "truncate"), ("country_group", "drop")] {
        let name = format!("name = \"{feature}\"\n");
        masked = masked.replace(&name, &format!("{name}log = \"{mask}\"\n"));
    }
    shop.write("signup/bundle.toml", masked.replace("drop", "shred"));
    shop.run("bundle build signup --key k.key -o signup.tollgate").refused(3, &["[SOURCE]", "country_group"]);
    shop.write("signup/bundle.toml", masked);
    shop.build("signup");
    shop.write("hash.key", "a secret");
    let row = r#"{"decision_id":"d","features":{"asn_risk":0.5,"ip_phone_km":1234.5,"country_group":"dach","is_tor":true,"mail":"x@y.z"}}"#;
    let mut sidecar = Sidecar::start(&shop, "--log-dir log --set log.hash_key_file=hash.key");
    let answer = sidecar.decide(row);
    assert_eq!(sidecar.get("/v1/schema").json()["features"][4]["log"], "hash");
    assert!(sidecar.stop().success());
    let entry = json(shop.run("log cat --records log").expect(0).out.trim());
    assert_eq!(entry["action"], answer["action"]);
    let features = &entry["input"]["features"];
    // HMAC-SHA-256 with this key of "0.5", computed with Python's hmac module.
    assert_eq!(features["asn_risk"], "1f237507964584617d20590130c68491");
    assert_eq!((&features["ip_phone_km"], &features["country_group"]), (&json!(1200.0), &Value::Null));
    assert_eq!((&features["is_tor"], &features["mail"]), (&json!(true), &Value::Null));
    let raw: Vec<u8> = segments(&shop).iter().flat_map(|path| fs::read(path).expect("a segment")).collect();
    for gone in ["dach", "1234.5", "x@y.z"] {
        assert!(!raw.windows(gone.len()).any(|window| window == gone.as_bytes()), "{gone} is in the log");
    }
    let mut sidecar = Sidecar::start(&shop, "--log-dir none --set log.input=false");
    sidecar.decide(row);
    assert!(sidecar.stop().success());
    assert_eq!(json(shop.run("log cat --records none").expect(0).out.trim())["input"], Value::Null);
}

#[test]
fn segments_are_rotated_and_the_oldest_removed() {
    let shop = shop();
    let line = "--log-dir log --set log.segment_bytes=20000 --set log.retain_bytes=1500000";
    let mut sidecar = Sidecar::start(&shop, line);
    let all = rows(&shop);
    let batch = all.join("\n");
    let mut asked = 0_u64;
    until("old segments are removed", || {
        sidecar.send("POST", "/v1/decide/batch", "content-type: application/x-ndjson\r\n", &batch).expect(200);
        asked += all.len() as u64;
        sidecar.metric("tollgate_log_segments_removed_total") >= 3.0
    });
    assert!(sidecar.stop().success());
    let report = verify(&shop, 0);
    let kept = report["decisions"].as_u64().expect("a count");
    assert!(kept > 0 && kept < asked, "{report}");
    // One missing in the middle is no retention.
    let all = segments(&shop);
    if all.len() > 2 {
        fs::remove_file(&all[1]).expect("removed");
        assert_ne!(verify(&shop, 1)["findings"], json!([]));
    }
}

#[test]
fn damage_and_gaps_are_found() {
    let shop = shop();
    let mut sidecar = Sidecar::start(&shop, "--log-dir log");
    rows(&shop).iter().for_each(|row| drop(sidecar.decide(row)));
    assert!(sidecar.stop().success());
    let path = segments(&shop).pop().expect("a segment");
    let whole = fs::read(&path).expect("read");
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        fs::write(&path, flipped).expect("written");
        let ran = shop.run("log verify log");
        // A flip in a length may also look like a torn end, which leaves the log unclosed.
        let seen = ran.status == 1 || json(&shop.run("log verify log --json").out)["unclosed"] == 1;
        assert!(seen, "a flipped bit at {at}: {}", ran.out);
    }
    // Cut anywhere: what is there is read, and the end is not told as one.
    for cut in [10, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).expect("written");
        let report = verify(&shop, 0);
        assert_eq!(report["unclosed"], 1, "cut at {cut}: {report}");
    }
}

#[test]
fn a_killed_process_leaves_a_log_that_can_be_read() {
    let shop = shop();
    for _ in 0..rounds(5, 200) {
        let mut sidecar = Sidecar::start(&shop, "--log-dir log");
        rows(&shop).iter().for_each(|row| drop(sidecar.decide(row)));
        until("something is written", || sidecar.metric("tollgate_log_written_bytes_total") > 0.0);
        sidecar.kill();
    }
    let report = verify(&shop, 0);
    assert_eq!(report["processes"], report["unclosed"], "{report}");
    assert!(report["decisions"].as_u64().expect("a count") > 0);
}

/// A sidecar whose files may not grow beyond some KiB: to the writer, a full disk.
pub fn cramped(shop: &Workshop, kib: u32, line: &str) -> Sidecar {
    let mut command = Command::new("bash");
    let tollgate = env!("CARGO_BIN_EXE_tollgate");
    let serve = "serve --bundle signup.tollgate --trust k.pub --workers 1 --listen 127.0.0.1:0 --log-dir log";
    let script = format!(
        "trap '' XFSZ; ulimit -S -f {kib}; exec {tollgate} {serve} --set scoring.deadline_ms=20000 --set log.queue_bytes=65536 {line}"
    );
    command.args(["-c", &script]);
    let sidecar = Sidecar::run(shop, command);
    until("the sidecar is ready", || sidecar.get("/readyz").status == 200);
    sidecar
}

/// Lets the files grow again; says whether this system can.
pub fn relieve(sidecar: &Sidecar) -> bool {
    let pid = sidecar.pid().to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
    let done = done.is_ok_and(|status| status.success());
    if !done {
        eprintln!("skipped: no prlimit here, so the disk stays full");
    }
    done
}

#[test]
fn on_a_full_disk_losses_are_counted_and_declared() {
    let shop = shop();
    let mut sidecar = cramped(&shop, 100, "");
    let row = &rows(&shop)[0];
    let mut asked = 0_u64;
    until("records are dropped", || {
        for _ in 0..20 {
            // Each is answered, and by the model.
            assert_eq!(sidecar.decide(row)["source"], "cutoffs");
            asked += 1;
        }
        sidecar.metric("tollgate_log_dropped_total") > 20.0
    });
    assert_eq!(sidecar.metric("tollgate_log_failing"), 1.0);
    sidecar.get("/readyz").expect(200);
    if !relieve(&sidecar) {
        return;
    }
    until("the log is written again", || sidecar.metric("tollgate_log_failing") == 0.0);
    for _ in 0..20 {
        sidecar.decide(row);
        asked += 1;
    }
    let dropped = sidecar.metric("tollgate_log_dropped_total") as u64;
    assert!(sidecar.stop().success());
    let report = verify(&shop, 0);
    assert_eq!(report["declared_lost"], dropped, "{report}");
    assert_eq!(report["decisions"], asked - dropped, "{report}");
    assert_eq!((&report["undeclared_lost"], &report["unclosed"]), (&json!(0), &json!(0)), "{report}");
}

#[test]
fn a_log_that_must_not_lose_refuses_instead() {
    let shop = shop();
    for policy in ["refuse", "block"] {
        let _ = fs::remove_dir_all(shop.path("log"));
        let line = format!("--set log.when_full={policy} --set limits.request_ms=300");
        let mut sidecar = cramped(&shop, 100, &line);
        let row = &rows(&shop)[0];
        let mut decided = 0_u64;
        until("the log is full", || {
            let answer = sidecar.post("/v1/decide", row);
            decided += u64::from(answer.status == 200);
            answer.status != 200 && answer.problem(503, "LOG_FULL")["status"] == 503
        });
        assert!(sidecar.metric("tollgate_shed_total{cause=\"log\"}") >= 1.0);
        assert_eq!(sidecar.metric("tollgate_log_dropped_total"), 0.0, "{policy}");
        if !relieve(&sidecar) {
            continue;
        }
        until("it decides again", || {
            sidecar.post("/v1/decide", row).status == 200 && {
                decided += 1;
                true
            }
        });
        assert!(sidecar.stop().success());
        let report = verify(&shop, 0);
        assert_eq!(
            (&report["decisions"], &report["declared_lost"]),
            (&json!(decided), &json!(0)),
            "{policy}: {report}"
        );
    }
}
