//! Many rows at once and each alone: the same bits, whatever the forest looks like.

use tollgate_kernel::{Aggregate, Input, LEAF, Missing, Plan, Rows, Rule, Scratch, Streams, TreeSpan, Trees};

const FEATURES: usize = 12;
const THRESHOLDS: usize = 9_000;
const ROWS: usize = 300;

/// Numbers that look random and are the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// A forest in streams of its own.
#[derive(Default)]
struct Forest {
    splits: Vec<[u8; 2]>,
    ranks: Vec<[u8; 2]>,
    leaves: Vec<[u8; 8]>,
    spans: Vec<TreeSpan>,
}

/// Numbers of every way of missing, and sets of both kinds; the last of them is used by the
/// last tree alone.
fn rules() -> Vec<Rule> {
    let missing = [Missing::IsZero, Missing::ZeroOrNan, Missing::Nan];
    let number = |feature| Rule::Number { feature, missing: missing[feature % 3], default_left: feature % 2 == 0 };
    let mut rules: Vec<Rule> = (0..FEATURES).map(number).collect();
    rules.push(Rule::Set { feature: 0, bits: vec![0b1011], missing_in: true });
    rules.push(Rule::OneOf { feature: 1, numbers: vec![-3.0, 0.0, 7.5], missing_in: false });
    rules.push(Rule::Set { feature: 2, bits: vec![u32::MAX], missing_in: false });
    rules
}

impl Forest {
    fn grow(random: &mut Random, trees: usize, leaves: usize) -> Self {
        let mut forest = Self::default();
        for tree in 0..trees {
            let (first, first_rank, first_leaf) = (forest.splits.len(), forest.ranks.len(), forest.leaves.len());
            let rules = FEATURES + 2 + usize::from(tree + 1 == trees);
            forest.node(random, leaves, rules);
            forest.spans.push(TreeSpan { splits: first..forest.splits.len(), first_rank, first_leaf, depth: 0 });
        }
        forest
    }

    fn node(&mut self, random: &mut Random, leaves: usize, rules: usize) {
        if leaves == 1 {
            self.splits.push(LEAF.to_le_bytes());
            return self.leaves.push((random.below(1 << 20) as f64 / 977.0 - 500.0).to_le_bytes());
        }
        let rule = random.below(rules);
        let rank = if rule < FEATURES { random.below(THRESHOLDS) } else { 0 };
        self.splits.push((rule as u16).to_le_bytes());
        self.ranks.push((rank as u16).to_le_bytes());
        let left = 1 + random.below(leaves - 1);
        self.node(random, left, rules);
        self.node(random, leaves - left, rules);
    }

    fn lay_out(&self, aggregate: Aggregate, input: Input, outputs: usize) -> Trees {
        let streams = Streams { splits: &self.splits, ranks: &self.ranks, leaves: &self.leaves };
        let list: Vec<f64> = (0..THRESHOLDS).map(|rank| rank as f64 / 100.0 - 40.0).collect();
        let (thresholds, rules) = (vec![list; FEATURES], rules());
        let (spans, streams, thresholds, rules) = (&self.spans, &streams, &thresholds, &rules);
        let plan = Plan { spans, streams, thresholds, rules, input, aggregate, outputs };
        Trees::build(&plan, None, None).expect("a forest")
    }
}

fn values(random: &mut Random) -> Vec<f64> {
    let odd = [f64::NAN, 0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1e-36, -3.0, 7.5, 2.0, 31.0];
    let value = |_| match random.below(4) {
        0 => odd[random.below(odd.len())],
        _ => random.below(12_000) as f64 / 130.0 - 45.0,
    };
    (0..ROWS * FEATURES).map(value).collect()
}

#[track_caller]
fn check(trees: usize, leaves: usize, outputs: usize, aggregate: Aggregate, input: Input) {
    let random = &mut Random(trees as u64 + 31 * leaves as u64);
    let forest = Forest::grow(random, trees, leaves).lay_out(aggregate, input, outputs);
    let (values, mut scratch) = (values(random), Scratch::default());
    let mut alone = vec![aggregate.nothing(); ROWS * outputs];
    for (row, outputs) in values.chunks(FEATURES).zip(alone.chunks_mut(outputs)) {
        forest.add(row, &mut scratch, outputs);
    }
    let columns: Vec<f64> = (0..FEATURES).flat_map(|f| values.iter().skip(f).step_by(FEATURES).copied()).collect();
    for rows in [Rows::by_row(&values, FEATURES), Rows::by_column(&columns, ROWS)] {
        let mut together = vec![aggregate.nothing(); ROWS * outputs];
        forest.add_rows(&rows, FEATURES, &mut scratch, &mut together);
        let bits = |numbers: &[f64]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&together), bits(&alone), "{trees} x {leaves}");
    }
}

#[test]
fn trees_of_every_size() {
    for leaves in [1, 2, 3, 31, 64, 255, 256, 257, 700] {
        check(9, leaves, 1, Aggregate::Sum, Input::AsIs);
    }
}

#[test]
fn outputs_and_ways_to_join_leaves() {
    for aggregate in [Aggregate::Sum, Aggregate::SingleSum, Aggregate::Least, Aggregate::Greatest] {
        check(31, 40, 3, aggregate, Input::TinyIsZero);
        check(30, 40, 1, aggregate, Input::Single);
    }
}

/// More conditions than a node can name, so that trees fall into blocks, and rules that only
/// one of the blocks uses.
#[test]
fn forests_of_several_blocks() {
    check(900, 250, 1, Aggregate::Sum, Input::AsIs);
    check(901, 250, 2, Aggregate::Sum, Input::TinyIsZero);
}
