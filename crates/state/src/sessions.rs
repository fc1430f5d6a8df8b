//! Console tokens (what the tokenised address carries), and the sessions for which tokens and passwords are exchanged.

use std::time::Duration;

use serde::Serialize;
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Row, Transaction};
use utoipa::ToSchema;

use crate::named::ID_CHARS;
use crate::users::{Role, User, read_role};
use crate::{State, StateError, now_ms, random_token};

/// Characters of a console token and of a session's cookie: 256 bits.
const TOKEN_CHARS: usize = 43;
/// Sessions of one user; a further one ends the one that was not seen for the longest time.
pub const SESSIONS_MAX: i64 = 20;
/// Sessions that were opened by tokenised addresses, all together.
pub const TOKEN_SESSIONS_MAX: i64 = 100;
/// Length of the name that a browser gives itself, as far as it is kept, in characters.
const AGENT_CHARS_MAX: usize = 200;
/// How often it is noted that a session was used.
const SEEN_EVERY_MS: i64 = 60_000;

/// How whoever has a session showed who they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// By a tokenised address, or its token.
    Token,
    /// By name and password.
    Password,
    /// At an OpenID Connect provider.
    Oidc,
}

impl Way {
    /// Its word, in records and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Password => "password",
            Self::Oidc => "oidc",
        }
    }

    fn read(name: &str) -> Self {
        match name {
            "password" => Self::Password,
            "oidc" => Self::Oidc,
            _ => Self::Token,
        }
    }
}

/// From where somebody comes.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    /// The client's address.
    pub address: String,
    /// What its browser calls itself.
    pub agent: String,
}

/// A session that has not ended. Its role is that of its user at this moment; whoever came by a token is an admin, for only
/// one can make it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub struct Session {
    /// Public id, by which it is ended.
    pub id: String,
    /// Whose it is; `None` when it was opened by a token.
    pub user_id: Option<String>,
    /// That user's name.
    pub user: Option<String>,
    /// What may be done in it.
    pub role: Role,
    /// How it was opened.
    pub way: Way,
    /// From which address it was opened.
    pub address: String,
    /// What the browser called itself.
    pub agent: String,
    /// When it was opened, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was used last, to the minute.
    pub seen_ms: i64,
    /// When it ends by itself.
    pub expires_ms: i64,
}

impl Session {
    /// Whose it is, for what is kept for one person alone: the user's id, or `admin` for all who came by a token (no user's
    /// id is that short).
    pub fn owner(&self) -> &str {
        self.user_id.as_deref().unwrap_or(Role::Admin.name())
    }

    /// Whose it is, for people: in records, and beside what all share.
    pub fn name(&self) -> &str {
        self.user.as_deref().unwrap_or(self.role.name())
    }
}

/// A session with its secret, which is given out this once.
#[derive(Clone, Debug)]
pub struct OpenedSession {
    /// What the cookie carries.
    pub secret: String,
    /// The session itself.
    pub session: Session,
}

const ALL: &str = "SELECT s.id, s.user_id, s.way, s.address, s.agent, s.created_ms, s.seen_ms, s.expires_ms, u.name AS user, u.role AS role
                   FROM sessions s LEFT JOIN users u ON u.id = s.user_id WHERE s.expires_ms > ? ORDER BY s.seen_ms DESC, s.id";
const ONE: &str = "SELECT s.id, s.user_id, s.way, s.address, s.agent, s.created_ms, s.seen_ms, s.expires_ms, u.name AS user, u.role AS role
                   FROM sessions s LEFT JOIN users u ON u.id = s.user_id WHERE s.expires_ms > ? AND s.hash = ?";

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

    /// Exchanges a console token for a session; `None` when the token is not valid.
    pub async fn open_session(
        &self,
        token: &str,
        lifetime: Duration,
        visit: &Visit,
    ) -> Result<Option<OpenedSession>, StateError> {
        let valid: Option<i64> =
            sqlx::query_scalar("SELECT expires_ms FROM console_tokens WHERE hash = ? AND expires_ms > ?")
                .bind(self.pepper().digest(token).as_slice())
                .bind(now_ms())
                .fetch_optional(&self.pool)
                .await?;
        match valid {
            Some(_) => self.insert_session(None, Way::Token, lifetime, visit).await.map(Some),
            None => Ok(None),
        }
    }

    /// Opens a session for a user who has shown who it is.
    pub async fn open_user_session(
        &self,
        user: &User,
        way: Way,
        lifetime: Duration,
        visit: &Visit,
    ) -> Result<OpenedSession, StateError> {
        self.insert_session(Some(user), way, lifetime, visit).await
    }

    /// The session of this secret, unless it has ended.
    pub async fn session(&self, secret: &str) -> Result<Option<Session>, StateError> {
        let (hash, now) = (self.pepper().digest(secret), now_ms());
        let found = sqlx::query(ONE).bind(now).bind(hash.as_slice()).fetch_optional(&self.pool).await?;
        let Some(session) = found.as_ref().map(read_session).transpose()? else { return Ok(None) };
        if now.saturating_sub(session.seen_ms) >= SEEN_EVERY_MS {
            sqlx::query("UPDATE sessions SET seen_ms = ? WHERE hash = ?")
                .bind(now)
                .bind(hash.as_slice())
                .execute(&self.pool)
                .await?;
        }
        Ok(Some(session))
    }

    /// Whether the session with this public id has not ended.
    pub async fn session_goes_on(&self, id: &str) -> Result<bool, StateError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT expires_ms FROM sessions WHERE id = ? AND expires_ms > ?")
            .bind(id)
            .bind(now_ms())
            .fetch_optional(&self.pool)
            .await?;
        Ok(found.is_some())
    }

    /// All sessions that have not ended, the last seen first.
    pub async fn sessions(&self) -> Result<Vec<Session>, StateError> {
        sqlx::query(ALL).bind(now_ms()).fetch_all(&self.pool).await?.iter().map(read_session).collect()
    }

    /// Ends the session with this public id; with a user, only one of that user's. `false` when there is none.
    pub async fn end_session(&self, id: &str, of_user: Option<&str>) -> Result<bool, StateError> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query("DELETE FROM sessions WHERE id = ?1 AND (?2 IS NULL OR user_id = ?2)")
            .bind(id)
            .bind(of_user)
            .execute(&mut *tx)
            .await?;
        count_change(&mut tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// A number that grows whenever sessions are ended before their time.
    pub async fn sessions_version(&self) -> Result<i64, StateError> {
        let version = sqlx::query_scalar("SELECT version FROM changes WHERE name = 'sessions'");
        Ok(version.fetch_one(&self.pool).await?)
    }

    async fn insert_session(
        &self,
        user: Option<&User>,
        way: Way,
        lifetime: Duration,
        visit: &Visit,
    ) -> Result<OpenedSession, StateError> {
        let (secret, now) = (random_token(TOKEN_CHARS), now_ms());
        let session = Session {
            id: random_token(ID_CHARS),
            user_id: user.map(|user| user.id.clone()),
            user: user.map(|user| user.name.clone()),
            role: user.map_or(Role::Admin, |user| user.role),
            way,
            address: visit.address.clone(),
            agent: visit.agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX).collect(),
            created_ms: now,
            seen_ms: now,
            expires_ms: now.saturating_add(lifetime.as_millis() as i64),
        };
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("DELETE FROM sessions WHERE expires_ms <= ?").bind(now).execute(&mut *tx).await?;
        sqlx::query(
            "INSERT INTO sessions (hash, id, user_id, way, address, agent, created_ms, seen_ms, expires_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(self.pepper().digest(&secret).as_slice())
        .bind(&session.id)
        .bind(session.user_id.as_deref())
        .bind(way.name())
        .bind(&session.address)
        .bind(&session.agent)
        .bind(now)
        .bind(now)
        .bind(session.expires_ms)
        .execute(&mut *tx)
        .await?;
        let most = if user.is_some() { SESSIONS_MAX } else { TOKEN_SESSIONS_MAX };
        let ended = sqlx::query(
            "DELETE FROM sessions WHERE user_id IS ?1 AND id NOT IN
             (SELECT id FROM sessions WHERE user_id IS ?1 ORDER BY seen_ms DESC, rowid DESC LIMIT ?2)",
        )
        .bind(session.user_id.as_deref())
        .bind(most)
        .execute(&mut *tx)
        .await?;
        if ended.rows_affected() > 0 {
            count_change(&mut tx).await?;
        }
        if let Some(user) = user {
            sqlx::query("UPDATE users SET signed_in_ms = ? WHERE id = ?")
                .bind(now)
                .bind(&user.id)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(OpenedSession { secret, session })
    }
}

/// Lets every house that shares the file see that sessions were ended.
pub(crate) async fn count_change(tx: &mut Transaction<'_, Sqlite>) -> Result<(), StateError> {
    sqlx::query("UPDATE changes SET version = version + 1 WHERE name = 'sessions'").execute(&mut **tx).await?;
    Ok(())
}

fn read_session(row: &SqliteRow) -> Result<Session, StateError> {
    let role: Option<String> = row.try_get("role")?;
    let way: String = row.try_get("way")?;
    Ok(Session {
        id: row.try_get("id")?,
        user_id: row.try_get("user_id")?,
        user: row.try_get("user")?,
        role: role.map_or(Role::Admin, |role| read_role(&role)),
        way: Way::read(&way),
        address: row.try_get("address")?,
        agent: row.try_get("agent")?,
        created_ms: row.try_get("created_ms")?,
        seen_ms: row.try_get("seen_ms")?,
        expires_ms: row.try_get("expires_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keeping;

    const HOUR: Duration = Duration::from_secs(3600);

    async fn opened() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        (dir, state)
    }

    async fn user(state: &State, name: &str) -> User {
        match state.create_user(name, Role::Viewer, "correct horse battery").await.unwrap() {
            Keeping::Done(user) => *user,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_token_opens_a_session_until_it_is_closed() {
        let (_dir, state) = opened().await;
        let visit = Visit { address: "10.0.0.7".into(), agent: "Browser\u{1b}[1m 1.0".into() };
        let token = state.create_console_token(HOUR).await.unwrap();
        assert!(state.open_session("wrong", HOUR, &visit).await.unwrap().is_none());
        let OpenedSession { secret, session } = state.open_session(&token, HOUR, &visit).await.unwrap().unwrap();
        assert_eq!((session.role, session.agent.as_str()), (Role::Admin, "Browser[1m 1.0"));
        assert_eq!(state.session(&secret).await.unwrap(), Some(session.clone()));
        assert_eq!(state.session(&token).await.unwrap(), None, "the token itself is no session");
        assert_eq!(state.session(&session.id).await.unwrap(), None, "nor is the public id");
        let version = state.sessions_version().await.unwrap();
        assert!(!state.end_session(&session.id, Some("somebody")).await.unwrap(), "not that user's");
        assert!(state.end_session(&session.id, None).await.unwrap());
        assert_eq!(state.session(&secret).await.unwrap(), None);
        assert!(state.sessions_version().await.unwrap() > version);
    }

    #[tokio::test]
    async fn tokens_and_sessions_end_by_themselves() {
        let (_dir, state) = opened().await;
        let visit = Visit::default();
        let ended = state.create_console_token(Duration::ZERO).await.unwrap();
        assert!(state.open_session(&ended, HOUR, &visit).await.unwrap().is_none());
        let token = state.create_console_token(HOUR).await.unwrap();
        let opened = state.open_session(&token, Duration::ZERO, &visit).await.unwrap().unwrap();
        assert_eq!(state.session(&opened.secret).await.unwrap(), None);
        assert!(!state.session_goes_on(&opened.session.id).await.unwrap());
    }

    #[tokio::test]
    async fn a_session_has_the_role_that_its_user_has_now() {
        let (_dir, state) = opened().await;
        let user = user(&state, "ann").await;
        let opened = state.open_user_session(&user, Way::Password, HOUR, &Visit::default()).await.unwrap();
        state.set_role(&user.id, Role::Operator).await.unwrap();
        assert_eq!(state.session(&opened.secret).await.unwrap().unwrap().role, Role::Operator);
        state.remove_user(&user.id).await.unwrap();
        assert_eq!(state.session(&opened.secret).await.unwrap(), None, "they end with their user");
    }

    #[tokio::test]
    async fn a_user_has_only_so_many_sessions() {
        let (_dir, state) = opened().await;
        let (ann, bob) = (user(&state, "ann").await, user(&state, "bob").await);
        let visit = Visit::default();
        let of_bob = state.open_user_session(&bob, Way::Password, HOUR, &visit).await.unwrap();
        let first = state.open_user_session(&ann, Way::Password, HOUR, &visit).await.unwrap();
        for _ in 0..SESSIONS_MAX {
            state.open_user_session(&ann, Way::Password, HOUR, &visit).await.unwrap();
        }
        assert_eq!(state.session(&first.secret).await.unwrap(), None, "the oldest makes room");
        assert!(state.session(&of_bob.secret).await.unwrap().is_some(), "others are not touched");
        let sessions = state.sessions().await.unwrap();
        assert_eq!(sessions.iter().filter(|session| session.user_id == Some(ann.id.clone())).count(), 20);
    }
}
