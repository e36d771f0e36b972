//! A disk that fails: errors of the system's own calls, injected by `strace` into the
//! threads that write the log.

use crate::logs::{cramped, relieve};
use crate::sidecar::{Sidecar, rows, shop, until};
use crate::workshop::Workshop;
use serde_json::json;
use std::process::{Child, Command, Stdio};

/// The number of a thread of the sidecar.
fn thread(sidecar: &Sidecar, name: &str) -> String {
    let tasks = format!("/proc/{}/task", sidecar.pid());
    let tasks = std::fs::read_dir(tasks).expect("threads").flatten();
    let is_it = |path: &std::path::Path| std::fs::read_to_string(path.join("comm")).is_ok_and(|is| is.trim() == name);
    let found = tasks.map(|entry| entry.path()).find(|path| is_it(path)).expect("the thread");
    found.file_name().expect("a number").to_string_lossy().into_owned()
}

/// Lets calls of the log's threads fail for as long as the guard lives; `None` where nothing can.
fn fail(sidecar: &Sidecar, shop: &Workshop, calls: &str) -> Option<Failing> {
    let name = if calls == "fdatasync" { "tollgate-sync" } else { "tollgate-log" };
    let inject = format!("inject={calls}:error=EIO");
    // On the segment alone: the same thread writes to standard error, too.
    let segment = std::fs::read_dir(shop.path("log")).expect("a log").flatten().next().expect("a segment").path();
    let segment = segment.canonicalize().expect("a path");
    let mut command = Command::new("strace");
    command.args(["-o", &shop.path("trace").to_string_lossy(), "-e", &inject, "-p", &thread(sidecar, name)]);
    command.arg("-P").arg(segment);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    let mut failing = Failing(child);
    // It ends at once where it may not trace.
    std::thread::sleep(std::time::Duration::from_millis(300));
    failing.0.try_wait().ok()?.is_none().then_some(failing)
}

struct Failing(Child);

impl Drop for Failing {
    fn drop(&mut self) {
        // Told to end, it lets go of the thread.
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

#[test]
fn writes_that_fail_lose_only_what_is_declared() {
    // Writes alone, then also what would cut off what a failed write left, then the sync.
    for calls in ["write", "write,ftruncate", "fdatasync"] {
        let shop = shop();
        let mut sidecar = Sidecar::start(&shop, "--log-dir log --set log.queue_bytes=65536 --set log.sync_ms=20");
        let (row, mut asked) = (rows(&shop)[0].clone(), 0_u64);
        let mut ask = |sidecar: &Sidecar| {
            assert_eq!(sidecar.decide(&row)["source"], "cutoffs", "{calls}");
            asked += 1;
        };
        ask(&sidecar);
        let Some(failing) = fail(&sidecar, &shop, calls) else {
            println!("skipped: strace is not installed or may not trace, so the disk does not fail");
            return;
        };
        until("the failure shows", || {
            ask(&sidecar);
            sidecar.metric("tollgate_log_errors_total") >= 1.0
        });
        if calls != "fdatasync" {
            until("records are dropped", || {
                ask(&sidecar);
                sidecar.metric("tollgate_log_dropped_total") > 3.0
            });
        }
        until("it is told", || sidecar.told().contains("LOG_WRITE"));
        sidecar.get("/readyz").expect(200);
        drop(failing);
        until("the log is written again", || {
            ask(&sidecar);
            sidecar.metric("tollgate_log_failing") == 0.0
        });
        let dropped = sidecar.metric("tollgate_log_dropped_total") as u64;
        assert!(sidecar.stop().success());
        let report = shop.run("log verify log --json").expect(0).json();
        assert_eq!(report["declared_lost"], dropped, "{calls}: {report}");
        assert_eq!(report["decisions"], asked - dropped, "{calls}: {report}");
        assert_eq!((&report["undeclared_lost"], &report["unclosed"]), (&json!(0), &json!(0)), "{calls}: {report}");
    }
}

#[test]
fn half_a_write_that_cannot_be_cut_off_at_once_is_cut_off_later() {
    let shop = shop();
    // The write that reaches the limit is half done.
    let mut sidecar = cramped(&shop, 100, "");
    let row = &rows(&shop)[0];
    let Some(failing) = fail(&sidecar, &shop, "ftruncate") else {
        println!("skipped: strace is not installed or may not trace, so the disk does not fail");
        return;
    };
    let mut asked = 0_u64;
    until("the disk is full", || {
        sidecar.decide(row);
        asked += 1;
        sidecar.metric("tollgate_log_failing") == 1.0
    });
    if !relieve(&sidecar) {
        return;
    }
    // Now there is room, but nothing may be written behind the half.
    let errors = sidecar.metric("tollgate_log_errors_total");
    until("it still fails", || sidecar.metric("tollgate_log_errors_total") > errors + 1.0);
    drop(failing);
    until("the log is written again", || sidecar.metric("tollgate_log_failing") == 0.0);
    let dropped = sidecar.metric("tollgate_log_dropped_total") as u64;
    assert!(sidecar.stop().success());
    let report = shop.run("log verify log --json").expect(0).json();
    assert_eq!(
        (&report["decisions"], &report["declared_lost"]),
        (&json!(asked - dropped), &json!(dropped)),
        "{report}"
    );
    assert_eq!((&report["undeclared_lost"], &report["unclosed"]), (&json!(0), &json!(0)), "{report}");
}
