//! What explanations bring into a bundle: reasons, training data of leaves, sets of numbers.

use super::*;
use tollgate_tests::forge::doubles;

/// A reasons part of one group.
fn reasons(most: u64, code: &str, features: &[u64], texts: Vec<(u64, Cbor)>) -> Cbor {
    let features = features.iter().map(|feature| Cbor::Uint(*feature)).collect();
    let group = Cbor::Map(vec![(0, Cbor::text(code)), (1, Cbor::Array(features)), (2, Cbor::Map(texts))]);
    Cbor::Map(vec![(0, Cbor::Uint(most)), (1, Cbor::Array(vec![group]))])
}

fn with_reasons(part: &Cbor) -> Forged {
    let mut forged = Forged::default();
    forged.parts.push(("reasons".into(), "reasons/1".into(), part.encode()));
    forged
}

#[test]
fn reasons_that_say_nonsense() {
    let good = with_reasons(&reasons(4, "RISK", &[0, 1], vec![]));
    for mut runtime in runtimes() {
        load(runtime.as_mut(), &good.file(), &public(1)).expect("loads");
    }
    check(&with_reasons(&reasons(4, "RISK", &[2], vec![])), Code::Schema);
    check(&with_reasons(&reasons(4, "RISK", &[1, 1], vec![])), Code::Schema);
    check(&with_reasons(&reasons(4, "risk", &[0], vec![])), Code::Schema);
    check(&with_reasons(&reasons(4, "", &[0], vec![])), Code::Schema);
    check(&with_reasons(&reasons(0, "RISK", &[0], vec![])), Code::Limit);
    check(&with_reasons(&reasons(17, "RISK", &[0], vec![])), Code::Limit);
    check(&with_reasons(&reasons(4, &"A".repeat(129), &[0], vec![])), Code::Limit);
    check(&with_reasons(&reasons(4, "RISK", &[u64::from(u32::MAX)], vec![])), Code::Schema);
    check(&with_reasons(&Cbor::Map(vec![])), Code::Malformed);
}

#[test]
fn training_data_that_cannot_be() {
    let cover = |kind: u64, bytes: Vec<u8>| {
        let mut forest = forge::forest();
        forest.set(15, Cbor::Map(vec![(0, Cbor::Uint(kind)), (1, Cbor::Bytes(bytes))]));
        Forged::with("model", &forest)
    };
    let counts = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let weights = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    for mut runtime in runtimes() {
        load(runtime.as_mut(), &cover(0, counts(&[5, 0, 7])).file(), &public(1)).expect("loads");
        load(runtime.as_mut(), &cover(0, counts(&[0, 0, 0])).file(), &public(1)).expect("nothing was seen");
    }
    check(&cover(0, counts(&[5, 7])), Code::Model);
    check(&cover(0, vec![1; 11]), Code::Model);
    check(&cover(2, counts(&[5, 6, 7])), Code::Model);
    for wrong in [f32::NAN, f32::INFINITY, -1.0] {
        check(&cover(1, weights(&[1.0, wrong, 1.0])), Code::Model);
    }
}

#[test]
fn forests_with_unknown_arithmetic() {
    let with = |key: u64, value: Cbor| {
        let mut forest = forge::forest();
        forest.set(key, value);
        Forged::with("model", &forest)
    };
    check(&with(5, Cbor::Uint(3)), Code::Model);
    check(&with(12, Cbor::Uint(4)), Code::Model);
    check(&with(13, Cbor::Array(vec![Cbor::Float(0.0); 2])), Code::Model);
    check(&with(14, Cbor::Array(vec![Cbor::Float(f64::NAN)])), Code::Model);
    let mut forest = forge::forest();
    let rule = &mut forest.get_mut(7).items()[1];
    rule.set(1, Cbor::Uint(4));
    rule.set(3, Cbor::Bytes(doubles(&[1.0])[..7].to_vec()));
    check(&Forged::with("model", &forest), Code::Model);
}
