//! A clock that is years off, or jumps while the sidecar runs, under `faketime`.

use crate::sidecar::{Sidecar, rows, shop, until};
use crate::workshop::{Workshop, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library that gives a process another time, where it is installed.
fn faketime() -> Option<PathBuf> {
    let mut places = vec![PathBuf::from("/usr/lib/faketime")];
    let below = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    places.extend(below.map(|entry| entry.path().join("faketime")));
    let found = places.iter().map(|place| place.join("libfaketimeMT.so.1")).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: libfaketime is not installed, so clocks do not jump");
    }
    found
}

/// A sidecar whose clock is off by what the file `clock` says.
fn shifted(shop: &Workshop, library: &Path, line: &str) -> Sidecar {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let serve = "serve --listen 127.0.0.1:0 --trust k.pub --workers 2 --set scoring.deadline_ms=20000";
    command.args(format!("{serve} --set poll_ms=50 {line}").split_whitespace());
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", shop.path("clock"));
    command.envs([("FAKETIME_NO_CACHE", "1"), ("DONT_FAKE_MONOTONIC", "1")]);
    Sidecar::run(shop, command)
}

#[test]
fn a_clock_that_jumps_while_it_serves_changes_no_decision() {
    let Some(library) = faketime() else { return };
    let shop = shop();
    shop.write("clock", "+0");
    let mut sidecar = shifted(&shop, &library, "--bundle signup.tollgate --log-dir log");
    until("it is ready", || sidecar.get("/readyz").status == 200);
    let row = &rows(&shop)[0];
    let margin = sidecar.decide(row)["margin"].clone();
    let mut asked = 1;
    for clock in ["+10y", "-10y", "+1d", "+0"] {
        shop.write("clock", clock);
        for _ in 0..20 {
            let record = sidecar.decide(row);
            assert_eq!((&record["margin"], record["source"].as_str()), (&margin, Some("cutoffs")), "{clock}");
            asked += 1;
        }
        sidecar.get("/readyz").expect(200);
    }
    assert!(sidecar.stop().success());
    let report = shop.run("log verify log --json").expect(0).json();
    assert_eq!((&report["decisions"], &report["unclosed"]), (&asked.into(), &0.into()), "{report}");
    // The clock did jump: the log says what time it was told.
    let entries = shop.run("log cat log").expect(0).lines();
    let times: Vec<u64> = entries.iter().filter_map(|line| json(line)["entry"]["time_ms"].as_u64()).collect();
    let (first, last) = (times.iter().min().expect("a time"), times.iter().max().expect("a time"));
    assert!(last - first > 19 * 365 * 24 * 3_600_000, "{first} to {last}");
}

#[test]
fn with_a_clock_behind_a_bundle_waits_until_the_clock_is_right() {
    let Some(library) = faketime() else { return };
    let shop = shop();
    shop.write("clock", "-10y");
    let sidecar = shifted(&shop, &library, "--bundle signup.tollgate");
    until("the bundle is of the future", || sidecar.told().contains("NOT_YET"));
    sidecar.get("/readyz").problem(503, "NOT_READY");
    sidecar.get("/livez").expect(200);
    shop.write("clock", "+0");
    until("the clock is right", || sidecar.get("/readyz").status == 200);
    sidecar.decide(&rows(&shop)[0]);
    // One that serves already is not put away because the clock goes back again.
    shop.write("clock", "-10y");
    sidecar.signal("HUP");
    sidecar.get("/readyz").expect(200);
    assert_eq!(sidecar.decide(&rows(&shop)[0])["source"], "cutoffs");
}
