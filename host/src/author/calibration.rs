//! Fits calibrators from scores and labels.

use crate::failure::{Failure, Result};
use tollgate_scorer::Curve;

/// A labelled score with its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labelled {
    /// The model's score.
    pub score: f64,
    /// 1 for bad, 0 for good.
    pub label: f64,
    /// How much it counts.
    pub weight: f64,
}

/// Isotonic regression: weighted means at equal scores, pool adjacent violators, drop
/// the inner knots of plateaus. The same fit as scikit-learn's `IsotonicRegression`
/// with `out_of_bounds="clip", y_min=0, y_max=1`.
///
/// # Errors
/// `CALIBRATION` when a number is not finite or nothing has weight.
pub fn isotonic(points: &[Labelled]) -> Result<Curve> {
    let mut points = usable(points)?;
    points.sort_by(|a, b| a.score.total_cmp(&b.score));
    let mut x: Vec<f64> = Vec::new();
    let mut blocks: Vec<Block> = Vec::new();
    for group in points.chunk_by(|a, b| a.score == b.score) {
        let weight: f64 = group.iter().map(|point| point.weight).sum();
        let sum: f64 = group.iter().map(|point| point.weight * point.label).sum();
        x.push(group[0].score);
        blocks.push(Block { mean: sum / weight, weight, sum, count: 1 });
        while let [.., before, last] = blocks.as_slice()
            && before.mean >= last.mean
        {
            let merged = before.with(last);
            blocks.truncate(blocks.len() - 2);
            blocks.push(merged);
        }
    }
    let y: Vec<f64> =
        blocks.iter().flat_map(|block| std::iter::repeat_n(block.mean.clamp(0.0, 1.0), block.count)).collect();
    let inner = |index: usize| index > 0 && index + 1 < y.len() && y[index] == y[index - 1] && y[index] == y[index + 1];
    let kept: Vec<usize> = (0..x.len()).filter(|index| !inner(*index)).collect();
    Ok(Curve::Isotonic { x: kept.iter().map(|i| x[*i]).collect(), y: kept.iter().map(|i| y[*i]).collect() })
}

/// Adjacent scores that share one mean.
struct Block {
    mean: f64,
    weight: f64,
    sum: f64,
    count: usize,
}

impl Block {
    fn with(&self, other: &Self) -> Self {
        let (weight, sum) = (self.weight + other.weight, self.sum + other.sum);
        Self { mean: sum / weight, weight, sum, count: self.count + other.count }
    }
}

/// Platt's sigmoid with his targets, by Newton's method with backtracking (Lin, Lin,
/// Weng 2007).
///
/// # Errors
/// `CALIBRATION` when a number is not finite, or higher scores mean lower risk.
pub fn platt(points: &[Labelled]) -> Result<Curve> {
    let points = usable(points)?;
    let bad: f64 = points.iter().filter(|point| point.label > 0.5).map(|point| point.weight).sum();
    let good: f64 = points.iter().filter(|point| point.label <= 0.5).map(|point| point.weight).sum();
    let (high, low) = ((bad + 1.0) / (bad + 2.0), 1.0 / (good + 2.0));
    let rows: Vec<Row<2>> = points
        .iter()
        .map(|point| Row {
            x: [-point.score, -1.0],
            target: if point.label > 0.5 { high } else { low },
            weight: point.weight,
        })
        .collect();
    let [a, b] = logistic_fit(&rows, [0.0, ((good + 1.0) / (bad + 1.0)).ln()]);
    // Labels of one class fit with a slope of zero, give or take rounding.
    let spread = points.iter().map(|point| point.score.abs()).fold(0.0, f64::max);
    let a = if a.abs() * spread < 1e-12 { 0.0 } else { a };
    if a > 0.0 {
        return Err(Failure::refused(
            "CALIBRATION",
            "Platt: higher scores go with fewer bad labels; is the sign right?",
        ));
    }
    Ok(Curve::Platt { a, b })
}

/// Beta calibration: logistic regression on ln s and -ln(1-s), coefficients not
/// negative (Kull, Silva Filho, Flach 2017). Scores are probabilities.
///
/// # Errors
/// `CALIBRATION` when a score lies outside (0, 1).
pub fn beta(points: &[Labelled]) -> Result<Curve> {
    let points = usable(points)?;
    if points.iter().any(|point| point.score <= 0.0 || point.score >= 1.0) {
        return Err(Failure::refused("CALIBRATION", "beta: scores must lie between 0 and 1; fit on probabilities"));
    }
    let fit = |use_a: bool, use_b: bool| {
        let rows: Vec<Row<3>> = points
            .iter()
            .map(|point| {
                let a = if use_a { point.score.ln() } else { 0.0 };
                let b = if use_b { -(-point.score).ln_1p() } else { 0.0 };
                Row { x: [a, b, 1.0], target: point.label, weight: point.weight }
            })
            .collect();
        let fitted = logistic_fit(&rows, [0.0; 3]);
        (fitted, loss(&rows, &fitted))
    };
    // With two bounds the optimum lies inside, on one of them, or in the corner.
    let inside = fit(true, true).0;
    let [a, b, c] = if inside[0] >= 0.0 && inside[1] >= 0.0 {
        inside
    } else {
        let edges = [fit(true, false), fit(false, true), fit(false, false)].into_iter();
        let allowed = edges.filter(|([a, b, _], _)| *a >= 0.0 && *b >= 0.0);
        allowed.min_by(|(_, x), (_, y)| x.total_cmp(y)).map_or([0.0; 3], |(fitted, _)| fitted)
    };
    Ok(Curve::Beta { a, b, c })
}

/// One row of a logistic regression.
struct Row<const N: usize> {
    x: [f64; N],
    target: f64,
    weight: f64,
}

/// Maximum likelihood by Newton's method; a column of zeros keeps its start value.
fn logistic_fit<const N: usize>(rows: &[Row<N>], start: [f64; N]) -> [f64; N] {
    let mut at = start;
    let mut best = loss(rows, &at);
    for _ in 0..200 {
        let step = newton_step(rows, &at);
        let mut scale = 1.0;
        let next = loop {
            let next: [f64; N] = std::array::from_fn(|i| at[i] - scale * step[i]);
            let value = loss(rows, &next);
            if value <= best || scale < 1e-10 {
                best = value.min(best);
                break next;
            }
            scale /= 2.0;
        };
        let moved = (0..N).any(|i| (next[i] - at[i]).abs() > 1e-15 * (1.0 + at[i].abs()));
        at = next;
        if !moved {
            break;
        }
    }
    at
}

/// Cross entropy of a linear score, stable for large margins.
fn loss<const N: usize>(rows: &[Row<N>], at: &[f64; N]) -> f64 {
    let terms = rows.iter().map(|row| {
        let margin = dot(&row.x, at);
        row.weight * (margin.max(0.0) - margin * row.target + (-margin.abs()).exp().ln_1p())
    });
    terms.sum()
}

fn newton_step<const N: usize>(rows: &[Row<N>], at: &[f64; N]) -> [f64; N] {
    let mut gradient = [0.0; N];
    let mut hessian = [[0.0; N]; N];
    for row in rows {
        let p = 1.0 / (1.0 + (-dot(&row.x, at)).exp());
        for i in 0..N {
            gradient[i] += row.weight * (p - row.target) * row.x[i];
            for (entry, other) in hessian[i].iter_mut().zip(row.x) {
                *entry += row.weight * p * (1.0 - p) * row.x[i] * other;
            }
        }
    }
    solve(hessian, gradient)
}

/// Gauss elimination with pivots; a singular direction gets no step.
fn solve<const N: usize>(mut matrix: [[f64; N]; N], mut right: [f64; N]) -> [f64; N] {
    for column in 0..N {
        let pivot =
            (column..N).max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs())).unwrap_or(column);
        // Tested before the swap: a direction without information must not take the
        // place of one that has some.
        if matrix[pivot][column].abs() < 1e-300 {
            (matrix[column], right[column]) = ([0.0; N], 0.0);
            matrix[column][column] = 1.0;
            continue;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        for row in (0..N).filter(|row| *row != column) {
            let factor = matrix[row][column] / matrix[column][column];
            let pivot_row = matrix[column];
            for (entry, other) in matrix[row].iter_mut().zip(pivot_row) {
                *entry -= factor * other;
            }
            right[row] -= factor * right[column];
        }
    }
    std::array::from_fn(|i| right[i] / matrix[i][i])
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn usable(points: &[Labelled]) -> Result<Vec<Labelled>> {
    let bad = |point: &Labelled| {
        !point.score.is_finite()
            || !(0.0..=1.0).contains(&point.label)
            || !point.weight.is_finite()
            || point.weight < 0.0
    };
    if let Some(row) = points.iter().position(bad) {
        let message = format!("row {}: score and weight must be finite, the label 0 or 1", row + 1);
        return Err(Failure::refused("CALIBRATION", message));
    }
    let usable: Vec<Labelled> = points.iter().copied().filter(|point| point.weight > 0.0).collect();
    if usable.is_empty() { Err(Failure::refused("CALIBRATION", "no labelled scores")) } else { Ok(usable) }
}
