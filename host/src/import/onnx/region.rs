//! Regions: for which values of a number a test holds, and the same pulled back through
//! the steps of a column until it is about the feature itself.
//!
//! Every step is either monotone or changes finitely many points, so a region stays a
//! finite list of cuts. The place of a cut is found by bisection over the ordered floats,
//! which needs no algebra and has no rounding of its own.

use super::column::{Column, Kind, Step};
use crate::import::Test;
use tollgate_scorer::model::forest::Missing;

/// Values between two cuts that are still listed one by one.
const LISTED: usize = 16;

/// The comparison of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mode {
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
    Differs,
    Member(Vec<f64>),
}

/// Where a test holds: below the first cut `first`, then alternating. A cut belongs to the
/// values below it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Region {
    first: bool,
    cuts: Vec<f64>,
    nan: bool,
}

/// Tests to be made one after the other: where one holds the answer stands beside it.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub tests: Vec<(Test, bool)>,
    pub last: bool,
}

/// The numbers that there are at some point of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    Single,
    Double,
}

impl Region {
    /// Where a node's test holds on a column; `nan` is what the node says of missing values.
    pub(super) fn of(mode: &Mode, threshold: f64, nan: bool, column: &Column) -> Self {
        let domains = Domain::along(column);
        let last = domains.last().copied().unwrap_or(Domain::Double);
        let at_most = |cut: Option<f64>| Self { first: cut.is_some(), cuts: cut.into_iter().collect(), nan };
        let mut region = match mode {
            Mode::Member(members) => Self::points(members.iter().copied(), last, nan),
            // A comparison with NaN never holds, but for the one that asks for difference.
            Mode::Differs if threshold.is_nan() => Self { first: true, cuts: vec![], nan: true },
            _ if threshold.is_nan() => Self { first: false, cuts: vec![], nan },
            Mode::AtMost => at_most(Some(threshold)),
            Mode::Below => at_most(last.before(threshold)),
            Mode::AtLeast => at_most(last.before(threshold)).inverted(nan),
            Mode::Above => at_most(Some(threshold)).inverted(nan),
            Mode::Equal => Self::points([threshold], last, nan),
            Mode::Differs => Self::points([threshold], last, nan).inverted(true),
        };
        for (step, domain) in column.steps.iter().zip(&domains).rev() {
            region = region.before(step, *domain);
        }
        region.tidy()
    }

    /// The tests of the column's feature that find out whether the region holds.
    pub(super) fn chain(&self, column: &Column) -> Chain {
        let domain = Domain::given(column);
        if let Some(numbers) = self.listed(domain) {
            let missing_left = self.nan != self.first;
            return Chain { tests: vec![(Test::OneOf { numbers, missing_left }, !self.first)], last: self.first };
        }
        let at_most = |threshold: f64, side: bool| {
            (Test::AtMost { threshold, missing: Missing::Nan, default_left: side == self.nan }, side)
        };
        let mut side = self.first;
        let mut tests = Vec::new();
        for cut in &self.cuts {
            tests.push(at_most(*cut, side));
            side = !side;
        }
        if tests.is_empty() && self.nan != self.first {
            tests.push(at_most(f64::INFINITY, self.first));
            side = self.nan;
        }
        Chain { tests, last: side }
    }

    /// The values at which the answer changes, each the last of its side.
    pub(super) fn cuts(&self) -> &[f64] {
        &self.cuts
    }

    fn points(points: impl IntoIterator<Item = f64>, domain: Domain, nan: bool) -> Self {
        // A number that cannot occur equals nothing; -0 and 0 are one.
        let mut points: Vec<f64> =
            points.into_iter().filter(|point| domain.has(*point)).map(|point| point + 0.0).collect();
        points.sort_by(f64::total_cmp);
        points.dedup();
        let mut region = Self { first: false, cuts: vec![], nan };
        points.into_iter().for_each(|point| region.toggle(point, domain));
        region.tidy()
    }

    fn inverted(self, nan: bool) -> Self {
        Self { first: !self.first, cuts: self.cuts, nan }
    }

    fn holds(&self, x: f64) -> bool {
        if x.is_nan() {
            return self.nan;
        }
        let below = self.cuts.iter().filter(|cut| **cut < x).count();
        self.first ^ (below % 2 == 1)
    }

    /// Turns the answer at one point.
    fn toggle(&mut self, point: f64, domain: Domain) {
        match domain.before(point) {
            Some(before) => self.cuts.push(before),
            None => self.first = !self.first,
        }
        self.cuts.push(point);
    }

    /// Cuts in order, without those that cancel each other or cut nothing off.
    fn tidy(mut self) -> Self {
        self.cuts.sort_by(f64::total_cmp);
        let mut cuts: Vec<f64> = Vec::with_capacity(self.cuts.len());
        for cut in self.cuts {
            // -0 and 0 are one number to every comparison.
            if cuts.last().is_some_and(|last| *last == cut) {
                cuts.pop();
            } else if cut < f64::INFINITY {
                cuts.push(cut + 0.0);
            }
        }
        Self { cuts, ..self }
    }

    /// The region before a step, in terms of the step's input.
    fn before(&self, step: &Step, domain: Domain) -> Self {
        match step {
            Step::Fill { missing, with } if missing.is_nan() => Self { nan: self.holds(*with), ..self.clone() },
            Step::Fill { missing, with } => {
                let mut region = self.clone();
                if domain.has(*missing) && self.holds(*missing) != self.holds(*with) {
                    region.toggle(*missing, domain);
                }
                region.tidy()
            }
            Step::Map { pairs, other, nan } => {
                let mut region = Self { first: self.holds(*other), cuts: vec![], nan: self.holds(*nan) };
                for (from, to) in pairs.iter().filter(|pair| domain.has(pair.0)) {
                    if self.holds(*to) != self.holds(*other) {
                        region.toggle(*from, domain);
                    }
                }
                region.tidy()
            }
            Step::Stairs { cuts, values, nan } => {
                let sides: Vec<bool> = values.iter().map(|value| self.holds(*value)).collect();
                let turns = cuts.iter().zip(sides.windows(2)).filter(|(_, side)| side.first() != side.last());
                let cuts = turns.map(|(cut, _)| *cut).collect();
                Self { first: sides.first().copied().unwrap_or_default(), cuts, nan: self.holds(*nan) }.tidy()
            }
            step => self.before_monotone(step, domain),
        }
    }

    fn before_monotone(&self, step: &Step, domain: Domain) -> Self {
        let after = |key: i64| step.apply(domain.number(key));
        let (low, high) = domain.ends();
        let rising = after(low) <= after(high);
        let mut cuts = Vec::with_capacity(self.cuts.len());
        for cut in &self.cuts {
            let early = |key: i64| (after(key) <= *cut) == rising;
            if early(low) && !early(high) {
                cuts.push(domain.number(last_early(low, high, early)));
            }
        }
        Self { first: self.holds(after(low)), cuts, nan: self.holds(step.apply(f64::NAN)) }.tidy()
    }

    /// The numbers where the answer differs from the one far below, if they are few.
    fn listed(&self, domain: Domain) -> Option<Vec<f64>> {
        let (pairs, rest) = self.cuts.as_chunks::<2>();
        if pairs.is_empty() || !rest.is_empty() {
            return None;
        }
        let mut numbers = Vec::new();
        for [after, end] in pairs {
            let mut inside = domain.between(*after, *end);
            numbers.extend(inside.by_ref().take(LISTED));
            if inside.next().is_some() {
                return None;
            }
        }
        Some(numbers)
    }
}

/// The last key that is early, where the first is and the last is not.
fn last_early(mut low: i64, mut high: i64, early: impl Fn(i64) -> bool) -> i64 {
    while low + 1 < high {
        let middle = low.midpoint(high);
        if early(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

impl Domain {
    fn given(column: &Column) -> Self {
        if column.given == Kind::Single { Self::Single } else { Self::Double }
    }

    /// Before each step, and after the last.
    fn along(column: &Column) -> Vec<Self> {
        let mut domains = vec![Self::given(column)];
        for step in &column.steps {
            let before = domains.last().copied().unwrap_or(Self::Double);
            domains.push(match step {
                Step::By { single: true, .. } | Step::Round => Self::Single,
                Step::By { .. } | Step::Truncate | Step::Above(_) | Step::Map { .. } | Step::Stairs { .. } => {
                    Self::Double
                }
                Step::Negate | Step::Clip { .. } | Step::Fill { .. } => before,
            });
        }
        domains
    }

    fn has(self, number: f64) -> bool {
        !number.is_nan() && (self == Self::Double || f64::from(number as f32) == number)
    }

    /// Keys of the infinities: keys are ordered as the numbers are, and 0 has one.
    fn ends(self) -> (i64, i64) {
        let high = match self {
            Self::Single => i64::from(f32::INFINITY.to_bits()),
            Self::Double => f64::INFINITY.to_bits().cast_signed(),
        };
        (-high, high)
    }

    fn number(self, key: i64) -> f64 {
        let bits = key.unsigned_abs();
        let size = match self {
            Self::Single => f64::from(f32::from_bits(bits as u32)),
            Self::Double => f64::from_bits(bits),
        };
        if key < 0 { -size } else { size }
    }

    /// The key of the largest number that is not above `x`.
    fn key(self, x: f64) -> i64 {
        let signed = |bits: u64, negative: bool| if negative { -bits.cast_signed() } else { bits.cast_signed() };
        match self {
            Self::Double => signed(x.abs().to_bits(), x.is_sign_negative()),
            Self::Single => {
                let near = x as f32;
                let key = signed(u64::from(near.abs().to_bits()), near.is_sign_negative());
                if f64::from(near) > x { key - 1 } else { key }
            }
        }
    }

    /// The largest number below `x`; none below the least.
    fn before(self, x: f64) -> Option<f64> {
        let key = self.key(x);
        let key = if self.number(key) < x { key } else { key - 1 };
        (key >= self.ends().0).then(|| self.number(key))
    }

    /// The numbers above one and up to another.
    fn between(self, after: f64, end: f64) -> impl Iterator<Item = f64> {
        (self.key(after) + 1..=self.key(end)).map(move |key| self.number(key))
    }
}
