//! Documents on their way to the writer of their day: their sources, and what each column gets of them.
//!
//! Rows that are handed over at once lie together, so that none costs a piece of memory of its own, which one thread would ask for and
//! another give back. Their texts lie in one string, of which their sources are most: what stands in a source as it is, is not copied.

use std::iter::Empty;
use std::ops::Range;
use std::slice::Iter;
use std::sync::Arc;

use tantivy::Document;
use tantivy::schema::Field;
use tantivy::schema::document::{ReferenceValue, ReferenceValueLeaf, Value};

use crate::underway::Batch;

/// Rows that are put together, each ended by [`Rows::end_row`].
#[derive(Debug, Default)]
pub(crate) struct Rows {
    texts: String,
    values: Vec<(Field, Cell)>,
    /// Undeclared fields: names, and values.
    extra: Vec<(Span, Cell)>,
    /// Where each row ends among the values, and among the undeclared fields.
    ends: Vec<(usize, usize)>,
    /// Held for as long as one of the rows is on its way.
    batch: Option<Batch>,
}

/// A row of an index, as Tantivy reads it.
#[derive(Debug)]
pub(crate) struct Row {
    rows: Arc<Rows>,
    values: Range<usize>,
    extra: Range<usize>,
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

impl Rows {
    /// Rows that are ended.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.len() + size_of_val(&self.values[..]) + size_of_val(&self.extra[..])
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

    /// Adds a value of the row that is put together.
    pub(crate) fn set(&mut self, field: Field, cell: Cell) {
        self.values.push((field, cell));
    }

    /// Adds an undeclared field of the row that is put together.
    pub(crate) fn add_extra(&mut self, name: Span, cell: Cell) {
        self.extra.push((name, cell));
    }

    /// Undeclared fields of the row that is put together.
    pub(crate) fn extra_values(&self) -> usize {
        self.extra.len() - self.ends.last().map_or(0, |(_, extra)| *extra)
    }

    /// The row is whole.
    pub(crate) fn end_row(&mut self) {
        self.ends.push((self.values.len(), self.extra.len()));
    }

    /// Takes all rows out, to be handed over; it is likely that as many come again.
    pub(crate) fn take(&mut self) -> Self {
        let next = Self {
            texts: String::with_capacity(self.texts.len()),
            values: Vec::with_capacity(self.values.len()),
            extra: Vec::with_capacity(self.extra.len()),
            ends: Vec::with_capacity(self.ends.len()),
            batch: None,
        };
        std::mem::replace(self, next)
    }

    /// The rows one by one, on their way with this batch.
    pub(crate) fn on_their_way(mut self, batch: Batch) -> impl ExactSizeIterator<Item = Row> {
        self.batch = Some(batch);
        let (count, rows) = (self.len(), Arc::new(self));
        (0..count).map(move |place| {
            let before = place.checked_sub(1).map_or((0, 0), |before| rows.ends[before]);
            let end = rows.ends[place];
            Row { rows: Arc::clone(&rows), values: before.0..end.0, extra: before.1..end.1 }
        })
    }
}

impl Row {
    fn text(&self, span: Span) -> &str {
        &self.rows.texts[span.from as usize..span.to as usize]
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
        Values { row: self, left: self.rows.values[self.values.clone()].iter() }
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
            Cell::Extra => {
                return ReferenceValue::Object(Extra {
                    row: self.row,
                    left: self.row.rows.extra[self.row.extra.clone()].iter(),
                });
            }
        })
    }
}
