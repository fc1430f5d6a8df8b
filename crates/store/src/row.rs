//! One document on its way to the writer of its day: its source, and what each column gets of it.
//!
//! Texts lie in one string, of which the source is the beginning: most of them stand in the source as they are, and are not
//! copied.

use std::iter::Empty;
use std::slice::Iter;
use std::sync::Arc;

use tantivy::Document;
use tantivy::schema::Field;
use tantivy::schema::document::{ReferenceValue, ReferenceValueLeaf, Value};

use crate::underway::Batch;

/// A row of an index, as Tantivy reads it.
#[derive(Debug)]
pub(crate) struct Row {
    texts: String,
    values: Vec<(Field, Cell)>,
    /// Undeclared fields: names, and values.
    extra: Vec<(Span, Cell)>,
    /// Held for as long as the row is on its way.
    batch: Option<Arc<Batch>>,
}

/// A piece of the texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    from: u32,
    to: u32,
}

/// What a column gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell {
    Text(Span),
    Signed(i64),
    Unsigned(u64),
    Fraction(f64),
    Boolean(bool),
    /// All undeclared fields.
    Extra,
}

impl Row {
    pub(crate) fn with_capacity(text_bytes: usize, values: usize) -> Self {
        let (texts, values) = (String::with_capacity(text_bytes), Vec::with_capacity(values));
        Self { texts, values, extra: Vec::new(), batch: None }
    }

    /// Says with which rows it is on its way.
    pub(crate) fn with(mut self, batch: Arc<Batch>) -> Self {
        self.batch = Some(batch);
        self
    }

    /// The texts, to be written on.
    pub(crate) fn texts(&mut self) -> &mut String {
        &mut self.texts
    }

    /// The piece of the texts from here to their end.
    pub(crate) fn span_from(&self, from: usize) -> Span {
        self.span(from, self.texts.len())
    }

    #[expect(clippy::unused_self, reason = "a piece of its texts, which are never 4 GiB")]
    pub(crate) fn span(&self, from: usize, to: usize) -> Span {
        Span { from: from as u32, to: to as u32 }
    }

    /// Adds a text behind the others.
    pub(crate) fn push_text(&mut self, text: &str) -> Span {
        let from = self.texts.len();
        self.texts.push_str(text);
        self.span_from(from)
    }

    pub(crate) fn set(&mut self, field: Field, cell: Cell) {
        self.values.push((field, cell));
    }

    pub(crate) fn add_extra(&mut self, name: Span, cell: Cell) {
        self.extra.push((name, cell));
    }

    pub(crate) fn extra_values(&self) -> usize {
        self.extra.len()
    }

    fn text(&self, span: Span) -> &str {
        &self.texts[span.from as usize..span.to as usize]
    }
}

/// A cell, and the row that has its texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowValue<'a> {
    row: &'a Row,
    cell: Cell,
}

/// The values of a row, by fields.
pub(crate) struct Values<'a> {
    row: &'a Row,
    left: Iter<'a, (Field, Cell)>,
}

/// The undeclared fields of a row, by names.
pub(crate) struct Extra<'a> {
    row: &'a Row,
    left: Iter<'a, (Span, Cell)>,
}

impl Document for Row {
    type Value<'a> = RowValue<'a>;
    type FieldsValuesIter<'a> = Values<'a>;

    fn iter_fields_and_values(&self) -> Values<'_> {
        Values { row: self, left: self.values.iter() }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = (Field, RowValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (field, cell) = *self.left.next()?;
        Some((field, RowValue { row: self.row, cell }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }
}

impl<'a> Iterator for Extra<'a> {
    type Item = (&'a str, RowValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, cell) = *self.left.next()?;
        Some((self.row.text(name), RowValue { row: self.row, cell }))
    }
}

impl<'a> Value<'a> for RowValue<'a> {
    type ArrayIter = Empty<Self>;
    type ObjectIter = Extra<'a>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        ReferenceValue::Leaf(match self.cell {
            Cell::Text(span) => ReferenceValueLeaf::Str(self.row.text(span)),
            Cell::Signed(whole) => ReferenceValueLeaf::I64(whole),
            Cell::Unsigned(whole) => ReferenceValueLeaf::U64(whole),
            Cell::Fraction(number) => ReferenceValueLeaf::F64(number),
            Cell::Boolean(on) => ReferenceValueLeaf::Bool(on),
            Cell::Extra => return ReferenceValue::Object(Extra { row: self.row, left: self.row.extra.iter() }),
        })
    }
}
