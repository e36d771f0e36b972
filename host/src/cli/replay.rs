//! `tollgate replay`: the same bundle and input must give the same record.

use super::Running;
use super::output::{self, Output};
use crate::failure::{Failure, Result};
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

/// Decide logged inputs again and say which records differ.
///
/// Reads what `tollgate score` wrote. A record that differs is shown with its line;
/// the exit status is 1 then. Records are compared byte by byte.
#[derive(Args)]
pub(super) struct Replay {
    /// The bundle that made the decisions.
    bundle: PathBuf,
    /// The records, NDJSON.
    decisions: PathBuf,
    /// The public key that must have signed the bundle.
    #[arg(long)]
    trust: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// The members of a logged record that replay needs.
#[derive(Deserialize)]
struct Logged<'a> {
    counter: Option<u64>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default)]
struct Tally {
    same: usize,
    differ: Vec<usize>,
    skipped: usize,
}

impl Replay {
    pub(super) fn run(&self) -> Result<()> {
        let mut running = Running::start(&self.bundle, &self.trust)?;
        let file = File::open(&self.decisions).map_err(|error| Failure::io(&self.decisions, &error))?;
        let mut tally = Tally::default();
        let mut differences = Output::new();
        for (index, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(|error| Failure::io(&self.decisions, &error))?;
            match again(&mut running, &line).map_err(|failure| failure.within(format!("line {}", index + 1)))? {
                None => tally.skipped += 1,
                Some((logged, replayed)) if logged == replayed => tally.same += 1,
                Some((_, replayed)) => {
                    tally.differ.push(index + 1);
                    if !self.json {
                        differences.line(format_args!("line {} differs; decided again:\n{replayed}", index + 1))?;
                    }
                }
            }
        }
        differences.finish()?;
        self.report(&tally)
    }

    fn report(&self, tally: &Tally) -> Result<()> {
        let differing = tally.differ.len();
        output::facts(
            self.json,
            &json!({
                "replayed": tally.same + differing,
                "same": tally.same,
                "differ": differing,
                "lines_that_differ": tally.differ,
                "skipped_errors": tally.skipped,
            }),
        )?;
        if differing == 0 {
            return Ok(());
        }
        Err(Failure::finding("REPLAY_DIFFERS", format!("{differing} records differ from what this bundle decides")))
    }
}

/// The logged record without its input, and the record decided again.
fn again(running: &mut Running, line: &str) -> Result<Option<(String, String)>> {
    let logged: Logged<'_> = serde_json::from_str(line)
        .map_err(|error| Failure::refused("RECORD", format!("not a decision record: {error}")))?;
    if logged.error.is_some() {
        return Ok(None);
    }
    let missing = || Failure::refused("RECORD", "the record has no input; was it written with --no-input?");
    let input = logged.input.ok_or_else(missing)?.get();
    let tail = format!(",\"input\":{input}}}");
    let record = line.trim_end().strip_suffix(&tail).ok_or_else(missing)?;
    // The log's counter goes into the request, so that the record can be the same.
    let members = input.trim_start().strip_prefix('{').ok_or_else(missing)?;
    let request = match logged.counter {
        Some(counter) if members.trim() != "}" => format!("{{\"counter\":{counter},{members}"),
        _ => input.to_owned(),
    };
    let replayed = running.instance.score_json(running.bundle, request.as_bytes())?;
    Ok(Some((format!("{record}}}"), replayed)))
}
