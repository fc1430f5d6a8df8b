//! A batch: what it is, what becomes of it, and the answers to its lines.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tollhouse_gateway::Owner;

use crate::cabinet::{Cabinet, new_id};
use crate::error::BatchError;
use crate::files::Part;
use crate::lines::LineError;
use crate::settings::Settings;

/// Batches of a key that are over and still told of.
const OVER_MAX: i64 = 1_000;

/// The owner of what belongs to nobody in particular: where no key is asked for.
pub(crate) fn owner_name(owner: &Owner) -> &str {
    owner.key_id.as_deref().unwrap_or_default()
}

/// How a batch stands, in the words of OpenAI's API.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BatchStatus)]
pub enum Status {
    /// Its file is read.
    Validating,
    /// Its file is wrong, or the house gave it up.
    Failed,
    /// Its requests are asked.
    InProgress,
    /// Its answers are written into files.
    Finalizing,
    /// Each request has its answer, or an error.
    Completed,
    /// Its time was over before all was asked.
    Expired,
    /// Somebody has ended it, which is not done yet.
    Cancelling,
    /// Somebody has ended it.
    Cancelled,
}

impl Status {
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Failed => "failed",
            Self::InProgress => "in_progress",
            Self::Finalizing => "finalizing",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A batch. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Batch {
    pub(crate) id: String,
    pub(crate) key_id: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) client: IpAddr,
    pub(crate) endpoint: String,
    pub(crate) input_file_id: String,
    /// As the client said it.
    pub(crate) completion_window: String,
    pub(crate) metadata: Option<Map<String, Value>>,
    pub(crate) status: Status,
    pub(crate) created_ms: i64,
    pub(crate) expires_ms: i64,
    pub(crate) in_progress_ms: Option<i64>,
    pub(crate) finalizing_ms: Option<i64>,
    pub(crate) cancelling_ms: Option<i64>,
    /// When it was over.
    pub(crate) ended_ms: Option<i64>,
    pub(crate) output_file_id: Option<String>,
    pub(crate) error_file_id: Option<String>,
    pub(crate) errors: Vec<LineError>,
    pub(crate) total: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

impl Batch {
    pub(crate) fn owner(&self) -> Owner {
        Owner { key_id: self.key_id.clone(), user: self.user.clone(), client: self.client }
    }

    /// Ends it.
    pub(crate) fn end(&mut self, status: Status, now_ms: i64) {
        self.status = status;
        self.ended_ms = Some(now_ms);
    }

    /// As OpenAI's API shows it.
    pub(crate) fn shown(&self) -> Value {
        let seconds = |ms: Option<i64>| ms.map(|ms| ms / 1000);
        let ended = |status| seconds(self.ended_ms.filter(|_| self.status == status));
        let errors = if self.errors.is_empty() { Value::Null } else { json!({"object": "list", "data": self.errors}) };
        json!({
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": errors,
            "input_file_id": self.input_file_id,
            "completion_window": self.completion_window,
            "status": self.status,
            "output_file_id": self.output_file_id,
            "error_file_id": self.error_file_id,
            "created_at": self.created_ms / 1000,
            "in_progress_at": seconds(self.in_progress_ms),
            "expires_at": self.expires_ms / 1000,
            "finalizing_at": seconds(self.finalizing_ms),
            "completed_at": ended(Status::Completed),
            "failed_at": ended(Status::Failed),
            "expired_at": ended(Status::Expired),
            "cancelling_at": seconds(self.cancelling_ms),
            "cancelled_at": ended(Status::Cancelled),
            "request_counts": {"total": self.total, "completed": self.completed, "failed": self.failed},
            "metadata": self.metadata,
        })
    }
}

/// A line of an output file (OpenAI's API, "batch request output object"): what was answered, or why nothing was asked.
pub(crate) fn output_line(custom_id: &str, response: &Value, error: &Value) -> String {
    let id = new_id("batch_req_");
    json!({"id": id, "custom_id": custom_id, "response": response, "error": error}).to_string()
}

/// The answer to a line, as it will stand in a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LineAnswer {
    pub(crate) line: u64,
    pub(crate) is_ok: bool,
    pub(crate) body: String,
}

impl Cabinet {
    /// Takes a new batch that holds an input of so many bytes, unless its owner has too many that are not over.
    pub(crate) async fn add_batch(
        &self,
        batch: &Batch,
        input_bytes: u64,
        settings: &Settings,
    ) -> Result<(), BatchError> {
        let owner = batch.key_id.as_deref().unwrap_or_default();
        let doc = serde_json::to_string(batch)?;
        let mut tx = self.write.begin_with("BEGIN IMMEDIATE").await?;
        let open = sqlx::query("SELECT count(*) FROM batches WHERE owner = $1 AND is_open = 1").bind(owner);
        let open: i64 = open.fetch_one(&mut *tx).await?.get(0);
        if open as u64 >= settings.batches_max {
            let message = format!("this key has {open} batches that are not over, the most that it may have");
            return Err(BatchError::TooMuch(message));
        }
        let insert = sqlx::query(
            "INSERT INTO batches (id, owner, is_open, created_ms, doc, input_bytes) VALUES ($1, $2, 1, $3, $4, $5)",
        );
        let insert = insert.bind(&batch.id).bind(owner).bind(batch.created_ms).bind(doc);
        insert.bind(input_bytes as i64).execute(&mut *tx).await?;
        let trim = sqlx::query(
            "DELETE FROM batches WHERE owner = $1 AND is_open = 0 AND rowid NOT IN \
             (SELECT rowid FROM batches WHERE owner = $1 AND is_open = 0 ORDER BY rowid DESC LIMIT $2)",
        );
        trim.bind(owner).bind(OVER_MAX).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A batch, whoever's it is, with its counts as they are now.
    pub(crate) async fn batch(&self, id: &str) -> Result<Batch, BatchError> {
        let row = sqlx::query("SELECT doc FROM batches WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        self.counted(&row.ok_or_else(|| unknown(id))?).await
    }

    /// What is kept of a batch; the answers of one that is not over are counted.
    async fn counted(&self, row: &SqliteRow) -> Result<Batch, BatchError> {
        let mut batch: Batch = serde_json::from_str(row.get("doc"))?;
        if !batch.status.is_over() {
            let counts =
                sqlx::query("SELECT is_ok, count(*) FROM answers WHERE batch = $1 GROUP BY is_ok").bind(&batch.id);
            for row in counts.fetch_all(&self.read).await? {
                let count = row.get::<i64, _>(1) as u64;
                if row.get::<i64, _>(0) == 1 { batch.completed = count } else { batch.failed = count }
            }
        }
        Ok(batch)
    }

    /// How a batch stands, and until when it is worked on.
    pub(crate) async fn batch_status(&self, id: &str) -> Result<(Status, i64), BatchError> {
        let row = sqlx::query("SELECT doc FROM batches WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        let batch: Batch = serde_json::from_str(row.ok_or_else(|| unknown(id))?.get("doc"))?;
        Ok((batch.status, batch.expires_ms))
    }

    /// A batch of this owner.
    pub(crate) async fn own_batch(&self, owner: &str, id: &str) -> Result<Batch, BatchError> {
        let batch = self.batch(id).await?;
        if batch.key_id.as_deref().unwrap_or_default() == owner { Ok(batch) } else { Err(unknown(id)) }
    }

    /// Batches of this owner, or of everybody, the newest first, and whether there are more behind them.
    pub(crate) async fn batches(&self, owner: Option<&str>, part: &Part) -> Result<(Vec<Batch>, bool), BatchError> {
        let query = sqlx::query(
            "SELECT doc FROM batches WHERE ($1 IS NULL OR owner = $1) AND rowid < \
             coalesce((SELECT rowid FROM batches WHERE id = $2 AND ($1 IS NULL OR owner = $1)), 9223372036854775807) \
             ORDER BY rowid DESC LIMIT $3",
        );
        let rows = query.bind(owner).bind(&part.after).bind(i64::from(part.limit) + 1).fetch_all(&self.read).await?;
        let has_more = rows.len() > part.limit as usize;
        let mut batches = Vec::new();
        for row in rows.iter().take(part.limit as usize) {
            batches.push(self.counted(row).await?);
        }
        Ok((batches, has_more))
    }

    /// Ids of the batches that are not over.
    pub(crate) async fn open_batches(&self) -> Result<Vec<String>, BatchError> {
        let rows = sqlx::query("SELECT id FROM batches WHERE is_open = 1 ORDER BY rowid").fetch_all(&self.read).await?;
        Ok(rows.iter().map(|row| row.get("id")).collect())
    }

    /// Changes a batch; nothing is changed where `change` says why not.
    pub(crate) async fn change_batch(
        &self,
        id: &str,
        change: impl FnOnce(&mut Batch) -> Result<(), BatchError> + Send,
    ) -> Result<Batch, BatchError> {
        let mut tx = self.write.begin_with("BEGIN IMMEDIATE").await?;
        let row = sqlx::query("SELECT doc FROM batches WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        let row = row.ok_or_else(|| unknown(id))?;
        let mut batch: Batch = serde_json::from_str(row.get("doc"))?;
        change(&mut batch)?;
        let update = sqlx::query("UPDATE batches SET doc = $2, is_open = $3 WHERE id = $1").bind(id);
        let update = update.bind(serde_json::to_string(&batch)?).bind(i64::from(!batch.status.is_over()));
        update.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(batch)
    }

    /// How many batches, and requests that are answered later, are not over.
    pub(crate) async fn open_count(&self) -> Result<(u64, u64), BatchError> {
        let counts = sqlx::query(
            "SELECT (SELECT count(*) FROM batches WHERE is_open = 1), (SELECT count(*) FROM later WHERE is_open = 1)",
        );
        let counts = counts.fetch_one(&self.read).await?;
        Ok((counts.get::<i64, _>(0) as u64, counts.get::<i64, _>(1) as u64))
    }

    /// How the batches stand that are not over, and how many of their requests have no answer yet.
    pub(crate) async fn open_by_status(&self) -> Result<(BTreeMap<Status, u64>, u64), BatchError> {
        let open = sqlx::query(
            "SELECT doc, (SELECT count(*) FROM answers WHERE batch = batches.id) AS answers FROM batches WHERE is_open = 1",
        );
        let mut by_status = BTreeMap::new();
        let mut waiting = 0;
        for row in open.fetch_all(&self.read).await? {
            let batch: Batch = serde_json::from_str(row.get("doc"))?;
            *by_status.entry(batch.status).or_default() += 1;
            waiting += batch.total.saturating_sub(row.get::<i64, _>("answers") as u64);
        }
        Ok((by_status, waiting))
    }

    /// Keeps how often servers have failed at a line.
    pub(crate) async fn keep_failures(&self, batch: &str, line: u64, count: u32) -> Result<(), BatchError> {
        let keep = sqlx::query(
            "INSERT INTO failures (batch, line, count) VALUES ($1, $2, $3) ON CONFLICT DO UPDATE SET count = excluded.count",
        );
        keep.bind(batch).bind(line as i64).bind(count).execute(&self.write).await?;
        Ok(())
    }

    /// How often servers have failed at a line.
    pub(crate) async fn failures(&self, batch: &str, line: u64) -> Result<u32, BatchError> {
        let count = sqlx::query_scalar("SELECT count FROM failures WHERE batch = $1 AND line = $2").bind(batch);
        Ok(count.bind(line as i64).fetch_optional(&self.read).await?.unwrap_or(0))
    }

    /// Keeps the answer to a line; the first one stays.
    pub(crate) async fn keep_answer(&self, batch: &str, answer: &LineAnswer) -> Result<(), BatchError> {
        let insert =
            sqlx::query("INSERT OR IGNORE INTO answers (batch, line, is_ok, bytes, body) VALUES ($1, $2, $3, $4, $5)");
        let insert = insert.bind(batch).bind(answer.line as i64).bind(i64::from(answer.is_ok));
        let insert = insert.bind(answer.body.len() as i64).bind(&answer.body);
        insert.execute(&self.write).await?;
        Ok(())
    }

    /// The lines between two that have answers.
    pub(crate) async fn answered(&self, batch: &str, first: u64, last: u64) -> Result<HashSet<u64>, BatchError> {
        let rows = sqlx::query("SELECT line FROM answers WHERE batch = $1 AND line BETWEEN $2 AND $3").bind(batch);
        let rows = rows.bind(first as i64).bind(last as i64).fetch_all(&self.read).await?;
        Ok(rows.iter().map(|row| row.get::<i64, _>(0) as u64).collect())
    }

    /// Bytes of all answers of a batch so far.
    pub(crate) async fn answer_bytes(&self, batch: &str) -> Result<u64, BatchError> {
        let sum = sqlx::query("SELECT coalesce(sum(bytes), 0) FROM answers WHERE batch = $1").bind(batch);
        Ok(sum.fetch_one(&self.read).await?.get::<i64, _>(0) as u64)
    }

    /// Answers in the order of their lines, behind this one.
    pub(crate) async fn answers(&self, batch: &str, after: u64, limit: u32) -> Result<Vec<LineAnswer>, BatchError> {
        let rows =
            sqlx::query("SELECT line, is_ok, body FROM answers WHERE batch = $1 AND line > $2 ORDER BY line LIMIT $3");
        let rows = rows.bind(batch).bind(after as i64).bind(i64::from(limit)).fetch_all(&self.read).await?;
        let answer = |row: &SqliteRow| LineAnswer {
            line: row.get::<i64, _>("line") as u64,
            is_ok: row.get::<i64, _>("is_ok") == 1,
            body: row.get("body"),
        };
        Ok(rows.iter().map(answer).collect())
    }

    /// Removes batches that are over and were made before this; tells how many.
    pub(crate) async fn remove_old_batches(&self, before_ms: i64) -> Result<u64, BatchError> {
        let removed = sqlx::query("DELETE FROM batches WHERE is_open = 0 AND created_ms < $1").bind(before_ms);
        Ok(removed.execute(&self.write).await?.rows_affected())
    }
}

pub(crate) fn unknown(id: &str) -> BatchError {
    BatchError::Unknown { what: "batch", id: id.chars().take(100).collect() }
}
