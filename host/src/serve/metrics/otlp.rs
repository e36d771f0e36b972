//! The counts sent to a collector of OpenTelemetry: OTLP over gRPC, every few seconds.
//!
//! Names, labels and values are those of `/metrics`. A collector that is away costs nothing
//! but a message: counts are cumulative, so the next one that arrives tells all.

use super::families::{Family, Kind, Sample, Value, collect};
use super::histogram::BOUNDS_US;
use crate::failure::{Failure, Result};
use crate::serve::bundles::now_ms;
use crate::serve::shared::Shared;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};

/// Time for one export.
const EXPORT: Duration = Duration::from_secs(5);

/// The running exporter.
pub(in crate::serve) struct Exporter {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Exporter {
    /// Starts the thread, if the settings name a collector.
    ///
    /// # Errors
    /// `USAGE` for an address that is none, `IO` without a thread.
    pub(in crate::serve) fn start(shared: &Arc<Shared>) -> Result<Option<Self>> {
        let Some(address) = shared.settings.otlp.endpoint.clone() else { return Ok(None) };
        let wrong = |error: tonic::transport::Error| Failure::usage(format!("otlp.endpoint {address}: {error}"));
        let endpoint = Endpoint::from_shared(address.clone()).map_err(wrong)?.timeout(EXPORT);
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(shared);
        let run = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(export(&shared, &endpoint, stopped)),
            Err(error) => tracing::error!(code = "OTLP", %error, "nothing is exported"),
        };
        let thread = std::thread::Builder::new().name("tollgate-otlp".into()).spawn(run);
        let thread = thread.map_err(|error| Failure::refused("IO", format!("no thread for OTLP: {error}")))?;
        Ok(Some(Self { stop, thread }))
    }

    /// Sends the last counts and ends.
    pub(in crate::serve) fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

async fn export(shared: &Shared, endpoint: &Endpoint, mut stopped: oneshot::Receiver<()>) {
    let mut client = MetricsServiceClient::new(endpoint.connect_lazy());
    let every = Duration::from_millis(shared.settings.otlp.interval_ms);
    let mut failing = false;
    loop {
        let ending = tokio::time::timeout(every, &mut stopped).await.is_ok();
        let sent = send(shared, &mut client).await;
        if let (Err(error), false) = (&sent, failing) {
            tracing::warn!(code = "OTLP", %error, "the collector takes nothing");
        }
        if sent.is_ok() && failing {
            tracing::info!("the collector takes metrics again");
        }
        failing = sent.is_err();
        if ending {
            return;
        }
    }
}

async fn send(shared: &Shared, client: &mut MetricsServiceClient<Channel>) -> std::result::Result<(), tonic::Status> {
    client.export(request(shared)).await.map(|_| ())
}

fn request(shared: &Shared) -> ExportMetricsServiceRequest {
    let times = Times { started_ns: shared.started_ms * 1_000_000, now_ns: now_ms() * 1_000_000 };
    let families = collect(shared);
    let scope = InstrumentationScope { name: "tollgate".into(), ..InstrumentationScope::default() };
    let metrics = families.into_iter().filter(|family| !family.samples.is_empty()).map(|family| times.metric(family));
    let scope_metrics = ScopeMetrics { scope: Some(scope), metrics: metrics.collect(), ..ScopeMetrics::default() };
    let service = shared.settings.otlp.service.as_str();
    let attributes = vec![attribute("service.name", service), attribute("service.version", env!("CARGO_PKG_VERSION"))];
    let resource = Resource { attributes, ..Resource::default() };
    let resource_metrics =
        ResourceMetrics { resource: Some(resource), scope_metrics: vec![scope_metrics], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

/// The time that counts span.
#[derive(Clone, Copy)]
struct Times {
    started_ns: u64,
    now_ns: u64,
}

impl Times {
    fn metric(self, Family { name, kind, help, samples }: Family) -> Metric {
        let cumulative = AggregationTemporality::Cumulative as i32;
        let data = match kind {
            Kind::Gauge => metric::Data::Gauge(Gauge { data_points: self.numbers(samples) }),
            Kind::Counter => metric::Data::Sum(Sum {
                data_points: self.numbers(samples),
                aggregation_temporality: cumulative,
                is_monotonic: true,
            }),
            Kind::Histogram => metric::Data::Histogram(Histogram {
                data_points: samples.into_iter().filter_map(|sample| self.histogram(sample)).collect(),
                aggregation_temporality: cumulative,
            }),
        };
        let unit = match name {
            name if name.ends_with("_seconds") => "s",
            name if name.contains("_bytes") => "By",
            _ => "1",
        };
        Metric { name: name.into(), description: help.into(), unit: unit.into(), data: Some(data), ..Metric::default() }
    }

    fn numbers(self, samples: Vec<Sample>) -> Vec<NumberDataPoint> {
        let point = |Sample { labels, value }| {
            let Value::Number(number) = value else { return None };
            Some(NumberDataPoint {
                attributes: attributes(&labels),
                start_time_unix_nano: self.started_ns,
                time_unix_nano: self.now_ns,
                value: Some(number_data_point::Value::AsDouble(number)),
                ..NumberDataPoint::default()
            })
        };
        samples.into_iter().filter_map(point).collect()
    }

    fn histogram(self, Sample { labels, value }: Sample) -> Option<HistogramDataPoint> {
        let Value::Buckets(counts, sum_us) = value else { return None };
        Some(HistogramDataPoint {
            attributes: attributes(&labels),
            start_time_unix_nano: self.started_ns,
            time_unix_nano: self.now_ns,
            count: counts.iter().sum(),
            sum: Some(sum_us as f64 / 1e6),
            bucket_counts: counts.to_vec(),
            explicit_bounds: BOUNDS_US.iter().map(|bound| *bound as f64 / 1e6).collect(),
            ..HistogramDataPoint::default()
        })
    }
}

fn attributes(labels: &[(&'static str, String)]) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: name.to_owned(), value: Some(value), ..KeyValue::default() }
}
