//! `tollgate admin`: what operators ask of a running sidecar.

use super::output;
use crate::failure::{self, Failure, Result};
use crate::serve::client::{self, Target};
use bytes::Bytes;
use clap::{Args, Subcommand};
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Time for an answer: a reload verifies a bundle.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of the longest answer.
const ANSWER_BYTES: usize = 1 << 20;
/// Bytes of the longest token file.
const TOKEN_BYTES: usize = 4096;

/// Look at and steer a running sidecar.
#[derive(Args)]
pub(super) struct Admin {
    /// The admin listener: unix:PATH or http://HOST:PORT.
    #[arg(long, env = "TOLLGATE_ADMIN_AT")]
    at: String,
    /// File with the token that a TCP listener asks for.
    #[arg(long, env = "TOLLGATE_ADMIN_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// JSON, and not a line a fact.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// What serves, since when, and how the log does.
    Status,
    /// Look for a new bundle now, and read the trusted keys again.
    Reload {
        /// Take a bundle again that was rolled back.
        #[arg(long)]
        unhold: bool,
    },
    /// Serve the previous bundle; the one that serves now is not taken again by itself.
    Rollback,
    /// Change the level of the sidecar's messages until it ends.
    LogLevel {
        /// error, warn, info, debug or trace.
        level: String,
    },
}

impl Admin {
    pub(super) fn run(&self) -> Result<()> {
        let answer = match &self.action {
            Action::Status => self.send(Method::GET, "/v1/status", &Value::Null),
            Action::Reload { unhold } => self.send(Method::POST, "/v1/reload", &json!({"unhold": unhold})),
            Action::Rollback => self.send(Method::POST, "/v1/rollback", &json!({})),
            Action::LogLevel { level } => self.send(Method::PUT, "/v1/log-level", &json!({"level": level})),
        }?;
        output::facts(self.json, &answer)
    }

    fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(file) = &self.token_file {
            let token = failure::read_text(file, TOKEN_BYTES)?;
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = request.body(body).map_err(|error| Failure::usage(error.to_string()))?;
        let answer = client::send_blocking(&Target::parse(&self.at)?, request, PATIENCE, ANSWER_BYTES)?;
        let status = answer.status();
        let read: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if status.is_success() {
            return Ok(read);
        }
        let code = read["code"].as_str().unwrap_or("ADMIN");
        let detail = read["detail"].as_str().unwrap_or("the sidecar said no");
        Err(Failure::refused("ADMIN", format!("{detail} ({status}, {code})")))
    }
}
