//! What a search answers, in the form of Elasticsearch's `_search` body.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The answer to a search; serialises as Elasticsearch's body.
#[derive(Debug, Serialize)]
pub struct SearchResponse {
    /// Milliseconds it took.
    pub took: u64,
    /// The time for a search was over before all documents were looked at; what is answered is of those that were.
    pub timed_out: bool,
    /// How many indices were searched.
    #[serde(rename = "_shards")]
    pub shards: Shards,
    /// The documents found.
    pub hits: Hits,
    /// Results of the aggregations by name; absent when there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregations: Option<Map<String, Value>>,
}

/// One shard is one index here.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Shards {
    /// All that were asked for.
    pub total: usize,
    /// Those that answered.
    pub successful: usize,
    /// Always 0.
    pub skipped: usize,
    /// Always 0.
    pub failed: usize,
}

impl Shards {
    /// All of `number` indices answered.
    pub fn all(number: usize) -> Self {
        Self { total: number, successful: number, skipped: 0, failed: 0 }
    }
}

/// The documents found.
#[derive(Debug, Serialize)]
pub struct Hits {
    /// How many there are; absent when the request did not want them counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Total>,
    /// 1 when hits are not sorted by a field.
    pub max_score: Option<f64>,
    /// Those that were asked for.
    pub hits: Vec<Hit>,
}

/// How many documents were found.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Total {
    /// The number.
    pub value: u64,
    /// `eq`, or `gte` when there are more than were to be counted.
    pub relation: &'static str,
}

/// A document found.
#[derive(Debug, Serialize)]
pub struct Hit {
    /// Its day.
    #[serde(rename = "_index")]
    pub index: String,
    /// The id that its writer gave it, else the number of its record; empty when the request wanted bare hits.
    #[serde(rename = "_id", skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// 1, or absent when hits are sorted by a field.
    #[serde(rename = "_score")]
    pub score: Option<f64>,
    /// The document, as far as it was asked for.
    #[serde(rename = "_source", skip_serializing_if = "Option::is_none")]
    pub source: Option<Box<RawValue>>,
    /// The values that were asked for by name, as lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Map<String, Value>>,
    /// Pieces of its fields with the words marked that were looked for. Nothing that the index knows of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub highlight: Option<Map<String, Value>>,
    /// What it was sorted by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<Vec<Value>>,
}
