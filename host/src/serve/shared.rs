//! What all threads of the sidecar share.

use super::bundles::Active;
use super::metrics::{Counter, WorkerMetrics};
use super::settings::Settings;
use crate::failure::Result;
use crate::fallback::Fallback;
use crate::log::mask::HashKey;
use crate::log::writer::DecisionLog;
use crate::sandbox::Sandbox;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use tokio::sync::watch;

/// What all threads share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    /// The module that bundles run in, but for those that need another one.
    pub(super) sandbox: Arc<Sandbox>,
    /// The bundle that serves.
    pub(super) active: ArcSwapOption<Active>,
    /// What answers while there is none.
    pub(super) without_bundle: Option<Fallback>,
    pub(super) log: Option<DecisionLog>,
    pub(super) hash_key: Option<HashKey>,
    pub(super) workers: Box<[WorkerMetrics]>,
    pub(super) gauges: Gauges,
    /// What gRPC clients read of our health.
    pub(super) health: tonic_health::server::HealthReporter,
    /// Whether the sidecar is ending.
    pub(super) phase: watch::Sender<Phase>,
    pub(super) started_ms: u64,
}

/// Where the sidecar is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Requests are taken.
    Serving,
    /// Requests are still taken, but readiness says no.
    Leaving,
    /// Open requests end, nothing new is taken.
    Draining,
}

/// Numbers that several threads change.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    pub(super) connections: AtomicI64,
    pub(super) requests: AtomicI64,
    pub(super) connections_refused: AtomicU64,
    /// By outcome, see `RELOADS`.
    pub(super) reloads: [Counter; RELOADS.len()],
    /// The last look at the source failed.
    pub(super) source_failing: AtomicBool,
}

/// What became of looks at the source of bundles.
pub(super) const RELOADS: [&str; 5] = ["swapped", "unchanged", "refused", "unreachable", "rolled_back"];

impl Shared {
    /// The module that a bundle runs in: the one that is named, or the one that it needs.
    ///
    /// # Errors
    /// `INCOMPATIBLE` when that is the ONNX module and it is not there.
    pub(super) fn sandbox_for(&self, bundle: &[u8]) -> Result<Arc<Sandbox>> {
        if self.settings.module.is_some() { Ok(Arc::clone(&self.sandbox)) } else { self.sandbox.suited(bundle) }
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.phase() == Phase::Serving && (self.active.load().is_some() || self.without_bundle.is_some())
    }

    /// Counts a look at the source, and whether what stands there is of no use.
    /// INVARIANT: only the bundle keeper calls this.
    pub(super) fn reloaded(&self, outcome: &str, failing: bool) {
        let counters = RELOADS.iter().zip(&self.gauges.reloads);
        counters.filter(|(name, _)| **name == outcome).for_each(|(_, counter)| counter.add(1));
        self.gauges.source_failing.store(failing, Ordering::Relaxed);
    }
}
