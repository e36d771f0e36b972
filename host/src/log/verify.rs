//! Is every decision in the log, or declared lost?

use super::frame::{Entry, Kind};
use super::read::{self, End};
use super::segment::{PREFIX, SUFFIX};
use crate::failure::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Findings that are told one by one; more are only counted.
const FINDINGS: usize = 100;

/// What a log holds and lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Segments that were read.
    pub segments: u64,
    /// Processes that wrote them.
    pub processes: u64,
    /// Decisions that are there.
    pub decisions: u64,
    /// Decisions that are declared lost.
    pub declared_lost: u64,
    /// Processes that did not end in order, or still run: their last records may be missing.
    pub unclosed: u64,
    /// Decisions that are neither there nor declared lost.
    pub undeclared_lost: u64,
    /// What is wrong, in words: gaps, damage, missing segments.
    pub findings: Vec<String>,
    /// What is worth knowing and not wrong: cut-off ends of processes that were killed.
    pub notes: Vec<String>,
}

/// Reads all segments of a folder, or one file.
///
/// # Errors
/// `IO`.
pub fn verify(path: &Path) -> Result<Report> {
    let mut processes: BTreeMap<String, Process> = BTreeMap::new();
    let mut report = Report::default();
    for path in read::segments(path)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let inner = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(SUFFIX)).unwrap_or(&name);
        let (process, _) = inner.rsplit_once('-').unwrap_or((inner, ""));
        let process = processes.entry(process.to_owned()).or_default();
        report.segments += 1;
        let end = read::entries(&path, |entry| {
            process.see(&name, entry, &mut report);
            Ok(())
        })?;
        match end {
            End::Whole => {}
            End::Torn => report.notes.push(format!("{name}: ends within a frame")),
            End::Damaged(what) => report.finding(format!("{name}: {what}; what follows it was not read")),
        }
    }
    report.processes = processes.len() as u64;
    report.unclosed = processes.values().filter(|process| !process.closed()).count() as u64;
    Ok(report)
}

impl Report {
    fn finding(&mut self, text: String) {
        if self.findings.len() < FINDINGS {
            self.findings.push(text);
        }
    }
}

/// What was seen of one process.
#[derive(Default)]
struct Process {
    segment: Option<u64>,
    /// By stream, the sequence number that has to come next, and whether it was closed.
    streams: BTreeMap<u32, (u64, bool)>,
}

/// The JSON of a segment's head.
#[derive(Deserialize)]
struct Head {
    segment: u64,
    next: Vec<u64>,
}

/// The JSON of a declared loss.
#[derive(Deserialize)]
struct Loss {
    first: u64,
    last: u64,
}

impl Process {
    fn see(&mut self, name: &str, entry: Entry<'_>, report: &mut Report) {
        match entry.kind {
            Kind::Head => self.head(name, entry.json, report),
            Kind::Decision => {
                report.decisions += 1;
                self.expect(name, entry.stream, entry.sequence, entry.sequence + 1, report);
            }
            Kind::Loss => match serde_json::from_slice::<Loss>(entry.json) {
                Ok(loss) if loss.first <= loss.last => {
                    report.declared_lost += loss.last - loss.first + 1;
                    self.expect(name, entry.stream, loss.first, loss.last + 1, report);
                }
                _ => report.finding(format!("{name}: a declared loss that cannot be read")),
            },
            Kind::Close => {
                self.expect(name, entry.stream, entry.sequence, entry.sequence, report);
                self.streams.entry(entry.stream).or_default().1 = true;
            }
        }
    }

    fn head(&mut self, name: &str, json: &[u8], report: &mut Report) {
        let Ok(head) = serde_json::from_slice::<Head>(json) else {
            return report.finding(format!("{name}: the segment's head cannot be read"));
        };
        match self.segment.replace(head.segment) {
            // Retention removes the oldest, so the first that is there may have any number.
            None => self.streams = (0..).zip(head.next.iter().map(|next| (*next, false))).collect(),
            Some(before) if before + 1 != head.segment => {
                report.finding(format!("{name}: segment {} follows {before}", head.segment));
            }
            Some(_) => {}
        }
        for (stream, next) in (0..).zip(head.next) {
            self.expect(name, stream, next, next, report);
        }
    }

    /// The number that comes next is `first`; afterwards `next` has to.
    fn expect(&mut self, name: &str, stream: u32, first: u64, next: u64, report: &mut Report) {
        let (expected, _) = self.streams.entry(stream).or_insert((1, false));
        if first > *expected {
            report.undeclared_lost += first - *expected;
            report.finding(format!("{name}: stream {stream} lacks {} to {}", *expected, first - 1));
        } else if first < *expected {
            report.finding(format!("{name}: stream {stream} has {first} again"));
        }
        *expected = next.max(*expected);
    }

    fn closed(&self) -> bool {
        !self.streams.is_empty() && self.streams.values().all(|(_, closed)| *closed)
    }
}
