//! Why the sandbox gave no answer.

use crate::failure::Failure;
use tollgate_scorer::Code;
use wasmtime::Trap;

/// How the text of a call that ran out of time begins.
const DEADLINE: &str = "deadline";

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScoreError {
    /// The module said no: a code and its text.
    Refused(Code, String),
    /// The module trapped or ran out of time: the instance is lost.
    Lost(String),
}

impl ScoreError {
    /// Whether the call was stopped because it ran out of time.
    pub fn is_deadline(&self) -> bool {
        matches!(self, Self::Lost(text) if text.starts_with(DEADLINE))
    }
}

impl From<ScoreError> for Failure {
    fn from(error: ScoreError) -> Self {
        match error {
            ScoreError::Refused(code, text) => {
                let text = text.strip_prefix(code.name()).map_or(text.as_str(), |rest| rest.trim_start_matches(": "));
                Self::refused(code.name(), text)
            }
            ScoreError::Lost(text) => Self::refused("TRAP", format!("the sandbox stopped: {text}")),
        }
    }
}

pub(super) fn lost(error: wasmtime::Error) -> ScoreError {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => ScoreError::Lost(format!("{DEADLINE}: the call took longer than it may")),
        Some(trap) => ScoreError::Lost(trap.to_string()),
        None => ScoreError::Lost(format!("{error:#}")),
    }
}

pub(super) fn outside() -> ScoreError {
    ScoreError::Lost("a block lies outside the guest's memory".into())
}
