//! Erases what is kept of somebody: their files, their batches with all answers, and their requests that are answered later.
//!
//! Another process than the house may do it, while the house runs: what is under way finds its batch gone, and ends. That it was done
//! is kept beside the data until the house has a record of it.

use std::path::Path;

use sqlx::{Row, Sqlite, Transaction};

use crate::cabinet::{Cabinet, now_ms, remove};
use crate::error::BatchError;

/// Whose things are erased.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Whose {
    /// A user's, by the name that records have as `user_id`.
    User(String),
    /// A key's, by its id.
    Key(String),
}

/// That what was kept of somebody was erased.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Erased {
    /// Whose it was: `user:NAME` or `key:ID`.
    pub owner: String,
    /// Files, also those that batches had written.
    pub files: u64,
    /// Batches.
    pub batches: u64,
    /// Requests that are answered later, and their answers.
    pub later: u64,
    /// When, in milliseconds since 1970.
    pub erased_ms: i64,
}

impl Erased {
    /// Whether there was nothing.
    pub fn is_nothing(&self) -> bool {
        self.files + self.batches + self.later == 0
    }
}

/// Erases what is kept below `dir` of somebody. Copies of the folder that were made before hold it still.
///
/// # Errors
/// When the database or a file cannot be changed.
pub async fn erase(dir: &Path, whose: &Whose) -> Result<Erased, BatchError> {
    if !dir.join("batches.db").exists() {
        return Ok(Erased { owner: whose.name(), files: 0, batches: 0, later: 0, erased_ms: now_ms() });
    }
    let cabinet = Cabinet::connect(dir).await?;
    let erased = cabinet.erase(whose).await;
    cabinet.close().await;
    erased
}

impl Whose {
    fn name(&self) -> String {
        match self {
            Self::User(name) => format!("user:{name}"),
            Self::Key(id) => format!("key:{id}"),
        }
    }
}

impl Cabinet {
    /// Erases what is kept of somebody; see [`erase`].
    async fn erase(&self, whose: &Whose) -> Result<Erased, BatchError> {
        let mut tx = self.write.begin_with("BEGIN IMMEDIATE").await?;
        let (files, batches, later) = match whose {
            Whose::User(name) => (
                gone(&mut tx, "DELETE FROM files WHERE user = $1 RETURNING id", name).await?,
                gone(&mut tx, "DELETE FROM batches WHERE json_extract(doc, '$.user') = $1 RETURNING id", name).await?,
                gone(&mut tx, "DELETE FROM later WHERE json_extract(doc, '$.user') = $1 RETURNING id", name).await?,
            ),
            Whose::Key(id) => (
                gone(&mut tx, "DELETE FROM files WHERE owner = $1 RETURNING id", id).await?,
                gone(&mut tx, "DELETE FROM batches WHERE owner = $1 RETURNING id", id).await?,
                gone(&mut tx, "DELETE FROM later WHERE owner = $1 RETURNING id", id).await?,
            ),
        };
        let count = |ids: &[String]| ids.len() as u64;
        let erased = Erased {
            owner: whose.name(),
            files: count(&files),
            batches: count(&batches),
            later: count(&later),
            erased_ms: now_ms(),
        };
        if !erased.is_nothing() {
            let insert = sqlx::query(
                "INSERT INTO erasures (owner, files, batches, later, erased_ms) VALUES ($1, $2, $3, $4, $5)",
            );
            let insert = insert.bind(&erased.owner).bind(erased.files as i64).bind(erased.batches as i64);
            insert.bind(erased.later as i64).bind(erased.erased_ms).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        for id in files {
            remove(&self.file_path(&id)).await?;
        }
        for id in batches {
            remove(&self.input_path(&id)).await?;
        }
        // The old pages may lie in the write-ahead log still. Whoever reads meanwhile only delays this.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.write).await?;
        Ok(erased)
    }

    /// Erasures that have no record yet, with their numbers, the oldest first.
    pub(crate) async fn erasures(&self) -> Result<Vec<(i64, Erased)>, BatchError> {
        let rows = sqlx::query("SELECT * FROM erasures ORDER BY number").fetch_all(&self.read).await?;
        let erasure = |row: &sqlx::sqlite::SqliteRow| {
            let count = |name: &str| row.get::<i64, _>(name) as u64;
            let erased = Erased {
                owner: row.get("owner"),
                files: count("files"),
                batches: count("batches"),
                later: count("later"),
                erased_ms: row.get("erased_ms"),
            };
            (row.get("number"), erased)
        };
        Ok(rows.iter().map(erasure).collect())
    }

    /// The journal has a record of this one.
    pub(crate) async fn erasure_recorded(&self, number: i64) -> Result<(), BatchError> {
        sqlx::query("DELETE FROM erasures WHERE number = $1").bind(number).execute(&self.write).await?;
        Ok(())
    }
}

/// Deletes by one name; gives the ids.
async fn gone(
    tx: &mut Transaction<'_, Sqlite>,
    statement: &'static str,
    name: &str,
) -> Result<Vec<String>, BatchError> {
    let rows = sqlx::query(statement).bind(name).fetch_all(&mut **tx).await?;
    Ok(rows.iter().map(|row| row.get("id")).collect())
}
