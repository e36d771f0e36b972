//! The decision core of Tollgate: signed bundle bytes in, decision out.
//!
//! Pure and `no_std`: no clock, no randomness, no files, no network, no logging. The
//! same bundle and row give the same bits on every runtime.
//!
//! ```text
//! bytes --verify--> Verified<Bundle> --activate--> Scorer
//! input --> FeatureRow --> Model --> Margin --> Calibrator --> Probability --> Policy --> Decision
//! ```
//!
//! ```
//! use tollgate_scorer::{Code, Scorer, Trust, trust::TrustedKeys, verify};
//! let ed25519_basepoint = {
//!     let mut key = [0x66; 32];
//!     key[0] = 0x58;
//!     key
//! };
//! let keys = TrustedKeys::parse(&ed25519_basepoint).unwrap();
//! let trust = Trust { keys, expected: None, now_ms: None };
//! let refused = verify(b"not a bundle", &trust).and_then(|bundle| Scorer::activate(&bundle));
//! assert_eq!(refused.unwrap_err().code, Code::Malformed);
//! ```

#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

extern crate alloc;

mod action;
pub mod bundle;
mod calibrator;
pub mod cbor;
mod decision;
mod error;
mod features;
mod golden;
mod json;
pub mod limits;
mod math;
pub mod model;
pub mod policy;
mod reasons;
mod request;
mod schema;
mod scorer;
pub mod trust;

pub use action::Action;
pub use bundle::{Bundle, BundleDigest, Trust, Verified, verify};
pub use calibrator::{Calibrator, CalibratorWire, Curve, Probability};
pub use decision::{Compact, Decision, Event, one_nan};
pub use error::{Code, Error, Result};
pub use features::{FeatureRow, Raw, State};
pub use golden::GoldenWire;
pub use model::{Margin, Model, Rows, Scratch};
pub use policy::{CostMatrix, Costs, CutOffs, Policy, Source};
pub use reasons::{DEFAULT_MOST, GroupWire, Reasons, ReasonsWire};
pub use request::Request;
pub use schema::{Feature, FeatureId, FeatureWire, Kind, LogMask, Range, Schema, SchemaWire, WhenMissing};
pub use scorer::Scorer;

/// The version of the module's calls; a bundle names the lowest that can load it.
pub const ABI_VERSION: u32 = 1;
