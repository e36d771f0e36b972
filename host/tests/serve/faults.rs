//! Guests that misbehave: the answer is the fallback's, and nobody else notices.

use crate::faulty::{self, BOMB, FILL, LOOP, POISON, RECURSE, TRAP, marked};
use crate::rounds;
use crate::sidecar::{Sidecar, rows, shop, without_counter};
use crate::workshop::{self, Workshop};
use serde_json::{Value, json};

/// A sidecar with the faulty module; deadlines have to be met here.
fn faulty(shop: &Workshop, line: &str) -> Sidecar {
    shop.write("faulty.wasm", faulty::module());
    Sidecar::start(shop, &format!("--set module=faulty.wasm --set scoring.deadline_ms=400 {line}"))
}

/// Asks until the answer is not the fallback: on a busy machine a good call may miss its
/// deadline too.
fn good(sidecar: &Sidecar, row: &str) -> Value {
    for _ in 0..50 {
        let record = sidecar.decide(row);
        if record["source"] != "fallback" {
            return without_counter(record);
        }
    }
    panic!("the guest does not come back");
}

/// The fallback's answer for this reason: always the fallback's, and for another reason
/// only where a busy machine let the deadline pass first.
fn fallback(sidecar: &Sidecar, row: &str, reason: &str) -> Value {
    for _ in 0..50 {
        let record = sidecar.decide(row);
        assert_eq!(record["source"], "fallback", "{record}");
        if record["source_detail"] == reason {
            return record;
        }
    }
    panic!("never the reason {reason}");
}

#[test]
fn a_guest_that_fails_is_replaced_and_the_fallback_answers() {
    let shop = shop();
    let sidecar = faulty(&shop, "--log-dir log");
    let row = &rows(&shop)[0];
    let before = good(&sidecar, row);
    for (mark, reason) in [(TRAP, "trap"), (RECURSE, "trap"), (BOMB, "trap"), (LOOP, "deadline"), (FILL, "deadline")] {
        let record = fallback(&sidecar, &marked(row, mark), reason);
        assert_eq!((&record["action"], &record["degraded"]), (&json!("challenge"), &json!(true)), "{reason}");
        assert_eq!(record["decision_id"], "s-001", "{reason}");
        assert_eq!(record["bundle_digest"], before["bundle_digest"]);
        assert_eq!(good(&sidecar, row), before, "after {reason}");
    }
    assert!(sidecar.metric("tollgate_fallbacks_total") >= 5.0);
    assert!(sidecar.metric("tollgate_guest_traps_total{kind=\"deadline\"}") >= 2.0);
    assert!(sidecar.metric("tollgate_decisions_total{action=\"challenge\",source=\"fallback\"}") >= 5.0);
    let mut sidecar = sidecar;
    assert!(sidecar.stop().success());
    assert!(shop.run("log cat log").expect(0).out.contains("\"source\":\"fallback\""));
    shop.run("log verify log").expect(0);
}

#[test]
fn memory_that_a_guest_asks_for_is_refused_and_given_back() {
    let shop = shop();
    let sidecar = faulty(&shop, "--set scoring.memory_bytes=67108864");
    let row = &rows(&shop)[0];
    good(&sidecar, row);
    let before = sidecar.memory_mib();
    for _ in 0..rounds(30, 1000) {
        let record = sidecar.decide(&marked(row, BOMB));
        assert_eq!(record["source"], "fallback");
    }
    good(&sidecar, row);
    let after = sidecar.memory_mib();
    assert!(after < before + 64.0, "{before} MiB before, {after} MiB after");
}

#[test]
fn poisoned_memory_reaches_no_other_request() {
    let shop = shop();
    for isolation in ["reuse", "per-request"] {
        let sidecar = faulty(&shop, &format!("--set scoring.isolation={isolation}"));
        let rows = rows(&shop);
        let before: Vec<Value> = rows[..10].iter().map(|row| good(&sidecar, row)).collect();
        for (row, before) in rows.iter().zip(&before) {
            // The poisoned call itself either traps or is worth nothing; its answer has a form.
            let poisoned = sidecar.decide(&marked(row, POISON));
            assert_eq!(poisoned["source"], "fallback", "{isolation}: {poisoned}");
            assert_eq!(&good(&sidecar, row), before, "{isolation}");
        }
    }
}

#[test]
fn other_requests_are_answered_while_a_guest_loops() {
    let shop = shop();
    let sidecar = faulty(&shop, "--set scoring.deadline_ms=2000");
    let row = rows(&shop)[0].clone();
    std::thread::scope(|scope| {
        let looping = scope.spawn(|| (0..3).map(|_| sidecar.decide(&marked(&row, LOOP))).collect::<Vec<_>>());
        for _ in 0..20 {
            sidecar.get("/livez").expect(200);
            sidecar.decide(&row);
        }
        for record in looping.join().expect("answers") {
            assert_eq!(record["source_detail"], "deadline");
        }
    });
}

#[test]
fn the_command_line_answers_a_trap_with_the_fallback_too() {
    let shop = shop();
    shop.write("faulty.wasm", faulty::module());
    let row = &rows(&shop)[0];
    let input = format!("{row}\n{}\n{row}\n", marked(row, RECURSE));
    let records = shop.pipe("score signup.tollgate --trust k.pub --module faulty.wasm", &input).expect(0).lines();
    let records: Vec<Value> = records.iter().map(|line| workshop::json(line)).collect();
    let sources: Vec<&str> = records.iter().map(|record| record["source"].as_str().expect("a source")).collect();
    assert_eq!(sources, ["cutoffs", "fallback", "cutoffs"]);
    assert_eq!((&records[1]["action"], &records[1]["decision_id"]), (&json!("challenge"), &json!("s-001")));
    assert_eq!(records[1]["input"], records[0]["input"]);
}

#[test]
fn a_module_that_is_none_is_refused_at_the_start() {
    let shop = shop();
    shop.write("broken.wasm", "no module");
    shop.run("serve --bundle signup.tollgate --trust k.pub --listen 127.0.0.1:0 --set module=broken.wasm")
        .refused(3, &["SANDBOX"]);
}
