//! Lucene's query string syntax as Elasticsearch's `query_string` takes it.
//!
//! Follows Lucene's classic grammar (`QueryParser.jj`) and Elasticsearch's `QueryStringQueryParser`, so that the same
//! string selects the same documents:
//! - `AND`, `OR`, `NOT` are no operators with precedence but marks on clauses: `AND` makes both neighbours required, so
//!   `a OR b AND c` means `+b +c` with `a` optional.
//! - Bare words in a row are one text: `model:(new york)` looks for the value `new york` in a keyword field, and for
//!   either word in a text field.
//! - A comparison such as `>3000` is a range.
//!
//! What is not supported (fuzzy `~`, regular expressions, wildcards in field names) is an error, never read as something
//! else.

use serde_json::Value;

use crate::ast::{BoolQuery, Bound, MatchMode, Query};
use crate::error::ParseError;
use crate::fields::check_name;

/// Longest query string, in bytes.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// Most clauses (words, phrases, ranges, …) in one query string; Elasticsearch's own default.
pub const CLAUSES_MAX: usize = 1024;
/// Deepest nesting of groups.
pub const DEPTH_MAX: usize = 64;

/// The fields that a word without a field is looked for in: the text, and what people paste from elsewhere.
pub const DEFAULT_FIELDS: [&str; 9] =
    ["msg", "request_id", "model_name", "user_id", "path", "error", "upstream", "key_id", "client_ip"];

/// How a query string is read.
#[derive(Clone, Debug, PartialEq)]
pub struct LuceneOptions {
    /// Where a word without a field is looked for; `*` alone stands for [`DEFAULT_FIELDS`].
    pub default_fields: Vec<String>,
    /// How clauses without an operator combine.
    pub default_operator: Operator,
    /// Zone of dates in ranges that name none; UTC when absent.
    pub time_zone: Option<String>,
}

impl Default for LuceneOptions {
    fn default() -> Self {
        Self {
            default_fields: DEFAULT_FIELDS.map(str::to_owned).to_vec(),
            default_operator: Operator::Or,
            time_zone: None,
        }
    }
}

/// How clauses combine where no operator is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Operator {
    /// One is enough.
    #[default]
    Or,
    /// All are needed.
    And,
}

/// Reads a query string. Positions in errors count characters from 0. An empty string selects nothing, as in
/// Elasticsearch.
pub fn parse(text: &str, options: &LuceneOptions) -> Result<Query, ParseError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(ParseError::shard(format!(
            "query string of {} bytes is longer than the {QUERY_BYTES_MAX} allowed",
            text.len()
        )));
    }
    let chars: Vec<char> = text.chars().collect();
    let tokens = Lexer { chars: &chars, at: 0 }.tokens()?;
    if tokens.is_empty() {
        return Ok(Query::MatchNone);
    }
    let default_fields = match options.default_fields.as_slice() {
        [] => DEFAULT_FIELDS.map(str::to_owned).to_vec(),
        [star] if star == "*" => DEFAULT_FIELDS.map(str::to_owned).to_vec(),
        fields => fields.to_vec(),
    };
    let mut parser = Parser { tokens: &tokens, at: 0, end: chars.len(), options, default_fields, clauses: 0, depth: 0 };
    let query = parser.query(None)?;
    match parser.peek() {
        None => Ok(query),
        Some(token) => Err(ParseError::syntax("unexpected )", token.start)),
    }
}

/// Writes a value so that it is read back as itself, with every sign of the syntax escaped.
pub fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_whitespace() || SPECIAL.contains(c) || "&|<>".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    match escaped.as_str() {
        "AND" | "OR" | "NOT" => format!("\\{escaped}"),
        _ => escaped,
    }
}

/// Signs that end a bare word.
const SPECIAL: &str = "+-!():^[]\"{}~*?\\/";

struct Token {
    kind: Kind,
    /// Position of the first character.
    start: usize,
}

#[derive(PartialEq)]
enum Kind {
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
    Range {
        lower: End,
        upper: End,
        includes_lower: bool,
        includes_upper: bool,
    },
}

/// One end of a range in brackets.
#[derive(PartialEq)]
enum End {
    Open,
    Value(String),
}

/// A bare word; a comparison is told apart before escapes are gone, so that `\>` is only a sign.
#[derive(PartialEq)]
struct Word {
    text: String,
    comparison: Option<Comparison>,
}

#[derive(Clone, Copy, PartialEq)]
enum Comparison {
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

    fn bounds(self, value: String) -> (Bound, Bound) {
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
struct Char {
    value: char,
    is_escaped: bool,
}

impl Char {
    fn is(self, c: char) -> bool {
        !self.is_escaped && self.value == c
    }

    fn is_wildcard(self) -> bool {
        self.is('*') || self.is('?')
    }
}

struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
}

impl Lexer<'_> {
    fn tokens(mut self) -> Result<Vec<Token>, ParseError> {
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
                '~' => {
                    return Err(ParseError::syntax(
                        "fuzzy search with ~ is not supported; escape it with \\ or quote the value",
                        start,
                    ));
                }
                '/' => {
                    return Err(ParseError::syntax(
                        "regular expressions between / and / are not supported; escape / with \\ or quote the value",
                        start,
                    ));
                }
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

#[derive(Clone, Copy, PartialEq)]
enum Occur {
    Must,
    Should,
    MustNot,
}

#[derive(Clone, Copy, PartialEq)]
enum Conjunction {
    None,
    And,
    Or,
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    /// Position after the last character, for what is missing there.
    end: usize,
    options: &'a LuceneOptions,
    default_fields: Vec<String>,
    clauses: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// Clauses up to the end or a closing parenthesis.
    fn query(&mut self, field: Option<&str>) -> Result<Query, ParseError> {
        let mut clauses: Vec<(Occur, Query)> = Vec::new();
        while self.peek().is_some_and(|token| token.kind != Kind::Close) {
            let conjunction = self.conjunction(clauses.is_empty())?;
            if conjunction == Conjunction::None
                && let Some(text) = self.words_in_a_row()
            {
                let query = self.text(field, &text)?;
                self.add(&mut clauses, Conjunction::None, None, query);
                continue;
            }
            let modifier = self.modifier();
            let query = self.clause(field)?;
            self.add(&mut clauses, conjunction, modifier, query);
        }
        if clauses.is_empty() {
            return Err(self.missing("a word, a phrase, a field or a group"));
        }
        Ok(combine(clauses))
    }

    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at);
        self.at += 1;
        token
    }

    fn eat(&mut self, kind: &Kind) -> bool {
        let is_next = self.peek().is_some_and(|token| token.kind == *kind);
        self.at += usize::from(is_next);
        is_next
    }

    fn missing(&self, what: &str) -> ParseError {
        match self.peek() {
            None => ParseError::syntax(format!("expected {what} before the end"), self.end),
            Some(token) => ParseError::syntax(format!("expected {what}"), token.start),
        }
    }

    fn conjunction(&mut self, is_first: bool) -> Result<Conjunction, ParseError> {
        let conjunction = match self.peek().map(|token| &token.kind) {
            Some(Kind::And) => Conjunction::And,
            Some(Kind::Or) => Conjunction::Or,
            _ => return Ok(Conjunction::None),
        };
        if is_first {
            return Err(self.missing("something in front of AND or OR"));
        }
        self.at += 1;
        Ok(conjunction)
    }

    fn modifier(&mut self) -> Option<Occur> {
        let modifier = match self.peek()?.kind {
            Kind::Plus => Occur::Must,
            Kind::Minus | Kind::Not => Occur::MustNot,
            _ => return None,
        };
        self.at += 1;
        Some(modifier)
    }

    /// Two or more bare words that stand next to each other, as one text. The last one must not belong to what follows
    /// it (`MultiTerm` and `disallowedPostMultiTerm` in the grammar).
    fn words_in_a_row(&mut self) -> Option<String> {
        let plain = |at: usize| match self.tokens.get(at).map(|token| &token.kind) {
            Some(Kind::Word(Word { text, comparison: None })) => Some(text.as_str()),
            _ => None,
        };
        let ends_well = |at: usize| {
            !matches!(
                self.tokens.get(at).map(|token| &token.kind),
                Some(Kind::Colon | Kind::Star | Kind::Boost | Kind::And | Kind::Or)
            )
        };
        let mut text = plain(self.at)?.to_owned();
        let mut at = self.at + 1;
        while let Some(word) = plain(at)
            && ends_well(at + 1)
        {
            text.push(' ');
            text.push_str(word);
            at += 1;
        }
        if at == self.at + 1 {
            return None;
        }
        self.at = at;
        Some(text)
    }

    fn clause(&mut self, field: Option<&str>) -> Result<Query, ParseError> {
        let is_fielded = self.tokens.get(self.at + 1).is_some_and(|token| token.kind == Kind::Colon);
        if is_fielded && let Some(token) = self.peek() {
            let name = match &token.kind {
                Kind::Word(Word { text, comparison: None }) => Some(text.as_str()),
                Kind::Star => Some("*"),
                Kind::Pattern(_) => {
                    return Err(ParseError::syntax("wildcards in field names are not supported", token.start));
                }
                _ => None,
            };
            if let Some(name) = name {
                self.at += 2;
                return self.fielded(name, token.start);
            }
        }
        self.value(field)
    }

    fn fielded(&mut self, name: &str, start: usize) -> Result<Query, ParseError> {
        if name == "*" {
            return if self.eat(&Kind::Star) {
                self.count()?;
                self.eat(&Kind::Boost);
                Ok(Query::MatchAll)
            } else {
                self.value(None)
            };
        }
        if name.contains('*') {
            return Err(ParseError::syntax("wildcards in field names are not supported", start));
        }
        check_name(name).map_err(|error| ParseError { position: Some(start), ..error })?;
        let query = self.value(Some(name))?;
        if let Some(token) = self.peek().filter(|token| token.kind == Kind::Colon) {
            return Err(ParseError::syntax(
                "a : inside a value must be escaped with \\ or the value quoted",
                token.start,
            ));
        }
        Ok(query)
    }

    /// A word, phrase, range or group, with its boost.
    fn value(&mut self, field: Option<&str>) -> Result<Query, ParseError> {
        let Some(token) = self.next() else { return Err(self.missing("a value")) };
        let query = match &token.kind {
            Kind::Open => self.group(field, token.start)?,
            Kind::Word(Word { text, comparison: None }) => self.text(field, text)?,
            Kind::Sign(sign) => self.text(field, &sign.to_string())?,
            Kind::Word(Word { text, comparison: Some(comparison) }) => {
                let value = if text.is_empty() { self.compared_value()? } else { text.clone() };
                let field = field.ok_or_else(|| ParseError::syntax("a comparison needs a field", token.start))?;
                let (lower, upper) = comparison.bounds(value);
                self.range(field, lower, upper)?
            }
            Kind::Range { lower, upper, includes_lower, includes_upper } => {
                let field = field.ok_or_else(|| ParseError::syntax("a range needs a field", token.start))?;
                self.range(field, bound(lower, *includes_lower), bound(upper, *includes_upper))?
            }
            Kind::Quoted(text) => self.phrase(field, text)?,
            Kind::Star => self.any_value(field)?,
            Kind::Pattern(pattern) => self.pattern(field, pattern)?,
            Kind::And | Kind::Or | Kind::Not | Kind::Plus | Kind::Minus | Kind::Close | Kind::Colon | Kind::Boost => {
                self.at -= 1;
                return Err(self.missing("a value"));
            }
        };
        self.eat(&Kind::Boost);
        Ok(query)
    }

    fn group(&mut self, field: Option<&str>, start: usize) -> Result<Query, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ParseError::syntax(format!("groups are nested deeper than {DEPTH_MAX}"), start));
        }
        let query = self.query(field)?;
        self.depth -= 1;
        if self.eat(&Kind::Close) { Ok(query) } else { Err(ParseError::syntax("the group is never closed", start)) }
    }

    /// `> 3000` and `>"2026-01-27"`: the value is a token of its own.
    fn compared_value(&mut self) -> Result<String, ParseError> {
        // `> -5`: only here a minus belongs to the number.
        let sign = if self.eat(&Kind::Minus) { "-" } else { "" };
        match self.peek().map(|token| &token.kind) {
            Some(Kind::Word(Word { text, comparison: None }) | Kind::Quoted(text)) => {
                self.at += 1;
                Ok(format!("{sign}{text}"))
            }
            _ => Err(self.missing("a value to compare with")),
        }
    }

    fn text(&mut self, field: Option<&str>, text: &str) -> Result<Query, ParseError> {
        self.count()?;
        let mode = match self.options.default_operator {
            Operator::Or => MatchMode::Any,
            Operator::And => MatchMode::All,
        };
        Ok(match field {
            Some("_exists_") => Query::Exists { field: text.to_owned() },
            Some("_id") => Query::Ids(vec![text.to_owned()]),
            _ => self.in_fields(field, |field| Query::Match { field, text: text.to_owned(), mode }),
        })
    }

    fn phrase(&mut self, field: Option<&str>, text: &str) -> Result<Query, ParseError> {
        self.count()?;
        Ok(match field {
            Some("_exists_") => Query::Exists { field: text.to_owned() },
            Some("_id") => Query::Ids(vec![text.to_owned()]),
            _ => self.in_fields(field, |field| Query::Match { field, text: text.to_owned(), mode: MatchMode::Phrase }),
        })
    }

    fn range(&mut self, field: &str, lower: Bound, upper: Bound) -> Result<Query, ParseError> {
        self.count()?;
        if lower == Bound::Open && upper == Bound::Open {
            return Ok(Query::Exists { field: field.to_owned() });
        }
        Ok(Query::Range { field: field.to_owned(), lower, upper, time_zone: self.options.time_zone.clone() })
    }

    fn any_value(&mut self, field: Option<&str>) -> Result<Query, ParseError> {
        self.count()?;
        Ok(match (field, self.default_fields.as_slice()) {
            (Some(field), _) => Query::Exists { field: field.to_owned() },
            (None, [field]) => Query::Exists { field: field.clone() },
            (None, _) => Query::MatchAll,
        })
    }

    fn pattern(&mut self, field: Option<&str>, pattern: &[Char]) -> Result<Query, ParseError> {
        self.count()?;
        if let [beginning @ .., last] = pattern
            && last.is('*')
            && beginning.iter().all(|c| !c.is_wildcard())
        {
            let value: String = beginning.iter().map(|c| c.value).collect();
            return Ok(self.in_fields(field, |field| Query::Prefix { field, value: value.clone() }));
        }
        let mut text = String::new();
        for c in pattern {
            if c.value == '\\' || (c.is_escaped && matches!(c.value, '*' | '?')) {
                text.push('\\');
            }
            text.push(c.value);
        }
        Ok(self.in_fields(field, |field| Query::Wildcard { field, pattern: text.clone() }))
    }

    fn in_fields(&self, field: Option<&str>, make: impl Fn(String) -> Query) -> Query {
        match (field, self.default_fields.as_slice()) {
            (Some(field), _) => make(field.to_owned()),
            (None, [field]) => make(field.clone()),
            (None, fields) => {
                let should = fields.iter().cloned().map(make).collect();
                Query::Bool(BoolQuery { should, ..BoolQuery::default() })
            }
        }
    }

    fn count(&mut self) -> Result<(), ParseError> {
        self.clauses += 1;
        if self.clauses > CLAUSES_MAX {
            return Err(ParseError::shard(format!("the query string has more than {CLAUSES_MAX} clauses")));
        }
        Ok(())
    }

    /// `QueryParserBase.addClause`, with its two ways by default operator.
    fn add(&self, clauses: &mut Vec<(Occur, Query)>, conjunction: Conjunction, modifier: Option<Occur>, query: Query) {
        let is_and_default = self.options.default_operator == Operator::And;
        if let Some((occur, _)) = clauses.last_mut()
            && *occur != Occur::MustNot
        {
            match conjunction {
                Conjunction::And => *occur = Occur::Must,
                // What was required only by default becomes optional by the OR behind it.
                Conjunction::Or if is_and_default => *occur = Occur::Should,
                Conjunction::Or | Conjunction::None => {}
            }
        }
        let occur = match modifier {
            Some(Occur::MustNot) => Occur::MustNot,
            _ if is_and_default && conjunction != Conjunction::Or => Occur::Must,
            Some(Occur::Must) if !is_and_default => Occur::Must,
            _ if !is_and_default && conjunction == Conjunction::And => Occur::Must,
            _ => Occur::Should,
        };
        clauses.push((occur, query));
    }
}

fn bound(end: &End, is_inclusive: bool) -> Bound {
    match end {
        End::Open => Bound::Open,
        End::Value(value) if is_inclusive => Bound::Inclusive(Value::String(value.clone())),
        End::Value(value) => Bound::Exclusive(Value::String(value.clone())),
    }
}

/// One clause alone is itself, unless it is forbidden.
fn combine(mut clauses: Vec<(Occur, Query)>) -> Query {
    if clauses.len() == 1 && clauses[0].0 != Occur::MustNot {
        return clauses.remove(0).1;
    }
    let mut combined = BoolQuery::default();
    for (occur, query) in clauses {
        match occur {
            Occur::Must => combined.must.push(query),
            Occur::Should => combined.should.push(query),
            Occur::MustNot => combined.must_not.push(query),
        }
    }
    Query::Bool(combined)
}

#[cfg(test)]
mod tests;
