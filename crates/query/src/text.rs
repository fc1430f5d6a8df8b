//! Words of a text and patterns of `*` and `?`: the same in memory and in the index.

/// Words of this many bytes or more are not indexed (Tantivy's default tokenizer).
pub const WORD_BYTES_LIMIT: usize = 40;

/// The words of a text as Tantivy's default tokenizer makes them: runs of letters and digits, long ones left out, in
/// lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    positioned_words(text).map(|(_, word)| word)
}

/// [`words`] with their places; one that was left out still takes its place, so that a phrase does not close the gap.
pub fn positioned_words(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|run| !run.is_empty())
        .enumerate()
        .filter(|(_, run)| run.len() < WORD_BYTES_LIMIT)
        .map(|(place, run)| (place, run.to_lowercase()))
}

/// A pattern of `*` (any characters), `?` (one character) and `\` (the next character is meant literally).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern(Vec<Piece>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Piece {
    Literal(char),
    One,
    Any,
}

impl Pattern {
    /// Reads a pattern; each string is one.
    pub fn new(pattern: &str) -> Self {
        let mut pieces = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            let piece = match c {
                '*' => Piece::Any,
                '?' => Piece::One,
                '\\' => Piece::Literal(chars.next().unwrap_or('\\')),
                other => Piece::Literal(other),
            };
            // Stars in a row mean the same as one and would only cost time.
            if piece != Piece::Any || pieces.last() != Some(&Piece::Any) {
                pieces.push(piece);
            }
        }
        Self(pieces)
    }

    /// Whether the whole of `text` fits.
    pub fn is_match(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let pieces = &self.0;
        let (mut at, mut piece) = (0, 0);
        // The last star and where its text ended so far; nothing before it ever needs to be tried again.
        let mut star: Option<(usize, usize)> = None;
        while at < text.len() {
            match pieces.get(piece) {
                Some(Piece::Any) => {
                    star = Some((piece, at));
                    piece += 1;
                }
                Some(Piece::One) => {
                    at += 1;
                    piece += 1;
                }
                Some(Piece::Literal(c)) if *c == text[at] => {
                    at += 1;
                    piece += 1;
                }
                _ => {
                    let Some((star_piece, star_end)) = star else { return false };
                    star = Some((star_piece, star_end + 1));
                    at = star_end + 1;
                    piece = star_piece + 1;
                }
            }
        }
        pieces[piece..].iter().all(|piece| *piece == Piece::Any)
    }

    /// The pattern as a regular expression in the syntax of the `regex` crates, which Tantivy's automata use too; without
    /// anchors.
    pub fn to_regex(&self) -> String {
        let mut regex = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Any => regex.push_str("(.|\\n)*"),
                Piece::One => regex.push_str("(.|\\n)"),
                Piece::Literal(c) => {
                    // Exactly these: before other signs a backslash may mean something (`\<` is a word boundary).
                    if r"\.+*?()|[]{}^$#&-~".contains(*c) {
                        regex.push('\\');
                    }
                    regex.push(*c);
                }
            }
        }
        regex
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_runs() {
        let all: Vec<String> = words("Model_load FAILED: GPU-0, 模型 x").collect();
        assert_eq!(all, ["model", "load", "failed", "gpu", "0", "模型", "x"]);
        assert_eq!(words(&"a".repeat(39)).count(), 1);
        assert_eq!(words(&"a".repeat(40)).count(), 0);
        let text = format!("a {} b", "x".repeat(50));
        let places: Vec<usize> = positioned_words(&text).map(|(place, _)| place).collect();
        assert_eq!(places, [0, 2]);
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("?", "", false),
            ("qwen*", "qwen3:32b", true),
            ("*32b", "qwen3:32b", true),
            ("q*3*b", "qwen3:32b", true),
            ("q*3*c", "qwen3:32b", false),
            ("qwen?:*", "qwen3:4b", true),
            ("模?", "模型", true),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            ("", "", true),
            ("", "a", false),
            ("a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(Pattern::new(pattern).is_match(text), expected, "{pattern} {text}");
        }
        assert_eq!(Pattern::new(r"a.?\*-*").to_regex(), r"a\.(.|\n)\*\-(.|\n)*");
    }
}
