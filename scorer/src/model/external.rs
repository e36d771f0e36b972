//! Models that another crate runs, which the lean module leaves out.

use super::Link;
use crate::error::Result;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;

/// A model that is no part of the core.
pub trait External: Debug {
    /// Names of the features, in the order of a row's values.
    fn features(&self) -> &[String];
    /// Raw scores per row.
    fn outputs(&self) -> usize;
    /// From raw scores to responses.
    fn link(&self) -> &Link;
    /// Outputs whose responses add up to the risk, where there are several outputs.
    fn risky(&self) -> &[usize];
    /// Per feature, what explanations compare with.
    fn baseline(&self) -> &[f64];
    /// Multiplications of one row, roughly.
    fn work(&self) -> usize;
    /// Raw scores of `count` rows that lie one after the other, appended row by row; NaN
    /// where the model fails.
    fn raw(&self, rows: &[f64], count: usize, outputs: &mut Vec<f64>);
}

/// Reads a model part of a format that the core does not know; none for one that the reader
/// does not know either.
pub type Reader<'r> = &'r dyn Fn(&str, &[u8]) -> Option<Result<Box<dyn External>>>;
