//! What people name and keep for everybody: what can become of keeping it, and which texts it may hold.

use sqlx::error::DatabaseError;
use sqlx::sqlite::SqliteQueryResult;

use crate::StateError;

/// Characters of an id: 95 bits.
pub(crate) const ID_CHARS: usize = 16;
/// Length of a name, a field and a moment, in characters.
pub(crate) const TEXT_CHARS_MAX: usize = 200;
/// Length of a query, in bytes.
pub(crate) const QUERY_BYTES_MAX: usize = 16 * 1024;
/// Columns of a table.
pub(crate) const COLUMNS_MAX: usize = 50;

/// What became of keeping something under a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Keeping<T> {
    /// It is kept.
    Done(Box<T>),
    /// Another one has this name.
    NameTaken,
    /// As many are kept as may be.
    Full,
    /// There is none with this id.
    Unknown,
}

impl<T> Keeping<T> {
    /// What became of `kept` when it was written; `when_none` says why no row was.
    pub(crate) fn of(
        written: Result<SqliteQueryResult, sqlx::Error>,
        kept: T,
        when_none: Self,
    ) -> Result<Self, StateError> {
        match written {
            Ok(done) if done.rows_affected() == 1 => Ok(Self::Done(Box::new(kept))),
            Ok(_) => Ok(when_none),
            Err(error) if error.as_database_error().is_some_and(DatabaseError::is_unique_violation) => {
                Ok(Self::NameTaken)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a text is short and can be shown as it is.
pub(crate) fn is_text(text: &str) -> bool {
    text.chars().count() <= TEXT_CHARS_MAX && !text.chars().any(char::is_control)
}

/// Whether a name has something to read in it.
pub(crate) fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && is_text(name)
}

/// The words of what is wrong, unless it `fits`.
pub(crate) fn demand(fits: bool, words: impl FnOnce() -> String) -> Result<(), String> {
    if fits { Ok(()) } else { Err(words()) }
}

/// What a query and its language must be.
pub(crate) fn demand_query(query: &str, language: &str) -> Result<(), String> {
    demand(query.len() <= QUERY_BYTES_MAX, || "`query` must not be longer than 16 KiB".into())?;
    demand(matches!(language, "lucene" | "kql"), || "`language` must be one of: lucene, kql".into())
}

/// How many columns there may be.
pub(crate) fn demand_columns(columns: &[String]) -> Result<(), String> {
    demand(columns.len() <= COLUMNS_MAX, || "`columns` must be at most 50 fields".into())
}
