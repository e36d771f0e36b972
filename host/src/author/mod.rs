//! From a folder with a trained model to a signed bundle.
//!
//! | file | what it does |
//! |---|---|
//! | `source.rs` | `bundle.toml`, as its author writes it |
//! | `build.rs` | the whole way, in order |
//! | `forest.rs` | trees to the forest part |
//! | `parts.rs` | schema, policy and golden parts |
//! | `calibration.rs` | fits isotonic, Platt and beta calibrators |
//! | `sign.rs` | manifest, signature, file |

mod build;
pub mod calibration;
mod forest;
mod golden;
mod parts;
mod sign;
mod source;

pub use build::{Built, build};
pub use forest::model_part;
pub use golden::Golden;
pub use parts::{calibrator_part, plain_policy_part, plain_schema_part, policy_part, schema_part};
pub use sign::{PartSource, Provenance, encode, sign};
pub use source::{BundleSource, CostsSource, codes_of};
