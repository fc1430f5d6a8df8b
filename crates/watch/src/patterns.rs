//! Patterns of lines: what stays the same of lines that differ in numbers, names and times.
//!
//! A small form of Drain (He et al., ICWS 2017): lines of the same number of words that begin alike are compared, and
//! one that is alike enough to a known pattern belongs to it, whose differing words become `<*>`; another one is a new pattern.
//! What looks like a value (numbers, addresses, ids, paths, times, quoted texts) is taken out before. It is pure and
//! bounded: the patterns that were not seen for longest make room.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Patterns that are remembered of one source.
pub(crate) const PATTERNS_MAX: usize = 200;
/// Words of a line that count.
const WORDS_MAX: usize = 40;
/// Bytes of a line that count.
const LINE_BYTES_MAX: usize = 1024;
/// So many of the words have to be the same for a line to belong to a pattern.
const ALIKE_MIN: f64 = 0.6;
/// What stands for a word that differs.
const ANY: &str = "<*>";

/// The patterns of one source.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Patterns {
    /// By how many words they have, and the first one.
    groups: BTreeMap<String, Vec<Pattern>>,
    /// Counts lines; tells which pattern was not seen for longest.
    lines: u64,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Pattern {
    words: Vec<String>,
    /// The number of the line that belonged to it last.
    last: u64,
}

impl Patterns {
    /// Takes in a line; its pattern when none like it was there before.
    pub(crate) fn take(&mut self, line: &str) -> Option<String> {
        let words = words(line);
        if words.is_empty() {
            return None;
        }
        self.lines += 1;
        let lines = self.lines;
        let group = self.groups.entry(format!("{} {}", words.len(), words[0])).or_default();
        let alike = |pattern: &Pattern| {
            let same = pattern.words.iter().zip(&words).filter(|(a, b)| a == b || *a == ANY).count();
            same as f64 / words.len() as f64
        };
        let best = group.iter_mut().map(|pattern| (alike(pattern), pattern)).max_by(|(a, _), (b, _)| a.total_cmp(b));
        if let Some((_, pattern)) = best.filter(|(alike, _)| *alike >= ALIKE_MIN) {
            for (known, word) in pattern.words.iter_mut().zip(&words) {
                if known != word {
                    ANY.clone_into(known);
                }
            }
            pattern.last = lines;
            return None;
        }
        let told = words.join(" ");
        group.push(Pattern { words, last: lines });
        self.make_room();
        Some(told)
    }

    /// How many patterns are known.
    pub(crate) fn len(&self) -> usize {
        self.groups.values().map(Vec::len).sum()
    }

    fn make_room(&mut self) {
        while self.len() > PATTERNS_MAX {
            let oldest = |group: &Vec<Pattern>| group.iter().map(|pattern| pattern.last).min().unwrap_or(u64::MAX);
            let Some(name) = self.groups.iter().min_by_key(|(_, group)| oldest(group)).map(|(name, _)| name.clone())
            else {
                return;
            };
            let Some(group) = self.groups.get_mut(&name) else { return };
            let last = oldest(group);
            group.retain(|pattern| pattern.last != last);
            if group.is_empty() {
                self.groups.remove(&name);
            }
        }
    }
}

/// The words of a line, with what looks like a value taken out.
fn words(line: &str) -> Vec<String> {
    let line = &line[..line.floor_char_boundary(LINE_BYTES_MAX)];
    let mut words: Vec<String> = Vec::new();
    let mut is_quoted = false;
    for word in line.split_whitespace() {
        // A quoted text of several words is one value.
        let quotes = word.matches('"').count();
        if is_quoted {
            is_quoted = quotes % 2 == 0;
            continue;
        }
        is_quoted = quotes % 2 == 1;
        if words.len() == WORDS_MAX {
            break;
        }
        words.push(shape(word));
    }
    words
}

/// A word, or what it is a value of: `took=12ms` is `took=<*>`.
fn shape(word: &str) -> String {
    if let Some((name, value)) = word.split_once('=')
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
    {
        let is_value = value.is_empty() || !value.chars().all(char::is_alphabetic);
        return if is_value { format!("{name}={ANY}") } else { word.to_owned() };
    }
    if is_value(word) { ANY.to_owned() } else { word.to_owned() }
}

/// Words with a digit, paths, quoted ones and addresses are values; `E1234:` of an error is a name.
fn is_value(word: &str) -> bool {
    let core = word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '/' | '"'));
    let is_code = core.len() <= 8
        && core.chars().next().is_some_and(|c| c.is_ascii_uppercase())
        && core.chars().skip(1).all(|c| c.is_ascii_digit());
    let has_digit = core.chars().any(|c| c.is_ascii_digit());
    (has_digit && !is_code) || core.starts_with('/') || core.contains("://") || word.contains('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_that_differ_in_values_are_one_pattern() {
        let mut patterns = Patterns::default();
        assert_eq!(
            patterns.take("slot 3 released after 1200ms for 10.0.0.7:5123 id=ab12"),
            Some("slot <*> released after <*> for <*> id=<*>".into())
        );
        assert_eq!(patterns.take("slot 14 released after 9ms for 10.0.0.8:80 id=ff"), None);
        // A differing word makes the pattern wider, not a new one.
        assert!(patterns.take("model qwen loaded from disk in 3.2s").is_some());
        assert_eq!(patterns.take("model llama loaded from disk in 9s"), None);
        assert_eq!(patterns.take("model mistral loaded from disk in 9s"), None);
        assert!(patterns.take("model refused the connection of its own parent").is_some());
        assert!(patterns.take("E1234: the pump has stopped").is_some());
        assert!(patterns.take("E1235: the pump has stopped").is_some(), "another code is another thing");
        assert_eq!(patterns.take("   "), None);
        let kept = serde_json::to_string(&patterns).unwrap();
        let mut again: Patterns = serde_json::from_str(&kept).unwrap();
        assert_eq!(again, patterns);
        assert_eq!(again.take("slot 9 released after 2ms for 1.2.3.4:5 id=7"), None, "it survives restarts");
    }

    #[test]
    fn patterns_not_seen_for_longest_make_room() {
        let mut patterns = Patterns::default();
        let word = |n: usize| {
            format!("w{}", "x".repeat(n % 30)).replace('w', &char::from(b'a' + (n / 30) as u8 % 26).to_string())
        };
        for number in 0..PATTERNS_MAX {
            patterns.take(&format!("{} {} alone", word(number), word(number + 7)));
        }
        assert!(patterns.take("first one of all stays known").is_some());
        for number in 0..3 * PATTERNS_MAX {
            patterns.take(&format!("{} {} further {}", word(number), word(number / 26), word(number + 3)));
            assert_eq!(patterns.take("first one of all stays known"), None);
        }
        assert!(patterns.len() <= PATTERNS_MAX);
    }

    proptest! {
        #[test]
        fn any_line_is_taken_and_known_afterwards(lines in prop::collection::vec(".{0,200}", 0..50)) {
            let mut patterns = Patterns::default();
            for line in &lines {
                patterns.take(line);
                prop_assert_eq!(patterns.take(line), None);
            }
            prop_assert!(patterns.len() <= lines.len());
        }
    }
}
