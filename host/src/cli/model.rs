//! `tollgate model`: a bare model in the sandbox.

use super::check::{Cause, Evidence};
use super::output::{self, Output};
use crate::author;
use crate::failure::{Failure, Result};
use crate::import::{Format, Source, Wanted};
use crate::keys;
use crate::sandbox::{Bounds, Instance, LoadedBundle, Sandbox};
use crate::table::Table;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum ModelCommand {
    /// Predict rows with the sandboxed module; prints CSV with a header y0,y1,..
    Predict(Predict),
    /// Compare the module's predictions with the trainer's.
    Check(Check),
}

#[derive(Args)]
struct Input {
    /// The model: LightGBM text, XGBoost JSON or UBJSON, ONNX trees or linear models, or a
    /// linear model in TOML.
    model: PathBuf,
    /// CSV with a header; columns by feature name, or in model order. Empty is missing.
    #[arg(long)]
    rows: PathBuf,
    /// What to predict.
    #[arg(long, value_enum, default_value_t = Kind::Raw)]
    output: Kind,
    /// Only the first N iterations of a boosted model.
    #[arg(long, value_name = "N")]
    iterations: Option<usize>,
    /// The model's format, where the file does not tell.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The output of an ONNX model that is the score, where it has several.
    #[arg(long, value_name = "NAME")]
    output_name: Option<String>,
    /// A bundle.toml whose category names stand in the rows.
    #[arg(long, value_name = "BUNDLE_TOML")]
    schema: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Raw scores, as predict(raw_score=True) gives.
    Raw,
    /// What the trainer's predict gives: probabilities, or the objective's response.
    Probability,
    /// The number of the leaf that each tree comes to.
    Leaf,
}

#[derive(Args)]
pub(super) struct Predict {
    #[command(flatten)]
    input: Input,
}

#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    input: Input,
    /// CSV with the trainer's predictions, a column an output.
    #[arg(long)]
    expected: PathBuf,
    /// Take only this column of the expected file.
    #[arg(long)]
    column: Option<String>,
    /// Allowed absolute distance; with --rel left out too, predictions must agree to the bit.
    #[arg(long, default_value_t = 0.0)]
    abs: f64,
    /// Allowed distance relative to the expected number.
    #[arg(long, default_value_t = 0.0)]
    rel: f64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// A bare model in the sandbox, with the rows to predict.
struct Predictor {
    instance: Instance,
    bundle: LoadedBundle,
    rows: Vec<f64>,
    width: usize,
    outputs: usize,
}

impl ModelCommand {
    pub(super) fn run(&self) -> Result<()> {
        match self {
            Self::Predict(predict) => predict.run(),
            Self::Check(check) => check.run(),
        }
    }
}

impl Predict {
    fn run(&self) -> Result<()> {
        let mut predictor = self.input.predictor()?;
        let outputs = predictor.outputs;
        let values = predictor.predict(self.input.output == Kind::Probability)?;
        let mut output = Output::new();
        let header: Vec<String> = (0..outputs).map(|index| format!("y{index}")).collect();
        output.line(header.join(","))?;
        for row in values.chunks(outputs) {
            // Debug writes the shortest digits that read back to the same bits.
            let cells: Vec<String> = row.iter().map(|value| format!("{value:?}")).collect();
            output.line(cells.join(","))?;
        }
        output.finish()
    }
}

impl Input {
    /// Signs the model with a key that lives for this call and loads it.
    fn predictor(&self) -> Result<Predictor> {
        let output = self.output_name.as_deref();
        let wanted = Wanted { format: self.format, iterations: self.iterations, output };
        let mut source = Source::read(&self.model, &wanted)?;
        if let (Kind::Leaf, Source::Forest(forest)) = (self.output, source.clone()) {
            source = Source::Forest(forest.into_leaf_numbers());
        }
        let codes = match &self.schema {
            None => source.names().texts.clone(),
            Some(path) => author::codes_of(&author::BundleSource::read(path)?.features),
        };
        let rows = Table::read(&self.rows)?.features(source.features(), &codes)?;
        let key = keys::generate()?;
        let file = author::bare(&source, &key)?;
        let sandbox = Sandbox::for_bundle(&file, Bounds { memory_bytes: 2 << 30, ..Bounds::default() })?;
        let mut instance = sandbox.instance()?;
        let bundle = instance.load(&file, &[key.verifying_key().to_bytes()], None, None)?;
        Ok(Predictor { instance, bundle, rows, width: source.features().len(), outputs: source.outputs() })
    }
}

impl Predictor {
    fn predict(&mut self, response: bool) -> Result<Vec<f64>> {
        Ok(self.instance.predict(self.bundle, &self.rows, self.width, self.outputs, response)?)
    }

    /// Predictions for the same rows in single precision.
    fn predict_single(&mut self, response: bool) -> Result<Vec<f64>> {
        let rows: Vec<f64> = self.rows.iter().map(|value| f64::from(*value as f32)).collect();
        Ok(self.instance.predict(self.bundle, &rows, self.width, self.outputs, response)?)
    }

    /// Per row, whether a value is missing.
    fn missing(&self) -> Vec<bool> {
        self.rows.chunks(self.width.max(1)).map(|row| row.iter().any(|value| value.is_nan())).collect()
    }
}

impl Check {
    fn run(&self) -> Result<()> {
        let mut predictor = self.input.predictor()?;
        let outputs = predictor.outputs;
        let values = predictor.predict(self.input.output == Kind::Probability)?;
        let table = Table::read(&self.expected)?;
        let expected = match &self.column {
            Some(column) => table.numbers(column)?,
            None if table.header.len() == outputs => table.all_numbers()?,
            None => {
                let message =
                    format!("{} columns expected, the model has {outputs} outputs; see --column", table.header.len());
                return Err(Failure::usage(message));
            }
        };
        if expected.len() != values.len() {
            let message = format!("{} rows predicted, {} expected", values.len() / outputs, expected.len() / outputs);
            return Err(Failure::refused("TABLE", message));
        }
        self.report(&mut predictor, &values, &expected)
    }

    fn report(&self, predictor: &mut Predictor, values: &[f64], expected: &[f64]) -> Result<()> {
        let outputs = predictor.outputs;
        let rows = values.chunks(outputs).zip(expected.chunks(outputs)).enumerate();
        let off: Vec<(usize, f64, f64)> = rows
            .filter_map(|(row, (got, want))| {
                let pairs = got.iter().zip(want).filter(|(got, want)| !self.agrees(**got, **want));
                pairs
                    .max_by(|a, b| (a.0 - a.1).abs().total_cmp(&(b.0 - b.1).abs()))
                    .map(|(got, want)| (row, *got, *want))
            })
            .collect();
        let total = values.len() / outputs;
        let worst = off.iter().max_by(|a, b| (a.1 - a.2).abs().total_cmp(&(b.1 - b.2).abs()));
        let rows_off: Vec<usize> = off.iter().map(|(row, ..)| *row).collect();
        let cause = if off.is_empty() { None } else { Some(self.cause(predictor, values, expected, &rows_off)?) };
        output::facts(
            self.json,
            &json!({
                "rows": total,
                "rows_off": off.len(),
                "exact": self.abs == 0.0 && self.rel == 0.0,
                "worst": worst.map(|(row, got, want)| json!({
                    "row": row + 1, "got": got, "expected": want, "distance": (got - want).abs(),
                })),
                "likely_cause": cause.map(|cause| cause.to_string()),
            }),
        )?;
        if off.is_empty() {
            return Ok(());
        }
        Err(Failure::finding("PREDICTIONS_DIFFER", format!("{} of {total} rows differ", off.len())))
    }

    /// Tries what most often lies behind a difference.
    fn cause(&self, predictor: &mut Predictor, values: &[f64], expected: &[f64], off: &[usize]) -> Result<Cause> {
        let response = self.input.output == Kind::Probability;
        let evidence = Evidence {
            got: values,
            expected,
            other_kind: &predictor.predict(!response)?,
            from_single: &predictor.predict_single(response)?,
            missing: &predictor.missing(),
            off,
        };
        Ok(evidence.cause())
    }

    fn agrees(&self, got: f64, want: f64) -> bool {
        // Equal numbers, equal infinities, or both not a number.
        let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
        let exact = self.abs == 0.0 && self.rel == 0.0;
        same || !exact && (got - want).abs() <= self.abs + self.rel * want.abs()
    }
}
