//! Which bundle serves: looked for, verified beside the serving one, swapped in whole.
//!
//! One slot serves now. Releases with a canary and a shadow slot come later; they choose
//! between several [`Active`] bundles per request, and everything here stays per bundle.

mod active;
mod disk;
mod keeper;
mod source;

pub(super) use active::{Active, DescribedFeature, now_ms};
pub(super) use keeper::{Command, Keeper, Reply};
