//! What changed since somebody looked last, in one short question.

use crate::{State, StateError};

/// How often what the command line and other nodes can change has been changed; they only grow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Versions {
    /// Of keys.
    pub keys: i64,
    /// Of [`State::unrecorded_erasures`]: that there are more.
    pub erasures: i64,
}

impl State {
    /// All versions.
    pub async fn versions(&self) -> Result<Versions, StateError> {
        let question = "SELECT (SELECT version FROM changes WHERE name = 'keys'),
                               (SELECT version FROM changes WHERE name = 'erasures')";
        let (keys, erasures) = sqlx::query_as(question).fetch_one(&self.pool).await?;
        Ok(Versions { keys, erasures })
    }
}
