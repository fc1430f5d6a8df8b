//! Reads Lucene's regular expressions (`RegExp.java`), sign by sign as it does, and writes them for the `regex` crates.

use std::fmt::Write as _;

use super::{REGEXP_DEPTH_MAX, RegexpOptions};
use crate::error::ParseError;

/// A piece of an expression.
#[derive(Debug)]
pub(super) enum Node {
    Char(char),
    /// Any one character.
    Any,
    Class {
        ranges: Vec<(char, char)>,
        is_negated: bool,
    },
    /// A decimal number; of so many digits, or with any number of zeros in front if that is 0.
    Interval {
        low: u32,
        high: u32,
        digits: usize,
    },
    /// What nothing fits.
    Nothing,
    Sequence(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: Option<u32>,
    },
    Not(Box<Node>),
    Both(Vec<Node>),
    Either(Vec<Node>),
}

impl Node {
    /// Whether it needs neither "not" nor "both".
    pub(super) fn is_plain(&self) -> bool {
        match self {
            Node::Char(_) | Node::Any | Node::Class { .. } | Node::Interval { .. } | Node::Nothing => true,
            Node::Sequence(nodes) | Node::Either(nodes) => nodes.iter().all(Node::is_plain),
            Node::Repeat { node, .. } => node.is_plain(),
            Node::Not(_) | Node::Both(_) => false,
        }
    }

    /// Appends what every text that fits begins with. False if what follows cannot be appended.
    pub(super) fn literal_beginning(&self, beginning: &mut String) -> bool {
        match self {
            Node::Char(c) => {
                beginning.push(*c);
                true
            }
            Node::Sequence(nodes) => nodes.iter().all(|node| node.literal_beginning(beginning)),
            _ => false,
        }
    }

    /// Writes it in the syntax of the `regex` crates.
    pub(super) fn write(&self, ignores_case: bool, out: &mut String) {
        match self {
            Node::Char(c) => write_char(*c, ignores_case, out),
            Node::Any => out.push_str("(?s:.)"),
            Node::Class { ranges, is_negated } => write_class(ranges, *is_negated, ignores_case, out),
            Node::Interval { low, high, digits } => write_interval(*low, *high, *digits, out),
            Node::Nothing => out.push_str(r"[^\x{0}-\x{10FFFF}]"),
            Node::Sequence(nodes) => nodes.iter().for_each(|node| node.write(ignores_case, out)),
            Node::Repeat { node, least, most } => {
                out.push_str("(?:");
                node.write(ignores_case, out);
                let _ = match most {
                    Some(most) => write!(out, "){{{least},{most}}}"),
                    None => write!(out, "){{{least},}}"),
                };
            }
            Node::Either(nodes) => {
                for (place, node) in nodes.iter().enumerate() {
                    out.push_str(if place == 0 { "(?:" } else { "|" });
                    node.write(ignores_case, out);
                }
                out.push(')');
            }
            Node::Not(_) | Node::Both(_) => unreachable!("only plain nodes are written"),
        }
    }
}

/// The same letter from A to Z in the other case.
fn other_case(c: char) -> Option<char> {
    let other = if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    (other != c).then_some(other)
}

fn write_char(c: char, ignores_case: bool, out: &mut String) {
    let _ = match other_case(c).filter(|_| ignores_case) {
        Some(other) => write!(out, "[{c}{other}]"),
        None => write!(out, r"\x{{{:X}}}", c as u32),
    };
}

fn write_class(ranges: &[(char, char)], is_negated: bool, ignores_case: bool, out: &mut String) {
    out.push_str(if is_negated { "[^" } else { "[" });
    for (from, to) in ranges {
        let _ = write!(out, r"\x{{{:X}}}-\x{{{:X}}}", *from as u32, *to as u32);
        // Lucene leaves ranges as they are.
        if let Some(other) = other_case(*from).filter(|_| ignores_case && from == to) {
            out.push(other);
        }
    }
    out.push(']');
}

fn write_interval(low: u32, high: u32, digits: usize, out: &mut String) {
    if digits > 0 {
        out.push_str("(?:");
        write_between(&format!("{low:0digits$}"), &format!("{high:0digits$}"), out);
        out.push(')');
        return;
    }
    // Numbers of one length after the other.
    out.push_str("0*(?:");
    let mut from = low;
    loop {
        let length = from.to_string().len();
        let to = 10_u64.pow(length as u32).saturating_sub(1).min(u64::from(high)) as u32;
        write_between(&from.to_string(), &to.to_string(), out);
        if to >= high {
            break;
        }
        out.push('|');
        from = to + 1;
    }
    out.push(')');
}

/// Strings of digits of one length between two of them.
fn write_between(low: &str, high: &str, out: &mut String) {
    let (Some(first), Some(last)) = (low.bytes().next(), high.bytes().next()) else { return };
    let (low_rest, high_rest) = (&low[1..], &high[1..]);
    if first == last {
        out.push(first as char);
        // The alternatives of the rest belong together.
        out.push_str("(?:");
        write_between(low_rest, high_rest, out);
        out.push(')');
        return;
    }
    let length = low_rest.len();
    out.push(first as char);
    out.push_str("(?:");
    write_between(low_rest, &"9".repeat(length), out);
    out.push_str(")|");
    if first + 1 < last {
        let _ = write!(out, "[{}-{}][0-9]{{{length}}}|", (first + 1) as char, (last - 1) as char);
    }
    out.push(last as char);
    out.push_str("(?:");
    write_between(&"0".repeat(length), high_rest, out);
    out.push(')');
}

/// Reads an expression; positions count characters from 0.
pub(super) fn parse(text: &str, options: RegexpOptions) -> Result<Node, ParseError> {
    if text.is_empty() {
        return Ok(Node::Sequence(Vec::new()));
    }
    let chars: Vec<char> = text.chars().collect();
    let mut parser = Parser { chars: &chars, at: 0, depth: 0, options };
    let node = parser.union()?;
    if parser.at < chars.len() {
        return Err(parser.error("end-of-string expected"));
    }
    Ok(node)
}

struct Parser<'a> {
    chars: &'a [char],
    at: usize,
    depth: usize,
    options: RegexpOptions,
}

impl Parser<'_> {
    fn union(&mut self) -> Result<Node, ParseError> {
        let mut nodes = vec![self.intersection()?];
        while self.eat('|') {
            nodes.push(self.intersection()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Either(nodes) })
    }

    fn intersection(&mut self) -> Result<Node, ParseError> {
        let mut nodes = vec![self.sequence()?];
        while self.options.intersection && self.eat('&') {
            nodes.push(self.sequence()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Both(nodes) })
    }

    fn sequence(&mut self) -> Result<Node, ParseError> {
        let mut nodes = vec![self.repeat()?];
        while let Some(c) = self.peek()
            && !matches!(c, ')' | '|')
            && !(self.options.intersection && c == '&')
        {
            nodes.push(self.repeat()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Sequence(nodes) })
    }

    fn repeat(&mut self) -> Result<Node, ParseError> {
        let mut node = self.complement()?;
        let mut repeats = 0;
        while let Some(c) = self.peek().filter(|c| matches!(c, '?' | '*' | '+' | '{')) {
            repeats += 1;
            if self.depth + repeats > REGEXP_DEPTH_MAX {
                return Err(self.error(&format!("nested deeper than {REGEXP_DEPTH_MAX}")));
            }
            self.at += 1;
            let (least, most) = match c {
                '?' => (0, Some(1)),
                '*' => (0, None),
                '+' => (1, None),
                _ => self.counts()?,
            };
            node = Node::Repeat { node: Box::new(node), least, most };
        }
        Ok(node)
    }

    /// `{2}`, `{2,}` or `{2,3}`, behind the opening brace.
    fn counts(&mut self) -> Result<(u32, Option<u32>), ParseError> {
        let start = self.at;
        let least = self.number()?.ok_or_else(|| self.error("integer expected"))?;
        let most = if self.eat(',') { self.number()? } else { Some(least) };
        if !self.eat('}') {
            return Err(self.error("expected '}'"));
        }
        if most.is_some_and(|most| least > most) {
            self.at = start;
            return Err(self.error("invalid repetition range (out of order)"));
        }
        Ok((least, most))
    }

    fn number(&mut self) -> Result<Option<u32>, ParseError> {
        let digits: String = self.chars[self.at..].iter().take_while(|c| c.is_ascii_digit()).collect();
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.parse().map_err(|_| self.error("the number is too large"))?;
        self.at += digits.len();
        Ok(Some(number))
    }

    fn complement(&mut self) -> Result<Node, ParseError> {
        let mut is_not = false;
        let mut is_any = false;
        while self.options.complement && self.eat('~') {
            is_not = !is_not;
            is_any = true;
        }
        let node = self.class()?;
        Ok(match (is_any, is_not) {
            (true, true) => Node::Not(Box::new(node)),
            _ => node,
        })
    }

    fn class(&mut self) -> Result<Node, ParseError> {
        if !self.eat('[') {
            return self.simple();
        }
        let is_negated = self.eat('^');
        let mut ranges = Vec::new();
        loop {
            if let Some(class) = self.predefined() {
                ranges.extend(class);
            } else {
                let from = self.char()?;
                let to = if self.eat('-') { self.char()? } else { from };
                if from > to {
                    return Err(self.error(&format!("invalid range: {from} cannot be greater than {to}")));
                }
                ranges.push((from, to));
            }
            if self.eat(']') {
                return Ok(Node::Class { ranges, is_negated });
            }
            if self.peek().is_none() {
                return Err(self.error("expected ']'"));
            }
        }
    }

    fn simple(&mut self) -> Result<Node, ParseError> {
        match self.peek() {
            Some('.') => Ok(self.one(Node::Any)),
            Some('#') if self.options.empty => Ok(self.one(Node::Nothing)),
            Some('@') if self.options.any_string => {
                Ok(self.one(Node::Repeat { node: Box::new(Node::Any), least: 0, most: None }))
            }
            Some('"') => {
                let text = self.up_to('"')?;
                Ok(Node::Sequence(text.into_iter().map(Node::Char).collect()))
            }
            Some('(') => self.group(),
            Some('<') if self.options.interval => self.interval(),
            _ => match self.predefined() {
                Some(ranges) => Ok(Node::Class { ranges, is_negated: false }),
                None => self.char().map(Node::Char),
            },
        }
    }

    fn group(&mut self) -> Result<Node, ParseError> {
        self.at += 1;
        if self.eat(')') {
            return Ok(Node::Sequence(Vec::new()));
        }
        self.depth += 1;
        if self.depth > REGEXP_DEPTH_MAX {
            return Err(self.error(&format!("nested deeper than {REGEXP_DEPTH_MAX}")));
        }
        let node = self.union()?;
        self.depth -= 1;
        if self.eat(')') { Ok(node) } else { Err(self.error("expected ')'")) }
    }

    fn interval(&mut self) -> Result<Node, ParseError> {
        let start = self.at;
        let text: String = self.up_to('>')?.into_iter().collect();
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| i32::try_from(*number).is_ok());
        let ends =
            text.split_once('-').and_then(|(low, high)| Some((low.len(), high.len(), number(low)?, number(high)?)));
        let Some((low_digits, high_digits, low, high)) = ends else {
            self.at = start;
            return Err(self.error("interval syntax error, expected such as <1-99>"));
        };
        let digits = if low_digits == high_digits { low_digits } else { 0 };
        Ok(Node::Interval { low: low.min(high), high: low.max(high), digits })
    }

    /// The characters behind the next one up to `end`, which is taken, too.
    fn up_to(&mut self, end: char) -> Result<Vec<char>, ParseError> {
        self.at += 1;
        let rest = &self.chars[self.at..];
        let Some(length) = rest.iter().position(|c| *c == end) else {
            self.at = self.chars.len();
            return Err(self.error(&format!("expected '{end}'")));
        };
        self.at += length + 1;
        Ok(rest[..length].to_vec())
    }

    /// `\d`, `\s`, `\w` and their opposites.
    fn predefined(&mut self) -> Option<Vec<(char, char)>> {
        const DIGITS: [(char, char); 1] = [('0', '9')];
        const SPACES: [(char, char); 3] = [('\t', '\n'), ('\r', '\r'), (' ', ' ')];
        const WORDS: [(char, char); 4] = [('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
        if self.peek() != Some('\\') {
            return None;
        }
        let ranges = match self.chars.get(self.at + 1)? {
            'd' => DIGITS.to_vec(),
            's' => SPACES.to_vec(),
            'w' => WORDS.to_vec(),
            'D' => all_but(&DIGITS),
            'S' => all_but(&SPACES),
            'W' => all_but(&WORDS),
            _ => return None,
        };
        self.at += 2;
        Some(ranges)
    }

    /// One character, behind `\` any.
    fn char(&mut self) -> Result<char, ParseError> {
        self.eat('\\');
        let c = self.peek().ok_or_else(|| self.error("unexpected end-of-string"))?;
        self.at += 1;
        Ok(c)
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        self.at += usize::from(is_next);
        is_next
    }

    fn one(&mut self, node: Node) -> Node {
        self.at += 1;
        node
    }

    /// Not a position of the query string: the expression may be only a part of one.
    fn error(&self, what: &str) -> ParseError {
        let text: String = self.chars.iter().collect();
        ParseError::shard(format!("failed to read the regular expression [{text}]: {what} at position {}", self.at))
    }
}

/// What lies between and around ascending ranges.
fn all_but(ranges: &[(char, char)]) -> Vec<(char, char)> {
    let mut others = Vec::new();
    let mut from = '\0';
    for (low, high) in ranges {
        // All of them are ASCII, so that there is always a character before and behind.
        if from < *low {
            others.push((from, (*low as u8 - 1) as char));
        }
        from = (*high as u8 + 1) as char;
    }
    others.push((from, char::MAX));
    others
}
