//! The clauses of the query DSL.

use serde_json::{Map, Value, json};

use super::read::{
    bool_of, number_of, object_of, only_default, only_keys, required_string, scalar_of, single, string_of, text_of,
};
use super::{CLAUSES_MAX, QUERY_DEPTH_MAX, TERMS_MAX};
use crate::ast::{BoolQuery, Bound, MatchMode, Query};
use crate::date::Zone;
use crate::error::{ParseError, hint};
use crate::fields::check_name;
use crate::lucene::{self, LuceneOptions, Operator};

const SUPPORTED: [&str; 15] = [
    "match_all",
    "match_none",
    "term",
    "terms",
    "range",
    "exists",
    "match",
    "match_phrase",
    "multi_match",
    "query_string",
    "prefix",
    "wildcard",
    "ids",
    "bool",
    "constant_score",
];

/// Clauses that Elasticsearch has and that are refused by name.
const UNSUPPORTED: [&str; 22] = [
    "simple_query_string",
    "regexp",
    "fuzzy",
    "match_phrase_prefix",
    "match_bool_prefix",
    "combined_fields",
    "nested",
    "has_child",
    "has_parent",
    "dis_max",
    "boosting",
    "function_score",
    "script",
    "script_score",
    "terms_set",
    "intervals",
    "more_like_this",
    "geo_distance",
    "geo_bounding_box",
    "geo_shape",
    "percolate",
    "knn",
];

pub(super) fn parse(clause: &Value) -> Result<Query, ParseError> {
    Reader { clauses: 0 }.clause(clause, 0)
}

struct Reader {
    clauses: usize,
}

impl Reader {
    fn clause(&mut self, clause: &Value, depth: usize) -> Result<Query, ParseError> {
        if depth > QUERY_DEPTH_MAX {
            return Err(ParseError::illegal(format!("the query is nested deeper than {QUERY_DEPTH_MAX}")));
        }
        self.clauses += 1;
        if self.clauses > CLAUSES_MAX {
            return Err(ParseError::shard(format!("the query has more than {CLAUSES_MAX} clauses")));
        }
        let clause = object_of(clause, "a query clause")?;
        if clause.is_empty() {
            return Err(ParseError::illegal("query malformed, empty clause found"));
        }
        let (name, body) = single(clause, "a query clause")?;
        match name {
            "match_all" => plain(name, body, Query::MatchAll),
            "match_none" => plain(name, body, Query::MatchNone),
            "term" => term(body),
            "terms" => terms(body),
            "range" => range(body),
            "exists" => exists(body),
            "match" => matches(name, body),
            "match_phrase" => match_phrase(name, body),
            "multi_match" => multi_match(name, body),
            "query_string" => query_string(body),
            "prefix" => pattern(name, body, &["value"], |field, value| Query::Prefix { field, value }),
            "wildcard" => {
                pattern(name, body, &["value", "wildcard"], |field, pattern| Query::Wildcard { field, pattern })
            }
            "ids" => ids(body),
            "bool" => self.bool(body, depth),
            "constant_score" => {
                let body = object_of(body, "[constant_score]")?;
                only_keys(name, body, &["filter", "boost"])?;
                let filter =
                    body.get("filter").ok_or_else(|| ParseError::parsing("[constant_score] needs [filter]"))?;
                self.clause(filter, depth + 1)
            }
            known if UNSUPPORTED.contains(&known) => {
                Err(ParseError::parsing(format!("[{known}] queries are not supported")))
            }
            unknown => Err(ParseError::parsing(format!("unknown query [{unknown}]{}", hint(unknown, SUPPORTED)))),
        }
    }

    fn bool(&mut self, body: &Value, depth: usize) -> Result<Query, ParseError> {
        let body = object_of(body, "[bool]")?;
        only_keys(
            "bool",
            body,
            &["must", "filter", "should", "must_not", "minimum_should_match", "boost", "adjust_pure_negative"],
        )?;
        only_default(body, "adjust_pure_negative", &json!(true), "bool")?;
        let mut list = |key: &str| match body.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(clauses)) => clauses.iter().map(|clause| self.clause(clause, depth + 1)).collect(),
            Some(clause) => self.clause(clause, depth + 1).map(|query| vec![query]),
        };
        let mut query = BoolQuery {
            must: list("must")?,
            filter: list("filter")?,
            should: list("should")?,
            must_not: list("must_not")?,
            minimum_should_match: None,
        };
        if let Some(minimum) = body.get("minimum_should_match").filter(|value| !value.is_null()) {
            query.minimum_should_match = Some(minimum_should_match(minimum, query.should.len())?);
        }
        let is_empty =
            query.must.is_empty() && query.filter.is_empty() && query.should.is_empty() && query.must_not.is_empty();
        Ok(if is_empty { Query::MatchAll } else { Query::Bool(query) })
    }
}

/// A count, a negative count of those that may be missing, or a percentage of either kind.
fn minimum_should_match(value: &Value, clauses: usize) -> Result<usize, ParseError> {
    let text = text_of(value, "minimum_should_match")?;
    let bad = || ParseError::illegal(format!("[minimum_should_match] must be a number or a percentage, got [{text}]"));
    let clauses = clauses as i64;
    let minimum = if let Some(percent) = text.trim().strip_suffix('%') {
        let percent: i64 = percent.parse().map_err(|_| bad())?;
        let share = clauses * percent.clamp(-100, 100) / 100;
        if percent < 0 { clauses + share } else { share }
    } else {
        let count: i64 = text.trim().parse().map_err(|_| bad())?;
        if count < 0 { clauses.saturating_add(count) } else { count }
    };
    Ok(usize::try_from(minimum).unwrap_or(0))
}

fn plain(name: &str, body: &Value, query: Query) -> Result<Query, ParseError> {
    only_keys(name, object_of(body, &format!("[{name}]"))?, &["boost"])?;
    Ok(query)
}

/// The field of `{"field": …}`, and what is said of it.
fn field_entry<'a>(name: &str, body: &'a Value) -> Result<(&'a str, &'a Value), ParseError> {
    let (field, value) = single(object_of(body, &format!("[{name}]"))?, &format!("[{name}]"))?;
    check_name(field)?;
    Ok((field, value))
}

fn term(body: &Value) -> Result<Query, ParseError> {
    let (field, options) = field_entry("term", body)?;
    let value = match options {
        Value::Object(options) => {
            only_keys("term", options, &["value", "boost", "case_insensitive"])?;
            only_default(options, "case_insensitive", &json!(false), "term")?;
            options.get("value").ok_or_else(|| ParseError::parsing("[term] needs [value]"))?
        }
        value => value,
    };
    let value = scalar_of(value, field)?;
    if field == "_id" {
        return Ok(Query::Ids(vec![text_of(&value, field)?]));
    }
    Ok(Query::Term { field: field.to_owned(), value })
}

fn terms(body: &Value) -> Result<Query, ParseError> {
    let mut body = object_of(body, "[terms]")?.clone();
    body.remove("boost");
    let (field, values) = single(&body, "[terms]")?;
    check_name(field)?;
    let Value::Array(values) = values else {
        return Err(ParseError::parsing(
            "[terms] needs an array of values; looking them up elsewhere is not supported",
        ));
    };
    if values.len() > TERMS_MAX {
        return Err(ParseError::illegal(format!(
            "[terms] has {} values, at most {TERMS_MAX} are allowed",
            values.len()
        )));
    }
    if field == "_id" {
        return Ok(Query::Ids(values.iter().map(|value| text_of(value, field)).collect::<Result<_, _>>()?));
    }
    let values = values.iter().map(|value| scalar_of(value, field)).collect::<Result<_, _>>()?;
    Ok(Query::Terms { field: field.to_owned(), values })
}

fn range(body: &Value) -> Result<Query, ParseError> {
    let (field, options) = field_entry("range", body)?;
    let options = object_of(options, &format!("[range] of [{field}]"))?;
    only_keys(
        "range",
        options,
        &["gt", "gte", "lt", "lte", "from", "to", "include_lower", "include_upper", "format", "time_zone", "boost"],
    )?;
    let formats = options.get("format").map(|format| Formats::parse(string_of(format, "format")?)).transpose()?;
    let time_zone = match options.get("time_zone") {
        None | Some(Value::Null) => None,
        Some(zone) => Some(string_of(zone, "time_zone")?.to_owned()),
    };
    if let Some(zone) = &time_zone {
        Zone::parse(zone)?;
    }
    let (mut lower, mut upper) = (Bound::Open, Bound::Open);
    for (key, value) in options {
        let (end, is_inclusive) = match key.as_str() {
            "gt" => (&mut lower, false),
            "gte" => (&mut lower, true),
            "lt" => (&mut upper, false),
            "lte" => (&mut upper, true),
            "from" => (&mut lower, flag(options, "include_lower")?),
            "to" => (&mut upper, flag(options, "include_upper")?),
            _ => continue,
        };
        *end = if value.is_null() {
            Bound::Open
        } else {
            let value = scalar_of(value, key)?;
            let value = formats.as_ref().map_or(Ok(value.clone()), |formats| formats.convert(&value))?;
            if is_inclusive { Bound::Inclusive(value) } else { Bound::Exclusive(value) }
        };
    }
    if lower == Bound::Open && upper == Bound::Open {
        return Ok(Query::Exists { field: field.to_owned() });
    }
    Ok(Query::Range { field: field.to_owned(), lower, upper, time_zone })
}

fn flag(options: &Map<String, Value>, key: &str) -> Result<bool, ParseError> {
    options.get(key).map_or(Ok(true), |value| bool_of(value, key))
}

fn exists(body: &Value) -> Result<Query, ParseError> {
    let body = object_of(body, "[exists]")?;
    only_keys("exists", body, &["field", "boost"])?;
    let field = required_string(body, "field", "exists")?;
    if field == "_id" {
        return Ok(Query::MatchAll);
    }
    check_name(field)?;
    Ok(Query::Exists { field: field.to_owned() })
}

fn matches(name: &str, body: &Value) -> Result<Query, ParseError> {
    let (field, options) = field_entry(name, body)?;
    let (text, mode) = match options {
        Value::Object(options) => {
            only_keys(
                name,
                options,
                &[
                    "query",
                    "operator",
                    "lenient",
                    "boost",
                    "zero_terms_query",
                    "auto_generate_synonyms_phrase_query",
                    "max_expansions",
                    "prefix_length",
                    "fuzzy_transpositions",
                ],
            )?;
            only_default(options, "zero_terms_query", &json!("none"), name)?;
            (required_text(options, name)?, operator(options, "operator")?.into())
        }
        value => (text_of(value, field)?, MatchMode::Any),
    };
    Ok(match_query(field, text, mode))
}

fn match_phrase(name: &str, body: &Value) -> Result<Query, ParseError> {
    let (field, options) = field_entry(name, body)?;
    let text = match options {
        Value::Object(options) => {
            only_keys(name, options, &["query", "slop", "boost", "zero_terms_query"])?;
            only_default(options, "slop", &json!(0), name)?;
            only_default(options, "zero_terms_query", &json!("none"), name)?;
            required_text(options, name)?
        }
        value => text_of(value, field)?,
    };
    Ok(match_query(field, text, MatchMode::Phrase))
}

fn multi_match(name: &str, body: &Value) -> Result<Query, ParseError> {
    let body = object_of(body, "[multi_match]")?;
    only_keys(
        name,
        body,
        &["query", "fields", "type", "operator", "lenient", "boost", "slop", "tie_breaker", "zero_terms_query"],
    )?;
    only_default(body, "slop", &json!(0), name)?;
    only_default(body, "zero_terms_query", &json!("none"), name)?;
    let text = required_text(body, name)?;
    let mode = match body.get("type").map(|kind| string_of(kind, "type")).transpose()? {
        None | Some("best_fields" | "most_fields") => operator(body, "operator")?.into(),
        Some("phrase") => MatchMode::Phrase,
        Some(other) => return Err(ParseError::parsing(format!("[multi_match] of type [{other}] is not supported"))),
    };
    let fields = match body.get("fields") {
        Some(fields) => field_list(fields)?,
        None => LuceneOptions::default().default_fields,
    };
    let should = fields.iter().map(|field| match_query(field, text.clone(), mode)).collect();
    Ok(Query::Bool(BoolQuery { should, ..BoolQuery::default() }))
}

fn match_query(field: &str, text: String, mode: MatchMode) -> Query {
    if field == "_id" { Query::Ids(vec![text]) } else { Query::Match { field: field.to_owned(), text, mode } }
}

fn required_text(options: &Map<String, Value>, name: &str) -> Result<String, ParseError> {
    let query = options.get("query").ok_or_else(|| ParseError::parsing(format!("[{name}] needs [query]")))?;
    text_of(query, "query")
}

impl From<Operator> for MatchMode {
    fn from(operator: Operator) -> Self {
        match operator {
            Operator::Or => Self::Any,
            Operator::And => Self::All,
        }
    }
}

fn operator(options: &Map<String, Value>, key: &str) -> Result<Operator, ParseError> {
    let Some(value) = options.get(key) else { return Ok(Operator::Or) };
    match string_of(value, key)?.to_ascii_lowercase().as_str() {
        "or" => Ok(Operator::Or),
        "and" => Ok(Operator::And),
        other => Err(ParseError::illegal(format!("[{key}] must be and or or, got [{other}]"))),
    }
}

/// Field names with boosts (`msg^2`) taken off; `*` stands for the default fields.
fn field_list(value: &Value) -> Result<Vec<String>, ParseError> {
    let names: Vec<&str> = match value {
        Value::Array(items) => items.iter().map(|item| string_of(item, "fields")).collect::<Result<_, _>>()?,
        other => vec![string_of(other, "fields")?],
    };
    let mut fields = Vec::new();
    for name in names {
        let name = match name.split_once('^') {
            Some((name, boost)) => {
                number_of(&Value::from(boost), "boost")?;
                name
            }
            None => name,
        };
        if name == "*" {
            fields.extend(LuceneOptions::default().default_fields);
        } else if name.contains('*') {
            return Err(ParseError::parsing(format!("wildcards in field names are not supported: [{name}]")));
        } else {
            check_name(name)?;
            fields.push(name.to_owned());
        }
    }
    if fields.is_empty() || fields.len() > CLAUSES_MAX {
        return Err(ParseError::illegal(format!("[fields] needs one to {CLAUSES_MAX} names")));
    }
    Ok(fields)
}

fn query_string(body: &Value) -> Result<Query, ParseError> {
    const NAME: &str = "query_string";
    let body = object_of(body, "[query_string]")?;
    only_keys(
        NAME,
        body,
        &[
            "query",
            "default_field",
            "fields",
            "default_operator",
            "time_zone",
            "type",
            "escape",
            "phrase_slop",
            "allow_leading_wildcard",
            "analyze_wildcard",
            "lenient",
            "boost",
            "tie_breaker",
            "rewrite",
            "auto_generate_synonyms_phrase_query",
            "enable_position_increments",
            "fuzziness",
            "fuzzy_max_expansions",
            "fuzzy_prefix_length",
            "fuzzy_transpositions",
            "max_determinized_states",
        ],
    )?;
    only_default(body, "type", &json!("best_fields"), NAME)?;
    only_default(body, "escape", &json!(false), NAME)?;
    only_default(body, "phrase_slop", &json!(0), NAME)?;
    only_default(body, "allow_leading_wildcard", &json!(true), NAME)?;
    let mut options =
        LuceneOptions { default_operator: operator(body, "default_operator")?, ..LuceneOptions::default() };
    match (body.get("fields"), body.get("default_field")) {
        (Some(_), Some(_)) => {
            return Err(ParseError::illegal("[query_string] takes [fields] or [default_field], not both"));
        }
        (Some(fields), None) | (None, Some(fields)) => options.default_fields = field_list(fields)?,
        (None, None) => {}
    }
    if let Some(zone) = body.get("time_zone").filter(|zone| !zone.is_null()) {
        let zone = string_of(zone, "time_zone")?;
        Zone::parse(zone)?;
        options.time_zone = Some(zone.to_owned());
    }
    lucene::parse(&required_text(body, NAME)?, &options)
}

fn pattern(
    name: &str,
    body: &Value,
    keys: &[&str],
    make: impl FnOnce(String, String) -> Query,
) -> Result<Query, ParseError> {
    let (field, options) = field_entry(name, body)?;
    let value = match options {
        Value::Object(options) => {
            let known: Vec<&str> = keys.iter().copied().chain(["boost", "case_insensitive", "rewrite"]).collect();
            only_keys(name, options, &known)?;
            only_default(options, "case_insensitive", &json!(false), name)?;
            let value = keys.iter().find_map(|key| options.get(*key));
            text_of(value.ok_or_else(|| ParseError::parsing(format!("[{name}] needs [value]")))?, "value")?
        }
        value => text_of(value, field)?,
    };
    Ok(make(field.to_owned(), value))
}

fn ids(body: &Value) -> Result<Query, ParseError> {
    let body = object_of(body, "[ids]")?;
    only_keys("ids", body, &["values", "boost"])?;
    let values = body.get("values").ok_or_else(|| ParseError::parsing("[ids] needs [values]"))?;
    let ids = match values {
        Value::Array(values) if values.len() > TERMS_MAX => {
            return Err(ParseError::illegal(format!("[ids] has more than {TERMS_MAX} values")));
        }
        Value::Array(values) => values.iter().map(|id| text_of(id, "values")).collect::<Result<_, _>>()?,
        id => vec![text_of(id, "values")?],
    };
    Ok(Query::Ids(ids))
}

/// The date formats of a `format` key, of which values are brought into the form that every date is read from.
pub(super) struct Formats(Vec<Format>);

#[derive(Clone, Copy, PartialEq)]
enum Format {
    EpochMillis,
    EpochSecond,
    /// ISO 8601 as the reader of dates takes it.
    Iso,
    /// ISO 8601 with a space instead of the T.
    Spaced,
}

/// ISO 8601 forms by name or pattern; all are read by the same reader.
const ISO_FORMATS: [&str; 21] = [
    "strict_date_optional_time",
    "strict_date_optional_time_nanos",
    "date_optional_time",
    "iso8601",
    "strict_date_time",
    "date_time",
    "strict_date_time_no_millis",
    "date_time_no_millis",
    "strict_date",
    "date",
    "strict_date_hour_minute_second",
    "date_hour_minute_second",
    "strict_date_hour_minute_second_millis",
    "date_hour_minute_second_millis",
    "yyyy-MM-dd",
    "yyyy-MM",
    "yyyy",
    "yyyy-MM-dd'T'HH:mm:ss",
    "yyyy-MM-dd'T'HH:mm:ss.SSS",
    "yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
];
const SPACE_FORMATS: [&str; 3] = ["yyyy-MM-dd HH:mm", "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd HH:mm:ss.SSS"];

impl Formats {
    pub(super) fn parse(text: &str) -> Result<Self, ParseError> {
        let mut formats = Vec::new();
        for format in text.split("||") {
            let format = format.replace("uuuu", "yyyy");
            formats.push(match format.as_str() {
                "epoch_millis" => Format::EpochMillis,
                "epoch_second" => Format::EpochSecond,
                spaced if SPACE_FORMATS.contains(&spaced) => Format::Spaced,
                iso if ISO_FORMATS.contains(&iso) => Format::Iso,
                other => {
                    let known = ISO_FORMATS.into_iter().chain(SPACE_FORMATS).chain(["epoch_millis", "epoch_second"]);
                    return Err(ParseError::illegal(format!(
                        "the date format [{other}] is not supported{}",
                        hint(other, known)
                    )));
                }
            });
        }
        Ok(Self(formats))
    }

    pub(super) fn convert(&self, value: &Value) -> Result<Value, ParseError> {
        match value {
            Value::Number(number) if self.has_only_seconds() => Self::epoch_ms(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => self.convert_text(text),
            _ => Ok(value.clone()),
        }
    }

    fn convert_text(&self, text: &str) -> Result<Value, ParseError> {
        let is_year = self.has(Format::Iso) && text.len() == 4;
        if (self.has(Format::EpochMillis) || self.has(Format::EpochSecond))
            && !is_year
            && let Ok(number) = text.parse::<i64>()
        {
            // As a string the reader of dates would take four digits for a year; a number is always milliseconds.
            return if self.has_only_seconds() { Self::epoch_ms(number as f64) } else { Ok(Value::from(number)) };
        }
        if self.has(Format::Spaced) && text.as_bytes().get(10) == Some(&b' ') {
            return Ok(Value::from(text.replacen(' ', "T", 1)));
        }
        Ok(Value::from(text))
    }

    fn has(&self, format: Format) -> bool {
        self.0.contains(&format)
    }

    fn has_only_seconds(&self) -> bool {
        self.has(Format::EpochSecond) && !self.has(Format::EpochMillis)
    }

    fn epoch_ms(seconds: f64) -> Result<Value, ParseError> {
        // Up to here milliseconds are exact in a binary fraction.
        const SECONDS_MAX: f64 = 9e12;
        if seconds.is_nan() || seconds.abs() > SECONDS_MAX {
            return Err(ParseError::illegal(format!("the date [{seconds}] is out of range")));
        }
        Ok(Value::from((seconds * 1000.0).floor() as i64))
    }
}
