//! Cuts a text into the pieces that byte-pair merges never cross.
//!
//! The patterns that models publish end in `\s+(?!\S)|\s+`: a run of white space gives its last character to the word
//! behind it. That look-ahead is all that keeps them from being regular, so it is taken off and done by hand here. What
//! is left runs in linear time on a lazily built automaton, whatever a client sends; a backtracking engine would be
//! slower and would need a limit after which it counts wrongly.

use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input, PatternID};

use crate::error::TokensError;

/// How patterns end that give the last white space of a run to the word behind it, longest form first.
const SPACE_ENDINGS: [&str; 3] = [r"|\s+(?!\S)|\s+", r"|\s+(?!\S)|\s", r"|\s+(?!\S)"];

/// Bytes of a pattern, so that a strange file cannot make us compile without end.
const PATTERN_BYTES_MAX: usize = 64 * 1024;

/// One cut through a text: what the pattern finds are pieces, and so is what lies between.
#[derive(Debug)]
pub(crate) struct Splitter {
    /// The pattern without its look-ahead; with `spaces`, runs of white space are its second pattern.
    regex: Regex,
    spaces: bool,
}

impl Splitter {
    const SPACES: PatternID = PatternID::new_unchecked(1);

    /// Reads a pattern as `tokenizer.json` has it (Oniguruma's dialect).
    pub(crate) fn new(pattern: &str) -> Result<Self, TokensError> {
        let refused = || TokensError::unsupported("the pre-tokenizer's pattern", excerpt(pattern));
        let words = SPACE_ENDINGS.iter().find_map(|ending| pattern.strip_suffix(ending));
        let base = words.unwrap_or(pattern);
        if base.len() > PATTERN_BYTES_MAX || has_possessive(base) {
            return Err(refused());
        }
        let may_be_empty = regex_syntax_minimum(base) == Some(0);
        let regex = match words {
            Some(words) => Regex::new_many(&[words, r"\s+"]),
            None => Regex::new(base),
        };
        match regex {
            Ok(regex) if !may_be_empty => Ok(Self { regex, spaces: words.is_some() }),
            _ => Err(refused()),
        }
    }

    /// Gives the pieces of `text` in order; joined they are the text again.
    fn pieces<'t>(&self, text: &'t str, each: &mut dyn FnMut(&'t str)) {
        let mut at = 0;
        while at < text.len() {
            let (start, end) = self.find(text, at).unwrap_or((text.len(), text.len()));
            if at < start {
                each(&text[at..start]);
            }
            if start < end {
                each(&text[start..end]);
            }
            at = end;
        }
    }

    /// The next match from `at` on.
    fn find(&self, text: &str, at: usize) -> Option<(usize, usize)> {
        let from = Input::new(text).range(at..);
        // Matches mostly touch each other, and an anchored search need not look for its own beginning.
        let found = match self.regex.find(from.clone().anchored(Anchored::Yes)) {
            Some(found) => found,
            None => self.regex.find(from)?,
        };
        let (start, mut end) = (found.start(), found.end());
        if self.spaces && found.pattern() == Self::SPACES && end < text.len() {
            // The run reaches the next word: its last character belongs there, unless it is the only one.
            let last = text[start..end].chars().next_back().map_or(0, char::len_utf8);
            if start < end - last {
                end -= last;
            }
        }
        Some((start, end))
    }
}

/// Cuts `text` by each of the splitters in turn, the next one inside the pieces of the one before.
pub(crate) fn split<'t>(splitters: &[Splitter], text: &'t str, each: &mut dyn FnMut(&'t str)) {
    match splitters {
        [] => each(text),
        [last] => last.pieces(text, each),
        [first, rest @ ..] => first.pieces(text, &mut |piece| split(rest, piece, each)),
    }
}

/// Whether the pattern has possessive repetitions (`a++`): this crate's engine would read them as something else.
fn has_possessive(pattern: &str) -> bool {
    let (mut depth, mut repeated) = (0_u32, false);
    let mut bytes = pattern.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                // The braces of `\p{L}` repeat nothing.
                let name = matches!(bytes.next(), Some(b'p' | b'P')) && bytes.clone().next() == Some(b'{');
                if name {
                    bytes.by_ref().find(|byte| *byte == b'}');
                }
                repeated = false;
            }
            b'[' => depth += 1,
            b']' => (depth, repeated) = (depth.saturating_sub(1), false),
            _ if depth > 0 => {}
            b'+' if repeated => return true,
            b'+' | b'*' | b'?' | b'}' => repeated = true,
            _ => repeated = false,
        }
    }
    false
}

/// The shortest match of a pattern in bytes.
fn regex_syntax_minimum(pattern: &str) -> Option<usize> {
    regex_automata::util::syntax::parse(pattern).ok().and_then(|hir| hir.properties().minimum_len())
}

fn excerpt(pattern: &str) -> String {
    pattern.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    fn pieces(patterns: &[&str], text: &str) -> Vec<String> {
        let splitters: Vec<_> = patterns.iter().map(|pattern| Splitter::new(pattern).unwrap()).collect();
        let mut pieces = Vec::new();
        split(&splitters, text, &mut |piece| pieces.push(piece.to_owned()));
        pieces
    }

    #[test]
    fn the_last_space_of_a_run_goes_to_the_word() {
        assert_eq!(pieces(&[GPT2], "we've  3\n\n x  "), ["we", "'ve", " ", " 3", "\n\n", " x", "  "]);
        assert_eq!(pieces(&[GPT2], "\tx"), ["\t", "x"]);
        assert_eq!(pieces(&[GPT2], "中\u{3000}\u{3000}文"), ["中", "\u{3000}", "\u{3000}", "文"]);
        assert_eq!(pieces(&[GPT2], ""), [""; 0]);
    }

    #[test]
    fn splitters_work_inside_each_other() {
        assert_eq!(pieces(&[r"\p{N}", GPT2], "a 12 b"), ["a", " ", "1", "2", " b"]);
    }

    #[test]
    fn what_would_be_read_differently_is_refused() {
        for pattern in ["a++", "x?+y", "a{2}+", "(?=a)b", "a*", r"(a)\1", "("] {
            assert!(Splitter::new(pattern).is_err(), "{pattern}");
        }
        assert!(Splitter::new(r"[a+]+|\++").is_ok());
    }

    proptest::proptest! {
        #[test]
        fn joined_pieces_are_the_text(text in r"(?s)[ \n\tab1'中é\u{3000}😀.]{0,60}") {
            proptest::prop_assert_eq!(pieces(&[r"\p{N}{1,3}", GPT2], &text).concat(), text);
        }
    }
}
