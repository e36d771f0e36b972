//! Cut-offs that follow from stated costs.

use crate::action::Action;
use crate::calibrator::Probability;

/// What mistakes and challenges cost, all in one unit of the author's choice.
///
/// Source: design page `policy.md`. With p the probability of bad:
/// cost(allow) = pF, cost(challenge) = c + (1-p)(1-k)L + pqF, cost(block) = (1-p)P.
///
/// ```
/// use tollgate_scorer::{CostMatrix, CutOffs};
/// let costs = CostMatrix {
///     false_negative: 2.10, false_block: 7.50, challenge: 0.02,
///     completion: 0.93, lost_user: 1.0, abuser_pass: 0.25,
/// };
/// let cutoffs = costs.cutoffs().unwrap();
/// assert!(matches!(cutoffs, CutOffs::ThreeWay { challenge, block }
///     if (challenge - 0.054711).abs() < 1e-6 && (block - 0.931490).abs() < 1e-6));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostMatrix {
    /// F: a bad one let through.
    pub false_negative: f64,
    /// P: a good one blocked.
    pub false_block: f64,
    /// c: showing one challenge.
    pub challenge: f64,
    /// k: share of good users who complete a challenge, 0 to 1.
    pub completion: f64,
    /// L: a good user lost in a challenge.
    pub lost_user: f64,
    /// q: share of bad ones who pass a challenge, 0 to 1.
    pub abuser_pass: f64,
}

/// The expected cost of each action for one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Letting it pass.
    pub allow: f64,
    /// Challenging.
    pub challenge: f64,
    /// Blocking.
    pub block: f64,
}

/// Where one action gives way to the next; a probability equal to a cut-off
/// belongs to the stricter action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CutOffs {
    /// Allow, challenge, block.
    ThreeWay {
        /// From here on: challenge.
        challenge: f64,
        /// From here on: block.
        block: f64,
    },
    /// Allow or block: a challenge never pays.
    TwoWay {
        /// From here on: block.
        block: f64,
    },
}

impl CostMatrix {
    /// Finite, none negative, shares within [0, 1], mistakes not free.
    pub fn is_valid(&self) -> bool {
        let shares = [self.completion, self.abuser_pass];
        let amounts = [self.false_negative, self.false_block, self.challenge, self.lost_user];
        amounts.iter().all(|x| x.is_finite() && *x >= 0.0)
            && shares.iter().all(|x| (0.0..=1.0).contains(x))
            && self.false_negative > 0.0
            && self.false_block > 0.0
    }

    /// The cut-offs at which the cheapest action changes; `None` for invalid costs.
    pub fn cutoffs(&self) -> Option<CutOffs> {
        if !self.is_valid() {
            return None;
        }
        let lost = (1.0 - self.completion) * self.lost_user;
        let (fixed, q, f, p) = (self.challenge, self.abuser_pass, self.false_negative, self.false_block);
        // cost(challenge) is c + lost at p = 0 and c + qF at p = 1.
        let challenge = (fixed + lost) / ((1.0 - q) * f + lost);
        let block = (p - lost - fixed) / (p - lost + q * f);
        let pays = challenge < block && challenge.is_finite() && block.is_finite() && p - lost + q * f > 0.0;
        Some(if pays {
            CutOffs::ThreeWay { challenge, block: block.min(1.0) }
        } else {
            CutOffs::TwoWay { block: p / (p + f) }
        })
    }

    /// The expected cost of each action at a probability.
    pub fn expected(&self, probability: Probability) -> Costs {
        let p = probability.get();
        let passed = p * self.abuser_pass * self.false_negative;
        let lost = (1.0 - p) * (1.0 - self.completion) * self.lost_user;
        Costs {
            allow: p * self.false_negative,
            challenge: self.challenge + lost + passed,
            block: (1.0 - p) * self.false_block,
        }
    }
}

impl CutOffs {
    /// Within [0, 1] and in order; a block cut-off above 1 is written as infinity by
    /// nobody: to never block, cap the segment or use a block cut-off of 1.
    pub fn is_valid(&self) -> bool {
        let unit = 0.0..=1.0;
        match self {
            Self::ThreeWay { challenge, block } => {
                unit.contains(challenge) && unit.contains(block) && challenge < block
            }
            Self::TwoWay { block } => unit.contains(block),
        }
    }

    /// The action for a probability.
    pub fn action(&self, probability: Probability) -> Action {
        let p = probability.get();
        match *self {
            Self::ThreeWay { block, .. } | Self::TwoWay { block } if p >= block => Action::Block,
            Self::ThreeWay { challenge, .. } if p >= challenge => Action::Challenge,
            Self::ThreeWay { .. } | Self::TwoWay { .. } => Action::Allow,
        }
    }

    /// The challenge cut-off, where there is one.
    pub fn challenge(&self) -> Option<f64> {
        match self {
            Self::ThreeWay { challenge, .. } => Some(*challenge),
            Self::TwoWay { .. } => None,
        }
    }

    /// The block cut-off.
    pub fn block(&self) -> f64 {
        match self {
            Self::ThreeWay { block, .. } | Self::TwoWay { block } => *block,
        }
    }
}
