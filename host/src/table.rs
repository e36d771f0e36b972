//! CSV tables: rows for models, expected predictions, labelled scores.

use crate::failure::{self, Failure, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Bytes of the largest table we read whole.
pub const TABLE_BYTES: usize = 1 << 30;

/// A table in memory, as text.
#[derive(Clone, Debug)]
pub struct Table {
    /// Column names.
    pub header: Vec<String>,
    /// Rows, each as long as the header.
    pub rows: Vec<Vec<String>>,
    name: String,
}

/// Category names by feature, each name's code being its position.
pub type Codes = BTreeMap<String, Vec<String>>;

impl Table {
    /// Reads a CSV file with a header.
    ///
    /// # Errors
    /// `TABLE` with the line of a row that is not as long as the header, or `IO`.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = failure::read(path, TABLE_BYTES)?;
        Self::parse(&bytes, &path.display().to_string())
    }

    /// Parses CSV text; `name` stands in messages.
    ///
    /// # Errors
    /// As for [`Table::read`].
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        let mut reader = csv::Reader::from_reader(bytes);
        let refused = |error: csv::Error| Failure::refused("TABLE", format!("{name}: {error}"));
        let header = reader.headers().map_err(refused)?.iter().map(|name| name.trim().to_owned()).collect();
        let rows = reader.records().map(|record| Ok(record.map_err(refused)?.iter().map(String::from).collect()));
        Ok(Self { header, rows: rows.collect::<Result<_>>()?, name: name.to_owned() })
    }

    /// Position of a column.
    ///
    /// # Errors
    /// `TABLE` with the columns there are.
    pub fn column(&self, name: &str) -> Result<usize> {
        self.header.iter().position(|column| column == name).ok_or_else(|| {
            let there = self.header.iter().take(20).cloned().collect::<Vec<_>>().join(", ");
            Failure::refused("TABLE", format!("{}: no column {name:?}; there are: {there}", self.name))
        })
    }

    /// The numbers of one column.
    ///
    /// # Errors
    /// `TABLE` with line and column of a cell that is no number.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let column = self.column(name)?;
        (0..self.rows.len()).map(|row| self.number(row, column, &[])).collect()
    }

    /// All cells as numbers, row by row, in column order.
    ///
    /// # Errors
    /// As for [`Table::numbers`].
    pub fn all_numbers(&self) -> Result<Vec<f64>> {
        let cells = (0..self.rows.len()).flat_map(|row| (0..self.header.len()).map(move |column| (row, column)));
        cells.map(|(row, column)| self.number(row, column, &[])).collect()
    }

    /// Values of the named features, row by row; by name where all names are there,
    /// else by position where the number of columns fits.
    ///
    /// # Errors
    /// `TABLE` with the columns that are missing, or the cell that cannot be read.
    pub fn features(&self, names: &[String], codes: &Codes) -> Result<Vec<f64>> {
        let named: Vec<Option<usize>> =
            names.iter().map(|name| self.header.iter().position(|column| column == name)).collect();
        let absent: Vec<&str> =
            names.iter().zip(&named).filter(|(_, place)| place.is_none()).map(|(name, _)| name.as_str()).collect();
        let columns: Vec<usize> = if absent.is_empty() {
            named.into_iter().flatten().collect()
        } else if self.header.len() == names.len() {
            (0..names.len()).collect()
        } else {
            let shown = absent.iter().take(10).copied().collect::<Vec<_>>().join(", ");
            let message =
                format!("{}: {} of {} features have no column: {shown}", self.name, absent.len(), names.len());
            return Err(Failure::refused("TABLE", message));
        };
        let mut values = Vec::with_capacity(self.rows.len() * columns.len());
        for row in 0..self.rows.len() {
            for (column, name) in columns.iter().zip(names) {
                values.push(self.number(row, *column, codes.get(name).map_or(&[], Vec::as_slice))?);
            }
        }
        Ok(values)
    }

    fn number(&self, row: usize, column: usize, codes: &[String]) -> Result<f64> {
        let cell = self.rows.get(row).and_then(|cells| cells.get(column)).map_or("", |cell| cell.trim());
        number(cell, codes).ok_or_else(|| {
            let name = self.header.get(column).map_or("?", String::as_str);
            let hint = if codes.is_empty() {
                "; for names of categories give --schema bundle.toml"
            } else {
                " nor one of the feature's categories"
            };
            let message = format!("{}: line {}, column {name}: {cell:?} is no number{hint}", self.name, row + 2);
            Failure::refused("TABLE", message)
        })
    }
}

/// A cell as a model sees it: empty is missing, booleans are 0 and 1, a category is
/// its code.
fn number(cell: &str, codes: &[String]) -> Option<f64> {
    if let Some(code) = codes.iter().position(|name| name == cell) {
        return Some(code as f64);
    }
    match cell {
        "" => Some(f64::NAN),
        "true" | "True" | "TRUE" => Some(1.0),
        "false" | "False" | "FALSE" => Some(0.0),
        _ => cell.parse().ok(),
    }
}
