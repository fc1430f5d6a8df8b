//! Aggregations over the results of others: their options, and whether they stand where they can work.

use serde_json::{Map, Value};

use super::super::is_descending;
use super::super::read::{count_of, number_of, only_keys, single, string_of};
use super::metrics::{percents, sigma};
use super::{PARTS_MAX, begins_with_name, given, keyed};
use crate::ast::{
    Agg, AggKind, BucketMetric, BucketsPath, GapPolicy, MovingFunction, PathStep, Pipeline, PipelineKind,
};
use crate::date::parse_fixed_interval;
use crate::error::ParseError;
use crate::expression::Expression;

/// Most buckets in the window of a `moving_fn`, and furthest look back of a `serial_diff`.
const WINDOW_MAX: usize = 10_000;

pub(super) fn parse(name: &str, body: &Map<String, Value>) -> Result<Pipeline, ParseError> {
    let own: &[&str] = match name {
        "derivative" => &["unit"],
        "serial_diff" => &["lag"],
        "moving_fn" => &["window", "shift", "script"],
        "bucket_script" | "bucket_selector" => &["script"],
        "bucket_sort" => &["sort", "from", "size"],
        "extended_stats_bucket" => &["sigma"],
        "percentiles_bucket" => &["percents", "keyed"],
        _ => &[],
    };
    let mut known = vec!["gap_policy"];
    if name != "bucket_sort" {
        known.push("buckets_path");
    }
    known.extend_from_slice(own);
    only_keys(name, body, &known)?;
    let bucket = |metric| Ok(PipelineKind::Bucket { path: one_path(body, name)?, metric });
    let kind = match name {
        "derivative" => PipelineKind::Derivative {
            path: one_path(body, name)?,
            unit_ms: given(body, "unit").map(|unit| parse_unit(string_of(unit, "unit")?)).transpose()?,
        },
        "cumulative_sum" => PipelineKind::CumulativeSum { path: one_path(body, name)? },
        "serial_diff" => PipelineKind::SerialDiff { path: one_path(body, name)?, lag: positive(body, "lag", Some(1))? },
        "moving_fn" => moving_fn(body)?,
        "bucket_script" => {
            let (paths, script) = script(body, name)?;
            PipelineKind::BucketScript { paths, script }
        }
        "bucket_selector" => {
            let (paths, script) = script(body, name)?;
            PipelineKind::BucketSelector { paths, script }
        }
        "bucket_sort" => bucket_sort(body)?,
        "avg_bucket" => bucket(BucketMetric::Avg)?,
        "max_bucket" => bucket(BucketMetric::Max)?,
        "min_bucket" => bucket(BucketMetric::Min)?,
        "sum_bucket" => bucket(BucketMetric::Sum)?,
        "stats_bucket" => bucket(BucketMetric::Stats)?,
        "extended_stats_bucket" => bucket(BucketMetric::ExtendedStats { sigma: sigma(body, name)? })?,
        "percentiles_bucket" => {
            bucket(BucketMetric::Percentiles { percents: percents(body, name)?, keyed: keyed(body, true)? })?
        }
        other => return Err(ParseError::parsing(format!("Unknown aggregation type [{other}]"))),
    };
    let gap = match given(body, "gap_policy").map(|gap| string_of(gap, "gap_policy")).transpose()? {
        None | Some("skip") => GapPolicy::Skip,
        Some("insert_zeros") => GapPolicy::InsertZeros,
        Some("keep_values") => GapPolicy::KeepValues,
        Some(other) => {
            return Err(ParseError::content(format!(
                "Invalid gap policy: [{other}], accepted values: [insert_zeros, skip, keep_values]"
            )));
        }
    };
    Ok(Pipeline { kind, gap })
}

/// A calendar unit counts as its usual length.
fn parse_unit(text: &str) -> Result<u64, ParseError> {
    const DAY_MS: u64 = 86_400_000;
    Ok(match text {
        "second" => 1_000,
        "minute" | "1m" => 60_000,
        "hour" | "1h" => 3_600_000,
        "day" | "1d" => DAY_MS,
        "week" | "1w" => 7 * DAY_MS,
        "month" | "1M" => 30 * DAY_MS,
        "quarter" | "1q" => 91 * DAY_MS,
        "year" | "1y" => 365 * DAY_MS,
        other => parse_fixed_interval(other)?,
    })
}

fn positive(body: &Map<String, Value>, key: &str, default: Option<usize>) -> Result<usize, ParseError> {
    let number = match (given(body, key), default) {
        (Some(number), _) => count_of(number, key)?,
        (None, Some(default)) => default,
        (None, None) => return Err(ParseError::illegal(format!("[{key}] is required"))),
    };
    if number == 0 || number > WINDOW_MAX {
        return Err(ParseError::illegal(format!(
            "[{key}] must be a positive, non-zero integer up to {WINDOW_MAX}, got [{number}]"
        )));
    }
    Ok(number)
}

/// The functions that Elasticsearch's `MovingFunctions` has and that need nothing but the window.
fn moving_fn(body: &Map<String, Value>) -> Result<PipelineKind, ParseError> {
    let text = script_text(body, "moving_fn")?.0;
    let bad = || {
        ParseError::illegal(format!(
            "the script [{text}] of [moving_fn] is not supported, expected MovingFunctions.unweightedAvg(values), \
             linearWeightedAvg(values), ewma(values, alpha), max(values), min(values) or sum(values)"
        ))
    };
    let call = text.trim().trim_end_matches(';').trim();
    let call = call.strip_prefix("return ").unwrap_or(call).trim();
    let inside = call.strip_prefix("MovingFunctions.").and_then(|call| call.strip_suffix(')')).ok_or_else(bad)?;
    let (function, values) = inside.split_once('(').ok_or_else(bad)?;
    let values: Vec<&str> = values.split(',').map(str::trim).collect();
    let function = match (function, values.as_slice()) {
        ("unweightedAvg", ["values"]) => MovingFunction::UnweightedAvg,
        ("linearWeightedAvg", ["values"]) => MovingFunction::LinearWeightedAvg,
        ("ewma", ["values", alpha]) => MovingFunction::Ewma(alpha.parse().map_err(|_| bad())?),
        ("max", ["values"]) => MovingFunction::Max,
        ("min", ["values"]) => MovingFunction::Min,
        ("sum", ["values"]) => MovingFunction::Sum,
        _ => return Err(bad()),
    };
    let shift = given(body, "shift").map_or(Ok(0.0), |shift| number_of(shift, "shift"))?;
    if shift.abs() > WINDOW_MAX as f64 {
        return Err(ParseError::illegal(format!("[shift] must be from -{WINDOW_MAX} to {WINDOW_MAX}")));
    }
    Ok(PipelineKind::MovingFn {
        path: one_path(body, "moving_fn")?,
        window: positive(body, "window", None)?,
        shift: shift as i64,
        function,
    })
}

type NamedPaths = Vec<(String, BucketsPath)>;

fn script(body: &Map<String, Value>, name: &str) -> Result<(NamedPaths, Expression), ParseError> {
    let paths: NamedPaths = match body.get("buckets_path") {
        Some(Value::Object(named)) if named.len() <= PARTS_MAX => {
            let named = named.iter().map(|(key, path)| Ok((key.clone(), parse_path(string_of(path, key)?)?)));
            named.collect::<Result<_, ParseError>>()?
        }
        Some(Value::String(text)) => vec![("_value".to_owned(), parse_path(text)?)],
        Some(Value::Array(list)) if list.len() <= PARTS_MAX => {
            let list = list.iter().enumerate();
            let list =
                list.map(|(place, path)| Ok((format!("_value{place}"), parse_path(string_of(path, "buckets_path")?)?)));
            list.collect::<Result<_, ParseError>>()?
        }
        _ => return Err(ParseError::illegal(format!("Required [buckets_path]: [{name}]"))),
    };
    let names: Vec<String> = paths.iter().map(|(name, _)| name.clone()).collect();
    let (text, is_plain) = script_text(body, name)?;
    Ok((paths, Expression::parse(text, &names, is_plain)?))
}

/// The text of a script, and whether it is of Lucene's expression language instead of Painless.
fn script_text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<(&'a str, bool), ParseError> {
    match body.get("script") {
        Some(Value::String(text)) => Ok((text, false)),
        Some(Value::Object(script)) => {
            only_keys("script", script, &["source", "inline", "lang", "params"])?;
            if given(script, "params").is_some_and(|params| params.as_object().is_none_or(|params| !params.is_empty()))
            {
                return Err(ParseError::illegal(format!(
                    "[params] in the script of [{name}] are not supported: write the numbers into it"
                )));
            }
            let is_plain = match given(script, "lang").map(|lang| string_of(lang, "lang")).transpose()? {
                None | Some("painless") => false,
                Some("expression") => true,
                Some(other) => return Err(ParseError::illegal(format!("script_lang not supported [{other}]"))),
            };
            let text = given(script, "source").or_else(|| given(script, "inline"));
            let text = text.ok_or_else(|| ParseError::illegal("must specify either [source] for an inline script"))?;
            Ok((string_of(text, "source")?, is_plain))
        }
        _ => Err(ParseError::parsing(format!("Required [script] of [{name}]"))),
    }
}

fn bucket_sort(body: &Map<String, Value>) -> Result<PipelineKind, ParseError> {
    let keys: Vec<&Value> = match body.get("sort") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(keys)) => keys.iter().collect(),
        Some(key) => vec![key],
    };
    let mut sort = Vec::new();
    for key in keys {
        match key {
            Value::String(path) => sort.push((parse_path(path)?, false)),
            Value::Object(keys) => {
                for (path, options) in keys {
                    let order = match options {
                        Value::Object(options) => {
                            let (key, order) = single(options, "[sort] of [bucket_sort]")?;
                            if key != "order" {
                                return Err(ParseError::parsing(format!("[{key}] in [bucket_sort] is not supported")));
                            }
                            order
                        }
                        order => order,
                    };
                    sort.push((parse_path(path)?, is_descending(string_of(order, "order")?)?));
                }
            }
            _ => return Err(ParseError::parsing("[sort] of [bucket_sort] must be a path, an object or an array")),
        }
    }
    let size = match given(body, "size") {
        None => None,
        Some(_) => Some(positive(body, "size", None)?),
    };
    let from = given(body, "from").map_or(Ok(0), |from| count_of(from, "from"))?;
    if sort.is_empty() && size.is_none() && from == 0 {
        return Err(ParseError::validation(
            "Validation Failed: 1: [bucket_sort] is configured to perform nothing. Please set either of [sort, size, \
             from] to use bucket_sort;",
        ));
    }
    Ok(PipelineKind::BucketSort { sort, from, size })
}

fn one_path(body: &Map<String, Value>, name: &str) -> Result<BucketsPath, ParseError> {
    match body.get("buckets_path") {
        Some(Value::String(text)) => parse_path(text),
        Some(Value::Array(list)) if list.len() == 1 => parse_path(string_of(&list[0], "buckets_path")?),
        Some(_) => Err(ParseError::parsing(format!("[buckets_path] of [{name}] takes one path"))),
        None => Err(ParseError::illegal(format!("Required [buckets_path]: [{name}]"))),
    }
}

fn parse_path(text: &str) -> Result<BucketsPath, ParseError> {
    let bad = || ParseError::illegal(format!("Invalid path element in path [{text}]"));
    let mut steps = Vec::new();
    for step in text.split('>') {
        let (name, key) = match step.strip_suffix(']') {
            None => (step, None),
            Some(inside) => {
                let (name, key) = inside.split_once('[').ok_or_else(bad)?;
                (name, Some(key.trim_matches(['\'', '"']).to_owned()))
            }
        };
        if name.is_empty() || key.as_ref().is_some_and(String::is_empty) {
            return Err(bad());
        }
        steps.push(PathStep { text: name.to_owned(), key });
    }
    Ok(BucketsPath { text: text.to_owned(), steps })
}

/// Whether the pipelines among these stand in an aggregation (`None`: beside no buckets) that they can work in.
pub(super) fn check(parent: Option<(&str, &AggKind)>, aggs: &[(String, Agg)]) -> Result<(), ParseError> {
    for (name, agg) in aggs {
        if let AggKind::Pipeline(pipeline) = &agg.kind {
            check_one(name, pipeline, parent, aggs)
                .map_err(|why| ParseError::validation(format!("Validation Failed: 1: {why};")))?;
        }
    }
    Ok(())
}

fn check_one(
    name: &str,
    pipeline: &Pipeline,
    parent: Option<(&str, &AggKind)>,
    aggs: &[(String, Agg)],
) -> Result<(), String> {
    let type_name = pipeline.kind.name();
    for path in pipeline.kind.paths() {
        let first = &path.steps[0];
        let is_special = path.steps.len() == 1 && matches!(first.text.as_str(), "_count" | "_key");
        let Some((_, agg)) = aggs.iter().find(|(known, _)| begins_with_name(&first.text, known)) else {
            if is_special {
                continue;
            }
            return Err(format!("No aggregation found for path [{}]", path.text));
        };
        if let PipelineKind::Bucket { .. } = pipeline.kind
            && !has_many_buckets(&agg.kind)
            && path.steps.len() < 3
        {
            return Err(format!(
                "The first aggregation in buckets_path must be a multi-bucket aggregation for aggregation [{name}] found \
                 :{} for buckets path: {}",
                first.text, path.text
            ));
        }
    }
    if matches!(pipeline.kind, PipelineKind::Bucket { .. }) {
        return Ok(());
    }
    let Some((parent_type, parent)) = parent else {
        return Err(format!("{type_name} aggregation [{name}] must be declared inside of another aggregation"));
    };
    let min_doc_count = match parent {
        AggKind::Histogram(histogram) => Some(histogram.min_doc_count),
        AggKind::DateHistogram(histogram) => Some(histogram.min_doc_count),
        AggKind::AutoDateHistogram(_) => Some(0),
        _ => None,
    };
    let needs_order = matches!(
        pipeline.kind,
        PipelineKind::Derivative { .. }
            | PipelineKind::CumulativeSum { .. }
            | PipelineKind::SerialDiff { .. }
            | PipelineKind::MovingFn { .. }
    );
    match min_doc_count {
        Some(0) => Ok(()),
        Some(_) if needs_order => {
            Err(format!("parent histogram of {type_name} aggregation [{name}] must have min_doc_count of 0"))
        }
        None if needs_order => Err(format!(
            "{type_name} aggregation [{name}] must have a histogram, date_histogram or auto_date_histogram as parent but \
             has [{parent_type}]"
        )),
        _ if has_many_buckets(parent) => Ok(()),
        _ => Err(format!("{type_name} aggregation [{name}] must be declared inside of a multi-bucket aggregation")),
    }
}

fn has_many_buckets(kind: &AggKind) -> bool {
    super::has_buckets(kind) && !matches!(kind, AggKind::Filter(_) | AggKind::Global | AggKind::Missing { .. })
}

impl PipelineKind {
    fn name(&self) -> &'static str {
        match self {
            Self::Derivative { .. } => "derivative",
            Self::CumulativeSum { .. } => "cumulative_sum",
            Self::SerialDiff { .. } => "serial_diff",
            Self::MovingFn { .. } => "moving_fn",
            Self::BucketScript { .. } => "bucket_script",
            Self::BucketSelector { .. } => "bucket_selector",
            Self::BucketSort { .. } => "bucket_sort",
            Self::Bucket { metric, .. } => match metric {
                BucketMetric::Avg => "avg_bucket",
                BucketMetric::Max => "max_bucket",
                BucketMetric::Min => "min_bucket",
                BucketMetric::Sum => "sum_bucket",
                BucketMetric::Stats => "stats_bucket",
                BucketMetric::ExtendedStats { .. } => "extended_stats_bucket",
                BucketMetric::Percentiles { .. } => "percentiles_bucket",
            },
        }
    }
}
