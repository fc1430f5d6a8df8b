//! Lines of `name=value` pairs, as Go's loggers and Heroku's router write them.

use serde_json::{Map, Value};

use super::json::{self, Draft};

/// Fewest pairs that make a line one of this kind: one pair may stand in any sentence.
const PAIRS_MIN: usize = 2;
/// Most pairs that are read of a line; what is behind them is in the last one's text.
const PAIRS_MAX: usize = 1_000;
/// Longest text of a number.
const NUMBER_BYTES_MAX: usize = 17;

/// Reads a line; nothing when it is anything but pairs.
pub(super) fn read(line: &str) -> Option<Draft> {
    let pairs = pairs(line)?;
    let mut draft = Draft::default();
    json::take_object(&mut draft, pairs, line, 0);
    Some(draft)
}

/// The pairs of a line that has nothing else.
pub(super) fn pairs(line: &str) -> Option<Map<String, Value>> {
    only_pairs(line).filter(|pairs| pairs.len() >= PAIRS_MIN)
}

/// The pairs of a text, however few, that has nothing else.
pub(super) fn only_pairs(line: &str) -> Option<Map<String, Value>> {
    let mut pairs = Map::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (name, behind) = name(rest)?;
        if pairs.len() == PAIRS_MAX {
            return None;
        }
        let (value, behind) = value(behind)?;
        // A name that is there twice keeps its first value, as everywhere here.
        pairs.entry(name).or_insert(value);
        rest = behind.trim_start();
    }
    Some(pairs)
}

/// The pairs that stand in a text among other words.
pub(super) fn pairs_within(text: &str) -> Vec<(&str, Value)> {
    let pair = |word| {
        let (name, value) = str::split_once(word, '=')?;
        is_name(name).then(|| (name, typed(value)))
    };
    text.split_ascii_whitespace().take(PAIRS_MAX).filter_map(pair).collect()
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '@'))
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/' | b'@'))
}

/// A name, and what is behind its `=`. Go's slog puts names with spaces in quotes.
fn name(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        let (name, behind) = quoted(text)?;
        return Some((name.replace(' ', "_"), behind.strip_prefix('=')?));
    }
    let (name, behind) = text.split_once('=')?;
    is_name(name).then(|| (name.to_owned(), behind))
}

/// A value, and what is behind it.
fn value(text: &str) -> Option<(Value, &str)> {
    if !text.starts_with('"') {
        let end = text.find(' ').unwrap_or(text.len());
        return Some((typed(&text[..end]), &text[end..]));
    }
    let (value, behind) = quoted(text)?;
    // What stands behind a quote is another pair, or this was no value.
    (behind.is_empty() || behind.starts_with(' ')).then_some((Value::String(value), behind))
}

/// A text in quotes, and what is behind them.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut at = 1;
    loop {
        at += text.get(at..)?.find(['"', '\\'])?;
        if text[at..].starts_with('"') {
            break;
        }
        // Past what is escaped, of whatever length in bytes.
        at += 1 + text[at + 1..].chars().next()?.len_utf8();
    }
    let (quoted, behind) = text.split_at(at + 1);
    let inside = &quoted[1..quoted.len() - 1];
    // Go's quotes are those of JSON but for rare escapes, which then stay as they stand.
    let value = serde_json::from_str(quoted).unwrap_or_else(|_| inside.to_owned());
    Some((value, behind))
}

/// A value without quotes: a number or truth value if nothing of its text is lost by that.
fn typed(text: &str) -> Value {
    match text {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = text.len() <= NUMBER_BYTES_MAX
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.starts_with(|c: char| c.is_ascii_digit());
    if is_number {
        if let Some(number) = text.parse::<i64>().ok().filter(|number| number.to_string() == text) {
            return number.into();
        }
        // 0.50 is a duration; 1.2.3 and 007 are no numbers.
        let is_fraction = digits.contains('.') && (digits.starts_with("0.") || !digits.starts_with('0'));
        if let Some(number) = text.parse::<f64>().ok().filter(|_| is_fraction) {
            return number.into();
        }
    }
    text.into()
}
