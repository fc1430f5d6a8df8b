//! Alert rules that were saved in the console, beside those of the configuration's file.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::{State, StateError, now_ms};

/// Rules that are kept.
pub const SAVED_RULES_MAX: i64 = 200;

/// A rule as it was saved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SavedRule {
    /// Its name.
    pub name: String,
    /// Its settings as YAML, as they stand in a configuration.
    pub body: String,
    /// Who saved it.
    pub owner: String,
    /// When, in milliseconds since 1970 UTC.
    pub changed_ms: i64,
}

impl State {
    /// All of them, by name.
    pub async fn saved_rules(&self) -> Result<Vec<SavedRule>, StateError> {
        let rows = sqlx::query("SELECT * FROM alert_rules ORDER BY name").fetch_all(&self.pool).await?;
        let rule = |row: &SqliteRow| {
            Ok(SavedRule {
                name: row.try_get("name")?,
                body: row.try_get("body")?,
                owner: row.try_get("owner")?,
                changed_ms: row.try_get("changed_ms")?,
            })
        };
        rows.iter().map(rule).collect()
    }

    /// Keeps a rule in place of the one of its name; `false` when as many are kept as may be.
    pub async fn save_rule(&self, name: &str, body: &str, owner: &str) -> Result<bool, StateError> {
        let saved = sqlx::query(
            "INSERT INTO alert_rules (name, body, owner, changed_ms) SELECT ?1, ?2, ?3, ?4
             WHERE (SELECT count(*) FROM alert_rules WHERE name <> ?1) < ?5
             ON CONFLICT (name) DO UPDATE SET body = excluded.body, owner = excluded.owner, changed_ms = excluded.changed_ms",
        )
        .bind(name)
        .bind(body)
        .bind(owner)
        .bind(now_ms())
        .bind(SAVED_RULES_MAX)
        .execute(&self.pool)
        .await?;
        Ok(saved.rows_affected() == 1)
    }

    /// Forgets a rule; `false` when there is none of this name.
    pub async fn remove_rule(&self, name: &str) -> Result<bool, StateError> {
        let removed = sqlx::query("DELETE FROM alert_rules WHERE name = ?").bind(name).execute(&self.pool).await?;
        Ok(removed.rows_affected() == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rules_are_kept_by_name_up_to_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        assert!(state.save_rule("slow", "{count: \">= 5\"}", "alice").await.unwrap());
        assert!(state.save_rule("slow", "{count: \">= 9\"}", "bob").await.unwrap());
        let kept = state.saved_rules().await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].body.as_str(), kept[0].owner.as_str()), ("{count: \">= 9\"}", "bob"));
        for number in 1..SAVED_RULES_MAX {
            assert!(state.save_rule(&format!("r{number}"), "{}", "alice").await.unwrap());
        }
        assert!(!state.save_rule("one-more", "{}", "alice").await.unwrap());
        assert!(state.save_rule("slow", "{}", "alice").await.unwrap(), "one that is there can still be changed");
        assert!(state.remove_rule("slow").await.unwrap() && !state.remove_rule("slow").await.unwrap());
        state.close().await;
    }
}
