//! `tollgate score`: rows in, decision records out.

use super::Running;
use super::output::{self, Output};
use crate::failure::{Failure, Result};
use crate::fallback::Reason;
use crate::sandbox::ScoreError;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use tollgate_scorer::limits;

/// Members of a request; an object with none of them is a row of features.
const REQUEST_KEYS: [&str; 7] =
    ["features", "context", "states", "decision_id", "correlation_id", "event_time", "counter"];
/// CSV columns that are members of the request and not features.
const REQUEST_COLUMNS: [&str; 3] = ["decision_id", "correlation_id", "event_time"];
/// Rows that a table on the terminal shows at most.
const TABLE_ROWS: usize = 200;

/// Decide for rows of features: one decision record a line, as JSON.
///
/// A row of NDJSON is a request, {"decision_id": "..", "features": {..}}, or just the
/// object of features. In CSV the columns are features; an empty cell is missing. On a
/// terminal the decisions are shown as a table. A line that cannot be read gives an
/// error with its number, the rest goes on, and the exit status is 1.
#[derive(Args)]
pub(super) struct Score {
    /// The bundle.
    bundle: PathBuf,
    /// Rows as NDJSON, or CSV where the name ends in .csv; `-` or nothing reads NDJSON
    /// from standard input.
    rows: Option<PathBuf>,
    /// The public key that must have signed the bundle.
    #[arg(long)]
    trust: PathBuf,
    /// Another build of tollgate.wasm than the one inside.
    #[arg(long)]
    module: Option<PathBuf>,
    /// JSON records even on a terminal.
    #[arg(long, conflicts_with = "table")]
    json: bool,
    /// A table for people even in a pipe.
    #[arg(long)]
    table: bool,
    /// Leave the input out of the records; they cannot be replayed then.
    #[arg(long)]
    no_input: bool,
}

/// One line of input: its number, and a request or why there is none.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) request: Result<String, String>,
}

impl Score {
    pub(super) fn run(&self) -> Result<()> {
        let mut running = Running::start_with(&self.bundle, &self.trust, self.module.as_deref())?;
        let kinds = kinds(&running.instance.describe(running.bundle)?);
        let progress = self.progress();
        let lines = self.lines(kinds, &progress)?;
        let mut sink = Sink::new(self.table || !self.json && output::on_terminal());
        let mut bad = 0;
        for line in lines {
            let record = line.request.and_then(|request| self.decide(&mut running, &request));
            bad += usize::from(record.is_err());
            sink.push(line.number, record)?;
        }
        progress.finish_and_clear();
        sink.finish()?;
        match bad {
            0 => Ok(()),
            bad => {
                Err(Failure::finding("BAD_LINES", format!("{bad} lines could not be decided; see the error records")))
            }
        }
    }

    /// One request through the sandbox; the record gets the input behind it.
    fn decide(&self, running: &mut Running, request: &str) -> Result<String, String> {
        let record = match running.instance.score_json(running.bundle, request.as_bytes()) {
            Ok(record) => record,
            Err(ScoreError::Refused(_, text)) => return Err(text),
            Err(error @ ScoreError::Lost(_)) => {
                let reason = if error.is_deadline() { Reason::Deadline } else { Reason::Trap };
                let record = running.fallback.record(request.as_bytes(), reason);
                running.restart().map_err(|failure| failure.to_string())?;
                record
            }
        };
        // What the module never read through need not be JSON.
        let readable = !record.contains(r#""source":"fallback""#) || serde_json::from_str::<&RawValue>(request).is_ok();
        match record.strip_suffix('}').filter(|_| readable && !self.no_input) {
            Some(open) => Ok(format!("{open},\"input\":{request}}}")),
            None => Ok(record),
        }
    }

    fn lines(&self, kinds: BTreeMap<String, String>, progress: &ProgressBar) -> Result<Box<dyn Iterator<Item = Line>>> {
        let path = self.rows.as_deref().filter(|path| *path != Path::new("-"));
        let Some(path) = path else { return Ok(ndjson(io::stdin().lock())) };
        let file = File::open(path).map_err(|error| Failure::io(path, &error))?;
        progress.set_length(file.metadata().map_or(0, |metadata| metadata.len()));
        lines_of(progress.wrap_read(file), path, kinds)
    }

    /// A bar on stderr, where stderr is a terminal and stdout is not.
    fn progress(&self) -> ProgressBar {
        if !io::stderr().is_terminal() || output::on_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}  {eta} left");
        ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }
}

/// The lines of a file: CSV where its name ends so, else NDJSON.
pub(super) fn lines_of(
    reader: impl Read + 'static,
    path: &Path,
    kinds: BTreeMap<String, String>,
) -> Result<Box<dyn Iterator<Item = Line>>> {
    let reader = BufReader::new(reader);
    let is_csv = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    if is_csv { csv_lines(reader, kinds) } else { Ok(ndjson(reader)) }
}

/// Lines of JSON; a line beyond the request limit is an error, not a memory problem.
fn ndjson(reader: impl BufRead + 'static) -> Box<dyn Iterator<Item = Line>> {
    let mut reader = reader;
    let mut number = 0;
    Box::new(std::iter::from_fn(move || {
        loop {
            number += 1;
            let mut bytes = Vec::new();
            match read_line(&mut reader, &mut bytes) {
                Err(error) => return Some(Line { number, request: Err(format!("IO: {error}")) }),
                Ok(None) => return None,
                Ok(Some(false)) => {
                    let message = format!("LIMIT: line longer than {} bytes", limits::REQUEST_BYTES);
                    return Some(Line { number, request: Err(message) });
                }
                Ok(Some(true)) if bytes.trim_ascii().is_empty() => {}
                Ok(Some(true)) => return Some(Line { number, request: request(&bytes) }),
            }
        }
    }))
}

/// Reads up to a newline: `None` at the end, `Some(false)` for a line that is too long.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    let limit = limits::REQUEST_BYTES as u64 + 1;
    if reader.by_ref().take(limit).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == limit && line.last() != Some(&b'\n') {
        let mut rest = Vec::new();
        while reader.by_ref().take(limit).read_until(b'\n', &mut rest)? as u64 == limit && rest.last() != Some(&b'\n') {
            rest.clear();
        }
        return Ok(Some(false));
    }
    Ok(Some(true))
}

/// A line as a request: as it is, or wrapped when it is a bare object of features.
fn request(line: &[u8]) -> Result<String, String> {
    let text =
        std::str::from_utf8(line).map_err(|error| format!("REQUEST: not UTF-8 at byte {}", error.valid_up_to()))?;
    let text = text.trim();
    let members: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(text);
    match members {
        Ok(members) if !REQUEST_KEYS.iter().any(|key| members.contains_key(*key)) => {
            Ok(format!("{{\"features\":{text}}}"))
        }
        // What is no object goes on as it is: the module says what is wrong, and where.
        _ => Ok(text.to_owned()),
    }
}

fn csv_lines(reader: impl Read + 'static, kinds: BTreeMap<String, String>) -> Result<Box<dyn Iterator<Item = Line>>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
    let headers = reader.headers().map_err(|error| Failure::refused("TABLE", error.to_string()))?.clone();
    let mut number = 1;
    Ok(Box::new(reader.into_records().map(move |record| {
        number += 1;
        let record = record.map_err(|error| format!("TABLE: {error}"));
        let request = record.and_then(|record| {
            if record.len() == headers.len() {
                return Ok(csv_request(&headers, &record, &kinds));
            }
            Err(format!("TABLE: {} cells where the header has {}", record.len(), headers.len()))
        });
        Line { number, request }
    })))
}

/// A CSV row as a request: cells take the type of their feature, empty ones are left out.
fn csv_request(headers: &csv::StringRecord, record: &csv::StringRecord, kinds: &BTreeMap<String, String>) -> String {
    let mut features = serde_json::Map::new();
    let mut request = serde_json::Map::new();
    for (name, cell) in headers.iter().map(str::trim).zip(record.iter().map(str::trim)) {
        if cell.is_empty() {
            continue;
        }
        let number = || cell.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from);
        let value = match kinds.get(name).map(String::as_str) {
            Some("boolean") => match cell {
                "true" | "True" | "TRUE" | "1" => Some(Value::Bool(true)),
                "false" | "False" | "FALSE" | "0" => Some(Value::Bool(false)),
                _ => None,
            },
            Some("number" | "integer") => number(),
            _ if name == "event_time" => cell.parse::<i64>().ok().map(Value::from),
            _ => None,
        };
        let target = if REQUEST_COLUMNS.contains(&name) { &mut request } else { &mut features };
        target.insert(name.to_owned(), value.unwrap_or_else(|| Value::from(cell)));
    }
    request.insert("features".into(), Value::Object(features));
    Value::Object(request).to_string()
}

/// Kinds by feature name, from the module's own description.
pub(super) fn kinds(description: &str) -> BTreeMap<String, String> {
    let described: Value = serde_json::from_str(description).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let features = described["features"].as_array().into_iter().flatten();
    features.map(|feature| (text(&feature["name"]), text(&feature["kind"]))).collect()
}

/// Records, as lines or as a table.
enum Sink {
    Lines(Output),
    Table(Box<comfy_table::Table>, usize),
}

impl Sink {
    fn new(table: bool) -> Self {
        let header = ["id", "action", "probability", "because", "not present", "cost allow / challenge / block"];
        if table { Self::Table(Box::new(output::table(&header)), 0) } else { Self::Lines(Output::new()) }
    }

    fn push(&mut self, line: usize, record: Result<String, String>) -> Result<()> {
        match self {
            Self::Lines(output) => output.line(record.unwrap_or_else(|text| error_record(line, &text))),
            Self::Table(table, rows) => {
                *rows += 1;
                if *rows <= TABLE_ROWS {
                    table.add_row(match record {
                        Ok(record) => cells(line, &record),
                        Err(text) => vec![format!("line {line}"), "error".into(), String::new(), text],
                    });
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Lines(output) => output.finish(),
            Self::Table(table, rows) => {
                let mut output = Output::new();
                output.line(table)?;
                if rows > TABLE_ROWS {
                    output.line(format_args!("{} more rows; write them to a file to see all", rows - TABLE_ROWS))?;
                }
                output.finish()
            }
        }
    }
}

/// What stands in for a record when a line could not be decided.
fn error_record(line: usize, text: &str) -> String {
    let (code, message) = text.split_once(": ").unwrap_or(("REQUEST", text));
    json!({"error": {"code": code, "line": line, "message": message}}).to_string()
}

/// A record as a row of the table for people.
fn cells(line: usize, record: &str) -> Vec<String> {
    let record: Value = serde_json::from_str(record).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(String::from);
    let id = text(&record["decision_id"]).unwrap_or_else(|| format!("line {line}"));
    let because = [text(&record["source"]), text(&record["source_detail"])].into_iter().flatten().collect::<Vec<_>>();
    let states = record["feature_states"].as_object().into_iter().flatten();
    let states: Vec<String> =
        states.map(|(name, state)| format!("{name} {}", state.as_str().unwrap_or_default())).collect();
    let shown = if states.len() > 3 { format!("{} features", states.len()) } else { states.join(", ") };
    let probability = record["probability"].as_f64().map_or_else(|| "-".into(), |p| format!("{p:.4}"));
    let costs = ["allow", "challenge", "block"].map(|action| record["expected_cost"][action].as_f64());
    let costs = costs.map(|cost| cost.map_or_else(|| "-".into(), |cost| format!("{cost:.3}"))).join(" / ");
    vec![id, text(&record["label"]).unwrap_or_default(), probability, because.join(" "), shown, costs]
}
