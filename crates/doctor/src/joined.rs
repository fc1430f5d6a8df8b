//! Lines of other programs that belong to a request, and by what they are joined with it.

use serde_json::{Value, json};

/// Fields in which programs write the id of a request: ours (`x-request-id` of an answer, which a proxy logs under names like these)
/// and their own.
pub(crate) const REQUEST_ID_FIELDS: [&str; 10] = [
    "request_id",
    "x_request_id",
    "x-request-id",
    "upstream_http_x_request_id",
    "sent_http_x_request_id",
    "http_x_request_id",
    "requestId",
    "req_id",
    "http.request.id",
    "attributes.request_id",
];
/// Fields in which programs write the id of a trace (W3C Trace Context).
pub(crate) const TRACE_ID_FIELDS: [&str; 3] = ["trace_id", "traceId", "trace.id"];

/// What joins a line with a request, the most certain first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum By {
    /// It names the request.
    RequestId,
    /// It is of the same trace.
    TraceId,
    /// It names neither, is of the model server, and was written while the request ran.
    Time,
}

impl By {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestId => "request_id",
            Self::TraceId => "trace_id",
            Self::Time => "time",
        }
    }
}

/// A line that belongs to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// What joins them.
    pub by: By,
    /// Its document.
    pub record: Value,
}

impl Joined {
    /// By what this document belongs to a request of this id and trace.
    pub(crate) fn new(record: Value, request_id: &str, trace_id: Option<&str>) -> Self {
        let names = |fields: &[&str], id: &str| fields.iter().any(|field| value(&record, field) == Some(id));
        let in_text = || record["msg"].as_str().is_some_and(|text| text.contains(request_id));
        let by = if names(&REQUEST_ID_FIELDS, request_id) || in_text() {
            By::RequestId
        } else if trace_id.is_some_and(|trace_id| names(&TRACE_ID_FIELDS, trace_id)) {
            By::TraceId
        } else {
            By::Time
        };
        Self { by, record }
    }

    /// The form for programs.
    pub fn to_json(&self) -> Value {
        let of = |name: &str| self.record[name].clone();
        json!({
            "ts": of("@timestamp"),
            "source": of("source"),
            "level": of("level"),
            "msg": of("msg"),
            "by": self.by.as_str(),
            "record": self.record,
        })
    }
}

/// A field's text, whether its name's parts are one name or members within members.
fn value<'a>(record: &'a Value, field: &str) -> Option<&'a str> {
    let nested = || field.split('.').try_fold(record, |value, part| value.get(part));
    record.get(field).or_else(nested)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_certain_reason_counts() {
        const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
        for (record, by) in [
            (json!({"request_id": "r-1", "trace_id": TRACE}), By::RequestId),
            (json!({"sent_http_x_request_id": "r-1"}), By::RequestId),
            (json!({"http": {"request": {"id": "r-1"}}}), By::RequestId),
            (json!({"msg": "the gate said: r-1, again"}), By::RequestId),
            (json!({"trace": {"id": TRACE}, "request_id": "r-2"}), By::TraceId),
            (json!({"trace.id": TRACE}), By::TraceId),
            (json!({"msg": "slot 0: released"}), By::Time),
        ] {
            assert_eq!(Joined::new(record.clone(), "r-1", Some(TRACE)).by, by, "{record}");
        }
    }
}
