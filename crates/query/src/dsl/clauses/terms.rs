//! Clauses on whole values: what they are, how they are written, whether there are any.

use serde_json::{Map, Value};

use super::field_entry;
use crate::ast::{Case, Query};
use crate::dsl::TERMS_MAX;
use crate::dsl::read::{
    bool_of, count_of, object_of, only_keys, required_string, scalar_of, single, string_of, text_of,
};
use crate::error::ParseError;
use crate::fields::check_name;
use crate::regexp::{Regexp, RegexpOptions};
use crate::similar::{Fuzziness, Fuzzy};

pub(super) fn term(body: &Value) -> Result<Query, ParseError> {
    let (field, options) = field_entry("term", body)?;
    let (value, case) = match options {
        Value::Object(options) => {
            only_keys("term", options, &["value", "boost", "case_insensitive"])?;
            (options.get("value").ok_or_else(|| ParseError::parsing("[term] needs [value]"))?, case(options)?)
        }
        value => (value, Case::Exact),
    };
    let value = scalar_of(value, field)?;
    if field == "_id" {
        return Ok(Query::Ids(vec![text_of(&value, field)?]));
    }
    Ok(Query::Term { field: field.to_owned(), value, case })
}

pub(super) fn terms(body: &Value) -> Result<Query, ParseError> {
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

pub(super) fn exists(body: &Value) -> Result<Query, ParseError> {
    let body = object_of(body, "[exists]")?;
    only_keys("exists", body, &["field", "boost"])?;
    let field = required_string(body, "field", "exists")?;
    if field == "_id" {
        return Ok(Query::MatchAll);
    }
    check_name(field)?;
    Ok(Query::Exists { field: field.to_owned() })
}

pub(super) fn ids(body: &Value) -> Result<Query, ParseError> {
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

pub(super) fn prefix(body: &Value) -> Result<Query, ParseError> {
    let (field, value, options) = pattern("prefix", body, &["value"], &["case_insensitive", "rewrite"])?;
    Ok(Query::Prefix { field, value, case: case(&options)? })
}

pub(super) fn wildcard(body: &Value) -> Result<Query, ParseError> {
    let (field, pattern, options) =
        pattern("wildcard", body, &["value", "wildcard"], &["case_insensitive", "rewrite"])?;
    Ok(Query::Wildcard { field, pattern, case: case(&options)? })
}

pub(super) fn regexp(body: &Value) -> Result<Query, ParseError> {
    const KEYS: [&str; 6] =
        ["flags", "flags_value", "case_insensitive", "max_determinized_states", "max_determinized_state", "rewrite"];
    let (field, text, options) = pattern("regexp", body, &["value"], &KEYS)?;
    if options.contains_key("flags_value") {
        return Err(ParseError::parsing("[flags_value] of [regexp] is not supported, [flags] is"));
    }
    let ignores_case = case(&options)? == Case::Ignored;
    let expression = match options.get("flags") {
        None | Some(Value::Null) => RegexpOptions { ignores_case, ..RegexpOptions::default() },
        Some(flags) => RegexpOptions::with_flags(string_of(flags, "flags")?, ignores_case)?,
    };
    Ok(Query::Regexp { field, regexp: Regexp::new(&text, expression)? })
}

pub(super) fn fuzzy(body: &Value) -> Result<Query, ParseError> {
    const KEYS: [&str; 5] = ["fuzziness", "prefix_length", "max_expansions", "transpositions", "rewrite"];
    let (field, value, options) = pattern("fuzzy", body, &["value"], &KEYS)?;
    let fuzzy = fuzziness(&options, "transpositions")?.unwrap_or(with_lengths(&options, "transpositions", None)?);
    Ok(Query::Fuzzy { field, value, fuzzy, case: Case::Exact })
}

/// What `fuzziness` and the keys beside it say; nothing without the first.
pub(super) fn fuzziness(options: &Map<String, Value>, transpositions: &str) -> Result<Option<Fuzzy>, ParseError> {
    match options.get("fuzziness").filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => {
            let fuzziness = Fuzziness::parse(&text_of(value, "fuzziness")?)?;
            with_lengths(options, transpositions, Some(fuzziness)).map(Some)
        }
    }
}

fn with_lengths(
    options: &Map<String, Value>,
    transpositions: &str,
    fuzziness: Option<Fuzziness>,
) -> Result<Fuzzy, ParseError> {
    let mut fuzzy = Fuzzy::within(fuzziness.unwrap_or(Fuzziness::AUTO));
    if let Some(length) = options.get("prefix_length").filter(|value| !value.is_null()) {
        fuzzy.prefix_length = count_of(length, "prefix_length")?;
    }
    if let Some(on) = options.get(transpositions).filter(|value| !value.is_null()) {
        fuzzy.transpositions = bool_of(on, transpositions)?;
    }
    Ok(fuzzy)
}

fn case(options: &Map<String, Value>) -> Result<Case, ParseError> {
    let ignored = options.get("case_insensitive").filter(|value| !value.is_null());
    let ignored = ignored.map_or(Ok(false), |value| bool_of(value, "case_insensitive"))?;
    Ok(if ignored { Case::Ignored } else { Case::Exact })
}

/// The field of a clause, the text that stands under one of `names` or by itself, and the options beside it.
fn pattern(
    clause: &str,
    body: &Value,
    names: &[&str],
    keys: &[&str],
) -> Result<(String, String, Map<String, Value>), ParseError> {
    let (field, value) = field_entry(clause, body)?;
    let options = match value {
        Value::Object(options) => options.clone(),
        value => {
            let text = text_of(value, field)?;
            return Ok((field.to_owned(), text, Map::new()));
        }
    };
    let known: Vec<&str> = names.iter().chain(keys).copied().chain(["boost"]).collect();
    only_keys(clause, &options, &known)?;
    let value = names.iter().find_map(|name| options.get(*name));
    let text = text_of(value.ok_or_else(|| ParseError::parsing(format!("[{clause}] needs [value]")))?, "value")?;
    Ok((field.to_owned(), text, options))
}
