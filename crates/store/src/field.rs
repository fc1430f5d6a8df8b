//! Names of fields in queries, resolved to the columns that hold them.

use tollhouse_query::fields::{FieldKind, Fields};

/// Column of the journal's sequence number.
pub(crate) const SEQ: &str = "_seq";
/// The id that whoever wrote a document gave it.
pub(crate) const DOC_ID: &str = "doc_id";
/// Stored JSON of the document.
pub(crate) const SOURCE: &str = "_source";
/// JSON column of all undeclared fields.
pub(crate) const EXTRA: &str = "_extra";
/// When it happened.
pub(crate) const TIMESTAMP: &str = "@timestamp";

/// A field as a query names it, and where its values are.
#[derive(Clone, Debug)]
pub(crate) struct FieldRef {
    /// The name without aliases.
    pub(crate) name: String,
    /// The name of its columns; for texts the one that says whether there is any.
    pub(crate) column: String,
    /// `None` for undeclared fields.
    pub(crate) kind: Option<FieldKind>,
}

impl FieldRef {
    /// Each name resolves: an unknown one is an undeclared field that perhaps no document has.
    pub(crate) fn resolve(name: &str, fields: &Fields) -> Self {
        if matches!(name, "_id" | "seq" | SEQ) {
            return Self { name: name.to_owned(), column: SEQ.to_owned(), kind: Some(FieldKind::Long) };
        }
        let canonical = fields.canonical(name);
        let kind = fields.kind(canonical);
        let column = match kind {
            Some(FieldKind::Text) => presence_column(canonical),
            Some(_) => canonical.to_owned(),
            None => format!("{EXTRA}.{canonical}"),
        };
        Self { name: canonical.to_owned(), column, kind }
    }
}

/// Texts are found by their words and have no column of values; this one says which documents have any text.
pub(crate) fn presence_column(text_field: &str) -> String {
    format!("_has {text_field}")
}

/// Whether a field of this name may get a column when it is not declared. Backslashes and control characters mean
/// something in Tantivy's paths; such fields stay in the source alone.
pub(crate) fn is_column_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(|c: char| c == '\\' || c.is_control())
}

/// Longer names of undeclared fields get no column.
const NAME_BYTES_MAX: usize = 256;
