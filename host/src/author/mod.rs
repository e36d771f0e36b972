//! From a folder with a trained model to a signed bundle.
//!
//! | file | what it does |
//! |---|---|
//! | `source.rs` | `bundle.toml`, as its author writes it |
//! | `build.rs` | the whole way, in order |
//! | `bare.rs` | a model on its own |
//! | `forest.rs` | trees to the forest part |
//! | `net.rs` | nets to the layers part |
//! | `parts.rs` | schema, calibrator and policy parts |
//! | `risk.rs` | which classes are the risk |
//! | `golden.rs` | rows with the trainer's predictions |
//! | `calibration.rs` | fits isotonic, Platt and beta calibrators |
//! | `sign.rs` | manifest, signature, file |

mod bare;
mod build;
pub mod calibration;
mod forest;
mod golden;
mod net;
mod parts;
mod risk;
mod sign;
mod source;

pub use bare::bare;
pub use build::{Built, build};
pub use forest::model_part;
pub use golden::Golden;
pub use parts::{calibrator_part, policy_part, schema_part};
pub use sign::{PartSource, Provenance, encode, sign};
pub use source::{BundleSource, CostsSource, codes_of};
