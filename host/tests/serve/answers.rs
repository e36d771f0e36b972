//! What the sidecar answers.

use crate::sidecar::{Sidecar, rows, send_unix, shop, without_counter};
use crate::workshop::json;
use serde_json::{Value, json};

#[test]
fn decisions_are_those_of_the_command_line() {
    let shop = shop();
    let sidecar = Sidecar::start(&shop, "--listen unix:s.sock");
    let records = shop.run("score signup.tollgate --trust k.pub --no-input signup/rows.ndjson").expect(0).lines();
    for (row, record) in rows(&shop).iter().zip(&records) {
        let record = without_counter(json(record));
        assert_eq!(without_counter(sidecar.decide(row)), record);
        let unix = send_unix(&shop.path("s.sock"), "POST", "/v1/decide", "", row).expect(200).json();
        assert_eq!(without_counter(unix), record);
    }
    assert_eq!(sidecar.metric("tollgate_decisions_total"), 80.0);
    assert!(sidecar.metric("tollgate_feature_states_total{state=\"missing\"}") > 0.0);
    assert_eq!(sidecar.metric("tollgate_request_duration_seconds_count{endpoint=\"decide\"}"), 80.0);
}

#[test]
fn batches_keep_their_order_and_tell_their_errors() {
    let shop = shop();
    let sidecar = Sidecar::start(&shop, "--set limits.batch_rows=41");
    let all = rows(&shop);
    let alone: Vec<Value> = all.iter().map(|row| without_counter(sidecar.decide(row))).collect();
    let mut with_error = all.clone();
    with_error.insert(1, "{\"no\":1}".into());
    let lines =
        sidecar.send("POST", "/v1/decide/batch", "content-type: application/x-ndjson\r\n", with_error.join("\n"));
    let lines: Vec<Value> = lines.expect(200).text().lines().map(json).collect();
    let listed = sidecar.post("/v1/decide/batch", format!("{{\"requests\":[{}]}}", with_error.join(",")));
    let listed = listed.expect(200).json()["decisions"].as_array().expect("a list").clone();
    for mut answers in [lines, listed] {
        assert_eq!(answers.len(), 41);
        let error = answers.remove(1);
        assert_eq!((&error["error"]["code"], &error["error"]["index"]), (&json!("REQUEST"), &json!(1)));
        assert_eq!(answers.into_iter().map(without_counter).collect::<Vec<_>>(), alone);
    }
    let many = format!("{{\"requests\":[{}]}}", vec!["{\"features\":{}}"; 42].join(","));
    sidecar.post("/v1/decide/batch", many).problem(413, "BATCH_ROWS");
    sidecar.post("/v1/decide/batch", "[]").problem(400, "REQUEST");
}

#[test]
fn everything_that_can_be_asked_is_described_and_answered() {
    let shop = shop();
    let sidecar = Sidecar::start(&shop, "");
    let schema = sidecar.get("/v1/schema").expect(200);
    assert_eq!(schema.json()["features"].as_array().map(Vec::len), Some(22));
    let tag = format!("if-none-match: {}\r\n", schema.header("etag"));
    sidecar.send("GET", "/v1/schema", &tag, "").expect(304);
    let row = &rows(&shop)[0];
    let explained = sidecar.post("/v1/explain", row).expect(200).json();
    let cli = json(&shop.pipe("explain signup.tollgate --trust k.pub --json", row).expect(0).out);
    assert_eq!(explained["features"], cli["features"], "the same explanation as the command's");
    let document = sidecar.get("/openapi.json").expect(200).json();
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 14, "{paths:?}");
    for (path, methods) in paths {
        let path = path.replace("{model}", "signup").replace("{version}", "1.0.0");
        for method in methods.as_object().expect("methods").keys() {
            let status = sidecar.send(&method.to_uppercase(), &path, "", row).status;
            assert!(![404, 405, 500].contains(&status), "{method} {path}: {status}");
        }
    }
    for path in ["/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/v2", "/v2/models/signup"] {
        sidecar.get(path).expect(200);
        assert!(sidecar.send("HEAD", path, "", "").status == 200 || path.starts_with("/v2"), "{path}");
    }
}

#[test]
fn what_cannot_be_decided_is_refused_with_a_code() {
    let shop = shop();
    let line = "--set limits.body_bytes=4096 --set limits.header_bytes=2048 --set limits.nesting=5";
    let sidecar = Sidecar::start(&shop, line);
    let decide = "/v1/decide";
    // The first thing that an instance sees.
    sidecar.post(decide, "").problem(400, "REQUEST");
    let problem = sidecar.post(decide, "{\"features\":{}").problem(400, "REQUEST");
    assert_eq!(problem["type"], "urn:tollgate:problem:REQUEST");
    assert_eq!(problem["error"], problem["detail"], "as the Open Inference Protocol has it");
    sidecar.post(decide, "").problem(400, "REQUEST");
    sidecar.post(decide, "{\"features\":{},\"more\":1}").problem(400, "REQUEST");
    sidecar.post(decide, [0xff, 0xfe]).problem(400, "REQUEST");
    sidecar.post(decide, "x".repeat(5000)).problem(413, "BODY_TOO_LARGE");
    let chunked = format!("{:x}\r\n{}\r\n0\r\n\r\n", 5000, "x".repeat(5000));
    let raw = format!(
        "POST {decide} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunked}"
    );
    let answer =
        crate::sidecar::again(|| crate::sidecar::exchange(crate::sidecar::connect(&sidecar.address)?, raw.as_bytes()));
    answer.problem(413, "BODY_TOO_LARGE");
    sidecar.post(decide, format!("{{\"features\":{}1{}}}", "[".repeat(6), "]".repeat(6))).problem(400, "NESTING");
    sidecar.post(decide, "[".repeat(4096)).problem(400, "NESTING");
    sidecar.send("GET", decide, "", "").problem(405, "METHOD");
    sidecar.send("POST", "/livez", "", "").problem(405, "METHOD");
    sidecar.get("/nothing").problem(404, "NOT_FOUND");
    let long = format!("x-long: {}\r\n", "x".repeat(4000));
    assert_eq!(sidecar.send("POST", decide, &long, "{}").status, 431);
    let many: String = (0..100).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(sidecar.send("POST", decide, &many, "{}").status, 431);
    sidecar.decide(&rows(&shop)[0]);
}

#[test]
fn answers_are_named_by_the_caller_its_trace_or_the_sidecar() {
    let shop = shop();
    let sidecar = Sidecar::start(&shop, "--log-dir log");
    let id = |headers: &str| {
        sidecar
            .send("POST", "/v1/decide", headers, "{\"features\":{}}")
            .expect(200)
            .header("x-correlation-id")
            .to_owned()
    };
    let (one, two) = (id(""), id(""));
    assert!(one.len() == 32 && two.len() == 32 && one != two, "{one} {two}");
    assert_eq!(id("x-correlation-id: order-7\r\n"), "order-7");
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    assert_eq!(id(trace), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(id(&format!("{trace}x-correlation-id: order-8\r\n")), "order-8");
    let mut sidecar = sidecar;
    assert!(sidecar.stop().success());
    let log = shop.run("log cat log").expect(0).out;
    assert!(log.contains("\"correlation_id\":\"order-8\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\""), "{log}");
}

#[test]
fn the_open_inference_protocol_gives_the_same_decisions() {
    let shop = shop();
    let sidecar = Sidecar::start(&shop, "");
    let all = rows(&shop);
    let some: Vec<Value> = all[..20].iter().map(|row| json(row)).collect();
    let schema = sidecar.get("/v1/schema").expect(200).json();
    let inputs: Vec<Value> = schema["features"]
        .as_array()
        .expect("features")
        .iter()
        .map(|feature| {
            let datatype = match feature["kind"].as_str() {
                Some("boolean") => "BOOL",
                Some("category") => "BYTES",
                _ => "FP64",
            };
            let data: Vec<&Value> =
                some.iter().map(|row| &row["features"][feature["name"].as_str().expect("a name")]).collect();
            json!({"name": feature["name"], "datatype": datatype, "shape": [20, 1], "data": data})
        })
        .collect();
    let infer = "/v2/models/signup/infer";
    let answer = sidecar.post(infer, json!({"id": "i", "inputs": inputs}).to_string()).expect(200).json();
    assert_eq!((&answer["model_name"], &answer["id"]), (&json!("signup"), &json!("i")));
    let output = |name: &str| {
        answer["outputs"].as_array().expect("outputs").iter().find(|o| o["name"] == name).expect("output")["data"]
            .clone()
    };
    let (actions, probabilities) = (output("action"), output("probability"));
    for (index, row) in all[..20].iter().enumerate() {
        let record = sidecar.decide(row);
        assert_eq!(
            (&actions[index], &probabilities[index]),
            (&record["action"], &record["probability"]),
            "row {index}"
        );
    }
    let tensor = |shape: Value, count: usize| json!({"inputs": [{"name": "features", "datatype": "FP64", "shape": shape, "data": vec![1.0; count]}]});
    sidecar.post(infer, tensor(json!([1, 22]), 22).to_string()).expect(200);
    sidecar.post(infer, tensor(json!([1, 22]), 21).to_string()).problem(400, "TENSOR");
    sidecar.post(infer, tensor(json!([1, 3]), 3).to_string()).problem(400, "TENSOR");
    sidecar.post(infer, tensor(json!([-1, -22]), 22).to_string()).problem(400, "TENSOR");
    sidecar.post(infer, "{\"inputs\":[]}").problem(400, "TENSOR");
    sidecar.post(infer, "{}").problem(400, "REQUEST");
    sidecar.post("/v2/models/other/infer", "{}").problem(404, "NOT_FOUND");
    sidecar.get("/v2/models/signup/versions/9.9").problem(404, "NOT_FOUND");
    sidecar.get("/v2/models/signup/versions/1.0.0/ready").expect(200);
}

#[test]
fn the_doctor_finds_a_well_sidecar_well_and_a_sick_one_sick() {
    let shop = shop();
    let sidecar = Sidecar::start(&shop, "");
    let url = format!("http://{}", sidecar.address);
    let line = format!("doctor --url {url} --requests 20 --json");
    let report = shop.run(&format!("{line} --bundle signup.tollgate --trust k.pub")).expect(0).json();
    assert_eq!(report["healthy"], true, "{report}");
    assert!(report["checks"].as_array().expect("checks").iter().all(|check| check["state"] == "ok"), "{report}");
    shop.run(&line).expect(0);
    shop.build("loan");
    let other = shop.run(&format!("{line} --bundle loan.tollgate --trust k.pub"));
    other.refused(1, &["UNHEALTHY"]);
    shop.run("doctor --url http://127.0.0.1:1").refused(1, &["UNHEALTHY"]);
    shop.run("doctor --url ftp://x").refused(2, &["USAGE"]);
}
