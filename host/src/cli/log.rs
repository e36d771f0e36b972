//! `tollgate log`: read and check decision logs.

use super::output::{self, Output};
use crate::failure::{Failure, Result};
use crate::log::frame::Kind;
use crate::log::read::{self, End};
use crate::log::verify;
use clap::Subcommand;
use serde_json::Value;
use std::path::PathBuf;

/// The decision log of a sidecar.
#[derive(Subcommand)]
pub(super) enum LogCommand {
    /// Print entries as lines of JSON.
    Cat {
        /// Folders or segments.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Only records with their input, as `tollgate replay` reads them.
        #[arg(long)]
        records: bool,
    },
    /// Is each decision there, or declared lost? Exit status 1 for what is neither.
    Verify {
        /// A folder, or one segment.
        path: PathBuf,
        /// JSON, and not a line a fact.
        #[arg(long)]
        json: bool,
    },
}

impl LogCommand {
    pub(super) fn run(&self) -> Result<()> {
        match self {
            Self::Cat { paths, records } => cat(paths, *records),
            Self::Verify { path, json } => verified(path, *json),
        }
    }
}

fn cat(paths: &[PathBuf], records: bool) -> Result<()> {
    let mut output = Output::new();
    let mut damaged = Vec::new();
    for path in paths {
        for segment in read::segments(path)? {
            let end = read::entries(&segment, |entry| {
                let kind = match entry.kind {
                    Kind::Decision => "decision",
                    Kind::Loss => "loss",
                    Kind::Head => "segment",
                    Kind::Close => "close",
                };
                let json = String::from_utf8_lossy(entry.json);
                if records {
                    return match entry.kind {
                        Kind::Decision => output.line(record(&json)?),
                        _ => Ok(()),
                    };
                }
                let (stream, sequence) = (entry.stream, entry.sequence);
                output
                    .line(format_args!(r#"{{"kind":"{kind}","stream":{stream},"sequence":{sequence},"entry":{json}}}"#))
            })?;
            if let End::Damaged(what) = end {
                damaged.push(format!("{}: {what}", segment.display()));
            }
        }
    }
    output.finish()?;
    if damaged.is_empty() { Ok(()) } else { Err(Failure::finding("LOG", damaged.join("; "))) }
}

/// A record as `tollgate score` prints it: the input behind it.
fn record(entry: &str) -> Result<String> {
    let entry: Value = serde_json::from_str(entry)
        .map_err(|error| Failure::refused("LOG", format!("an entry is no JSON: {error}")))?;
    let mut record = entry["record"].clone();
    if let (Some(fields), false) = (record.as_object_mut(), entry["input"].is_null()) {
        fields.insert("input".into(), entry["input"].clone());
    }
    Ok(record.to_string())
}

fn verified(path: &std::path::Path, json: bool) -> Result<()> {
    let report = verify::verify(path)?;
    let facts = serde_json::to_value(&report).unwrap_or_default();
    output::facts(json, &facts)?;
    match report.findings.len() {
        0 => Ok(()),
        count => Err(Failure::finding("LOG", format!("{count} findings: decisions are missing or damaged"))),
    }
}
