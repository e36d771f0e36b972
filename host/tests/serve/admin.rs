//! What operators see and steer; settings.

use crate::sidecar::{Sidecar, again, connect, exchange, request, shop, until};
use std::io::{Read, Write};

#[test]
fn operators_see_and_steer_it() {
    let shop = shop();
    let sidecar = Sidecar::start(&shop, "--state-dir state --log-dir log");
    let admin = "admin --at unix:state/admin.sock --json";
    let status = shop.run(&format!("{admin} status")).expect(0).json();
    assert_eq!((&status["ready"], &status["workers"], &status["level"]), (&true.into(), &2.into(), &"info".into()));
    assert_eq!(status["bundle"]["digest"], sidecar.digest());
    assert_eq!(shop.run(&format!("{admin} reload")).expect(0).json()["outcome"], "unchanged");
    assert_eq!(shop.run(&format!("{admin} log-level debug")).expect(0).json()["level"], "debug");
    shop.run(&format!("{admin} log-level loud")).refused(3, &["loud"]);
    shop.run("admin --at unix:nowhere.sock status").refused(3, &["UNREACHABLE"]);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(shop.path("state/admin.sock")).expect("there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600, "the owner's alone");
}

#[test]
fn over_tcp_a_token_is_needed() {
    let shop = shop();
    shop.run("serve --bundle signup.tollgate --trust k.pub --listen 127.0.0.1:0 --set admin.listen=127.0.0.1:0")
        .refused(2, &["token_file"]);
    shop.write("token", "s3cret\n");
    let sidecar = Sidecar::start(&shop, "--set admin.listen=127.0.0.1:0 --set admin.token_file=token");
    let address = sidecar.said("admin listening").pop().expect("an address");
    let status =
        |headers: &str| again(|| exchange(connect(&address)?, &request("GET", "/v1/status", headers, b""))).status;
    assert_eq!(status(""), 401);
    for wrong in ["s3cre", "s3crett", "S3cret", ""] {
        assert_eq!(status(&format!("authorization: Bearer {wrong}\r\n")), 401, "{wrong}");
    }
    assert_eq!(status("authorization: Bearer s3cret\r\n"), 200);
    again(|| exchange(connect(&address)?, &request("GET", "/livez", "", b""))).expect(200);
    shop.run(&format!("admin --at http://{address} --token-file token status")).expect(0);
    shop.run(&format!("admin --at http://{address} status")).refused(3, &["UNAUTHORIZED"]);
    // No part of it is on the public listener.
    sidecar.get("/v1/status").problem(404, "NOT_FOUND");
}

#[test]
fn settings_come_from_file_environment_and_flags() {
    let shop = shop();
    std::fs::create_dir(shop.path("etc")).expect("a folder");
    shop.write("etc/tollgate.toml", "bundle = \"../signup.tollgate\"\ntrust = [\"../k.pub\"]\n[limits]\nnesting = 7\nbody_bytes = 5000\n[log]\ndir = \"log\"\n");
    let shown = |environment: &[(&str, &str)], flags: &str| -> toml::Table {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
        let line = format!("serve --config etc/tollgate.toml --print-config {flags}");
        let output = command
            .args(line.split_whitespace())
            .current_dir(shop.path(""))
            .envs(environment.iter().copied())
            .output()
            .expect("runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").parse().expect("TOML")
    };
    let plain = shown(&[], "");
    assert_eq!(plain["limits"]["nesting"].as_integer(), Some(7));
    assert!(plain["log"]["dir"].as_str().is_some_and(|dir| dir.ends_with("etc/log")), "relative to the file");
    let both = shown(
        &[("TOLLGATE_LIMITS__NESTING", "9"), ("TOLLGATE_LIMITS__BODY_BYTES", "6000"), ("TOLLGATE_WASM_OPT", "x")],
        "--set limits.nesting=11",
    );
    assert_eq!(
        (both["limits"]["nesting"].as_integer(), both["limits"]["body_bytes"].as_integer()),
        (Some(11), Some(6000))
    );
    // What is printed can be read again.
    shop.write("all.toml", toml::to_string(&plain).expect("TOML"));
    shop.run("serve --config all.toml --print-config").expect(0);
    let serve = "serve --bundle b --trust k.pub";
    for (line, named) in [
        ("serve --trust k.pub", "bundle"),
        ("serve --bundle b", "trust"),
        (&format!("{serve} --set limits.nestng=3") as &str, "nestng"),
        (&format!("{serve} --set limits.nesting=many"), "many"),
        (&format!("{serve} --set limits.nesting=0"), "limit of 0"),
        (&format!("{serve} --set fallback_action=block"), "fallback_action"),
        (&format!("{serve} --set logging.level=loud"), "loud"),
        (&format!("{serve} --listen nowhere"), "nowhere"),
        ("serve --bundle ftp://x/y --trust k.pub --listen 127.0.0.1:0", "ftp"),
    ] {
        let ran = shop.run(line);
        assert!([2, 3].contains(&ran.status) && ran.err.contains(named), "{line}: {} {}", ran.status, ran.err);
    }
}

#[test]
fn it_ends_in_order() {
    let shop = shop();
    let mut sidecar = Sidecar::start(
        &shop,
        "--listen unix:s.sock --log-dir log --set shutdown.delay_ms=5000 --set shutdown.drain_ms=60000 --set limits.request_ms=60000",
    );
    // A request whose body is not there yet, when the signal comes.
    let mut socket = again(|| connect(&sidecar.address));
    let body = "{\"decision_id\":\"late\",\"features\":{}}";
    let head = format!(
        "POST /v1/decide HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).expect("sent");
    let mut interim = [0; 25];
    // The body is asked for, so the request is open.
    socket.read_exact(&mut interim).expect("an interim answer");
    assert!(interim.starts_with(b"HTTP/1.1 100 Continue"));
    sidecar.signal("TERM");
    until("it says that it leaves", || sidecar.told().contains("\"leaving\""));
    let ready = again(|| exchange(connect(&sidecar.address)?, &request("GET", "/readyz", "", b""))).status;
    assert_eq!(ready, 503, "not ready, but still answering");
    until("it takes nothing new", || std::net::TcpStream::connect(&sidecar.address).is_err());
    assert!(sidecar.is_running(), "it waits for the open request");
    socket.write_all(body.as_bytes()).expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"late\""), "{answer}");
    assert!(sidecar.wait().success());
    assert!(!shop.path("s.sock").exists(), "the socket is gone");
    let report = shop.run("log verify log --json").expect(0).json();
    assert_eq!((&report["decisions"], &report["unclosed"]), (&1.into(), &0.into()));
}
