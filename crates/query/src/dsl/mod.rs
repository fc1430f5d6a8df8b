//! `_search` bodies of Elasticsearch: the query DSL, sort, paging, source filter and aggregations.
//!
//! Strict on purpose: a key that is not known is an error that names it and the nearest known one, and a key that is
//! known but would change the answer in a way we do not give is an error too. Only keys that cannot change which
//! documents or numbers come back ([`IGNORED_KEYS`]) are passed over.

mod aggs;
mod clauses;
mod hits;
mod read;
mod sort;
mod write;

use serde_json::Value;

use crate::ast::{Query, SearchRequest, SourceFilter};
use crate::error::{ParseError, hint};
use read::{bool_of, count_of, object_of, only_keys};

pub use hits::parse_source;
pub(crate) use sort::is_descending;
pub use sort::parse_sort;
pub use write::{write_query, write_search};

/// Deepest nesting of query clauses.
pub const QUERY_DEPTH_MAX: usize = 64;
/// Deepest nesting of aggregations.
pub const AGGS_DEPTH_MAX: usize = 5;
/// Most aggregations in one request.
pub const AGGS_MAX: usize = 256;
/// Most clauses in one query.
pub const CLAUSES_MAX: usize = 1024;
/// Most values in one `terms` or `ids` clause; Elasticsearch's `index.max_terms_count`.
pub const TERMS_MAX: usize = 65_536;
/// Most sort keys.
pub const SORT_KEYS_MAX: usize = 32;
/// Furthest hit that can be asked for, `from` + `size`; Elasticsearch's `index.max_result_window`.
pub const RESULT_WINDOW_MAX: usize = 10_000;
/// Hits counted exactly unless the request says otherwise; Elasticsearch's default.
pub const TRACK_TOTAL_HITS_DEFAULT: u64 = 10_000;
/// Hits returned unless the request says otherwise; Elasticsearch's default.
pub const SIZE_DEFAULT: usize = 10;

/// Keys of a search body that tools send and that change neither hits nor aggregations.
pub const IGNORED_KEYS: [&str; 10] = [
    "timeout",
    "version",
    "seq_no_primary_term",
    "track_scores",
    "preference",
    "stats",
    "allow_partial_search_results",
    "batched_reduce_size",
    "pre_filter_shard_size",
    "request_cache",
];

/// Keys of a search body that would change the answer: accepted only while they ask for nothing (`false`, `null`, 0,
/// empty).
const UNSUPPORTED_KEYS: [&str; 16] = [
    "highlight",
    "script_fields",
    "runtime_mappings",
    "min_score",
    "terminate_after",
    "collapse",
    "rescore",
    "suggest",
    "explain",
    "profile",
    "indices_boost",
    "slice",
    "pit",
    "ext",
    "knn",
    "retriever",
];

const KEYS: [&str; 13] = [
    "query",
    "from",
    "size",
    "sort",
    "aggs",
    "aggregations",
    "_source",
    "track_total_hits",
    "search_after",
    "post_filter",
    "fields",
    "docvalue_fields",
    "stored_fields",
];

/// Reads the body of a `_search`; `null` stands for an empty body.
pub fn parse_search(body: &Value) -> Result<SearchRequest, ParseError> {
    let mut request = SearchRequest {
        query: Query::MatchAll,
        from: 0,
        size: SIZE_DEFAULT,
        sort: Vec::new(),
        aggs: Vec::new(),
        as_given: Value::Null,
        source: SourceFilter::default(),
        track_total_hits: Some(TRACK_TOTAL_HITS_DEFAULT),
        search_after: Vec::new(),
        post_filter: None,
        fields: Vec::new(),
        docvalue_fields: Vec::new(),
        bare: false,
    };
    if body.is_null() {
        return Ok(request);
    }
    let members = object_of(body, "the search body")?;
    if !members.is_empty() {
        request.as_given = body.clone();
    }
    for (key, value) in members {
        match key.as_str() {
            "query" => request.query = parse_query(value)?,
            "from" => request.from = count_of(value, "from")?,
            "size" => request.size = count_of(value, "size")?,
            "sort" => request.sort = parse_sort(value)?,
            "_source" => request.source = parse_source(value)?,
            "track_total_hits" => request.track_total_hits = track_total_hits(value)?,
            "aggs" | "aggregations" => {
                if !request.aggs.is_empty() {
                    return Err(ParseError::parsing(
                        "[aggs] and [aggregations] are the same and may not both be given",
                    ));
                }
                request.aggs = aggs::parse(value)?;
            }
            "search_after" => request.search_after = sort::parse_search_after(value)?,
            "post_filter" if value.is_null() => {}
            "post_filter" => request.post_filter = Some(parse_query(value)?),
            "fields" => request.fields = hits::parse_fields(key, value)?,
            "docvalue_fields" => request.docvalue_fields = hits::parse_fields(key, value)?,
            "stored_fields" => request.bare = hits::is_bare(value)?,
            ignored if IGNORED_KEYS.contains(&ignored) => {}
            known if UNSUPPORTED_KEYS.contains(&known) => {
                if !asks_for_nothing(value) {
                    return Err(ParseError::parsing(format!("[{known}] in a search body is not supported")));
                }
            }
            unknown => {
                let all = KEYS.iter().chain(&IGNORED_KEYS).chain(&UNSUPPORTED_KEYS).copied();
                let near = hint(unknown, all);
                return Err(ParseError::parsing(format!("unknown key [{unknown}] in the search body{near}")));
            }
        }
    }
    sort::check_search_after(&request)?;
    let end = request.from.saturating_add(request.size);
    if end > RESULT_WINDOW_MAX {
        return Err(ParseError::illegal(format!(
            "Result window is too large, from + size must be less than or equal to: [{RESULT_WINDOW_MAX}] but was \
             [{end}]. See the scroll api for a more efficient way to request large data sets. This limit can be set by \
             changing the [index.max_result_window] index level setting."
        )));
    }
    Ok(request)
}

/// Reads the body of a `_count`: nothing but a `query`, or nothing at all.
pub fn parse_count(body: &Value) -> Result<Query, ParseError> {
    if body.is_null() {
        return Ok(Query::MatchAll);
    }
    let body = object_of(body, "the count body")?;
    only_keys("count", body, &["query"])?;
    body.get("query").map_or(Ok(Query::MatchAll), parse_query)
}

/// Reads one query clause, such as `{"term": {"kind": "request"}}`.
pub fn parse_query(clause: &Value) -> Result<Query, ParseError> {
    clauses::parse(clause)
}

fn track_total_hits(value: &Value) -> Result<Option<u64>, ParseError> {
    if let Some(limit) = value.as_i64() {
        return match limit {
            -1 => Ok(Some(u64::MAX)),
            0.. => Ok(Some(limit as u64)),
            _ => Err(ParseError::illegal(format!(
                "[track_total_hits] parameter must be positive or equals to -1, got {limit}"
            ))),
        };
    }
    Ok(bool_of(value, "track_total_hits")?.then_some(u64::MAX))
}

fn asks_for_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(true) | Value::String(_) => false,
    }
}
