//! The signs and literals of a KQL string.

use crate::error::ParseError;

/// Characters that mean something unless `\` stands in front of them.
const SPECIAL: &str = "\\():<>\"*{}";
const KEYWORDS: [&str; 3] = ["and", "or", "not"];

/// What stands between a field and a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sign {
    Is,
    Above,
    From,
    Below,
    Through,
}

/// A name or value.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    pieces: Vec<Piece>,
    pub(super) is_quoted: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Piece {
    Char(char),
    /// A space that is written as it is, and so ends a word.
    Space(char),
    Star,
}

impl Literal {
    pub(super) fn text(&self) -> String {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Char(c) | Piece::Space(c) => *c,
            Piece::Star => '*',
        });
        pieces.collect()
    }

    /// The pattern for a wildcard condition.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Char(c @ ('*' | '?' | '\\')) => pattern.extend(['\\', *c]),
                Piece::Char(c) | Piece::Space(c) => pattern.push(*c),
                Piece::Star => pattern.push('*'),
            }
        }
        pattern
    }

    pub(super) fn is_star(&self) -> bool {
        self.pieces == [Piece::Star]
    }

    pub(super) fn has_wildcard(&self) -> bool {
        self.pieces.contains(&Piece::Star)
    }

    /// What stands between spaces.
    pub(super) fn words(&self) -> Vec<Literal> {
        let words = self.pieces.split(|piece| matches!(piece, Piece::Space(_))).filter(|word| !word.is_empty());
        words.map(|word| Literal { pieces: word.to_vec(), is_quoted: false }).collect()
    }
}

pub(super) struct Scanner<'a> {
    chars: &'a [char],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(chars: &'a [char]) -> Self {
        Self { chars, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.chars[self.at..].iter().all(|c| c.is_whitespace())
    }

    pub(super) fn skip_spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    pub(super) fn eat(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes a keyword with the spaces around it, if one stands here.
    pub(super) fn eat_keyword(&mut self, keyword: &str) -> bool {
        let start = self.at;
        self.skip_spaces();
        if self.is_keyword(keyword, keyword != "not") {
            self.at += keyword.len();
            self.skip_spaces();
            return true;
        }
        self.at = start;
        false
    }

    /// Whether a keyword stands here as a word of its own. As the last of a string it is one only behind something: alone
    /// it is a value.
    fn is_keyword(&self, keyword: &str, may_be_last: bool) -> bool {
        let rest = &self.chars[self.at..];
        let is_written =
            rest.len() >= keyword.len() && rest.iter().zip(keyword.chars()).all(|(a, b)| a.eq_ignore_ascii_case(&b));
        let is_behind_word = self.at > 0 && !is_end(self.chars[self.at - 1]);
        is_written && !is_behind_word && rest.get(keyword.len()).map_or(may_be_last, |c| is_end(*c) && *c != ':')
    }

    /// The sign behind a field.
    pub(super) fn sign(&mut self) -> Option<Sign> {
        let start = self.at;
        self.skip_spaces();
        let sign = match self.peek() {
            Some(':') => Sign::Is,
            Some('>') => Sign::Above,
            Some('<') => Sign::Below,
            _ => {
                self.at = start;
                return None;
            }
        };
        self.at += 1;
        Some(match sign {
            Sign::Above if self.eat('=') => Sign::From,
            Sign::Below if self.eat('=') => Sign::Through,
            sign => sign,
        })
    }

    /// A quoted text, or words up to a sign or a keyword.
    pub(super) fn literal(&mut self) -> Result<Option<Literal>, ParseError> {
        if self.peek() == Some('"') {
            return self.quoted().map(Some);
        }
        let mut pieces = Vec::new();
        // Spaces at the end do not belong to it.
        let mut end = (self.at, 0);
        while let Some(c) = self.peek() {
            let is_word_start = pieces.is_empty() || matches!(pieces.last(), Some(Piece::Space(_)));
            let is_keyword = |keyword: &&str| self.is_keyword(keyword, !pieces.is_empty() && *keyword != "not");
            if is_word_start && KEYWORDS.iter().any(is_keyword) {
                break;
            }
            let piece = match c {
                '\\' => self.escaped(is_word_start, &mut pieces)?,
                '*' => Some(Piece::Star),
                c if c.is_whitespace() => Some(Piece::Space(c)),
                c if SPECIAL.contains(c) => break,
                c => Some(Piece::Char(c)),
            };
            if let Some(piece) = piece {
                self.at += 1;
                pieces.push(piece);
            }
            if !matches!(pieces.last(), Some(Piece::Space(_))) {
                end = (self.at, pieces.len());
            }
        }
        self.at = end.0;
        pieces.truncate(end.1);
        Ok((!pieces.is_empty()).then_some(Literal { pieces, is_quoted: false }))
    }

    /// What a backslash is in front of; a whole keyword is taken at once.
    fn escaped(&mut self, is_word_start: bool, pieces: &mut Vec<Piece>) -> Result<Option<Piece>, ParseError> {
        let start = self.at;
        self.at += 1;
        if is_word_start {
            let rest = &self.chars[self.at..];
            let written = |keyword: &&&str| {
                rest.len() >= keyword.len() && rest.iter().zip(keyword.chars()).all(|(a, b)| a.eq_ignore_ascii_case(&b))
            };
            if let Some(keyword) = KEYWORDS.iter().find(written) {
                pieces.extend(rest[..keyword.len()].iter().map(|c| Piece::Char(*c)));
                self.at += keyword.len();
                return Ok(None);
            }
        }
        pieces.push(Piece::Char(self.escaped_char(start)?));
        Ok(None)
    }

    /// The character behind a backslash at `start`, which is taken.
    fn escaped_char(&mut self, start: usize) -> Result<char, ParseError> {
        let Some(c) = self.peek() else {
            return Err(ParseError::syntax("nothing follows the escape sign \\", start));
        };
        self.at += 1;
        match c {
            't' => Ok('\t'),
            'r' => Ok('\r'),
            'n' => Ok('\n'),
            'u' => {
                let digits = self.chars.get(self.at..self.at + 4);
                let code = digits
                    .and_then(|digits| digits.iter().try_fold(0, |code, digit| Some(code * 16 + digit.to_digit(16)?)));
                let c = code
                    .and_then(char::from_u32)
                    .ok_or_else(|| ParseError::syntax("\\u must be followed by four hexadecimal digits", start))?;
                self.at += 4;
                Ok(c)
            }
            c if SPECIAL.contains(c) => Ok(c),
            c => Err(ParseError::syntax(format!("\\{c} means nothing; \\\\ stands for a backslash"), start)),
        }
    }

    fn quoted(&mut self) -> Result<Literal, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut pieces = Vec::new();
        while let Some(c) = self.peek() {
            let at = self.at;
            self.at += 1;
            match c {
                '"' => return Ok(Literal { pieces, is_quoted: true }),
                '\\' => pieces.push(Piece::Char(self.escaped_char(at)?)),
                c => pieces.push(Piece::Char(c)),
            }
        }
        Err(ParseError::syntax("the quote is never closed", start))
    }
}

/// Whether a character ends a word.
fn is_end(c: char) -> bool {
    c.is_whitespace() || "():<>\"{}".contains(c)
}
