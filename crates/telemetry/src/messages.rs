//! Traces and figures as the messages of OpenTelemetry's protocol (OTLP 1.x).

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::exposition::{Exposition, Family, Sample, Value};
use crate::genai;
use crate::histogram::Measured;
use crate::metric::Kind;
use crate::spans::text;

/// Who tells, and since when it counts.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    pub(crate) service: String,
    pub(crate) version: &'static str,
    /// Names this run of this process.
    pub(crate) instance: String,
    /// Since 1970.
    pub(crate) began: Duration,
}

impl Teller {
    fn resource(&self) -> Resource {
        let attributes = vec![
            text("service.name", &self.service),
            text("service.version", self.version),
            text("service.instance.id", &self.instance),
        ];
        Resource { attributes, ..Resource::default() }
    }

    fn scope(&self) -> InstrumentationScope {
        InstrumentationScope { name: "tollhouse".to_owned(), version: self.version.to_owned(), ..Default::default() }
    }

    /// The request that brings these spans.
    pub(crate) fn traces(&self, spans: Vec<Span>) -> Vec<u8> {
        let schema_url = genai::SCHEMA_URL.to_owned();
        let scope_spans = vec![ScopeSpans { scope: Some(self.scope()), spans, schema_url: schema_url.clone() }];
        let resource_spans = vec![ResourceSpans { resource: Some(self.resource()), scope_spans, schema_url }];
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }

    /// The request that brings these figures, which are those of `now`, since 1970.
    pub(crate) fn metrics(&self, figures: &Exposition, now: Duration) -> Vec<u8> {
        let times = (self.began.as_nanos() as u64, now.as_nanos() as u64);
        let metrics = figures.families().map(|family| metric(family, times)).collect();
        let schema_url = genai::SCHEMA_URL.to_owned();
        let scope_metrics = vec![ScopeMetrics { scope: Some(self.scope()), metrics, schema_url: schema_url.clone() }];
        let resource_metrics = vec![ResourceMetrics { resource: Some(self.resource()), scope_metrics, schema_url }];
        ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
    }
}

/// A metric with all its values; cumulative, as Prometheus counts.
fn metric(Family { metric, samples }: &Family, times: (u64, u64)) -> Metric {
    let (name, is_of_convention) = genai::metric(metric.name);
    let attributes = |sample: &Sample| -> Vec<KeyValue> {
        let pairs = metric.labels.iter().zip(&sample.labels);
        let mut all: Vec<KeyValue> =
            pairs.map(|(label, value)| text(genai::label(label, is_of_convention), value)).collect();
        if is_of_convention {
            all.push(text(genai::PROVIDER, genai::PROVIDER_IS));
        }
        all
    };
    let cumulative = AggregationTemporality::Cumulative as i32;
    let data = match metric.kind {
        Kind::Histogram => {
            let points = samples.iter().filter_map(|sample| match &sample.value {
                Value::Histogram(measured) => Some(histogram(measured, attributes(sample), times)),
                Value::Number(_) => None,
            });
            metric::Data::Histogram(Histogram { data_points: points.collect(), aggregation_temporality: cumulative })
        }
        kind => {
            let points = samples.iter().filter_map(|sample| match sample.value {
                Value::Number(value) => Some(NumberDataPoint {
                    attributes: attributes(sample),
                    start_time_unix_nano: times.0,
                    time_unix_nano: times.1,
                    value: Some(number_data_point::Value::AsDouble(value)),
                    ..NumberDataPoint::default()
                }),
                Value::Histogram(_) => None,
            });
            let data_points = points.collect();
            if kind == Kind::Counter {
                metric::Data::Sum(Sum { data_points, aggregation_temporality: cumulative, is_monotonic: true })
            } else {
                metric::Data::Gauge(Gauge { data_points })
            }
        }
    };
    Metric {
        name: name.to_owned(),
        description: metric.help.to_owned(),
        unit: metric.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn histogram(measured: &Measured, attributes: Vec<KeyValue>, times: (u64, u64)) -> HistogramDataPoint {
    let exemplars = measured.exemplars.iter().flatten().map(|known| Exemplar {
        filtered_attributes: vec![text("tollhouse.request_id", &known.request_id)],
        time_unix_nano: known.at_ms * 1_000_000,
        trace_id: known.trace_id.map(|id| id.to_vec()).unwrap_or_default(),
        value: Some(exemplar::Value::AsDouble(known.value)),
        ..Exemplar::default()
    });
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: times.0,
        time_unix_nano: times.1,
        count: measured.count(),
        sum: Some(measured.sum),
        bucket_counts: measured.counts.clone(),
        explicit_bounds: measured.bounds.to_vec(),
        exemplars: exemplars.collect(),
        ..HistogramDataPoint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Finished, Telemetry, names};

    #[test]
    fn figures_go_out_under_the_names_of_the_conventions() {
        let telemetry = Telemetry::new();
        let request = Finished {
            request_id: "r",
            model: Some("m"),
            status: 200,
            duration_ms: 500.0,
            input_tokens: Some(3),
            ..Finished::default()
        };
        telemetry.finished(&request);
        let mut figures = Exposition::new();
        telemetry.expose(&mut figures);
        figures.number(&names::UPSTREAM_SLOTS, &["local"], 4.0);
        let began = Duration::from_secs(1_000);
        let teller = Teller { service: "gate".into(), version: "1", instance: "i".into(), began };
        let bytes = teller.metrics(&figures, Duration::from_secs(2_000));
        let request = ExportMetricsServiceRequest::decode(&bytes[..]).unwrap();
        let of_resource = &request.resource_metrics[0];
        assert!(of_resource.resource.as_ref().unwrap().attributes.contains(&text("service.name", "gate")));
        let metrics = &of_resource.scope_metrics[0].metrics;
        let named = |name: &str| metrics.iter().find(|metric| metric.name == name).expect(name).data.clone().unwrap();
        let metric::Data::Histogram(durations) = named("gen_ai.server.request.duration") else { panic!("a histogram") };
        let point = &durations.data_points[0];
        assert_eq!((point.count, point.sum, point.start_time_unix_nano), (1, Some(0.5), 1_000_000_000_000));
        assert!(point.attributes.contains(&text("gen_ai.response.model", "m")));
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!(point.exemplars.len(), 1);
        let metric::Data::Sum(requests) = named("tollhouse_requests_total") else { panic!("a sum") };
        assert!(
            requests.is_monotonic
                && requests.data_points.iter().any(|point| point.attributes.contains(&text("model", "m")))
        );
        assert!(matches!(named("tollhouse_upstream_slots"), metric::Data::Gauge(_)));
    }
}
