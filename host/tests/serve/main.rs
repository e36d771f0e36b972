//! The sidecar from end to end, as a process of its own: what it answers, what it keeps,
//! and what must hold when things go wrong.
//!
//! No test depends on speed: they wait for what has to come, up to a minute, and clients
//! try again when a connection fails. `TOLLGATE_SOAK=1` runs the long versions.

#![cfg(unix)]

mod admin;
mod answers;
mod bundles;
mod clocks;
mod disk;
mod faults;
mod faulty;
mod graphs;
mod logs;
mod sidecar;
mod slow;
mod tls;
#[path = "../workshop/mod.rs"]
mod workshop;

/// How often something is repeated: in `make test`, and in the long version.
fn rounds(usual: usize, soak: usize) -> usize {
    if std::env::var_os("TOLLGATE_SOAK").is_some() { soak } else { usual }
}
