//! What the sidecar counts. Each worker counts for itself, so that counting costs no
//! contention; whoever reads adds up.

mod families;
mod histogram;
#[cfg(feature = "otlp")]
mod otlp;
mod text;

pub(super) use families::collect;
pub(super) use histogram::Histogram;
#[cfg(feature = "otlp")]
pub(super) use otlp::Exporter;
pub(super) use text::render;

use crate::fallback::Reason;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Decide,
    Batch,
    Explain,
    Infer,
    GrpcDecide,
    GrpcInfer,
    Info,
    Other,
}

impl Endpoint {
    pub(super) const ALL: [Self; 8] = [
        Self::Decide,
        Self::Batch,
        Self::Explain,
        Self::Infer,
        Self::GrpcDecide,
        Self::GrpcInfer,
        Self::Info,
        Self::Other,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Batch => "decide_batch",
            Self::Explain => "explain",
            Self::Infer => "infer",
            Self::GrpcDecide => "grpc_decide",
            Self::GrpcInfer => "grpc_infer",
            Self::Info => "info",
            Self::Other => "other",
        }
    }
}

/// A part of the way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Read,
    Score,
    Log,
}

impl Stage {
    pub(super) const ALL: [Self; 3] = [Self::Read, Self::Score, Self::Log];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Score => "score",
            Self::Log => "log",
        }
    }
}

/// Actions as they stand in a record.
pub(super) const ACTIONS: [&str; 3] = ["allow", "challenge", "block"];
/// Sources as they stand in a record; what is not known counts as the last.
pub(super) const SOURCES: [&str; 8] =
    ["cutoffs", "segment", "segment_cap", "missing_cap", "missing_floor", "required", "fallback", "other"];
/// States of features as they stand in a record.
pub(super) const STATES: [&str; 6] = ["missing", "null", "invalid", "stale", "timed_out", "quarantined"];
/// Answers by the first digit of their status.
pub(super) const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// Why a request or a connection was turned away.
pub(super) const SHED: [&str; 4] = ["requests", "connections", "log", "draining"];

/// A number that one thread raises.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds without a bus lock: INVARIANT: only the owning thread adds.
    pub(super) fn add(&self, by: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one worker counts.
#[derive(Debug, Default)]
pub(super) struct WorkerMetrics {
    pub(super) answers: [[Counter; CLASSES.len()]; Endpoint::ALL.len()],
    pub(super) durations: [Histogram; Endpoint::ALL.len()],
    pub(super) stages: [Histogram; Stage::ALL.len()],
    pub(super) decisions: [[Counter; SOURCES.len()]; ACTIONS.len()],
    pub(super) states: [Counter; STATES.len()],
    pub(super) degraded: Counter,
    pub(super) fallbacks: [Counter; Reason::ALL.len()],
    pub(super) traps: [Counter; 2],
    pub(super) refused: Counter,
    pub(super) restores: Counter,
    pub(super) shed: [Counter; SHED.len()],
}

impl WorkerMetrics {
    pub(super) fn answered(&self, endpoint: Endpoint, status: u16, micros: u64) {
        let class = usize::from(status / 100).saturating_sub(2).min(CLASSES.len() - 1);
        self.answers[endpoint as usize][class].add(1);
        self.durations[endpoint as usize].observe(micros);
    }

    pub(super) fn shed(&self, why: &str) {
        SHED.iter().zip(&self.shed).filter(|(name, _)| **name == why).for_each(|(_, counter)| counter.add(1));
    }

    /// Counts a decision by what its record says.
    pub(super) fn decided(&self, record: &[u8]) {
        let facts = super::record::Facts::read(record);
        let place =
            |list: &[&str], name: &[u8], or: usize| list.iter().position(|n| n.as_bytes() == name).unwrap_or(or);
        let action = place(&ACTIONS, facts.action, 0);
        let source = place(&SOURCES, facts.source, SOURCES.len() - 1);
        self.decisions[action][source].add(1);
        self.degraded.add(u64::from(facts.degraded));
        for state in facts.states() {
            if let Some(index) = STATES.iter().position(|name| name.as_bytes() == state) {
                self.states[index].add(1);
            }
        }
    }
}
