//! The aggregations of a search body.

use serde_json::{Map, Value, json};

use super::clauses::Formats;
use super::read::{
    bool_of, count_of, number_of, object_of, only_default, only_keys, required_string, scalar_of, single, string_of,
};
use super::{AGGS_DEPTH_MAX, AGGS_MAX, is_descending, parse_query, parse_sort, parse_source};
use crate::ast::{Agg, AggKind, Interval, Metric, SourceFilter};
use crate::date::{Zone, parse_calendar_interval, parse_fixed_interval, parse_offset};
use crate::error::{ParseError, hint};
use crate::fields::check_name;

/// Most documents in one `top_hits`; Elasticsearch's `index.max_inner_result_window`.
const TOP_HITS_MAX: usize = 100;
const TOP_HITS_DEFAULT: usize = 3;
const TERMS_SIZE_DEFAULT: usize = 10;
/// Most ranges, filters or percentiles in one aggregation.
const PARTS_MAX: usize = 1024;

const SUPPORTED: [&str; 16] = [
    "date_histogram",
    "histogram",
    "terms",
    "filters",
    "filter",
    "range",
    "missing",
    "avg",
    "sum",
    "min",
    "max",
    "value_count",
    "stats",
    "percentiles",
    "cardinality",
    "top_hits",
];

/// Aggregations that Elasticsearch has and that are refused by name.
const UNSUPPORTED: [&str; 26] = [
    "extended_stats",
    "composite",
    "date_range",
    "auto_date_histogram",
    "percentile_ranks",
    "top_metrics",
    "multi_terms",
    "rare_terms",
    "significant_terms",
    "significant_text",
    "weighted_avg",
    "median_absolute_deviation",
    "rate",
    "global",
    "nested",
    "sampler",
    "scripted_metric",
    "derivative",
    "cumulative_sum",
    "moving_fn",
    "serial_diff",
    "bucket_script",
    "bucket_selector",
    "bucket_sort",
    "adjacency_matrix",
    "geohash_grid",
];

pub(super) fn parse(value: &Value) -> Result<Vec<(String, Agg)>, ParseError> {
    Reader { count: 0 }.aggs(value, 1)
}

struct Reader {
    count: usize,
}

impl Reader {
    fn aggs(&mut self, value: &Value, depth: usize) -> Result<Vec<(String, Agg)>, ParseError> {
        if depth > AGGS_DEPTH_MAX {
            return Err(ParseError::aggregation(format!("aggregations are nested deeper than {AGGS_DEPTH_MAX}")));
        }
        let mut aggs = Vec::new();
        for (name, body) in object_of(value, "[aggs]")? {
            self.count += 1;
            if self.count > AGGS_MAX {
                return Err(ParseError::aggregation(format!("more than {AGGS_MAX} aggregations")));
            }
            if name.is_empty() || name.contains(['[', ']', '>']) {
                return Err(ParseError::parsing(format!(
                    "Invalid aggregation name [{name}]. Aggregation names cannot contain '[', ']' and '>'"
                )));
            }
            aggs.push((name.clone(), self.agg(name, object_of(body, &format!("aggregation [{name}]"))?, depth)?));
        }
        Ok(aggs)
    }

    fn agg(&mut self, name: &str, body: &Map<String, Value>, depth: usize) -> Result<Agg, ParseError> {
        let mut kind: Option<(&str, &Value)> = None;
        let mut aggs = Vec::new();
        for (key, value) in body {
            match key.as_str() {
                "aggs" | "aggregations" => aggs = self.aggs(value, depth + 1)?,
                "meta" if value.as_object().is_some_and(Map::is_empty) => {}
                "meta" => return Err(ParseError::parsing(format!("[meta] of aggregation [{name}] is not supported"))),
                other => {
                    if let Some((first, _)) = kind {
                        return Err(ParseError::parsing(format!(
                            "Found two aggregation type definitions in [{name}]: [{first}] and [{other}]"
                        )));
                    }
                    kind = Some((other, value));
                }
            }
        }
        let Some((type_name, body)) = kind else {
            return Err(ParseError::parsing(format!("Missing definition for aggregation [{name}]")));
        };
        // Refused first, so that a mistyped name is told and not its strange content.
        if UNSUPPORTED.contains(&type_name) {
            return Err(ParseError::parsing(format!("[{type_name}] aggregations are not supported")));
        }
        if !SUPPORTED.contains(&type_name) {
            return Err(ParseError::parsing(format!(
                "Unknown aggregation type [{type_name}]{}",
                hint(type_name, SUPPORTED)
            )));
        }
        let kind = agg_kind(type_name, body)?;
        if !aggs.is_empty() && is_leaf(&kind) {
            return Err(ParseError::aggregation(format!(
                "Aggregator [{name}] of type [{type_name}] cannot accept sub-aggregations"
            )));
        }
        if let AggKind::Terms { order, .. } = &kind {
            check_order(order, &aggs)?;
        }
        Ok(Agg { kind, aggs })
    }
}

fn agg_kind(name: &str, body: &Value) -> Result<AggKind, ParseError> {
    if name == "filter" {
        return parse_query(body).map(AggKind::Filter);
    }
    let body = object_of(body, &format!("[{name}]"))?;
    match name {
        "date_histogram" => date_histogram(body),
        "histogram" => histogram(body),
        "terms" => terms(body),
        "filters" => filters(body),
        "range" => range(body),
        "missing" => {
            only_keys(name, body, &["field"])?;
            Ok(AggKind::Missing { field: field(body, name)? })
        }
        "percentiles" => percentiles(body),
        "cardinality" => {
            only_keys(name, body, &["field", "precision_threshold", "execution_hint"])?;
            Ok(AggKind::Cardinality { field: field(body, name)? })
        }
        "top_hits" => top_hits(body),
        "avg" => metric(name, body, Metric::Avg),
        "sum" => metric(name, body, Metric::Sum),
        "min" => metric(name, body, Metric::Min),
        "max" => metric(name, body, Metric::Max),
        "value_count" => metric(name, body, Metric::ValueCount),
        "stats" => metric(name, body, Metric::Stats),
        other => Err(ParseError::parsing(format!("Unknown aggregation type [{other}]"))),
    }
}

fn is_leaf(kind: &AggKind) -> bool {
    matches!(
        kind,
        AggKind::Metric { .. } | AggKind::Percentiles { .. } | AggKind::Cardinality { .. } | AggKind::TopHits { .. }
    )
}

fn field(body: &Map<String, Value>, name: &str) -> Result<String, ParseError> {
    let field = required_string(body, "field", name)?;
    check_name(field)?;
    Ok(field.to_owned())
}

fn min_doc_count(body: &Map<String, Value>, default: u64) -> Result<u64, ParseError> {
    body.get("min_doc_count").map_or(Ok(default), |count| Ok(count_of(count, "min_doc_count")? as u64))
}

fn date_histogram(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "date_histogram";
    only_keys(
        NAME,
        body,
        &[
            "field",
            "fixed_interval",
            "calendar_interval",
            "interval",
            "offset",
            "time_zone",
            "min_doc_count",
            "extended_bounds",
            "format",
            "keyed",
            "order",
        ],
    )?;
    only_default(body, "keyed", &json!(false), NAME)?;
    only_default(body, "order", &json!({"_key": "asc"}), NAME)?;
    let formats = body.get("format").map(|format| key_format(string_of(format, "format")?)).transpose()?;
    let time_zone = match body.get("time_zone") {
        None | Some(Value::Null) => None,
        Some(zone) => Some(string_of(zone, "time_zone")?.to_owned()),
    };
    if let Some(zone) = &time_zone {
        Zone::parse(zone)?;
    }
    let extended_bounds = match body.get("extended_bounds") {
        None | Some(Value::Null) => None,
        Some(bounds) => {
            let bounds = object_of(bounds, "[extended_bounds]")?;
            only_keys("extended_bounds", bounds, &["min", "max"])?;
            let end = |key: &str| match bounds.get(key) {
                None | Some(Value::Null) => Ok(Value::Null),
                Some(value) => {
                    let value = scalar_of(value, key)?;
                    formats.as_ref().map_or(Ok(value.clone()), |formats| formats.convert(&value))
                }
            };
            Some((end("min")?, end("max")?))
        }
    };
    Ok(AggKind::DateHistogram {
        field: field(body, NAME)?,
        interval: interval(body)?,
        offset_ms: body.get("offset").map_or(Ok(0), offset_ms)?,
        time_zone,
        min_doc_count: min_doc_count(body, 0)?,
        extended_bounds,
    })
}

/// Formats of bucket keys: those that are written like the default one, and milliseconds, which are the `key` itself.
fn key_format(text: &str) -> Result<Formats, ParseError> {
    const RENDERED: [&str; 8] = [
        "epoch_millis",
        "strict_date_optional_time",
        "date_optional_time",
        "strict_date_optional_time||epoch_millis",
        "strict_date_time",
        "date_time",
        "yyyy-MM-dd'T'HH:mm:ss.SSSZ",
        "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    ];
    if !RENDERED.contains(&text) {
        return Err(ParseError::illegal(format!(
            "[format] [{text}] of [date_histogram] is not supported, expected one of {}",
            RENDERED.join(", ")
        )));
    }
    Formats::parse(text)
}

fn interval(body: &Map<String, Value>) -> Result<Interval, ParseError> {
    let given: Vec<&str> =
        ["fixed_interval", "calendar_interval", "interval"].into_iter().filter(|key| body.contains_key(*key)).collect();
    let [key] = given.as_slice() else {
        return Err(ParseError::illegal(
            "[date_histogram] needs exactly one of [fixed_interval] and [calendar_interval]",
        ));
    };
    let value = &body[*key];
    match *key {
        "fixed_interval" => parse_fixed_interval(string_of(value, key)?).map(Interval::Fixed),
        "calendar_interval" => parse_calendar_interval(string_of(value, key)?).map(Interval::Calendar),
        // The one key of Elasticsearch before 7: calendar units by their names, anything else fixed.
        _ => match value {
            Value::Number(ms) => ms
                .as_u64()
                .filter(|ms| *ms > 0 && i64::try_from(*ms).is_ok())
                .map(Interval::Fixed)
                .ok_or_else(|| ParseError::illegal("[interval] must be a whole number of milliseconds from 1")),
            other => {
                let text = string_of(other, key)?;
                match parse_calendar_interval(text) {
                    Ok(unit) => Ok(Interval::Calendar(unit)),
                    Err(_) => parse_fixed_interval(text).map(Interval::Fixed),
                }
            }
        },
    }
}

fn offset_ms(value: &Value) -> Result<i64, ParseError> {
    match value {
        Value::Number(ms) => {
            ms.as_i64().ok_or_else(|| ParseError::illegal("[offset] must be a whole number of milliseconds"))
        }
        other => parse_offset(string_of(other, "offset")?),
    }
}

fn histogram(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "histogram";
    only_keys(NAME, body, &["field", "interval", "min_doc_count", "offset", "keyed", "order"])?;
    only_default(body, "offset", &json!(0), NAME)?;
    only_default(body, "keyed", &json!(false), NAME)?;
    only_default(body, "order", &json!({"_key": "asc"}), NAME)?;
    let interval = body.get("interval").ok_or_else(|| ParseError::illegal("[histogram] needs [interval]"))?;
    let interval = number_of(interval, "interval")?;
    if interval <= 0.0 {
        return Err(ParseError::illegal("[interval] must be >0 for histogram aggregation"));
    }
    Ok(AggKind::Histogram { field: field(body, NAME)?, interval, min_doc_count: min_doc_count(body, 0)? })
}

fn terms(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "terms";
    only_keys(
        NAME,
        body,
        &[
            "field",
            "size",
            "order",
            "min_doc_count",
            "missing",
            "shard_size",
            "shard_min_doc_count",
            "execution_hint",
            "collect_mode",
            "show_term_doc_count_error",
        ],
    )?;
    only_default(body, "show_term_doc_count_error", &json!(false), NAME)?;
    let size = body.get("size").map_or(Ok(TERMS_SIZE_DEFAULT), |size| count_of(size, "size"))?;
    if size == 0 {
        return Err(ParseError::illegal("[size] must be greater than 0. Found [0] in [terms]"));
    }
    Ok(AggKind::Terms {
        field: field(body, NAME)?,
        size,
        order: body.get("order").map_or_else(|| Ok(vec![("_count".to_owned(), true)]), terms_order)?,
        min_doc_count: min_doc_count(body, 1)?,
        missing: body.get("missing").map(|value| scalar_of(value, "missing")).transpose()?,
    })
}

fn terms_order(value: &Value) -> Result<Vec<(String, bool)>, ParseError> {
    let keys = match value {
        Value::Array(keys) => keys.iter().collect(),
        key => vec![key],
    };
    if keys.is_empty() || keys.len() > PARTS_MAX {
        return Err(ParseError::parsing("[order] of [terms] needs at least one key"));
    }
    let mut order = Vec::new();
    for key in keys {
        let (key, direction) = single(object_of(key, "[order]")?, "[order]")?;
        let key = if key == "_term" { "_key" } else { key };
        order.push((key.to_owned(), is_descending(string_of(direction, "order")?)?));
    }
    Ok(order)
}

/// An order by a metric needs the metric: `name`, or `name.part` for one of several numbers.
fn check_order(order: &[(String, bool)], aggs: &[(String, Agg)]) -> Result<(), ParseError> {
    for (key, _) in order {
        let base = key.split_once('.').map_or(key.as_str(), |(base, _)| base);
        let is_known = matches!(key.as_str(), "_count" | "_key")
            || aggs.iter().any(|(name, agg)| (name == key || name == base) && is_leaf(&agg.kind));
        if !is_known {
            return Err(ParseError::aggregation(format!(
                "Invalid aggregation order path [{key}]. The provided aggregation [{base}] either does not exist, or is \
                 not a metric"
            )));
        }
    }
    Ok(())
}

fn filters(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    only_keys("filters", body, &["filters", "other_bucket", "keyed"])?;
    only_default(body, "other_bucket", &json!(false), "filters")?;
    only_default(body, "keyed", &json!(true), "filters")?;
    let named = body.get("filters").ok_or_else(|| ParseError::parsing("[filters] needs [filters]"))?;
    let named = named.as_object().ok_or_else(|| ParseError::parsing("[filters] without names are not supported"))?;
    if named.len() > PARTS_MAX {
        return Err(ParseError::aggregation(format!("[filters] has more than {PARTS_MAX} entries")));
    }
    let named = named.iter().map(|(name, clause)| Ok((name.clone(), parse_query(clause)?)));
    Ok(AggKind::Filters(named.collect::<Result<_, ParseError>>()?))
}

fn range(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "range";
    only_keys(NAME, body, &["field", "ranges", "keyed"])?;
    only_default(body, "keyed", &json!(false), NAME)?;
    let list = body.get("ranges").and_then(Value::as_array);
    let list = list.filter(|list| !list.is_empty() && list.len() <= PARTS_MAX);
    let list = list.ok_or_else(|| ParseError::parsing("[range] needs an array of [ranges]"))?;
    let mut ranges = Vec::new();
    for entry in list {
        let entry = object_of(entry, "an entry of [ranges]")?;
        only_keys("ranges", entry, &["key", "from", "to"])?;
        let end = |key: &str| match entry.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => number_of(value, key).map(Some),
        };
        let key = entry.get("key").map(|key| string_of(key, "key").map(str::to_owned)).transpose()?;
        ranges.push((key, end("from")?, end("to")?));
    }
    Ok(AggKind::Range { field: field(body, NAME)?, ranges })
}

fn metric(name: &str, body: &Map<String, Value>, metric: Metric) -> Result<AggKind, ParseError> {
    only_keys(name, body, &["field", "missing"])?;
    let missing = body.get("missing").map(|value| number_of(value, "missing")).transpose()?;
    Ok(AggKind::Metric { metric, field: field(body, name)?, missing })
}

fn percentiles(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "percentiles";
    const DEFAULT: [f64; 7] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0];
    only_keys(NAME, body, &["field", "percents", "keyed", "tdigest"])?;
    let percents = match body.get("percents") {
        None => DEFAULT.to_vec(),
        Some(Value::Array(percents)) if !percents.is_empty() && percents.len() <= PARTS_MAX => {
            percents.iter().map(|percent| number_of(percent, "percents")).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(ParseError::illegal("[percents] must not be empty: [percentiles]")),
    };
    if let Some(wrong) = percents.iter().find(|percent| !(0.0..=100.0).contains(*percent)) {
        return Err(ParseError::illegal(format!("percent must be in [0,100], got [{wrong}]: [percentiles]")));
    }
    let keyed = body.get("keyed").map_or(Ok(true), |keyed| bool_of(keyed, "keyed"))?;
    Ok(AggKind::Percentiles { field: field(body, NAME)?, percents, keyed })
}

fn top_hits(body: &Map<String, Value>) -> Result<AggKind, ParseError> {
    const NAME: &str = "top_hits";
    only_keys(NAME, body, &["size", "from", "sort", "_source", "version", "seq_no_primary_term", "track_scores"])?;
    only_default(body, "from", &json!(0), NAME)?;
    let size = body.get("size").map_or(Ok(TOP_HITS_DEFAULT), |size| count_of(size, "size"))?;
    if size > TOP_HITS_MAX {
        return Err(ParseError::illegal(format!(
            "Top hits result window is too large, the top hits aggregator's from + size must be less than or equal to: \
             [{TOP_HITS_MAX}] but was [{size}]"
        )));
    }
    Ok(AggKind::TopHits {
        size,
        sort: body.get("sort").map_or(Ok(Vec::new()), parse_sort)?,
        source: body.get("_source").map_or(Ok(SourceFilter::default()), parse_source)?,
    })
}
