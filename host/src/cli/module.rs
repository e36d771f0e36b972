//! `tollgate module`: the module itself, for embedders.

use super::output;
use crate::failure::{self, Result};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tollgate_module::TOLLGATE_WASM;

/// Write tollgate.wasm, the module that this command embeds.
///
/// It has no imports and a small C ABI; any WebAssembly runtime can load it.
#[derive(Args)]
pub(super) struct Module {
    /// Where to write it.
    #[arg(short, long, default_value = "tollgate.wasm")]
    output: PathBuf,
    /// Print what was written as JSON.
    #[arg(long)]
    json: bool,
}

impl Module {
    pub(super) fn run(&self) -> Result<()> {
        failure::write(&self.output, TOLLGATE_WASM)?;
        output::facts(
            self.json,
            &json!({
                "module": self.output.display().to_string(),
                "bytes": TOLLGATE_WASM.len(),
                "abi": tollgate_scorer::ABI_VERSION,
            }),
        )
    }
}
