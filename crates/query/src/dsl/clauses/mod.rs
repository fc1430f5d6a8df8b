//! The clauses of the query DSL.

mod range;
mod strings;
mod terms;
mod texts;

use serde_json::{Value, json};

use super::read::{number_of, object_of, only_default, only_keys, single, text_of};
use super::{CLAUSES_MAX, QUERY_DEPTH_MAX};
use crate::ast::{BoolQuery, Query};
use crate::error::{ParseError, hint};
use crate::fields::check_name;
use crate::lucene::least;
use crate::minimum::Minimum;
use crate::regexp::REGEXPS_MAX;

const SUPPORTED: [&str; 23] = [
    "match_all",
    "match_none",
    "term",
    "terms",
    "range",
    "exists",
    "match",
    "match_phrase",
    "match_phrase_prefix",
    "match_bool_prefix",
    "multi_match",
    "query_string",
    "simple_query_string",
    "kql",
    "prefix",
    "wildcard",
    "regexp",
    "fuzzy",
    "ids",
    "bool",
    "constant_score",
    "dis_max",
    "boosting",
];

/// Clauses that Elasticsearch has and that are refused by name.
const UNSUPPORTED: [&str; 15] = [
    "combined_fields",
    "nested",
    "has_child",
    "has_parent",
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
    Reader { clauses: 0, regexps: 0 }.clause(clause, 0)
}

struct Reader {
    clauses: usize,
    regexps: usize,
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
            "term" => terms::term(body),
            "terms" => terms::terms(body),
            "range" => range::range(body),
            "exists" => terms::exists(body),
            "match" => texts::words(body),
            "match_phrase" => texts::phrase(body),
            "match_phrase_prefix" => texts::phrase_prefix(body),
            "match_bool_prefix" => texts::bool_prefix(body),
            "multi_match" => texts::multi_match(body),
            "query_string" => {
                let query = strings::query_string(body)?;
                self.count_regexps(regexps(&query))?;
                Ok(query)
            }
            "simple_query_string" => strings::simple_query_string(body),
            "kql" => strings::kibana_query(body),
            "prefix" => terms::prefix(body),
            "wildcard" => terms::wildcard(body),
            "regexp" => {
                self.count_regexps(1)?;
                terms::regexp(body)
            }
            "fuzzy" => terms::fuzzy(body),
            "ids" => terms::ids(body),
            "bool" => self.bool(body, depth),
            "dis_max" => self.dis_max(body, depth),
            "boosting" => self.boosting(body, depth),
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

    /// Each expression keeps an automaton, so that their number is bounded.
    fn count_regexps(&mut self, number: usize) -> Result<(), ParseError> {
        self.regexps += number;
        if self.regexps > REGEXPS_MAX {
            return Err(ParseError::shard(format!("the query has more than {REGEXPS_MAX} regular expressions")));
        }
        Ok(())
    }

    /// The clauses of a list, or one that stands by itself.
    fn list(&mut self, clauses: Option<&Value>, depth: usize) -> Result<Vec<Query>, ParseError> {
        match clauses {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(clauses)) => clauses.iter().map(|clause| self.clause(clause, depth + 1)).collect(),
            Some(clause) => self.clause(clause, depth + 1).map(|query| vec![query]),
        }
    }

    fn bool(&mut self, body: &Value, depth: usize) -> Result<Query, ParseError> {
        const KEYS: [&str; 7] =
            ["must", "filter", "should", "must_not", "minimum_should_match", "boost", "adjust_pure_negative"];
        let body = object_of(body, "[bool]")?;
        only_keys("bool", body, &KEYS).map_err(ParseError::of_content)?;
        only_default(body, "adjust_pure_negative", &json!(true), "bool")?;
        let mut query = BoolQuery {
            must: self.list(body.get("must"), depth)?,
            filter: self.list(body.get("filter"), depth)?,
            should: self.list(body.get("should"), depth)?,
            must_not: self.list(body.get("must_not"), depth)?,
            minimum_should_match: None,
        };
        if let Some(minimum) = minimum_should_match(body.get("minimum_should_match"))? {
            query.minimum_should_match = least(&minimum, query.should.len());
        }
        let is_empty =
            query.must.is_empty() && query.filter.is_empty() && query.should.is_empty() && query.must_not.is_empty();
        Ok(if is_empty { Query::MatchAll } else { Query::Bool(query) })
    }

    /// Scores apart, one of the queries is enough.
    fn dis_max(&mut self, body: &Value, depth: usize) -> Result<Query, ParseError> {
        let body = object_of(body, "[dis_max]")?;
        only_keys("dis_max", body, &["queries", "tie_breaker", "boost"])?;
        body.get("tie_breaker").map(|value| number_of(value, "tie_breaker")).transpose()?;
        let should = self.list(body.get("queries"), depth)?;
        if should.is_empty() {
            return Err(ParseError::parsing("[dis_max] requires 'queries' field with at least one clause"));
        }
        Ok(Query::Bool(BoolQuery { should, ..BoolQuery::default() }))
    }

    /// Scores apart, the negative query changes nothing; it is kept so that its mistakes are told.
    fn boosting(&mut self, body: &Value, depth: usize) -> Result<Query, ParseError> {
        let body = object_of(body, "[boosting]")?;
        only_keys("boosting", body, &["positive", "negative", "negative_boost", "boost"])?;
        let mut part = |key: &str| match body.get(key) {
            Some(clause) => self.clause(clause, depth + 1),
            None => Err(ParseError::parsing(format!("[boosting] query requires '{key}' query to be set"))),
        };
        let (positive, negative) = (part("positive")?, part("negative")?);
        let boost = body.get("negative_boost").map(|value| number_of(value, "negative_boost")).transpose()?;
        if boost.is_none_or(|boost| boost < 0.0) {
            return Err(ParseError::parsing(
                "[boosting] query requires 'negative_boost' to be set to be a positive value",
            ));
        }
        Ok(Query::Bool(BoolQuery { must: vec![positive], should: vec![negative], ..BoolQuery::default() }))
    }
}

fn regexps(query: &Query) -> usize {
    match query {
        Query::Regexp { .. } => 1,
        Query::Lenient(query) => regexps(query),
        Query::Bool(BoolQuery { must, filter, should, must_not, .. }) => {
            must.iter().chain(filter).chain(should).chain(must_not).map(regexps).sum()
        }
        _ => 0,
    }
}

fn minimum_should_match(value: Option<&Value>) -> Result<Option<Minimum>, ParseError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => text_of(value, "minimum_should_match")?.parse().map(Some),
    }
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
