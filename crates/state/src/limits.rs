//! What was used of the limits, kept over a restart.

use sqlx::Row;

use crate::{State, StateError};

/// What was used of the limits up to a line of the journal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LimitsSnapshot {
    /// The last journal line that is counted in it.
    pub seq: u64,
    /// In the form of the crate that counts.
    pub bytes: Vec<u8>,
}

impl State {
    /// Keeps a snapshot in place of the one before.
    pub async fn save_limits(&self, snapshot: &LimitsSnapshot) -> Result<(), StateError> {
        sqlx::query("INSERT OR REPLACE INTO limits (one, seq, snapshot) VALUES (1, ?, ?)")
            .bind(snapshot.seq as i64)
            .bind(&snapshot.bytes)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The last snapshot that was kept.
    pub async fn load_limits(&self) -> Result<Option<LimitsSnapshot>, StateError> {
        let row = sqlx::query("SELECT seq, snapshot FROM limits").fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(LimitsSnapshot { seq: row.try_get::<i64, _>("seq")? as u64, bytes: row.try_get("snapshot")? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_snapshot_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        assert_eq!(state.load_limits().await.unwrap(), None);
        for seq in [7, 9] {
            let snapshot = LimitsSnapshot { seq, bytes: vec![seq as u8; 3] };
            state.save_limits(&snapshot).await.unwrap();
            assert_eq!(state.load_limits().await.unwrap(), Some(snapshot));
        }
    }
}
