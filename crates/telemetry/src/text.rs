//! Figures as text: Prometheus' own format, and OpenMetrics with exemplars.

use std::fmt::Write;

use tollhouse_units::hex;

use crate::exposition::{Exposition, Family, Value};
use crate::histogram::{Exemplar, Measured};
use crate::metric::Metric;

/// Names and values of an exemplar together, in characters (OpenMetrics 1.0, "Exemplars").
const EXEMPLAR_CHARS_MAX: usize = 128;

/// How figures are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Prometheus' text format, 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The one that an `Accept` header prefers; Prometheus' own where there is none, or it does not say.
    pub fn of(accept: Option<&str>) -> Self {
        let weight = |wanted: &str| {
            let best = accept.unwrap_or_default().split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let is_it = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(wanted));
                let quality = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse::<f64>().ok());
                is_it.then(|| quality.unwrap_or(1.0))
            });
            best.fold(0.0, f64::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Self::OpenMetrics } else { Self::Text }
    }

    /// What stands as `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Exposition {
    /// All figures as text.
    pub fn write(&self, format: Format) -> String {
        let mut out = String::with_capacity(16 << 10);
        for family in self.families() {
            write_family(&mut out, family, format);
        }
        if format == Format::OpenMetrics {
            out.push_str("# EOF\n");
        }
        out
    }
}

fn write_family(out: &mut String, Family { metric, samples }: &Family, format: Format) {
    let name = if format == Format::OpenMetrics { metric.family() } else { metric.name };
    let _ = writeln!(out, "# TYPE {name} {}", metric.kind.as_str());
    if let Some(unit) = metric.unit_word().filter(|_| format == Format::OpenMetrics) {
        let _ = writeln!(out, "# UNIT {name} {unit}");
    }
    let _ = writeln!(out, "# HELP {name} {}", metric.help);
    for sample in samples {
        let labels = labels(metric, &sample.labels);
        match &sample.value {
            Value::Number(number) => {
                out.push_str(metric.name);
                if !labels.is_empty() {
                    let _ = write!(out, "{{{labels}}}");
                }
                let _ = writeln!(out, " {}", Number(*number));
            }
            Value::Histogram(measured) => write_histogram(out, metric, &labels, measured, format),
        }
    }
}

fn write_histogram(out: &mut String, metric: &Metric, labels: &str, measured: &Measured, format: Format) {
    let name = metric.name;
    let separator = if labels.is_empty() { "" } else { "," };
    let bounds = measured.bounds.iter().map(|bound| Number(*bound).to_string()).chain(["+Inf".to_owned()]);
    let mut below = 0;
    for (at, (bound, count)) in bounds.zip(&measured.counts).enumerate() {
        below += count;
        let _ = write!(out, "{name}_bucket{{{labels}{separator}le=\"{bound}\"}} {below}");
        if let Some(Some(exemplar)) = measured.exemplars.get(at).filter(|_| format == Format::OpenMetrics) {
            write_exemplar(out, exemplar);
        }
        out.push('\n');
    }
    let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    let _ = writeln!(out, "{name}_sum{braces} {}\n{name}_count{braces} {below}", Number(measured.sum));
}

fn write_exemplar(out: &mut String, exemplar: &Exemplar) {
    let mut names = Vec::new();
    if let Some(trace) = &exemplar.trace_id {
        names.push(("trace_id", hex(trace)));
    }
    let used: usize = names.iter().map(|(name, value)| name.len() + value.len()).sum();
    // A client chose it, and it may be long.
    if used + "request_id".len() + exemplar.request_id.chars().count() <= EXEMPLAR_CHARS_MAX {
        names.push(("request_id", exemplar.request_id.to_string()));
    }
    if names.is_empty() {
        return;
    }
    let pairs: Vec<String> = names.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    let seconds = exemplar.at_ms as f64 / 1e3;
    let _ = write!(out, " # {{{}}} {} {seconds:.3}", pairs.join(","), Number(exemplar.value));
}

fn labels(metric: &Metric, values: &[String]) -> String {
    let pairs = metric.labels.iter().zip(values).map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    pairs.collect::<Vec<_>>().join(",")
}

/// A label's value; both formats escape the same three characters.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text
}

/// A number as both formats read it.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            number if number.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            number => write!(f, "{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Histogram, names};

    #[test]
    fn the_header_chooses_the_format() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            (None, Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/html, text/plain"), Format::Text),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some("application/openmetrics-text;q=0.2, text/plain"), Format::Text),
            (Some("application/openmetrics-text;q=0"), Format::Text),
            (Some(prometheus), Format::OpenMetrics),
        ] {
            assert_eq!(Format::of(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn both_formats_are_written_as_they_are_specified() {
        static BOUNDS: [f64; 2] = [0.5, 2.0];
        let mut figures = Exposition::new();
        let histogram = Histogram::new(&BOUNDS);
        let exemplar = Exemplar {
            request_id: "req_\"1\"".into(),
            trace_id: Some([0xab; 16]),
            at_ms: 1_769_508_000_123,
            value: 0.0,
        };
        histogram.observe(0.25, Some(&exemplar));
        histogram.observe(3.0, None);
        figures.histogram(&names::JOURNAL_FSYNC, &[], histogram.measured());
        figures.number(&names::COLLECTED, &["a\\b\n\"c\""], 3.0);
        let text = figures.write(Format::Text);
        assert_eq!(
            text,
            "\
# TYPE tollhouse_journal_fsync_seconds histogram
# HELP tollhouse_journal_fsync_seconds How long the disk took to confirm what was written.
tollhouse_journal_fsync_seconds_bucket{le=\"0.5\"} 1
tollhouse_journal_fsync_seconds_bucket{le=\"2\"} 1
tollhouse_journal_fsync_seconds_bucket{le=\"+Inf\"} 2
tollhouse_journal_fsync_seconds_sum 3.25
tollhouse_journal_fsync_seconds_count 2
# TYPE tollhouse_collected_lines_total counter
# HELP tollhouse_collected_lines_total Lines that a source has brought and that became records.
tollhouse_collected_lines_total{source=\"a\\\\b\\n\\\"c\\\"\"} 3
"
        );
        let open = figures.write(Format::OpenMetrics);
        let expected = [
            "# UNIT tollhouse_journal_fsync_seconds seconds\n",
            "le=\"0.5\"} 1 # {trace_id=\"abababababababababababababababab\",request_id=\"req_\\\"1\\\"\"} 0.25 1769508000.123\n",
            "# TYPE tollhouse_collected_lines counter\n",
            "\n# EOF\n",
        ];
        for part in expected {
            assert!(open.contains(part), "{part}\nin\n{open}");
        }
    }

    #[test]
    fn a_long_request_id_is_left_out_of_an_exemplar() {
        let exemplar = |chars: usize, trace_id| {
            let mut out = String::new();
            let request_id = "x".repeat(chars).into();
            write_exemplar(&mut out, &Exemplar { request_id, trace_id, at_ms: 0, value: 1.0 });
            out
        };
        assert!(exemplar(78, Some([1; 16])).contains("request_id"));
        assert!(!exemplar(79, Some([1; 16])).contains("request_id"));
        assert_eq!(exemplar(119, None), "");
    }
}
