//! Files that clients have uploaded, and those that batches have written.

use serde_json::{Value, json};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, SqliteExecutor, Transaction};

use crate::cabinet::{Cabinet, remove};
use crate::error::BatchError;
use crate::settings::Settings;

/// What a file is for that a batch can be made of.
pub(crate) const FOR_BATCH: &str = "batch";
/// What a file is for that a batch has written.
pub(crate) const OF_BATCH: &str = "batch_output";

/// A file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeptFile {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) user: Option<String>,
    pub(crate) purpose: String,
    /// What the client calls it; never a path of ours.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) created_ms: i64,
    pub(crate) expires_ms: i64,
}

/// Which part of a list is meant.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Behind this one.
    pub(crate) after: Option<String>,
    pub(crate) limit: u32,
    pub(crate) is_newest_first: bool,
}

impl KeptFile {
    /// As OpenAI's API shows it.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "object": "file",
            "bytes": self.bytes,
            "created_at": self.created_ms / 1000,
            "expires_at": self.expires_ms / 1000,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": null,
        })
    }

    fn of(row: &SqliteRow) -> Self {
        Self {
            id: row.get("id"),
            owner: row.get("owner"),
            user: row.get("user"),
            purpose: row.get("purpose"),
            name: row.get("name"),
            bytes: row.get::<i64, _>("bytes") as u64,
            created_ms: row.get("created_ms"),
            expires_ms: row.get("expires_ms"),
        }
    }

    /// Makes it known; its content lies where it belongs.
    pub(crate) async fn insert(&self, tx: &mut Transaction<'_, Sqlite>) -> Result<(), BatchError> {
        let insert = sqlx::query(
            "INSERT INTO files (id, owner, user, purpose, name, bytes, created_ms, expires_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let insert = insert.bind(&self.id).bind(&self.owner).bind(&self.user).bind(&self.purpose).bind(&self.name);
        insert.bind(self.bytes as i64).bind(self.created_ms).bind(self.expires_ms).execute(&mut **tx).await?;
        Ok(())
    }
}

impl Cabinet {
    /// A file of this owner.
    pub(crate) async fn file(&self, owner: &str, id: &str) -> Result<KeptFile, BatchError> {
        let found = sqlx::query("SELECT * FROM files WHERE id = $1 AND owner = $2").bind(id).bind(owner);
        let found = found.fetch_optional(&self.read).await?;
        found.as_ref().map(KeptFile::of).ok_or_else(|| unknown(id))
    }

    /// Files of this owner, and whether there are more behind them.
    pub(crate) async fn files(
        &self,
        owner: &str,
        purpose: Option<&str>,
        part: &Part,
    ) -> Result<(Vec<KeptFile>, bool), BatchError> {
        // Times are not unique: rows are told apart by the number that SQLite gave them, which grows.
        let newest = "SELECT * FROM files WHERE owner = $1 AND ($2 IS NULL OR purpose = $2) AND rowid < \
             coalesce((SELECT rowid FROM files WHERE id = $3 AND owner = $1), 9223372036854775807) \
             ORDER BY rowid DESC LIMIT $4";
        let oldest = "SELECT * FROM files WHERE owner = $1 AND ($2 IS NULL OR purpose = $2) AND rowid > \
             coalesce((SELECT rowid FROM files WHERE id = $3 AND owner = $1), 0) ORDER BY rowid LIMIT $4";
        let query = sqlx::query(if part.is_newest_first { newest } else { oldest });
        let query = query.bind(owner).bind(purpose).bind(&part.after).bind(i64::from(part.limit) + 1);
        let rows = query.fetch_all(&self.read).await?;
        let has_more = rows.len() > part.limit as usize;
        Ok((rows.iter().take(part.limit as usize).map(KeptFile::of).collect(), has_more))
    }

    /// Whether this owner may have one more file, of at least so many bytes.
    pub(crate) async fn check_room(&self, owner: &str, bytes: u64, settings: &Settings) -> Result<(), BatchError> {
        used(&self.read, owner).await?.check(bytes, settings)
    }

    /// What is kept of everybody.
    pub(crate) async fn used_of_all(&self) -> Result<Used, BatchError> {
        used(&self.read, "").await
    }

    /// Takes a file whose content is there.
    pub(crate) async fn add_file(&self, file: &KeptFile, settings: &Settings) -> Result<(), BatchError> {
        let mut tx = self.write.begin_with("BEGIN IMMEDIATE").await?;
        // Between the last look and now others may have come.
        used(&mut *tx, &file.owner).await?.check(file.bytes, settings)?;
        file.insert(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets a file and removes its content.
    pub(crate) async fn remove_file(&self, owner: &str, id: &str) -> Result<(), BatchError> {
        let removed = sqlx::query("DELETE FROM files WHERE id = $1 AND owner = $2").bind(id).bind(owner);
        if removed.execute(&self.write).await?.rows_affected() == 0 {
            return Err(unknown(id));
        }
        remove(&self.file_path(id)).await
    }

    /// Removes files whose time is over; tells how many.
    pub(crate) async fn remove_old_files(&self, now_ms: i64) -> Result<u64, BatchError> {
        let gone = sqlx::query("DELETE FROM files WHERE expires_ms <= $1 RETURNING id").bind(now_ms);
        let gone = gone.fetch_all(&self.write).await?;
        for row in &gone {
            remove(&self.file_path(row.get("id"))).await?;
        }
        Ok(gone.len() as u64)
    }
}

/// What is kept of an owner, and of everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Used {
    files: u64,
    bytes: u64,
    pub(crate) files_of_all: u64,
    pub(crate) bytes_of_all: u64,
}

/// Counts files, the inputs of open batches whose file was deleted, and requests that are answered later with their answers.
pub(crate) async fn used(on: impl SqliteExecutor<'_>, owner: &str) -> Result<Used, BatchError> {
    let sums = sqlx::query(
        "WITH kept (owner, bytes) AS ( \
         SELECT owner, bytes FROM files \
         UNION ALL SELECT owner, input_bytes FROM batches WHERE is_open = 1 \
           AND NOT EXISTS (SELECT 1 FROM files WHERE files.id = json_extract(batches.doc, '$.input_file_id')) \
         UNION ALL SELECT owner, length(request) + coalesce(length(answer), 0) FROM later) \
         SELECT (SELECT count(*) FROM files WHERE owner = $1), coalesce(sum(bytes) FILTER (WHERE owner = $1), 0), \
         (SELECT count(*) FROM files), coalesce(sum(bytes), 0) FROM kept",
    );
    let sums = sums.bind(owner).fetch_one(on).await?;
    let at = |index: usize| sums.get::<i64, _>(index) as u64;
    Ok(Used { files: at(0), bytes: at(1), files_of_all: at(2), bytes_of_all: at(3) })
}

impl Used {
    /// Whether one more file may be kept, of so many bytes.
    fn check(self, bytes: u64, settings: &Settings) -> Result<(), BatchError> {
        if self.files >= settings.files_max {
            let message = format!("this key has {} files, the most that it may have: delete one first", self.files);
            return Err(BatchError::TooMuch(message));
        }
        self.check_bytes(bytes, settings)
    }

    /// Whether so many bytes more may be kept.
    pub(crate) fn check_bytes(self, bytes: u64, settings: &Settings) -> Result<(), BatchError> {
        if self.bytes + bytes > settings.bytes_max {
            let message = format!(
                "what is kept of this key may have {} bytes: delete files or answers first",
                settings.bytes_max
            );
            return Err(BatchError::TooMuch(message));
        }
        if self.bytes_of_all + bytes > settings.bytes_max_of_all {
            return Err(BatchError::TooMuch("there is no room for further files here right now".to_owned()));
        }
        Ok(())
    }
}

fn unknown(id: &str) -> BatchError {
    BatchError::Unknown { what: "file", id: id.chars().take(100).collect() }
}
