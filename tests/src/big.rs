//! A bundle with a large forest, made the same way each time: for budgets of time and size.

use crate::cbor::Cbor;
use crate::edges::Random;
use crate::forge::{Forged, calibrator, doubles, policy, shorts};

/// Thresholds of each feature: 0, 1, 2 and so on.
const THRESHOLDS: usize = 64;
const LEAF: u16 = 0xffff;

/// Node streams of a forest, and a row with what the forest says of it.
struct Grown {
    splits: Vec<u16>,
    ranks: Vec<u16>,
    leaves: Vec<f64>,
}

/// A signed bundle with `trees` trees of `leaves` leaves over `features` numbers.
pub fn bundle(trees: usize, leaves: usize, features: usize) -> Vec<u8> {
    let mut random = Random(5);
    let mut grown = Grown { splits: Vec::new(), ranks: Vec::new(), leaves: Vec::new() };
    let row: Vec<f64> = (0..features).map(|_| random.below(THRESHOLDS) as f64).collect();
    let mut margin = 0.0;
    for _ in 0..trees {
        margin += grow(&mut grown, leaves, features, &row, &mut random);
    }
    let mut forged = Forged::with("schema", &schema(features));
    let parts = [
        ("model", forest(&grown, features)),
        ("calibrator", calibrator()),
        ("policy", policy()),
        ("golden", golden(&row, margin)),
    ];
    for (role, value) in parts {
        if let Some(part) = forged.parts.iter_mut().find(|part| part.0 == role) {
            part.2 = value.encode();
        }
    }
    forged.file()
}

/// Writes a tree in pre-order; returns the leaf that the row reaches.
fn grow(grown: &mut Grown, leaves: usize, features: usize, row: &[f64], random: &mut Random) -> f64 {
    if leaves == 1 {
        let value = (random.share() - 0.5) / 16.0;
        grown.splits.push(LEAF);
        grown.leaves.push(value);
        return value;
    }
    let (feature, rank) = (random.below(features), random.below(THRESHOLDS));
    grown.splits.push(feature as u16);
    grown.ranks.push(rank as u16);
    let left = 1 + random.below(leaves - 1);
    let values = [left, leaves - left].map(|leaves| grow(grown, leaves, features, row, random));
    values[usize::from(row[feature] > rank as f64)]
}

fn name(feature: usize) -> Cbor {
    Cbor::text(&format!("f{feature}"))
}

fn schema(features: usize) -> Cbor {
    let feature = |index| {
        Cbor::Map(vec![
            (0, name(index)),
            (1, Cbor::Uint(0)),
            (2, Cbor::Float(0.0)),
            (3, Cbor::Float(1e6)),
            (5, Cbor::Bool(true)),
            (7, Cbor::Uint(1)),
            (8, Cbor::Uint(0)),
            (9, Cbor::text("")),
        ])
    };
    Cbor::Map(vec![(0, Cbor::Array((0..features).map(feature).collect()))])
}

fn forest(grown: &Grown, features: usize) -> Cbor {
    let numbers: Vec<f64> = (0..THRESHOLDS).map(|number| number as f64).collect();
    let rule = |feature| Cbor::Map(vec![(0, Cbor::Uint(feature)), (1, Cbor::Uint(2)), (2, Cbor::Bool(false))]);
    Cbor::Map(vec![
        (0, Cbor::Array((0..features).map(name).collect())),
        (1, Cbor::Uint(1)),
        (2, Cbor::Array(vec![])),
        (3, Cbor::Map(vec![(0, Cbor::Uint(1)), (1, Cbor::Float(1.0))])),
        (5, Cbor::Uint(0)),
        (6, Cbor::Array(vec![Cbor::Bytes(doubles(&numbers)); features])),
        (7, Cbor::Array((0..features as u64).map(rule).collect())),
        (8, Cbor::Bytes(shorts(&grown.splits))),
        (9, Cbor::Bytes(shorts(&grown.ranks))),
        (10, Cbor::Bytes(doubles(&grown.leaves))),
        (12, Cbor::Uint(0)),
        (13, Cbor::Array(vec![])),
        (14, Cbor::Array(vec![])),
    ])
}

/// One golden row; the trainer's number is the sum that growing the trees has found.
fn golden(row: &[f64], margin: f64) -> Cbor {
    let mut power = [-margin];
    tollgate_scorer::model::Link::Exp.apply(&mut power);
    Cbor::Map(vec![
        (0, Cbor::Uint(1)),
        (1, Cbor::Bytes(doubles(row))),
        (2, Cbor::Bytes(doubles(&[margin]))),
        (3, Cbor::Float(0.0)),
        (4, Cbor::Bytes(doubles(&[1.0 / (1.0 + power[0])]))),
    ])
}
