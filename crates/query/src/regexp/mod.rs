//! Regular expressions as Lucene has them, over whole values, as automata of bounded size.
//!
//! The signs are Lucene's: `. ? * + | { } [ ] ( ) " \`, and unless flags say otherwise `#` (nothing), `@` (anything), `&`
//! (both), `~` (not) and `<1-99>` (a number). There are no anchors, since the whole value has to fit, and `^` and `$` are
//! ordinary signs. An expression becomes a deterministic automaton when it is read, so that a value is tested in time of
//! its length, whatever the expression; one whose automaton would be too large is refused, as Elasticsearch does.
//!
//! `&` and `~` are understood around whole alternatives (`~(a.*)|b.*&.*c`) and refused inside of what is put together
//! from pieces (`a~(b)c`): that takes automata that nobody has asked for yet.

mod parse;

use std::sync::Arc;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use crate::error::ParseError;
use parse::Node;

/// Longest expression, in characters; Elasticsearch's `index.max_regex_length`.
pub const REGEXP_CHARS_MAX: usize = 1_000;
/// Deepest nesting of an expression.
pub(crate) const REGEXP_DEPTH_MAX: usize = 64;
/// Largest automaton of an expression, in bytes; some ten thousand states, like Elasticsearch's limit.
pub const AUTOMATON_BYTES_MAX: usize = 1 << 20;
/// Most expressions in one query: so many automata it may keep.
pub const REGEXPS_MAX: usize = 64;

/// A regular expression that is ready for use.
#[derive(Clone, Debug)]
pub struct Regexp {
    text: Arc<str>,
    options: RegexpOptions,
    beginning: Arc<str>,
    test: Test,
}

/// Which signs of an expression mean something, and how letters are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "flags of Lucene, each on or off by itself")]
pub struct RegexpOptions {
    /// Letters from A to Z are the same in either case.
    pub ignores_case: bool,
    /// `~` is "not".
    pub complement: bool,
    /// `&` is "both".
    pub intersection: bool,
    /// `<1-99>` is a number.
    pub interval: bool,
    /// `@` is anything.
    pub any_string: bool,
    /// `#` is nothing.
    pub empty: bool,
}

impl Default for RegexpOptions {
    fn default() -> Self {
        Self { complement: true, intersection: true, interval: true, any_string: true, empty: true, ..Self::PLAIN }
    }
}

impl RegexpOptions {
    /// None of the optional signs.
    pub const PLAIN: Self = Self {
        ignores_case: false,
        complement: false,
        intersection: false,
        interval: false,
        any_string: false,
        empty: false,
    };

    /// Reads `flags`, such as `ALL` or `INTERVAL|COMPLEMENT`.
    pub fn with_flags(flags: &str, ignores_case: bool) -> Result<Self, ParseError> {
        let mut options = Self { ignores_case, ..Self::PLAIN };
        for flag in flags.split('|').map(str::trim).filter(|flag| !flag.is_empty()) {
            match flag.to_ascii_uppercase().as_str() {
                "ALL" => options = Self { ignores_case, ..Self::default() },
                "NONE" => {}
                "COMPLEMENT" => options.complement = true,
                "INTERSECTION" => options.intersection = true,
                "INTERVAL" => options.interval = true,
                "ANYSTRING" => options.any_string = true,
                "EMPTY" => options.empty = true,
                _ => {
                    return Err(ParseError::illegal(format!(
                        "unknown flag [{flag}] of a regular expression, expected ALL, NONE, COMPLEMENT, INTERSECTION, \
                         INTERVAL, ANYSTRING or EMPTY"
                    )));
                }
            }
        }
        Ok(options)
    }
}

/// What fits.
#[derive(Clone, Debug)]
enum Test {
    One(Arc<dense::DFA<Vec<u32>>>),
    Not(Box<Test>),
    All(Vec<Test>),
    Any(Vec<Test>),
}

impl Regexp {
    /// Reads an expression and builds its automaton.
    pub fn new(text: &str, options: RegexpOptions) -> Result<Self, ParseError> {
        let length = text.chars().count();
        if length > REGEXP_CHARS_MAX {
            return Err(ParseError::shard(format!(
                "The length of regex [{length}] used in the Regexp Query request has exceeded the allowed maximum of \
                 [{REGEXP_CHARS_MAX}]."
            )));
        }
        let root = parse::parse(text, options)?;
        let mut beginning = String::new();
        if !options.ignores_case {
            root.literal_beginning(&mut beginning);
        }
        Ok(Self { text: text.into(), options, beginning: beginning.into(), test: Test::new(&root, text, options)? })
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which signs mean something in it.
    pub fn options(&self) -> RegexpOptions {
        self.options
    }

    /// Whether the whole of `text` fits.
    pub fn is_match(&self, text: &str) -> bool {
        self.test.is_match(text)
    }

    /// What every text that fits begins with.
    pub fn beginning(&self) -> &str {
        &self.beginning
    }
}

/// Two are equal if they were written alike.
impl PartialEq for Regexp {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.options == other.options
    }
}

impl Test {
    fn new(node: &Node, text: &str, options: RegexpOptions) -> Result<Self, ParseError> {
        let all = |nodes: &[Node]| nodes.iter().map(|node| Self::new(node, text, options)).collect::<Result<_, _>>();
        Ok(match node {
            node if node.is_plain() => {
                let mut pattern = String::new();
                node.write(options.ignores_case, &mut pattern);
                Self::One(Arc::new(automaton(&pattern, text)?))
            }
            Node::Not(inner) => Self::Not(Box::new(Self::new(inner, text, options)?)),
            Node::Both(nodes) => Self::All(all(nodes)?),
            Node::Either(nodes) => Self::Any(all(nodes)?),
            Node::Sequence(_) | Node::Repeat { .. } => {
                return Err(ParseError::shard(format!(
                    "the signs ~ and & inside of a sequence are not supported in a regular expression, only around whole \
                     alternatives; escape them with \\ if they are meant as they are: [{text}]"
                )));
            }
            Node::Char(_) | Node::Any | Node::Class { .. } | Node::Interval { .. } | Node::Nothing => {
                unreachable!("a plain node")
            }
        })
    }

    fn is_match(&self, text: &str) -> bool {
        match self {
            // It fails only at bytes that are to end a search, and none are.
            Self::One(automaton) => {
                let input = Input::new(text).anchored(Anchored::Yes).earliest(true);
                automaton.try_search_fwd(&input).is_ok_and(|end| end.is_some())
            }
            Self::Not(test) => !test.is_match(text),
            Self::All(tests) => tests.iter().all(|test| test.is_match(text)),
            Self::Any(tests) => tests.iter().any(|test| test.is_match(text)),
        }
    }
}

/// The automaton of an expression in the syntax of the `regex` crates.
fn automaton(pattern: &str, text: &str) -> Result<dense::DFA<Vec<u32>>, ParseError> {
    let too_large = |_| ParseError::shard(format!("the automaton of the regular expression [{text}] is too large"));
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new().which_captures(WhichCaptures::None).nfa_size_limit(Some(AUTOMATON_BYTES_MAX)),
        )
        .syntax(syntax::Config::new().nest_limit(4 * REGEXP_DEPTH_MAX as u32))
        .build(&format!(r"\A(?:{pattern})\z"))
        .map_err(|error| too_large(error.to_string()))?;
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .match_kind(MatchKind::All)
        .dfa_size_limit(Some(AUTOMATON_BYTES_MAX))
        .determinize_size_limit(Some(2 * AUTOMATON_BYTES_MAX));
    dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(|error| too_large(error.to_string()))
}

#[cfg(test)]
mod tests;
