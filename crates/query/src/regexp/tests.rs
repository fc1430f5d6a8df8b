//! Expressions and the values that fit them.

use proptest::prelude::*;

use super::*;

fn regexp(text: &str) -> Regexp {
    Regexp::new(text, RegexpOptions::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn values_that_fit() {
    for (text, fits, others) in [
        ("qwen3:(4|32)b", &["qwen3:4b", "qwen3:32b"][..], &["qwen3:8b", "xqwen3:4b", "qwen3:4bb"][..]),
        ("user-0[0-9]{2}", &["user-012"], &["user-12", "user-0123"]),
        ("a.c", &["abc", "a\nc", "a模c"], &["ac", "abbc"]),
        ("ab?c*", &["a", "ab", "accc", "abc"], &["abb", ""]),
        ("a{2}", &["aa"], &["a", "aaa"]),
        ("a{2,}", &["aa", "aaa"], &["a"]),
        ("(ab){1,2}", &["ab", "abab"], &["ababab", ""]),
        ("[^a-c]", &["d", "模"], &["a", "dd"]),
        ("[a-cx]+", &["abx"], &["d"]),
        ("[\\]]", &["]"], &["\\"]),
        ("[\\d]\\w", &["1a"], &["da"]),
        ("\\S\\s\\D", &["a b", "a\tb"], &["a 1", "aab"]),
        ("\"a.b\"", &["a.b"], &["axb"]),
        ("\\.\\*", &[".*"], &["x"]),
        ("^a$", &["^a$"], &["a"]),
        ("*a", &["*a"], &["a"]),
        ("a**", &["", "aa"], &["b"]),
        ("", &[""], &["a"]),
        ("()", &[""], &["a"]),
        ("#", &[], &["", "#"]),
        ("a@", &["a", "abc"], &["b"]),
        ("~(a.*)", &["", "b"], &["a", "ab"]),
        ("~~a", &["a"], &["b"]),
        ("a.*&.*b", &["ab", "axb"], &["a", "xb"]),
        ("a.*&~(.*b)|c", &["a", "ax", "c"], &["ab"]),
        ("<9-11>", &["9", "10", "11", "009"], &["8", "12", ""]),
        ("<098-102>", &["098", "101"], &["98", "103", "0099"]),
        ("<0-0>", &["0"], &["00", "1"]),
        ("<20-7>", &["7", "13", "20", "007"], &["6", "21"]),
        ("<1-2147483647>", &["1", "2147483647", "1999999999"], &["0", "2147483648"]),
    ] {
        let regexp = regexp(text);
        for value in fits {
            assert!(regexp.is_match(value), "{text} {value}");
            assert!(value.starts_with(regexp.beginning()), "{text} {value}");
        }
        for value in others {
            assert!(!regexp.is_match(value), "{text} {value}");
        }
    }
}

#[test]
fn beginnings_are_known() {
    for (text, expected) in [("qwen3:(4|32)b", "qwen3:"), ("ab?", "a"), (".*", ""), ("\"a.\"b*", "a."), ("a|b", "")] {
        assert_eq!(regexp(text).beginning(), expected, "{text}");
    }
}

#[test]
fn flags_and_case() {
    let plain = RegexpOptions::with_flags("NONE", false).unwrap();
    assert!(Regexp::new("a#<1-2>@&~", plain).unwrap().is_match("a#<1-2>@&~"));
    let some = RegexpOptions::with_flags("INTERVAL|EMPTY", true).unwrap();
    assert_eq!(some, RegexpOptions { ignores_case: true, interval: true, empty: true, ..RegexpOptions::PLAIN });
    assert!(RegexpOptions::with_flags("SOME", false).is_err());
    let any_case = RegexpOptions { ignores_case: true, ..RegexpOptions::default() };
    let regexp = Regexp::new("Qwen[x].[y-z]é", any_case).unwrap();
    assert!(regexp.is_match("qWENX yé") && !regexp.is_match("qwenx Yé") && !regexp.is_match("qwenx yÉ"));
    assert_eq!(regexp.beginning(), "");
}

#[test]
fn wrong_ones_tell_where() {
    for (text, expected) in [
        ("(", "unexpected end-of-string at position 1"),
        ("(a", "expected ')' at position 2"),
        ("a)", "end-of-string expected at position 1"),
        ("a|", "unexpected end-of-string at position 2"),
        ("[a", "expected ']' at position 2"),
        ("[]", "expected ']' at position 2"),
        ("[z-a]", "invalid range: z cannot be greater than a at position 4"),
        ("a{,2}", "integer expected at position 2"),
        ("a{2", "expected '}' at position 3"),
        ("a{3,2}", "invalid repetition range (out of order) at position 2"),
        ("a{99999999999}", "the number is too large at position 2"),
        ("<1>", "interval syntax error, expected such as <1-99> at position 0"),
        ("<1-2", "expected '>' at position 4"),
        ("\"a", "expected '\"' at position 2"),
        ("\\", "unexpected end-of-string at position 1"),
    ] {
        let error = Regexp::new(text, RegexpOptions::default()).expect_err(text);
        let expected = format!("failed to read the regular expression [{text}]: {expected}");
        assert_eq!(error.to_string(), expected);
    }
    let error = Regexp::new("a~(b)", RegexpOptions::default()).unwrap_err();
    assert!(error.to_string().contains("not supported"), "{error}");
}

#[test]
fn what_would_be_large_is_refused_soon() {
    for text in [
        "((((a{1,50}){1,50}){1,50}){1,50})".to_owned(),
        ".*a.{40}".to_owned(),
        "(".repeat(500) + "a" + &")".repeat(499),
        "a".to_owned() + &"*".repeat(900),
        "a".repeat(REGEXP_CHARS_MAX + 1),
        "~".repeat(999) + "(.*a.{60})",
        ".{1000}{1000}".to_owned(),
    ] {
        assert!(Regexp::new(&text, RegexpOptions::default()).is_err(), "{text}");
    }
    assert!(Regexp::new(&".".repeat(200), RegexpOptions::default()).is_ok());
    let slow_elsewhere = regexp("(a*)*b");
    assert!(!slow_elsewhere.is_match(&"a".repeat(100_000)));
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "[ab0-9.?*+|{},\\[\\]()\"\\\\#@&~<>^-]{0,24}", value in "[ab0-9]{0,8}") {
        if let Ok(regexp) = Regexp::new(&text, RegexpOptions::default()) {
            prop_assert!(!regexp.is_match(&value) || value.starts_with(regexp.beginning()));
        }
    }

    #[test]
    fn numbers_lie_between_their_ends(low in 0..3_000_u32, high in 0..3_000_u32, number in 0..3_000_u32) {
        let regexp = regexp(&format!("x<{low}-{high}>"));
        let is_inside = (low.min(high)..=low.max(high)).contains(&number);
        let digits = if low.to_string().len() == high.to_string().len() { low.to_string().len() } else { 1 };
        prop_assert_eq!(regexp.is_match(&format!("x{number:0digits$}")), is_inside);
    }
}
