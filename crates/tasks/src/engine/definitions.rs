//! Definitions by version, read from the book once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::book::Book;
use crate::definition::Definition;
use crate::error::TaskError;

/// Definitions that are kept in memory.
const KEPT_MAX: usize = 500;

/// The definitions of a book.
#[derive(Debug)]
pub(crate) struct Definitions {
    book: Book,
    kept: Mutex<HashMap<String, Arc<Definition>>>,
}

impl Definitions {
    pub(crate) fn new(book: Book) -> Self {
        Self { book, kept: Mutex::default() }
    }

    /// A version, as runs go by it.
    pub(crate) async fn get(&self, version: &str) -> Result<Arc<Definition>, TaskError> {
        if let Some(kept) = self.kept().get(version) {
            return Ok(kept.clone());
        }
        let definition = Arc::new(read(&self.book, version).await?);
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(version.to_owned(), definition.clone());
        Ok(definition)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Definition>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(book: &Book, version: &str) -> Result<Definition, TaskError> {
    let what = || format!("version {version} of a task");
    let Some((task, text)) = book.version(version).await? else {
        return Err(TaskError::Book { what: what(), why: "it is not there".to_owned() });
    };
    Definition::read(&format!("{task}.yaml"), &text).map_err(|errors| {
        let first = errors.problems().first().map(tollhouse_config::Problem::message).unwrap_or_default();
        TaskError::Book { what: what(), why: format!("this version of the program does not understand it: {first}") }
    })
}
