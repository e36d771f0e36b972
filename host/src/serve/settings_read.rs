//! Reading settings: defaults, then a file, then the environment, then flags.

use super::settings::Settings;
use crate::failure::{self, Failure, Result};
use std::path::Path;
use toml::{Table, Value};

/// Bytes of the largest settings file.
const FILE_BYTES: usize = 1 << 20;
/// Environment variables of settings begin so; `__` separates section and key.
const PREFIX: &str = "TOLLGATE_";

/// Settings by their dotted names, as flags give them: `log.dir`, a TOML value or text.
pub type Overrides = Vec<(String, String)>;

/// All settings together.
///
/// # Errors
/// `USAGE` naming the setting, `IO`.
pub fn read(file: Option<&Path>, flags: &Overrides) -> Result<Settings> {
    let mut table = Table::new();
    if let Some(path) = file {
        let text = failure::read_text(path, FILE_BYTES)?;
        table = text.parse().map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        at_home(&mut table, path);
    }
    let environment = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str()?.strip_prefix(PREFIX)?.to_ascii_lowercase().replace("__", ".");
        Some((name, value.into_string().ok()?))
    });
    for (name, text) in environment.filter(|(name, _)| is_setting(name)).collect::<Vec<_>>().iter().chain(flags) {
        set(&mut table, name, text)?;
    }
    let settings: Settings = Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| Failure::usage(format!("settings: {}", error.message())))?;
    check(&settings)?;
    Ok(settings)
}

/// The settings as TOML. Secrets are files, so what is shown holds none.
///
/// # Errors
/// `USAGE` when they cannot be written as TOML.
pub fn shown(settings: &Settings) -> Result<String> {
    toml::to_string_pretty(settings).map_err(|error| Failure::usage(format!("settings: {error}")))
}

/// Variables of the same prefix that are no settings, such as those of builds, are left
/// alone; a wrong key in a known section is an error.
fn is_setting(name: &str) -> bool {
    let known = Value::try_from(Settings::default()).ok();
    let first = name.split('.').next().unwrap_or_default();
    let optional = ["state_dir", "fallback_action", "module", "ca_file"];
    optional.contains(&first) || known.is_some_and(|known| known.get(first).is_some())
}

/// Paths in a file are relative to the file.
fn at_home(table: &mut Table, file: &Path) {
    let home = file.parent().unwrap_or(Path::new("")).to_owned();
    let fix = |value: &mut Value| match value {
        Value::String(text) if !text.contains("://") && !text.is_empty() => {
            let (scheme, path) = text.strip_prefix("unix:").map_or(("", text.as_str()), |path| ("unix:", path));
            *text = format!("{scheme}{}", home.join(path).display());
        }
        _ => {}
    };
    let fix_all = |value: &mut Value| match value {
        Value::Array(values) => values.iter_mut().for_each(fix),
        value => fix(value),
    };
    for key in ["bundle", "trust", "ca_file", "state_dir", "module"] {
        table.get_mut(key).into_iter().for_each(fix_all);
    }
    for (section, key) in [("log", "dir"), ("log", "hash_key_file"), ("admin", "token_file")] {
        table.get_mut(section).and_then(|section| section.get_mut(key)).into_iter().for_each(fix_all);
    }
    let listen = |value: &mut Value| {
        if value.as_str().is_some_and(|text| text.starts_with("unix:")) {
            fix(value);
        }
    };
    let public = table.get_mut("listen").and_then(Value::as_array_mut);
    public.into_iter().flatten().for_each(listen);
    table.get_mut("admin").and_then(|admin| admin.get_mut("listen")).into_iter().for_each(listen);
}

fn set(table: &mut Table, name: &str, text: &str) -> Result<()> {
    let wrong = |what: &str| Failure::usage(format!("setting {name}: {what}"));
    // A number, a flag or a list as TOML writes it; anything else is text.
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    let list = ["trust", "listen"].contains(&name);
    let value = match parsed {
        Some(Value::Array(values)) => Value::Array(values),
        _ if list => Value::Array(text.split(',').map(|one| Value::String(one.trim().into())).collect()),
        Some(value) => value,
        None => Value::String(text.into()),
    };
    match name.split_once('.') {
        None => {
            table.insert(name.into(), value);
        }
        Some((section, key)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            let section = section.as_table_mut().ok_or_else(|| wrong("is no section"))?;
            section.insert(key.into(), value);
        }
    }
    Ok(())
}

fn check(settings: &Settings) -> Result<()> {
    let wrong = |what: &str| Err(Failure::usage(format!("settings: {what}")));
    let (limits, scoring) = (&settings.limits, &settings.scoring);
    if settings.bundle.is_empty() {
        return wrong("bundle is missing: a file, a folder or a URL (--bundle)");
    }
    if settings.trust.is_empty() || settings.trust.len() > tollgate_scorer::limits::TRUSTED_KEYS {
        return wrong("trust is 1 to 8 public keys (--trust)");
    }
    if settings.listen.is_empty() {
        return wrong("listen is empty: HOST:PORT or unix:PATH (--listen)");
    }
    if scoring.workers > 1024 || !(1 << 20..=4 << 30).contains(&scoring.memory_bytes) {
        return wrong("scoring.workers is at most 1024, scoring.memory_bytes 1 MiB to 4 GiB");
    }
    if scoring.spin_us > 1_000_000 {
        return wrong("scoring.spin_us is at most 1000000");
    }
    if settings.otlp.interval_ms < 100 {
        return wrong("otlp.interval_ms is at least 100");
    }
    if settings.otlp.endpoint.is_some() && !cfg!(feature = "otlp") {
        return wrong("otlp.endpoint needs a build with the feature: cargo build --release --features otlp");
    }
    if settings.fallback_action.as_deref().is_some_and(|action| !["allow", "challenge"].contains(&action)) {
        return wrong("fallback_action is allow or challenge");
    }
    let zero = [limits.body_bytes, limits.batch_bytes, limits.batch_rows, limits.headers, limits.nesting];
    if zero.contains(&0) || limits.connections == 0 || limits.requests == 0 || limits.streams == 0 {
        return wrong("a limit of 0 would refuse everything");
    }
    if limits.header_bytes < 1024 || limits.header_ms == 0 || limits.request_ms == 0 || limits.idle_ms == 0 {
        return wrong("limits.header_bytes is at least 1024, and times are at least 1 ms");
    }
    if settings.log.queue_bytes < 1 << 16 || settings.log.segment_bytes < 1 << 12 {
        return wrong("log.queue_bytes is at least 64 KiB and log.segment_bytes 4 KiB");
    }
    Ok(())
}
