//! A worker's instance of the module: made from the serving bundle's snapshot, made anew
//! when the bundle changes, after a trap, and in strict mode for each request.

use super::bundles::Active;
use super::settings::Isolation;
use crate::fallback::Reason;
use crate::sandbox::{Instance, LoadedBundle, ScoreError};
use tollgate_scorer::Code;

/// A worker's way to the module.
pub(super) struct Guest {
    isolation: Isolation,
    running: Option<Running>,
    /// Instances made so far.
    pub(super) made: u64,
}

struct Running {
    generation: u64,
    instance: Instance,
    bundle: LoadedBundle,
}

/// Why the guest gave no answer.
#[derive(Debug)]
pub(super) enum Silence {
    /// It says no: the request cannot be scored.
    Refused(Code, String),
    /// It is gone: the fallback answers.
    Lost(Reason, String),
}

impl Guest {
    pub(super) fn new(isolation: Isolation) -> Self {
        Self { isolation, running: None, made: 0 }
    }

    /// Calls the module with the serving bundle. An instance that traps is dropped; the
    /// next call gets a new one.
    pub(super) fn call<T>(
        &mut self,
        active: &Active,
        call: impl FnOnce(&mut Instance, LoadedBundle) -> Result<T, ScoreError>,
    ) -> Result<T, Silence> {
        let mut running = self.take(active)?;
        let outcome = call(&mut running.instance, running.bundle);
        match outcome {
            Err(error @ ScoreError::Lost(_)) => {
                let reason = if error.is_deadline() { Reason::Deadline } else { Reason::Trap };
                let ScoreError::Lost(text) = error else { return Err(Silence::Lost(reason, String::new())) };
                Err(Silence::Lost(reason, text))
            }
            Err(ScoreError::Refused(code, text)) => {
                self.keep(running);
                Err(Silence::Refused(code, text))
            }
            Ok(answer) => {
                self.keep(running);
                Ok(answer)
            }
        }
    }

    /// Makes the instance before the first request needs it.
    pub(super) fn warm(&mut self, active: &Active) {
        if let Ok(running) = self.take(active) {
            self.keep(running);
        }
    }

    fn take(&mut self, active: &Active) -> Result<Running, Silence> {
        if let Some(running) = self.running.take_if(|running| running.generation == active.generation) {
            return Ok(running);
        }
        self.running = None;
        self.made += 1;
        let restored = active.sandbox.restore(&active.snapshot);
        let (instance, bundle) = restored.map_err(|failure| Silence::Lost(Reason::Unavailable, failure.to_string()))?;
        Ok(Running { generation: active.generation, instance, bundle })
    }

    fn keep(&mut self, running: Running) {
        if self.isolation == Isolation::Reuse {
            self.running = Some(running);
        }
    }
}
