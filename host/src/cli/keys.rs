//! `tollgate keys`

use super::output;
use crate::failure::Result;
use crate::keys;
use clap::Subcommand;
use serde_json::json;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum Keys {
    /// Make a key pair: NAME.key signs bundles and stays secret, NAME.pub goes to
    /// everybody who verifies. Existing files are never overwritten.
    New {
        /// Where to write, without the ending.
        #[arg(short, long, default_value = "tollgate")]
        output: PathBuf,
        /// Print what was written as JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Keys {
    pub(super) fn run(&self) -> Result<()> {
        let Self::New { output, json } = self;
        let key = keys::generate()?;
        let (secret, public) = keys::save(&key, output)?;
        output::facts(
            *json,
            &json!({
                "key_id": keys::id(&key.verifying_key()),
                "secret": secret.display().to_string(),
                "public": public.display().to_string(),
            }),
        )
    }
}
