//! What changed since somebody looked last, in one short question.

use crate::{State, StateError};

/// How often what the command line and other nodes can change has been changed; they only grow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Versions {
    /// Of keys.
    pub keys: i64,
    /// Of [`State::unrecorded_erasures`]: that there are more.
    pub erasures: i64,
    /// Whether there are [`State::waiting_audits`].
    pub has_audits: bool,
}

impl State {
    /// All of them.
    pub async fn versions(&self) -> Result<Versions, StateError> {
        let question = "SELECT (SELECT version FROM changes WHERE name = 'keys'),
                               (SELECT version FROM changes WHERE name = 'erasures'),
                               EXISTS (SELECT 1 FROM waiting_audits)";
        let (keys, erasures, has_audits) = sqlx::query_as(question).fetch_one(&self.pool).await?;
        Ok(Versions { keys, erasures, has_audits })
    }
}
