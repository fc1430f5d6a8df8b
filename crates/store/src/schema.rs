//! The form of a day index: which columns there are, and how a document becomes one row of them.
//!
//! Every declared field but texts is a column and nothing else: conditions, sorting and aggregations all read columns,
//! and an inverted index beside them would double the work of indexing for queries that a scan answers in milliseconds.
//! Texts have an inverted index of their words with positions, and a column that says whether there is a text.
//! Undeclared fields are columns inside [`EXTRA`], typed by their values, bounded by the constants below; what goes
//! beyond these bounds is in the source, but cannot be searched for.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};
use tantivy::TantivyDocument;
use tantivy::schema::{
    Field, IndexRecordOption, JsonObjectOptions, NumericOptions, OwnedValue, Schema, TextFieldIndexing, TextOptions,
};
use tollhouse_query::date::parse_date;
use tollhouse_query::fields::FieldKind;
use tollhouse_shape::{Document, catalogue};

use crate::error::StoreError;
use crate::field::{EXTRA, SEQ, SOURCE, TIMESTAMP, is_column_name, presence_column};
use crate::filter::{boolean, text};

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
        Self { schema: builder.build(), source, seq, extra, declared }
    }

    fn column(&self, name: &str) -> Option<Column> {
        self.declared.get(name.len())?.iter().find(|(known, _)| *known == name).map(|(_, column)| *column)
    }

    /// The row of a document. `extra_fields` are the undeclared fields that this day has columns for; new ones are added
    /// as long as there are not too many.
    pub(crate) fn row(
        &self,
        document: &Document,
        extra_fields: &mut HashSet<String>,
    ) -> Result<TantivyDocument, StoreError> {
        let source = serde_json::to_string(&document.source)
            .map_err(|error| StoreError::Column { doing: "writing a document as JSON", source: error.into() })?;
        let mut row = Row {
            layout: self,
            timestamp_ms: document.timestamp_ms,
            values: TantivyDocument::with_capacity(2 * source.len()),
            extra: BTreeMap::new(),
            extra_values: 0,
            extra_fields,
        };
        row.object("", &document.source, 0);
        let Row { values: mut row, extra, .. } = row;
        if !extra.is_empty() {
            let extra = extra.into_iter().map(|(name, mut values)| match values.len() {
                1 => (name, values.swap_remove(0)),
                _ => (name, OwnedValue::Array(values)),
            });
            row.add_object(self.extra, extra.collect());
        }
        row.add_u64(self.seq, document.seq);
        row.add_text(self.source, &source);
        Ok(row)
    }
}

struct Row<'a> {
    layout: &'a Layout,
    timestamp_ms: i64,
    values: TantivyDocument,
    extra: BTreeMap<String, Vec<OwnedValue>>,
    extra_values: usize,
    extra_fields: &'a mut HashSet<String>,
}

impl Row<'_> {
    fn object(&mut self, prefix: &str, object: &Map<String, Value>, depth: usize) {
        for (key, value) in object {
            if prefix.is_empty() {
                self.value(key, value, depth);
            } else {
                self.value(&format!("{prefix}.{key}"), value, depth);
            }
        }
    }

    fn value(&mut self, name: &str, value: &Value, depth: usize) {
        match value {
            Value::Array(items) if depth < EXTRA_DEPTH_MAX => {
                for item in items {
                    self.value(name, item, depth + 1);
                }
            }
            Value::Object(object) if depth < EXTRA_DEPTH_MAX => self.object(name, object, depth + 1),
            Value::Null | Value::Array(_) | Value::Object(_) => {}
            leaf => match self.layout.column(name) {
                // Read when the document was made.
                Some(column) if name == TIMESTAMP => self.values.add_i64(column.field, self.timestamp_ms),
                Some(column) => self.declared(column, leaf),
                None => self.undeclared(name, leaf),
            },
        }
    }

    fn declared(&mut self, column: Column, value: &Value) {
        match column.kind {
            FieldKind::Keyword => {
                if let Some(text) = text(value).filter(|text| text.len() <= KEYWORD_BYTES_MAX) {
                    self.values.add_text(column.field, text);
                }
            }
            FieldKind::Text => {
                if let Some(text) = text(value) {
                    self.values.add_text(column.field, text);
                }
                if let Some(presence) = column.presence {
                    self.values.add_bool(presence, true);
                }
            }
            FieldKind::Long => {
                if let Some(whole) = value.as_i64() {
                    self.values.add_i64(column.field, whole);
                }
            }
            FieldKind::Double => {
                if let Some(number) = value.as_f64() {
                    // -0 equals 0 as a number.
                    self.values.add_f64(column.field, number + 0.0);
                }
            }
            FieldKind::Boolean => {
                if let Some(on) = boolean(value) {
                    self.values.add_bool(column.field, on);
                }
            }
            FieldKind::Date => {
                if let Ok(ms) = parse_date(value, false, 0, None) {
                    self.values.add_i64(column.field, ms);
                }
            }
        }
    }

    fn undeclared(&mut self, name: &str, value: &Value) {
        if name == "seq" || self.extra_values >= EXTRA_VALUES_MAX || !is_column_name(name) {
            return;
        }
        let value = match value {
            Value::String(text) if text.len() <= EXTRA_TEXT_BYTES_MAX => OwnedValue::Str(text.clone()),
            Value::Bool(on) => OwnedValue::Bool(*on),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(whole), ..) => OwnedValue::I64(whole),
                (None, Some(whole), _) => OwnedValue::U64(whole),
                (None, None, Some(fraction)) => OwnedValue::F64(fraction + 0.0),
                (None, None, None) => return,
            },
            Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => return,
        };
        if !self.extra_fields.contains(name) {
            if self.extra_fields.len() >= EXTRA_FIELDS_MAX {
                return;
            }
            self.extra_fields.insert(name.to_owned());
        }
        self.extra_values += 1;
        self.extra.entry(name.to_owned()).or_default().push(value);
    }
}
