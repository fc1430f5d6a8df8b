//! KQL strings and the plans of the query DSL that they equal.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::dsl;

fn options() -> KqlOptions {
    KqlOptions { default_fields: vec!["msg".into()], time_zone: None }
}

fn lenient(query: Query) -> Query {
    Query::Lenient(Box::new(query))
}

#[test]
fn strings_equal_plans_of_the_dsl() {
    for (text, clause) in [
        ("", json!({"match_all": {}})),
        ("  ", json!({"match_all": {}})),
        ("*", json!({"match_all": {}})),
        ("*: *", json!({"match_all": {}})),
        ("status: 500", json!({"match": {"status": "500"}})),
        ("status:500", json!({"match": {"status": "500"}})),
        ("status :500 ", json!({"match": {"status": "500"}})),
        ("msg: out of memory", json!({"match": {"msg": "out of memory"}})),
        ("msg: \"out of memory\"", json!({"match_phrase": {"msg": "out of memory"}})),
        ("\"msg\": \"a \\\"b\\\" *\"", json!({"match_phrase": {"msg": "a \"b\" *"}})),
        ("error: *", json!({"exists": {"field": "error"}})),
        ("_id: 7", json!({"ids": {"values": ["7"]}})),
        // Comparisons.
        ("duration_ms >= 3000", json!({"range": {"duration_ms": {"gte": "3000"}}})),
        ("duration_ms>3000", json!({"range": {"duration_ms": {"gt": "3000"}}})),
        ("duration_ms <= -1.5", json!({"range": {"duration_ms": {"lte": "-1.5"}}})),
        ("@timestamp < now-1d", json!({"range": {"@timestamp": {"lt": "now-1d"}}})),
        ("@timestamp > \"2026-01-27T10:00:00Z\"", json!({"range": {"@timestamp": {"gt": "2026-01-27T10:00:00Z"}}})),
        // Operators: not binds closest, then and, then or.
        ("a: 1 and b: 2", json!({"bool": {"must": [{"match": {"a": "1"}}, {"match": {"b": "2"}}]}})),
        ("a: 1 OR b: 2", json!({"bool": {"should": [{"match": {"a": "1"}}, {"match": {"b": "2"}}]}})),
        ("not a: 1", json!({"bool": {"must_not": [{"match": {"a": "1"}}]}})),
        ("NOT (a: 1)", json!({"bool": {"must_not": [{"match": {"a": "1"}}]}})),
        ("not(a: 1)", json!({"bool": {"must_not": [{"match": {"a": "1"}}]}})),
        (
            "a: 1 or b: 2 and not c: 3",
            json!({"bool": {"should": [{"match": {"a": "1"}}, {"bool": {"must": [
                {"match": {"b": "2"}}, {"bool": {"must_not": [{"match": {"c": "3"}}]}}]}}]}}),
        ),
        (
            "(a: 1 or b: 2) and c: 3",
            json!({"bool": {"must": [
                {"bool": {"should": [{"match": {"a": "1"}}, {"match": {"b": "2"}}]}}, {"match": {"c": "3"}}]}}),
        ),
        ("a: x and\tb: y", json!({"bool": {"must": [{"match": {"a": "x"}}, {"match": {"b": "y"}}]}})),
        // Lists of values.
        ("a: (1 or 2)", json!({"bool": {"should": [{"match": {"a": "1"}}, {"match": {"a": "2"}}]}})),
        ("a: (x y and \"z\")", json!({"bool": {"must": [{"match": {"a": "x y"}}, {"match_phrase": {"a": "z"}}]}})),
        ("a: (not 1)", json!({"bool": {"must_not": [{"match": {"a": "1"}}]}})),
        ("a:(1)", json!({"match": {"a": "1"}})),
        // Keywords inside of words, and escaped ones.
        ("a: android", json!({"match": {"a": "android"}})),
        ("a: order", json!({"match": {"a": "order"}})),
        ("a: \\and", json!({"match": {"a": "and"}})),
        ("a: x \\or y", json!({"match": {"a": "x or y"}})),
        ("a: or", json!({"match": {"a": "or"}})),
        ("not: 1", json!({"match": {"not": "1"}})),
        // Escapes.
        ("model: qwen3\\:4b", json!({"match": {"model": "qwen3:4b"}})),
        ("model: \"qwen3:4b\"", json!({"match_phrase": {"model": "qwen3:4b"}})),
        ("path: /v1/chat", json!({"match": {"path": "/v1/chat"}})),
        ("a: \\u0041\\t\\(\\*", json!({"match": {"a": "A\t(*"}})),
        ("模型: 加载", json!({"match": {"模型": "加载"}})),
    ] {
        assert_eq!(parse(text, &options()), dsl::parse_query(&clause), "{text}");
    }
}

#[test]
fn patterns_and_bare_words() {
    let wildcard =
        |pattern: &str| Query::Wildcard { field: "model".into(), pattern: pattern.into(), case: Case::AsIndexed };
    let text = |field: &str, text: &str| Query::Match(TextMatch::new(field, text, MatchMode::Any));
    for (string, expected) in [
        ("model: qwen*", wildcard("qwen*")),
        ("model: *\\:4?\\*", wildcard("*:4\\?\\*")),
        (
            "model: qwen* llama",
            Query::Bool(BoolQuery { should: vec![wildcard("qwen*"), text("model", "llama")], ..BoolQuery::default() }),
        ),
        ("out of memory", lenient(text("msg", "out of memory"))),
        ("*: memory", lenient(text("msg", "memory"))),
        ("\"a b\"", lenient(Query::Match(TextMatch::new("msg", "a b", MatchMode::PHRASE)))),
    ] {
        assert_eq!(parse(string, &options()), Ok(expected), "{string}");
    }
    let Ok(Query::Lenient(query)) = parse("timeout", &KqlOptions::default()) else { panic!("not lenient") };
    assert!(matches!(*query, Query::Bool(BoolQuery { should, .. }) if should.len() > 1));
    let zoned = KqlOptions { time_zone: Some("+08:00".into()), ..options() };
    let Ok(Query::Range { time_zone, .. }) = parse("ts > 2026-01-27", &zoned) else { panic!("no range") };
    assert_eq!(time_zone.as_deref(), Some("+08:00"));
}

#[test]
fn wrong_strings_tell_where() {
    for (text, expected) in [
        ("a:", "expected a value before the end at position 2"),
        ("a >", "expected a value to compare with before the end at position 3"),
        ("a: 1 and", "expected a field, a value or ( before the end at position 8"),
        ("and a: 1", "expected a field, a value or ( at position 0"),
        ("a: 1 or or b: 2", "expected a field, a value or ( at position 8"),
        ("not not a: 1", "expected a field, a value or ( at position 4"),
        ("(a: 1", "the group is never closed at position 0"),
        ("a: 1)", "unexpected ) at position 4"),
        ("()", "expected a field, a value or ( at position 1"),
        ("a: (1 or )", "expected a value at position 9"),
        ("a: \"x", "the quote is never closed at position 3"),
        ("a: \"x\" \"y\"", "expected and, or, or the end at position 6"),
        ("a: b: c", "unexpected : at position 4"),
        ("> 5", "expected a field, a value or ( at position 0"),
        ("* > 5", "a comparison needs a field at position 0"),
        ("a > 5*", "a comparison needs a value without wildcards at position 0"),
        ("a*: 5", "wildcards in field names are not supported at position 0"),
        ("_index: x", "the field [_index] cannot be searched here at position 0"),
        ("a: x\\and", "\\a means nothing; \\\\ stands for a backslash at position 4"),
        ("a: \\x", "\\x means nothing; \\\\ stands for a backslash at position 3"),
        ("a\\", "nothing follows the escape sign \\ at position 1"),
        ("\\u12", "\\u must be followed by four hexadecimal digits at position 0"),
        (
            "a: { b: 1 }",
            "conditions on objects of a list { … } are not supported: fields of objects are asked for by their full name, \
             as in site.name: shanghai at position 3",
        ),
    ] {
        let error = parse(text, &options()).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
        assert_eq!(error.es_type(), "query_shard_exception");
    }
}

#[test]
fn limits_hold() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(DEPTH_MAX), &options()).is_ok());
    assert!(parse(&nested(DEPTH_MAX + 1), &options()).is_err());
    assert!(parse(&"a".repeat(QUERY_BYTES_MAX + 1), &options()).is_err());
    assert!(parse(&vec!["a: 1"; CLAUSES_MAX].join(" or "), &options()).is_ok());
    assert!(parse(&vec!["a: 1"; CLAUSES_MAX + 1].join(" or "), &options()).is_err());
    assert!(parse(&format!("a: {}", "b* ".repeat(CLAUSES_MAX + 1)), &options()).is_err());
}

/// A value so that it is read back as itself.
fn escaped(value: &str) -> String {
    let special = |c: char| "\\():<>\"*{}".contains(c);
    value.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

proptest! {
    #[test]
    fn any_string_is_read_without_panic(text in ".{0,60}") {
        let _ = parse(&text, &KqlOptions::default());
    }

    #[test]
    fn any_tokens_are_read_without_panic(
        tokens in proptest::collection::vec(proptest::sample::select(vec![
            "a", "é", "x:", ":", " and ", " or ", "not ", "(", ")", "{", "}", "*", "\\", "\\u", "\"", ">", ">=", "<", " ",
            "_id", "0041", "\\and",
        ]), 0..30),
    ) {
        let _ = parse(&tokens.concat(), &options());
    }

    #[test]
    fn a_quoted_value_is_read_as_itself(value in ".{0,20}") {
        let text = format!("x: \"{}\"", escaped(&value));
        let expected = Query::Match(TextMatch::new("x", value, MatchMode::PHRASE));
        prop_assert_eq!(parse(&text, &options()), Ok(expected), "{}", text);
    }

    #[test]
    fn an_escaped_word_is_read_as_itself(value in "[a-z模\\\\():<>\"*{}?]{1,12}") {
        let keyword = ["and", "or", "not"].iter().any(|keyword| value.starts_with(keyword));
        prop_assume!(!keyword);
        let expected = Query::Match(TextMatch::new("x", value.clone(), MatchMode::Any));
        prop_assert_eq!(parse(&format!("x:{}", escaped(&value)), &options()), Ok(expected));
    }
}
