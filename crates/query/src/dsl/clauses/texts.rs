//! Clauses on the words of texts: the `match` family.

use serde_json::{Map, Value};

use super::terms::fuzziness;
use super::{field_entry, minimum_should_match};
use crate::ast::{BoolQuery, MatchMode, Query, TextMatch};
use crate::dsl::CLAUSES_MAX;
use crate::dsl::read::{bool_of, number_of, object_of, only_keys, string_of, text_of};
use crate::error::ParseError;
use crate::fields::check_name;
use crate::lucene::{LuceneOptions, Operator};
use crate::similar::Fuzzy;

/// Keys of all clauses of the family; most of them change scores and speed only.
const COMMON: [&str; 5] = ["query", "boost", "zero_terms_query", "lenient", "max_expansions"];
const OF_WORDS: [&str; 7] = [
    "operator",
    "minimum_should_match",
    "fuzziness",
    "prefix_length",
    "fuzzy_transpositions",
    "fuzzy_rewrite",
    "auto_generate_synonyms_phrase_query",
];

pub(super) fn words(body: &Value) -> Result<Query, ParseError> {
    one("match", body, &OF_WORDS, |wanted, options| {
        wanted.mode = mode(options)?;
        wanted.fuzzy = fuzziness(options, "fuzzy_transpositions")?;
        Ok(())
    })
}

pub(super) fn phrase(body: &Value) -> Result<Query, ParseError> {
    one("match_phrase", body, &["slop"], |wanted, options| {
        wanted.mode = MatchMode::Phrase { slop: slop(options)? };
        Ok(())
    })
}

pub(super) fn phrase_prefix(body: &Value) -> Result<Query, ParseError> {
    one("match_phrase_prefix", body, &["slop"], |wanted, options| {
        wanted.mode = MatchMode::Phrase { slop: slop(options)? };
        wanted.is_open_ended = true;
        Ok(())
    })
}

pub(super) fn bool_prefix(body: &Value) -> Result<Query, ParseError> {
    one("match_bool_prefix", body, &OF_WORDS, |wanted, options| {
        wanted.mode = mode(options)?;
        wanted.fuzzy = fuzziness(options, "fuzzy_transpositions")?;
        wanted.is_open_ended = true;
        Ok(())
    })
}

/// A clause `{"field": "text"}` or `{"field": {"query": "text", …}}`.
fn one(
    name: &str,
    body: &Value,
    keys: &[&str],
    set: impl FnOnce(&mut TextMatch, &Map<String, Value>) -> Result<(), ParseError>,
) -> Result<Query, ParseError> {
    let (field, options) = field_entry(name, body)?;
    let nothing = Map::new();
    let (text, options) = match options {
        Value::Object(options) => {
            let known: Vec<&str> = COMMON.iter().chain(keys).copied().collect();
            only_keys(name, options, &known)?;
            (required_text(options, name)?, options)
        }
        value => (text_of(value, field)?, &nothing),
    };
    if field == "_id" {
        return Ok(Query::Ids(vec![text]));
    }
    let mut wanted = TextMatch::new(field, text, MatchMode::Any);
    set(&mut wanted, options)?;
    wanted.empty_selects_all = empty_selects_all(options, name)?;
    leniently(Query::Match(wanted), options)
}

pub(super) fn multi_match(body: &Value) -> Result<Query, ParseError> {
    const NAME: &str = "multi_match";
    let body = object_of(body, "[multi_match]")?;
    let known: Vec<&str> =
        COMMON.iter().chain(&OF_WORDS).copied().chain(["fields", "type", "slop", "tie_breaker"]).collect();
    only_keys(NAME, body, &known)?;
    let text = required_text(body, NAME)?;
    let fuzzy = fuzziness(body, "fuzzy_transpositions")?;
    let empty_selects_all = empty_selects_all(body, NAME)?;
    let fields = match body.get("fields") {
        Some(Value::Array(fields)) if fields.is_empty() => LuceneOptions::default().default_fields,
        Some(fields) => field_list(fields)?,
        None => LuceneOptions::default().default_fields,
    };
    let kind = body.get("type").map(|kind| string_of(kind, "type")).transpose()?.unwrap_or("best_fields");
    let phrase = || slop(body).map(|slop| MatchMode::Phrase { slop });
    let (mode, is_open_ended) = match kind {
        "best_fields" | "most_fields" => (mode(body)?, false),
        "bool_prefix" => (mode(body)?, true),
        "phrase" => (phrase()?, false),
        "phrase_prefix" => (phrase()?, true),
        "cross_fields" => {
            refuse_fuzzy(fuzzy, kind)?;
            return leniently(Query::CrossFields { fields, text, mode: mode(body)? }, body);
        }
        other => {
            return Err(ParseError::parsing(format!("failed to parse [multi_match] query type [{other}]")));
        }
    };
    if matches!(mode, MatchMode::Phrase { .. }) {
        refuse_fuzzy(fuzzy, kind)?;
    }
    let one = |field: &String| match field.as_str() {
        "_id" => Query::Ids(vec![text.clone()]),
        field => Query::Match(TextMatch {
            fuzzy,
            is_open_ended,
            empty_selects_all,
            ..TextMatch::new(field, text.clone(), mode.clone())
        }),
    };
    let should = fields.iter().map(one).collect();
    leniently(Query::Bool(BoolQuery { should, ..BoolQuery::default() }), body)
}

fn refuse_fuzzy(fuzzy: Option<Fuzzy>, kind: &str) -> Result<(), ParseError> {
    match fuzzy {
        Some(_) => Err(ParseError::parsing(format!("Fuzziness not allowed for type [{kind}]"))),
        None => Ok(()),
    }
}

pub(super) fn leniently(query: Query, options: &Map<String, Value>) -> Result<Query, ParseError> {
    let is_lenient = flag(options, "lenient")?.unwrap_or(false);
    Ok(if is_lenient { Query::Lenient(Box::new(query)) } else { query })
}

pub(super) fn flag(options: &Map<String, Value>, key: &str) -> Result<Option<bool>, ParseError> {
    options.get(key).filter(|value| !value.is_null()).map(|value| bool_of(value, key)).transpose()
}

fn empty_selects_all(options: &Map<String, Value>, name: &str) -> Result<bool, ParseError> {
    match options.get("zero_terms_query").filter(|value| !value.is_null()) {
        None => Ok(false),
        Some(value) => match string_of(value, "zero_terms_query")?.to_ascii_lowercase().as_str() {
            "none" => Ok(false),
            "all" => Ok(true),
            _ => Err(ParseError::parsing(format!("[zero_terms_query] of [{name}] must be none or all, got {value}"))),
        },
    }
}

/// How words combine, by `operator` and `minimum_should_match`.
fn mode(options: &Map<String, Value>) -> Result<MatchMode, ParseError> {
    let operator = operator(options, "operator")?;
    match minimum_should_match(options.get("minimum_should_match"))? {
        None => Ok(operator.into()),
        Some(minimum) if operator == Operator::Or => Ok(MatchMode::AtLeast(minimum)),
        // Nothing is optional, so that a share of it is nothing, too.
        Some(minimum) if minimum.of(0) == 0 => Ok(MatchMode::All),
        Some(_) => Err(ParseError::illegal(
            "a number as [minimum_should_match] beside [operator] and would select nothing: with it no word is optional",
        )),
    }
}

pub(super) fn slop(options: &Map<String, Value>) -> Result<u32, ParseError> {
    match options.get("slop").or_else(|| options.get("phrase_slop")).filter(|value| !value.is_null()) {
        None => Ok(0),
        Some(value) => {
            let slop = number_of(value, "slop")?;
            if slop < 0.0 {
                return Err(ParseError::illegal("No negative slop allowed."));
            }
            Ok(slop as u32)
        }
    }
}

pub(super) fn required_text(options: &Map<String, Value>, name: &str) -> Result<String, ParseError> {
    let query = options.get("query").ok_or_else(|| ParseError::parsing(format!("[{name}] needs [query]")))?;
    text_of(query, "query")
}

pub(super) fn operator(options: &Map<String, Value>, key: &str) -> Result<Operator, ParseError> {
    let Some(value) = options.get(key) else { return Ok(Operator::Or) };
    match string_of(value, key)?.to_ascii_lowercase().as_str() {
        "or" => Ok(Operator::Or),
        "and" => Ok(Operator::And),
        other => Err(ParseError::illegal(format!("[{key}] must be and or or, got [{other}]"))),
    }
}

/// Field names with boosts (`msg^2`) taken off; `*` stands for the default fields.
pub(super) fn field_list(value: &Value) -> Result<Vec<String>, ParseError> {
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
