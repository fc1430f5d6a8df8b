//! What becomes of a journal line, as far as possible still in the line: named values in their order, each name once.

use std::borrow::Cow;

use serde_json::{Map, Value};
use tollhouse_query::{FieldKind, Source};

use crate::catalogue::{Declared, PLACES, declared};
use crate::fit::fit;
use crate::part::{Leaf, Part};
use crate::shaper::{Document, INGEST_ERROR, SHOWN_CHARS_MAX, shortened};

/// Most wrong values that are told of one record.
const PROBLEMS_MAX: usize = 16;

/// A document, borrowed from its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Shaped<'a> {
    /// Number of the journal record.
    pub seq: u64,
    /// `@timestamp` in milliseconds since 1970 UTC; chooses the day index.
    pub timestamp_ms: i64,
    pub(crate) members: Vec<Member<'a>>,
}

/// A field of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Member<'a> {
    /// Its name in the index.
    pub name: Cow<'a, str>,
    /// Where a declared field is in the [`catalogue()`](crate::catalogue()): its place among [`declared_names`](crate::declared_names).
    pub place: Option<usize>,
    /// Its value.
    pub part: Part<'a>,
}

impl<'a> Shaped<'a> {
    /// The fields, in their order.
    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    /// The value of a field, by its name in the index.
    pub fn get(&self, name: &str) -> Option<&Part<'a>> {
        self.members.iter().find(|member| member.name == name).map(|member| &member.part)
    }

    /// The text of a field, by its name in the index.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The document by itself.
    pub fn into_document(self) -> Document {
        let Self { seq, timestamp_ms, members } = self;
        let mut source = Map::with_capacity(members.len());
        source.extend(members.into_iter().map(|member| (member.name.into_owned(), member.part.into_value())));
        Document { seq, timestamp_ms, source }
    }
}

impl From<Document> for Shaped<'static> {
    fn from(document: Document) -> Self {
        let Document { seq, timestamp_ms, source } = document;
        let member = |(name, value): (String, Value)| Member {
            place: declared(&name).map(|declared| declared.place),
            name: name.into(),
            part: Part::of(value),
        };
        Self { seq, timestamp_ms, members: source.into_iter().map(member).collect() }
    }
}

impl Member<'_> {
    /// Appends `"name":`.
    pub fn push_name(&self, out: &mut String) {
        if self.has_plain_name() {
            out.push('"');
            out.push_str(&self.name);
            out.push_str("\":");
        } else {
            out.push_str(&Value::from(self.name.as_ref()).to_string());
            out.push(':');
        }
    }

    /// How many bytes [`Member::push_name`] appends.
    pub fn name_bytes(&self) -> usize {
        let quoted =
            if self.has_plain_name() { self.name.len() + 2 } else { Value::from(self.name.as_ref()).to_string().len() };
        quoted + 1
    }

    /// Whether the name stands in JSON as it is.
    fn has_plain_name(&self) -> bool {
        self.place.is_some() || !self.name.bytes().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'))
    }
}

/// A document that is being put together.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) members: Vec<Member<'a>>,
    /// By place: whether a declared field is there.
    has: [bool; PLACES],
    problems: Vec<String>,
}

impl<'a> Draft<'a> {
    pub(crate) fn with_capacity(members: usize) -> Self {
        Self { members: Vec::with_capacity(members), has: [false; PLACES], problems: Vec::new() }
    }

    /// Puts a field under its name in the index, or into the problems.
    pub(crate) fn put(&mut self, name: Cow<'a, str>, part: Part<'a>) {
        let declared = declared(&name);
        // Two spellings of one field, such as `status` and `http_status`.
        let is_second = match declared {
            Some(declared) => self.has[declared.place],
            None => self.members.iter().any(|member| member.place.is_none() && member.name == name),
        };
        if is_second {
            let name = declared.map_or(name.as_ref(), |declared| declared.name);
            return self.problems.push(problem(name, &part, "is a second value"));
        }
        let Some(Declared { place, name, kind }) = declared else {
            // Taken as it is, also when it ends as Elasticsearch's `.keyword` does.
            return self.members.push(Member { name, place: None, part });
        };
        match fitted(kind, part) {
            Ok(part) => self.set(place, name, part),
            Err((part, expected)) => self.problems.push(problem(name, &part, &format!("is not {expected}"))),
        }
    }

    /// Sets a declared field, whether it is there or not.
    pub(crate) fn set_declared(&mut self, name: &'static str, value: impl Into<Value>) {
        let Some(Declared { place, name, .. }) = declared(name) else { return };
        let part = Part::of(value.into());
        match self.members.iter_mut().find(|member| member.place == Some(place)) {
            Some(member) => member.part = part,
            None => self.set(place, name, part),
        }
    }

    /// Adds a declared field that is not there.
    pub(crate) fn set(&mut self, place: usize, name: &'static str, part: Part<'a>) {
        self.has[place] = true;
        self.members.push(Member { name: Cow::Borrowed(name), place: Some(place), part });
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Part<'a>> {
        self.members.iter().find(|member| member.name == name).map(|member| &member.part)
    }

    pub(crate) fn is(&self, name: &str, text: &str) -> bool {
        self.get(name).is_some_and(|part| part.as_str() == Some(text))
    }

    pub(crate) fn is_not_a_date(&mut self, name: &str, part: &Part<'_>) {
        self.problems.push(problem(name, part, "is not a date"));
    }

    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Tells what did not fit, behind what was told before.
    pub(crate) fn tell_problems(&mut self) {
        let mut problems = std::mem::take(&mut self.problems);
        let more = problems.len().saturating_sub(PROBLEMS_MAX);
        if more > 0 {
            problems.truncate(PROBLEMS_MAX);
            problems.push(format!("and {more} more"));
        }
        if let Some(own) = self.get(INGEST_ERROR).and_then(Part::as_str) {
            problems.insert(0, own.to_owned());
        }
        self.set_declared(INGEST_ERROR, problems.join("; "));
    }

    /// Adds tags behind those that the record brought along.
    pub(crate) fn add_tags(&mut self, tags: &[&str]) {
        if tags.is_empty() {
            return;
        }
        let mut all = match self.get("tags").map(|part| part.value().into_owned()) {
            Some(Value::Array(own)) => own,
            None | Some(Value::Null) => Vec::new(),
            Some(own) => vec![own],
        };
        for tag in tags {
            if !all.iter().any(|own| own == tag) {
                all.push(Value::from(*tag));
            }
        }
        self.set_declared("tags", all);
    }
}

impl Source for Draft<'_> {
    fn field(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.get(name).map(Part::value)
    }
}

/// The value as its field holds it; see [`fit`].
fn fitted(kind: FieldKind, part: Part<'_>) -> Result<Part<'_>, (Part<'_>, &'static str)> {
    let is_as_it_should_be = match (kind, part.leaf()) {
        (_, Leaf::Null)
        | (FieldKind::Keyword | FieldKind::Text | FieldKind::Date, Leaf::Text(_))
        | (FieldKind::Boolean, Leaf::Boolean(_))
        | (FieldKind::Double, Leaf::Number(_)) => true,
        (FieldKind::Long, Leaf::Number(number)) => number.is_i64(),
        _ => false,
    };
    if is_as_it_should_be {
        return Ok(part);
    }
    fit(kind, part.into_value()).map(Part::of).map_err(|(value, expected)| (Part::of(value), expected))
}

fn problem(name: &str, part: &Part<'_>, what: &str) -> String {
    format!("{name}: {} {what}", shortened(part.json(), SHOWN_CHARS_MAX))
}
