//! Golden rows: read, checked against the model, written.

use super::sign::{PartSource, encode};
use super::source::GoldenSource;
use crate::failure::{Failure, Result};
use crate::table::{Codes, Table};
use std::path::Path;
use tollgate_scorer::bundle::Role;
use tollgate_scorer::limits;
use tollgate_scorer::{Calibrator, GoldenWire, Model, Scratch};

/// Rows with the trainer's raw scores.
#[derive(Clone, Debug)]
pub struct Golden {
    /// Row by row, a value per feature.
    pub values: Vec<f64>,
    /// Row by row, a raw score per output.
    pub raw: Vec<f64>,
    /// Allowed distance.
    pub tolerance: f64,
}

impl Golden {
    /// Reads the rows that `bundle.toml` names.
    ///
    /// # Errors
    /// `TABLE`, or `IO`.
    pub fn read(folder: &Path, source: &GoldenSource, names: &[String], outputs: usize, codes: &Codes) -> Result<Self> {
        let table = Table::read(&folder.join(&source.rows))?;
        let columns = if outputs == 1 {
            vec![table.numbers(&source.expected)?]
        } else {
            let columns = (0..outputs).map(|output| table.numbers(&format!("{}{output}", source.expected)));
            columns.collect::<Result<Vec<_>>>()?
        };
        let raw = (0..table.rows.len()).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
        let values = table.features(names, codes)?;
        if table.rows.is_empty() || table.rows.len() > limits::GOLDEN_ROWS {
            let message = format!("{} golden rows; 1 to {} are allowed", table.rows.len(), limits::GOLDEN_ROWS);
            return Err(Failure::refused("GOLDEN", message));
        }
        Ok(Self { values, raw, tolerance: source.tolerance })
    }

    /// One row of zeros with the model's own prediction: for models without a trainer's
    /// word, as `tollgate model predict` loads them.
    pub fn own(model: &Model) -> Self {
        let values = vec![0.0; model.features().len()];
        let raw = model.raw(&values, &mut Scratch::default()).to_vec();
        Self { values, raw, tolerance: 0.0 }
    }

    /// Compares with the model and encodes the part.
    ///
    /// # Errors
    /// `GOLDEN` with the number of rows that differ, the worst, and how far it is off.
    pub fn part(&self, model: &Model, calibrator: &Calibrator) -> Result<PartSource> {
        self.check(model)?;
        let mut scratch = Scratch::default();
        let columns = model.features().len();
        let rows = self.values.chunks(columns).zip(self.raw.chunks(model.outputs()));
        let probability = rows.map(|(row, raw)| {
            let risk = model.golden_risk(row, raw, &mut scratch);
            calibrator.apply(risk.margin, risk.by_link).get()
        });
        let [values, raw, probability] = [self.values.clone(), self.raw.clone(), probability.collect()]
            .map(|numbers| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>());
        let wire = GoldenWire {
            rows: (self.values.len() / columns) as u32,
            values: &values,
            raw: &raw,
            tolerance: self.tolerance,
            probability: &probability,
        };
        Ok(PartSource { role: Role::Golden, format: "golden/1", bytes: encode(&wire)? })
    }

    fn check(&self, model: &Model) -> Result<()> {
        let mut scratch = Scratch::default();
        let rows = self.values.chunks(model.features().len()).zip(self.raw.chunks(model.outputs()));
        let mut off = Vec::new();
        for (index, (row, expected)) in rows.enumerate() {
            let scored = model.raw(row, &mut scratch);
            let pairs = scored.iter().zip(expected);
            let differing = pairs.filter(|(got, want)| got.to_bits() != want.to_bits());
            let worst = differing.map(|(got, want)| (got - want).abs()).fold(f64::NAN, f64::max);
            if !worst.is_nan() && worst > self.tolerance
                || scored.iter().zip(expected).any(|(a, b)| a.is_nan() != b.is_nan())
            {
                off.push((index, worst));
            }
        }
        let Some((row, distance)) = off.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)) else { return Ok(()) };
        let message = format!(
            "{} golden rows are not as the trainer predicted; the worst is row {} (line {}), off by {distance:e}. \
             Are they raw scores of this very model file, written with all 17 digits?",
            off.len(),
            row + 1,
            row + 2,
        );
        Err(Failure::refused("GOLDEN", message))
    }
}
