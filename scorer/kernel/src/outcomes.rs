//! Values to outcomes: every distinct split is decided once per row, not once per node.
//!
//! A split of a feature at a threshold, with its way of treating missing values, is a
//! *condition*, and forests repeat conditions. Per row one binary search a rule gives its
//! *rank*, the number of its conditions that go right: those whose threshold lies below
//! the value. Missing values and category sets are settled here too; no node tests for
//! them.

use crate::few::{Few, STRIDE, bytes_of};
use crate::lanes::{BLOCK, FAST};
use crate::node::{CONDITIONS, NEVER, Node, Row, SLOTS};
use crate::plane::{Plane, ROWS, mark};
use crate::rules::{Input, Rows, Rule};
use crate::search::Search;
use crate::trees::{Split, Streams, TreeSpan};
use alloc::vec::Vec;

/// Outcomes are written by whole chunks, so the last one of a rule runs on into the next
/// rules' outcomes; those are written after it, sets last.
const CHUNK: usize = 64;

/// A chunk of rights, then one of lefts: every chunk of outcomes is cut out of it.
static RIGHT_LEFT: [bool; 2 * CHUNK] = {
    let mut both = [false; 2 * CHUNK];
    both.split_at_mut(CHUNK).0.copy_from_slice(&[true; CHUNK]);
    both
};

/// How a row of values becomes a row of outcomes.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    /// In the order of their conditions: the largest tables first.
    numbers: Vec<Number>,
    sets: Vec<Set>,
    /// Conditions, padding included.
    pub(crate) conditions: usize,
    /// Bytes of rank that a row has.
    pub(crate) slots: usize,
    input: Input,
    used: Vec<Used>,
}

/// What splits make of a rule.
#[derive(Clone, Debug, Default)]
struct Used {
    feature: u32,
    /// Its first condition.
    first: usize,
    /// Its first byte of rank.
    slot: usize,
    /// The ranks that splits use, ascending.
    ranks: Vec<u16>,
}

/// The conditions of one rule.
#[derive(Debug)]
struct Number {
    feature: usize,
    search: Search,
    /// Number of conditions.
    count: usize,
    /// The first one's position.
    first: usize,
}

/// The one condition "value is in this set".
#[derive(Debug)]
struct Set {
    condition: usize,
    feature: usize,
    members: Members,
    missing_in: bool,
}

#[derive(Debug)]
enum Members {
    Categories(Vec<u32>),
    Numbers(Vec<f64>),
}

impl Outcomes {
    /// Collects the conditions that the splits use; `thresholds` are ascending, per
    /// feature. A rule of a feature without a list of thresholds is ignored.
    #[inline]
    pub(crate) fn new(
        thresholds: &[Vec<f64>],
        rules: &[Rule],
        spans: &[TreeSpan],
        streams: &Streams<'_>,
        input: Input,
    ) -> Self {
        let mut all = Self { conditions: NEVER + 1, input, ..Self::default() };
        let used = used_ranks(spans, streams, rules.len());
        all.used = rules.iter().map(|rule| Used { feature: rule.feature() as u32, ..Used::default() }).collect();
        // Tables of one kind side by side, so that their searches take the same branches.
        for large in [true, false] {
            for (index, (rule, ranks)) in rules.iter().zip(&used).enumerate() {
                if (ranks.len() >= BLOCK) == large {
                    all.add_number(index, rule, ranks, thresholds);
                }
            }
        }
        for (index, (rule, ranks)) in rules.iter().zip(&used).enumerate() {
            all.add_set(index, rule, ranks);
        }
        all
    }

    #[inline]
    fn add_number(&mut self, index: usize, rule: &Rule, ranks: &[u16], thresholds: &[Vec<f64>]) {
        let Rule::Number { feature, missing, default_left } = rule else { return };
        let list = thresholds.get(*feature).map(Vec::as_slice).unwrap_or_default();
        let list: Vec<f64> = ranks.iter().filter_map(|rank| list.get(usize::from(*rank)).copied()).collect();
        let (feature, count, first) = (*feature, list.len(), self.conditions);
        let search = Search::new(list, *missing, *default_left, self.input);
        self.use_rule(index, ranks);
        if count > 0 {
            self.numbers.push(Number { feature, search, count, first });
        }
    }

    #[inline]
    fn add_set(&mut self, index: usize, rule: &Rule, ranks: &[u16]) {
        // One that no split of these trees uses has no condition either.
        if ranks.is_empty() {
            return;
        }
        let (feature, members, missing_in) = match rule {
            Rule::Number { .. } => return,
            Rule::Set { feature, bits, missing_in } => (*feature, Members::Categories(bits.clone()), *missing_in),
            Rule::OneOf { feature, numbers, missing_in } => (*feature, Members::Numbers(numbers.clone()), *missing_in),
        };
        self.sets.push(Set { condition: self.conditions, feature, members, missing_in });
        self.use_rule(index, ranks);
    }

    #[inline]
    fn use_rule(&mut self, rule: usize, ranks: &[u16]) {
        if let Some(used) = self.used.get_mut(rule) {
            used.first = self.conditions;
            used.slot = self.slots;
            used.ranks = ranks.to_vec();
        }
        self.conditions += ranks.len();
        self.slots += ranks.len().div_ceil(STRIDE);
    }

    /// The node of a split.
    #[inline]
    pub(crate) fn node(&self, rule: usize, condition: usize, left: usize) -> Node {
        if self.has_few_slots() {
            Node::by_rank(self.slot(rule, condition), left)
        } else {
            Node::by_condition(condition, left)
        }
    }

    /// The condition of a split.
    #[inline]
    pub(crate) fn condition(&self, rule: usize, rank: u16) -> usize {
        let Some(used) = self.used.get(rule) else { return NEVER };
        used.ranks.binary_search(&rank).map_or(NEVER, |at| used.first + at)
    }

    /// The byte of rank that settles a condition, and what it must be greater than.
    #[inline]
    pub(crate) fn slot(&self, rule: usize, condition: usize) -> (usize, u8) {
        let Some(used) = self.used.get(rule) else { return (0, u8::MAX) };
        let at = condition.saturating_sub(used.first);
        (used.slot + at / STRIDE, (at % STRIDE) as u8)
    }

    /// The feature of a rule.
    #[inline]
    pub(crate) fn feature(&self, rule: usize) -> u32 {
        self.used.get(rule).map_or(0, |used| used.feature)
    }

    /// Decides one row of values, for a walk by trees.
    #[inline(always)]
    pub(crate) fn decide(&self, row: &[f64], decided: &mut Decided) {
        if !self.has_few_slots() {
            decided.few = None;
            return self.decide_all(row, decided);
        }
        self.find_ranks(row, &mut decided.found);
        let few = decided.few.get_or_insert_default();
        let found = decided.found.iter().copied();
        if self.slots == decided.found.len() {
            // The usual case: a byte a rule.
            few.fill(found);
        } else {
            let counts = self.numbers.iter().map(|number| number.count).chain(self.sets.iter().map(|_| 1));
            few.fill(found.zip(counts).flat_map(|(rank, count)| bytes_of(rank, count)));
        }
    }

    /// Decides every condition for one row of values.
    pub(crate) fn decide_all(&self, row: &[f64], decided: &mut Decided) {
        self.find_ranks(row, &mut decided.found);
        decided.outcomes.resize(CONDITIONS + CHUNK, false);
        for (number, found) in self.numbers.iter().zip(&decided.found) {
            if let Some(outcomes) = decided.outcomes.get_mut(number.first..) {
                spread(outcomes, number.count, *found);
            }
        }
        for (set, found) in self.sets.iter().zip(decided.found.iter().skip(self.numbers.len())) {
            if let Some(outcome) = decided.outcomes.get_mut(set.condition) {
                *outcome = *found > 0;
            }
        }
    }

    /// Whether a row's ranks fit into [`Few`].
    pub(crate) fn has_few_slots(&self) -> bool {
        FAST && self.slots <= SLOTS
    }

    /// Per rule its rank, sets last.
    #[inline(never)]
    fn find_ranks(&self, row: &[f64], found: &mut Vec<usize>) {
        // What an earlier row left is written over.
        found.resize(self.numbers.len() + self.sets.len(), 0);
        let value = |feature: usize| row.get(feature).copied().unwrap_or(f64::NAN);
        for (number, found) in self.numbers.iter().zip(&mut *found) {
            *found = number.search.below(value(number.feature));
        }
        for (set, found) in self.sets.iter().zip(found.iter_mut().skip(self.numbers.len())) {
            *found = usize::from(!set.contains(self.input, self.input.apply(value(set.feature))));
        }
    }

    /// Fills in a plane of outcomes per condition, for up to [`ROWS`] rows.
    pub(crate) fn fill_planes(&self, rows: &Rows<'_>, planes: &mut Vec<Plane>) {
        planes.clear();
        planes.resize(self.conditions, Plane::default());
        for number in &self.numbers {
            let Some(planes) = planes.get_mut(number.first..number.first + number.count) else { return };
            let column = rows.column(number.feature);
            mark_ranks(&number.search, column, planes);
            spread_planes(planes);
        }
        for set in &self.sets {
            let Some(plane) = planes.get_mut(set.condition) else { return };
            for (row, value) in rows.column(set.feature).enumerate().take(ROWS) {
                if !set.contains(self.input, self.input.apply(value)) {
                    mark(plane, row);
                }
            }
        }
    }
}

/// What was decided for one row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decided {
    found: Vec<usize>,
    outcomes: Vec<bool>,
    /// Where ranks are few bytes: then outcomes may be an earlier row's.
    pub(crate) few: Option<Few>,
}

impl Decided {
    /// Per condition whether the row goes right; none before a row was decided.
    #[inline(always)]
    pub(crate) fn row(&self) -> Option<&Row> {
        self.outcomes.first_chunk()
    }
}

/// Each row marks the last of its conditions that go right.
#[inline(never)]
fn mark_ranks(search: &Search, column: impl Iterator<Item = f64>, planes: &mut [Plane]) {
    for (row, value) in column.enumerate().take(ROWS) {
        // One less than none is far beyond the last plane.
        if let Some(plane) = planes.get_mut(search.below(value).wrapping_sub(1)) {
            mark(plane, row);
        }
    }
}

/// From the last condition that goes right to all that do.
#[inline(never)]
fn spread_planes(planes: &mut [Plane]) {
    let mut above = Plane::default();
    for plane in planes.iter_mut().rev() {
        plane.iter_mut().zip(&mut above).for_each(|(plane, above)| {
            *above |= *plane;
            *plane = *above;
        });
    }
}

/// Per rule, the ranks that splits use, ascending.
#[inline]
fn used_ranks(spans: &[TreeSpan], streams: &Streams<'_>, rules: usize) -> Vec<Vec<u16>> {
    // By flags: a sort is as fast, but is code that travels with every module.
    let mut used: Vec<Vec<bool>> = Vec::new();
    used.resize(rules, Vec::new());
    for span in spans {
        let inner = span.splits.clone().filter_map(|node| match streams.split(node) {
            Split::Inner { slot } => Some(slot),
            Split::Leaf => None,
        });
        for (slot, rank) in inner.zip(span.first_rank..) {
            let Some(flags) = used.get_mut(slot) else { continue };
            let rank = usize::from(streams.rank(rank));
            if flags.len() <= rank {
                flags.resize(rank + 1, false);
            }
            if let Some(flag) = flags.get_mut(rank) {
                *flag = true;
            }
        }
    }
    let ranks = |flags: &Vec<bool>| (0..).zip(flags).filter_map(|(rank, flag)| flag.then_some(rank)).collect();
    used.iter().map(ranks).collect()
}

/// The first `right` of `count` outcomes are right, the others left.
#[inline(always)]
fn spread(outcomes: &mut [bool], count: usize, mut right: usize) {
    let (chunks, _) = outcomes.as_chunks_mut::<CHUNK>();
    for chunk in chunks.iter_mut().take(count.div_ceil(CHUNK)) {
        let here = right.min(CHUNK);
        right -= here;
        if let Some(outcomes) = RIGHT_LEFT.get(CHUNK - here..).and_then(<[bool]>::first_chunk) {
            *chunk = *outcomes;
        }
    }
}

impl Set {
    fn contains(&self, input: Input, value: f64) -> bool {
        match &self.members {
            _ if value.is_nan() => self.missing_in,
            // For LightGBM -0.5 is category 0, for XGBoost nothing below zero is a category.
            Members::Categories(_) if input == Input::Single && value < 0.0 => false,
            Members::Categories(bits) => has_category(bits, value),
            Members::Numbers(numbers) => numbers.contains(&value),
        }
    }
}

/// Whether the value, truncated to an integer, is in the set; negative and unlisted
/// categories are not.
fn has_category(bits: &[u32], value: f64) -> bool {
    let truncated = libm::trunc(value);
    if !(truncated >= 0.0 && truncated < (bits.len() * 32) as f64) {
        return false;
    }
    let category = truncated as usize;
    bits.get(category / 32).is_some_and(|word| word >> (category % 32) & 1 == 1)
}
