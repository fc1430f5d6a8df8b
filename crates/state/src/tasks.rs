//! What humans are asked by tasks, and which channels have been told.

use crate::{State, StateError, now_ms};

/// Messages that are remembered; when there are more, those sent longest ago are forgotten.
const MESSAGES_MAX: i64 = 10_000;

/// A message that waits to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TaskMessage {
    /// Its own; the same whenever it is sent again.
    pub key: String,
    /// To which channel.
    pub channel: String,
    /// The run that asks.
    pub run: String,
    /// Which of the run's questions.
    pub number: i64,
    /// When it was noted, in milliseconds since 1970 UTC.
    pub created_ms: i64,
}

impl State {
    /// Notes that a channel is to be told, unless that was noted before.
    pub async fn note_task_message(&self, message: &TaskMessage) -> Result<(), StateError> {
        let mut transaction = self.pool.begin().await?;
        let note = "INSERT OR IGNORE INTO task_messages (key, channel, run, number, created_ms) VALUES (?, ?, ?, ?, ?)";
        sqlx::query(note)
            .bind(&message.key)
            .bind(&message.channel)
            .bind(&message.run)
            .bind(message.number)
            .bind(message.created_ms)
            .execute(&mut *transaction)
            .await?;
        let forget = "DELETE FROM task_messages WHERE sent_ms IS NOT NULL AND (key, channel) IN \
                      (SELECT key, channel FROM task_messages ORDER BY created_ms DESC LIMIT -1 OFFSET ?)";
        sqlx::query(forget).bind(MESSAGES_MAX).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Messages that wait, the oldest first.
    pub async fn waiting_task_messages(&self) -> Result<Vec<TaskMessage>, StateError> {
        let waiting = "SELECT key, channel, run, number, created_ms FROM task_messages WHERE sent_ms IS NULL \
                       ORDER BY created_ms, key, channel";
        let rows: Vec<(String, String, String, i64, i64)> = sqlx::query_as(waiting).fetch_all(&self.pool).await?;
        let message = |(key, channel, run, number, created_ms)| TaskMessage { key, channel, run, number, created_ms };
        Ok(rows.into_iter().map(message).collect())
    }

    /// A message was sent, or need not be any more.
    pub async fn task_message_settled(&self, key: &str, channel: &str) -> Result<(), StateError> {
        sqlx::query("UPDATE task_messages SET sent_ms = ? WHERE key = ? AND channel = ?")
            .bind(now_ms())
            .bind(key)
            .bind(channel)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_waits_until_it_is_settled_and_is_noted_once() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let message = |key: &str, channel: &str| TaskMessage {
            key: key.to_owned(),
            channel: channel.to_owned(),
            run: "r".to_owned(),
            number: 3,
            created_ms: 5,
        };
        let (first, other) = (message("r.q3", "ops"), message("r.q3", "team"));
        state.note_task_message(&first).await.unwrap();
        state.note_task_message(&other).await.unwrap();
        assert_eq!(state.waiting_task_messages().await.unwrap(), [first.clone(), other.clone()]);
        state.task_message_settled("r.q3", "ops").await.unwrap();
        state.note_task_message(&first).await.unwrap();
        assert_eq!(state.waiting_task_messages().await.unwrap(), [other]);
    }
}
