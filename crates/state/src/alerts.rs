//! What alert rules found, and what is still to be told of it.
//!
//! States and what they give rise to are kept in one transaction: whoever is killed in between has told nothing that is not
//! kept, and kept nothing that is not told later.

use sqlx::{Row, Sqlite, Transaction};

use crate::incidents::{self, Incident};
use crate::{State, StateError, now_ms};

/// Messages that wait for one channel; when more come, the oldest are dropped.
pub const WAITING_ALERTS_MAX: i64 = 1_000;

/// What a rule found of one group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AlertState {
    /// The rule's name.
    pub rule: String,
    /// The value that it groups by; empty where it groups by nothing.
    pub group: String,
    /// The rule's own form.
    pub body: String,
}

/// What is to be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AlertIntent {
    /// The channel; empty for the journal.
    pub channel: String,
    /// The message, in its sender's form.
    pub body: String,
}

/// What one look at the records leads to.
#[derive(Clone, Debug, Default)]
pub struct AlertChanges {
    /// States that are other ones now.
    pub changed: Vec<AlertState>,
    /// Rules and groups of which nothing has to be remembered.
    pub forgotten: Vec<(String, String)>,
    /// What is to be told.
    pub intents: Vec<AlertIntent>,
    /// What was told as the beginning of something.
    pub opened: Vec<Incident>,
    /// Incidents and those of their groups that are over.
    pub ended: Vec<(String, String)>,
    /// Incidents that others are told of, too.
    pub escalated: Vec<String>,
    /// What else is to be remembered, by name.
    pub memory: Vec<(String, String)>,
}

/// What is still to be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WaitingAlert {
    /// In the order of their coming.
    pub number: i64,
    /// The message, in its sender's form.
    pub body: String,
    /// Since when, in milliseconds since 1970 UTC.
    pub created_ms: i64,
}

impl State {
    /// What all rules found.
    pub async fn alert_states(&self) -> Result<Vec<AlertState>, StateError> {
        let rows = sqlx::query("SELECT rule, grouping, body FROM alert_states ORDER BY rule, grouping")
            .fetch_all(&self.pool)
            .await?;
        let state = |row: &sqlx::sqlite::SqliteRow| {
            Ok(AlertState { rule: row.try_get("rule")?, group: row.try_get("grouping")?, body: row.try_get("body")? })
        };
        rows.iter().map(state).collect()
    }

    /// Keeps what became of rules, and what is to be told of it: all or nothing. Gives how many older messages had to be
    /// dropped for the new ones.
    pub async fn keep_alerts(&self, changes: &AlertChanges) -> Result<u64, StateError> {
        let mut transaction = self.pool.begin().await?;
        for state in &changes.changed {
            sqlx::query("INSERT OR REPLACE INTO alert_states (rule, grouping, body) VALUES (?, ?, ?)")
                .bind(&state.rule)
                .bind(&state.group)
                .bind(&state.body)
                .execute(&mut *transaction)
                .await?;
        }
        for (rule, group) in &changes.forgotten {
            sqlx::query("DELETE FROM alert_states WHERE rule = ? AND grouping = ?")
                .bind(rule)
                .bind(group)
                .execute(&mut *transaction)
                .await?;
        }
        incidents::open(&mut transaction, &changes.opened).await?;
        incidents::end(&mut transaction, &changes.ended).await?;
        incidents::escalated(&mut transaction, &changes.escalated).await?;
        incidents::remember(&mut transaction, &changes.memory).await?;
        let mut dropped = 0;
        for intent in &changes.intents {
            sqlx::query("INSERT INTO alert_outbox (channel, body, created_ms) VALUES (?, ?, ?)")
                .bind(&intent.channel)
                .bind(&intent.body)
                .bind(now_ms())
                .execute(&mut *transaction)
                .await?;
            dropped += make_room(&mut transaction, &intent.channel).await?;
        }
        transaction.commit().await?;
        Ok(dropped)
    }

    /// What waits for a channel (the empty name is the journal), oldest first.
    pub async fn waiting_alerts(&self, channel: &str) -> Result<Vec<WaitingAlert>, StateError> {
        let rows = sqlx::query("SELECT number, body, created_ms FROM alert_outbox WHERE channel = ? ORDER BY number")
            .bind(channel)
            .fetch_all(&self.pool)
            .await?;
        let waiting = |row: &sqlx::sqlite::SqliteRow| {
            Ok(WaitingAlert {
                number: row.try_get("number")?,
                body: row.try_get("body")?,
                created_ms: row.try_get("created_ms")?,
            })
        };
        rows.iter().map(waiting).collect()
    }

    /// These are told, or given up; `records` say so to the journal, in the same moment.
    pub async fn alerts_told(&self, numbers: &[i64], records: &[String]) -> Result<(), StateError> {
        let mut transaction = self.pool.begin().await?;
        for number in numbers {
            sqlx::query("DELETE FROM alert_outbox WHERE number = ?").bind(number).execute(&mut *transaction).await?;
        }
        for record in records {
            sqlx::query("INSERT INTO alert_outbox (channel, body, created_ms) VALUES ('', ?, ?)")
                .bind(record)
                .bind(now_ms())
                .execute(&mut *transaction)
                .await?;
            make_room(&mut transaction, "").await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Channels that something waits for, the journal not among them.
    pub async fn channels_waited_for(&self) -> Result<Vec<String>, StateError> {
        let query = "SELECT DISTINCT channel FROM alert_outbox WHERE channel <> '' ORDER BY channel";
        Ok(sqlx::query_scalar(query).fetch_all(&self.pool).await?)
    }

    /// Nothing of this rule is told until then (milliseconds since 1970 UTC).
    pub async fn silence_alerts(&self, rule: &str, until_ms: i64) -> Result<(), StateError> {
        sqlx::query("INSERT OR REPLACE INTO alert_silences (rule, until_ms) VALUES (?, ?)")
            .bind(rule)
            .bind(until_ms)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Silences that are not over: rule, and until when.
    pub async fn alert_silences(&self) -> Result<Vec<(String, i64)>, StateError> {
        let query = "SELECT rule, until_ms FROM alert_silences WHERE until_ms > ? ORDER BY rule";
        Ok(sqlx::query_as(query).bind(now_ms()).fetch_all(&self.pool).await?)
    }
}

/// Drops the oldest messages of a channel beyond [`WAITING_ALERTS_MAX`].
async fn make_room(transaction: &mut Transaction<'_, Sqlite>, channel: &str) -> Result<u64, StateError> {
    let drop = "DELETE FROM alert_outbox WHERE number IN
                (SELECT number FROM alert_outbox WHERE channel = ? ORDER BY number DESC LIMIT -1 OFFSET ?)";
    let dropped = sqlx::query(drop).bind(channel).bind(WAITING_ALERTS_MAX).execute(&mut **transaction).await?;
    Ok(dropped.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn states_and_what_is_to_be_told_are_kept_together() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let found = AlertState { rule: "r".into(), group: "g".into(), body: "1".into() };
        let intent = |body: &str| AlertIntent { channel: "ops".into(), body: body.into() };
        let changes = AlertChanges {
            changed: vec![found.clone()],
            intents: vec![intent("a"), intent("b")],
            ..AlertChanges::default()
        };
        state.keep_alerts(&changes).await.unwrap();
        state.close().await;

        let state = State::open(dir.path()).await.unwrap();
        assert_eq!(state.alert_states().await.unwrap(), [found]);
        let waiting = state.waiting_alerts("ops").await.unwrap();
        assert_eq!(waiting.iter().map(|waiting| waiting.body.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(state.channels_waited_for().await.unwrap(), ["ops"]);
        state.alerts_told(&[waiting[0].number], &["told a".into()]).await.unwrap();
        assert_eq!(state.waiting_alerts("ops").await.unwrap().len(), 1);
        assert_eq!(state.waiting_alerts("").await.unwrap()[0].body, "told a");
        let forgotten = vec![("r".into(), "g".into())];
        state.keep_alerts(&AlertChanges { forgotten, ..AlertChanges::default() }).await.unwrap();
        assert!(state.alert_states().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_oldest_messages_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let intent = |number: i64| AlertIntent { channel: "ops".into(), body: number.to_string() };
        let intents: Vec<AlertIntent> = (0..WAITING_ALERTS_MAX + 3).map(intent).collect();
        let changes = AlertChanges { intents, ..AlertChanges::default() };
        assert_eq!(state.keep_alerts(&changes).await.unwrap(), 3);
        let waiting = state.waiting_alerts("ops").await.unwrap();
        assert_eq!((waiting.len() as i64, waiting[0].body.as_str()), (WAITING_ALERTS_MAX, "3"));
    }

    #[tokio::test]
    async fn silences_end() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        state.silence_alerts("a", now_ms() + 60_000).await.unwrap();
        state.silence_alerts("b", now_ms() - 1).await.unwrap();
        let silences = state.alert_silences().await.unwrap();
        assert_eq!(silences.len(), 1);
        assert_eq!(silences[0].0, "a");
    }
}
