//! Why a model's predictions differ from its trainer's: what a data scientist would try.

use std::fmt;

/// What may be the matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cause {
    /// The other kind of output fits.
    OtherOutput,
    /// All rows are off by the same amount.
    Offset(f64),
    /// All rows are off by the same factor.
    Factor(f64),
    /// Rounded to single precision, the predictions agree.
    SingleOutput,
    /// With inputs rounded to single precision, the predictions agree.
    SingleInput,
    /// Only rows with missing values are off.
    Missing,
    /// Nothing of these.
    Unknown,
}

/// What the check knows.
pub(super) struct Evidence<'a> {
    pub(super) got: &'a [f64],
    pub(super) expected: &'a [f64],
    /// Predictions of the other kind: responses for raw scores and the other way round.
    pub(super) other_kind: &'a [f64],
    /// Predictions for inputs rounded to single precision.
    pub(super) from_single: &'a [f64],
    /// Per row, whether it has a missing value.
    pub(super) missing: &'a [bool],
    /// Rows that are off.
    pub(super) off: &'a [usize],
}

/// Relative distance within which a hypothesis counts as a fit.
const FIT: f64 = 1e-6;

impl Evidence<'_> {
    /// The first hypothesis that explains all rows.
    pub(super) fn cause(&self) -> Cause {
        if fits(self.other_kind, self.expected) {
            return Cause::OtherOutput;
        }
        if self.got.iter().zip(self.expected).all(|(got, want)| *got as f32 == *want as f32) {
            return Cause::SingleOutput;
        }
        if fits(self.from_single, self.expected) {
            return Cause::SingleInput;
        }
        let pairs = || self.got.iter().zip(self.expected);
        let offset = pairs().next().map_or(0.0, |(got, want)| want - got);
        if self.got.len() > 1 && pairs().all(|(got, want)| close(got + offset, *want)) {
            return Cause::Offset(offset);
        }
        let factor = pairs().find(|(got, _)| **got != 0.0).map_or(0.0, |(got, want)| want / got);
        if self.got.len() > 1 && pairs().all(|(got, want)| close(got * factor, *want)) {
            return Cause::Factor(factor);
        }
        let without = self.missing.iter().any(|missing| !missing);
        if without && self.off.iter().all(|row| self.missing.get(*row).copied().unwrap_or(false)) {
            return Cause::Missing;
        }
        Cause::Unknown
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherOutput => write!(
                f,
                "the expected numbers are of the other kind of output: try --output raw or --output probability"
            ),
            Self::Offset(offset) => {
                write!(f, "every row is off by {offset:.9}: a base score or intercept is missing or counted twice")
            }
            Self::Factor(factor) => write!(
                f,
                "every row is off by the factor {factor:.9}: averaged instead of summed trees, or another number of iterations"
            ),
            Self::SingleOutput => write!(
                f,
                "the expected numbers were rounded to single precision (float32): write them in double precision, or allow --rel 1e-6"
            ),
            Self::SingleInput => write!(
                f,
                "the trainer saw inputs rounded to single precision (float32), which changes decisions near thresholds: round the rows before training and scoring, or export the model in its own format"
            ),
            Self::Missing => write!(
                f,
                "only rows with missing values are off: check that missing is written as an empty cell, and that the trainer treated it as missing and not as 0 or -999"
            ),
            Self::Unknown => write!(
                f,
                "no common cause found: check that rows and predictions belong to this model file, their order, and the categories' codes"
            ),
        }
    }
}

fn fits(got: &[f64], expected: &[f64]) -> bool {
    got.len() == expected.len() && got.iter().zip(expected).all(|(got, want)| close(*got, *want))
}

fn close(got: f64, want: f64) -> bool {
    got.is_nan() && want.is_nan() || got == want || (got - want).abs() <= FIT * (1.0 + want.abs())
}
