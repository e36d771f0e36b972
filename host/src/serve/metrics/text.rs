//! The counts in the text format of Prometheus.

use super::histogram::BOUNDS_US;
use super::{ACTIONS, CLASSES, Endpoint, Histogram, SHED, SOURCES, STATES, Stage, WorkerMetrics};
use crate::fallback::Reason;
use crate::serve::shared::{RELOADS, Shared};
use std::fmt::Write;
use std::sync::atomic::Ordering;

/// All metrics, as `/metrics` shows them.
pub(in crate::serve) fn render(shared: &Shared) -> String {
    let mut page = Page { text: String::with_capacity(16 << 10), workers: &shared.workers };
    requests(&mut page, shared);
    decisions(&mut page);
    bundle(&mut page, shared);
    log(&mut page, shared);
    process(&mut page, shared);
    page.text
}

struct Page<'s> {
    text: String,
    workers: &'s [WorkerMetrics],
}

impl Page<'_> {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = match labels {
            "" => writeln!(self.text, "{name} {value}"),
            labels => writeln!(self.text, "{name}{{{labels}}} {value}"),
        };
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }

    fn sum(&self, count: impl Fn(&WorkerMetrics) -> u64) -> u64 {
        self.workers.iter().map(count).sum()
    }

    /// A counter by one label.
    fn by(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: &[&str],
        count: impl Fn(&WorkerMetrics, usize) -> u64,
    ) {
        self.head(name, "counter", help);
        for (index, value) in values.iter().enumerate() {
            let sum = self.sum(|worker| count(worker, index));
            self.line(name, &format!("{label}=\"{value}\""), sum);
        }
    }

    fn histogram(&mut self, name: &str, label: &str, of: impl Fn(&WorkerMetrics) -> &Histogram) {
        let mut counts = [0; BOUNDS_US.len() + 1];
        let mut sum_us = 0;
        for worker in self.workers {
            let (own, own_us) = of(worker).read();
            counts.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
            sum_us += own_us;
        }
        if counts.iter().all(|count| *count == 0) {
            return;
        }
        let mut total = 0;
        for (count, bound) in counts.iter().zip(BOUNDS_US) {
            total += count;
            self.line(&format!("{name}_bucket"), &format!("{label},le=\"{}\"", seconds(bound)), total);
        }
        total += counts[BOUNDS_US.len()];
        self.line(&format!("{name}_bucket"), &format!("{label},le=\"+Inf\""), total);
        self.line(&format!("{name}_sum"), label, seconds(sum_us));
        self.line(&format!("{name}_count"), label, total);
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn requests(page: &mut Page<'_>, shared: &Shared) {
    page.head("tollgate_requests_total", "counter", "Requests answered, by endpoint and class of status.");
    for endpoint in Endpoint::ALL {
        for (index, class) in CLASSES.iter().enumerate() {
            let count = page.sum(|worker| worker.answers[endpoint as usize][index].get());
            if count > 0 {
                let labels = format!("endpoint=\"{}\",code=\"{class}\"", endpoint.name());
                page.line("tollgate_requests_total", &labels, count);
            }
        }
    }
    let name = "tollgate_request_duration_seconds";
    page.head(name, "histogram", "From the head of a request to its answer, by endpoint.");
    for endpoint in Endpoint::ALL {
        let label = format!("endpoint=\"{}\"", endpoint.name());
        page.histogram(name, &label, |worker| &worker.durations[endpoint as usize]);
    }
    let name = "tollgate_stage_duration_seconds";
    page.head(name, "histogram", "Time in a stage of a request: read, score, log.");
    for stage in Stage::ALL {
        page.histogram(name, &format!("stage=\"{}\"", stage.name()), |worker| &worker.stages[stage as usize]);
    }
    let gauges = &shared.gauges;
    let open = gauges.requests.load(Ordering::Relaxed);
    page.one("tollgate_requests_in_flight", "gauge", "Requests that are being read or decided.", open);
    let open = gauges.connections.load(Ordering::Relaxed);
    page.one("tollgate_connections", "gauge", "Open connections.", open);
    let refused = gauges.connections_refused.load(Ordering::Relaxed);
    page.by(
        "tollgate_shed_total",
        "Requests and connections turned away, by cause.",
        "cause",
        &SHED,
        |worker, index| worker.shed[index].get(),
    );
    page.one("tollgate_connections_refused_total", "counter", "Connections beyond limits.connections.", refused);
}

fn decisions(page: &mut Page<'_>) {
    page.head("tollgate_decisions_total", "counter", "Decisions, by action and the stage that had the last word.");
    for (action, name) in ACTIONS.iter().enumerate() {
        for (source, from) in SOURCES.iter().enumerate() {
            let count = page.sum(|worker| worker.decisions[action][source].get());
            if count > 0 {
                page.line("tollgate_decisions_total", &format!("action=\"{name}\",source=\"{from}\""), count);
            }
        }
    }
    let help = "Features that were not present in a decided request, by state.";
    page.by("tollgate_feature_states_total", help, "state", &STATES, |worker, index| worker.states[index].get());
    let degraded = page.sum(|worker| worker.degraded.get());
    page.one("tollgate_degraded_decisions_total", "counter", "Decisions for which something stood in.", degraded);
    let refused = page.sum(|worker| worker.refused.get());
    page.one("tollgate_refused_requests_total", "counter", "Requests that could not be scored.", refused);
    let reasons = Reason::ALL.map(Reason::name);
    let help = "Decisions that the fallback made, by reason.";
    page.by("tollgate_fallbacks_total", help, "reason", &reasons, |worker, index| worker.fallbacks[index].get());
    let help = "Calls of the guest that ended in a trap or at the deadline.";
    page.by("tollgate_guest_traps_total", help, "kind", &["trap", "deadline"], |worker, i| worker.traps[i].get());
    let restores = page.sum(|worker| worker.restores.get());
    page.one("tollgate_guest_instances_total", "counter", "Instances of the module made.", restores);
}

fn bundle(page: &mut Page<'_>, shared: &Shared) {
    page.head("tollgate_bundle_reloads_total", "counter", "Looks at the source of bundles, by outcome.");
    for (name, counter) in RELOADS.iter().zip(&shared.gauges.reloads) {
        page.line("tollgate_bundle_reloads_total", &format!("outcome=\"{name}\""), counter.get());
    }
    let failing = u8::from(shared.gauges.source_failing.load(Ordering::Relaxed));
    page.one("tollgate_bundle_source_failing", "gauge", "1 while the source gives no good bundle.", failing);
    page.one("tollgate_ready", "gauge", "1 while requests are wanted.", u8::from(shared.is_ready()));
    let Some(active) = shared.active.load_full() else { return };
    page.head("tollgate_bundle_info", "gauge", "The bundle that serves.");
    let described = &active.described;
    let labels = format!(
        "name=\"{}\",version=\"{}\",digest=\"{}\",slot=\"stable\"",
        escaped(&described.name),
        escaped(&described.version),
        described.digest
    );
    page.line("tollgate_bundle_info", &labels, 1);
    let loaded = active.loaded_ms as f64 / 1e3;
    page.one("tollgate_bundle_loaded_timestamp_seconds", "gauge", "When it was loaded.", loaded);
}

fn log(page: &mut Page<'_>, shared: &Shared) {
    let Some(log) = &shared.log else { return };
    let (counts, stats) = (log.counts(), log.stats());
    page.one("tollgate_log_records_total", "counter", "Records that the log took.", counts.queued);
    page.one("tollgate_log_dropped_total", "counter", "Records that found no room.", counts.dropped);
    page.one("tollgate_log_queue_bytes", "gauge", "Records that wait to be written.", counts.waiting_bytes);
    let written = stats.written_bytes.load(Ordering::Relaxed);
    page.one("tollgate_log_written_bytes_total", "counter", "Bytes of the log on the disk.", written);
    let errors = stats.errors.load(Ordering::Relaxed);
    page.one("tollgate_log_errors_total", "counter", "Writes of the log that failed.", errors);
    let failing = u8::from(stats.failing.load(Ordering::Relaxed));
    page.one("tollgate_log_failing", "gauge", "1 while the disk takes nothing.", failing);
    let removed = stats.removed.load(Ordering::Relaxed);
    page.one("tollgate_log_segments_removed_total", "counter", "Segments that retention removed.", removed);
}

fn process(page: &mut Page<'_>, shared: &Shared) {
    page.head("tollgate_build_info", "gauge", "The version of the sidecar.");
    page.line("tollgate_build_info", concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""), 1);
    let started = shared.started_ms as f64 / 1e3;
    page.one("process_start_time_seconds", "gauge", "When the process began.", started);
    if let Some(bytes) = resident_bytes() {
        page.one("process_resident_memory_bytes", "gauge", "Memory in use.", bytes);
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
