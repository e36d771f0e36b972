//! The counts in the text format of Prometheus.

use super::families::{Family, Kind, Sample, Value};
use super::histogram::BOUNDS_US;
use std::fmt::{Display, Write};

/// Families, as `/metrics` shows them.
pub(in crate::serve) fn render(families: &[Family]) -> String {
    let mut text = String::with_capacity(16 << 10);
    for Family { name, kind, help, samples } in families {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        samples.iter().for_each(|sample| write_sample(&mut text, name, sample));
    }
    text
}

fn write_sample(text: &mut String, name: &str, Sample { labels, value }: &Sample) {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    let labels = labels.join(",");
    match value {
        Value::Number(number) => line(text, name, &labels, number),
        Value::Buckets(counts, sum_us) => {
            let bounds = BOUNDS_US.iter().map(|bound| seconds(*bound).to_string()).chain(["+Inf".into()]);
            let mut total = 0;
            for (count, bound) in counts.iter().zip(bounds) {
                total += count;
                line(text, &format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), total);
            }
            line(text, &format!("{name}_sum"), &labels, seconds(*sum_us));
            line(text, &format!("{name}_count"), &labels, total);
        }
    }
}

fn line(text: &mut String, name: &str, labels: &str, value: impl Display) {
    let _ = match labels {
        "" => writeln!(text, "{name} {value}"),
        labels => writeln!(text, "{name}{{{labels}}} {value}"),
    };
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
