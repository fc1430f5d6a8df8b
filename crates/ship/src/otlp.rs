//! Records as OpenTelemetry's log records: the body of a request, and what its answer says.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tollhouse_otlp::{Encoding, LogLine, Origin, failure_message, read_answer, write};

use crate::bulk::{Fate, Item, Refusal};
use crate::client::Answer;
use crate::destination::Sent;
use crate::trouble::{State, Trouble};

/// Where log records are sent, below the URL of the destination.
const PATH: &str = "/v1/logs";
/// The attribute in which a record has an id that is the same each time it is sent (semantic conventions, `log.record.uid`).
const UID: &str = "log.record.uid";

/// Where records are sent; the URL may name it already.
pub(crate) fn path(url: &str) -> &'static str {
    if url.ends_with(PATH) { "" } else { PATH }
}

/// The request's body, compressed.
pub(crate) fn body(items: &[Item]) -> Vec<u8> {
    let mut groups: Vec<(String, Vec<LogLine>)> = Vec::new();
    for item in items {
        let (service, line) = line(item);
        match groups.last_mut() {
            Some((last, lines)) if *last == service => lines.push(line),
            _ => groups.push((service, vec![line])),
        }
    }
    let groups = groups.into_iter().map(|(service, lines)| {
        let resource = Map::from_iter([("service.name".to_owned(), service.into())]);
        (Origin { resource, scope: "tollhouse".to_owned(), ..Origin::default() }, lines)
    });
    let request = write(groups);
    let mut packed = GzEncoder::new(Vec::with_capacity(request.len() / 4), Compression::fast());
    packed.write_all(&request).and_then(|()| packed.finish()).expect("memory takes every byte")
}

/// The service of a document and the document as a log record. What has a place of its own there stands there, all else is an
/// attribute.
fn line(item: &Item) -> (String, LogLine) {
    let mut document: Map<String, Value> = serde_json::from_slice(&item.source).unwrap_or_default();
    let mut text = |name: &str| match document.shift_remove(name) {
        Some(Value::String(text)) => Some(text),
        other => {
            document.extend(other.map(|other| (name.to_owned(), other)));
            None
        }
    };
    let service = text("service_name").unwrap_or_default();
    let time = text("@timestamp").and_then(|time| time.parse::<Timestamp>().ok());
    let time_ns = time.and_then(|time| u64::try_from(time.as_nanosecond()).ok());
    let level = text("level").unwrap_or_default();
    let body = text("msg").map_or(Value::Null, Value::String);
    let mut id = |name: &str, digits| {
        let text = document.get(name)?.as_str()?.to_owned();
        // One that is not as W3C has it stays an attribute.
        let is_id = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| document.shift_remove(name)).map(|_| text)
    };
    let (trace_id, span_id) = (id("trace_id", 32), id("span_id", 16));
    document.insert(UID.to_owned(), item.id.as_str().into());
    let severity = severity(&level);
    let line = LogLine {
        time_ns,
        observed_ns: time_ns,
        severity,
        severity_text: level,
        body,
        attributes: document,
        trace_id,
        span_id,
        event_name: String::new(),
    };
    (service, line)
}

fn severity(level: &str) -> u8 {
    match level {
        "trace" => 1,
        "debug" => 5,
        "info" => 9,
        "warn" => 13,
        "error" => 17,
        _ => 0,
    }
}

/// What an answer says of so many records. Senders repeat 429, 502, 503 and 504 (OTLP 1.x, "Failures"); what the protocol drops at
/// other answers, we keep as long as somebody may change something.
pub(crate) fn sent(answer: Answer, items: usize, url: &str) -> Result<Sent, Trouble> {
    let Answer { status, retry_after, body } = answer;
    let told = || failure_message(&body).unwrap_or_else(|| String::from_utf8_lossy(&body).trim().to_owned());
    let unfit =
        |kind: &str| Ok(Sent::Unfit(Refusal { status: status.as_u16(), kind: kind.to_owned(), reason: told() }));
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => unfit("too_large"),
        // One of them is wrong; which one shows when fewer are sent.
        StatusCode::BAD_REQUEST => unfit("bad_request"),
        status if status.is_success() => taken(&body, items, url),
        status => {
            let trouble = Trouble::of_answer(status, told().as_bytes(), retry_after);
            let is_busy = matches!(status.as_u16(), 429 | 503) && retry_after.is_some();
            Err(if is_busy { Trouble { state: State::Busy, ..trouble } } else { trouble })
        }
    }
}

fn taken(body: &[u8], items: usize, url: &str) -> Result<Sent, Trouble> {
    let encoding = if body.first() == Some(&b'{') { Encoding::Json } else { Encoding::Protobuf };
    let rejected = read_answer(body, encoding).map_err(|_| {
        Trouble::new(State::Rejected, format!("{url}: what answers there does not speak OpenTelemetry's protocol"))
    })?;
    let all = items as u64;
    Ok(match rejected.lines.min(all) {
        0 => Sent::Fates(vec![Fate::Delivered; items]),
        count if count == all => {
            let refusal = Refusal { status: 200, kind: "rejected".to_owned(), reason: rejected.why };
            Sent::Fates(vec![Fate::Refused(refusal); items])
        }
        count => Sent::Partly { rejected: count, reason: rejected.why },
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use flate2::read::GzDecoder;
    use serde_json::json;
    use tollhouse_otlp::{Rejected, failure, read};

    use super::*;

    fn item(seq: u64, document: &Value) -> Item {
        Item {
            seq,
            index: "gate-2026.01.27".to_owned(),
            id: format!("{seq}-ab"),
            source: document.to_string().into_bytes(),
            is_dead_letter: false,
        }
    }

    #[test]
    fn records_are_grouped_by_service_in_their_order() {
        let document = |seq: u64, service: &str| {
            json!({"@timestamp": "2026-01-27T10:00:00.123Z", "level": "warn", "msg": "größer", "service_name": service,
                   "seq": seq, "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "no", "tags": ["a"]})
        };
        let items = [item(1, &document(1, "a")), item(2, &document(2, "a")), item(3, &document(3, "b"))];
        let mut request = Vec::new();
        GzDecoder::new(&body(&items)[..]).read_to_end(&mut request).unwrap();
        let mut lines = Vec::new();
        read(&request, Encoding::Protobuf, |origin, line| lines.push((origin.clone(), line))).unwrap();
        assert_eq!(lines.iter().map(|(_, line)| &line.attributes["seq"]).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(lines[2].0.resource["service.name"], "b");
        let expected = LogLine {
            time_ns: Some(1_769_508_000_123_000_000),
            observed_ns: Some(1_769_508_000_123_000_000),
            severity: 13,
            severity_text: "warn".to_owned(),
            body: json!("größer"),
            attributes: json!({"seq": 1, "span_id": "no", "tags": ["a"], "log.record.uid": "1-ab"})
                .as_object()
                .unwrap()
                .clone(),
            trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
            ..LogLine::default()
        };
        assert_eq!(lines[0].1, expected);
    }

    #[test]
    fn answers_mean_what_the_protocol_says() {
        let answer = |status: u16, body: Vec<u8>, retry_after: Option<u64>| Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: retry_after.map(Duration::from_secs),
            body: body.into(),
        };
        let rejected = |lines| Rejected { lines, why: "too large".to_owned() }.answer(Encoding::Protobuf);
        let what = |status, body, retry_after| match sent(answer(status, body, retry_after), 3, "http://c") {
            Ok(Sent::Fates(fates)) => format!("{:?}", fates[0]).split('(').next().unwrap().to_owned(),
            Ok(Sent::Partly { rejected, reason }) => format!("{rejected} rejected: {reason}"),
            Ok(Sent::Unfit(refusal)) => format!("unfit {}", refusal.reason),
            Err(trouble) => trouble.state.as_str().to_owned(),
        };
        for (status, body, retry_after, expected) in [
            (200, Vec::new(), None, "Delivered"),
            (200, b"{}".to_vec(), None, "Delivered"),
            (200, rejected(0), None, "Delivered"),
            (200, rejected(2), None, "2 rejected: too large"),
            (200, rejected(3), None, "Refused"),
            (200, b"<html>".to_vec(), None, "rejected"),
            (400, failure(Encoding::Protobuf, 3, "no"), None, "unfit no"),
            (413, b"huge".to_vec(), None, "unfit huge"),
            (401, Vec::new(), None, "rejected"),
            (429, Vec::new(), None, "busy"),
            (503, Vec::new(), Some(7), "busy"),
            (503, Vec::new(), None, "unreachable"),
            (502, Vec::new(), None, "unreachable"),
        ] {
            assert_eq!(what(status, body, retry_after), expected, "{status}");
        }
        assert_eq!((path("http://c"), path("http://c/x/v1/logs")), ("/v1/logs", ""));
    }
}
