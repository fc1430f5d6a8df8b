//! A single request that is answered later: what it is, where it stands, and how that is shown by the API that it came by.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::Row;
use tollhouse_gateway::Owner;

use crate::cabinet::Cabinet;
use crate::error::BatchError;
use crate::files::{Part, used};
use crate::settings::Settings;

/// Answers of a key that are kept; the oldest go first.
const ANSWERS_MAX: i64 = 1_000;

/// By which API it came.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LaterApi)]
pub enum Kind {
    /// Chat completions.
    Chat,
    /// Responses.
    Response,
}

impl Kind {
    /// The path by which it is asked.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Response => "/v1/responses",
        }
    }

    pub(crate) fn id_prefix(self) -> &'static str {
        match self {
            Self::Chat => "chatcmpl-",
            Self::Response => "resp_",
        }
    }

    /// What is told by a webhook when it is over.
    pub(crate) fn event(self, status: Status) -> String {
        let what = match self {
            Self::Chat => "chat.completion",
            Self::Response => "response",
        };
        format!("{what}.{}", status.word())
    }
}

/// How it stands, in the words of OpenAI's API.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LaterStatus)]
pub enum Status {
    /// Nobody has asked it yet.
    Queued,
    /// A model is asked, or waited for.
    InProgress,
    /// It has its answer.
    Completed,
    /// It has an error in place of one.
    Failed,
    /// Somebody gave up on it.
    Cancelled,
}

impl Status {
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A request that is answered later. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Deferred {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) key_id: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) client: IpAddr,
    pub(crate) model: String,
    pub(crate) status: Status,
    pub(crate) created_ms: i64,
    pub(crate) ended_ms: Option<i64>,
    /// Until when it is kept.
    pub(crate) expires_ms: i64,
    /// What the gate answered with.
    pub(crate) http_status: Option<u16>,
    pub(crate) webhook: Option<String>,
    /// How often servers have failed at it.
    #[serde(default)]
    pub(crate) failures: u32,
}

impl Deferred {
    pub(crate) fn owner(&self) -> Owner {
        Owner { key_id: self.key_id.clone(), user: self.user.clone(), client: self.client }
    }

    /// Where it is asked for.
    pub(crate) fn location(&self) -> String {
        format!("{}/{}", self.kind.path(), self.id)
    }

    /// What is shown of it: a status and a body.
    pub(crate) fn shown(&self, answer: Option<&[u8]>) -> (u16, Value) {
        let answer = answer.and_then(|answer| serde_json::from_slice::<Value>(answer).ok());
        match (self.kind, self.status, answer) {
            (Kind::Response, Status::Completed, Some(mut answer)) => {
                answer["id"] = self.id.clone().into();
                answer["background"] = true.into();
                (200, answer)
            }
            (Kind::Chat, Status::Completed, Some(mut answer)) => {
                answer["id"] = self.id.clone().into();
                (200, answer)
            }
            (Kind::Response, _, answer) => (200, self.response(answer)),
            // As if it had just been asked.
            (Kind::Chat, Status::Failed, Some(answer)) => (self.http_status.unwrap_or(502), answer),
            (Kind::Chat, Status::Queued | Status::InProgress, _) => (202, self.chat()),
            (Kind::Chat, _, _) => (200, self.chat()),
        }
    }

    fn chat(&self) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created_ms / 1000,
            "model": self.model,
            "status": self.status,
            "choices": [],
        })
    }

    fn response(&self, answer: Option<Value>) -> Value {
        let error = (self.status == Status::Failed).then(|| {
            let error = answer.map(|mut answer| answer["error"].take()).unwrap_or_default();
            let text = |name: &str, or: &str| error[name].as_str().unwrap_or(or).to_owned();
            json!({"code": text("code", "server_error"), "message": text("message", "the request failed")})
        });
        json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created_ms / 1000,
            "status": self.status,
            "background": true,
            "error": error,
            "incomplete_details": null,
            "instructions": null,
            "metadata": {},
            "model": self.model,
            "output": [],
            "parallel_tool_calls": true,
            "temperature": null,
            "tool_choice": "auto",
            "tools": [],
            "top_p": null,
            "usage": null,
        })
    }
}

impl Cabinet {
    /// Takes a request, unless its owner has too many without an answer, or there is no room for it.
    pub(crate) async fn defer(&self, new: &Deferred, request: &Bytes, settings: &Settings) -> Result<(), BatchError> {
        let owner = new.key_id.as_deref().unwrap_or_default();
        let doc = serde_json::to_string(new)?;
        let mut tx = self.write.begin_with("BEGIN IMMEDIATE").await?;
        let open = sqlx::query("SELECT count(*) FROM later WHERE owner = $1 AND is_open = 1").bind(owner);
        let open: i64 = open.fetch_one(&mut *tx).await?.get(0);
        if open as u64 >= settings.later_max {
            let message = format!("{open} requests of this key wait for their answers, the most that may");
            return Err(BatchError::TooMuch(message));
        }
        used(&mut *tx, owner).await?.check_bytes(request.len() as u64, settings)?;
        let insert = sqlx::query(
            "INSERT INTO later (id, owner, is_open, expires_ms, doc, request) VALUES ($1, $2, 1, $3, $4, $5)",
        );
        let insert = insert.bind(&new.id).bind(owner).bind(new.expires_ms).bind(doc).bind(request.as_ref());
        insert.execute(&mut *tx).await?;
        let trim = sqlx::query(
            "DELETE FROM later WHERE owner = $1 AND is_open = 0 AND rowid NOT IN \
             (SELECT rowid FROM later WHERE owner = $1 AND is_open = 0 ORDER BY rowid DESC LIMIT $2)",
        );
        trim.bind(owner).bind(ANSWERS_MAX).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A deferred request, whoever's it is.
    pub(crate) async fn deferred(&self, id: &str) -> Result<Deferred, BatchError> {
        let row = sqlx::query("SELECT doc FROM later WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        Ok(serde_json::from_str(row.ok_or_else(|| unknown(id))?.get("doc"))?)
    }

    /// One of this owner and kind, with its answer.
    pub(crate) async fn own_deferred(
        &self,
        owner: &str,
        kind: Kind,
        id: &str,
    ) -> Result<(Deferred, Option<Vec<u8>>), BatchError> {
        let row = sqlx::query("SELECT doc, answer FROM later WHERE id = $1 AND owner = $2").bind(id).bind(owner);
        let row = row.fetch_optional(&self.read).await?.ok_or_else(|| unknown(id))?;
        let found: Deferred = serde_json::from_str(row.get("doc"))?;
        if found.kind == kind { Ok((found, row.get("answer"))) } else { Err(unknown(id)) }
    }

    /// The body of a request.
    pub(crate) async fn deferred_request(&self, id: &str) -> Result<Bytes, BatchError> {
        let row = sqlx::query("SELECT request FROM later WHERE id = $1").bind(id).fetch_optional(&self.read).await?;
        Ok(row.ok_or_else(|| unknown(id))?.get::<Vec<u8>, _>(0).into())
    }

    /// Changes one, and keeps its answer where there is one; nothing is changed where `change` says why not.
    pub(crate) async fn change_deferred(
        &self,
        id: &str,
        answer: Option<&[u8]>,
        change: impl FnOnce(&mut Deferred) -> Result<(), BatchError> + Send,
    ) -> Result<Deferred, BatchError> {
        let mut tx = self.write.begin_with("BEGIN IMMEDIATE").await?;
        let row = sqlx::query("SELECT doc FROM later WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        let mut deferred: Deferred = serde_json::from_str(row.ok_or_else(|| unknown(id))?.get("doc"))?;
        change(&mut deferred)?;
        let update = sqlx::query(
            "UPDATE later SET doc = $2, is_open = $3, expires_ms = $4, answer = coalesce($5, answer), \
             request = CASE $3 WHEN 1 THEN request ELSE x'' END WHERE id = $1",
        );
        let update = update.bind(id).bind(serde_json::to_string(&deferred)?);
        let update = update.bind(i64::from(!deferred.status.is_over())).bind(deferred.expires_ms).bind(answer);
        update.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(deferred)
    }

    /// Forgets one of this owner.
    pub(crate) async fn forget_deferred(&self, owner: &str, id: &str) -> Result<(), BatchError> {
        let removed = sqlx::query("DELETE FROM later WHERE id = $1 AND owner = $2").bind(id).bind(owner);
        if removed.execute(&self.write).await?.rows_affected() == 0 {
            return Err(unknown(id));
        }
        Ok(())
    }

    /// Those of everybody, the newest first, and whether there are more behind them.
    pub(crate) async fn all_deferred(&self, part: &Part) -> Result<(Vec<Deferred>, bool), BatchError> {
        let query = sqlx::query(
            "SELECT doc FROM later WHERE rowid < \
             coalesce((SELECT rowid FROM later WHERE id = $1), 9223372036854775807) ORDER BY rowid DESC LIMIT $2",
        );
        let rows = query.bind(&part.after).bind(i64::from(part.limit) + 1).fetch_all(&self.read).await?;
        let has_more = rows.len() > part.limit as usize;
        let read = |row: &sqlx::sqlite::SqliteRow| serde_json::from_str(row.get("doc"));
        let found = rows.iter().take(part.limit as usize).map(read).collect::<Result<_, _>>()?;
        Ok((found, has_more))
    }

    /// How those stand that have no answer yet.
    pub(crate) async fn open_deferred_by_status(&self) -> Result<BTreeMap<Status, u64>, BatchError> {
        let mut by_status = BTreeMap::new();
        for row in sqlx::query("SELECT doc FROM later WHERE is_open = 1").fetch_all(&self.read).await? {
            let deferred: Deferred = serde_json::from_str(row.get("doc"))?;
            *by_status.entry(deferred.status).or_default() += 1;
        }
        Ok(by_status)
    }

    /// Ids of those without an answer.
    pub(crate) async fn open_deferred(&self) -> Result<Vec<String>, BatchError> {
        let rows = sqlx::query("SELECT id FROM later WHERE is_open = 1 ORDER BY rowid").fetch_all(&self.read).await?;
        Ok(rows.iter().map(|row| row.get("id")).collect())
    }

    /// Removes those whose time is over; tells how many.
    pub(crate) async fn remove_old_deferred(&self, now_ms: i64) -> Result<u64, BatchError> {
        let removed = sqlx::query("DELETE FROM later WHERE expires_ms <= $1").bind(now_ms);
        Ok(removed.execute(&self.write).await?.rows_affected())
    }
}

fn unknown(id: &str) -> BatchError {
    BatchError::Unknown { what: "request that is answered later", id: id.chars().take(100).collect() }
}
