//! `tollgate types`: a bundle's features and reasons as TypeScript.

use super::now_ms;
use crate::failure::{self, Result};
use crate::keys;
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;
use tollgate_scorer::bundle::{Trust, verify};
use tollgate_scorer::trust::TrustedKeys;
use tollgate_scorer::{Feature, Kind, Range, Scorer, limits};

/// Write TypeScript types of a bundle's features and reasons.
///
/// With `createScorer<Features, ReasonCode>(...)` of the npm package, a misspelt feature or a
/// value of the wrong type is an error in the editor.
#[derive(Args)]
pub(super) struct Types {
    /// The bundle.
    bundle: PathBuf,
    /// The public key that must have signed it.
    #[arg(long)]
    trust: PathBuf,
    /// Where to write them.
    #[arg(short, long, default_value = "features.d.ts")]
    output: PathBuf,
}

impl Types {
    pub(super) fn run(&self) -> Result<()> {
        let file = failure::read(&self.bundle, limits::BUNDLE_BYTES)?;
        let keys = TrustedKeys::parse(keys::load_public(&self.trust)?.as_bytes())?;
        let bundle = verify(&file, &Trust { keys, expected: None, now_ms: Some(now_ms()) })?;
        let scorer = crate::sandbox::activate(&bundle)?;
        let head = format!("{} {}, {}", bundle.manifest.name, bundle.manifest.version, bundle.manifest.digest);
        failure::write(&self.output, declarations(&head, &scorer).as_bytes())
    }
}

/// The text of the file.
fn declarations(head: &str, scorer: &Scorer) -> String {
    let mut text = format!("// Written by `tollgate types`. Bundle: {}\n\n", one_line(head));
    text.push_str("/** What the bundle reads. A feature may be absent or null; both are states of their own. */\n");
    text.push_str("export interface Features {\n");
    for feature in scorer.schema().features() {
        property(&mut text, feature);
    }
    text.push_str("}\n\n/** The codes of the bundle's reasons. */\nexport type ReasonCode =");
    for code in scorer.reason_codes() {
        let _ = write!(text, "\n  | {}", quoted(&code));
    }
    text.push_str(";\n");
    text
}

/// One feature; writing to a text cannot fail.
fn property(text: &mut String, feature: &Feature) {
    let about = [one_line(&feature.description), bounds(&feature.kind)].join(" ");
    if !about.trim().is_empty() {
        let _ = writeln!(text, "  /** {} */", about.trim().replace("*/", "* /"));
    }
    let _ = writeln!(text, "  {}?: {} | null;", quoted(&feature.name), type_of(&feature.kind));
}

fn type_of(kind: &Kind) -> String {
    match kind {
        Kind::Number(_) | Kind::Integer(_) => "number".into(),
        Kind::Boolean => "boolean".into(),
        Kind::Category(categories) => categories.names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(" | "),
    }
}

fn bounds(kind: &Kind) -> String {
    let (what, Range { min, max }) = match kind {
        Kind::Number(range) => ("A number", *range),
        Kind::Integer(range) => ("A whole number", *range),
        Kind::Boolean | Kind::Category(_) => return String::new(),
    };
    match (min > f64::MIN, max < f64::MAX) {
        (true, true) => format!("{what} from {min} to {max}."),
        (true, false) => format!("{what} from {min}."),
        (false, true) => format!("{what} up to {max}."),
        (false, false) => format!("{what}."),
    }
}

/// A text as a literal of TypeScript, which reads JSON's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
