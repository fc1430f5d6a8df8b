//! Lines for people: a time and a level at their beginning if they have them, the rest is text.

use jiff::Zoned;

use super::json::Draft;
use super::level::Level;
use super::{TEXT_BYTES_MAX, time};

/// Words at the beginning of a line among which the level is looked for.
const WORDS_MAX: usize = 5;

/// Reads any line. Its text is the line itself, without the colours of a terminal.
pub(super) fn read(line: &str, now: &Zoned) -> Draft {
    let text = without_colours(line);
    let bare = text.trim_start_matches(['[', '(']);
    let (time, rest) = match time::of_local(bare, now) {
        Some((time, rest)) => (Some(time), rest),
        None => (None, text.as_str()),
    };
    Draft { time, level: level_of(rest), text: Some(text), ..Draft::default() }
}

/// Whether a line goes on with what the lines before it tell, which stand in `text`.
pub(super) fn goes_on(text: &str, line: &str) -> bool {
    const PHRASES: [&str; 6] = [
        "Traceback (most recent call last):",
        "Caused by: ",
        "Suppressed: ",
        "During handling of the above exception, another exception occurred:",
        "The above exception was the direct cause of the following exception:",
        "created by ",
    ];
    let is_indented = |line: &str| line.starts_with([' ', '\t']);
    if is_indented(line) || PHRASES.iter().any(|phrase| line.starts_with(phrase)) {
        return true;
    }
    // `at` a place of a stack that lost its indentation, or what closes a printed object.
    if line.starts_with("at ") && line.ends_with(')')
        || line.bytes().all(|byte| matches!(byte, b'}' | b']' | b')' | b','))
    {
        return true;
    }
    // The exception itself stands behind its traceback, without indentation.
    let is_exception = |line: &str| {
        let name = line.split([':', '(']).next().unwrap_or_default();
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
    };
    let last = text.rsplit('\n').next().unwrap_or_default();
    if is_indented(last) && is_exception(line) && text.contains(PHRASES[0]) {
        return true;
    }
    // A crash of a Go program: the stacks of its goroutines, a function and its place by turns.
    let is_crash = ["panic: ", "fatal error: ", "goroutine "].iter().any(|begin| text.starts_with(begin));
    is_crash
        && (line.starts_with("goroutine ")
            || line.starts_with("[signal ")
            || line.starts_with("exit status ")
            || (line.ends_with(')') && line.contains('(') && !line.starts_with(|c: char| c.is_ascii_digit())))
}

/// The level, if a word at the beginning says it in a way that is not part of a sentence: in capitals, in brackets, before a
/// colon or behind `level=`.
fn level_of(text: &str) -> Option<Level> {
    let marked = |word: &str| {
        let bare = word.trim_matches(|c: char| matches!(c, '[' | ']' | '(' | ')' | '<' | '>' | '|' | ':' | ','));
        let bare = bare.strip_prefix("level=").unwrap_or(bare);
        let is_marked = bare != word || (bare.len() > 2 && bare.bytes().all(|byte| byte.is_ascii_uppercase()));
        let level = Level::of_word(bare).filter(|_| is_marked);
        // Words of a sentence in front of a colon: `default:`, `log:`.
        level.filter(|_| !matches!(bare, "default" | "log" | "config" | "success")).map(|(level, _)| level)
    };
    text.split_ascii_whitespace().take(WORDS_MAX).find_map(marked)
}

/// The text without the control sequences that colour a terminal (ECMA-48, `ESC [ … m` and its like).
pub(super) fn without_colours(line: &str) -> String {
    let mut text = String::with_capacity(line.len().min(TEXT_BYTES_MAX));
    let mut rest = line;
    while let Some(at) = rest.find("\x1b[") {
        let sequence = &rest[at + 2..];
        let length = sequence.find(|c: char| !matches!(c, '0'..='9' | ';' | ':' | '?'));
        let Some(length) = length.filter(|length| sequence[*length..].starts_with(|c: char| c.is_ascii_alphabetic()))
        else {
            // No such sequence: it stays visible as what it is.
            text.push_str(&rest[..at + 2]);
            rest = sequence;
            continue;
        };
        text.push_str(&rest[..at]);
        rest = &sequence[length + 1..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_left_out_and_nothing_else() {
        for (line, text) in [
            ("\x1b[1;31mERROR\x1b[0m x", "ERROR x"),
            ("\x1b[x\x1b[", "\x1b["),
            ("\x1b[38;5;12m中\x1b[K", "中"),
            ("\x1b]0;title\x07", "\x1b]0;title\x07"),
        ] {
            assert_eq!(without_colours(line), text, "{line:?}");
        }
    }

    #[test]
    fn levels_are_words_that_stand_out() {
        for (text, level) in [
            (" INFO started", Some(Level::Info)),
            ("[warn] 12#0: x", Some(Level::Warn)),
            ("error: it broke", Some(Level::Error)),
            ("this is an error in a sentence", None),
            ("level=debug x", Some(Level::Debug)),
            ("default: x", None),
            ("(node:1) Warning: x", Some(Level::Warn)),
            ("a b c d e ERROR", None),
        ] {
            assert_eq!(level_of(text), level, "{text}");
        }
    }
}
