//! All counts as families of samples, which the text format and OTLP are written from.

use super::histogram::BOUNDS_US;
use super::{ACTIONS, CLASSES, Endpoint, Histogram, SHED, SOURCES, STATES, Stage, WorkerMetrics};
use crate::fallback::Reason;
use crate::serve::shared::{RELOADS, Shared};
use std::sync::atomic::Ordering;

/// A metric with its samples.
pub(in crate::serve) struct Family {
    pub(in crate::serve) name: &'static str,
    pub(in crate::serve) kind: Kind,
    pub(in crate::serve) help: &'static str,
    pub(in crate::serve) samples: Vec<Sample>,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One value of a metric.
pub(in crate::serve) struct Sample {
    pub(in crate::serve) labels: Vec<(&'static str, String)>,
    pub(in crate::serve) value: Value,
}

/// A number, or counts by bucket (of `BOUNDS_US` and one beyond) with the sum.
pub(in crate::serve) enum Value {
    Number(f64),
    Buckets([u64; BOUNDS_US.len() + 1], u64),
}

/// Everything that the sidecar counts, as of now.
pub(in crate::serve) fn collect(shared: &Shared) -> Vec<Family> {
    let mut page = Collector { families: Vec::new(), workers: &shared.workers };
    requests(&mut page, shared);
    decisions(&mut page);
    bundle(&mut page, shared);
    log(&mut page, shared);
    process(&mut page, shared);
    page.families
}

struct Collector<'s> {
    families: Vec<Family>,
    workers: &'s [WorkerMetrics],
}

impl Collector<'_> {
    fn head(&mut self, name: &'static str, kind: Kind, help: &'static str) {
        self.families.push(Family { name, kind, help, samples: Vec::new() });
    }

    /// One more sample of the metric whose head came last.
    fn sample(&mut self, labels: &[(&'static str, &str)], value: Value) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if let Some(family) = self.families.last_mut() {
            family.samples.push(Sample { labels, value });
        }
    }

    fn number(&mut self, labels: &[(&'static str, &str)], value: impl Number) {
        self.sample(labels, Value::Number(value.number()));
    }

    fn one(&mut self, name: &'static str, kind: Kind, help: &'static str, value: impl Number) {
        self.head(name, kind, help);
        self.number(&[], value);
    }

    fn sum(&self, count: impl Fn(&WorkerMetrics) -> u64) -> u64 {
        self.workers.iter().map(count).sum()
    }

    /// A counter by one label.
    fn by(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: &[&str],
        count: impl Fn(&WorkerMetrics, usize) -> u64,
    ) {
        self.head(name, Kind::Counter, help);
        for (index, value) in values.iter().enumerate() {
            let sum = self.sum(|worker| count(worker, index));
            self.number(&[(label, value)], sum);
        }
    }

    fn histogram(&mut self, label: (&'static str, &str), of: impl Fn(&WorkerMetrics) -> &Histogram) {
        let mut counts = [0; BOUNDS_US.len() + 1];
        let mut sum_us = 0;
        for worker in self.workers {
            let (own, own_us) = of(worker).read();
            counts.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
            sum_us += own_us;
        }
        if counts.iter().any(|count| *count > 0) {
            self.sample(&[label], Value::Buckets(counts, sum_us));
        }
    }
}

/// What counts come as; whole numbers are exact up to 2^53.
trait Number {
    fn number(self) -> f64;
}

impl Number for u64 {
    fn number(self) -> f64 {
        self as f64
    }
}

impl Number for i64 {
    fn number(self) -> f64 {
        self as f64
    }
}

impl Number for u8 {
    fn number(self) -> f64 {
        f64::from(self)
    }
}

impl Number for f64 {
    fn number(self) -> f64 {
        self
    }
}

fn requests(page: &mut Collector<'_>, shared: &Shared) {
    page.head("tollgate_requests_total", Kind::Counter, "Requests answered, by endpoint and class of status.");
    for endpoint in Endpoint::ALL {
        for (index, class) in CLASSES.iter().enumerate() {
            let count = page.sum(|worker| worker.answers[endpoint as usize][index].get());
            if count > 0 {
                page.number(&[("endpoint", endpoint.name()), ("code", class)], count);
            }
        }
    }
    page.head(
        "tollgate_request_duration_seconds",
        Kind::Histogram,
        "From the head of a request to its answer, by endpoint.",
    );
    for endpoint in Endpoint::ALL {
        page.histogram(("endpoint", endpoint.name()), |worker| &worker.durations[endpoint as usize]);
    }
    page.head("tollgate_stage_duration_seconds", Kind::Histogram, "Time in a stage of a request: read, score, log.");
    for stage in Stage::ALL {
        page.histogram(("stage", stage.name()), |worker| &worker.stages[stage as usize]);
    }
    let gauges = &shared.gauges;
    let open = gauges.requests.load(Ordering::Relaxed);
    page.one("tollgate_requests_in_flight", Kind::Gauge, "Requests that are being read or decided.", open);
    let open = gauges.connections.load(Ordering::Relaxed);
    page.one("tollgate_connections", Kind::Gauge, "Open connections.", open);
    let refused = gauges.connections_refused.load(Ordering::Relaxed);
    page.by(
        "tollgate_shed_total",
        "Requests and connections turned away, by cause.",
        "cause",
        &SHED,
        |worker, index| worker.shed[index].get(),
    );
    page.one("tollgate_connections_refused_total", Kind::Counter, "Connections beyond limits.connections.", refused);
}

fn decisions(page: &mut Collector<'_>) {
    page.head("tollgate_decisions_total", Kind::Counter, "Decisions, by action and the stage that had the last word.");
    for (action, name) in ACTIONS.iter().enumerate() {
        for (source, from) in SOURCES.iter().enumerate() {
            let count = page.sum(|worker| worker.decisions[action][source].get());
            if count > 0 {
                page.number(&[("action", name), ("source", from)], count);
            }
        }
    }
    let help = "Features that were not present in a decided request, by state.";
    page.by("tollgate_feature_states_total", help, "state", &STATES, |worker, index| worker.states[index].get());
    let degraded = page.sum(|worker| worker.degraded.get());
    page.one("tollgate_degraded_decisions_total", Kind::Counter, "Decisions for which something stood in.", degraded);
    let refused = page.sum(|worker| worker.refused.get());
    page.one("tollgate_refused_requests_total", Kind::Counter, "Requests that could not be scored.", refused);
    let reasons = Reason::ALL.map(Reason::name);
    let help = "Decisions that the fallback made, by reason.";
    page.by("tollgate_fallbacks_total", help, "reason", &reasons, |worker, index| worker.fallbacks[index].get());
    let help = "Calls of the guest that ended in a trap or at the deadline.";
    page.by("tollgate_guest_traps_total", help, "kind", &["trap", "deadline"], |worker, i| worker.traps[i].get());
    let restores = page.sum(|worker| worker.restores.get());
    page.one("tollgate_guest_instances_total", Kind::Counter, "Instances of the module made.", restores);
}

fn bundle(page: &mut Collector<'_>, shared: &Shared) {
    page.head("tollgate_bundle_reloads_total", Kind::Counter, "Looks at the source of bundles, by outcome.");
    for (name, counter) in RELOADS.iter().zip(&shared.gauges.reloads) {
        page.number(&[("outcome", name)], counter.get());
    }
    let failing = u8::from(shared.gauges.source_failing.load(Ordering::Relaxed));
    page.one("tollgate_bundle_source_failing", Kind::Gauge, "1 while the source gives no good bundle.", failing);
    page.one("tollgate_ready", Kind::Gauge, "1 while requests are wanted.", u8::from(shared.is_ready()));
    let Some(active) = shared.active.load_full() else { return };
    page.head("tollgate_bundle_info", Kind::Gauge, "The bundle that serves.");
    let described = &active.described;
    let labels = [("name", &described.name), ("version", &described.version), ("digest", &described.digest)];
    let labels = labels.map(|(name, value)| (name, value.as_str()));
    page.number(&[&labels[..], &[("slot", "stable")]].concat(), 1_u64);
    let loaded = active.loaded_ms as f64 / 1e3;
    page.one("tollgate_bundle_loaded_timestamp_seconds", Kind::Gauge, "When it was loaded.", loaded);
}

fn log(page: &mut Collector<'_>, shared: &Shared) {
    let Some(log) = &shared.log else { return };
    let (counts, stats) = (log.counts(), log.stats());
    page.one("tollgate_log_records_total", Kind::Counter, "Records that the log took.", counts.queued);
    page.one("tollgate_log_dropped_total", Kind::Counter, "Records that found no room.", counts.dropped);
    page.one("tollgate_log_queue_bytes", Kind::Gauge, "Records that wait to be written.", counts.waiting_bytes);
    let written = stats.written_bytes.load(Ordering::Relaxed);
    page.one("tollgate_log_written_bytes_total", Kind::Counter, "Bytes of the log on the disk.", written);
    let errors = stats.errors.load(Ordering::Relaxed);
    page.one("tollgate_log_errors_total", Kind::Counter, "Writes of the log that failed.", errors);
    let failing = u8::from(stats.failing.load(Ordering::Relaxed));
    page.one("tollgate_log_failing", Kind::Gauge, "1 while the disk takes nothing.", failing);
    let removed = stats.removed.load(Ordering::Relaxed);
    page.one("tollgate_log_segments_removed_total", Kind::Counter, "Segments that retention removed.", removed);
}

fn process(page: &mut Collector<'_>, shared: &Shared) {
    page.head("tollgate_build_info", Kind::Gauge, "The version of the sidecar.");
    page.number(&[("version", env!("CARGO_PKG_VERSION"))], 1_u64);
    let started = shared.started_ms as f64 / 1e3;
    page.one("process_start_time_seconds", Kind::Gauge, "When the process began.", started);
    if let Some(bytes) = resident_bytes() {
        page.one("process_resident_memory_bytes", Kind::Gauge, "Memory in use.", bytes);
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
