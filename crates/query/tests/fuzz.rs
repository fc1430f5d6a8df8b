//! Fuzz targets for everything that reads queries from outside: Lucene strings, KQL, simple strings, regular expressions,
//! and bodies of searches.
//!
//! Each target takes a query of `tests/cases/` or of the differential tests, breaks it at random (characters changed, cut
//! out, put in twice, mixed with another, signs that parsers stumble over put in; odd values where JSON has others), or
//! takes arbitrary text, and demands that nothing panics, that an error stands inside of the text, and that what was read
//! can be asked of a document. A few hundred rounds run with the other tests. For longer:
//!
//! ```text
//! PROPTEST_CASES=1000000 cargo test --release -p tollhouse-query --test fuzz
//! ```
//!
//! A failure is made as small as it gets, printed, and its seed is kept in `tests/fuzz.proptest-regressions`, which all
//! later runs try first. (This is no `cargo fuzz`, which needs a nightly compiler.)

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};
use tollhouse_query::kql::KqlOptions;
use tollhouse_query::lucene::{LuceneOptions, Operator, TextKind};
use tollhouse_query::simple::{Signs, SimpleOptions};
use tollhouse_query::{
    FieldKind, Fields, Fuzziness, Fuzzy, ParseError, Query, Regexp, RegexpOptions, dsl, kql, lucene, matches_at,
    simple, validate,
};
use tollhouse_testkit::{broken, fuzz_rounds, replace_node};

const ROUNDS: u32 = 400;

/// What parsers of queries stumble over.
const TOKENS: [&str; 46] = [
    ":",
    "(",
    ")",
    "((((((((",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\\",
    "\\u",
    "\\u00",
    "/",
    "//",
    "~",
    "~2",
    "~9.9",
    "^",
    "^2",
    "*",
    "?",
    "+",
    "-",
    "!",
    "&&",
    "||",
    "|",
    "<",
    ">=",
    " AND ",
    " OR ",
    " NOT ",
    " and ",
    " or ",
    "not ",
    " TO ",
    "_exists_:",
    "*:*",
    "now-1d/d",
    "\u{3000}",
    "é模",
    "\u{feff}",
    "\0",
    ".*.*.*",
    "{1,1000}",
    "<1-99>",
];

/// Strings of queries, and bodies, that other tests ask.
static STRINGS: LazyLock<Vec<Vec<char>>> = LazyLock::new(|| {
    let cases: Value = serde_json::from_str(include_str!("cases/conditions.json")).expect("JSON");
    let differential: Value =
        serde_json::from_str(include_str!("../../../tests/data/differential/strings.json")).expect("JSON");
    let written = cases["cases"].as_array().into_iter().flatten().flat_map(|case| [&case["lucene"], &case["kql"]]);
    let asked = differential.as_array().into_iter().flatten().flat_map(|case| {
        let query = &case["body"]["query"];
        [&query["query_string"]["query"], &query["simple_query_string"]["query"]]
    });
    written.chain(asked).filter_map(Value::as_str).map(|text| text.chars().collect()).collect()
});
static BODIES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let files = [
        include_str!("../../../tests/data/differential/clauses.json"),
        include_str!("../../../tests/data/differential/strings.json"),
        include_str!("../../../tests/data/differential/errors.json"),
        include_str!("../../../tests/data/differential/aggregations.json"),
        include_str!("../../../tests/data/differential/options.json"),
    ];
    let cases = files.into_iter().flat_map(|file| serde_json::from_str::<Vec<Value>>(file).expect("JSON"));
    cases.map(|mut case| case["body"].take()).collect()
});

/// Values that are sound JSON and seldom what is expected.
static ODD: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let long = "x".repeat(300);
    let odd = json!([
        null, true, false, 0, -1, 1, 2, 0.5, 1e300, u64::MAX, i64::MIN, "", " ", "a", "é\u{2028}\n", "null", "0", "-1", "-5%",
        "2<75%", "AUTO", "AUTO:9,1", "now/d", "2026-13-45", "+99:99", "*", "a*", "(", "a AND", "/(/", "\"a", long, [], [[]],
        [null], ["a"], [{}], {}, {"a": 1}, {"query": "a"}, {"match_all": {}}, {"bool": {}}, {"regexp": {"a": "(.*a){99}"}}
    ]);
    odd.as_array().cloned().unwrap_or_default()
});

fn fields() -> Fields {
    let mut fields = Fields::default();
    for (name, kind) in [
        ("@timestamp", FieldKind::Date),
        ("kind", FieldKind::Keyword),
        ("model_name", FieldKind::Keyword),
        ("user_id", FieldKind::Keyword),
        ("http_status", FieldKind::Long),
        ("duration_ms", FieldKind::Double),
        ("stream", FieldKind::Boolean),
        ("msg", FieldKind::Text),
    ] {
        fields.declare(name, kind);
    }
    fields
}

fn document() -> Map<String, Value> {
    let document = json!({
        "@timestamp": "2026-03-28T10:00:00.000Z", "kind": "request", "model_name": "qwen3:4b", "user_id": "user-001",
        "http_status": 500, "duration_ms": 12.5, "stream": true, "msg": "the model answered slowly, cache miss 重新 加载",
        "a": ["b", 1, null, {"c": 2.5}],
    });
    document.as_object().cloned().unwrap_or_default()
}

/// What was read can be asked of a document, and what was not read tells where.
fn check(text: &str, read: Result<Query, ParseError>) -> Result<(), TestCaseError> {
    match read {
        Ok(query) => {
            let _ = validate(&query, &fields(), 0);
            let _ = matches_at(&query, &document(), &fields(), 0);
        }
        Err(error) => {
            let is_inside = error.position.is_none_or(|at| at <= text.chars().count());
            prop_assert!(is_inside && !error.message.is_empty(), "{error} in {text:?}");
        }
    }
    Ok(())
}

fn broken_strings() -> impl Strategy<Value = String> {
    broken(&STRINGS, &TOKENS).prop_map(|text| text.into_iter().collect())
}

fn broken_bodies() -> impl Strategy<Value = Value> {
    let places = vec((any::<Index>(), any::<Index>(), broken_strings(), any::<bool>()), 0..4);
    (any::<Index>(), places).prop_map(|(which, places)| {
        let mut body = which.get(&BODIES).clone();
        for (node, odd, text, is_text) in places {
            let value = if is_text { Value::from(text) } else { odd.get(&ODD).clone() };
            replace_node(&mut body, node, &value);
        }
        body
    })
}

fn rounds() -> ProptestConfig {
    fuzz_rounds(ROUNDS, concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz.proptest-regressions"))
}

proptest! {
    #![proptest_config(rounds())]

    #[test]
    fn lucene_strings(text in broken_strings(), is_and in any::<bool>(), kind in 0..5_usize, lenient in any::<bool>()) {
        let options = LuceneOptions {
            default_fields: vec!["msg".into(), "kind".into()],
            default_operator: if is_and { Operator::And } else { Operator::Or },
            kind: [TextKind::InOne, TextKind::Across, TextKind::Phrase, TextKind::PhrasePrefix, TextKind::WordsPrefix][kind],
            minimum_should_match: "2<-1".parse().ok(),
            analyze_wildcard: lenient,
            lenient,
            ..LuceneOptions::default()
        };
        check(&text, lucene::parse(&text, &options))?;
    }

    #[test]
    fn kql_strings(text in broken_strings()) {
        check(&text, kql::parse(&text, &KqlOptions::default()))?;
    }

    #[test]
    fn simple_strings(text in broken_strings(), is_and in any::<bool>()) {
        let options = SimpleOptions {
            fields: vec!["msg".into()],
            default_operator: if is_and { Operator::And } else { Operator::Or },
            signs: Signs::default(),
            minimum_should_match: None,
            fuzzy: Fuzzy::within(Fuzziness::AUTO),
            analyze_wildcard: false,
            lenient: false,
        };
        check(&text, simple::parse(&text, &options))?;
    }

    #[test]
    fn regular_expressions(text in broken_strings(), value in ".{0,40}") {
        if let Ok(regexp) = Regexp::new(&text, RegexpOptions::default()) {
            prop_assert!(!regexp.is_match(&value) || value.starts_with(regexp.beginning()));
        }
    }

    #[test]
    fn bodies(body in broken_bodies()) {
        if let Ok(request) = dsl::parse_search(&body) {
            check("", Ok(request.query))?;
        }
        let _ = dsl::parse_count(&body);
    }
}
