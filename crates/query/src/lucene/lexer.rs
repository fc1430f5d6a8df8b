//! The signs and words of a query string.

use serde_json::Value;

use crate::ast::Bound;
use crate::error::ParseError;

/// Signs that end a bare word.
pub(super) const SPECIAL: &str = "+-!():^[]\"{}~*?\\/";

pub(super) struct Token {
    pub(super) kind: Kind,
    /// Position of the first character.
    pub(super) start: usize,
}

#[derive(PartialEq)]
pub(super) enum Kind {
    And,
    Or,
    Not,
    Plus,
    Minus,
    Open,
    Close,
    Colon,
    Star,
    Boost,
    /// A bare word.
    Word(Word),
    /// A lonely `+`, `-` or `!`: a word that is never joined with its neighbours.
    Sign(char),
    /// A word with wildcards in it.
    Pattern(Vec<Char>),
    Quoted(String),
    /// What stands between `/` and `/`, as it is written.
    Regexp(String),
    Tilde(Tilde),
    Range {
        lower: End,
        upper: End,
        includes_lower: bool,
        includes_upper: bool,
    },
}

/// `~` and the number behind it, if there is one.
#[derive(PartialEq)]
pub(super) struct Tilde(pub(super) Option<String>);

/// One end of a range in brackets.
#[derive(PartialEq)]
pub(super) enum End {
    Open,
    Value(String),
}

/// A bare word; a comparison is told apart before escapes are gone, so that `\>` is only a sign.
#[derive(PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) comparison: Option<Comparison>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    /// The comparison at the beginning of a word, and how many characters it takes.
    fn read(chars: &[Char]) -> Option<(Self, usize)> {
        let is_equal_next = chars.get(1).is_some_and(|c| c.is('='));
        match chars.first()? {
            c if c.is('>') && is_equal_next => Some((Self::GreaterOrEqual, 2)),
            c if c.is('>') => Some((Self::Greater, 1)),
            c if c.is('<') && is_equal_next => Some((Self::LessOrEqual, 2)),
            c if c.is('<') => Some((Self::Less, 1)),
            _ => None,
        }
    }

    pub(super) fn bounds(self, value: String) -> (Bound, Bound) {
        let value = Value::String(value);
        match self {
            Self::Greater => (Bound::Exclusive(value), Bound::Open),
            Self::GreaterOrEqual => (Bound::Inclusive(value), Bound::Open),
            Self::Less => (Bound::Open, Bound::Exclusive(value)),
            Self::LessOrEqual => (Bound::Open, Bound::Inclusive(value)),
        }
    }
}

/// A character of a word, and whether it was escaped.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Char {
    pub(super) value: char,
    pub(super) is_escaped: bool,
}

impl Char {
    pub(super) fn is(self, c: char) -> bool {
        !self.is_escaped && self.value == c
    }

    pub(super) fn is_wildcard(self) -> bool {
        self.is('*') || self.is('?')
    }
}

pub(super) struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(chars: &'a [char]) -> Self {
        Self { chars, at: 0 }
    }

    pub(super) fn tokens(mut self) -> Result<Vec<Token>, ParseError> {
        let mut tokens = Vec::new();
        loop {
            self.skip_spaces();
            let start = self.at;
            let Some(c) = self.peek() else { return Ok(tokens) };
            let kind = match c {
                '(' => self.one(Kind::Open),
                ')' => self.one(Kind::Close),
                ':' => self.one(Kind::Colon),
                '"' => Kind::Quoted(self.quoted()?),
                '[' | '{' => self.range()?,
                '^' => self.boost()?,
                // A sign with a space behind it is a word (BAREOPER in the grammar).
                '+' | '-' | '!' if self.chars.get(start + 1).copied().is_some_and(is_space) => self.one(Kind::Sign(c)),
                '+' => self.one(Kind::Plus),
                '-' => self.one(Kind::Minus),
                '!' => self.one(Kind::Not),
                '~' => self.tilde(),
                '/' => Kind::Regexp(self.regexp()?),
                ']' | '}' => return Err(ParseError::syntax(format!("unexpected {c}"), start)),
                _ => self.word()?,
            };
            tokens.push(Token { kind, start });
        }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn one(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        kind
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    fn word(&mut self) -> Result<Kind, ParseError> {
        let mut word: Vec<Char> = Vec::new();
        while let Some(c) = self.peek() {
            if c == '\\' {
                word.push(Char { value: self.escaped()?, is_escaped: true });
                continue;
            }
            // Lucene would end the value of a comparison at these too, and then always fail: what can only be a date or a
            // path is read as such.
            let is_compared = matches!(c, '/' | ':') && Comparison::read(&word).is_some();
            let is_inside = matches!(c, '+' | '-' | '*' | '?') || is_compared;
            if is_space(c) || (SPECIAL.contains(c) && !is_inside) {
                break;
            }
            word.push(Char { value: c, is_escaped: false });
            self.at += 1;
        }
        if word.len() == 1 && word[0].is('*') {
            return Ok(Kind::Star);
        }
        if word.iter().any(|c| c.is_wildcard()) {
            return Ok(Kind::Pattern(word));
        }
        let comparison = Comparison::read(&word);
        let skipped = comparison.map_or(0, |(_, length)| length);
        let text: String = word[skipped..].iter().map(|c| c.value).collect();
        if comparison.is_none() && word.iter().all(|c| !c.is_escaped) {
            match text.as_str() {
                "AND" | "&&" => return Ok(Kind::And),
                "OR" | "||" => return Ok(Kind::Or),
                "NOT" => return Ok(Kind::Not),
                _ => {}
            }
        }
        Ok(Kind::Word(Word { text, comparison: comparison.map(|(comparison, _)| comparison) }))
    }

    /// The character behind a backslash; `\u0041` is a code unit in hexadecimal.
    fn escaped(&mut self) -> Result<char, ParseError> {
        let start = self.at;
        let Some(&c) = self.chars.get(start + 1) else {
            return Err(ParseError::syntax("nothing follows the escape sign \\", start));
        };
        self.at += 2;
        if c != 'u' {
            return Ok(c);
        }
        let code = self
            .chars
            .get(self.at..self.at + 4)
            .and_then(|digits| digits.iter().try_fold(0, |code, digit| Some(code * 16 + digit.to_digit(16)?)));
        self.at += 4;
        code.and_then(char::from_u32)
            .ok_or_else(|| ParseError::syntax("\\u must be followed by four hexadecimal digits", start))
    }

    fn quoted(&mut self) -> Result<String, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(text);
                }
                '\\' => text.push(self.escaped()?),
                _ => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        Err(ParseError::syntax("the quote is never closed", start))
    }

    fn range(&mut self) -> Result<Kind, ParseError> {
        let start = self.at;
        let includes_lower = self.peek() == Some('[');
        self.at += 1;
        let lower = self.range_end(start)?;
        self.skip_spaces();
        let is_to = self.chars.get(self.at..self.at + 2) == Some(&['T', 'O'])
            && self.chars.get(self.at + 2).copied().is_some_and(is_space);
        if !is_to {
            return Err(ParseError::syntax("expected TO between the ends of the range, as in [1 TO 5]", self.at));
        }
        self.at += 2;
        let upper = self.range_end(start)?;
        self.skip_spaces();
        let includes_upper = match self.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(ParseError::syntax("expected ] or } at the end of the range", self.at)),
        };
        self.at += 1;
        Ok(Kind::Range { lower, upper, includes_lower, includes_upper })
    }

    fn range_end(&mut self, range_start: usize) -> Result<End, ParseError> {
        self.skip_spaces();
        if self.peek() == Some('"') {
            return Ok(End::Value(self.quoted()?));
        }
        let start = self.at;
        let mut value = String::new();
        while let Some(c) = self.peek() {
            match c {
                ']' | '}' => break,
                c if is_space(c) => break,
                '\\' => value.push(self.escaped()?),
                c => {
                    value.push(c);
                    self.at += 1;
                }
            }
        }
        if self.at >= self.chars.len() {
            return Err(ParseError::syntax("the range is never closed", range_start));
        }
        match value.as_str() {
            "" => Err(ParseError::syntax("a range needs two ends, as in [1 TO 5]; * stands for none", start)),
            "*" => Ok(End::Open),
            _ => Ok(End::Value(value)),
        }
    }

    fn tilde(&mut self) -> Kind {
        self.at += 1;
        let number: String = self.chars[self.at..].iter().take_while(|c| c.is_ascii_digit() || **c == '.').collect();
        self.at += number.len();
        Kind::Tilde(Tilde((!number.is_empty()).then_some(number)))
    }

    fn regexp(&mut self) -> Result<String, ParseError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '/' => return Ok(text),
                '\\' if self.peek() == Some('/') => {
                    text.push_str("\\/");
                    self.at += 1;
                }
                _ => text.push(c),
            }
        }
        Err(ParseError::syntax(
            "the regular expression is never closed by another /; escape / with \\ or quote the value if it is meant as it is",
            start,
        ))
    }

    fn boost(&mut self) -> Result<Kind, ParseError> {
        let start = self.at;
        self.at += 1;
        let number: String = self.chars[self.at..].iter().take_while(|c| c.is_ascii_digit() || **c == '.').collect();
        self.at += number.len();
        if number.parse::<f64>().is_err() {
            return Err(ParseError::syntax("^ must be followed by a number", start));
        }
        Ok(Kind::Boost)
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{3000}')
}
