//! Users whom an OpenID Connect provider names: made when they sign in for the first time, brought up to date each time.

use sqlx::error::DatabaseError;

use crate::named::Keeping;
use crate::sessions::count_change;
use crate::users::{Origin, Role, USERS_MAX, User, name_key, new_user, read_user};
use crate::{State, StateError};

/// Who signed in at a provider, and what may be done by that here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProviderUser {
    /// The provider.
    pub issuer: String,
    /// By which the provider knows the user; it never changes hands there.
    pub subject: String,
    /// For people.
    pub name: String,
    /// What the provider's word makes of the user at this moment.
    pub role: Role,
}

impl State {
    /// Makes the user of this issuer and subject, or gives it the name and role that it has now. A name that somebody else
    /// has is not taken over: a new user is refused, a known one keeps the old name.
    pub async fn provider_user(&self, named: &ProviderUser) -> Result<Keeping<User>, StateError> {
        let Some(known) = self.user_of_provider(&named.issuer, &named.subject).await? else {
            let user = User { origin: Origin::Oidc, ..new_user(&named.name, named.role) };
            return self.insert_user(user, "", Some((&named.issuer, &named.subject))).await;
        };
        sqlx::query("UPDATE users SET role = ? WHERE id = ?")
            .bind(named.role.name())
            .bind(&known.id)
            .execute(&self.pool)
            .await?;
        let renamed = sqlx::query("UPDATE users SET name = ?, name_key = ? WHERE id = ?")
            .bind(&named.name)
            .bind(name_key(&named.name))
            .bind(&known.id)
            .execute(&self.pool)
            .await;
        let name = match renamed {
            Ok(_) => named.name.clone(),
            Err(error) if error.as_database_error().is_some_and(DatabaseError::is_unique_violation) => known.name,
            Err(error) => return Err(error.into()),
        };
        Ok(Keeping::Done(Box::new(User { name, role: named.role, ..known })))
    }

    /// Ends all sessions of a user whom the provider names but who may nothing here any more; gives their number.
    pub async fn shut_out(&self, issuer: &str, subject: &str) -> Result<u64, StateError> {
        let mut tx = self.pool.begin().await?;
        let ended = sqlx::query(
            "DELETE FROM sessions WHERE user_id IN (SELECT id FROM users WHERE issuer = ? AND subject = ?)",
        )
        .bind(issuer)
        .bind(subject)
        .execute(&mut *tx)
        .await?;
        count_change(&mut tx).await?;
        tx.commit().await?;
        Ok(ended.rows_affected())
    }

    async fn user_of_provider(&self, issuer: &str, subject: &str) -> Result<Option<User>, StateError> {
        let found = sqlx::query("SELECT * FROM users WHERE issuer = ? AND subject = ?").bind(issuer).bind(subject);
        found.fetch_optional(&self.pool).await?.as_ref().map(read_user).transpose()
    }

    /// Writes a new user down; one of a provider with issuer and subject.
    pub(crate) async fn insert_user(
        &self,
        user: User,
        password: &str,
        provider: Option<(&str, &str)>,
    ) -> Result<Keeping<User>, StateError> {
        // Counted and written in one statement: two who come at once cannot both take the last place.
        let insert = "INSERT INTO users (id, name, name_key, role, password, created_ms, origin, issuer, subject)
                      SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM users) < ?";
        let (issuer, subject) = provider.unzip();
        let written = sqlx::query(insert)
            .bind(&user.id)
            .bind(&user.name)
            .bind(name_key(&user.name))
            .bind(user.role.name())
            .bind(password)
            .bind(user.created_ms)
            .bind(user.origin.name())
            .bind(issuer)
            .bind(subject)
            .bind(USERS_MAX as i64)
            .execute(&self.pool)
            .await;
        Keeping::of(written, user, Keeping::Full)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Visit, Way};

    fn ann(name: &str, role: Role) -> ProviderUser {
        ProviderUser { issuer: "https://id.example.com".into(), subject: "7".into(), name: name.into(), role }
    }

    async fn taken(state: &State, named: &ProviderUser) -> User {
        match state.provider_user(named).await.unwrap() {
            Keeping::Done(user) => *user,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_user_of_a_provider_is_known_by_subject_and_changes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let first = taken(&state, &ann("Ann", Role::Admin)).await;
        let again = taken(&state, &ann("Ann Lee", Role::Viewer)).await;
        assert_eq!((again.id, again.name.as_str(), again.role), (first.id.clone(), "Ann Lee", Role::Viewer));
        let other_issuer = ProviderUser { issuer: "https://other.example.com".into(), ..ann("Bob", Role::Viewer) };
        assert_ne!(taken(&state, &other_issuer).await.id, first.id);
        // Neither has a password, and none can be given.
        for password in ["", "correct horse battery"] {
            assert_eq!(state.user_with_password("Ann Lee", password).await.unwrap(), None);
        }
        assert!(!state.set_password(&first, "correct horse battery", None).await.unwrap());
        assert!(!state.set_role(&first.id, Role::Admin).await.unwrap());
    }

    #[tokio::test]
    async fn a_name_is_never_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        state.create_user("ann", Role::Admin, "correct horse battery").await.unwrap();
        assert_eq!(state.provider_user(&ann("ANN", Role::Viewer)).await.unwrap(), Keeping::NameTaken);
        let user = taken(&state, &ann("Ann of example.com", Role::Viewer)).await;
        let again = taken(&state, &ann("ann", Role::Operator)).await;
        assert_eq!((again.id, again.name.as_str(), again.role), (user.id, "Ann of example.com", Role::Operator));
    }

    #[tokio::test]
    async fn whoever_may_nothing_any_more_loses_all_sessions() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let user = taken(&state, &ann("Ann", Role::Admin)).await;
        let visit = Visit::default();
        let opened = state.open_user_session(&user, Way::Oidc, Duration::from_secs(60), &visit).await.unwrap();
        assert_eq!(state.session(&opened.secret).await.unwrap().unwrap().way, Way::Oidc);
        assert_eq!(state.shut_out("https://id.example.com", "7").await.unwrap(), 1);
        assert_eq!(state.session(&opened.secret).await.unwrap(), None);
    }
}
