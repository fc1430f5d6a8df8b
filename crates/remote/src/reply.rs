//! A cluster's answer to a search, brought into the form of our own.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tollhouse_query::Pattern;
use tollhouse_query::ast::SearchRequest;
use tollhouse_store::{Hit, Hits, SearchResponse, Shards, Total};

/// The field of the id that whoever wrote a document gave it; each hit is asked for it.
const DOC_ID: &str = "doc_id";

/// The answer to `_msearch`.
#[derive(Deserialize)]
pub(crate) struct Replies {
    pub(crate) responses: Vec<Reply>,
}

/// The answer to one search.
#[derive(Deserialize)]
pub(crate) struct Reply {
    #[serde(default)]
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) error: Value,
    #[serde(default)]
    took: u64,
    #[serde(default)]
    pub(crate) timed_out: bool,
    #[serde(default, rename = "_shards")]
    shards: ReplyShards,
    #[serde(default)]
    hits: ReplyHits,
    #[serde(default)]
    aggregations: Option<Map<String, Value>>,
}

#[derive(Default, Deserialize)]
struct ReplyShards {
    #[serde(default)]
    failed: u64,
}

#[derive(Default, Deserialize)]
struct ReplyHits {
    total: Option<ReplyTotal>,
    #[serde(default)]
    hits: Vec<ReplyHit>,
}

#[derive(Deserialize)]
struct ReplyTotal {
    value: u64,
    relation: String,
}

#[derive(Deserialize)]
struct ReplyHit {
    #[serde(rename = "_index")]
    index: String,
    #[serde(default, rename = "_id")]
    id: String,
    #[serde(default, rename = "_source")]
    source: Option<Box<RawValue>>,
    #[serde(default)]
    fields: Map<String, Value>,
    #[serde(default)]
    sort: Vec<Value>,
}

impl Reply {
    /// Whether only a part of the documents was looked at.
    pub(crate) fn is_partial(&self) -> bool {
        self.timed_out || self.shards.failed > 0
    }

    /// As our own index would have answered, over so many days.
    pub(crate) fn into_response(self, request: &SearchRequest, days: usize) -> SearchResponse {
        let is_sorted = !request.sort.is_empty();
        let shows_id = asks_for(request, DOC_ID);
        let hits: Vec<Hit> = self.hits.hits.into_iter().map(|hit| hit.into_hit(request, is_sorted, shows_id)).collect();
        let total = self.hits.total.filter(|_| request.track_total_hits.is_some());
        SearchResponse {
            took: self.took,
            timed_out: self.timed_out,
            shards: Shards::all(days),
            hits: Hits {
                total: total.map(|total| Total {
                    value: total.value,
                    relation: if total.relation == "gte" { "gte" } else { "eq" },
                }),
                max_score: (!hits.is_empty() && !is_sorted).then_some(1.0),
                hits,
            },
            aggregations: self.aggregations.map(|mut found| {
                settle(request.aggs_as_given(), &mut found);
                found
            }),
        }
    }
}

impl ReplyHit {
    fn into_hit(mut self, request: &SearchRequest, is_sorted: bool, shows_id: bool) -> Hit {
        let given = if shows_id { self.fields.get(DOC_ID).cloned() } else { self.fields.shift_remove(DOC_ID) };
        let given = given.as_ref().and_then(|ids| ids.get(0)?.as_str().map(str::to_owned));
        // The last one is that which broke ties.
        self.sort.pop();
        let has_fields = !request.fields.is_empty() || !request.docvalue_fields.is_empty();
        Hit {
            index: self.index,
            id: if request.bare { String::new() } else { given.unwrap_or_else(|| own_id(&self.id)) },
            score: (!is_sorted).then_some(1.0),
            source: self.source.filter(|_| !request.bare),
            fields: has_fields.then_some(self.fields),
            highlight: None,
            sort: is_sorted.then_some(self.sort),
        }
    }
}

/// The number of a record, of which a shipped document's id begins with.
fn own_id(id: &str) -> String {
    id.split_once('-').map_or(id, |(seq, _)| seq).to_owned()
}

fn asks_for(request: &SearchRequest, field: &str) -> bool {
    request.fields.iter().chain(&request.docvalue_fields).any(|asked| Pattern::new(&asked.pattern).is_match(field))
}

/// Takes out of aggregations what they were asked for beyond what was given: the order of hits in `top_hits`.
fn settle(given: &Value, found: &mut Map<String, Value>) {
    for (name, agg) in given.as_object().into_iter().flatten() {
        let Some(found) = found.get_mut(name) else { continue };
        if let Some(options) = agg.get("top_hits") {
            settle_hits(options.get("sort").is_some_and(|sort| !sort.is_null()), found);
        }
        let Some(inner) = agg.get("aggs").or_else(|| agg.get("aggregations")) else { continue };
        match found.get_mut("buckets") {
            Some(Value::Array(buckets)) => {
                buckets.iter_mut().filter_map(Value::as_object_mut).for_each(|bucket| settle(inner, bucket));
            }
            Some(Value::Object(buckets)) => {
                buckets.values_mut().filter_map(Value::as_object_mut).for_each(|bucket| settle(inner, bucket));
            }
            _ => {
                if let Value::Object(found) = found {
                    settle(inner, found);
                }
            }
        }
    }
}

fn settle_hits(is_sorted: bool, found: &mut Value) {
    if is_sorted {
        found["hits"]["max_score"] = Value::Null;
    }
    let Some(hits) = found.pointer_mut("/hits/hits").and_then(Value::as_array_mut) else { return };
    for hit in hits.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(id) = hit.get("_id").and_then(Value::as_str).map(own_id) {
            hit.insert("_id".into(), id.into());
        }
        if is_sorted {
            hit.insert("_score".into(), Value::Null);
            if let Some(Value::Array(sort)) = hit.get_mut("sort") {
                sort.pop();
            }
        } else {
            hit.shift_remove("sort");
        }
    }
}
