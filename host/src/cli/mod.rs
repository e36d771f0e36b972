//! The `tollgate` command: one file a subcommand.

mod admin;
mod bundle;
mod check;
mod doctor;
mod explain;
mod keys;
mod log;
mod model;
mod module;
mod output;
mod policy;
mod replay;
mod score;
mod serve;
mod types;

use crate::failure::Result;
use crate::fallback::Fallback;
use crate::sandbox::{Bounds, Instance, LoadedBundle, Sandbox};
use clap::{Parser, Subcommand};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use tollgate_scorer::limits;

/// Decide allow, challenge or block with a signed risk model in a sandbox.
///
/// A bundle is one signed file: model, calibrator, policy, golden rows. `tollgate bundle
/// build` makes one from a folder, `tollgate score` decides with it.
///
/// Exit status: 0 done, 1 differences or bad lines were found, 2 wrong usage, 3 a
/// bundle, model or key was refused, 4 a file could not be read or written.
#[derive(Parser)]
#[command(name = "tollgate", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make keys for signing bundles.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Look at a trained model: predict with it, check it against its trainer.
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Build, verify and inspect signed bundles.
    #[command(subcommand)]
    Bundle(bundle::BundleCommand),
    /// Decide for rows of features: one decision record a line.
    Score(score::Score),
    /// Explain one decision: what each feature adds to the risk, as bars and as a picture.
    Explain(explain::Explain),
    /// Which features matter over many rows: mean absolute contribution.
    Importance(explain::Importance),
    /// Work out cut-offs from costs.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Decide logged inputs again and say which records differ.
    Replay(replay::Replay),
    /// Serve decisions over HTTP and gRPC: the sidecar.
    Serve(Box<serve::Serve>),
    /// Look at and steer a running sidecar.
    Admin(admin::Admin),
    /// Read and check decision logs.
    #[command(subcommand)]
    Log(log::LogCommand),
    /// Check a running sidecar, as after a deploy.
    Doctor(doctor::Doctor),
    /// Write the WebAssembly module to a file, for embedding elsewhere.
    Module(module::Module),
    /// Write TypeScript types of a bundle's features and reasons.
    Types(types::Types),
}

/// Runs the command line and reports a failure as one sentence on stderr.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Keys(command) => command.run(),
        Command::Model(command) => command.run(),
        Command::Bundle(command) => command.run(),
        Command::Score(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Importance(command) => command.run(),
        Command::Policy(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Admin(command) => command.run(),
        Command::Log(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Module(command) => command.run(),
        Command::Types(command) => command.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tollgate: {failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// A sandbox with one bundle loaded, as scoring commands need it.
struct Running {
    sandbox: Sandbox,
    instance: Instance,
    bundle: LoadedBundle,
    file: Vec<u8>,
    key: [u8; 32],
    /// What answers when the sandbox cannot.
    fallback: Fallback,
}

impl Running {
    /// Reads bundle and key, verifies and activates inside the sandbox.
    fn start(bundle: &Path, trust: &Path) -> Result<Self> {
        Self::start_with(bundle, trust, None)
    }

    /// The same with another build of the module.
    fn start_with(bundle: &Path, trust: &Path, module: Option<&Path>) -> Result<Self> {
        let key = crate::keys::load_public(trust)?.to_bytes();
        let file = crate::failure::read(bundle, limits::BUNDLE_BYTES)?;
        let sandbox = match module {
            None => Sandbox::for_bundle(&file, Bounds::default())?,
            Some(path) => Sandbox::with_module(&crate::failure::read(path, limits::BUNDLE_BYTES)?, Bounds::default())?,
        };
        let mut instance = sandbox.instance()?;
        let loaded = instance.load(&file, &[key], None, Some(now_ms()))?;
        let fallback = Fallback::of(&instance.describe(loaded)?);
        Ok(Self { sandbox, instance, bundle: loaded, file, key, fallback })
    }

    /// After a trap: a fresh instance from the same verified bytes.
    fn restart(&mut self) -> Result<()> {
        self.instance = self.sandbox.instance()?;
        self.bundle = self.instance.load(&self.file, &[self.key], None, Some(now_ms()))?;
        Ok(())
    }
}

/// The host's clock, milliseconds since 1970.
fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
