//! Users of the console: who they are, what each may do, and how they show that it is them.

use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use utoipa::ToSchema;

use crate::named::{ID_CHARS, Keeping};
use crate::passwords::check_password;
use crate::sessions::count_change;
use crate::{State, StateError, WrongSetting, now_ms, random_token};

/// Users that are kept.
pub const USERS_MAX: usize = 1000;
/// Length of a name, in characters.
const NAME_CHARS_MAX: usize = 100;
/// What the command line did and no record tells of yet, at most; the oldest are forgotten first.
const WAITING_AUDITS_MAX: i64 = 1000;

/// What somebody may do in the console; each may do what the ones before it may.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read, search, chat.
    Viewer,
    /// And act on what happens: silence, acknowledge, run probes, replay, save what all share.
    Operator,
    /// And decide: keys, users, reload.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Its word, in records, on the command line and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of this word.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// Who knows a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// This house: role and password are set here.
    House,
    /// An OpenID Connect provider: the role follows from what it says at each sign-in, and there is no password here.
    Oidc,
}

impl Origin {
    /// Its word, in the state store and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::House => "house",
            Self::Oidc => "oidc",
        }
    }

    fn read(name: &str) -> Self {
        if name == "oidc" { Self::Oidc } else { Self::House }
    }
}

/// A user as it is kept, without the password.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub struct User {
    /// Names the user in addresses; stays when the name changes.
    pub id: String,
    /// The name with which the user signs in.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// Who says so, and asks for a password.
    pub origin: Origin,
    /// When the user was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When the user signed in last.
    pub signed_in_ms: Option<i64>,
}

/// Something that was done while no house was there to record it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WaitingAudit {
    /// Its place in the order.
    pub number: i64,
    /// What was done, as the record's message.
    pub what: String,
    /// The record's fields.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// When, in milliseconds since 1970.
    pub done_ms: i64,
}

impl State {
    /// Makes a user who signs in with a password.
    pub async fn create_user(&self, name: &str, role: Role, password: &str) -> Result<Keeping<User>, StateError> {
        let name = name.trim();
        check_name(name)?;
        check_password(name, password)?;
        let hash = self.passwords.hash(password).await?;
        self.insert_user(new_user(name, role), &hash, None).await
    }

    /// All users, by name.
    pub async fn users(&self) -> Result<Vec<User>, StateError> {
        let all = sqlx::query("SELECT * FROM users ORDER BY name_key LIMIT ?").bind(USERS_MAX as i64);
        all.fetch_all(&self.pool).await?.iter().map(read_user).collect()
    }

    /// The user with this name.
    pub async fn user_named(&self, name: &str) -> Result<Option<User>, StateError> {
        let found = sqlx::query("SELECT * FROM users WHERE name_key = ?").bind(name_key(name));
        found.fetch_optional(&self.pool).await?.as_ref().map(read_user).transpose()
    }

    /// The user with this name, if this is the password. It takes as long when there is none.
    pub async fn user_with_password(&self, name: &str, password: &str) -> Result<Option<User>, StateError> {
        let row = sqlx::query("SELECT * FROM users WHERE name_key = ?")
            .bind(name_key(name))
            .fetch_optional(&self.pool)
            .await?;
        let hash: Option<String> = row.as_ref().map(|row| row.try_get("password")).transpose()?;
        // Users of a provider have none.
        let hash = hash.filter(|hash| !hash.is_empty());
        let is_right = self.passwords.verify(password, hash).await?;
        row.filter(|_| is_right).as_ref().map(read_user).transpose()
    }

    /// Gives a user of this house another role, in force at the user's next call. `false` when there is no such user.
    pub async fn set_role(&self, id: &str, role: Role) -> Result<bool, StateError> {
        let done = sqlx::query("UPDATE users SET role = ? WHERE id = ? AND origin = 'house'")
            .bind(role.name())
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives a user of this house another password, and ends all of the user's sessions but `kept` (its public id). `false`
    /// when there is no such user.
    pub async fn set_password(&self, user: &User, password: &str, kept: Option<&str>) -> Result<bool, StateError> {
        check_password(&user.name, password)?;
        let hash = self.passwords.hash(password).await?;
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query("UPDATE users SET password = ? WHERE id = ? AND origin = 'house'")
            .bind(hash)
            .bind(&user.id)
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM sessions WHERE user_id = ? AND id IS NOT ?")
            .bind(&user.id)
            .bind(kept)
            .execute(&mut *tx)
            .await?;
        count_change(&mut tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Removes a user, and ends the user's sessions. `false` when there is no such user.
    pub async fn remove_user(&self, id: &str) -> Result<bool, StateError> {
        let mut tx = self.pool.begin().await?;
        // Their sessions go with them (`ON DELETE CASCADE`).
        let done = sqlx::query("DELETE FROM users WHERE id = ?").bind(id).execute(&mut *tx).await?;
        count_change(&mut tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes what was done without a house to record it: the next one, or the one that runs, does.
    pub async fn note_audit(&self, what: &str, fields: &serde_json::Value) -> Result<(), StateError> {
        sqlx::query("INSERT INTO waiting_audits (what, fields, done_ms) VALUES (?, ?, ?)")
            .bind(what)
            .bind(fields.to_string())
            .bind(now_ms())
            .execute(&self.pool)
            .await?;
        let forget = "DELETE FROM waiting_audits WHERE number <= (SELECT max(number) FROM waiting_audits) - ?";
        sqlx::query(forget).bind(WAITING_AUDITS_MAX).execute(&self.pool).await?;
        Ok(())
    }

    /// What was noted and is not recorded yet, the oldest first.
    pub async fn waiting_audits(&self) -> Result<Vec<WaitingAudit>, StateError> {
        let rows = sqlx::query("SELECT * FROM waiting_audits ORDER BY number").fetch_all(&self.pool).await?;
        let read = |row: &SqliteRow| {
            let fields: String = row.try_get("fields")?;
            Ok(WaitingAudit {
                number: row.try_get("number")?,
                what: row.try_get("what")?,
                fields: serde_json::from_str(&fields).unwrap_or_default(),
                done_ms: row.try_get("done_ms")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Forgets what is recorded now.
    pub async fn audit_recorded(&self, number: i64) -> Result<(), StateError> {
        sqlx::query("DELETE FROM waiting_audits WHERE number = ?").bind(number).execute(&self.pool).await?;
        Ok(())
    }
}

pub(crate) fn new_user(name: &str, role: Role) -> User {
    User {
        id: random_token(ID_CHARS),
        name: name.to_owned(),
        role,
        origin: Origin::House,
        created_ms: now_ms(),
        signed_in_ms: None,
    }
}

fn check_name(name: &str) -> Result<(), WrongSetting> {
    let fits = !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    let expected = format!("a text of 1 to {NAME_CHARS_MAX} characters, none of them a control character");
    Err(WrongSetting { field: "name", expected })
}

/// By which names are compared.
pub(crate) fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// The role of this word; a word that this program does not know allows least.
pub(crate) fn read_role(name: &str) -> Role {
    Role::named(name).unwrap_or(Role::Viewer)
}

pub(crate) fn read_user(row: &SqliteRow) -> Result<User, StateError> {
    let (role, origin): (String, String) = (row.try_get("role")?, row.try_get("origin")?);
    Ok(User {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: read_role(&role),
        origin: Origin::read(&origin),
        created_ms: row.try_get("created_ms")?,
        signed_in_ms: row.try_get("signed_in_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse battery";

    async fn made(state: &State, name: &str) -> User {
        match state.create_user(name, Role::Viewer, PASSWORD).await.unwrap() {
            Keeping::Done(user) => *user,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_user_is_known_by_name_and_password() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let user = made(&state, "Ann").await;
        assert_eq!(state.create_user("ann", Role::Admin, PASSWORD).await.unwrap(), Keeping::NameTaken);
        assert_eq!(state.user_with_password(" ANN", PASSWORD).await.unwrap(), Some(user.clone()));
        for (name, password) in [("ann", "correct horse batterz"), ("bob", PASSWORD), ("", ""), ("ann' --", PASSWORD)] {
            assert_eq!(state.user_with_password(name, password).await.unwrap(), None, "{name}");
        }
        assert!(state.set_password(&user, "another horse battery", None).await.unwrap());
        assert_eq!(state.user_with_password("ann", PASSWORD).await.unwrap(), None);
        assert!(state.set_role(&user.id, Role::Operator).await.unwrap());
        assert_eq!(state.users().await.unwrap()[0].role, Role::Operator);
        assert!(state.remove_user(&user.id).await.unwrap());
        assert!(!state.remove_user(&user.id).await.unwrap());
    }

    #[tokio::test]
    async fn what_was_done_waits_for_its_record() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        state.note_audit("user made", &serde_json::json!({"user": "ann"})).await.unwrap();
        let waiting = state.waiting_audits().await.unwrap();
        assert_eq!(
            (waiting.len(), waiting[0].what.as_str(), &waiting[0].fields["user"]),
            (1, "user made", &"ann".into())
        );
        state.audit_recorded(waiting[0].number).await.unwrap();
        assert!(state.waiting_audits().await.unwrap().is_empty());
    }
}
