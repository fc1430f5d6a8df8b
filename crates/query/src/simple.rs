//! Elasticsearch's `simple_query_string`: what is typed into a search box, read without an error whatever it is.
//!
//! Follows Lucene's `SimpleQueryParser`: `+` and, `|` or, `-` not, `"…"` phrase, `*` beginning, `( )` groups, `~2` fuzzy or
//! slop, `\` takes the meaning off. A sign that makes no sense where it stands is passed over. Only limits are errors:
//! [`QUERY_BYTES_MAX`](crate::lucene::QUERY_BYTES_MAX), [`CLAUSES_MAX`](crate::lucene::CLAUSES_MAX) and
//! [`DEPTH_MAX`](crate::lucene::DEPTH_MAX).

use crate::ast::{BoolQuery, Case, MatchMode, Query, TextMatch, pass_over_wordless};
use crate::error::{ParseError, hint};
use crate::lucene::{CLAUSES_MAX, DEPTH_MAX, Operator, QUERY_BYTES_MAX, fields_or_default, least};
use crate::minimum::Minimum;
use crate::similar::{EDITS_MAX, Fuzziness, Fuzzy};

/// How a string is read.
#[derive(Clone, Debug, PartialEq)]
pub struct SimpleOptions {
    /// Where its words are looked for; the default fields of query strings if empty.
    pub fields: Vec<String>,
    /// How clauses without an operator combine.
    pub default_operator: Operator,
    /// Which signs mean something.
    pub signs: Signs,
    /// How many of the clauses that are not required must hold.
    pub minimum_should_match: Option<Minimum>,
    /// How words with `~` are compared; the number of changes stands in the string.
    pub fuzzy: Fuzzy,
    /// Of a word that ends in `*` only the last part is a beginning, where it has several for the field.
    pub analyze_wildcard: bool,
    /// A value that does not fit its field is no error.
    pub lenient: bool,
}

/// Signs that mean something (`flags`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Signs(u16);

/// Names and bits as Elasticsearch has them; `NEAR` and `SLOP` are the same.
const SIGNS: [(&str, u16); 13] = [
    ("ALL", u16::MAX),
    ("NONE", 0),
    ("AND", Signs::AND),
    ("NOT", Signs::NOT),
    ("OR", Signs::OR),
    ("PREFIX", Signs::PREFIX),
    ("PHRASE", Signs::PHRASE),
    ("PRECEDENCE", Signs::PRECEDENCE),
    ("ESCAPE", Signs::ESCAPE),
    ("WHITESPACE", Signs::WHITESPACE),
    ("FUZZY", Signs::FUZZY),
    ("NEAR", Signs::NEAR),
    ("SLOP", Signs::NEAR),
];

impl Signs {
    const AND: u16 = 1;
    const NOT: u16 = 1 << 1;
    const OR: u16 = 1 << 2;
    const PREFIX: u16 = 1 << 3;
    const PHRASE: u16 = 1 << 4;
    const PRECEDENCE: u16 = 1 << 5;
    const ESCAPE: u16 = 1 << 6;
    const WHITESPACE: u16 = 1 << 7;
    const FUZZY: u16 = 1 << 8;
    const NEAR: u16 = 1 << 9;

    /// Reads `ALL`, `NONE` or such as `AND|PREFIX`.
    pub fn parse(flags: &str) -> Result<Self, ParseError> {
        let mut bits = 0;
        for flag in flags.split('|').filter(|flag| !flag.is_empty()) {
            let name = flag.to_ascii_uppercase();
            match SIGNS.iter().find(|(known, _)| *known == name) {
                // As Elasticsearch does, whatever stands beside it.
                Some((_, u16::MAX)) => return Ok(Self::default()),
                Some((_, 0)) => return Ok(Self(0)),
                Some((_, bit)) => bits |= bit,
                None => {
                    let near = hint(&name, SIGNS.map(|(known, _)| known));
                    return Err(ParseError::illegal(format!("Unknown simple_query_string flag [{flag}]{near}")));
                }
            }
        }
        Ok(Self(bits))
    }

    fn has(self, sign: u16) -> bool {
        self.0 & sign != 0
    }
}

impl Default for Signs {
    fn default() -> Self {
        Self(u16::MAX)
    }
}

/// Reads a string.
pub fn parse(text: &str, options: &SimpleOptions) -> Result<Query, ParseError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(ParseError::shard(format!(
            "query string of {} bytes is longer than the {QUERY_BYTES_MAX} allowed",
            text.len()
        )));
    }
    if text.trim() == "*" {
        return Ok(Query::MatchAll);
    }
    let chars: Vec<char> = text.chars().collect();
    let closing = closing(&chars, options.signs);
    let fields = fields_or_default(&options.fields);
    let mut reader = Reader { chars: &chars, closing, options, fields, clauses: 0 };
    let tree = reader.clauses(0, chars.len(), 0)?;
    let Some(mut query) = tree else { return Ok(Query::MatchNone) };
    if let Some(minimum) = &options.minimum_should_match
        && let Tree::Clauses(clauses) = &mut query
    {
        clauses.minimum_should_match = least(minimum, clauses.should.len());
    }
    let query = query.into();
    Ok(if options.lenient { Query::Lenient(Box::new(query)) } else { query })
}

/// For each opening parenthesis where its closing one is.
fn closing(chars: &[char], signs: Signs) -> Vec<Option<usize>> {
    let mut closing = vec![None; chars.len()];
    let mut open = Vec::new();
    let mut is_escaped = false;
    for (at, c) in chars.iter().enumerate() {
        match c {
            _ if is_escaped => {}
            '\\' if signs.has(Signs::ESCAPE) => {
                is_escaped = true;
                continue;
            }
            '(' => open.push(at),
            ')' => {
                if let Some(start) = open.pop() {
                    closing[start] = Some(at);
                }
            }
            _ => {}
        }
        is_escaped = false;
    }
    closing
}

/// What has been read so far: clauses of their own, or one condition.
enum Tree {
    One(Query),
    Clauses(BoolQuery),
}

impl From<Tree> for Query {
    fn from(tree: Tree) -> Self {
        match tree {
            Tree::One(query) => query,
            Tree::Clauses(clauses) => Query::Bool(clauses),
        }
    }
}

/// A level of groups: what it is so far, and what stands between that and what comes next.
struct Level {
    at: usize,
    end: usize,
    tree: Option<Tree>,
    asked: Option<Operator>,
    before: Option<Operator>,
    is_not: bool,
}

struct Reader<'a> {
    chars: &'a [char],
    closing: Vec<Option<usize>>,
    options: &'a SimpleOptions,
    fields: Vec<String>,
    clauses: usize,
}

impl Reader<'_> {
    fn clauses(&mut self, start: usize, end: usize, depth: usize) -> Result<Option<Tree>, ParseError> {
        if depth > DEPTH_MAX {
            return Err(ParseError::syntax(format!("groups are nested deeper than {DEPTH_MAX}"), start));
        }
        let mut level = Level { at: start, end, tree: None, asked: None, before: None, is_not: false };
        while level.at < level.end {
            let has = |sign| self.options.signs.has(sign);
            match self.chars[level.at] {
                '(' if has(Signs::PRECEDENCE) => self.group(&mut level, depth)?,
                ')' if has(Signs::PRECEDENCE) => level.at += 1,
                '"' if has(Signs::PHRASE) => self.phrase(&mut level)?,
                '+' if has(Signs::AND) => level.ask(Operator::And),
                '|' if has(Signs::OR) => level.ask(Operator::Or),
                '-' if has(Signs::NOT) => {
                    level.is_not = !level.is_not;
                    level.at += 1;
                    continue;
                }
                ' ' | '\t' | '\n' | '\r' if has(Signs::WHITESPACE) => level.at += 1,
                _ => self.word(&mut level)?,
            }
            level.is_not = false;
        }
        Ok(level.tree)
    }

    fn group(&mut self, level: &mut Level, depth: usize) -> Result<(), ParseError> {
        let start = level.at + 1;
        match self.closing[level.at].filter(|end| *end < level.end) {
            // Never closed: a sign without meaning.
            None => level.at = start,
            Some(end) if end == start => {
                level.asked = None;
                level.at = end + 1;
            }
            Some(end) => {
                let inner = self.clauses(start, end, depth + 1)?;
                level.at = end + 1;
                if let Some(inner) = inner {
                    self.add(level, inner)?;
                }
            }
        }
        Ok(())
    }

    fn phrase(&mut self, level: &mut Level) -> Result<(), ParseError> {
        let start = level.at + 1;
        let (mut at, mut text, mut is_escaped) = (start, String::new(), false);
        while at < level.end {
            let c = self.chars[at];
            if !is_escaped && c == '\\' && self.options.signs.has(Signs::ESCAPE) {
                is_escaped = true;
            } else if !is_escaped && c == '"' {
                break;
            } else {
                is_escaped = false;
                text.push(c);
            }
            at += 1;
        }
        if at >= level.end {
            level.at = start;
            return Ok(());
        }
        level.at = at + 1;
        if at == start {
            level.asked = None;
            return Ok(());
        }
        let has_slop = self.options.signs.has(Signs::NEAR) && level.at + 1 < level.end && self.chars[level.at] == '~';
        let slop = if has_slop { self.number(level) } else { 0 };
        if !has_slop && level.at < level.end && self.chars[level.at] == '~' && self.options.signs.has(Signs::NEAR) {
            level.at += 1;
        }
        let query =
            self.in_fields(|field| Query::Match(TextMatch::new(field, text.as_str(), MatchMode::Phrase { slop })));
        self.add(level, Tree::One(query))
    }

    fn word(&mut self, level: &mut Level) -> Result<(), ParseError> {
        let signs = self.options.signs;
        let (mut text, mut is_escaped, mut is_prefix, mut is_fuzzy) = (String::new(), false, false, false);
        while level.at < level.end {
            let c = self.chars[level.at];
            if !is_escaped {
                if c == '\\' && signs.has(Signs::ESCAPE) {
                    is_escaped = true;
                    is_prefix = false;
                    level.at += 1;
                    continue;
                }
                if self.ends_word(c) {
                    break;
                }
                if !text.is_empty() && c == '~' && signs.has(Signs::FUZZY) {
                    is_fuzzy = true;
                    break;
                }
                is_prefix = !text.is_empty() && c == '*' && signs.has(Signs::PREFIX);
            }
            is_escaped = false;
            text.push(c);
            level.at += 1;
        }
        if text.is_empty() {
            return Ok(());
        }
        let edits = if is_fuzzy { self.number(level).min(u32::from(EDITS_MAX)) } else { 0 };
        let query = if edits > 0 {
            let fuzzy = Fuzzy { fuzziness: Fuzziness::Edits(edits as u8), ..self.options.fuzzy };
            self.in_fields(|field| Query::Fuzzy { field, value: text.clone(), fuzzy, case: Case::AsIndexed })
        } else if is_prefix && !is_fuzzy {
            text.pop();
            self.prefix(&text)
        } else {
            let mode = MatchMode::from(self.options.default_operator);
            self.in_fields(|field| Query::Match(TextMatch::new(field, text.as_str(), mode.clone())))
        };
        self.add(level, Tree::One(query))
    }

    fn prefix(&self, text: &str) -> Query {
        let mode = MatchMode::from(self.options.default_operator);
        self.in_fields(|field| {
            if self.options.analyze_wildcard {
                Query::Match(TextMatch { is_open_ended: true, ..TextMatch::new(field, text, mode.clone()) })
            } else {
                Query::Prefix { field, value: text.to_owned(), case: Case::AsIndexed }
            }
        })
    }

    /// What stands behind `~`: 2 if nothing does, 0 if it is no number.
    fn number(&self, level: &mut Level) -> u32 {
        level.at += 1;
        let digits = self.chars[level.at..level.end].iter().take_while(|c| !self.ends_word(**c));
        let digits: String = digits.collect();
        level.at += digits.chars().count();
        if digits.is_empty() { u32::from(EDITS_MAX) } else { digits.parse().unwrap_or(0) }
    }

    fn ends_word(&self, c: char) -> bool {
        let sign = match c {
            '"' => Signs::PHRASE,
            '|' => Signs::OR,
            '+' => Signs::AND,
            '(' | ')' => Signs::PRECEDENCE,
            ' ' | '\t' | '\n' | '\r' => Signs::WHITESPACE,
            _ => return false,
        };
        self.options.signs.has(sign)
    }

    fn in_fields(&self, make: impl Fn(String) -> Query) -> Query {
        match self.fields.as_slice() {
            [field] => make(field.clone()),
            fields => {
                let should = fields.iter().cloned().map(make).collect();
                Query::Bool(BoolQuery { should, ..BoolQuery::default() })
            }
        }
    }

    /// `buildQueryTree`: one kind of operator after another makes a level of its own.
    fn add(&mut self, level: &mut Level, branch: Tree) -> Result<(), ParseError> {
        self.clauses += 1;
        if self.clauses > CLAUSES_MAX {
            return Err(ParseError::shard(format!("the query string has more than {CLAUSES_MAX} clauses")));
        }
        let branch = if level.is_not {
            Tree::One(Query::Bool(BoolQuery { must_not: vec![branch.into()], ..BoolQuery::default() }))
        } else {
            branch
        };
        let Some(tree) = level.tree.take() else {
            level.tree = Some(branch);
            level.asked = None;
            return Ok(());
        };
        let operator = level.asked.take().unwrap_or(self.options.default_operator);
        let mut clauses = match tree {
            Tree::Clauses(clauses) if level.before == Some(operator) => clauses,
            tree => {
                let mut clauses = BoolQuery::default();
                of(&mut clauses, operator).push(tree.into());
                clauses
            }
        };
        of(&mut clauses, operator).push(branch.into());
        pass_over_wordless(&mut clauses.must, 0);
        level.tree = Some(Tree::Clauses(clauses));
        level.before = Some(operator);
        Ok(())
    }
}

impl Level {
    /// An operator counts only behind something, and the first of several.
    fn ask(&mut self, operator: Operator) {
        if self.asked.is_none() && self.tree.is_some() {
            self.asked = Some(operator);
        }
        self.at += 1;
    }
}

fn of(clauses: &mut BoolQuery, operator: Operator) -> &mut Vec<Query> {
    match operator {
        Operator::And => &mut clauses.must,
        Operator::Or => &mut clauses.should,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn options(default_operator: Operator, signs: Signs) -> SimpleOptions {
        SimpleOptions {
            fields: vec!["m".into()],
            default_operator,
            signs,
            minimum_should_match: None,
            fuzzy: Fuzzy::within(Fuzziness::AUTO),
            analyze_wildcard: false,
            lenient: false,
        }
    }

    fn show(query: &Query) -> String {
        match query {
            Query::MatchAll => "all".into(),
            Query::MatchNone => "none".into(),
            Query::Match(TextMatch { text, mode: MatchMode::Phrase { slop: 0 }, .. }) => format!("'{text}'"),
            Query::Match(TextMatch { text, mode: MatchMode::Phrase { slop }, .. }) => format!("'{text}'~{slop}"),
            Query::Match(TextMatch { text, .. }) => text.clone(),
            Query::Prefix { value, .. } => format!("{value}*"),
            Query::Fuzzy { value, fuzzy: Fuzzy { fuzziness: Fuzziness::Edits(edits), .. }, .. } => {
                format!("{value}~{edits}")
            }
            Query::Bool(BoolQuery { must, should, must_not, .. }) => {
                let part = |sign: &'static str, queries: &[Query]| {
                    queries.iter().map(|query| format!("{sign}{}", show(query))).collect::<Vec<_>>()
                };
                format!("({})", [part("+", must), part("", should), part("-", must_not)].concat().join(" "))
            }
            other => panic!("not made here: {other:?}"),
        }
    }

    #[test]
    fn whatever_is_typed() {
        for (text, expected) in [
            ("", "none"),
            (" * ", "all"),
            ("a b", "(a b)"),
            ("a + b", "(+a +b)"),
            ("a +b -c", "((+a +b) (-c))"),
            ("a | b + c", "(+(a b) +c)"),
            ("a | (b + c)", "(a (+b +c))"),
            ("a + -b", "(+a +(-b))"),
            ("--a", "a"),
            ("- a", "a"),
            ("\"a b\" c*", "('a b' c*)"),
            ("\"a b\"~3", "'a b'~3"),
            ("\"a b\"~", "'a b'"),
            ("a~ b~1 c~9 d~x e~0", "((((a~2 b~1) c~2) d) e)"),
            ("+ | a ++ b", "(+a +b)"),
            ("\"a (b", "(a b)"),
            ("(a", "a"),
            ("a)", "a"),
            ("() a \"\"", "a"),
            ("a\\ b\\*", "a b*"),
            ("\\", "none"),
            ("(((a)))", "a"),
            ("*a ~b", "(*a ~b)"),
        ] {
            let found = show(&parse(text, &options(Operator::Or, Signs::default())).unwrap());
            // Clauses of one operator stand beside each other.
            let flat = if text.starts_with("a~ ") { "(a~2 b~1 c~2 d e)" } else { expected };
            assert_eq!(found, flat, "{text}");
        }
        let and = options(Operator::And, Signs::parse("AND|WHITESPACE").unwrap());
        assert_eq!(show(&parse("a b | c*", &and).unwrap()), "(+a +b +| +c*)");
        let none = options(Operator::And, Signs::parse("NONE").unwrap());
        assert_eq!(show(&parse("a + (b)", &none).unwrap()), "a + (b)");
        assert!(Signs::parse("AND|XOR").is_err());
    }

    #[test]
    fn limits_hold() {
        let all = options(Operator::Or, Signs::default());
        assert!(parse(&"a ".repeat(CLAUSES_MAX + 1), &all).is_err());
        assert!(parse(&"a".repeat(QUERY_BYTES_MAX + 1), &all).is_err());
        assert!(parse(&"(".repeat(QUERY_BYTES_MAX), &all).is_ok());
        assert!(parse(&format!("{}a{}", "(".repeat(100), ")".repeat(100)), &all).is_err());
    }

    proptest! {
        #[test]
        fn no_string_is_an_error(text in "[ab+|\\-\"*()~\\\\ 12模]{0,40}", is_and in any::<bool>(), signs in any::<u16>()) {
            let operator = if is_and { Operator::And } else { Operator::Or };
            prop_assert!(parse(&text, &options(operator, Signs(signs))).is_ok());
        }
    }
}
