//! No text makes the reader panic or lose its place, and what it prints it reads back.

use proptest::prelude::*;
use tollhouse_config::{Config, parse};

/// A text that uses every key.
const FULL: &str = include_str!("valid/full.yaml");

/// Pieces that mean something in YAML or to us.
const PIECES: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "? ",
    "#",
    "\n",
    "\r\n",
    "\t",
    " ",
    "  ",
    "'",
    "\"",
    "\\",
    "|\n",
    ">-\n",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "<<: ",
    "~",
    "${A}",
    "${A:-b}",
    "${",
    "$${",
    "file:/nowhere",
    "\u{feff}",
    "模",
    "\u{0}",
    "0x10",
    "-1",
    "1e400",
    "listen",
    "upstreams",
];

fn env(name: &str) -> Option<String> {
    (name == "A").then(|| "from A: {".to_owned())
}

/// Parses and looks at whatever comes out.
fn examine(text: &str) -> Result<(), TestCaseError> {
    match parse(text, "x.yaml", &env) {
        Ok(config) => {
            let effective = config.effective_yaml();
            let again = parse(&effective, "effective.yaml", &|_| None);
            prop_assert_eq!(again.map(|config| config.effective_yaml()), Ok(effective));
        }
        Err(errors) => {
            prop_assert!(!errors.problems().is_empty());
            let lines = text.split(['\n', '\r']).count();
            for problem in errors.problems() {
                if let Some(place) = problem.place {
                    prop_assert!(
                        (1..=lines).contains(&place.line) && place.column >= 1 && place.width >= 1,
                        "{:?}",
                        problem
                    );
                }
            }
            let shown = errors.to_string();
            prop_assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{:?}", shown);
        }
    }
    Ok(())
}

/// Every way of cutting a part out of `text` and putting a piece in its place, as far as tried.
fn mutated(text: &'static str) -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(&PIECES[..]));
    prop::collection::vec(edit, 1..4).prop_map(move |edits| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, cut, piece) in edits {
            let at = at.index(chars.len() + 1);
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, piece.chars());
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        examine(&text)?;
    }

    #[test]
    fn any_mixture_of_pieces_is_read_or_refused(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
        examine(&pieces.concat())?;
    }

    #[test]
    fn any_damage_to_a_valid_text_is_read_or_refused(text in mutated(FULL)) {
        examine(&text)?;
    }

    #[test]
    fn texts_are_printed_so_that_they_are_read_back(value in "\\PC{0,30}", control in any::<char>()) {
        let value = format!("{value}{control}x");
        let mut config = Config::default();
        config.tags.push(("t".to_owned(), value.clone()));
        config.logging.fields.insert(value.clone(), value.clone().into());
        let again = parse(&config.effective_yaml(), "effective.yaml", &|_| None);
        let again = again.map_err(|errors| TestCaseError::fail(errors.to_string()))?;
        prop_assert_eq!(&again.tags, &config.tags);
        prop_assert_eq!(&again.logging.fields, &config.logging.fields);
    }
}

#[test]
fn bombs_are_refused_quickly() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let laugh = |pair: &[&str]| format!("{}: &{} [{}]\n", pair[1], pair[1], vec![format!("*{}", pair[0]); 9].join(","));
    let laughs = "a: &a [x]\n".to_owned() + &names.windows(2).map(laugh).collect::<Vec<_>>().concat();
    let step = |n: usize| format!("a{}: &a{} [[[[*a{n}]]]]\n", n + 1, n + 1);
    let ladder = "a0: &a0 [x]\n".to_owned() + &(0..1000).map(step).collect::<Vec<_>>().concat();
    let deep_lists = "- ".repeat(100_000);
    let deep_brackets = "[".repeat(100_000);
    let deep_keys = "? ".repeat(100_000);
    let wide = "x: [".to_owned() + &"1,".repeat(200_000) + "]";
    let unknown_keys = (0..2000).map(|n| format!("x{n}: 1\n")).collect::<Vec<_>>().concat();
    let same_keys = "x: 1\n".repeat(2001);
    for (text, message) in [
        (laughs, "too many values"),
        (ladder, "nested too deep"),
        (deep_lists, "nested too deep"),
        (deep_brackets, "nested too deep"),
        (deep_keys, "nested too deep"),
        (wide, "too many values"),
        ("a: &a [*a]".to_owned(), "inside of the value that it repeats"),
        (unknown_keys, "2000 errors in x.yaml, the first 50 are shown"),
        (same_keys, "2001 errors in x.yaml, the first 50 are shown"),
        ("#".repeat(2 << 20), "too large"),
    ] {
        let errors = parse(&text, "x.yaml", &env).expect_err(message).to_string();
        assert!(errors.contains(message), "{message}: {errors}");
    }
}

#[test]
fn no_error_shows_a_secret() {
    for text in [
        "upstreams: {a: {kind: opnai, url: http://a, key: sk-123}}",
        "upstreams: {a: {kind: openai, url: http://a, api_key: sk-123}}",
        "upstreams: {a: {kind: openai, url: http://a, key: sk-123",
        "upstreams: {a: {kind: openai, url: 'http://me:sk-123@a'}}",
        "upstreams:\n  a:\n    kind: openai\n    url: http://a\n    key: |\n      sk-123\n      x",
        "upstreams: {a: {kind: openai, url: http://a, key: 'sk-123 x'}}",
        "upstreams: {a: {kind: openai, url: http://a, key: [sk-123]}}",
        "access: {keys: [sk-123]}",
        "access: {keys: sk-123}",
        "access: {keys: [{id: a, sha256: sk-123}]}",
        "access: {keys: [{id: a, key: sk-123}]}",
        "upstreams: {a: {kind: opnai, url: http://a, key: \"${NONE:-sk-123}\"}}",
        "password: sk-123",
        "console: {token: sk-123, x: 1}",
    ] {
        let errors = parse(text, "x.yaml", &env).expect_err(text);
        let shown = format!("{errors}\n{errors:?}");
        assert!(!shown.contains("sk-123"), "{text}\n{shown}");
    }
}
