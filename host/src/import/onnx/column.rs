//! Columns: what a graph does to one feature before a model sees it.
//!
//! A column is a feature and a list of steps, each a function of one number computed as
//! ONNX Runtime computes it, single precision where its tensors are.

use std::rc::Rc;

/// What the numbers of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Single,
    Double,
    Integer,
    /// Texts, by their codes.
    Text,
}

/// A feature on its way to a model.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Position of the feature.
    pub feature: usize,
    /// The numbers that callers give.
    pub given: Kind,
    /// The numbers after all steps.
    pub kind: Kind,
    /// What happens to them, in order.
    pub steps: Vec<Step>,
}

/// The four operations with a constant on the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// A function of one number.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Arithmetic with a finite constant, not a multiplication or division by zero.
    By { what: Arithmetic, constant: f64, single: bool },
    /// The sign changes.
    Negate,
    /// To single precision.
    Round,
    /// To a 64-bit integer.
    Truncate,
    /// Not below, not above.
    Clip { low: f64, high: f64 },
    /// 1 above the threshold, else 0; 0 for NaN.
    Above(f64),
    /// One value, perhaps NaN, stands for another.
    Fill { missing: f64, with: f64 },
    /// Listed values become others, all else becomes `other`; NaN has its own.
    Map { pairs: Rc<Vec<(f64, f64)>>, other: f64, nan: f64 },
    /// One value up to each cut, and one above the last.
    Stairs { cuts: Rc<Vec<f64>>, values: Rc<Vec<f64>>, nan: f64 },
}

impl Column {
    pub(super) fn then(&self, step: Step, kind: Kind) -> Self {
        let mut column = self.clone();
        column.steps.push(step);
        column.kind = kind;
        column
    }

    /// The column as trees and linear models of single precision see it.
    pub(super) fn single(&self) -> Self {
        match self.kind {
            Kind::Single => self.clone(),
            Kind::Double | Kind::Integer | Kind::Text => self.then(Step::Round, Kind::Single),
        }
    }

    /// The feature's value after all steps.
    pub(super) fn value(&self, x: f64) -> f64 {
        self.steps.iter().fold(x, |x, step| step.apply(x))
    }

    /// Factor and constant, where the steps are no more than that, without rounding.
    pub(super) fn affine(&self) -> Option<(f64, f64)> {
        let mut line = (1.0, 0.0);
        for step in &self.steps {
            line = match step {
                Step::Round => line,
                Step::Negate => (-line.0, -line.1),
                Step::By { what: Arithmetic::Add, constant, .. } => (line.0, line.1 + constant),
                Step::By { what: Arithmetic::Subtract, constant, .. } => (line.0, line.1 - constant),
                Step::By { what: Arithmetic::Multiply, constant, .. } => (line.0 * constant, line.1 * constant),
                Step::By { what: Arithmetic::Divide, constant, .. } => (line.0 / constant, line.1 / constant),
                _ => return None,
            };
        }
        Some(line)
    }
}

impl Step {
    /// The step, as computed by ONNX Runtime.
    pub(super) fn apply(&self, x: f64) -> f64 {
        match self {
            Self::By { what, constant, single: true } => f64::from(arithmetic(*what, x as f32, *constant as f32)),
            Self::By { what, constant, single: false } => arithmetic(*what, x, *constant),
            Self::Negate => -x,
            Self::Round => f64::from(x as f32),
            // NaN becomes the least integer, as on x86; larger numbers than fit saturate.
            Self::Truncate if x.is_nan() => i64::MIN as f64,
            Self::Truncate => x as i64 as f64,
            Self::Clip { low, high } if !x.is_nan() => x.max(*low).min(*high),
            Self::Clip { .. } => x,
            Self::Above(threshold) => f64::from(u8::from(x > *threshold)),
            Self::Fill { missing, with } => {
                if x == *missing || x.is_nan() && missing.is_nan() {
                    *with
                } else {
                    x
                }
            }
            Self::Map { nan, .. } | Self::Stairs { nan, .. } if x.is_nan() => *nan,
            Self::Stairs { cuts, values, .. } => {
                values.get(cuts.partition_point(|cut| *cut < x)).copied().unwrap_or(f64::NAN)
            }
            Self::Map { pairs, other, .. } => pairs.iter().find(|pair| pair.0 == x).map_or(*other, |pair| pair.1),
        }
    }
}

fn arithmetic<T>(what: Arithmetic, x: T, constant: T) -> T
where
    T: std::ops::Add<Output = T> + std::ops::Sub<Output = T> + std::ops::Mul<Output = T> + std::ops::Div<Output = T>,
{
    match what {
        Arithmetic::Add => x + constant,
        Arithmetic::Subtract => x - constant,
        Arithmetic::Multiply => x * constant,
        Arithmetic::Divide => x / constant,
    }
}
