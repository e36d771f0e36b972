//! The sidecar's own messages: lines of JSON on standard error.

use crate::failure::{Failure, Result};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

/// Changes the level while the sidecar runs.
#[derive(Clone)]
pub(super) struct Levels(reload::Handle<LevelFilter, tracing_subscriber::Registry>);

/// Starts to write messages of a level and above.
///
/// # Errors
/// `USAGE` for a level that does not exist.
pub(super) fn start(level: &str) -> Result<Levels> {
    let (filter, handle) = reload::Layer::new(parse(level)?);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_writer(std::io::stderr);
    // A second start in one process keeps the first one's messages.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(Levels(handle))
}

impl Levels {
    /// # Errors
    /// `USAGE` for a level that does not exist.
    pub(super) fn set(&self, level: &str) -> Result<()> {
        let level = parse(level)?;
        self.0.modify(|filter| *filter = level).map_err(|error| Failure::refused("LEVEL", error.to_string()))
    }

    pub(super) fn get(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }
}

fn parse(level: &str) -> Result<LevelFilter> {
    let known = ["error", "warn", "info", "debug", "trace"].contains(&level);
    level
        .parse()
        .ok()
        .filter(|_| known)
        .ok_or_else(|| Failure::usage(format!("logging.level: {level:?} is none of error, warn, info, debug, trace")))
}
