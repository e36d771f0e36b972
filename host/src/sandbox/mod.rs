//! `tollgate.wasm` in wasmtime: no imports, bounded memory, bounded time.

mod calls;
mod compact;
mod deadline;
mod error;
mod instance;
mod onnx;
mod snapshot;

pub use compact::Compact;
pub use error::ScoreError;
pub use instance::{Instance, LoadedBundle};
pub use onnx::{activate, read_model};
pub use snapshot::Snapshot;

use crate::failure::{Failure, Result};
use deadline::Held;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wasmtime::{Config, Enabled, Engine, InstancePre, Linker, Module, PoolingAllocationConfig, StoreLimitsBuilder};

/// Memory of a place in the pool that stays with the process.
const RESIDENT_BYTES: usize = 16 << 20;

/// Bounds of one instance.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Memory that a guest may grow to.
    pub memory_bytes: usize,
    /// Time for loading one bundle.
    pub load_ms: u64,
    /// Time for one call that scores.
    pub call_ms: u64,
    /// Places that are kept for so many instances, where instances are made all the time; 0
    /// makes each from nothing.
    pub places: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { memory_bytes: 512 << 20, load_ms: 20_000, call_ms: 2_000, places: 0 }
    }
}

/// The compiled module, shared by all instances of a process.
pub struct Sandbox {
    compiled: Arc<Compiled>,
    bounds: Bounds,
}

/// A compiled module with its engine and clock.
struct Compiled {
    engine: Engine,
    module: InstancePre<Held>,
    running: Arc<AtomicBool>,
}

impl Sandbox {
    /// Compiles the embedded module.
    ///
    /// # Errors
    /// `SANDBOX` when wasmtime cannot compile it on this machine.
    pub fn new(bounds: Bounds) -> Result<Self> {
        Self::with_module(tollgate_module::TOLLGATE_WASM, bounds)
    }

    /// Compiles a module given as bytes; one with imports is refused.
    ///
    /// # Errors
    /// `SANDBOX` when it is no module, has imports, or cannot be compiled.
    pub fn with_module(wasm: &[u8], bounds: Bounds) -> Result<Self> {
        Ok(Self { compiled: Arc::new(Compiled::new(wasm, &bounds)?), bounds })
    }

    /// A fresh instance with its own memory.
    ///
    /// # Errors
    /// `SANDBOX` when memory or exports are not as expected.
    pub fn instance(&self) -> Result<Instance> {
        let limits = StoreLimitsBuilder::new().memory_size(self.bounds.memory_bytes).instances(1).memories(1).build();
        let mut store = deadline::store(&self.compiled.engine, limits);
        deadline::begin(&mut store, self.bounds.load_ms);
        let instance = self.compiled.module.instantiate(&mut store).map_err(failed)?;
        Instance::new(store, &instance, self.bounds)
    }
}

impl Compiled {
    fn new(wasm: &[u8], bounds: &Bounds) -> Result<Self> {
        let engine = Engine::new(&config(bounds)).map_err(failed)?;
        let module = Module::new(&engine, wasm).map_err(failed)?;
        if let Some(import) = module.imports().next() {
            let message = format!("the module imports {}.{}; it must import nothing", import.module(), import.name());
            return Err(Failure::refused("SANDBOX", message));
        }
        let module = Linker::new(&engine).instantiate_pre(&module).map_err(failed)?;
        let running = Arc::new(AtomicBool::new(true));
        tick(engine.clone(), Arc::clone(&running)).map_err(|error| failed(error.into()))?;
        Ok(Self { engine, module, running })
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Relaxed);
    }
}

fn config(bounds: &Bounds) -> Config {
    let mut config = Config::new();
    if bounds.places > 0 {
        config.allocation_strategy(pool(bounds));
    }
    // The same bits everywhere: no instruction that may differ by machine. NaNs need no
    // help here, which would cost a compare and a select in every addition: the module
    // itself gives the NaNs that leave it one form, on engines without that option too.
    config.wasm_relaxed_simd(false);
    config.epoch_interruption(true);
    config.max_wasm_stack(1 << 20);
    config
}

/// Memory of instances that is used again: what one wrote is set back before the next has it.
/// Up to some size that is done in place, which spares the faults of fresh pages.
fn pool(bounds: &Bounds) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(bounds.places)
        .total_memories(bounds.places)
        .total_tables(bounds.places)
        .max_memory_size(bounds.memory_bytes)
        .linear_memory_keep_resident(RESIDENT_BYTES)
        .table_keep_resident(RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Advances the epoch every millisecond: deadlines are counted in these ticks.
fn tick(engine: Engine, running: Arc<AtomicBool>) -> std::io::Result<()> {
    let run = move || {
        while running.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
            engine.increment_epoch();
        }
    };
    std::thread::Builder::new().name("tollgate-ticks".into()).spawn(run).map(|_| ())
}

fn failed(error: wasmtime::Error) -> Failure {
    Failure::refused("SANDBOX", format!("{error:#}"))
}
