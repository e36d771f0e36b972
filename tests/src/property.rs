//! Property tests: one way of running them.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestRunner};

/// Tries so many values of a strategy; a test fails by panicking.
///
/// Failures are not written to disk: the message holds the shrunk value.
///
/// # Panics
/// With the smallest value found for which the test panics.
#[track_caller]
pub fn check<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&strategy, |value| {
        test(value);
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}
