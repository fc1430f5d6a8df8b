//! A line of JSON whose fields go into its record as they stand: most lines of most loggers.
//!
//! What is found here is what [`json()`](super::json()) reads, without a tree of values in between: the same time, level and text,
//! and the same fields, each as `serde_json` would write it. What is not surely so is found by nobody here and left to that one.

use std::borrow::Cow;

use serde_json::Value;
use tollhouse_members::{each_member, is_as_written, mark};

use super::fields::{FIELD_BYTES_MAX, FIELDS_BYTES_MAX, FIELDS_MAX, NAME_BYTES_MAX, own_name, size_of};
use super::json::{LEVELS, METADATA, TEXTS, TIMES, is_meant};
use super::level::Level;
use super::{Entry, time};

/// Longer lines are few, and their parts may have to be cut.
const LINE_BYTES_MAX: usize = 16 << 10;
/// Room for the members of a line.
const MEMBERS: usize = 24;
/// Braces and brackets in a value, which are at most so deep in each other: nobody has to ask whether a reader goes so deep.
const OPENED_MAX: usize = 64;

/// What a line says, where it stands in the line.
#[derive(Clone, Debug, PartialEq)]
pub struct Verbatim<'a> {
    /// When it was written, as [`written`](super::written) has it.
    pub time: Option<Cow<'a, str>>,
    /// How much it matters, if it says so.
    pub level: Option<Level>,
    /// For people to read.
    pub text: Cow<'a, str>,
    /// Everything else: names, which keep clear of [`HOUSE_NAMES`](super::HOUSE_NAMES), and values as JSON in one line.
    pub fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Names and values as they stand.
type Members<'a> = Vec<(&'a str, &'a str)>;

impl<'a> Verbatim<'a> {
    /// Reads a line; nothing where it takes a closer look.
    pub fn read(line: &'a str) -> Option<Self> {
        if line.len() > LINE_BYTES_MAX {
            return None;
        }
        let mut members = Members::with_capacity(MEMBERS);
        let is_found = each_member(line.trim_matches(' '), |name, value| members.push((name, value)));
        if !is_found || members.len() > FIELDS_MAX || has_twins(&members) || find(&members, METADATA).is_some() {
            return None;
        }
        let text = take_text(&mut members)?;
        let time = take_time(&mut members)?;
        let level = take_level(&mut members)?;
        Some(Self { time, level, text, fields: fields(members)? })
    }
}

impl From<Verbatim<'_>> for Entry {
    fn from(line: Verbatim<'_>) -> Self {
        // They were JSON when they were found.
        let value = |json: &str| -> Value { serde_json::from_str(json).unwrap_or_default() };
        Self {
            time: line.time.as_deref().and_then(time::of_text),
            level: line.level,
            text: line.text.into_owned(),
            fields: line.fields.into_iter().map(|(name, json)| (name.into_owned(), value(&json))).collect(),
            ..Self::default()
        }
    }
}

fn find(members: &[(&str, &str)], name: &str) -> Option<usize> {
    members.iter().position(|(known, _)| *known == name)
}

/// Whether a name comes twice.
fn has_twins(members: &[(&str, &str)]) -> bool {
    let mut marks = 0;
    members.iter().enumerate().any(|(place, (name, _))| {
        let mark = mark(name.as_bytes());
        let is_new = marks & mark == 0;
        marks |= mark;
        !is_new && members[..place].iter().any(|(other, _)| other == name)
    })
}

/// The inside of a text without escapes.
fn plain_text(json: &str) -> Option<&str> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then_some(inner)
}

/// The text of the line; nothing where it has none, or one that is more than a text.
fn take_text<'a>(members: &mut Members<'a>) -> Option<Cow<'a, str>> {
    let at = TEXTS.iter().find_map(|name| find(members, name).filter(|at| members[*at].1.starts_with('"')))?;
    let (_, json) = members.remove(at);
    let text = match plain_text(json) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(serde_json::from_str::<String>(json).ok()?.trim_end_matches(['\r', '\n']).to_owned()),
    };
    (!is_meant(&text)).then_some(text)
}

/// The time, where there is one; nothing at all where a value cannot be read.
#[expect(clippy::option_option, reason = "whether it can be told, and whether there is one")]
fn take_time<'a>(members: &mut Members<'a>) -> Option<Option<Cow<'a, str>>> {
    for name in TIMES {
        let Some(at) = find(members, name) else { continue };
        let json = members[at].1;
        let time = match plain_text(json) {
            Some(text) if time::is_written(text) => Some(Cow::Borrowed(text)),
            Some(text) => time::of_text(text).map(|time| Cow::Owned(time::written(time))),
            None if json.starts_with(['{', '[']) => None,
            None => time::read(&serde_json::from_str::<Value>(json).ok()?).map(|time| Cow::Owned(time::written(time))),
        };
        if time.is_some() {
            members.remove(at);
            return Some(time);
        }
    }
    Some(None)
}

/// The level, where there is one; nothing at all where its word says more than the level does.
#[expect(clippy::option_option, reason = "whether it can be told, and whether there is one")]
fn take_level(members: &mut Members<'_>) -> Option<Option<Level>> {
    for name in LEVELS {
        let Some(at) = find(members, name) else { continue };
        let json = members[at].1;
        let level = match plain_text(json) {
            Some(word) => Level::of_word(word),
            None if json.starts_with(['{', '[']) => None,
            None => Level::read(&serde_json::from_str::<Value>(json).ok()?),
        };
        if let Some((level, is_all)) = level {
            members.remove(at);
            return is_all.then_some(Some(level));
        }
    }
    // The Elastic Common Schema has it in there.
    let has_log = find(members, "log").is_some_and(|at| members[at].1.starts_with('{'));
    (!has_log).then_some(None)
}

/// The fields, where all have room.
fn fields<'a>(members: Members<'a>) -> Option<Vec<(Cow<'a, str>, Cow<'a, str>)>> {
    let mut bytes = 0;
    let mut fields: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::with_capacity(members.len());
    let mut is_renamed = false;
    for (name, json) in members {
        let bare = name.strip_prefix('@').unwrap_or(name);
        let (json, size) = as_written(json)?;
        let size = bare.len() + size;
        bytes += size;
        if bare.is_empty() || bare.len() > NAME_BYTES_MAX || size > FIELD_BYTES_MAX || bytes > FIELDS_BYTES_MAX {
            return None;
        }
        let own = own_name(bare);
        is_renamed |= own != name;
        fields.push((own, json));
    }
    // Two names may have become one.
    let is_twin =
        |(place, (name, _)): (usize, &(Cow<'a, str>, _))| fields[..place].iter().any(|(other, _)| other == name);
    let has_twins = is_renamed && fields.iter().enumerate().any(is_twin);
    (!has_twins).then_some(fields)
}

/// A value as `serde_json` writes it, and about how many bytes it takes; nothing where it cannot be read.
fn as_written(json: &str) -> Option<(Cow<'_, str>, usize)> {
    if is_as_written(json) {
        // As many as it would take in a tree of values, or more.
        return Some((Cow::Borrowed(json), json.len().max(8)));
    }
    let opened = json.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    let value: Value = if opened <= OPENED_MAX { serde_json::from_str(json).ok()? } else { return None };
    Some((Cow::Owned(value.to_string()), size_of(&value)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::json;
    use super::*;

    /// What both ways make of a line, where both make something of it.
    fn check(line: &str) -> bool {
        let Some(found) = Verbatim::read(line) else { return false };
        let read = json(line).unwrap_or_else(|| panic!("no JSON: {line}"));
        let written: Vec<(String, String)> =
            read.fields.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        let fields: Vec<(String, String)> =
            found.fields.iter().map(|(name, json)| (name.to_string(), json.to_string())).collect();
        assert_eq!(fields, written, "{line}");
        assert_eq!(found.time.as_deref().map(str::to_owned), read.time.map(time::written), "{line}");
        assert_eq!(Entry::from(found), read, "{line}");
        true
    }

    #[test]
    fn lines_of_every_day_stay_as_they_stand() {
        for line in [
            r#"{"ts":"2026-01-27T10:20:30.456Z","level":"info","caller":"a.go:1","msg":"done","service":"s","status":200,"duration_ms":912.3}"#,
            r#"{"time": "2026-01-27T10:20:30.5+08:00", "level": "WARN", "message": "said \"x\"\n", "ok": true, "o": {"p": [1, null]}}"#,
            r#"{"ts":1769480430.123,"level":30,"msg":"größer 中","name":null,"rate":1.50,"big":1e3,"@version":"1"}"#,
            r#"{"level":"loud","msg":"m","time":"soon","log":"x"}"#,
            r#" {"msg":"m"} "#,
        ] {
            assert!(check(line), "{line}");
        }
    }

    #[test]
    fn what_takes_a_closer_look_is_left() {
        let deep = format!(r#"{{"msg":"m","d":{}1{}}}"#, "[".repeat(100), "]".repeat(100));
        let long = format!(r#"{{"msg":"{}"}}"#, "x".repeat(LINE_BYTES_MAX));
        let many = format!(
            r#"{{"msg":"m",{}"z":1}}"#,
            (0..70).map(|number| format!("\"f{number}\":1,")).collect::<Vec<_>>().concat()
        );
        for line in [
            "no JSON",
            r#"{"a":1}"#,
            r#"{"msg":7}"#,
            r#"{"msg":"m","a":1,"a":2}"#,
            r#"{"msg":"m","a":1,"@a":2}"#,
            r#"{"msg":"m","kind":1,"own_kind":2}"#,
            r#"{"msg":"{\"msg\":\"inside\"}"}"#,
            r#"{"msg":"m","level":"fatal"}"#,
            r#"{"msg":"m","log":{"level":"info"}}"#,
            r#"{"msg":"m","@metadata":{}}"#,
            r#"{"msg":"m","a":tru}"#,
            r#"{"msg":"m","a":"\x41"}"#,
            r#"{"msg":"m","":1}"#,
            &deep,
            &long,
            &many,
        ] {
            assert_eq!(Verbatim::read(line), None, "{line}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1000_i64..2_000_000_000_000).prop_map(|number| Value::from(number as f64 / 1000.0)),
            any::<f64>().prop_map(Value::from),
            "[a\"\\\\{}\\[\\],:中\n]{0,6}".prop_map(Value::from),
            prop::sample::select(vec![
                "info",
                "FATAL",
                "2026-01-27T10:20:30.000Z",
                "2026-01-27T10:20:30Z",
                "{\"msg\":\"x\"}"
            ])
            .prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec(("[a-c\"]{0,2}|level", inner), 0..3)
                    .prop_map(|members| Value::from(members.into_iter().collect::<serde_json::Map<String, Value>>())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        /// Whatever is found is what the other way reads.
        #[test]
        fn both_ways_say_the_same(
            members in prop::collection::vec(
                ("[a-c@]{0,2}|msg|message|level|severity|ts|time|@timestamp|log|event|kind|_id|own_kind|@metadata", any_value()), 0..8,
            ),
            text in prop::option::of("[a-c \\\\\"\n{}]{0,8}"), space in prop::sample::select(vec!["", " ", "  "]),
        ) {
            let mut all: Vec<String> =
                members.iter().map(|(name, value)| format!("{}:{space}{value}", json!(name))).collect();
            all.extend(text.map(|text| format!("\"msg\":{}", json!(text))));
            check(&format!("{{{space}{}}}", all.join(&format!(",{space}"))));
        }

        #[test]
        fn whatever_is_in_a_value_both_ways_say_the_same(value in "[-+.0-9eE]{1,8}|\"[^\"]{0,8}\"|[a-z\\[\\]{},:\" ]{0,8}") {
            check(&format!(r#"{{"msg":"m","a":{value}}}"#));
            check(&format!(r#"{{"msg":"m","ts":{value},"level":{value}}}"#));
        }
    }
}
