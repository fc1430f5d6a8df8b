//! Makes a request of records.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::Value;

use crate::line::{LogLine, Origin};
use crate::{ids, value};

/// A request of protobuf with these records, in their order where they share an origin.
pub fn write(groups: impl IntoIterator<Item = (Origin, Vec<LogLine>)>) -> Vec<u8> {
    let resource_logs = groups.into_iter().map(|(origin, lines)| {
        let scope = InstrumentationScope {
            name: origin.scope,
            version: origin.scope_version,
            attributes: value::to_pairs(origin.scope_attributes),
            dropped_attributes_count: 0,
        };
        let log_records = lines.into_iter().map(record).collect();
        ResourceLogs {
            resource: Some(Resource { attributes: value::to_pairs(origin.resource), ..Resource::default() }),
            scope_logs: vec![ScopeLogs { scope: Some(scope), log_records, schema_url: String::new() }],
            schema_url: String::new(),
        }
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }.encode_to_vec()
}

fn record(line: LogLine) -> LogRecord {
    let id = |id: Option<String>, length| id.and_then(|id| ids::to_bytes(&id, length)).unwrap_or_default();
    LogRecord {
        time_unix_nano: line.time_ns.unwrap_or(0),
        observed_time_unix_nano: line.observed_ns.unwrap_or(0),
        severity_number: line.severity.into(),
        severity_text: line.severity_text,
        body: (line.body != Value::Null).then(|| value::to_any(line.body)),
        attributes: value::to_pairs(line.attributes),
        trace_id: id(line.trace_id, ids::TRACE_BYTES),
        span_id: id(line.span_id, ids::SPAN_BYTES),
        event_name: line.event_name,
        ..LogRecord::default()
    }
}
