//! Clauses that hold a string of another language.

use serde_json::{Map, Value};

use super::minimum_should_match;
use super::texts::{field_list, flag, operator, required_text, slop};
use crate::ast::Query;
use crate::date::Zone;
use crate::dsl::read::{count_of, object_of, only_keys, string_of, text_of};
use crate::error::{ParseError, hint};
use crate::kql::{self, KqlOptions};
use crate::lucene::{self, LuceneOptions, TextKind};
use crate::similar::{Fuzziness, Fuzzy};
use crate::simple::{self, Signs, SimpleOptions};

pub(super) fn query_string(body: &Value) -> Result<Query, ParseError> {
    const NAME: &str = "query_string";
    const KEYS: [&str; 22] = [
        "query",
        "default_field",
        "fields",
        "default_operator",
        "time_zone",
        "type",
        "escape",
        "phrase_slop",
        "minimum_should_match",
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
    ];
    let body = object_of(body, "[query_string]")?;
    only_keys(NAME, body, &KEYS)?;
    let text = required_text(body, NAME)?;
    let fields = match (body.get("fields"), body.get("default_field")) {
        (Some(_), Some(_)) => {
            return Err(ParseError::shard("[query_string] takes [fields] or [default_field], not both"));
        }
        (Some(fields), None) | (None, Some(fields)) => field_list(fields)?,
        (None, None) => Vec::new(),
    };
    let options = LuceneOptions {
        default_operator: operator(body, "default_operator")?,
        time_zone: time_zone(body)?,
        kind: kind(body)?,
        minimum_should_match: minimum_should_match(body.get("minimum_should_match"))?,
        phrase_slop: slop(body)?,
        fuzzy: fuzzy(body)?,
        allow_leading_wildcard: flag(body, "allow_leading_wildcard")?.unwrap_or(true),
        analyze_wildcard: flag(body, "analyze_wildcard")?.unwrap_or(false),
        // Who names no fields does not know of their kinds either.
        lenient: flag(body, "lenient")?.unwrap_or(fields.is_empty()),
        default_fields: fields,
    };
    let is_escaped = flag(body, "escape")?.unwrap_or(false);
    lucene::parse(&if is_escaped { without_signs(&text) } else { text }, &options)
}

fn time_zone(body: &Map<String, Value>) -> Result<Option<String>, ParseError> {
    let Some(zone) = body.get("time_zone").filter(|zone| !zone.is_null()) else { return Ok(None) };
    let zone = string_of(zone, "time_zone")?;
    Zone::parse(zone)?;
    Ok(Some(zone.to_owned()))
}

fn kind(body: &Map<String, Value>) -> Result<TextKind, ParseError> {
    const KINDS: [&str; 6] = ["best_fields", "most_fields", "cross_fields", "phrase", "phrase_prefix", "bool_prefix"];
    Ok(match body.get("type").map(|kind| string_of(kind, "type")).transpose()? {
        None | Some("best_fields" | "most_fields") => TextKind::InOne,
        Some("cross_fields") => TextKind::Across,
        Some("phrase") => TextKind::Phrase,
        Some("phrase_prefix") => TextKind::PhrasePrefix,
        Some("bool_prefix") => TextKind::WordsPrefix,
        Some(other) => {
            let near = hint(other, KINDS);
            return Err(ParseError::parsing(format!("failed to parse [query_string] query type [{other}]{near}")));
        }
    })
}

fn fuzzy(body: &Map<String, Value>) -> Result<Fuzzy, ParseError> {
    let fuzziness = body.get("fuzziness").filter(|value| !value.is_null());
    let prefix_length = body.get("fuzzy_prefix_length").filter(|value| !value.is_null());
    Ok(Fuzzy {
        fuzziness: match fuzziness {
            Some(value) => Fuzziness::parse(&text_of(value, "fuzziness")?)?,
            None => Fuzziness::AUTO,
        },
        prefix_length: prefix_length.map_or(Ok(0), |value| count_of(value, "fuzzy_prefix_length"))?,
        transpositions: flag(body, "fuzzy_transpositions")?.unwrap_or(true),
    })
}

/// What `escape` does: signs are meant as they are, and only AND, OR and NOT stay what they are.
fn without_signs(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if r#"\+-!():^[]"{}~*?|&/"#.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

pub(super) fn simple_query_string(body: &Value) -> Result<Query, ParseError> {
    const NAME: &str = "simple_query_string";
    const KEYS: [&str; 12] = [
        "query",
        "fields",
        "default_operator",
        "flags",
        "lenient",
        "minimum_should_match",
        "analyze_wildcard",
        "boost",
        "auto_generate_synonyms_phrase_query",
        "fuzzy_max_expansions",
        "fuzzy_prefix_length",
        "fuzzy_transpositions",
    ];
    let body = object_of(body, "[simple_query_string]")?;
    only_keys(NAME, body, &KEYS)?;
    let text = required_text(body, NAME)?;
    let fields = body.get("fields").map_or(Ok(Vec::new()), field_list)?;
    let options = SimpleOptions {
        default_operator: operator(body, "default_operator")?,
        signs: signs(body)?,
        minimum_should_match: minimum_should_match(body.get("minimum_should_match"))?,
        fuzzy: fuzzy(body)?,
        analyze_wildcard: flag(body, "analyze_wildcard")?.unwrap_or(false),
        lenient: flag(body, "lenient")?.unwrap_or(fields.is_empty()),
        fields,
    };
    simple::parse(&text, &options)
}

/// `kql`, as Elasticsearch has it since 8.16: Kibana's language in a search body.
pub(super) fn kibana_query(body: &Value) -> Result<Query, ParseError> {
    const NAME: &str = "kql";
    let body = object_of(body, "[kql]")?;
    only_keys(NAME, body, &["query", "default_field", "time_zone", "boost"])?;
    let text = required_text(body, NAME)?;
    let default_field = body.get("default_field").map(|field| string_of(field, "default_field")).transpose()?;
    let options = KqlOptions {
        default_fields: default_field.map(str::to_owned).into_iter().collect(),
        time_zone: time_zone(body)?,
    };
    kql::parse(&text, &options)
}

fn signs(body: &Map<String, Value>) -> Result<Signs, ParseError> {
    match body.get("flags").filter(|flags| !flags.is_null()) {
        None => Ok(Signs::default()),
        Some(Value::Number(number)) if *number == serde_json::Number::from(-1) => Ok(Signs::default()),
        Some(flags) => Signs::parse(string_of(flags, "flags")?),
    }
}
