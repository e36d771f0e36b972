//! `tollgate serve`: the sidecar.

use super::output::Output;
use crate::failure::{Failure, Result};
use crate::serve::{self, Overrides};
use clap::Args;
use std::path::PathBuf;

/// Serve decisions over HTTP and gRPC, beside the program that asks for them.
///
/// Settings come from a file (--config), then from the environment (TOLLGATE_BUNDLE,
/// TOLLGATE_LOG__DIR, ..), then from flags; the later outranks the earlier. SIGHUP looks
/// for a new bundle, SIGTERM ends the sidecar after its open requests.
#[derive(Args)]
pub(super) struct Serve {
    /// Settings, TOML; see --print-config.
    #[arg(long, env = "TOLLGATE_CONFIG")]
    config: Option<PathBuf>,
    /// A bundle file, a folder of bundles (the newest serves), or a URL.
    #[arg(long)]
    bundle: Option<String>,
    /// A public key that may have signed the bundle; may be given again.
    #[arg(long)]
    trust: Vec<String>,
    /// Where to listen: HOST:PORT or unix:PATH; may be given again.
    #[arg(long)]
    listen: Vec<String>,
    /// Folder for the last good bundle and the admin socket.
    #[arg(long)]
    state_dir: Option<String>,
    /// Folder of the decision log.
    #[arg(long)]
    log_dir: Option<String>,
    /// Threads; one a core without it.
    #[arg(long)]
    workers: Option<usize>,
    /// Any setting by its name: --set limits.body_bytes=65536; may be given again.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// Print all settings that are in force, and end.
    #[arg(long)]
    print_config: bool,
}

impl Serve {
    pub(super) fn run(&self) -> Result<()> {
        let settings = serve::read_settings(self.config.as_deref(), &self.overrides()?)?;
        if self.print_config {
            let mut output = Output::new();
            output.line(serve::shown(&settings)?.trim_end())?;
            return output.finish();
        }
        serve::run(settings)
    }

    fn overrides(&self) -> Result<Overrides> {
        let mut all = Overrides::new();
        let mut push = |name: &str, text: Option<String>| all.extend(text.map(|text| (name.to_owned(), text)));
        let text = |text: &str| Some(toml::Value::String(text.into()).to_string());
        let list = |list: &[String]| (!list.is_empty()).then(|| toml::Value::from(list.to_vec()).to_string());
        push("bundle", self.bundle.as_deref().and_then(text));
        push("trust", list(&self.trust));
        push("listen", list(&self.listen));
        push("state_dir", self.state_dir.as_deref().and_then(text));
        push("log.dir", self.log_dir.as_deref().and_then(text));
        push("scoring.workers", self.workers.map(|workers| workers.to_string()));
        for setting in &self.settings {
            let pair = setting.split_once('=');
            let (name, value) = pair.ok_or_else(|| Failure::usage(format!("--set {setting}: NAME=VALUE expected")))?;
            push(name, Some(value.to_owned()));
        }
        Ok(all)
    }
}
