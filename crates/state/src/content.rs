//! Keys under which prompts and answers are sealed.

use std::fmt;

use sqlx::Row;

use crate::pepper::random;
use crate::{State, StateError, now_ms, random_token};

/// Characters of a key's public id: 95 bits.
const ID_CHARS: usize = 16;

/// A key that seals what is kept of one owner.
#[derive(Clone, PartialEq, Eq)]
pub struct ContentKey {
    /// Names it beside what it sealed.
    pub id: String,
    bytes: [u8; 32],
}

impl ContentKey {
    /// A key of these bytes.
    pub fn new(id: impl Into<String>, bytes: [u8; 32]) -> Self {
        Self { id: id.into(), bytes }
    }

    /// The key itself.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// That what was kept of an owner was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// In the order of their happening.
    pub number: i64,
    /// Whose content it was.
    pub owner: String,
    /// The key that is no more.
    pub key_id: String,
    /// When, in milliseconds since 1970 UTC.
    pub erased_ms: i64,
}

impl State {
    /// The key of this owner; made when there is none.
    pub async fn content_key(&self, owner: &str) -> Result<ContentKey, StateError> {
        // Whoever makes it first wins, and everybody gets that one.
        loop {
            let row = sqlx::query("SELECT id, key FROM content_keys WHERE owner = ?")
                .bind(owner)
                .fetch_optional(&self.pool)
                .await?;
            if let Some(row) = row {
                return read(&row);
            }
            sqlx::query("INSERT OR IGNORE INTO content_keys (id, owner, key, created_ms) VALUES (?, ?, ?, ?)")
                .bind(random_token(ID_CHARS))
                .bind(owner)
                .bind(random::<32>().as_slice())
                .bind(now_ms())
                .execute(&self.pool)
                .await?;
        }
    }

    /// The key of this id; nothing when it was deleted.
    pub async fn content_key_of_id(&self, id: &str) -> Result<Option<ContentKey>, StateError> {
        let row =
            sqlx::query("SELECT id, key FROM content_keys WHERE id = ?").bind(id).fetch_optional(&self.pool).await?;
        row.map(|row| read(&row)).transpose()
    }

    /// Deletes the key of this owner, so that nothing that was kept of them can be read any more; says whether there was
    /// one. That it happened is kept until [`State::erasure_recorded`].
    pub async fn erase_content(&self, owner: &str) -> Result<bool, StateError> {
        let mut transaction = self.pool.begin().await?;
        let id: Option<String> = sqlx::query_scalar("DELETE FROM content_keys WHERE owner = ? RETURNING id")
            .bind(owner)
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(id) = id else { return Ok(false) };
        sqlx::query("INSERT INTO content_erasures (owner, key_id, erased_ms) VALUES (?, ?, ?)")
            .bind(owner)
            .bind(id)
            .bind(now_ms())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        // The old page may lie in the write-ahead log still. Whoever reads meanwhile only delays this.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await?;
        Ok(true)
    }

    /// Erasures that have no record yet, oldest first.
    pub async fn unrecorded_erasures(&self) -> Result<Vec<Erasure>, StateError> {
        let rows = sqlx::query("SELECT number, owner, key_id, erased_ms FROM content_erasures ORDER BY number")
            .fetch_all(&self.pool)
            .await?;
        let erasure = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Erasure {
                number: row.try_get("number")?,
                owner: row.try_get("owner")?,
                key_id: row.try_get("key_id")?,
                erased_ms: row.try_get("erased_ms")?,
            })
        };
        rows.iter().map(erasure).collect()
    }

    /// The journal has a record of this erasure.
    pub async fn erasure_recorded(&self, number: i64) -> Result<(), StateError> {
        sqlx::query("DELETE FROM content_erasures WHERE number = ?").bind(number).execute(&self.pool).await?;
        Ok(())
    }
}

/// A key as it lies in the table.
fn read(row: &sqlx::sqlite::SqliteRow) -> Result<ContentKey, StateError> {
    let bytes: Vec<u8> = row.try_get("key")?;
    let wrong = |bytes: Vec<u8>| sqlx::Error::Decode(format!("a content key of {} bytes", bytes.len()).into());
    Ok(ContentKey { id: row.try_get("id")?, bytes: bytes.try_into().map_err(wrong)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_has_one_key_until_it_is_erased() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let (first, same) = tokio::join!(state.content_key("user:a"), state.content_key("user:a"));
        let (first, same) = (first.unwrap(), same.unwrap());
        assert_eq!(first, same);
        let other = state.content_key("user:b").await.unwrap();
        assert!(other.id != first.id && other.bytes != first.bytes);
        assert_eq!(state.content_key_of_id(&first.id).await.unwrap().as_ref(), Some(&first));

        let before = state.versions().await.unwrap();
        assert!(state.erase_content("user:a").await.unwrap());
        let after = state.versions().await.unwrap();
        assert!(after.erasures > before.erasures && after.keys == before.keys);
        assert!(!state.erase_content("user:a").await.unwrap(), "there is nothing left");
        assert_eq!(state.content_key_of_id(&first.id).await.unwrap(), None);
        let erasures = state.unrecorded_erasures().await.unwrap();
        assert_eq!((erasures.len(), erasures[0].owner.as_str(), &erasures[0].key_id), (1, "user:a", &first.id));
        state.erasure_recorded(erasures[0].number).await.unwrap();
        assert!(state.unrecorded_erasures().await.unwrap().is_empty());
        assert_ne!(state.content_key("user:a").await.unwrap().id, first.id, "who comes again begins anew");

        state.close().await;
        let mut files = std::fs::read_dir(dir.path().join("state")).unwrap();
        let holds =
            |path: &std::path::Path| std::fs::read(path).unwrap().windows(32).any(|window| window == first.bytes);
        assert!(!files.any(|file| holds(&file.unwrap().path())), "no file holds the erased key");
    }
}
