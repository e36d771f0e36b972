//! What a sidecar is told: a file, the environment, flags; the later outranks the earlier.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything that can be set. Durations are in milliseconds, sizes in bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A bundle file, a folder of bundles (the newest counts), or an http(s) URL.
    pub bundle: String,
    /// Files with the public keys, one of which must have signed the bundle.
    pub trust: Vec<PathBuf>,
    /// Certificates (PEM) that `https://` sources are checked against, in place of those of
    /// the system.
    pub ca_file: Option<PathBuf>,
    /// `HOST:PORT` or `unix:PATH`; HTTP/1.1, HTTP/2 and gRPC on each.
    pub listen: Vec<String>,
    /// Where the last good bundle is kept; without it a start needs the source.
    pub state_dir: Option<PathBuf>,
    /// How often the source is looked at.
    pub poll_ms: u64,
    /// The action to answer with before any bundle was loaded; without it that is 503.
    pub fallback_action: Option<String>,
    /// Another build of `tollgate.wasm` than the one inside.
    pub module: Option<PathBuf>,
    /// How decisions are made.
    pub scoring: Scoring,
    /// Bounds on what clients send.
    pub limits: Limits,
    /// The listener of operators.
    pub admin: Admin,
    /// The decision log.
    pub log: Log,
    /// The sidecar's own messages, on standard error.
    pub logging: Logging,
    /// Metrics for a collector of OpenTelemetry.
    pub otlp: Otlp,
    /// How the sidecar ends.
    pub shutdown: Shutdown,
}

/// How decisions are made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scoring {
    /// Threads that read requests and decide; 0 takes one a core.
    pub workers: usize,
    /// Time for one decision.
    pub deadline_ms: u64,
    /// Time for verifying and loading a bundle.
    pub load_ms: u64,
    /// Memory of one instance.
    pub memory_bytes: usize,
    /// `reuse`: an instance a worker. `per-request`: a fresh one for each request.
    pub isolation: Isolation,
    /// How long a worker looks for the next request without sleeping, in microseconds. To
    /// wake a thread takes longer than to decide, so this buys latency with processor time.
    pub spin_us: u64,
}

/// What an instance serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// One instance a worker, for as long as its bundle serves.
    Reuse,
    /// A fresh instance for each request.
    PerRequest,
}

/// Bounds on what clients send.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Body of one request.
    pub body_bytes: usize,
    /// Body of a batch.
    pub batch_bytes: usize,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Request line and headers.
    pub header_bytes: usize,
    /// Number of headers.
    pub headers: usize,
    /// Nesting of JSON.
    pub nesting: usize,
    /// Open connections.
    pub connections: usize,
    /// Requests that are being read or decided, over all workers.
    pub requests: usize,
    /// Streams of one HTTP/2 connection.
    pub streams: u32,
    /// Time for a request line with headers to arrive.
    pub header_ms: u64,
    /// Time for a request to arrive whole and be answered.
    pub request_ms: u64,
    /// Time that a connection may stand idle.
    pub idle_ms: u64,
}

/// The listener of operators.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// `unix:PATH`, or `HOST:PORT` with a token; empty for none. Without this setting it
    /// is `admin.sock` in the state folder.
    pub listen: Option<String>,
    /// File with the bearer token.
    pub token_file: Option<PathBuf>,
}

/// The decision log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Folder of the segments; without it nothing is logged.
    pub dir: Option<PathBuf>,
    /// Records that wait to be written, a worker.
    pub queue_bytes: usize,
    /// What happens when the queue is full.
    pub when_full: WhenFull,
    /// Size at which a new segment is begun.
    pub segment_bytes: u64,
    /// All segments together; the oldest go first. 0 keeps all.
    pub retain_bytes: u64,
    /// Age at which a segment goes. 0 keeps all.
    pub retain_hours: u64,
    /// At most so long until what is written is on the disk. 0 leaves it to the system.
    pub sync_ms: u64,
    /// Whether the input goes into the log, masked as the schema declares.
    pub input: bool,
    /// File with the key for hashed fields; without it they are dropped.
    pub hash_key_file: Option<PathBuf>,
}

/// What happens to a decision that the log has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// It is answered; the loss is counted and declared in the log.
    Drop,
    /// It waits for room until its time is over, then it is refused.
    Block,
    /// It is refused: no decision without a record.
    Refuse,
}

/// The sidecar's own messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// error, warn, info, debug or trace.
    pub level: String,
}

/// Metrics for a collector of OpenTelemetry, in builds with the feature `otlp`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Otlp {
    /// Where the collector takes OTLP over gRPC, such as `http://127.0.0.1:4317`; without it
    /// nothing is sent.
    pub endpoint: Option<String>,
    /// How often everything is sent.
    pub interval_ms: u64,
    /// What this service is called there.
    pub service: String,
}

/// How the sidecar ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// After the signal `/readyz` says no for so long while requests are still taken.
    pub delay_ms: u64,
    /// Time for open requests to end.
    pub drain_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bundle: String::new(),
            trust: Vec::new(),
            ca_file: None,
            listen: vec!["127.0.0.1:8080".into()],
            state_dir: None,
            poll_ms: 5_000,
            fallback_action: None,
            module: None,
            scoring: Scoring::default(),
            limits: Limits::default(),
            admin: Admin::default(),
            log: Log::default(),
            logging: Logging::default(),
            otlp: Otlp::default(),
            shutdown: Shutdown::default(),
        }
    }
}

impl Default for Scoring {
    fn default() -> Self {
        Self {
            workers: 0,
            deadline_ms: 100,
            load_ms: 20_000,
            memory_bytes: 512 << 20,
            isolation: Isolation::Reuse,
            spin_us: 0,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 256 << 10,
            batch_bytes: 8 << 20,
            batch_rows: 1_000,
            header_bytes: 16 << 10,
            headers: 64,
            nesting: 16,
            connections: 10_000,
            requests: 4_096,
            streams: 128,
            header_ms: 5_000,
            request_ms: 10_000,
            idle_ms: 75_000,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            dir: None,
            queue_bytes: 8 << 20,
            when_full: WhenFull::Drop,
            segment_bytes: 64 << 20,
            retain_bytes: 1 << 30,
            retain_hours: 0,
            sync_ms: 1_000,
            input: true,
            hash_key_file: None,
        }
    }
}

impl Default for Logging {
    fn default() -> Self {
        Self { level: "info".into() }
    }
}

impl Default for Otlp {
    fn default() -> Self {
        Self { endpoint: None, interval_ms: 10_000, service: "tollgate".into() }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { delay_ms: 0, drain_ms: 10_000 }
    }
}
