//! One log record, whichever way it came, and what it shares with others.

use serde_json::{Map, Value};

use crate::error::OtlpError;
use crate::{LINES_MAX, Rejected};

/// A log record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogLine {
    /// When it happened, in nanoseconds since 1970.
    pub time_ns: Option<u64>,
    /// When it was seen by whoever collected it.
    pub observed_ns: Option<u64>,
    /// 1 to 24, four for each of trace, debug, info, warn, error and fatal; 0 where nothing is said.
    pub severity: u8,
    /// The level as its program named it.
    pub severity_text: String,
    /// What it says: a text, mostly. Bytes stand in Base64.
    pub body: Value,
    /// What belongs to this record alone.
    pub attributes: Map<String, Value>,
    /// 32 hexadecimal digits in lower case.
    pub trace_id: Option<String>,
    /// 16 hexadecimal digits in lower case.
    pub span_id: Option<String>,
    /// What kind of event it is; empty where it is none.
    pub event_name: String,
}

/// Where records come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// Attributes of whatever wrote them, such as `service.name` and `host.name`.
    pub resource: Map<String, Value>,
    /// The part of that program.
    pub scope: String,
    /// Version of that part.
    pub scope_version: String,
    /// What else is said of that part.
    pub scope_attributes: Map<String, Value>,
}

/// Counts while records are given.
pub(crate) struct Taking<F> {
    take: F,
    seen: usize,
    pub(crate) rejected: Rejected,
}

impl<F: FnMut(&Origin, LogLine)> Taking<F> {
    pub(crate) fn new(take: F) -> Self {
        Self { take, seen: 0, rejected: Rejected::default() }
    }

    /// Takes a record, or the reason why it is none.
    pub(crate) fn take(&mut self, origin: &Origin, line: Result<LogLine, String>) -> Result<(), OtlpError> {
        self.seen += 1;
        if self.seen > LINES_MAX {
            return Err(OtlpError::TooMany);
        }
        match line {
            Ok(line) => (self.take)(origin, line),
            Err(why) => self.rejected.add(why),
        }
        Ok(())
    }
}
