//! `tollgate doctor`: is a running sidecar well? What operators run after a deploy.

use super::output::{self, Output};
use super::{Running, now_ms};
use crate::failure::{Failure, Result};
use crate::serve::client::{self, Target};
use bytes::Bytes;
use clap::Args;
use hyper::{Method, Request, StatusCode};
use minicbor::Decode;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tollgate_scorer::GoldenWire;
use tollgate_scorer::bundle::Role;
use tollgate_scorer::trust::TrustedKeys;
use tollgate_scorer::{Kind, Trust};

/// Time for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of the longest answer.
const ANSWER_BYTES: usize = 16 << 20;
/// Time within which an answer under the small load should come.
const SLOW: Duration = Duration::from_millis(250);

/// Check a running sidecar: health, schema, golden rows, refusals of bad input, a small load.
///
/// With --bundle and --trust its decisions on the bundle's golden rows are compared with
/// those of the sandbox in this command, member by member. Exit status 1 for any check
/// that fails.
#[derive(Args)]
pub(super) struct Doctor {
    /// The sidecar: http://HOST:PORT or unix:PATH.
    #[arg(long, env = "TOLLGATE_URL")]
    url: String,
    /// The bundle that should serve.
    #[arg(long, requires = "trust")]
    bundle: Option<PathBuf>,
    /// The public key that must have signed it.
    #[arg(long, requires = "bundle")]
    trust: Option<PathBuf>,
    /// Requests of the load check.
    #[arg(long, default_value_t = 200)]
    requests: u32,
    /// JSON even on a terminal.
    #[arg(long)]
    json: bool,
}

/// What one check found: fine, skipped with its cause, or wrong.
struct Check {
    name: &'static str,
    outcome: Outcome,
}

enum Outcome {
    Fine(String),
    Skipped(String),
    Wrong(String),
}

type Checked = Result<String, String>;

struct Visit {
    target: Target,
}

impl Doctor {
    pub(super) fn run(&self) -> Result<()> {
        let visit = Visit { target: Target::parse(&self.url)? };
        let mut checks = vec![
            Check::of("alive", visit.ok("/livez")),
            Check::of("ready", visit.ok("/readyz")),
            Check::of("metrics", visit.metrics()),
            Check::of("openapi", visit.openapi()),
        ];
        let schema = visit.schema();
        checks.push(Check::of("schema", schema.as_ref().map(described).map_err(Clone::clone)));
        checks.push(self.golden(&visit)?);
        checks.push(Check::of("bad input", visit.bad_input()));
        if let Ok(schema) = &schema {
            checks.push(Check::of("load", visit.load(schema, self.requests)));
        }
        self.report(&checks)
    }

    fn golden(&self, visit: &Visit) -> Result<Check> {
        let (Some(bundle), Some(trust)) = (&self.bundle, &self.trust) else {
            let outcome = Outcome::Skipped("give --bundle and --trust to compare decisions".into());
            return Ok(Check { name: "golden rows", outcome });
        };
        let mut running = Running::start(bundle, trust)?;
        let rows = golden_requests(&running)?;
        Ok(Check::of("golden rows", visit.same_decisions(&mut running, &rows)))
    }

    fn report(&self, checks: &[Check]) -> Result<()> {
        let wrong = checks.iter().filter(|check| matches!(check.outcome, Outcome::Wrong(_))).count();
        let mut output = Output::new();
        if self.json || !output::on_terminal() {
            let all: Vec<Value> = checks.iter().map(Check::json).collect();
            output.line(json!({"url": self.url, "healthy": wrong == 0, "checks": all}))?;
        } else {
            for check in checks {
                output.line(check.line())?;
            }
        }
        output.finish()?;
        match wrong {
            0 => Ok(()),
            count => Err(Failure::finding("UNHEALTHY", format!("{count} of {} checks failed", checks.len()))),
        }
    }
}

impl Check {
    fn of(name: &'static str, checked: Checked) -> Self {
        Self { name, outcome: checked.map_or_else(Outcome::Wrong, Outcome::Fine) }
    }

    fn parts(&self) -> (&'static str, &str) {
        match &self.outcome {
            Outcome::Fine(text) => ("ok", text),
            Outcome::Skipped(text) => ("skipped", text),
            Outcome::Wrong(text) => ("FAILED", text),
        }
    }

    fn json(&self) -> Value {
        let (state, detail) = self.parts();
        json!({"check": self.name, "state": state.to_lowercase(), "detail": detail})
    }

    fn line(&self) -> String {
        let (state, detail) = self.parts();
        format!("{state:<8} {:<12} {detail}", self.name)
    }
}

/// A description in some words.
fn described(schema: &Value) -> String {
    let text = |key: &str| schema[key].as_str().unwrap_or_default().to_owned();
    let features = schema["features"].as_array().map_or(0, Vec::len);
    format!("{} {}, {features} features, digest {}", text("name"), text("version"), text("digest"))
}

impl Visit {
    fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Result<(StatusCode, Bytes), String> {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(body.into()).map_err(|error| error.to_string())?;
        let answer = client::send_blocking(&self.target, request, PATIENCE, ANSWER_BYTES);
        let answer = answer.map_err(|failure| failure.to_string())?;
        Ok((answer.status(), answer.into_body()))
    }

    fn get(&self, path: &str) -> Result<Bytes, String> {
        match self.send(Method::GET, path, Bytes::new())? {
            (StatusCode::OK, body) => Ok(body),
            (status, body) => Err(format!("{path} answers {status}: {}", String::from_utf8_lossy(&body))),
        }
    }

    fn ok(&self, path: &str) -> Checked {
        self.get(path).map(|_| format!("{path} answers 200"))
    }

    fn metrics(&self) -> Checked {
        let page = self.get("/metrics")?;
        let page = String::from_utf8_lossy(&page);
        let wanted = ["tollgate_bundle_info", "tollgate_requests_total", "tollgate_build_info"];
        match wanted.iter().find(|name| !page.contains(**name)) {
            None => Ok(format!("{} lines", page.lines().count())),
            Some(name) => Err(format!("/metrics lacks {name}")),
        }
    }

    fn openapi(&self) -> Checked {
        let document: Value = parse(&self.get("/openapi.json")?)?;
        let paths = document["paths"].as_object().map_or(0, Map::len);
        if document["paths"]["/v1/decide"].is_null() {
            return Err("/openapi.json does not describe /v1/decide".into());
        }
        Ok(format!("{paths} paths"))
    }

    fn schema(&self) -> Result<Value, String> {
        let schema: Value = parse(&self.get("/v1/schema")?)?;
        if schema["features"].as_array().is_none_or(Vec::is_empty) {
            return Err("/v1/schema names no features".into());
        }
        Ok(schema)
    }

    /// Each refused with the status and code it should have, and the sidecar still well.
    fn bad_input(&self) -> Checked {
        let deep = "[".repeat(100_000);
        let cases: [(Method, &str, &str, u16, &str); 5] = [
            (Method::POST, "/v1/decide", "{", 400, "REQUEST"),
            (Method::POST, "/v1/decide", "{\"no_such_member\":1}", 400, "REQUEST"),
            (Method::POST, "/v1/decide", &deep, 400, "NESTING"),
            (Method::GET, "/v1/decide", "", 405, "METHOD"),
            (Method::GET, "/no/such/path", "", 404, "NOT_FOUND"),
        ];
        for (method, path, body, status, code) in &cases {
            let (got, answer) = self.send(method.clone(), path, (*body).to_owned())?;
            let problem: Value = parse(&answer)?;
            if got.as_u16() != *status || problem["code"] != *code {
                return Err(format!("{method} {path}: {status} {code} expected, {got} {} came", problem["code"]));
            }
        }
        self.ok("/readyz")?;
        Ok(format!("{} kinds refused, each with its code", cases.len()))
    }

    /// Requests one after the other on a few connections; all have to be answered.
    fn load(&self, schema: &Value, requests: u32) -> Checked {
        // A request without any feature is decided too, by the bundle's rules for what is missing.
        let body = Bytes::from(r#"{"decision_id":"doctor","features":{}}"#);
        let mut times = Vec::with_capacity(requests as usize);
        for _ in 0..requests {
            let begun = Instant::now();
            let (status, answer) = self.send(Method::POST, "/v1/decide", body.clone())?;
            times.push(begun.elapsed());
            let record: Value = parse(&answer)?;
            if status != StatusCode::OK || record["bundle_digest"] != schema["digest"] {
                return Err(format!("a decision answers {status}, bundle {}", record["bundle_digest"]));
            }
            if record["source"] == "fallback" {
                return Err(format!("the fallback answered: {}", record["source_detail"]));
            }
        }
        times.sort();
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        let told = format!("{requests} decisions, median {:?}, p99 {:?}, a connection each", at(50), at(99));
        if at(50) > SLOW { Err(format!("slow: {told}")) } else { Ok(told) }
    }

    /// The same record here and there, but for ids and counters.
    fn same_decisions(&self, running: &mut Running, rows: &[String]) -> Checked {
        for (index, row) in rows.iter().enumerate() {
            let own = running.instance.score_json(running.bundle, row.as_bytes());
            let mut own: Value = parse(own.map_err(|error| format!("{error:?}"))?.as_bytes())?;
            let (status, answer) = self.send(Method::POST, "/v1/decide", row.clone())?;
            let mut theirs: Value = parse(&answer)?;
            for record in [&mut own, &mut theirs] {
                record.as_object_mut().map(|record| record.remove("counter"));
            }
            if own != theirs {
                return Err(format!("golden row {index}: {status} {theirs} where this command decides {own}"));
            }
        }
        Ok(format!("{} decisions as in this command", rows.len()))
    }
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|error| {
        let start: String = String::from_utf8_lossy(bytes).chars().take(200).collect();
        format!("an answer is no JSON ({error}): {start}")
    })
}

/// The golden rows of the bundle as requests by the names of its features.
fn golden_requests(running: &Running) -> Result<Vec<String>> {
    let keys = TrustedKeys::parse(&running.key)?;
    let trust = Trust { keys, expected: None, now_ms: Some(now_ms()) };
    let verified = tollgate_scorer::verify(&running.file, &trust)?;
    let scorer = crate::sandbox::activate(&verified)?;
    let mut decoder = minicbor::Decoder::new(verified.part(Role::Golden));
    let golden = GoldenWire::decode(&mut decoder, &mut ())
        .map_err(|error| Failure::refused("MALFORMED", format!("golden rows: {error}")))?;
    let features = scorer.schema().scored();
    let (cells, _) = golden.values.as_chunks::<8>();
    let rows = cells.chunks(features.len().max(1)).map(|row| {
        let mut values = Map::new();
        for (feature, cell) in features.iter().zip(row) {
            let number = f64::from_le_bytes(*cell);
            let value = match &feature.kind {
                _ if number.is_nan() => continue,
                Kind::Boolean => Value::Bool(number != 0.0),
                Kind::Category(categories) => categories.names.get(number as usize).cloned().into(),
                Kind::Number(_) | Kind::Integer(_) => Value::from(number),
            };
            values.insert(feature.name.clone(), value);
        }
        json!({"features": values}).to_string()
    });
    Ok(rows.collect())
}
