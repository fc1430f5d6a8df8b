//! Kibana's query language (KQL), as its users know it.
//!
//! `status >= 500 and not model: qwen*`, `msg: "out of memory"`, `kind: (log or probe)`, `error: *`, bare words.
//! `not` binds closest, then `and`, then `or`; keywords are read in either case. What Kibana makes of a string is made
//! here, too:
//!
//! - `field: words` looks for any of the words in a text field and for the whole value in a keyword field.
//! - `field: "words"` is a phrase; in a keyword field the whole value.
//! - `field: q*` is a pattern, `field: *` asks whether there is a value at all.
//! - Words without a field are looked for in the default fields, of which any may hold any of them.
//! - `\` takes the meaning off `\():<>"*{}` and off keywords (`\and`).
//!
//! Objects in lists of their own (`field: { … }`) do not exist here and are refused, as are wildcards in field names.

mod scan;

use serde_json::Value;

use crate::ast::{BoolQuery, Bound, Case, MatchMode, Query, TextMatch};
use crate::error::ParseError;
use crate::fields::check_name;
use crate::lucene::{CLAUSES_MAX, DEPTH_MAX, QUERY_BYTES_MAX, fields_or_default};
use scan::{Literal, Scanner, Sign};

/// How a string is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KqlOptions {
    /// Where words without a field are looked for; the default fields of query strings if empty.
    pub default_fields: Vec<String>,
    /// Zone of dates that name none; UTC when absent.
    pub time_zone: Option<String>,
}

/// Reads a string. Positions in errors count characters from 0. An empty string selects every document, as in Kibana.
pub fn parse(text: &str, options: &KqlOptions) -> Result<Query, ParseError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(ParseError::shard(format!(
            "query string of {} bytes is longer than the {QUERY_BYTES_MAX} allowed",
            text.len()
        )));
    }
    let chars: Vec<char> = text.chars().collect();
    let default_fields = fields_or_default(&options.default_fields);
    let mut parser = Parser { scanner: Scanner::new(&chars), options, default_fields, clauses: 0, depth: 0 };
    parser.scanner.skip_spaces();
    if parser.scanner.is_at_end() {
        return Ok(Query::MatchAll);
    }
    let query = parser.any(None)?;
    if parser.scanner.is_at_end() { Ok(query) } else { Err(parser.unexpected()) }
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    options: &'a KqlOptions,
    default_fields: Vec<String>,
    clauses: usize,
    depth: usize,
}

impl Parser<'_> {
    /// Conditions with `or` between them; values of a field, if there is one.
    fn any(&mut self, field: Option<&str>) -> Result<Query, ParseError> {
        let mut should = vec![self.all(field)?];
        while self.scanner.eat_keyword("or") {
            should.push(self.all(field)?);
        }
        if should.len() == 1 {
            return Ok(should.remove(0));
        }
        Ok(Query::Bool(BoolQuery { should, ..BoolQuery::default() }))
    }

    fn all(&mut self, field: Option<&str>) -> Result<Query, ParseError> {
        let mut must = vec![self.not(field)?];
        while self.scanner.eat_keyword("and") {
            must.push(self.not(field)?);
        }
        if must.len() == 1 {
            return Ok(must.remove(0));
        }
        Ok(Query::Bool(BoolQuery { must, ..BoolQuery::default() }))
    }

    fn not(&mut self, field: Option<&str>) -> Result<Query, ParseError> {
        self.scanner.skip_spaces();
        let is_not = self.scanner.eat_keyword("not");
        let query = self.condition(field)?;
        if !is_not {
            return Ok(query);
        }
        Ok(Query::Bool(BoolQuery { must_not: vec![query], ..BoolQuery::default() }))
    }

    fn condition(&mut self, field: Option<&str>) -> Result<Query, ParseError> {
        self.scanner.skip_spaces();
        if self.scanner.eat('(') {
            return self.group(field);
        }
        let start = self.scanner.at();
        let literal = self.literal(if field.is_some() { "a value" } else { "a field, a value or (" })?;
        match field {
            Some(field) => self.has(Some(field), &literal),
            None => match self.scanner.sign() {
                None => self.has(None, &literal),
                Some(sign) => self.fielded(&literal, sign, start),
            },
        }
    }

    fn group(&mut self, field: Option<&str>) -> Result<Query, ParseError> {
        let start = self.scanner.at() - 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ParseError::syntax(format!("groups are nested deeper than {DEPTH_MAX}"), start));
        }
        let query = self.any(field)?;
        self.depth -= 1;
        self.scanner.skip_spaces();
        if self.scanner.eat(')') {
            return Ok(query);
        }
        if self.scanner.is_at_end() {
            return Err(ParseError::syntax("the group is never closed", start));
        }
        Err(self.unexpected())
    }

    /// What stands behind `field:` or `field >`.
    fn fielded(&mut self, name: &Literal, sign: Sign, start: usize) -> Result<Query, ParseError> {
        let name = Self::field(name, start)?;
        self.scanner.skip_spaces();
        if sign != Sign::Is {
            let value = self.literal("a value to compare with")?;
            return self.compared(name.as_deref(), sign, &value, start);
        }
        if self.scanner.peek() == Some('{') {
            return Err(ParseError::syntax(
                "conditions on objects of a list { … } are not supported: fields of objects are asked for by their full \
                 name, as in site.name: shanghai",
                self.scanner.at(),
            ));
        }
        if self.scanner.eat('(') {
            return self.group(name.as_deref().or(Some("*")));
        }
        let value = self.literal("a value")?;
        self.has(name.as_deref(), &value)
    }

    /// The name of a field; none for `*`, which is any of the default ones.
    fn field(name: &Literal, start: usize) -> Result<Option<String>, ParseError> {
        if name.is_star() {
            return Ok(None);
        }
        if name.has_wildcard() {
            return Err(ParseError::syntax("wildcards in field names are not supported", start));
        }
        check_name(&name.text()).map_err(|error| ParseError { position: Some(start), ..error })?;
        Ok(Some(name.text()))
    }

    fn compared(
        &mut self,
        field: Option<&str>,
        sign: Sign,
        value: &Literal,
        start: usize,
    ) -> Result<Query, ParseError> {
        self.count()?;
        let field = field.ok_or_else(|| ParseError::syntax("a comparison needs a field", start))?;
        if value.has_wildcard() {
            return Err(ParseError::syntax("a comparison needs a value without wildcards", start));
        }
        let value = Value::from(value.text());
        let (lower, upper) = match sign {
            Sign::Above => (Bound::Exclusive(value), Bound::Open),
            Sign::From => (Bound::Inclusive(value), Bound::Open),
            Sign::Below => (Bound::Open, Bound::Exclusive(value)),
            Sign::Is | Sign::Through => (Bound::Open, Bound::Inclusive(value)),
        };
        Ok(Query::Range { field: field.to_owned(), lower, upper, time_zone: self.options.time_zone.clone() })
    }

    /// A field has a value; `*` as a field means the default ones.
    fn has(&mut self, field: Option<&str>, value: &Literal) -> Result<Query, ParseError> {
        self.count()?;
        match field.filter(|field| *field != "*") {
            Some("_id") if !value.has_wildcard() => Ok(Query::Ids(vec![value.text()])),
            Some(field) => self.in_field(field, value),
            None if value.is_star() => Ok(Query::MatchAll),
            None => {
                let fields = self.default_fields.clone();
                let mut should =
                    fields.iter().map(|field| self.in_field(field, value)).collect::<Result<Vec<_>, _>>()?;
                let query = if should.len() == 1 {
                    should.remove(0)
                } else {
                    Query::Bool(BoolQuery { should, ..BoolQuery::default() })
                };
                // A word may fit some of them only.
                Ok(Query::Lenient(Box::new(query)))
            }
        }
    }

    fn in_field(&mut self, field: &str, value: &Literal) -> Result<Query, ParseError> {
        if value.is_star() {
            return Ok(Query::Exists { field: field.to_owned() });
        }
        if !value.has_wildcard() {
            let mode = if value.is_quoted { MatchMode::PHRASE } else { MatchMode::Any };
            return Ok(Query::Match(TextMatch::new(field, value.text(), mode)));
        }
        // Kibana asks for each of the words by itself once one of them is a pattern.
        let mut should = Vec::new();
        for (place, word) in value.words().into_iter().enumerate() {
            if place > 0 {
                self.count()?;
            }
            should.push(if word.has_wildcard() {
                Query::Wildcard { field: field.to_owned(), pattern: word.pattern(), case: Case::AsIndexed }
            } else {
                Query::Match(TextMatch::new(field, word.text(), MatchMode::Any))
            });
        }
        if should.len() == 1 {
            return Ok(should.remove(0));
        }
        Ok(Query::Bool(BoolQuery { should, ..BoolQuery::default() }))
    }

    fn literal(&mut self, what: &str) -> Result<Literal, ParseError> {
        let start = self.scanner.at();
        match self.scanner.literal()? {
            Some(literal) => Ok(literal),
            None if self.scanner.is_at_end() => {
                Err(ParseError::syntax(format!("expected {what} before the end"), start))
            }
            None => Err(ParseError::syntax(format!("expected {what}"), start)),
        }
    }

    fn unexpected(&self) -> ParseError {
        let at = self.scanner.at();
        match self.scanner.peek() {
            Some(c) if !c.is_whitespace() => ParseError::syntax(format!("unexpected {c}"), at),
            _ => ParseError::syntax("expected and, or, or the end", at),
        }
    }

    fn count(&mut self) -> Result<(), ParseError> {
        self.clauses += 1;
        if self.clauses > CLAUSES_MAX {
            return Err(ParseError::shard(format!("the query string has more than {CLAUSES_MAX} clauses")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
