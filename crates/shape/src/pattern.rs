//! What lines of one kind have in common: their text without what is another one each time.

/// So much of a text is looked at, in bytes.
pub const LOOKED_AT_BYTES_MAX: usize = 512;
/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 256;
/// A word of letters and digits that is so long is an id.
const ID_CHARS_MIN: usize = 8;
/// A UUID with its hyphens.
const UUID_CHARS: usize = 36;

/// The text with `#` for numbers and ids, `"…"` for what stands in quotes, and `/…` for paths.
///
/// ```
/// let text = r#"worker 17: GET /api/users/7 took 12.5ms, id 6f1ed002ab55, said "no""#;
/// assert_eq!(tollhouse_shape::pattern(text), r#"worker #: GET /… took #.#ms, id #, said "…""#);
/// ```
pub fn pattern(text: &str) -> String {
    let mut rest = &text[..text.floor_char_boundary(LOOKED_AT_BYTES_MAX)];
    let mut pattern = String::with_capacity(rest.len().min(PATTERN_BYTES_MAX));
    while let Some(first) = rest.chars().next() {
        if pattern.len() >= PATTERN_BYTES_MAX {
            break;
        }
        let is_in_word = pattern.ends_with(|c: char| c.is_alphanumeric() || c == '#');
        let (length, shown) = match first {
            c if c.is_whitespace() => (rest.len() - rest.trim_start().len(), " "),
            '"' | '\'' | '`' if !is_in_word && quoted(rest, first).is_some() => {
                (quoted(rest, first).unwrap_or(1), "\"…\"")
            }
            '/' if !is_in_word && path(rest) > 1 => (path(rest), "/…"),
            c if c.is_ascii_alphanumeric() => {
                let length = word(rest);
                push_word(&mut pattern, &rest[..length]);
                rest = &rest[length..];
                continue;
            }
            c => (c.len_utf8(), &rest[..c.len_utf8()]),
        };
        pattern.push_str(shown);
        rest = &rest[length..];
    }
    pattern.truncate(pattern.floor_char_boundary(PATTERN_BYTES_MAX));
    pattern
}

/// Bytes up to the second quote.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let inside = &text[quote.len_utf8()..];
    Some(inside.find(quote)? + 2 * quote.len_utf8())
}

/// Bytes of a path.
fn path(text: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ')' | ']' | '}' | ',' | ';' | ':' | '>');
    text.find(ends).unwrap_or(text.len())
}

/// Bytes of a word, or of a whole UUID.
fn word(text: &str) -> usize {
    let is_uuid = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') && part.contains('-');
    if text.get(..UUID_CHARS).is_some_and(is_uuid) {
        return UUID_CHARS;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len())
}

fn push_word(pattern: &mut String, word: &str) {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let is_id = word.len() >= ID_CHARS_MIN && digits >= 2;
    if is_id || word.len() == digits {
        return pattern.push('#');
    }
    for c in word.chars() {
        match c {
            '0'..='9' if pattern.ends_with('#') => {}
            '0'..='9' => pattern.push('#'),
            c => pattern.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_changes_is_masked() {
        for (text, expected) in [
            ("connection refused", "connection refused"),
            ("attempt 17 of 20 failed after 1.5s", "attempt # of # failed after #.#s"),
            ("model qwen3 on gpu0", "model qwen# on gpu#"),
            ("id 0198c0de-4b3a-7c11-9a2b-5f6e7d8c9b0a gone", "id # gone"),
            ("req_8f3k2m9x0c7v failed", "req_# failed"),
            ("open '/var/log/a b.log': no", "open \"…\": no"),
            ("open /var/log/app-7.log: no such file", "open /…: no such file"),
            ("it doesn't and it won't", "it doesn't and it won't"),
            ("a\t\t b", "a b"),
            ("10.0.0.7:443 -> 10.0.0.8:80", "#.#.#.#:# -> #.#.#.#:#"),
            ("模型 7 失败", "模型 # 失败"),
            ("n / 2", "n / #"),
            ("unclosed \" quote", "unclosed \" quote"),
            ("", ""),
        ] {
            assert_eq!(pattern(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn patterns_are_bounded_and_blind_to_numbers(text in ".{0,700}", first in 0_u32.., second in 0_u32..) {
            prop_assert!(pattern(&text).len() <= PATTERN_BYTES_MAX);
            let of = |number: u32| pattern(&format!("line {number} of /a/{number}: \"{number}\" {text}"));
            prop_assert_eq!(of(first).get(..12).map(str::to_owned), of(second).get(..12).map(str::to_owned));
        }
    }
}
