//! The form of a day index: which columns there are, and how a document becomes one row of them.
//!
//! Every declared field but texts is a column and nothing else: conditions, sorting and aggregations all read columns,
//! and an inverted index beside them would double the work of indexing for queries that a scan answers in milliseconds.
//! Texts have an inverted index of their words with positions, and a column that says whether there is a text.
//! Undeclared fields are columns inside [`EXTRA`], typed by their values, bounded by the constants below; what goes
//! beyond these bounds is in the source, but cannot be searched for.

use std::collections::HashSet;
use std::sync::LazyLock;

use serde_json::Value;
use tantivy::schema::{
    Field, IndexRecordOption, JsonObjectOptions, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tollhouse_query::date::parse_date;
use tollhouse_query::fields::FieldKind;
use tollhouse_shape::{Leaf, Member, Shaped, catalogue, declared_names};

use crate::field::{EXTRA, SEQ, SOURCE, TIMESTAMP, is_column_name, presence_column};
use crate::filter::boolean;
use crate::row::{Cell, Rows};

/// Version of all that is below; an index of another version is set aside and made again from the journal. So is one of
/// other declared fields, without a new version.
pub(crate) const VERSION: u32 = 3;

/// Longer keywords are not found by their value (Lucene's longest term).
const KEYWORD_BYTES_MAX: usize = 32_766;
/// Longer strings of undeclared fields get no column.
const EXTRA_TEXT_BYTES_MAX: usize = 1_024;
/// Values of undeclared fields of one document that get a column.
const EXTRA_VALUES_MAX: usize = 128;
/// Undeclared fields deeper than this get no column.
const EXTRA_DEPTH_MAX: usize = 8;
/// Different undeclared fields of one day that get a column.
pub(crate) const EXTRA_FIELDS_MAX: usize = 512;

/// Fields of the index.
pub(crate) struct Layout {
    pub(crate) schema: Schema,
    pub(crate) source: Field,
    seq: Field,
    extra: Field,
    /// By the length of their names, as few are of the same.
    declared: Vec<Vec<(&'static str, Column)>>,
    /// By the places of members.
    by_place: Vec<Option<Column>>,
}

#[derive(Clone, Copy)]
struct Column {
    kind: FieldKind,
    field: Field,
    /// For texts: says whether there is one.
    presence: Option<Field>,
}

/// The one layout of this version.
pub(crate) fn layout() -> &'static Layout {
    static LAYOUT: LazyLock<Layout> = LazyLock::new(Layout::new);
    &LAYOUT
}

impl Layout {
    fn new() -> Self {
        let number = || NumericOptions::default().set_fast();
        let mut builder = Schema::builder();
        let mut declared: Vec<Vec<(&'static str, Column)>> = Vec::new();
        for (name, kind) in catalogue().iter() {
            // It is the document's own number and has its own column.
            if name == "seq" {
                continue;
            }
            let field = match kind {
                FieldKind::Keyword => builder.add_text_field(name, TextOptions::default().set_fast("raw")),
                FieldKind::Text => {
                    let words = TextFieldIndexing::default()
                        .set_tokenizer("default")
                        .set_fieldnorms(false)
                        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
                    builder.add_text_field(name, TextOptions::default().set_indexing_options(words))
                }
                FieldKind::Long | FieldKind::Date => builder.add_i64_field(name, number()),
                FieldKind::Double => builder.add_f64_field(name, number()),
                FieldKind::Boolean => builder.add_bool_field(name, number()),
            };
            let presence = (kind == FieldKind::Text).then(|| builder.add_bool_field(&presence_column(name), number()));
            declared.resize_with(declared.len().max(name.len() + 1), Vec::new);
            declared[name.len()].push((name, Column { kind, field, presence }));
        }
        let seq = builder.add_u64_field(SEQ, number());
        // A text is copied as a whole; bytes would be one by one.
        let source = builder.add_text_field(SOURCE, TextOptions::default().set_stored());
        let extra =
            builder.add_json_field(EXTRA, JsonObjectOptions::default().set_fast("raw").set_expand_dots_enabled());
        let by_place = declared_names().map(|name| column(&declared, name)).collect();
        Self { schema: builder.build(), source, seq, extra, declared, by_place }
    }

    fn column(&self, name: &str) -> Option<Column> {
        column(&self.declared, name)
    }

    /// Adds the row of a document. `extra_fields` are the undeclared fields that this day has columns for; new ones are added
    /// as long as there are not too many.
    pub(crate) fn add_row(&self, document: &Shaped<'_>, extra_fields: &mut HashSet<String>, rows: &mut Rows) {
        let members = document.members();
        let begin = rows.texts().len();
        for member in members {
            let texts = rows.texts();
            texts.push(if texts.len() == begin { '{' } else { ',' });
            member.push_name(texts);
            texts.push_str(member.part.json());
        }
        let is_empty = members.is_empty();
        rows.texts().push_str(if is_empty { "{}" } else { "}" });
        rows.set(self.source, Cell::Text(rows.span_from(begin)));
        rows.set(self.seq, Cell::Unsigned(document.seq));

        let mut filling = Filling { layout: self, rows, extra_fields, place: begin };
        for member in members {
            // Behind the brace or the comma, the name and its colon.
            filling.place += 1 + member.name_bytes();
            filling.member(member, document.timestamp_ms);
            filling.place += member.part.json().len();
        }
        if rows.extra_values() > 0 {
            rows.set(self.extra, Cell::Extra);
        }
        rows.end_row();
    }
}

/// A row whose source is written, and whose columns are filled.
struct Filling<'a> {
    layout: &'a Layout,
    rows: &'a mut Rows,
    extra_fields: &'a mut HashSet<String>,
    /// Where the value at hand begins in the source.
    place: usize,
}

impl Filling<'_> {
    fn member(&mut self, member: &Member<'_>, timestamp_ms: i64) {
        let column = member.place.and_then(|place| self.layout.by_place[place]);
        match (member.part.leaf(), column) {
            (Leaf::Null, _) => {}
            (Leaf::Deep(value), _) => self.value(&member.name, value, 0),
            // Read when the document was made.
            (_, Some(column)) if member.name == TIMESTAMP => self.rows.set(column.field, Cell::Signed(timestamp_ms)),
            (leaf, Some(column)) => {
                let is_plain = matches!(leaf, Leaf::Text(text) if text.len() + 2 == member.part.json().len());
                self.declared(column, leaf, is_plain);
            }
            (leaf, None) => self.undeclared(&member.name, leaf),
        }
    }

    /// What is inside of an array or an object.
    fn value(&mut self, name: &str, value: &Value, depth: usize) {
        match value {
            Value::Array(items) if depth < EXTRA_DEPTH_MAX => {
                for item in items {
                    self.value(name, item, depth + 1);
                }
            }
            Value::Object(object) if depth < EXTRA_DEPTH_MAX => {
                for (key, value) in object {
                    if name.is_empty() {
                        self.value(key, value, depth + 1);
                    } else {
                        self.value(&format!("{name}.{key}"), value, depth + 1);
                    }
                }
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {}
            leaf => match self.layout.column(name) {
                Some(column) => self.declared(column, &leaf.into(), false),
                None => self.undeclared(name, &leaf.into()),
            },
        }
    }

    /// `is_plain` says that a text stands in the source as it is.
    fn declared(&mut self, column: Column, leaf: &Leaf<'_>, is_plain: bool) {
        let cell = match (column.kind, leaf) {
            (FieldKind::Keyword, Leaf::Text(text)) if text.len() > KEYWORD_BYTES_MAX => None,
            (FieldKind::Keyword | FieldKind::Text, Leaf::Text(text)) if is_plain => {
                Some(Cell::Text(self.rows.span(self.place + 1, self.place + 1 + text.len())))
            }
            (FieldKind::Keyword | FieldKind::Text, Leaf::Text(text)) => Some(Cell::Text(self.rows.push_text(text))),
            (FieldKind::Keyword | FieldKind::Text, Leaf::Number(number)) => {
                Some(Cell::Text(self.rows.push_text(&number.to_string())))
            }
            (FieldKind::Keyword | FieldKind::Text, Leaf::Boolean(on)) => {
                Some(Cell::Text(self.rows.push_text(if *on { "true" } else { "false" })))
            }
            (FieldKind::Long, Leaf::Number(number)) => number.as_i64().map(Cell::Signed),
            // -0 equals 0 as a number.
            (FieldKind::Double, Leaf::Number(number)) => number.as_f64().map(|number| Cell::Fraction(number + 0.0)),
            (FieldKind::Boolean, Leaf::Boolean(on)) => Some(Cell::Boolean(*on)),
            (FieldKind::Boolean, Leaf::Text(text)) => boolean(&text.as_ref().into()).map(Cell::Boolean),
            (FieldKind::Date, Leaf::Text(text)) => date(&text.as_ref().into()),
            (FieldKind::Date, Leaf::Number(number)) => date(&number.clone().into()),
            _ => None,
        };
        if let Some(cell) = cell {
            self.rows.set(column.field, cell);
        }
        if let Some(presence) = column.presence {
            self.rows.set(presence, Cell::Boolean(true));
        }
    }

    fn undeclared(&mut self, name: &str, leaf: &Leaf<'_>) {
        if name == "seq" || self.rows.extra_values() >= EXTRA_VALUES_MAX || !is_column_name(name) {
            return;
        }
        let is_text_too_long = matches!(leaf, Leaf::Text(text) if text.len() > EXTRA_TEXT_BYTES_MAX);
        if is_text_too_long || matches!(leaf, Leaf::Null | Leaf::Deep(_)) {
            return;
        }
        if !self.extra_fields.contains(name) {
            if self.extra_fields.len() >= EXTRA_FIELDS_MAX {
                return;
            }
            self.extra_fields.insert(name.to_owned());
        }
        let cell = match leaf {
            Leaf::Text(text) => Cell::Text(self.rows.push_text(text)),
            Leaf::Boolean(on) => Cell::Boolean(*on),
            Leaf::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(whole), ..) => Cell::Signed(whole),
                (None, Some(whole), _) => Cell::Unsigned(whole),
                (None, None, fraction) => Cell::Fraction(fraction.unwrap_or_default() + 0.0),
            },
            Leaf::Null | Leaf::Deep(_) => return,
        };
        let name = self.rows.push_text(name);
        self.rows.add_extra(name, cell);
    }
}

fn column(declared: &[Vec<(&'static str, Column)>], name: &str) -> Option<Column> {
    declared.get(name.len())?.iter().find(|(known, _)| *known == name).map(|(_, column)| *column)
}

fn date(value: &Value) -> Option<Cell> {
    parse_date(value, false, 0, None).ok().map(Cell::Signed)
}
