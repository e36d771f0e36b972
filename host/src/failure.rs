//! What goes wrong outside the core: a stable code, a sentence, an exit status.

use std::fmt::{self, Display};
use std::path::Path;

/// The exit status of a command; part of its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command ran and found what it looks for: differences, bad lines.
    Findings = 1,
    /// The command line makes no sense (clap uses 2 as well).
    Usage = 2,
    /// A bundle, model, key or input was refused.
    Refused = 3,
    /// A file could not be read or written.
    Io = 4,
}

/// A failed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stable, for scripts: `SELF_TEST`, `MODEL`, `IO`, ...
    pub code: &'static str,
    /// What is wrong, where, and what to do.
    pub message: String,
    /// How the process ends.
    pub exit: Exit,
}

/// Results of the host.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// Something given was refused.
    pub fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), exit: Exit::Refused }
    }

    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: "USAGE", message: message.into(), exit: Exit::Usage }
    }

    /// The command did its work and reports a finding.
    pub fn finding(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), exit: Exit::Findings }
    }

    /// A file could not be read or written.
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        Self { code: "IO", message: format!("{}: {error}", path.display()), exit: Exit::Io }
    }

    /// The same failure with its place in front.
    #[must_use]
    pub fn within(self, place: impl Display) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl std::error::Error for Failure {}

impl From<tollgate_scorer::Error> for Failure {
    fn from(error: tollgate_scorer::Error) -> Self {
        let place = error.at.map(|at| format!(" {at}")).unwrap_or_default();
        Self::refused(error.code.name(), format!("{}{place}", error.what))
    }
}

/// Reads a file whole, up to a bound that names itself.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path).map_err(|error| Failure::io(path, &error))?;
    if metadata.len() > limit as u64 {
        let message = format!("{}: {} bytes, more than the {limit} allowed", path.display(), metadata.len());
        return Err(Failure::refused("LIMIT", message));
    }
    std::fs::read(path).map_err(|error| Failure::io(path, &error))
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path, limit: usize) -> Result<String> {
    String::from_utf8(read(path, limit)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::refused("MALFORMED", format!("{}: not UTF-8 at byte {at}", path.display()))
    })
}

/// Writes a file whole.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|error| Failure::io(path, &error))
}
