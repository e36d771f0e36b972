//! Writing to the terminal or a pipe.

use crate::failure::{Exit, Failure, Result};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

/// Columns of a terminal that tables are fitted to.
const NARROWEST: u16 = 60;

/// Standard output, buffered, with our kind of error.
pub(super) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(super) fn new() -> Self {
        Self(BufWriter::with_capacity(1 << 16, io::stdout().lock()))
    }

    pub(super) fn line(&mut self, text: impl std::fmt::Display) -> Result<()> {
        writeln!(self.0, "{text}").map_err(closed)
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.0.flush().map_err(closed)
    }
}

fn closed(error: io::Error) -> Failure {
    Failure { code: "IO", message: format!("standard output: {error}"), exit: Exit::Io }
}

/// Whether people read along.
pub(super) fn on_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Prints JSON, or a line a pair for people.
pub(super) fn facts(json: bool, facts: &serde_json::Value) -> Result<()> {
    let mut output = Output::new();
    match facts.as_object().filter(|_| !json) {
        None => output.line(facts)?,
        Some(pairs) => {
            let width = pairs.keys().map(String::len).max().unwrap_or(0);
            for (key, value) in pairs {
                let plain = value.as_str().map_or_else(|| value.to_string(), String::from);
                output.line(format_args!("{key:<width$}  {plain}"))?;
            }
        }
    }
    output.finish()
}

/// A table for people.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    // A terminal that does not know its width must not squeeze columns to nothing.
    if table.width().is_some_and(|columns| columns >= NARROWEST) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(header);
    table
}
