//! What the records advise: from queries only, each with its figures, how sure they are, and the query behind them.
//!
//! [`questions`] are searches of the Elasticsearch DSL over the records of a time; [`advise`] takes their answers. Advice to change nothing
//! is advice, too: it is given where the figures say so, and where there are too few of them that is said instead.

mod fights;
mod fit;
mod lengths;
mod room;
mod row;
mod said;
mod waiting;

use serde_json::{Map, Value, json};

pub use fit::{Line, Share};
use row::Row;
pub use said::Advised;

use crate::sentence::Sentence;

/// Rows that are looked at, the newest.
const ROWS_MAX: u64 = 10_000;
/// A load that takes less found its model in memory, in milliseconds.
const LOAD_MS_MIN: u64 = 500;

/// A search, and what it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Its name: `requests`, `loads`, `queue`, `memory`.
    pub name: &'static str,
    /// The body of the search.
    pub search: Value,
}

/// How the installation is set up, as far as advice depends on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setup {
    /// Models of the configuration: name, context, `keep_alive`.
    pub models: Vec<(String, Option<u32>, Option<String>)>,
    /// Model servers: name, how many requests each works on at once.
    pub upstreams: Vec<(String, Option<u32>)>,
    /// How many hours the records are of.
    pub hours: f64,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Word {
    /// The figures say that nothing has to change.
    Keep,
    /// There are too few records to say.
    Unknown,
    /// Something should change.
    Change,
}

impl Word {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Unknown => "unknown",
            Self::Change => "change",
        }
    }
}

/// One piece of advice.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// A stable word, listed in `docs/advise.md`: `prompts`, `context`, `loads`, `queue`, `memory`.
    pub id: &'static str,
    /// The model, or the model server.
    pub subject: Option<String>,
    /// Whether something should change.
    pub word: Word,
    /// A stable word for what was found.
    pub code: &'static str,
    /// For people: what was found, with figures.
    pub found: Sentence,
    /// How sure that is.
    pub sure: Sentence,
    /// What to change, and what that brings.
    pub change: Option<Sentence>,
    /// The figures, for programs.
    pub figures: Map<String, Value>,
    /// The search behind it, by its name.
    pub query: &'static str,
}

impl Advice {
    /// The form for programs.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id, "subject": self.subject, "advice": self.word.as_str(), "code": self.code,
            "found": self.found.text(), "found_said": self.found.said(), "sure": self.sure.text(), "sure_said": self.sure.said(),
            "change": self.change.as_ref().map(Sentence::text),
            "change_said": self.change.as_ref().map_or(&[][..], Sentence::said),
            "figures": self.figures, "query": self.query,
        })
    }
}

/// Figures of a piece of advice.
fn figures(value: Value) -> Map<String, Value> {
    if let Value::Object(figures) = value { figures } else { Map::new() }
}

/// The searches over all records from this time on, in milliseconds since 1970.
pub fn questions(from_ms: i64) -> Vec<Question> {
    let since = json!({"range": {"@timestamp": {"gte": from_ms, "format": "epoch_millis"}}});
    let requests = |more: Vec<Value>| {
        let mut filter = vec![json!({"term": {"kind": "request"}}), since.clone()];
        filter.extend(more);
        json!({"bool": {"filter": filter}})
    };
    let rows = |query: Value| json!({"query": query, "sort": [{"@timestamp": "desc"}], "size": ROWS_MAX, "track_total_hits": true, "_source": row::FIELDS});
    let hours = json!({"date_histogram": {"field": "@timestamp", "fixed_interval": "1h"}, "aggs": {
        "waited": {"percentiles": {"field": "queue_ms", "percents": [50, 95]}},
        "long": {"filter": {"range": {"queue_ms": {"gt": waiting::LONG_MS}}}},
    }});
    let gpus = json!({"bool": {"filter": [since.clone(), {"exists": {"field": "gpu_memory_used_percent"}}]}});
    vec![
        Question { name: "requests", search: rows(requests(Vec::new())) },
        Question { name: "loads", search: rows(requests(vec![json!({"range": {"load_ms": {"gte": LOAD_MS_MIN}}})])) },
        Question {
            name: "queue",
            search: json!({"query": requests(Vec::new()), "size": 0, "track_total_hits": true, "aggs": {"hours": hours}}),
        },
        Question {
            name: "memory",
            search: json!({"query": gpus, "size": 1, "sort": [{"gpu_memory_used_percent": "desc"}], "track_total_hits": true,
                "aggs": {"total": {"max": {"field": "gpu_memory_total_bytes"}}}}),
        },
    ]
}

/// Hours that there are records of: not more than were asked for, and not more than the house is old.
pub fn hours_seen(answers: &[Value], hours_asked: f64, now_ms: i64) -> f64 {
    let buckets =
        answers.iter().find_map(|answer| answer.pointer("/aggregations/hours/buckets")).and_then(Value::as_array);
    let first = buckets.and_then(|buckets| buckets.first()).and_then(|bucket| bucket["key"].as_i64());
    let old = first.map(|first_ms| (now_ms - first_ms) as f64 / 3_600_000.0);
    old.map_or(hours_asked, |old| old.min(hours_asked)).max(1.0)
}

/// What the answers advise; one answer for each question, in their order.
pub fn advise(answers: &[Value], setup: &Setup) -> Vec<Advice> {
    let empty = Value::Null;
    let answer = |number: usize| answers.get(number).unwrap_or(&empty);
    let rows = Row::all(answer(0));
    let loads = Row::all(answer(1));
    let total = answer(0).pointer("/hits/total/value").and_then(Value::as_u64).unwrap_or(rows.len() as u64);
    let mut all = lengths::prompts(&rows);
    all.extend(lengths::contexts(&rows, setup));
    let fights = fights::advice(&loads, total, setup);
    let memory = room::advice(answer(3), &loads, setup);
    all.extend(fights);
    all.push(waiting::advice(answer(2), &rows, setup));
    all.push(memory);
    // What should change first; else in the order of the page.
    all.sort_by_key(|advice| std::cmp::Reverse(advice.word == Word::Change));
    all
}

/// The form for programs.
pub fn advice_json(all: &[Advice], questions: &[Question]) -> Value {
    let needed = all.iter().any(|advice| advice.word == Word::Change);
    let queries: Map<String, Value> =
        questions.iter().map(|question| (question.name.to_owned(), question.search.clone())).collect();
    json!({
        "change_needed": needed,
        "advice": all.iter().map(Advice::to_json).collect::<Vec<_>>(),
        "queries": queries,
    })
}

#[cfg(test)]
mod tests;
