//! The body of a `_bulk` request, and what its answer says of each document.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::trouble::{State, error_text, shortened};

/// Where documents are sent. Of the answer only what is looked at is asked for.
pub(crate) const PATH: &str = "/_bulk?filter_path=errors,items.*.status,\
     items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason";

/// Refusals with a document's status whose reason is the cluster's: each document would be refused, until somebody
/// makes room or opens the index.
const OF_THE_CLUSTER: [&str; 3] = ["validation_exception", "index_closed_exception", "cluster_block_exception"];

/// A document on its way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// Number of its record.
    pub(crate) seq: u64,
    /// The index of its day: a service, and a date of ten characters.
    pub(crate) index: String,
    /// The same each time it is sent.
    pub(crate) id: String,
    /// The document itself, as JSON.
    pub(crate) source: Vec<u8>,
    /// Whether it tells of a document that was refused.
    pub(crate) is_dead_letter: bool,
}

/// What became of one document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    /// It is there now.
    Delivered,
    /// It was there already.
    Repeated,
    /// Not now: the cluster is busy ([`State::Busy`]) or does not let us ([`State::Rejected`]).
    Later(State, String),
    /// Never: this document does not fit.
    Refused(Refusal),
}

/// Why a document does not fit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) reason: String,
}

impl Item {
    /// Whose index it goes into.
    pub(crate) fn service(&self) -> &str {
        self.index.get(..self.index.len().saturating_sub("-2026.01.27".len())).unwrap_or_default()
    }
}

/// The request's body: `create` lines with their documents, compressed.
pub(crate) fn body(items: &[Item]) -> Vec<u8> {
    let bytes = items.iter().map(|item| item.source.len()).sum::<usize>();
    let mut packed = GzEncoder::new(Vec::with_capacity(bytes / 4), Compression::fast());
    let written = items.iter().try_for_each(|item| write(&mut packed, item));
    written.and_then(|()| packed.finish()).expect("memory takes every byte")
}

fn write(out: &mut impl Write, item: &Item) -> io::Result<()> {
    // A client may have given the index its name.
    let index = Value::from(item.index.as_str());
    writeln!(out, "{{\"create\":{{\"_index\":{index},\"_id\":\"{}\"}}}}", item.id)?;
    out.write_all(&item.source)?;
    out.write_all(b"\n")
}

/// What the answer says of each of so many documents, in their order. Nothing when it is no answer to that.
pub(crate) fn fates(answer: &[u8], items: usize) -> Result<Vec<Fate>, String> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| format!("its answer to _bulk: {error}"))?;
    if answer.items.len() != items {
        return Err(format!("its answer to _bulk tells of {} documents, not of {items}", answer.items.len()));
    }
    Ok(answer.items.into_iter().map(|told| fate(told.create)).collect())
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    create: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
    #[serde(default, deserialize_with = "as_object")]
    error: Value,
}

/// Very old servers tell an error as a text.
fn as_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => serde_json::json!({"type": "error", "reason": text}),
        other => other,
    })
}

/// The one table of what an item's status and error mean.
fn fate(Outcome { status, error }: Outcome) -> Fate {
    let kind = error["type"].as_str().unwrap_or_default().to_owned();
    let told = || shortened(&error_text(&error));
    match status {
        200..=299 => Fate::Delivered,
        409 => Fate::Repeated,
        408 | 429 | 500.. => Fate::Later(State::Busy, told()),
        401 | 403 | 404 => Fate::Later(State::Rejected, told()),
        _ if OF_THE_CLUSTER.contains(&kind.as_str()) => Fate::Later(State::Rejected, told()),
        _ => Fate::Refused(Refusal { status, kind, reason: told() }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn a_body_is_lines_in_pairs() {
        let item = |seq: u64| Item {
            seq,
            index: "gate-2026.01.27".to_owned(),
            id: format!("{seq}-ab"),
            source: format!("{{\"seq\":{seq}}}").into_bytes(),
            is_dead_letter: false,
        };
        let mut text = String::new();
        GzDecoder::new(&body(&[item(1), item(2)])[..]).read_to_string(&mut text).unwrap();
        assert_eq!(
            text,
            "{\"create\":{\"_index\":\"gate-2026.01.27\",\"_id\":\"1-ab\"}}\n{\"seq\":1}\n\
             {\"create\":{\"_index\":\"gate-2026.01.27\",\"_id\":\"2-ab\"}}\n{\"seq\":2}\n"
        );
    }

    #[test]
    fn each_item_has_its_fate() {
        let later = |state, text: &str| Fate::Later(state, text.to_owned());
        for (status, kind, expected) in [
            (201, "", Fate::Delivered),
            (200, "", Fate::Delivered),
            (409, "version_conflict_engine_exception", Fate::Repeated),
            (429, "es_rejected_execution_exception", later(State::Busy, "es_rejected_execution_exception: why")),
            (429, "cluster_block_exception", later(State::Busy, "cluster_block_exception: why")),
            (503, "unavailable_shards_exception", later(State::Busy, "unavailable_shards_exception: why")),
            (403, "security_exception", later(State::Rejected, "security_exception: why")),
            (404, "index_not_found_exception", later(State::Rejected, "index_not_found_exception: why")),
            // The cluster has as many shards as it may have.
            (400, "validation_exception", later(State::Rejected, "validation_exception: why")),
            (400, "index_closed_exception", later(State::Rejected, "index_closed_exception: why")),
        ] {
            let error = format!(r#"{{"type":"{kind}","reason":"why"}}"#);
            let answer = format!(r#"{{"items":[{{"create":{{"status":{status},"error":{error}}}}}]}}"#);
            assert_eq!(fates(answer.as_bytes(), 1).unwrap(), [expected], "{status} {kind}");
        }
        for kind in ["mapper_parsing_exception", "document_parsing_exception", "illegal_argument_exception"] {
            let error = format!(r#"{{"type":"{kind}","reason":"a","caused_by":{{"reason":"b"}}}}"#);
            let answer = format!(r#"{{"items":[{{"create":{{"status":400,"error":{error}}}}}]}}"#);
            let expected = Refusal { status: 400, kind: kind.to_owned(), reason: format!("{kind}: a: b") };
            assert_eq!(fates(answer.as_bytes(), 1).unwrap(), [Fate::Refused(expected)]);
        }
        assert!(fates(b"{\"items\":[]}", 1).is_err());
        assert!(fates(b"{\"items\":[{\"create\":{\"status\":201}}", 1).is_err());
        assert!(fates(b"{}", 0).is_err(), "no answer to _bulk");
    }
}
