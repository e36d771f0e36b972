//! Features that are texts: each known text of a feature has a code, and the steps of a
//! column work on codes.

use super::op::Op;
use crate::failure::{Failure, Result};
use crate::table::Codes;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use tollgate_scorer::limits;

/// The texts that a graph knows, by feature.
#[derive(Debug, Default)]
pub(super) struct Texts {
    known: RefCell<BTreeMap<usize, HashMap<String, usize>>>,
}

impl Texts {
    /// A feature that is a text.
    pub(super) fn add(&self, feature: usize) {
        self.known.borrow_mut().entry(feature).or_default();
    }

    /// The codes of texts, in the order in which operators name them first.
    pub(super) fn codes(&self, op: &Op<'_>, feature: usize, words: &[String]) -> Result<Vec<f64>> {
        let mut known = self.known.borrow_mut();
        let known = known.entry(feature).or_default();
        let mut codes = Vec::with_capacity(words.len());
        for word in words {
            let next = known.len();
            codes.push(*known.entry(word.clone()).or_insert(next) as f64);
        }
        if known.len() > limits::CATEGORIES {
            return Err(op.refused(format!("a feature has more than {} texts", limits::CATEGORIES)));
        }
        Ok(codes)
    }

    /// By the names of the features, the texts in the order of their codes.
    pub(super) fn into_codes(self, names: &[String]) -> Codes {
        let listed = |(feature, known): (usize, HashMap<String, usize>)| {
            let mut words: Vec<(usize, String)> = known.into_iter().map(|(word, code)| (code, word)).collect();
            words.sort_unstable();
            Some((names.get(feature)?.clone(), words.into_iter().map(|(_, word)| word).collect()))
        };
        self.known.into_inner().into_iter().filter_map(listed).collect()
    }
}

/// The refusal of an operator that cannot work on texts.
pub(super) fn refused(op: &Op<'_>) -> Failure {
    op.refused("works on texts; only OneHotEncoder, LabelEncoder and CategoryMapper make numbers of them")
}
