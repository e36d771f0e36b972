//! Approximate reasons, for models that have no exact ones.
//!
//! A feature's contribution is what the raw scores change by when its value replaces that of a
//! baseline, averaged over a fixed number of orders in which the features are replaced. In
//! each order the changes add up to the score less the baseline's score, so the averages do.
//! Orders come in pairs, one the reverse of the other, from a generator with a fixed start:
//! the same row has the same contributions, everywhere. A feature that has the baseline's
//! value contributes nothing, and no evaluation is spent on it.

use alloc::vec::Vec;

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
    let mut before = Vec::new();
    raw(baseline, &mut before);
    let first = contributions.len();
    for expected in &before {
        contributions.resize(contributions.len() + features, 0.0);
        contributions.push(*expected);
    }
    let sums = contributions.get_mut(first..).unwrap_or_default();
    let mut order: Vec<usize> = (0..features).filter(|index| row.get(*index) != baseline.get(*index)).collect();
    let (mut state, mut mixed) = (SEED, baseline.to_vec());
    let share = 0.5 / pairs as f64;
    for number in 0..2 * pairs {
        if number % 2 == 0 {
            shuffle(&mut order, &mut state)
        } else {
            order.reverse()
        }
        // Values replace those of the baseline in one order, and the other way in the next.
        let to = if number % 2 == 0 { row } else { baseline };
        for index in &order {
            if let (Some(slot), Some(value)) = (mixed.get_mut(*index), to.get(*index)) {
                *slot = *value;
            }
            let scores = before.len();
            raw(&mixed, &mut before);
            for output in 0..scores {
                let change = before.get(scores + output).copied().unwrap_or_default()
                    - before.get(output).copied().unwrap_or_default();
                if let Some(sum) = sums.get_mut(output * (features + 1) + index) {
                    *sum += if number % 2 == 0 { change } else { -change } * share;
                }
            }
            before.drain(..scores);
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
