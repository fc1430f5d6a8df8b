//! Reads a request of protocol buffers.
//!
//! ```text
//! ExportLogsServiceRequest { 1: ResourceLogs* { 1: Resource, 2: ScopeLogs* { 1: Scope, 2: LogRecord* } } }
//! ```
//!
//! Each record is decoded by itself: a body of small messages that decoding as a whole would make a hundred times larger
//! never is in memory as such.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use serde_json::Value;

use crate::error::OtlpError;
use crate::line::{LogLine, Origin, Taking};
use crate::{LINE_BYTES_MAX, ids, value};

/// Numbers of the fields that are walked into.
const RESOURCE_LOGS: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPE_LOGS: u32 = 2;
const SCOPE: u32 = 1;
const LOG_RECORDS: u32 = 2;

pub(crate) fn read<F: FnMut(&Origin, LogLine)>(body: &[u8], taking: &mut Taking<F>) -> Result<(), OtlpError> {
    for resource_logs in Fields::of(body, RESOURCE_LOGS) {
        let resource_logs = resource_logs?;
        // What they have in common may stand behind them.
        let mut origin = Origin::default();
        for resource in Fields::of(resource_logs, RESOURCE) {
            origin.resource.extend(value::of_pairs(Resource::decode(resource?)?.attributes));
        }
        for scope_logs in Fields::of(resource_logs, SCOPE_LOGS) {
            read_scope(scope_logs?, &mut origin, taking)?;
        }
    }
    Ok(())
}

fn read_scope<F: FnMut(&Origin, LogLine)>(
    scope_logs: &[u8],
    origin: &mut Origin,
    taking: &mut Taking<F>,
) -> Result<(), OtlpError> {
    let mut scope = InstrumentationScope::default();
    for bytes in Fields::of(scope_logs, SCOPE) {
        scope.merge(bytes?)?;
    }
    (origin.scope, origin.scope_version) = (scope.name, scope.version);
    origin.scope_attributes = value::of_pairs(scope.attributes);
    for record in Fields::of(scope_logs, LOG_RECORDS) {
        let record = record?;
        let line = if record.len() > LINE_BYTES_MAX {
            Err(format!("a record of {} bytes is larger than {LINE_BYTES_MAX}", record.len()))
        } else {
            LogRecord::decode(record).map(line).map_err(|error| format!("reading a record: {error}"))
        };
        taking.take(origin, line)?;
    }
    Ok(())
}

fn line(record: LogRecord) -> LogLine {
    let time = |nanoseconds: u64| (nanoseconds != 0).then_some(nanoseconds);
    LogLine {
        time_ns: time(record.time_unix_nano),
        observed_ns: time(record.observed_time_unix_nano),
        severity: u8::try_from(record.severity_number).ok().filter(|number| *number <= 24).unwrap_or(0),
        severity_text: record.severity_text,
        body: record.body.map_or(Value::Null, value::of_any),
        attributes: value::of_pairs(record.attributes),
        trace_id: ids::of_bytes(&record.trace_id, ids::TRACE_BYTES),
        span_id: ids::of_bytes(&record.span_id, ids::SPAN_BYTES),
        event_name: record.event_name,
    }
}

/// The messages in a message that stand in the field of one number.
struct Fields<'a> {
    rest: &'a [u8],
    number: u32,
}

impl<'a> Fields<'a> {
    fn of(message: &'a [u8], number: u32) -> Self {
        Self { rest: message, number }
    }

    fn next_field(&mut self) -> Result<Option<&'a [u8]>, OtlpError> {
        while !self.rest.is_empty() {
            let (number, wire_type) = decode_key(&mut self.rest)?;
            if wire_type != WireType::LengthDelimited {
                skip_field(wire_type, number, &mut self.rest, DecodeContext::default())?;
                continue;
            }
            let length = usize::try_from(decode_varint(&mut self.rest)?).map_err(|_| OtlpError::Torn)?;
            let (message, rest) = self.rest.split_at_checked(length).ok_or(OtlpError::Torn)?;
            self.rest = rest;
            if number == self.number {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<&'a [u8], OtlpError>;

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.next_field();
        if field.is_err() {
            self.rest = &[];
        }
        field.transpose()
    }
}
