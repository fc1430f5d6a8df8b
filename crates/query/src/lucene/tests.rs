//! Query strings and the plans they become.

use proptest::prelude::*;

use super::*;
use crate::ast::{Bound, TextMatch};

/// A plan in short: `+` required, `-` forbidden, nothing before what is optional.
fn show(query: &Query) -> String {
    let end = |bound: &Bound| match bound {
        Bound::Open => "*".to_owned(),
        Bound::Inclusive(value) | Bound::Exclusive(value) => value.as_str().unwrap_or("not a string").to_owned(),
    };
    match query {
        Query::MatchAll => "all".into(),
        Query::MatchNone => "none".into(),
        Query::Match(TextMatch { field, text, mode, is_open_ended, .. }) => {
            let end = if *is_open_ended { "*" } else { "" };
            match mode {
                MatchMode::Any => format!("{field}:{text}{end}"),
                MatchMode::All => format!("{field}:all({text}{end})"),
                MatchMode::AtLeast(minimum) => format!("{field}:{}({text}{end})", minimum.of(4)),
                MatchMode::Phrase { slop: 0 } => format!("{field}:'{text}{end}'"),
                MatchMode::Phrase { slop } => format!("{field}:'{text}{end}'~{slop}"),
            }
        }
        Query::CrossFields { fields, text, .. } => format!("{}:{text}", fields.join("|")),
        Query::Range { field, lower, upper, time_zone } => {
            let open = if matches!(lower, Bound::Exclusive(_)) { '{' } else { '[' };
            let close = if matches!(upper, Bound::Exclusive(_)) { '}' } else { ']' };
            let zone = time_zone.as_ref().map(|zone| format!("@{zone}")).unwrap_or_default();
            format!("{field}:{open}{}..{}{close}{zone}", end(lower), end(upper))
        }
        Query::Exists { field } => format!("{field}:exists"),
        Query::Prefix { field, value, .. } => format!("{field}:prefix({value})"),
        Query::Wildcard { field, pattern, .. } => format!("{field}:wildcard({pattern})"),
        Query::Regexp { field, regexp } => format!("{field}:/{}/", regexp.text()),
        Query::Fuzzy { field, value, fuzzy, .. } => match fuzzy.fuzziness {
            Fuzziness::Auto(..) => format!("{field}:{value}~"),
            Fuzziness::Edits(edits) => format!("{field}:{value}~{edits}"),
        },
        Query::Lenient(query) => format!("lenient({})", show(query)),
        Query::Ids(ids) => format!("ids({})", ids.join(",")),
        Query::Slice { id, max } => format!("slice({id}/{max})"),
        Query::Bool(query) => {
            assert!(query.filter.is_empty());
            let minimum = query.minimum_should_match.map(|minimum| format!("{minimum} of ")).unwrap_or_default();
            let part = |sign: &'static str, queries: &[Query]| {
                queries.iter().map(|query| format!("{sign}{}", show(query))).collect::<Vec<_>>()
            };
            let parts = [part("+", &query.must), part("", &query.should), part("-", &query.must_not)];
            format!("({minimum}{})", parts.concat().join(" "))
        }
        Query::Term { .. } | Query::Terms { .. } => unreachable!("query strings become no terms: {query:?}"),
    }
}

fn options(default_operator: Operator) -> LuceneOptions {
    LuceneOptions { default_fields: vec!["msg".into()], default_operator, ..LuceneOptions::default() }
}

fn shown(text: &str, operator: Operator) -> String {
    match parse(text, &options(operator)) {
        Ok(query) => show(&query),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn strings_become_plans() {
    for (text, expected) in [
        // Words, phrases, fields.
        ("timeout", "msg:timeout"),
        ("\"model load failed\"", "msg:'model load failed'"),
        ("tag: \"slow_request\"", "tag:'slow_request'"),
        ("model:qwen3", "model:qwen3"),
        ("path:\"/v1/chat/completions\"", "path:'/v1/chat/completions'"),
        ("path:\\/v1\\/chat", "path:/v1/chat"),
        ("model:qwen3\\:32b", "model:qwen3:32b"),
        ("user_id:a\\ b", "user_id:a b"),
        ("msg:\\u0041\\*", "msg:A*"),
        ("msg:\"say \\\"hi\\\"\"", "msg:'say \"hi\"'"),
        ("site.name:shanghai", "site.name:shanghai"),
        ("模型:加载　失败", "(模型:加载 msg:失败)"),
        ("a-b c+d", "msg:a-b c+d"),
        ("_id:42", "ids(42)"),
        ("", "none"),
        ("  ", "none"),
        // Comparisons and ranges.
        ("duration_ms:>3000", "duration_ms:{3000..*]"),
        ("duration_ms:>=3000", "duration_ms:[3000..*]"),
        ("duration_ms:<-5", "duration_ms:[*..-5}"),
        ("duration_ms:<=3.5", "duration_ms:[*..3.5]"),
        ("duration_ms:> 3000", "duration_ms:{3000..*]"),
        ("duration_ms:> -5", "duration_ms:{-5..*]"),
        ("@timestamp:>\"2026-01-27T10:00:00Z\"", "@timestamp:{2026-01-27T10:00:00Z..*]"),
        ("@timestamp:>2026-01-27T10:00:00Z", "@timestamp:{2026-01-27T10:00:00Z..*]"),
        ("@timestamp:<now/d", "@timestamp:[*..now/d}"),
        ("duration_ms:\\>3000", "duration_ms:>3000"),
        ("http_status:[200 TO 299]", "http_status:[200..299]"),
        ("http_status:{200 TO 299}", "http_status:{200..299}"),
        ("http_status:[200 TO 300}", "http_status:[200..300}"),
        ("http_status:[ * TO 299 ]", "http_status:[*..299]"),
        ("http_status:[500 TO *}", "http_status:[500..*]"),
        ("http_status:[* TO *]", "http_status:exists"),
        ("@timestamp:[2026-01-27T10:00:00 TO now/d]", "@timestamp:[2026-01-27T10:00:00..now/d]"),
        ("user_id:[\"a b\" TO \"*\"]", "user_id:[a b..*]"),
        ("duration_ms:(>=10 AND <20)", "(+duration_ms:[10..*] +duration_ms:[*..20})"),
        // Existence and wildcards.
        ("_exists_:error", "error:exists"),
        ("error:*", "error:exists"),
        ("*", "msg:exists"),
        ("*:*", "all"),
        ("model:qwen*", "model:prefix(qwen)"),
        ("model:q*n?", "model:wildcard(q*n?)"),
        ("model:*32b", "model:wildcard(*32b)"),
        ("model:a\\*b*", "model:prefix(a*b)"),
        ("model:?a\\*\\\\", "model:wildcard(?a\\*\\\\)"),
        ("model:\"qwen*\"", "model:'qwen*'"),
        // Operators are marks on clauses, not a tree.
        ("a AND b", "(+msg:a +msg:b)"),
        ("a && b", "(+msg:a +msg:b)"),
        ("a OR b", "(msg:a msg:b)"),
        ("a || b", "(msg:a msg:b)"),
        ("a OR b AND c", "(+msg:b +msg:c msg:a)"),
        ("a AND b OR c", "(+msg:a +msg:b msg:c)"),
        ("(a OR b) AND c", "(+(msg:a msg:b) +msg:c)"),
        ("NOT a", "(-msg:a)"),
        ("!a", "(-msg:a)"),
        ("-a", "(-msg:a)"),
        ("+a", "msg:a"),
        ("+a -b c", "(+msg:a msg:c -msg:b)"),
        ("a AND NOT b", "(+msg:a -msg:b)"),
        ("NOT a AND b", "(+msg:b -msg:a)"),
        ("a OR NOT b", "(msg:a -msg:b)"),
        ("a OR (NOT b)", "(msg:a (-msg:b))"),
        ("NOT http_status:[200 TO 299]", "(-http_status:[200..299])"),
        ("not and or", "msg:not and or"),
        ("\\AND", "msg:AND"),
        ("x:AND\\ ", "x:AND "),
        // Words in a row are one text.
        ("new york city", "msg:new york city"),
        ("city:(new york) x", "(city:new york msg:x)"),
        ("city:new york", "(city:new msg:york)"),
        ("a b AND c", "(+msg:b +msg:c msg:a)"),
        ("a b c AND d", "(+msg:c +msg:d msg:a b)"),
        ("a b x:c", "(msg:a b x:c)"),
        ("a b -c", "(msg:a b -msg:c)"),
        ("+a b c", "(+msg:a msg:b c)"),
        ("a b^2", "(msg:a msg:b)"),
        ("a - b", "(msg:a msg:- msg:b)"),
        // Similar words, phrases with gaps, regular expressions.
        ("slowli~", "msg:slowli~"),
        ("slowli~1", "msg:slowli~1"),
        ("slowli~2.0^3", "msg:slowli~2"),
        ("slowli^3~1", "msg:slowli~1"),
        ("a b~1 c", "(msg:a msg:b~1 msg:c)"),
        ("x:a\\:b~1", "x:a:b~1"),
        ("a*~1", "msg:prefix(a)"),
        ("\"a b\"~2", "msg:'a b'~2"),
        ("\"a b\"~2.7^3", "msg:'a b'~2"),
        ("\"a b\"~", "msg:'a b'"),
        ("model:/qwen3:(4|32)b/", "model:/qwen3:(4|32)b/"),
        ("/a b/ c", "(msg:/a b/ msg:c)"),
        ("path:/v1/chat", "(path:/v1/ msg:chat)"),
        ("/a\\/b/", "msg:/a\\/b/"),
        // Groups and boosts.
        ("model:(a OR \"b c\")", "(model:a model:'b c')"),
        ("model:(a AND x:b)", "(+model:a +x:b)"),
        ("model:(a)^2 b^0.5", "(model:a msg:b)"),
        ("((a))", "msg:a"),
        ("x:[1 TO 2]^3 y:\"a\"^2", "(x:[1..2] y:'a')"),
    ] {
        assert_eq!(shown(text, Operator::Or), expected, "{text}");
    }
}

#[test]
fn and_as_default_operator() {
    for (text, expected) in [
        ("a b", "msg:all(a b)"),
        ("x:a y:b", "(+x:all(a) +y:all(b))"),
        ("x:>1 OR y:>2", "(x:{1..*] y:{2..*])"),
        ("x:>1 OR y:>2 z:>3", "(+z:{3..*] x:{1..*] y:{2..*])"),
        ("x:>1 -y:>2", "(+x:{1..*] -y:{2..*])"),
        ("x:>1 OR -y:>2", "(x:{1..*] -y:{2..*])"),
        ("x:>1 OR +y:>2", "(x:{1..*] y:{2..*])"),
    ] {
        assert_eq!(shown(text, Operator::And), expected, "{text}");
    }
}

#[test]
fn wrong_strings_tell_where() {
    for (text, expected) in [
        ("a AND", "expected a value before the end at position 5"),
        ("AND a", "expected something in front of AND or OR at position 0"),
        ("a AND OR b", "expected a value at position 6"),
        ("a NOT", "expected a value before the end at position 5"),
        ("NOT -a", "expected a value at position 4"),
        ("model:", "expected a value before the end at position 6"),
        ("model: AND a", "expected a value at position 7"),
        ("model:-5", "expected a value at position 6"),
        ("model:qwen3:32b", "a : inside a value must be escaped with \\ or the value quoted at position 11"),
        ("(a", "the group is never closed at position 0"),
        ("a)", "unexpected ) at position 1"),
        ("()", "expected a word, a phrase, a field or a group at position 1"),
        ("\"a", "the quote is never closed at position 0"),
        ("é \"a", "the quote is never closed at position 2"),
        ("a]", "unexpected ] at position 1"),
        ("x:[1 2]", "expected TO between the ends of the range, as in [1 TO 5] at position 5"),
        ("x:[1 TO 2", "the range is never closed at position 2"),
        ("x:[1 TO ]", "a range needs two ends, as in [1 TO 5]; * stands for none at position 8"),
        ("x:[TO 2]", "expected TO between the ends of the range, as in [1 TO 5] at position 6"),
        ("[1 TO 2]", "a range needs a field at position 0"),
        (">5", "a comparison needs a field at position 0"),
        ("x:>", "expected a value to compare with before the end at position 3"),
        ("x:> > 5", "expected a value to compare with at position 4"),
        ("~", "expected a value at position 0"),
        ("a~1~2", "expected a value at position 3"),
        ("x:>5~1", "expected a value at position 4"),
        ("qwen~3", "[fuzziness] must be 0, 1, 2, AUTO or AUTO:low,high, got [3]"),
        (
            "model:qwen/qwen3",
            "the regular expression is never closed by another /; escape / with \\ or quote the value if it is meant as it is \
             at position 10",
        ),
        ("x:/(/", "failed to read the regular expression [(]: unexpected end-of-string at position 1"),
        ("mod*:x", "wildcards in field names are not supported at position 0"),
        ("a b_\\*:x", "wildcards in field names are not supported at position 2"),
        ("_index:x", "the field [_index] cannot be searched here at position 0"),
        ("a^", "^ must be followed by a number at position 1"),
        ("a\\", "nothing follows the escape sign \\ at position 1"),
        ("a\\u12", "\\u must be followed by four hexadecimal digits at position 1"),
    ] {
        let error = parse(text, &options(Operator::Or)).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
        assert_eq!(error.es_type(), "query_shard_exception");
    }
}

#[test]
fn options_change_plans() {
    let base = options(Operator::Or);
    let fields = || vec!["a".to_owned(), "b".to_owned()];
    for (text, options, expected) in [
        ("a b", LuceneOptions { kind: TextKind::Phrase, phrase_slop: 2, ..base.clone() }, "msg:'a b'~2"),
        ("a b", LuceneOptions { kind: TextKind::PhrasePrefix, ..base.clone() }, "msg:'a b*'"),
        ("a b", LuceneOptions { kind: TextKind::WordsPrefix, ..base.clone() }, "msg:a b*"),
        ("x y", LuceneOptions { kind: TextKind::Across, default_fields: fields(), ..base.clone() }, "a|b:x y"),
        ("\"a b\"", LuceneOptions { phrase_slop: 3, ..base.clone() }, "msg:'a b'~3"),
        ("a b", LuceneOptions { minimum_should_match: "2".parse().ok(), ..base.clone() }, "msg:2(a b)"),
        ("a x:b c", LuceneOptions { minimum_should_match: "2".parse().ok(), ..base.clone() }, "(2 of msg:a x:b msg:c)"),
        ("a*", LuceneOptions { analyze_wildcard: true, ..base.clone() }, "msg:a*"),
        ("x:abc", LuceneOptions { lenient: true, ..base.clone() }, "lenient(x:abc)"),
        ("a~", LuceneOptions { fuzzy: Fuzzy::within(Fuzziness::Edits(1)), ..base.clone() }, "msg:a~1"),
    ] {
        assert_eq!(show(&parse(text, &options).unwrap()), expected, "{text} {options:?}");
    }
    let strict = LuceneOptions { allow_leading_wildcard: false, ..base };
    assert!(parse("a*b", &strict).is_ok());
    let error = parse("a *b", &strict).unwrap_err();
    assert_eq!(error.to_string(), "'*' or '?' not allowed as first character in WildcardQuery at position 2");
}

#[test]
fn words_without_a_field_are_looked_for_in_all_default_fields() {
    for options in
        [LuceneOptions::default(), LuceneOptions { default_fields: vec!["*".into()], ..LuceneOptions::default() }]
    {
        let Ok(Query::Bool(query)) = parse("timeout", &options) else { panic!("not one of several fields") };
        assert_eq!(query.should.len(), DEFAULT_FIELDS.len());
        assert_eq!(show(&query.should[0]), "msg:timeout");
        assert_eq!(parse("*", &options), Ok(Query::MatchAll));
    }
    let zoned = LuceneOptions { time_zone: Some("+08:00".into()), ..LuceneOptions::default() };
    assert_eq!(show(&parse("@timestamp:>2026-01-27", &zoned).unwrap()), "@timestamp:{2026-01-27..*]@+08:00");
}

#[test]
fn limits_hold() {
    let default = LuceneOptions::default();
    assert!(parse(&"a".repeat(QUERY_BYTES_MAX + 1), &default).is_err());
    assert!(parse(&"x:a ".repeat(CLAUSES_MAX), &default).is_ok());
    assert!(parse(&"x:a ".repeat(CLAUSES_MAX + 1), &default).is_err());
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(DEPTH_MAX), &default).is_ok());
    assert!(parse(&nested(DEPTH_MAX + 1), &default).is_err());
    assert!(parse(&"(".repeat(QUERY_BYTES_MAX), &default).is_err());
    assert!(parse(&format!("x:>{}", " -".repeat(8000)), &default).is_err());
}

proptest! {
    #[test]
    fn any_string_is_read_without_panic(text in ".{0,60}") {
        let _ = parse(&text, &LuceneOptions::default());
    }

    #[test]
    fn any_tokens_are_read_without_panic(
        tokens in proptest::collection::vec(proptest::sample::select(vec![
            "a", "b", "é", "x:", ":", "AND", "OR", "NOT", "&&", "||", "!", "+", "-", "(", ")", "[", "]", "{", "}", " TO ",
            "*", "?", "\\", "\\u", "\"", "~", "/", "^", "2", ">", ">=", "<", " ", " ", "　", "_exists_", "_id", "0041",
        ]), 0..30),
        is_and in any::<bool>(),
    ) {
        let operator = if is_and { Operator::And } else { Operator::Or };
        let _ = parse(&tokens.concat(), &options(operator));
    }

    #[test]
    fn an_escaped_value_is_read_as_itself(value in ".{1,20}") {
        let query = parse(&format!("x:{}", escape(&value)), &LuceneOptions::default());
        prop_assert_eq!(query, Ok(Query::Match(TextMatch::new("x", value, MatchMode::Any))));
    }
}
