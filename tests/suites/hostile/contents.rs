//! Cases 18 and 37 to 43: what the parts say, and what loading costs.

use super::*;
use tollgate_host::sandbox::Bounds;
use tollgate_tests::Wasmtime;
use tollgate_tests::forge::{doubles, shorts};

#[test]
fn case_18_numbers_that_are_not_finite() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut forest = forge::forest();
        forest.set(10, Cbor::Bytes(doubles(&[-2.0, number, 3.0])));
        check(&Forged::with("model", &forest), Code::Model);
        let mut policy = forge::policy();
        policy.set(3, Cbor::Map(vec![(0, Cbor::Float(number)), (1, Cbor::Float(0.9))]));
        check(&Forged::with("policy", &policy), Code::Policy);
        let mut policy = forge::policy();
        policy.set(3, Cbor::Map(vec![(0, Cbor::Float(0.5)), (1, Cbor::Float(number))]));
        check(&Forged::with("policy", &policy), Code::Policy);
        let mut calibrator = forge::calibrator();
        calibrator.set(3, Cbor::Bytes(doubles(&[number, 0.0])));
        check(&Forged::with("calibrator", &calibrator), Code::Policy);
    }
    let mut forest = forge::forest();
    forest.set(6, Cbor::Array(vec![Cbor::Bytes(doubles(&[f64::NAN])), Cbor::Bytes(vec![])]));
    check(&Forged::with("model", &forest), Code::Model);
}

#[test]
fn case_37_parts_disagree_about_features() {
    let mut renamed = forge::schema();
    renamed.get_mut(0).items()[0].set(0, Cbor::text("ip_rsik"));
    check(&Forged::with("schema", &renamed), Code::Schema);
    let mut swapped = forge::schema();
    swapped.get_mut(0).items().swap(0, 1);
    check(&Forged::with("schema", &swapped), Code::Schema);
    let mut fewer = forge::schema();
    fewer.get_mut(0).items().pop();
    check(&Forged::with("schema", &fewer), Code::Schema);
    let mut golden = forge::golden();
    golden.set(1, Cbor::Bytes(doubles(&[10.0, 60.0, 60.0])));
    check(&Forged::with("golden", &golden), Code::Schema);
    let mut policy = forge::policy();
    policy.set(6, Cbor::Array(vec![Cbor::Map(vec![(0, Cbor::text("g")), (1, Cbor::Array(vec![Cbor::Uint(9)]))])]));
    check(&Forged::with("policy", &policy), Code::Schema);
}

/// Node streams: splits, ranks, leaves.
#[track_caller]
fn check_trees(splits: &[u16], ranks: &[u16], leaves: &[f64], expect: Code) {
    let mut forest = forge::forest();
    forest.set(8, Cbor::Bytes(shorts(splits)));
    forest.set(9, Cbor::Bytes(shorts(ranks)));
    forest.set(10, Cbor::Bytes(doubles(leaves)));
    check(&Forged::with("model", &forest), expect);
}

/// Pre-order has no child indices, so cycles and lost nodes cannot be written; what can
/// be written wrong is refused.
#[test]
fn case_38_broken_trees() {
    const LEAF: u16 = 0xffff;
    check_trees(&[0, LEAF, 2, LEAF, LEAF], &[0, 0], &[1.0; 3], Code::Model); // unknown rule
    check_trees(&[0, LEAF, 1, LEAF, LEAF], &[1, 0], &[1.0; 3], Code::Model); // unknown threshold
    check_trees(&[0, LEAF, 1, LEAF, LEAF], &[0, 1], &[1.0; 3], Code::Model); // a set has no second
    check_trees(&[0, LEAF, 1, LEAF], &[0, 0], &[1.0; 2], Code::Model); // a child is missing
    check_trees(&[0, LEAF, 1, LEAF, LEAF], &[0, 0, 0], &[1.0; 3], Code::Model); // unreachable split
    check_trees(&[0, LEAF, 1, LEAF, LEAF], &[0, 0], &[1.0; 4], Code::Model); // unreachable leaf
    check_trees(&[0, LEAF, 1, LEAF, LEAF], &[0], &[1.0; 3], Code::Model); // a rank is missing
    check_trees(&[0; 50_000], &[0; 50_000], &[], Code::Model); // a chain without an end
    let mut forest = forge::forest();
    forest.get_mut(7).items()[0].set(0, Cbor::Uint(2));
    check(&Forged::with("model", &forest), Code::Model); // feature out of range
    let mut forest = forge::forest();
    forest.set(1, Cbor::Uint(2));
    check(&Forged::with("model", &forest), Code::Model); // one tree, two outputs
}

#[test]
fn case_39_calibrator_and_cutoffs_out_of_order() {
    for (kind, x, y) in [
        (2, vec![1.0, 0.0], vec![]),         // Platt that falls
        (1, vec![0.0, 1.0], vec![0.9, 0.1]), // isotonic that falls
        (1, vec![1.0, 0.0], vec![0.1, 0.9]), // knots out of order
        (1, vec![0.0, 1.0], vec![0.1, 1.1]), // beyond 1
        (1, vec![0.0, 1.0], vec![0.1]),      // a knot without a value
        (3, vec![-1.0, 1.0, 0.0], vec![]),   // beta that falls
    ] {
        let mut calibrator = forge::calibrator();
        calibrator.set(1, Cbor::Uint(kind));
        calibrator.set(2, Cbor::Uint(u64::from(kind == 3)));
        calibrator.set(3, Cbor::Bytes(doubles(&x)));
        calibrator.set(4, Cbor::Bytes(doubles(&y)));
        check(&Forged::with("calibrator", &calibrator), Code::Policy);
    }
    for (challenge, block) in [(0.9, 0.5), (0.5, 0.5), (-0.1, 0.5), (0.5, 1.1)] {
        let mut policy = forge::policy();
        policy.set(3, Cbor::Map(vec![(0, Cbor::Float(challenge)), (1, Cbor::Float(block))]));
        check(&Forged::with("policy", &policy), Code::Policy);
    }
}

#[test]
fn case_40_golden_rows_differ() {
    for (key, numbers) in [(2, [-2.0, 1.0, 3.0000000000000004]), (4, [0.1, 0.2, 0.3])] {
        let mut golden = forge::golden();
        golden.set(key, Cbor::Bytes(doubles(&numbers)));
        check(&Forged::with("golden", &golden), Code::SelfTest);
    }
    let mut none = forge::golden();
    none.set(0, Cbor::Uint(0));
    [1, 2, 4].into_iter().for_each(|key| none.set(key, Cbor::Bytes(vec![])));
    check(&Forged::with("golden", &none), Code::SelfTest);
}

#[test]
fn case_42_buffer_changed_after_verification() {
    let file = Forged::default().file();
    let mut wasmtime = Wasmtime::new(Bounds::default());
    wasmtime.load(&file, &public(1), None, None).expect("loads");
    let before = wasmtime.score_json(REQUEST).expect("scores");
    // The host writes over every copy of the file that its calls left in guest memory.
    let memory = wasmtime.instance.memory_mut();
    let head = &file[..200];
    let places: Vec<usize> = (0..memory.len() - file.len()).filter(|at| memory[*at..].starts_with(head)).collect();
    for place in places {
        memory[place..place + file.len()].fill(0xff);
    }
    assert_eq!(wasmtime.score_json(REQUEST), Ok(before));
}

#[test]
fn case_43_memory_refused_half_way() {
    // The honest bundle fits into 4 MiB, one with a large model does not.
    let mut wasmtime = Wasmtime::new(Bounds { memory_bytes: 4 << 20, ..Bounds::default() });
    wasmtime.load(&Forged::default().file(), &public(1), None, None).expect("loads");
    let before = wasmtime.score_json(REQUEST).expect("scores");
    for megabytes in [1, 2, 3, 20, 64] {
        let large = Forged::with_bytes("model", vec![0; megabytes << 20]).file();
        assert_eq!(wasmtime.load(&large, &public(1), None, None), Err(Code::Limit), "{megabytes} MiB");
        assert_eq!(wasmtime.score_json(REQUEST), Ok(before.clone()));
    }
}

#[test]
fn a_missing_value_may_never_block() {
    for key in [7, 8] {
        let mut schema = forge::schema();
        schema.get_mut(0).items()[0].set(key, Cbor::Uint(2));
        check(&Forged::with("schema", &schema), Code::Schema);
    }
    // Nor may a row that is not scored for want of its required features.
    let mut policy = forge::policy();
    policy.set(2, Cbor::Uint(2));
    check(&Forged::with("policy", &policy), Code::Policy);
}

#[test]
fn ways_to_log_that_there_are_not() {
    // Full is written as nothing; 1 to 3 are hashed, truncated, dropped.
    for number in [1, 2, 3] {
        let mut schema = forge::schema();
        schema.get_mut(0).items()[0].set(10, Cbor::Uint(number));
        let file = Forged::with("schema", &schema).file();
        Wasmtime::new(Bounds::default()).load(&file, &public(1), None, None).expect("a way to log");
    }
    for number in [0, 4, 255, u64::from(u32::MAX)] {
        let mut schema = forge::schema();
        schema.get_mut(0).items()[0].set(10, Cbor::Uint(number));
        check(&Forged::with("schema", &schema), Code::Schema);
    }
    for odd in [Cbor::Uint(1 << 32), Cbor::text("drop"), Cbor::Float(1.0), Cbor::Bytes(vec![1]), Cbor::Array(vec![])] {
        let mut schema = forge::schema();
        schema.get_mut(0).items()[0].set(10, odd);
        check(&Forged::with("schema", &schema), Code::Malformed);
    }
}
