//! Console tokens (what the tokenised address carries) and the sessions that they are exchanged for.

use std::time::Duration;

use crate::{State, StateError, now_ms, random_token};

/// Characters of a console token and of a session's cookie: 256 bits.
const TOKEN_CHARS: usize = 43;

impl State {
    /// Makes a console token that opens sessions for `lifetime`.
    pub async fn create_console_token(&self, lifetime: Duration) -> Result<String, StateError> {
        let token = random_token(TOKEN_CHARS);
        let now = now_ms();
        sqlx::query("DELETE FROM console_tokens WHERE expires_ms <= ?").bind(now).execute(&self.pool).await?;
        sqlx::query("INSERT INTO console_tokens (hash, created_ms, expires_ms) VALUES (?, ?, ?)")
            .bind(self.pepper().digest(&token).as_slice())
            .bind(now)
            .bind(now.saturating_add(lifetime.as_millis() as i64))
            .execute(&self.pool)
            .await?;
        Ok(token)
    }

    /// Exchanges a console token for a session; returns the session's secret, or `None` when the token is not valid.
    pub async fn open_session(&self, token: &str, lifetime: Duration) -> Result<Option<String>, StateError> {
        let now = now_ms();
        let valid: Option<i64> =
            sqlx::query_scalar("SELECT expires_ms FROM console_tokens WHERE hash = ? AND expires_ms > ?")
                .bind(self.pepper().digest(token).as_slice())
                .bind(now)
                .fetch_optional(&self.pool)
                .await?;
        if valid.is_none() {
            return Ok(None);
        }
        let secret = random_token(TOKEN_CHARS);
        sqlx::query("DELETE FROM sessions WHERE expires_ms <= ?").bind(now).execute(&self.pool).await?;
        sqlx::query("INSERT INTO sessions (hash, created_ms, expires_ms) VALUES (?, ?, ?)")
            .bind(self.pepper().digest(&secret).as_slice())
            .bind(now)
            .bind(now.saturating_add(lifetime.as_millis() as i64))
            .execute(&self.pool)
            .await?;
        Ok(Some(secret))
    }

    /// Whether this is the secret of a session that has not ended.
    pub async fn session_valid(&self, secret: &str) -> Result<bool, StateError> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT expires_ms FROM sessions WHERE hash = ? AND expires_ms > ?")
                .bind(self.pepper().digest(secret).as_slice())
                .bind(now_ms())
                .fetch_optional(&self.pool)
                .await?;
        Ok(found.is_some())
    }

    /// Ends a session.
    pub async fn close_session(&self, secret: &str) -> Result<(), StateError> {
        sqlx::query("DELETE FROM sessions WHERE hash = ?")
            .bind(self.pepper().digest(secret).as_slice())
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_token_opens_a_session_until_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let token = state.create_console_token(HOUR).await.unwrap();
        assert_eq!(state.open_session("wrong", HOUR).await.unwrap(), None);
        let session = state.open_session(&token, HOUR).await.unwrap().unwrap();
        assert!(state.session_valid(&session).await.unwrap());
        assert!(!state.session_valid(&token).await.unwrap(), "the token itself is no session");
        state.close_session(&session).await.unwrap();
        assert!(!state.session_valid(&session).await.unwrap());
    }

    #[tokio::test]
    async fn tokens_and_sessions_end_by_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let ended = state.create_console_token(Duration::ZERO).await.unwrap();
        assert_eq!(state.open_session(&ended, HOUR).await.unwrap(), None);
        let token = state.create_console_token(HOUR).await.unwrap();
        let session = state.open_session(&token, Duration::ZERO).await.unwrap().unwrap();
        assert!(!state.session_valid(&session).await.unwrap());
    }
}
