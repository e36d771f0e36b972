//! Cut-offs from costs: against brute force, and the figures that are published.

use proptest::prelude::*;
use tollgate_scorer::{Action, CostMatrix, CutOffs, Probability};
use tollgate_tests::forge::COSTS;
use tollgate_tests::property::check;

fn costs() -> impl Strategy<Value = CostMatrix> {
    let positive = || prop_oneof![0.01..10.0f64, 0.01..1000.0f64];
    let amount = || prop_oneof![Just(0.0f64), 0.0..1.0f64, 0.0..1000.0f64];
    let share = || prop_oneof![Just(0.0f64), Just(1.0f64), 0.0..1.0f64];
    (positive(), positive(), amount(), share(), amount(), share()).prop_map(
        |(false_negative, false_block, challenge, completion, lost_user, abuser_pass)| CostMatrix {
            false_negative,
            false_block,
            challenge,
            completion,
            lost_user,
            abuser_pass,
        },
    )
}

/// The cost of an action, written down a second time from the definition.
fn cost_of(costs: &CostMatrix, action: Action, p: f64) -> f64 {
    match action {
        Action::Allow => p * costs.false_negative,
        Action::Challenge => {
            let lost = (1.0 - p) * (1.0 - costs.completion) * costs.lost_user;
            costs.challenge + lost + p * costs.abuser_pass * costs.false_negative
        }
        Action::Block => (1.0 - p) * costs.false_block,
    }
}

/// A fine grid, the cut-offs, and their neighbours.
fn probes(cutoffs: CutOffs) -> Vec<f64> {
    let edges = cutoffs.challenge().into_iter().chain([cutoffs.block()]);
    let edges = edges.flat_map(|edge| [edge.next_down(), edge, edge.next_up()]).filter(|p| (0.0..=1.0).contains(p));
    (0..=1000).map(|step| f64::from(step) / 1000.0).chain(edges).collect()
}

/// Covers two-way policies too: there, a challenge must be the cheapest nowhere.
#[test]
fn cut_offs_agree_with_brute_force() {
    check(512, costs(), |costs| {
        let cutoffs = costs.cutoffs().expect("valid costs have cut-offs");
        assert!(cutoffs.is_valid(), "{cutoffs:?}");
        for p in probes(cutoffs) {
            let action = cutoffs.action(Probability::clamped(p));
            let chosen = cost_of(&costs, action, p);
            for other in Action::ALL {
                let cost = cost_of(&costs, other, p);
                assert!(chosen <= cost + 1e-9, "{cutoffs:?} at {p}: {action:?} costs {chosen}, {other:?} {cost}");
            }
        }
    });
}

#[test]
fn a_cut_off_belongs_to_the_stricter_action() {
    check(512, costs(), |costs| {
        let cutoffs = costs.cutoffs().expect("valid costs have cut-offs");
        let action = |p: f64| cutoffs.action(Probability::clamped(p));
        assert_eq!(action(cutoffs.block()), Action::Block);
        let below_block = cutoffs.challenge().map_or(Action::Allow, |_| Action::Challenge);
        assert_eq!(action(cutoffs.block().next_down()), below_block);
        if let Some(challenge) = cutoffs.challenge() {
            assert_eq!(action(challenge), Action::Challenge);
            assert!(challenge == 0.0 || action(challenge.next_down()) == Action::Allow);
        }
        assert_eq!(action(f64::NAN), Action::Block, "an unknown risk is the highest");
    });
}

#[test]
fn published_figures() {
    let dear = CostMatrix { challenge: 100.0, ..COSTS };
    let two_way = dear.cutoffs().expect("valid");
    assert!(matches!(two_way, CutOffs::TwoWay { block } if (block - 0.78125).abs() < 1e-12), "{two_way:?}");
    let three_way = COSTS.cutoffs().expect("valid");
    assert!((three_way.challenge().expect("pays") - 0.054711).abs() < 1e-6, "{three_way:?}");
    assert!((three_way.block() - 0.931490).abs() < 1e-6, "{three_way:?}");
}

#[test]
fn costs_that_make_no_sense_have_no_cut_offs() {
    let members: [fn(&mut CostMatrix) -> &mut f64; 6] = [
        |c| &mut c.false_negative,
        |c| &mut c.false_block,
        |c| &mut c.challenge,
        |c| &mut c.lost_user,
        |c| &mut c.completion,
        |c| &mut c.abuser_pass,
    ];
    for (index, member) in members.into_iter().enumerate() {
        let free: &[f64] = if index < 2 { &[0.0] } else { &[] };
        let no_share: &[f64] = if index >= 4 { &[1.0f64.next_up()] } else { &[] };
        for bad in [[f64::NAN, f64::INFINITY, -1.0, -f64::MIN_POSITIVE].as_slice(), free, no_share].concat() {
            let mut costs = COSTS;
            *member(&mut costs) = bad;
            assert_eq!(costs.cutoffs(), None, "member {index} = {bad}");
        }
    }
}
