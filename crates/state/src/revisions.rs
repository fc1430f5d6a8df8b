//! What was changed of the configuration in the console, by whom, and how the text was before and after.

use serde::Serialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::{State, StateError, now_ms};

/// Revisions that are kept; the oldest leave.
pub const REVISIONS_MAX: usize = 100;
/// Bytes of all their texts together, beyond which the oldest leave; the newest always stays.
const TEXTS_BYTES_MAX: i64 = 16 * 1024 * 1024;

/// A change of the configuration file.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Revision {
    /// Counted up.
    pub id: i64,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: i64,
    /// Whoever made it.
    pub by: String,
    /// What that session was allowed to do.
    pub role: String,
    /// Where it came from.
    pub client: String,
    /// Paths of what it changed.
    pub changed: Vec<String>,
    /// Those of them that had to wait for the next start.
    pub restart: Vec<String>,
    /// The text before, with masks for secrets. Not sent along with a list.
    #[serde(skip)]
    pub before: String,
    /// The text after it.
    #[serde(skip)]
    pub after: String,
}

impl State {
    /// Keeps a change under a new id and at this moment, and gives that id.
    pub async fn add_revision(&self, revision: &Revision) -> Result<i64, StateError> {
        let mut step = self.pool.begin().await?;
        let insert = "INSERT INTO revisions (at_ms, by, role, client, before, after, changed, restart)
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let done = sqlx::query(insert)
            .bind(now_ms())
            .bind(&revision.by)
            .bind(&revision.role)
            .bind(&revision.client)
            .bind(&revision.before)
            .bind(&revision.after)
            .bind(serde_json::json!(revision.changed).to_string())
            .bind(serde_json::json!(revision.restart).to_string())
            .execute(&mut *step)
            .await?;
        let id = done.last_insert_rowid();
        // Newest first, with what each and those after it take.
        let trim = "DELETE FROM revisions WHERE id < ? AND id NOT IN (
                      SELECT id FROM (
                        SELECT id, sum(length(CAST(before AS BLOB)) + length(CAST(after AS BLOB))) OVER (ORDER BY id DESC) AS bytes
                        FROM revisions ORDER BY id DESC LIMIT ?)
                      WHERE bytes <= ?)";
        sqlx::query(trim).bind(id).bind(REVISIONS_MAX as i64).bind(TEXTS_BYTES_MAX).execute(&mut *step).await?;
        step.commit().await?;
        Ok(id)
    }

    /// All changes, the newest first, without their texts.
    pub async fn revisions(&self) -> Result<Vec<Revision>, StateError> {
        let select = "SELECT id, at_ms, by, role, client, changed, restart, '' AS before, '' AS after
                      FROM revisions ORDER BY id DESC LIMIT ?";
        let rows = sqlx::query(select).bind(REVISIONS_MAX as i64).fetch_all(&self.pool).await?;
        rows.iter().map(read).collect()
    }

    /// One change with its texts.
    pub async fn revision(&self, id: i64) -> Result<Option<Revision>, StateError> {
        let row = sqlx::query("SELECT * FROM revisions WHERE id = ?").bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(read).transpose()
    }
}

fn read(row: &SqliteRow) -> Result<Revision, StateError> {
    let paths = |name: &str| -> Result<Vec<String>, sqlx::Error> {
        let text: String = row.try_get(name)?;
        serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(Box::new(error)))
    };
    Ok(Revision {
        id: row.try_get("id")?,
        at_ms: row.try_get("at_ms")?,
        by: row.try_get("by")?,
        role: row.try_get("role")?,
        client: row.try_get("client")?,
        changed: paths("changed")?,
        restart: paths("restart")?,
        before: row.try_get("before")?,
        after: row.try_get("after")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn revisions_are_kept_newest_first_and_the_oldest_leave() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let text = |bytes: usize| "a".repeat(bytes);
        let revision = |number: usize, bytes| Revision {
            by: format!("user {number}"),
            changed: vec!["models".into()],
            before: text(bytes),
            after: text(1),
            ..Revision::default()
        };
        for number in 0..REVISIONS_MAX + 2 {
            state.add_revision(&revision(number, 10)).await.unwrap();
        }
        let kept = state.revisions().await.unwrap();
        assert_eq!((kept.len(), kept[0].by.as_str()), (REVISIONS_MAX, "user 101"));
        assert!(kept[0].before.is_empty(), "lists carry no texts");
        let one = state.revision(kept[0].id).await.unwrap().unwrap();
        assert_eq!((one.before.len(), one.changed[0].as_str()), (10, "models"));
        assert_eq!(state.revision(1).await.unwrap(), None);

        state.add_revision(&revision(0, TEXTS_BYTES_MAX as usize)).await.unwrap();
        assert_eq!(state.revisions().await.unwrap().len(), 1, "the newest stays, however large");
    }
}
