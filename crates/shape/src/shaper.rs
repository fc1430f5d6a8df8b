//! Makes one document of one journal line.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use thiserror::Error;
use tollhouse_members::each_member;
use tollhouse_query::date::{Zone, parse_rfc3339};
use tollhouse_query::lucene::LuceneOptions;
use tollhouse_query::{ParseError, Query, lucene, matches_at, validate};

use crate::catalogue::catalogue;
use crate::part::{Leaf, Part};
use crate::shaped::{Draft, Shaped};

/// The tag of a document of which something did not fit, and the field that says what.
pub const INGEST_ERROR: &str = "ingest_error";

/// What a collected line says of itself in place of what the journal says of its record: the names that collecting gives
/// these fields, and whose place they take.
const OWN: [(&str, &str); 2] = [("own_service", "service"), ("own_caller", "caller")];

/// What collecting keeps for itself in its records: how far it has read.
const PROGRESS: [&str; 4] = ["file_mark", "file_marks", "file_note", "journald_cursor"];
/// A line as it was given to a program that failed: in the index it stands behind the message, whatever its fields are.
const EVENT: &str = "event";
/// The same line as it came, and how it was read: the journal has them.
const LINE: [&str; 3] = ["line", "line_base64", "line_form"];
/// Room for the members of a line.
const MEMBERS: usize = 32;
/// How the callers of these begin.
const COLLECTING: &str = "collect/";

/// Longest piece of a wrong value that is told, in characters.
pub(crate) const SHOWN_CHARS_MAX: usize = 256;
/// Longest text that is kept of a line that is no record, in characters.
const BAD_LINE_CHARS_MAX: usize = 8 * 1024;

/// What is put into the index for one journal record.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Number of the journal record; also in `source`.
    pub seq: u64,
    /// `@timestamp` in milliseconds since 1970 UTC; chooses the day index.
    pub timestamp_ms: i64,
    /// The document itself.
    pub source: Map<String, Value>,
}

/// A line in which not even the number or the time of a record can be found. Whoever reads the journal knows the number
/// of the line and makes a document with [`Shaper::dead_letter`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ShapeError {
    /// No `seq`.
    #[error("found no record number in a journal line")]
    NoSeq,
    /// No `ts`.
    #[error("found no time in journal record {seq}")]
    NoTime {
        /// Number of the record.
        seq: u64,
    },
}

/// Why a record could not be shaped.
enum Fault {
    Lacks(ShapeError),
    /// A value is no JSON.
    Unreadable,
}

/// The members of a line in their order, not read yet. Looking through some dozens costs less than hashing each of them.
struct Record<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Record<'a> {
    fn read(line: &'a str) -> Result<Self, serde_json::Error> {
        let mut members = Vec::with_capacity(MEMBERS);
        let is_found = each_member(line, |name, value| members.push((Cow::Borrowed(name), value)));
        if is_found { Ok(Self(members)) } else { serde_json::from_str(line) }
    }

    fn json(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, json)| *json)
    }

    fn get(&self, name: &str) -> Option<Part<'a>> {
        Part::read(self.json(name)?).ok()
    }
}

impl<'de> Deserialize<'de> for Record<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Record<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record<'de>, A::Error> {
                let mut members = Vec::with_capacity(MEMBERS);
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Record(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A name without escapes stays where it is in the line.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Holds the tag queries.
#[derive(Clone, Debug)]
pub struct Shaper {
    tags: Vec<(String, Query)>,
}

impl Shaper {
    /// Takes tags as (name, Lucene query). The error names the tag whose query cannot be read or cannot be true of any
    /// document.
    pub fn new(tags: &[(String, String)]) -> Result<Self, ParseError> {
        let read = |name: &str, text: &str| {
            let query = lucene::parse(text, &LuceneOptions::default())?;
            // Dates of a tag are checked as of 1970; which moment it is makes no difference to whether they can be read.
            validate(&query, catalogue(), 0)?;
            Ok((name.to_owned(), query))
        };
        let named = |name: &str, error: ParseError| ParseError {
            message: format!("failed to read the query of tag {name}: {}", error.message),
            ..error
        };
        let tags = tags.iter().map(|(name, text)| read(name, text).map_err(|error| named(name, error)));
        Ok(Self { tags: tags.collect::<Result<_, _>>()? })
    }

    /// The document of a journal line, with or without its line end.
    pub fn document(&self, line: &[u8]) -> Result<Document, ShapeError> {
        self.shape(line).map(Shaped::into_document)
    }

    /// As [`Shaper::document`], with what is the same in the line left there.
    pub fn shape<'a>(&self, line: &'a [u8]) -> Result<Shaped<'a>, ShapeError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let record = std::str::from_utf8(line).ok().and_then(|line| Record::read(line).ok());
        match record.map(|record| self.shape_record(record)) {
            Some(Ok(shaped)) => Ok(shaped),
            Some(Err(Fault::Lacks(what))) => Err(what),
            // What is wrong is told by its place in the whole of the line.
            None | Some(Err(Fault::Unreadable)) => {
                let read = serde_json::from_slice::<Map<String, Value>>(line);
                let why = read.err().map_or_else(|| "a value cannot be read".to_owned(), |error| error.to_string());
                let seq = find_seq(line).ok_or(ShapeError::NoSeq)?;
                let timestamp_ms = find_ts(line).ok_or(ShapeError::NoTime { seq })?;
                Ok(Self::dead_letter(seq, timestamp_ms, line, &why).into())
            }
        }
    }

    /// The document that stands for a line that is no record: kind `log`, the line as `msg`, `why` in `ingest_error`.
    pub fn dead_letter(seq: u64, timestamp_ms: i64, line: &[u8], why: &str) -> Document {
        let mut source = Map::new();
        source.insert("@timestamp".into(), Zone::utc().format(timestamp_ms).into());
        source.insert("level".into(), "error".into());
        source.insert("kind".into(), "log".into());
        source.insert("msg".into(), shortened(&String::from_utf8_lossy(line), BAD_LINE_CHARS_MAX).into());
        source.insert(INGEST_ERROR.into(), shortened(why, SHOWN_CHARS_MAX).into());
        source.insert("tags".into(), vec![INGEST_ERROR].into());
        source.insert("seq".into(), seq.into());
        Document { seq, timestamp_ms, source }
    }

    fn shape_record<'a>(&self, record: Record<'a>) -> Result<Shaped<'a>, Fault> {
        let seq = record.get("seq").and_then(|seq| seq.as_u64()).ok_or(Fault::Lacks(ShapeError::NoSeq))?;
        let kind = record.json("kind");
        let is_log = kind == Some("\"log\"");
        let is_collected =
            record.get("caller").is_some_and(|by| by.as_str().is_some_and(|by| by.starts_with(COLLECTING)));
        let is_letter = is_collected && kind == Some("\"dead_letter\"");
        let no_time = Fault::Lacks(ShapeError::NoTime { seq });
        let (told_by, timestamp, timestamp_ms) = time_of(&record, is_log).ok_or(no_time)?;
        let is_replaced = OWN.map(|(own, _)| is_log && record.json(own).is_some());
        let replaced = |name: &str| OWN.iter().zip(is_replaced).any(|((_, other), is)| is && *other == name);
        let replacing = |name: &str| OWN.iter().zip(is_replaced).find(|((own, _), is)| *is && *own == name);

        let mut draft = Draft::with_capacity(record.0.len() + 3);
        draft.put(Cow::Borrowed("@timestamp"), timestamp);
        for (key, json) in record.0 {
            match &*key {
                // The chain is verified on the journal; in the index it would only take room.
                "ts" | "prev" => continue,
                // As would these, which nobody searches for: they are others on each line.
                name if is_collected && PROGRESS.contains(&name) => continue,
                name if is_letter && LINE.contains(&name) => continue,
                name if replaced(name) => continue,
                _ => {}
            }
            let part = Part::read(json).map_err(|_| Fault::Unreadable)?;
            match &*key {
                // Read for the time above.
                name if name == told_by => {}
                EVENT if is_letter => {
                    if let Some(msg) = draft.get("msg").and_then(Part::as_str) {
                        let msg = format!("{msg}: {}", shortened(part.json(), BAD_LINE_CHARS_MAX));
                        draft.set_declared("msg", msg);
                    }
                }
                // Used for it unless they could not be read.
                "@timestamp" | "time" if is_log || key == "@timestamp" => {
                    if *part.leaf() != Leaf::Null && part.as_str().and_then(parse_rfc3339).is_none() {
                        draft.is_not_a_date(&key, &part);
                    }
                }
                name => match replacing(name) {
                    Some(((_, replaced), _)) => draft.put(Cow::Borrowed(*replaced), part),
                    None => draft.put(key, part),
                },
            }
        }
        let is_request = draft.is("kind", "request");
        if (is_request || is_log)
            && let Some(efficiency) = token_efficiency(&draft)
        {
            draft.set_declared("token_efficiency", efficiency);
        }
        let mut tags = Vec::new();
        // A collected line with a status tells of a request; `NOT http_status:…` would be true of all others.
        let has_status = || draft.get("http_status").is_some_and(|status| matches!(status.leaf(), Leaf::Number(_)));
        if is_request || (is_log && has_status()) {
            // `now` in a tag query is the record's own time, so that the index can be built again.
            let fulfilled = |query: &Query| matches_at(query, &draft, catalogue(), timestamp_ms);
            let fulfilled = self.tags.iter().filter(|(_, query)| fulfilled(query));
            tags.extend(fulfilled.map(|(name, _)| name.as_str()));
        }
        if draft.has_problems() {
            tags.push(INGEST_ERROR);
            draft.tell_problems();
        } else if is_collected && draft.get(INGEST_ERROR).is_some() {
            // Of a value that did not fit before it came into the journal.
            tags.push(INGEST_ERROR);
        }
        draft.add_tags(&tags);
        Ok(Shaped { seq, timestamp_ms, members: draft.members })
    }
}

/// The record's own time if it has one that can be read (a collected line's), else the journal's; with its name.
fn time_of<'a>(record: &Record<'a>, is_log: bool) -> Option<(&'static str, Part<'a>, i64)> {
    let time = |key: &'static str| {
        let part = record.get(key)?;
        let ms = parse_rfc3339(part.as_str()?)?;
        Some((key, part, ms))
    };
    time("@timestamp").or_else(|| time("time").filter(|_| is_log)).or_else(|| time("ts"))
}

/// Output tokens per input token with two decimals, half away from zero. Counted in whole numbers, so that 201/200 is
/// 1.01 and not what binary fractions make of it.
fn token_efficiency(draft: &Draft<'_>) -> Option<f64> {
    let count = |name: &str| draft.get(name).and_then(Part::as_u64).map(u128::from);
    let (input, output) = (count("input_tokens")?, count("output_tokens")?);
    if input == 0 {
        return None;
    }
    let hundredths = (output * 200 + input) / (2 * input);
    Some(hundredths as f64 / 100.0)
}

/// The record number in a line that is not JSON. Inside of a JSON string its quotes would be escaped.
fn find_seq(line: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(line);
    let (_, rest) = text.rsplit_once("\"seq\":")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn find_ts(line: &[u8]) -> Option<i64> {
    let text = String::from_utf8_lossy(line);
    let (_, rest) = text.split_once("\"ts\":\"")?;
    parse_rfc3339(rest.split('"').next()?)
}

pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn shaper() -> Shaper {
        Shaper::new(&[
            ("slow_request".into(), "duration_ms:>3000".into()),
            ("error_request".into(), "NOT http_status:[200 TO 299]".into()),
        ])
        .unwrap()
    }

    fn shaped(record: &Value) -> Map<String, Value> {
        shaper().document(record.to_string().as_bytes()).unwrap().source
    }

    fn request(changes: &Value) -> Value {
        let mut record = json!({
            "ts": "2026-01-27T10:20:30.456Z", "level": "info", "kind": "request", "msg": "request", "service": "s",
            "status": 200, "duration_ms": 120.5, "seq": 7, "prev": "00",
        });
        for (key, value) in changes.as_object().unwrap() {
            record[key] = value.clone();
        }
        record
    }

    #[test]
    fn a_request_becomes_its_document() {
        let record = request(&json!({
            "method": "POST", "path": "/v1/chat/completions", "model": "qwen3:32b", "user_id": "u1",
            "status": "500", "duration_ms": 3000.1, "input_tokens": "200", "output_tokens": 201, "stream": true,
            "site": {"name": "shanghai"},
        }));
        let line = format!("{record}\n");
        let document = shaper().document(line.as_bytes()).unwrap();
        assert_eq!(document.seq, 7);
        assert_eq!(document.timestamp_ms, 1_769_509_230_456);
        assert_eq!(
            Value::from(document.source),
            json!({
                "@timestamp": "2026-01-27T10:20:30.456Z", "level": "info", "kind": "request", "msg": "request",
                "service_name": "s", "http_status": 500, "duration_ms": 3000.1, "seq": 7, "method": "POST",
                "path": "/v1/chat/completions", "model_name": "qwen3:32b", "user_id": "u1", "input_tokens": 200,
                "output_tokens": 201, "stream": true, "site": {"name": "shanghai"}, "token_efficiency": 1.01,
                "tags": ["slow_request", "error_request"],
            })
        );
    }

    #[test]
    fn tags_are_exact() {
        for (changes, expected) in [
            (json!({}), None),
            (json!({"duration_ms": 3000}), None),
            (json!({"duration_ms": 3001}), Some(json!(["slow_request"]))),
            (json!({"duration_ms": "3001"}), Some(json!(["slow_request"]))),
            (json!({"status": 199}), Some(json!(["error_request"]))),
            (json!({"status": 299}), None),
            (json!({"status": 300}), Some(json!(["error_request"]))),
            (json!({"status": 499, "tag": "own"}), Some(json!(["own", "error_request"]))),
            // Tags are for requests, ours and those that collected lines tell of.
            (json!({"kind": "access", "status": 500}), None),
            (json!({"kind": "log", "tags": ["own"]}), Some(json!(["own"]))),
            (
                json!({"kind": "log", "status": 500, "duration_ms": 4200}),
                Some(json!(["slow_request", "error_request"])),
            ),
            (json!({"kind": "log", "status": null, "duration_ms": 4200}), None),
        ] {
            assert_eq!(shaped(&request(&changes)).get("tags"), expected.as_ref(), "{changes}");
        }
    }

    #[test]
    fn token_efficiency_is_rounded_half_up() {
        for (kind, input, output, expected) in [
            ("request", json!(100), json!(50), Some(0.5)),
            ("request", json!(3), json!(1), Some(0.33)),
            ("request", json!(3), json!(2), Some(0.67)),
            ("request", json!(8), json!(1), Some(0.13)),
            ("request", json!(200), json!(201), Some(1.01)),
            ("request", json!(1), json!(0), Some(0.0)),
            ("request", json!(0), json!(5), None),
            ("request", json!(null), json!(5), None),
            ("request", json!(-3), json!(5), None),
            ("request.start", json!(3), json!(5), None),
            ("log", json!(3), json!("2"), Some(0.67)),
        ] {
            let record = request(&json!({"kind": kind, "input_tokens": input, "output_tokens": output}));
            let efficiency = shaped(&record).get("token_efficiency").and_then(Value::as_f64);
            assert_eq!(efficiency, expected, "{kind} {input} {output}");
        }
    }

    #[test]
    fn wrong_values_are_kept_beside_the_tag() {
        let source = shaped(&request(&json!({"duration_ms": "fast", "http_status": 404, "user_id": {"a": 1}})));
        assert_eq!(source.get("duration_ms"), None);
        assert_eq!(source["http_status"], 200);
        assert_eq!(
            source["ingest_error"],
            "duration_ms: \"fast\" is not a number; http_status: 404 is a second value; user_id: {\"a\":1} is not a text"
        );
        assert_eq!(source["tags"], json!(["ingest_error"]));
    }

    #[test]
    fn a_collected_line_keeps_its_own_time() {
        let own = "2026-01-26T23:59:59.000+08:00";
        let record = request(&json!({"kind": "log", "@timestamp": own}));
        let document = shaper().document(record.to_string().as_bytes()).unwrap();
        assert_eq!(document.timestamp_ms, parse_rfc3339(own).unwrap());
        let record = request(&json!({"kind": "log", "time": own}));
        let document = shaper().document(record.to_string().as_bytes()).unwrap();
        assert_eq!(document.timestamp_ms, parse_rfc3339(own).unwrap());
        assert_eq!((&document.source["@timestamp"], document.source.get("time")), (&json!(own), None));
        // Only a collected line has one.
        let document = shaper().document(request(&json!({"time": own})).to_string().as_bytes()).unwrap();
        assert_eq!(
            (&document.source["@timestamp"], &document.source["time"]),
            (&json!("2026-01-27T10:20:30.456Z"), &json!(own))
        );
        let record = request(&json!({"kind": "log", "@timestamp": "yesterday"}));
        let document = shaper().document(record.to_string().as_bytes()).unwrap();
        assert_eq!(document.source["@timestamp"], "2026-01-27T10:20:30.456Z");
        assert_eq!(document.source["tags"], json!(["ingest_error"]));
    }

    #[test]
    fn a_collected_line_of_a_gateway_is_typed_as_our_own_requests_are() {
        let record = request(&json!({
            "kind": "log", "msg": "request", "caller": "collect/listen", "source": "network",
            "time": "2026-01-27T02:20:30.456Z", "own_caller": "gateway/handler.go:123", "own_service": "clawdbot-qwen3",
            "model": "qwen3:32b", "status": "500", "duration_ms": "4200", "input_tokens": "200", "output_tokens": "201",
            "file_mark": [1, 2, 3, 4],
        }));
        let source = shaped(&record);
        assert_eq!(
            Value::from(source),
            json!({
                "@timestamp": "2026-01-27T02:20:30.456Z", "level": "info", "kind": "log", "msg": "request",
                "http_status": 500, "duration_ms": 4200, "seq": 7, "source": "network", "caller": "gateway/handler.go:123",
                "service_name": "clawdbot-qwen3", "model_name": "qwen3:32b", "input_tokens": 200, "output_tokens": 201,
                "token_efficiency": 1.01, "tags": ["slow_request", "error_request"],
            })
        );
        // A request of our own has no such fields.
        let source = shaped(&request(&json!({"own_service": "x"})));
        assert_eq!((&source["service_name"], &source["own_service"]), (&json!("s"), &json!("x")));
    }

    #[test]
    fn a_dead_letter_of_a_line_is_searchable_by_its_text() {
        let record = request(&json!({
            "kind": "dead_letter", "caller": "collect/file", "source": "app", "reason": "no number", "program": "shape[0]",
            "event": {"msg": "took fast", "took": {"deep": [1]}}, "file_mark": [1, 2, 3, 4],
        }));
        let source = shaped(&record);
        assert_eq!(source["msg"], "request: {\"msg\":\"took fast\",\"took\":{\"deep\":[1]}}");
        assert!(!source.contains_key("event") && !source.contains_key("file_mark"));
        // A line of its own may well have a field of that name.
        let source = shaped(&request(&json!({"kind": "log", "caller": "collect/file", "event": {"a": 1}})));
        assert_eq!(source["event"], json!({"a": 1}));
        let source = shaped(&request(&json!({"kind": "log", "caller": "collect/file", "ingest_error": "x: no"})));
        assert_eq!((&source["ingest_error"], &source["tags"][0]), (&json!("x: no"), &json!("ingest_error")));
    }

    #[test]
    fn a_line_that_is_no_record_is_a_document_too() {
        let line = br#"{"ts":"2026-01-27T10:20:30.456Z","kind":"request","msg":"cut \"seq\":1 off,"seq":9,"#;
        let document = shaper().document(line).unwrap();
        assert_eq!((document.seq, document.timestamp_ms), (9, 1_769_509_230_456));
        assert_eq!(document.source["kind"], "log");
        assert_eq!(document.source["tags"], json!(["ingest_error"]));
        assert!(document.source["msg"].as_str().unwrap().contains("cut"));
        assert_eq!(shaper().document(b"not a record"), Err(ShapeError::NoSeq));
        assert_eq!(shaper().document(br#"{"seq":5}"#), Err(ShapeError::NoTime { seq: 5 }));
        let letter = Shaper::dead_letter(5, 0, b"\xff", "no time");
        assert_eq!(letter.source["@timestamp"], "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn wrong_tags_are_named() {
        for (query, expected) in [
            (
                "duration_ms:>",
                "failed to read the query of tag bad: expected a value to compare with before the end at position 13",
            ),
            (
                "duration_ms:>slow",
                "failed to read the query of tag bad: failed to create query: [duration_ms] is a number and cannot be \
                 compared with \"slow\"",
            ),
            (
                "status:5*",
                "failed to read the query of tag bad: prefix and wildcard conditions need a keyword or text field, \
                 [status] is a whole number",
            ),
        ] {
            let error = Shaper::new(&[("bad".into(), query.into())]).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_line_is_shaped_without_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = shaper().document(&line);
        }

        #[test]
        fn any_value_in_any_field_keeps_the_record(
            field in proptest::sample::select(catalogue().iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()),
            value in prop_oneof![
                Just(json!(null)), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from),
                any::<f64>().prop_map(Value::from), ".{0,8}".prop_map(Value::from), Just(json!([1, "a", null])), Just(json!({"a": []})),
            ],
        ) {
            prop_assume!(field != "seq");
            let record = request(&json!({field: value}));
            let document = shaper().document(record.to_string().as_bytes()).unwrap();
            prop_assert_eq!(document.seq, 7);
        }
    }
}
