//! `tollgate explain` and `tollgate importance`: what each feature adds to the risk.

use super::Running;
use super::output::{self, Output};
use super::score::{kinds, lines_of};
use crate::failure::{self, Failure, Result};
use crate::picture::{self, Bar};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tollgate_scorer::limits;

/// Characters of the longest bar on the terminal.
const BAR_WIDTH: f64 = 30.0;
/// Features that are shown one by one; the others together are one bar.
const SHOWN: usize = 12;

/// Explain one decision.
///
/// Prints what the margin is on average over the training data, what each feature adds to
/// it for this request, and the reasons. Contributions add up to the margin. Those of trees and
/// linear models are exact, those of neural nets approximate.
#[derive(Args)]
pub(super) struct Explain {
    /// The bundle.
    bundle: PathBuf,
    /// A file with one JSON request, or the first line of NDJSON; `-` or nothing reads
    /// standard input.
    request: Option<PathBuf>,
    /// The public key that must have signed the bundle.
    #[arg(long)]
    trust: PathBuf,
    /// Also write a waterfall picture to this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print the whole explanation as JSON.
    #[arg(long)]
    json: bool,
}

/// Which features matter over many rows.
///
/// For each feature the mean absolute contribution to the margin, the largest first.
#[derive(Args)]
pub(super) struct Importance {
    /// The bundle.
    bundle: PathBuf,
    /// Rows as NDJSON, or CSV where the name ends in .csv.
    rows: PathBuf,
    /// The public key that must have signed the bundle.
    #[arg(long)]
    trust: PathBuf,
    /// Rows to explain at most.
    #[arg(long, default_value_t = 1000)]
    sample: usize,
    /// Also write a bar chart to this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(&self) -> Result<()> {
        let mut running = Running::start(&self.bundle, &self.trust)?;
        let kinds = kinds(&running.instance.describe(running.bundle)?);
        let path = self.request.as_deref().filter(|path| *path != Path::new("-"));
        let mut lines = match path {
            Some(path) => lines_of(File::open(path).map_err(|error| Failure::io(path, &error))?, path, kinds)?,
            None => lines_of(io::stdin(), Path::new("-"), kinds)?,
        };
        let line = lines.next().ok_or_else(|| Failure::refused("REQUEST", "no request there"))?;
        let request = line.request.map_err(|text| Failure::refused("REQUEST", text))?;
        let text = running.instance.explain_json(running.bundle, request.as_bytes())?;
        let explanation: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(path) = &self.svg {
            let svg = picture::waterfall(&headline(&explanation), &bars(&explanation), number(&explanation["margin"]));
            failure::write(path, svg.as_bytes())?;
        }
        let mut output = Output::new();
        if self.json {
            output.line(text)?;
        } else {
            show(&explanation, &mut output)?;
        }
        output.finish()
    }
}

/// The picture of a decision in characters.
fn show(explanation: &Value, output: &mut Output) -> Result<()> {
    output.line(headline(explanation))?;
    let bars = bars(explanation);
    let width = bars.iter().map(|bar| bar.label.chars().count()).max().unwrap_or(0);
    let longest = bars.iter().skip(1).map(|bar| bar.length.abs()).fold(0.0, f64::max);
    for (index, bar) in bars.iter().enumerate() {
        let blocks = if index == 0 || longest == 0.0 { String::new() } else { signed_bar(bar.length, longest) };
        output.line(format_args!("  {:<width$}  {:>+9.4}  {blocks}", bar.label, bar.length))?;
    }
    output.line(format_args!("  {:<width$}  {:>+9.4}", "margin", number(&explanation["margin"])))?;
    if explanation["approximate"] == true {
        output.line("contributions are approximate: averages over a fixed sample of orders")?;
    }
    for reason in explanation["reasons"].as_array().into_iter().flatten() {
        let text = reason["text"].as_object().and_then(|texts| texts.get("en").or_else(|| texts.values().next()));
        let lacking = reason["code"].as_str().is_some_and(|code| code.starts_with("INSUFFICIENT_DATA_"));
        let text = text.and_then(Value::as_str).or(lacking.then_some("data is missing, something stands in for it"));
        let text = text.map_or_else(String::new, |text| format!(": {text}"));
        output.line(format_args!("reason {} {}{text}", reason["rank"], reason["code"].as_str().unwrap_or_default()))?;
    }
    Ok(())
}

/// Blocks to the right for what raises the risk, light ones for what lowers it.
fn signed_bar(length: f64, longest: f64) -> String {
    let blocks = (length.abs() / longest * BAR_WIDTH).round() as usize;
    if length > 0.0 { "█".repeat(blocks) } else { "░".repeat(blocks) }
}

/// Decision, probability and use case in a line.
fn headline(explanation: &Value) -> String {
    let record = &explanation["record"];
    let text = |key: &str| record[key].as_str().unwrap_or_default();
    let probability = record["probability"].as_f64().map_or_else(String::new, |p| format!(", probability {p:.4}"));
    format!("{}: {}{probability}", text("use_case"), text("label"))
}

/// The average, the strongest features, and all others together.
fn bars(explanation: &Value) -> Vec<Bar> {
    let mut features: Vec<(String, f64)> = Vec::new();
    for feature in explanation["features"].as_array().into_iter().flatten() {
        let name = feature["feature"].as_str().unwrap_or_default();
        let value = match (&feature["value"], feature["state"].as_str()) {
            (_, Some(state)) if state != "present" => state.to_owned(),
            (Value::String(text), _) => text.clone(),
            (value, _) => value.to_string(),
        };
        features.push((format!("{name} = {value}"), number(&feature["contribution"])));
    }
    features.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let rest: f64 = features.iter().skip(SHOWN).map(|(_, contribution)| contribution).sum();
    let others = features.len().saturating_sub(SHOWN);
    let mut bars = vec![Bar { label: "average".into(), length: number(&explanation["expected_margin"]) }];
    bars.extend(features.into_iter().take(SHOWN).map(|(label, length)| Bar { label, length }));
    if others > 0 {
        bars.push(Bar { label: format!("{others} other features"), length: rest });
    }
    bars
}

impl Importance {
    pub(super) fn run(&self) -> Result<()> {
        let mut running = Running::start(&self.bundle, &self.trust)?;
        let kinds = kinds(&running.instance.describe(running.bundle)?);
        let file = File::open(&self.rows).map_err(|error| Failure::io(&self.rows, &error))?;
        let mut sums: BTreeMap<String, f64> = BTreeMap::new();
        let mut rows = 0;
        for line in lines_of(file, &self.rows, kinds)?.take(self.sample.min(limits::BATCH_ROWS)) {
            let refused = |text: String| Failure::refused("REQUEST", text).within(format!("line {}", line.number));
            let request = line.request.map_err(refused)?;
            let text = running.instance.explain_json(running.bundle, request.as_bytes())?;
            let explanation: Value = serde_json::from_str(&text).unwrap_or_default();
            for feature in explanation["features"].as_array().into_iter().flatten() {
                let name = feature["feature"].as_str().unwrap_or_default().to_owned();
                *sums.entry(name).or_default() += number(&feature["contribution"]).abs();
            }
            rows += 1;
        }
        let mut bars: Vec<Bar> =
            sums.into_iter().map(|(label, sum)| Bar { label, length: sum / f64::from(rows.max(1)) }).collect();
        bars.sort_by(|a, b| b.length.total_cmp(&a.length));
        if let Some(path) = &self.svg {
            let title = format!("Mean absolute contribution to the margin, {rows} rows");
            failure::write(path, picture::bar_chart(&title, &bars).as_bytes())?;
        }
        self.print(rows, &bars)
    }

    fn print(&self, rows: u32, bars: &[Bar]) -> Result<()> {
        let mut output = Output::new();
        if self.json {
            let features: Vec<Value> =
                bars.iter().map(|bar| json!({"feature": bar.label, "mean_absolute": bar.length})).collect();
            output.line(json!({"rows": rows, "features": features}))?;
            return output.finish();
        }
        let mut table = output::table(&["feature", "mean |contribution|", ""]);
        let longest = bars.first().map_or(1.0, |bar| bar.length.max(f64::MIN_POSITIVE));
        for bar in bars {
            table.add_row([bar.label.clone(), format!("{:.5}", bar.length), signed_bar(bar.length, longest)]);
        }
        output.line(table)?;
        output.finish()
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}
