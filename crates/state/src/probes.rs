//! What probes keep between their runs.

use crate::{State, StateError, now_ms};

/// Probes of which something is kept; when there are more, what was not renewed for longest is forgotten.
const PROBES_MAX: i64 = 1_000;

impl State {
    /// What each probe keeps, by its id, in its own form.
    pub async fn kept_by_probes(&self) -> Result<Vec<(String, String)>, StateError> {
        Ok(sqlx::query_as("SELECT id, body FROM probes ORDER BY id").fetch_all(&self.pool).await?)
    }

    /// Keeps this for a probe, in place of what was kept before.
    pub async fn keep_for_probe(&self, id: &str, body: &str) -> Result<(), StateError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("INSERT OR REPLACE INTO probes (id, body, updated_ms) VALUES (?, ?, ?)")
            .bind(id)
            .bind(body)
            .bind(now_ms())
            .execute(&mut *transaction)
            .await?;
        let drop =
            "DELETE FROM probes WHERE id IN (SELECT id FROM probes ORDER BY updated_ms DESC, id LIMIT -1 OFFSET ?)";
        sqlx::query(drop).bind(PROBES_MAX).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets what a probe kept.
    pub async fn forget_for_probe(&self, id: &str) -> Result<(), StateError> {
        sqlx::query("DELETE FROM probes WHERE id = ?").bind(id).execute(&self.pool).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_probes_keep_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        state.keep_for_probe("disk-root", "1").await.unwrap();
        state.keep_for_probe("quality-q", "2").await.unwrap();
        state.keep_for_probe("disk-root", "3").await.unwrap();
        state.close().await;
        let state = State::open(dir.path()).await.unwrap();
        let kept = state.kept_by_probes().await.unwrap();
        assert_eq!(kept, [("disk-root".to_owned(), "3".to_owned()), ("quality-q".to_owned(), "2".to_owned())]);
        state.forget_for_probe("disk-root").await.unwrap();
        assert_eq!(state.kept_by_probes().await.unwrap().len(), 1);
    }
}
