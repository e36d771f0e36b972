//! Approximate reasons, for models that have no exact ones.
//!
//! A feature's contribution is what the raw scores change by when its value replaces that of a
//! baseline, averaged over a fixed number of orders in which the features are replaced. In
//! each order the changes add up to the score less the baseline's score, so the averages do.
//! Orders come in pairs, one the reverse of the other, from a generator with a fixed start:
//! the same row has the same contributions, everywhere. A feature that has the baseline's
//! value contributes nothing, and no evaluation is spent on it.

use alloc::vec::Vec;
use core::iter::repeat_n;
use core::mem::swap;

/// Pairs of orders. An explanation takes at most twice this many evaluations for each feature
/// that differs from the baseline, and one more.
pub const PAIRS: usize = 8;
/// Pairs where evaluating is costly, see [`WORK`].
const FEW_PAIRS: usize = 1;
/// Multiplications that one explanation may take.
const WORK: usize = 1 << 30;
/// Where the generator of orders starts.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// Pairs of orders for a model of so many features, each evaluation taking `work`
/// multiplications; none where even one pair would take too long.
pub(crate) fn pairs(features: usize, work: usize) -> Option<usize> {
    let one = features.saturating_mul(2).saturating_mul(work);
    let fits = |pairs: usize| one.saturating_mul(pairs) <= WORK;
    [PAIRS, FEW_PAIRS].into_iter().find(|pairs| fits(*pairs))
}

/// Per output each feature's contribution, then the baseline's score, appended.
///
/// `raw` gives the scores of a row, as many each time.
pub(crate) fn contributions(
    row: &[f64],
    baseline: &[f64],
    pairs: usize,
    mut raw: impl FnMut(&[f64], &mut Vec<f64>),
    contributions: &mut Vec<f64>,
) {
    let features = baseline.len();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    raw(baseline, &mut before);
    let first = contributions.len();
    for expected in &before {
        contributions.extend(repeat_n(0.0, features).chain([*expected]));
    }
    let sums = contributions.get_mut(first..).unwrap_or_default();
    let mut order: Vec<usize> = (0..features).filter(|index| row.get(*index) != baseline.get(*index)).collect();
    let (mut state, mut mixed) = (SEED, baseline.to_vec());
    let share = 0.5 / pairs as f64;
    for _ in 0..pairs {
        shuffle(&mut order, &mut state);
        // The row's values take the baseline's places in one order, and give them back in the other.
        for (turn, (to, share)) in [(row, share), (baseline, -share)].into_iter().enumerate() {
            if turn > 0 {
                order.reverse();
            }
            for index in &order {
                if let (Some(slot), Some(value)) = (mixed.get_mut(*index), to.get(*index)) {
                    *slot = *value;
                }
                after.clear();
                raw(&mixed, &mut after);
                let of_feature = sums.iter_mut().skip(*index).step_by(features + 1);
                of_feature
                    .zip(after.iter().zip(&before))
                    .for_each(|(sum, (after, before))| *sum += (after - before) * share);
                swap(&mut before, &mut after);
            }
        }
    }
}

/// Fisher and Yates's shuffle.
fn shuffle(order: &mut [usize], state: &mut u64) {
    for last in (1..order.len()).rev() {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        order.swap(last, ((*state >> 33) % (last as u64 + 1)) as usize);
    }
}
