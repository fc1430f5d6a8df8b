//! Arithmetic over named numbers: what dashboards write into `bucket_script` and `bucket_selector`.
//!
//! It reads the part of Painless that is one expression, `params.errors / params.all > 0.05 && params.all > 100`, with
//! `+ - * / %`, comparisons, `&& || !`, `a ? b : c`, and a few functions of `Math`; and Lucene's expression language,
//! which is the same with plain names and no whole numbers. Everything else is refused with its place.

use crate::error::ParseError;

/// Longest expression, in bytes.
const BYTES_MAX: usize = 4_096;
/// Deepest nesting of brackets and operators.
const DEPTH_MAX: usize = 64;

/// An expression, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    root: Node,
    names: Vec<String>,
}

/// What an expression or a part of it comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A number with a fraction, as all given ones are.
    Real(f64),
    /// A whole number, as written in Painless: `1 / 2` is 0.
    Whole(i64),
    /// Of a comparison.
    Truth(bool),
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Constant(Number),
    /// A named number, by its place in the list of names.
    Param(usize),
    Not(Box<Node>),
    Negative(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Choice(Box<Node>, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    LessEqual,
    GreaterEqual,
    Less,
    Greater,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Operators by how they bind, the loosest first; a longer one before one that it begins with.
const LEVELS: [&[(&str, Operator)]; 6] = [
    &[("||", Operator::Or)],
    &[("&&", Operator::And)],
    &[("==", Operator::Equal), ("!=", Operator::NotEqual)],
    &[("<=", Operator::LessEqual), (">=", Operator::GreaterEqual), ("<", Operator::Less), (">", Operator::Greater)],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)],
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Abs,
    Ceil,
    Exp,
    Floor,
    Ln,
    Log10,
    Max,
    Min,
    Pow,
    Round,
    Sqrt,
}

/// Functions by name, with how many values they take.
const FUNCTIONS: [(&str, Function, usize); 11] = [
    ("abs", Function::Abs, 1),
    ("ceil", Function::Ceil, 1),
    ("exp", Function::Exp, 1),
    ("floor", Function::Floor, 1),
    ("log", Function::Ln, 1),
    ("log10", Function::Log10, 1),
    ("max", Function::Max, 2),
    ("min", Function::Min, 2),
    ("pow", Function::Pow, 2),
    ("round", Function::Round, 1),
    ("sqrt", Function::Sqrt, 1),
];

impl Expression {
    /// Reads an expression of Painless over `params` of these names; with `is_plain` one of Lucene's expression language.
    pub fn parse(text: &str, names: &[String], is_plain: bool) -> Result<Self, ParseError> {
        if text.len() > BYTES_MAX {
            return Err(ParseError::illegal(format!("a script is longer than {BYTES_MAX} bytes")));
        }
        let mut reader = Reader { text, at: 0, names, is_plain };
        reader.eat_word("return");
        let root = reader.choice(0)?;
        reader.eat(";");
        reader.space();
        if reader.at < text.len() {
            return Err(reader.unexpected());
        }
        Ok(Self { root, names: names.to_vec() })
    }

    /// The names of the numbers that [`Expression::value`] takes, in their order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What it comes to; `None` where whole numbers are divided by zero or become too large.
    pub fn value(&self, numbers: &[f64]) -> Option<Number> {
        self.root.value(numbers)
    }
}

impl Number {
    /// As a number; a truth is 1 or 0.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Real(value) => value,
            Number::Whole(value) => value as f64,
            Number::Truth(value) => f64::from(u8::from(value)),
        }
    }

    /// As a condition; a number fulfils it unless it is 0.
    pub fn is_true(self) -> bool {
        match self {
            Number::Truth(value) => value,
            other => other.as_f64() != 0.0,
        }
    }
}

impl Node {
    fn value(&self, numbers: &[f64]) -> Option<Number> {
        Some(match self {
            Node::Constant(number) => *number,
            Node::Param(place) => Number::Real(numbers.get(*place).copied().unwrap_or(f64::NAN)),
            Node::Not(of) => Number::Truth(!of.value(numbers)?.is_true()),
            Node::Negative(of) => match of.value(numbers)? {
                Number::Whole(value) => Number::Whole(value.checked_neg()?),
                other => Number::Real(-other.as_f64()),
            },
            Node::Binary(Operator::Or, a, b) => {
                Number::Truth(a.value(numbers)?.is_true() || b.value(numbers)?.is_true())
            }
            Node::Binary(Operator::And, a, b) => {
                Number::Truth(a.value(numbers)?.is_true() && b.value(numbers)?.is_true())
            }
            Node::Binary(operator, a, b) => operator.apply(a.value(numbers)?, b.value(numbers)?)?,
            Node::Choice(condition, yes, no) => {
                if condition.value(numbers)?.is_true() {
                    yes.value(numbers)?
                } else {
                    no.value(numbers)?
                }
            }
            Node::Call(function, values) => {
                let values: Vec<f64> =
                    values.iter().map(|value| value.value(numbers).map(Number::as_f64)).collect::<Option<_>>()?;
                function.apply(&values)
            }
        })
    }
}

impl Operator {
    fn apply(self, a: Number, b: Number) -> Option<Number> {
        if let (Number::Whole(a), Number::Whole(b)) = (a, b) {
            let whole = match self {
                Operator::Add => Some(a.checked_add(b)?),
                Operator::Subtract => Some(a.checked_sub(b)?),
                Operator::Multiply => Some(a.checked_mul(b)?),
                Operator::Divide => Some(a.checked_div(b)?),
                Operator::Remainder => Some(a.checked_rem(b)?),
                _ => None,
            };
            if let Some(whole) = whole {
                return Some(Number::Whole(whole));
            }
        }
        let (a, b) = (a.as_f64(), b.as_f64());
        Some(match self {
            Operator::Add => Number::Real(a + b),
            Operator::Subtract => Number::Real(a - b),
            Operator::Multiply => Number::Real(a * b),
            Operator::Divide => Number::Real(a / b),
            Operator::Remainder => Number::Real(a % b),
            Operator::Equal => Number::Truth(a == b),
            Operator::NotEqual => Number::Truth(a != b),
            Operator::LessEqual => Number::Truth(a <= b),
            Operator::GreaterEqual => Number::Truth(a >= b),
            Operator::Less => Number::Truth(a < b),
            Operator::Greater => Number::Truth(a > b),
            Operator::Or | Operator::And => unreachable!("handled where only one side may count"),
        })
    }
}

impl Function {
    /// `values` are as many as the function takes.
    fn apply(self, values: &[f64]) -> Number {
        let (first, second) = (values[0], values.get(1).copied().unwrap_or(f64::NAN));
        // Java's are NaN where one of both is.
        let either = |value: f64| if first.is_nan() || second.is_nan() { f64::NAN } else { value };
        Number::Real(match self {
            Function::Abs => first.abs(),
            Function::Ceil => first.ceil(),
            Function::Exp => first.exp(),
            Function::Floor => first.floor(),
            Function::Ln => first.ln(),
            Function::Log10 => first.log10(),
            Function::Max => either(first.max(second)),
            Function::Min => either(first.min(second)),
            Function::Pow => first.powf(second),
            // Halves go up, as in Java.
            Function::Round => (first + 0.5).floor(),
            Function::Sqrt => first.sqrt(),
        })
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    names: &'a [String],
    is_plain: bool,
}

impl<'a> Reader<'a> {
    fn choice(&mut self, depth: usize) -> Result<Node, ParseError> {
        if depth > DEPTH_MAX {
            return Err(self.error(&format!("nested deeper than {DEPTH_MAX} levels")));
        }
        let condition = self.binary(0, depth)?;
        if !self.eat("?") {
            return Ok(condition);
        }
        let yes = self.choice(depth + 1)?;
        self.expect(":")?;
        Ok(Node::Choice(condition.into(), yes.into(), self.choice(depth + 1)?.into()))
    }

    fn binary(&mut self, level: usize, depth: usize) -> Result<Node, ParseError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary(depth) };
        let mut left = self.binary(level + 1, depth)?;
        let mut count = 0;
        while let Some((_, operator)) = operators.iter().find(|(sign, _)| self.eat(sign)) {
            count += 1;
            // The tree leans to the left and would be walked as deep.
            if count > DEPTH_MAX {
                return Err(self.error(&format!("more than {DEPTH_MAX} operators in a row")));
            }
            left = Node::Binary(*operator, left.into(), self.binary(level + 1, depth)?.into());
        }
        Ok(left)
    }

    fn unary(&mut self, depth: usize) -> Result<Node, ParseError> {
        if depth > DEPTH_MAX {
            return Err(self.error(&format!("nested deeper than {DEPTH_MAX} levels")));
        }
        if self.eat("!") {
            return Ok(Node::Not(self.unary(depth + 1)?.into()));
        }
        if self.eat("-") {
            return Ok(Node::Negative(self.unary(depth + 1)?.into()));
        }
        if self.eat("(") {
            let inside = self.choice(depth + 1)?;
            self.expect(")")?;
            return Ok(inside);
        }
        if self.rest().starts_with(|char: char| char.is_ascii_digit() || char == '.') {
            return self.constant();
        }
        self.named(depth)
    }

    fn constant(&mut self) -> Result<Node, ParseError> {
        let rest = self.rest();
        let mut end = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        if rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            end += 1 + sign + rest[end + 1 + sign..].bytes().take_while(u8::is_ascii_digit).count();
        }
        let digits = &rest[..end];
        let is_whole = !self.is_plain && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number =
            if is_whole { digits.parse().ok().map(Number::Whole) } else { digits.parse().ok().map(Number::Real) };
        let mut number = number.ok_or_else(|| self.error(&format!("[{digits}] is no number")))?;
        self.at += end;
        if !self.is_plain && self.rest().starts_with(['d', 'D', 'f', 'F', 'L', 'l']) {
            if self.rest().starts_with(['d', 'D', 'f', 'F']) {
                number = Number::Real(number.as_f64());
            }
            self.at += 1;
        }
        Ok(Node::Constant(number))
    }

    /// `params.name`, `params['name']`, `Math.max(…)`, or a plain name.
    fn named(&mut self, depth: usize) -> Result<Node, ParseError> {
        let start = self.at;
        let word = self.word().ok_or_else(|| self.unexpected())?;
        match word {
            "true" | "false" if !self.is_plain => return Ok(Node::Constant(Number::Truth(word == "true"))),
            "params" if !self.is_plain => {
                let name = if self.eat("[") {
                    let name = self.quoted()?;
                    self.expect("]")?;
                    name
                } else {
                    self.expect(".")?;
                    self.word().ok_or_else(|| self.unexpected())?
                };
                return self.param(name, start);
            }
            "Math" if !self.is_plain => {
                self.expect(".")?;
                let name = self.word().ok_or_else(|| self.unexpected())?;
                return self.call(name, start, depth);
            }
            _ => {}
        }
        if !self.is_plain {
            self.at = start;
            return Err(self.error(&format!("[{word}] is not supported, expected params.name, Math.name or a number")));
        }
        self.space();
        if self.rest().starts_with('(') { self.call(word, start, depth) } else { self.param(word, start) }
    }

    fn param(&mut self, name: &str, start: usize) -> Result<Node, ParseError> {
        let place = self.names.iter().position(|known| known == name);
        place.map(Node::Param).ok_or_else(|| {
            self.at = start;
            self.error(&format!("[{name}] is none of the names in [buckets_path]: [{}]", self.names.join(", ")))
        })
    }

    fn call(&mut self, name: &str, start: usize, depth: usize) -> Result<Node, ParseError> {
        let lowered = if self.is_plain && name == "ln" { "log" } else { name };
        let Some((_, function, wanted)) = FUNCTIONS.into_iter().find(|(known, ..)| *known == lowered) else {
            self.at = start;
            let known = FUNCTIONS.map(|(name, ..)| name).join(", ");
            return Err(self.error(&format!("the function [{name}] is not supported, expected one of {known}")));
        };
        self.expect("(")?;
        let mut values = vec![self.choice(depth + 1)?];
        while values.len() < wanted {
            self.expect(",")?;
            values.push(self.choice(depth + 1)?);
        }
        self.expect(")")?;
        Ok(Node::Call(function, values))
    }

    fn quoted(&mut self) -> Result<&'a str, ParseError> {
        self.space();
        let quote = self.rest().chars().next().filter(|char| matches!(char, '\'' | '"'));
        let quote = quote.ok_or_else(|| self.unexpected())?;
        let inside = &self.text[self.at + 1..];
        let end = inside.find(quote).ok_or_else(|| self.error("a quote is not closed"))?;
        self.at += end + 2;
        Ok(&inside[..end])
    }

    fn word(&mut self) -> Option<&'a str> {
        self.space();
        let rest: &'a str = &self.text[self.at..];
        let end = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        self.at += end;
        (end > 0 && !rest.starts_with(|char: char| char.is_ascii_digit())).then_some(&rest[..end])
    }

    fn eat_word(&mut self, word: &str) {
        let start = self.at;
        if self.word() != Some(word) {
            self.at = start;
        }
    }

    fn eat(&mut self, sign: &str) -> bool {
        self.space();
        let is_there = self.rest().starts_with(sign);
        if is_there {
            self.at += sign.len();
        }
        is_there
    }

    fn expect(&mut self, sign: &str) -> Result<(), ParseError> {
        if self.eat(sign) {
            return Ok(());
        }
        let found = self.rest().chars().next().map_or("the end".to_owned(), |char| format!("[{char}]"));
        Err(self.error(&format!("expected [{sign}], found {found}")))
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn unexpected(&self) -> ParseError {
        match self.rest().chars().next() {
            Some(char) => self.error(&format!("[{char}] is not supported here")),
            None => self.error("it ends too early"),
        }
    }

    fn error(&self, why: &str) -> ParseError {
        let place = self.text[..self.at].chars().count();
        ParseError::illegal(format!(
            "compile error: cannot read the script [{}]: {why}, at position {place}",
            self.text
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str, is_plain: bool) -> Option<Number> {
        let names = ["a".to_owned(), "b".to_owned(), "per cent".to_owned()];
        Expression::parse(text, &names, is_plain).unwrap_or_else(|error| panic!("{error}")).value(&[6.0, 4.0, 50.0])
    }

    #[test]
    fn expressions_come_to_what_painless_says() {
        for (text, expected) in [
            ("params.a / params.b", Number::Real(1.5)),
            ("return params.a + 1;", Number::Real(7.0)),
            ("params['per cent'] * 0.01", Number::Real(0.5)),
            ("1 / 2", Number::Whole(0)),
            ("1 / 2.0", Number::Real(0.5)),
            ("1d / 2", Number::Real(0.5)),
            ("7 % 4 - -2", Number::Whole(5)),
            ("2 + 3 * 4 - 5", Number::Whole(9)),
            ("(2 + 3) * 4", Number::Whole(20)),
            ("params.a - params.b - 1", Number::Real(1.0)),
            ("params.a > 5 && params.b <= 4", Number::Truth(true)),
            ("params.a < 5 || !(params.b == 4)", Number::Truth(false)),
            ("params.a > 5 ? params.b : 0", Number::Real(4.0)),
            ("Math.max(params.a, params.b) + Math.round(2.5)", Number::Real(9.0)),
            ("1.5e1", Number::Real(15.0)),
            ("false || true", Number::Truth(true)),
        ] {
            assert_eq!(value(text, false), Some(expected), "{text}");
        }
        assert_eq!(value("a / b + 1/2", true), Some(Number::Real(2.0)));
        assert_eq!(value("max(a, b) > 5", true), Some(Number::Truth(true)));
        assert_eq!(value("1 / 0", false), None);
        assert_eq!(value("params.a / 0", false), Some(Number::Real(f64::INFINITY)));
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_place() {
        for (text, part) in [
            ("params.c", "[c] is none of the names in [buckets_path]: [a, b], at position 0"),
            ("doc['x'].value", "[doc] is not supported"),
            ("params.a +", "it ends too early, at position 10"),
            ("params.a; params.b", "at position 10"),
            ("int x = 1", "[int] is not supported"),
            ("Math.random()", "the function [random] is not supported"),
            ("params.a = 1", "[=] is not supported here"),
            ("(params.a", "expected [)], found the end"),
            ("", "it ends too early"),
            ("1.2.3", "[1.2.3] is no number"),
            ("params['a", "a quote is not closed"),
        ] {
            let error = Expression::parse(text, &["a".to_owned(), "b".to_owned()], false).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let deep = format!("{}1{}", "(".repeat(100), ")".repeat(100));
        assert!(Expression::parse(&deep, &[], false).unwrap_err().to_string().contains("deeper"));
        assert!(Expression::parse(&"1+".repeat(1_000), &[], false).unwrap_err().to_string().contains("in a row"));
    }

    proptest! {
        #[test]
        fn anything_is_read_without_panic(text in "(params\\.a|params\\['a'\\]|Math\\.max\\(|[-+*/%()!<>=&|?:;., 0-9eéd']){0,12}") {
            for is_plain in [false, true] {
                if let Ok(expression) = Expression::parse(&text, &["a".to_owned()], is_plain) {
                    let _ = expression.value(&[1.5]);
                }
            }
        }
    }
}
