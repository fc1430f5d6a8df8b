//! Keys: made once, listed without their secret, revoked.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::{Digest, State, StateError, now_ms, random_token};

/// Characters of a key's public part.
const ID_CHARS: usize = 10;
/// Characters of a key's secret part: 256 bits.
const SECRET_CHARS: usize = 43;

/// What is wanted of a new key.
#[derive(Clone, Debug, Default)]
pub struct NewKey {
    /// A name for people.
    pub name: String,
    /// Whom its requests are counted for; the name when absent.
    pub user: Option<String>,
    /// `user` (may call models) when empty; `logs:read`, `admin`.
    pub role: String,
    /// Patterns of the models it may call; empty means every model.
    pub models: Vec<String>,
    /// Its own rate limit: requests per milliseconds.
    pub rate_limit: Option<(u32, u64)>,
    /// Its own limit on the length of a prompt, in characters.
    pub prompt_chars: Option<usize>,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

/// A key as it is kept.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// Public part: names the key in records, limits and lists.
    pub id: String,
    /// HMAC-SHA-256 of the whole key (`th_<id>_<secret>`).
    pub hash: Digest,
    /// A name for people.
    pub name: String,
    /// Whom its requests are counted for.
    pub user: Option<String>,
    /// `user`, `logs:read` or `admin`.
    pub role: String,
    /// Patterns of the models it may call; empty means every model.
    pub models: Vec<String>,
    /// Its own rate limit: requests per milliseconds.
    pub rate_limit: Option<(u32, u64)>,
    /// Its own limit on the length of a prompt, in characters.
    pub prompt_chars: Option<usize>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

/// A new key together with its secret, which is shown this once.
#[derive(Clone, Debug)]
pub struct CreatedKey {
    /// What is kept of it.
    pub key: StoredKey,
    /// `th_<id>_<secret>`: what the client sends.
    pub secret: String,
}

impl State {
    /// Makes a key. The returned secret cannot be had a second time.
    pub async fn create_key(&self, new: &NewKey) -> Result<CreatedKey, StateError> {
        let id = random_token(ID_CHARS);
        let secret = format!("th_{id}_{}", random_token(SECRET_CHARS));
        let key = StoredKey {
            hash: self.pepper().digest(&secret),
            id,
            name: new.name.clone(),
            user: new.user.clone(),
            role: if new.role.is_empty() { "user".to_owned() } else { new.role.clone() },
            models: new.models.clone(),
            rate_limit: new.rate_limit,
            prompt_chars: new.prompt_chars,
            created_ms: now_ms(),
            expires_ms: new.expires_ms,
            revoked_ms: None,
        };
        let models = serde_json::Value::from(key.models.clone()).to_string();
        let mut tx = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO keys (id, hash, name, user, role, models, requests, per_ms, prompt_chars, created_ms, expires_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&key.id)
        .bind(key.hash.as_slice())
        .bind(&key.name)
        .bind(&key.user)
        .bind(&key.role)
        .bind(models)
        .bind(key.rate_limit.map(|(requests, _)| i64::from(requests)))
        .bind(key.rate_limit.map(|(_, per_ms)| per_ms as i64))
        .bind(key.prompt_chars.map(|chars| chars as i64))
        .bind(key.created_ms)
        .bind(key.expires_ms)
        .execute(&mut *tx)
        .await?;
        sqlx::query("UPDATE changes SET version = version + 1 WHERE name = 'keys'").execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(CreatedKey { key, secret })
    }

    /// All keys ever made, the newest last, revoked ones included.
    pub async fn keys(&self) -> Result<Vec<StoredKey>, StateError> {
        let rows = sqlx::query("SELECT * FROM keys ORDER BY created_ms, id").fetch_all(&self.pool).await?;
        rows.iter().map(|row| read_key(row).map_err(StateError::from)).collect()
    }

    /// Ends a key now. `false` when there is no such key or it has been revoked before.
    pub async fn revoke_key(&self, id: &str) -> Result<bool, StateError> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query("UPDATE keys SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL")
            .bind(now_ms())
            .bind(id)
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE changes SET version = version + 1 WHERE name = 'keys'").execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// A number that grows with every change of the keys, by whatever process.
    pub async fn keys_version(&self) -> Result<i64, StateError> {
        Ok(sqlx::query_scalar("SELECT version FROM changes WHERE name = 'keys'").fetch_one(&self.pool).await?)
    }
}

fn read_key(row: &SqliteRow) -> Result<StoredKey, sqlx::Error> {
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    let hash: Vec<u8> = row.try_get("hash")?;
    let models: String = row.try_get("models")?;
    let requests: Option<i64> = row.try_get("requests")?;
    let per_ms: Option<i64> = row.try_get("per_ms")?;
    let prompt_chars: Option<i64> = row.try_get("prompt_chars")?;
    Ok(StoredKey {
        id: row.try_get("id")?,
        hash: hash.try_into().map_err(|_| decode("a key's hash is not 32 bytes".into()))?,
        name: row.try_get("name")?,
        user: row.try_get("user")?,
        role: row.try_get("role")?,
        models: serde_json::from_str(&models).map_err(|error| decode(error.into()))?,
        rate_limit: requests.zip(per_ms).map(|(requests, per_ms)| (requests as u32, per_ms as u64)),
        prompt_chars: prompt_chars.map(|chars| chars as usize),
        created_ms: row.try_get("created_ms")?,
        expires_ms: row.try_get("expires_ms")?,
        revoked_ms: row.try_get("revoked_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_made_found_and_revoked_across_two_openers() {
        let dir = tempfile::tempdir().unwrap();
        let (house, cli) = (State::open(dir.path()).await.unwrap(), State::open(dir.path()).await.unwrap());
        let before = house.keys_version().await.unwrap();
        let wanted = NewKey {
            name: "team-a".into(),
            models: vec!["qwen3:*".into()],
            rate_limit: Some((30, 60_000)),
            prompt_chars: Some(200_000),
            ..NewKey::default()
        };
        let made = cli.create_key(&wanted).await.unwrap();
        assert!(made.secret.starts_with(&format!("th_{}_", made.key.id)));
        assert!(house.keys_version().await.unwrap() > before);

        let found = house.keys().await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].hash, house.pepper().digest(&made.secret));
        assert_eq!(found[0].rate_limit, Some((30, 60_000)));
        assert_eq!(found[0].models, ["qwen3:*"]);
        assert_eq!(found[0].role, "user");

        assert!(cli.revoke_key(&made.key.id).await.unwrap());
        assert!(!cli.revoke_key(&made.key.id).await.unwrap(), "a second time changes nothing");
        assert!(!cli.revoke_key("nobody").await.unwrap());
        assert!(house.keys().await.unwrap()[0].revoked_ms.is_some());
    }

    #[tokio::test]
    async fn no_secret_lies_in_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let made = state.create_key(&NewKey { name: "a".into(), ..NewKey::default() }).await.unwrap();
        state.close().await;
        for entry in std::fs::read_dir(dir.path().join("state")).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let secret = made.secret.rsplit('_').next().unwrap().as_bytes();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
        }
    }
}
