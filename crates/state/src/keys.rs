//! Keys: made once, listed without their secret, rotated, revoked.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{Row, Transaction};

use crate::settings::{KeyLimits, KeySettings, OldSecret, StoredKey};
use crate::{Digest, State, StateError, now_ms, random_token};

/// Characters of a key's public part.
const ID_CHARS: usize = 10;
/// Characters of a key's secret part: 256 bits.
const SECRET_CHARS: usize = 43;

/// Old secrets of one key that may still be valid; further rotations end the oldest at once.
const OLD_SECRETS_MAX: i64 = 8;
/// Length of an id that is revoked; longer ones are no ids.
const ID_CHARS_MAX: usize = 100;

/// A new or rotated key together with its secret, which is shown this once.
#[derive(Clone, Debug)]
pub struct CreatedKey {
    /// What is kept of it.
    pub key: StoredKey,
    /// `th_<id>_<secret>`: what the client sends.
    pub secret: String,
}

impl State {
    /// Makes a key. The returned secret cannot be had a second time.
    pub async fn create_key(&self, settings: &KeySettings) -> Result<CreatedKey, StateError> {
        settings.check()?;
        let id = random_token(ID_CHARS);
        let secret = new_secret(&id);
        let hash = self.pepper().digest(&secret);
        let settings = settings.clone();
        let key = StoredKey { id, hash, old: Vec::new(), settings, created_ms: now_ms(), revoked_ms: None };
        let mut tx = self.pool.begin().await?;
        insert(&key).execute(&mut *tx).await?;
        count_change(&mut tx).await?;
        tx.commit().await?;
        Ok(CreatedKey { key, secret })
    }

    /// Gives a key that is in force another secret; the one before stays valid for `overlap`. `None` when no key of this
    /// id is in force.
    pub async fn rotate_key(&self, id: &str, overlap: Duration) -> Result<Option<CreatedKey>, StateError> {
        let now = now_ms();
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let row = sqlx::query("SELECT * FROM keys WHERE id = ?").bind(id).fetch_optional(&mut *tx).await?;
        let Some(mut key) = row.as_ref().map(read_key).transpose()?.filter(|key| key.in_force(now)) else {
            return Ok(None);
        };
        let secret = new_secret(id);
        let old = OldSecret { hash: key.hash, until_ms: now.saturating_add(overlap.as_millis() as i64) };
        key.hash = self.pepper().digest(&secret);
        sqlx::query("UPDATE keys SET hash = ? WHERE id = ?")
            .bind(key.hash.as_slice())
            .bind(id)
            .execute(&mut *tx)
            .await?;
        sqlx::query("INSERT INTO old_secrets (hash, key_id, until_ms) VALUES (?, ?, ?)")
            .bind(old.hash.as_slice())
            .bind(id)
            .bind(old.until_ms)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "DELETE FROM old_secrets WHERE until_ms <= ?1 OR (key_id = ?2 AND rowid NOT IN
             (SELECT rowid FROM old_secrets WHERE key_id = ?2 ORDER BY rowid DESC LIMIT ?3))",
        )
        .bind(now)
        .bind(id)
        .bind(OLD_SECRETS_MAX)
        .execute(&mut *tx)
        .await?;
        key.old = old_secrets(&mut tx, Some(id), now).await?.into_iter().map(|(_, old)| old).collect();
        count_change(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(CreatedKey { key, secret }))
    }

    /// All keys ever made, the newest last, revoked ones included.
    pub async fn keys(&self) -> Result<Vec<StoredKey>, StateError> {
        // One transaction: a rotation in between would show a key without any of its secrets.
        let mut tx = self.pool.begin().await?;
        let rows = sqlx::query("SELECT * FROM keys ORDER BY created_ms, id").fetch_all(&mut *tx).await?;
        let mut keys = rows.iter().map(read_key).collect::<Result<Vec<_>, _>>()?;
        for (id, old) in old_secrets(&mut tx, None, now_ms()).await? {
            if let Some(key) = keys.iter_mut().find(|key| key.id == id) {
                key.old.push(old);
            }
        }
        Ok(keys)
    }

    /// Ends a key now, its old secrets too. `false` when there is no such key or it has been revoked before.
    pub async fn revoke_key(&self, id: &str) -> Result<bool, StateError> {
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query("UPDATE keys SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL")
            .bind(now_ms())
            .bind(id)
            .execute(&mut *tx)
            .await?;
        count_change(&mut tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends the key of this id wherever it is kept: here, in a configuration file or on another node. `false` when it has
    /// been revoked before. For good: an id that was revoked opens no door again.
    pub async fn revoke_id(&self, id: &str) -> Result<bool, StateError> {
        if self.revoke_key(id).await? {
            return Ok(true);
        }
        if id.is_empty() || id.chars().count() > ID_CHARS_MAX {
            return Ok(false);
        }
        let mut tx = self.pool.begin().await?;
        let done = sqlx::query(
            "INSERT OR IGNORE INTO revoked_ids (id, revoked_ms) SELECT ?1, ?2
             WHERE NOT EXISTS (SELECT 1 FROM keys WHERE id = ?1)",
        )
        .bind(id)
        .bind(now_ms())
        .execute(&mut *tx)
        .await?;
        count_change(&mut tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// All ids that were ever revoked.
    pub async fn revoked_ids(&self) -> Result<BTreeSet<String>, StateError> {
        let all = "SELECT id FROM revoked_ids UNION SELECT id FROM keys WHERE revoked_ms IS NOT NULL";
        let ids: Vec<String> = sqlx::query_scalar(all).fetch_all(&self.pool).await?;
        Ok(ids.into_iter().collect())
    }
}

fn new_secret(id: &str) -> String {
    format!("th_{id}_{}", random_token(SECRET_CHARS))
}

/// The statement that keeps a new key.
fn insert(key: &StoredKey) -> Query<'_, Sqlite, SqliteArguments> {
    let StoredKey { settings, .. } = key;
    let limits = &settings.limits;
    let json = |texts: &[String]| serde_json::Value::from(texts.to_vec()).to_string();
    sqlx::query(
        "INSERT INTO keys (id, hash, name, user, role, models, requests, per_ms, prompt_chars, created_ms, expires_ms,
         tokens, tokens_per_ms, concurrent, tokens_per_day, tokens_per_month, priority, weight, allow, indices)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&key.id)
    .bind(key.hash.as_slice())
    .bind(&settings.name)
    .bind(&settings.user)
    .bind(&settings.role)
    .bind(json(&settings.models))
    .bind(limits.requests.map(|(most, _)| i64::from(most)))
    .bind(limits.requests.map(|(_, per_ms)| per_ms as i64))
    .bind(settings.prompt_chars.map(|chars| chars as i64))
    .bind(key.created_ms)
    .bind(settings.expires_ms)
    .bind(limits.tokens.map(|(most, _)| most as i64))
    .bind(limits.tokens.map(|(_, per_ms)| per_ms as i64))
    .bind(limits.concurrent.map(i64::from))
    .bind(limits.tokens_per_day.map(|tokens| tokens as i64))
    .bind(limits.tokens_per_month.map(|tokens| tokens as i64))
    .bind(&settings.priority)
    .bind(i64::from(settings.weight))
    .bind(json(&settings.allow))
    .bind(json(&settings.indices))
}

/// Makes [`State::versions`] grow, within the change itself.
async fn count_change(tx: &mut Transaction<'_, Sqlite>) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE changes SET version = version + 1 WHERE name = 'keys'").execute(&mut **tx).await.map(|_| ())
}

/// Replaced secrets that are still valid, of one key or of all, each with its key's id; the newest last.
async fn old_secrets(
    tx: &mut Transaction<'_, Sqlite>,
    id: Option<&str>,
    now: i64,
) -> Result<Vec<(String, OldSecret)>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT * FROM old_secrets WHERE until_ms > ?1 AND (?2 IS NULL OR key_id = ?2) ORDER BY rowid")
            .bind(now)
            .bind(id)
            .fetch_all(&mut **tx)
            .await?;
    let read = |row: &SqliteRow| {
        Ok((row.try_get("key_id")?, OldSecret { hash: read_hash(row)?, until_ms: row.try_get("until_ms")? }))
    };
    rows.iter().map(read).collect()
}

fn read_key(row: &SqliteRow) -> Result<StoredKey, sqlx::Error> {
    let number = |name: &str| row.try_get::<Option<i64>, _>(name);
    let list = |name: &str| -> Result<Vec<String>, sqlx::Error> {
        serde_json::from_str(row.try_get(name)?).map_err(|error| sqlx::Error::Decode(error.into()))
    };
    let limits = KeyLimits {
        requests: number("requests")?.zip(number("per_ms")?).map(|(most, per_ms)| (most as u32, per_ms as u64)),
        tokens: number("tokens")?.zip(number("tokens_per_ms")?).map(|(most, per_ms)| (most as u64, per_ms as u64)),
        concurrent: number("concurrent")?.map(|most| most as u32),
        tokens_per_day: number("tokens_per_day")?.map(|tokens| tokens as u64),
        tokens_per_month: number("tokens_per_month")?.map(|tokens| tokens as u64),
    };
    let settings = KeySettings {
        name: row.try_get("name")?,
        user: row.try_get("user")?,
        role: row.try_get("role")?,
        models: list("models")?,
        limits,
        prompt_chars: number("prompt_chars")?.map(|chars| chars as usize),
        priority: row.try_get("priority")?,
        weight: row.try_get::<i64, _>("weight")? as u32,
        allow: list("allow")?,
        indices: list("indices")?,
        expires_ms: row.try_get("expires_ms")?,
    };
    Ok(StoredKey {
        id: row.try_get("id")?,
        hash: read_hash(row)?,
        old: Vec::new(),
        settings,
        created_ms: row.try_get("created_ms")?,
        revoked_ms: row.try_get("revoked_ms")?,
    })
}

fn read_hash(row: &SqliteRow) -> Result<Digest, sqlx::Error> {
    let hash: Vec<u8> = row.try_get("hash")?;
    hash.try_into().map_err(|_| sqlx::Error::Decode("a key's hash is not 32 bytes".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn named(name: &str) -> KeySettings {
        KeySettings { name: name.to_owned(), ..KeySettings::default() }
    }

    /// Settings with a value in every field.
    fn full() -> KeySettings {
        KeySettings {
            user: Some("anna".into()),
            role: "logs:read".into(),
            models: vec!["qwen3:*".into()],
            indices: vec!["team-a-*".into()],
            limits: KeyLimits {
                requests: Some((30, 60_000)),
                tokens: Some((100_000, 3_600_000)),
                concurrent: Some(4),
                tokens_per_day: Some(2_000_000),
                tokens_per_month: Some(40_000_000),
            },
            prompt_chars: Some(200_000),
            priority: "high".into(),
            weight: 7,
            allow: vec!["10.0.0.0/16".into()],
            expires_ms: Some(now_ms() + 1_000_000),
            ..named("team-a")
        }
    }

    #[tokio::test]
    async fn a_key_is_made_found_and_revoked_across_two_openers() {
        let dir = tempfile::tempdir().unwrap();
        let (house, cli) = (State::open(dir.path()).await.unwrap(), State::open(dir.path()).await.unwrap());
        let before = house.versions().await.unwrap().keys;
        let made = cli.create_key(&full()).await.unwrap();
        assert!(made.secret.starts_with(&format!("th_{}_", made.key.id)));
        assert!(house.versions().await.unwrap().keys > before);

        let found = house.keys().await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].hash, house.pepper().digest(&made.secret));
        assert_eq!(found[0].settings, full_of(&made));
        assert_eq!(made.key.settings.limits, full().limits);

        assert!(cli.revoke_key(&made.key.id).await.unwrap());
        assert!(!cli.revoke_key(&made.key.id).await.unwrap(), "a second time changes nothing");
        assert!(!cli.revoke_key("nobody").await.unwrap());
        assert!(house.keys().await.unwrap()[0].revoked_ms.is_some());
    }

    fn full_of(made: &CreatedKey) -> KeySettings {
        KeySettings { expires_ms: made.key.settings.expires_ms, ..full() }
    }

    #[tokio::test]
    async fn a_rotated_key_keeps_all_but_its_secret_and_the_old_one_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let first = state.create_key(&full()).await.unwrap();
        let other = state.create_key(&named("other")).await.unwrap();
        let before = state.versions().await.unwrap().keys;
        let second = state.rotate_key(&first.key.id, DAY).await.unwrap().expect("it is in force");
        assert!(state.versions().await.unwrap().keys > before);
        assert_eq!((&second.key.id, &second.key.settings), (&first.key.id, &first.key.settings));
        assert_ne!(second.secret, first.secret);

        let keys = state.keys().await.unwrap();
        let key = keys.iter().find(|key| key.id == first.key.id).unwrap();
        assert_eq!(key.hash, state.pepper().digest(&second.secret));
        assert_eq!(key.old, second.key.old);
        assert_eq!(key.old.len(), 1);
        assert_eq!(key.old[0].hash, first.key.hash);
        assert!(keys.iter().find(|key| key.id == other.key.id).unwrap().old.is_empty());

        let third = state.rotate_key(&first.key.id, Duration::ZERO).await.unwrap().unwrap();
        assert_eq!(third.key.old, second.key.old, "the second ended at once, the first goes on");
    }

    #[tokio::test]
    async fn only_a_key_in_force_is_rotated_and_old_secrets_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        assert!(state.rotate_key("nobody", DAY).await.unwrap().is_none());
        let ended = state.create_key(&KeySettings { expires_ms: Some(1), ..named("a") }).await.unwrap();
        assert!(state.rotate_key(&ended.key.id, DAY).await.unwrap().is_none());
        let made = state.create_key(&named("b")).await.unwrap();
        let mut newest = Vec::new();
        for _ in 0..OLD_SECRETS_MAX + 3 {
            newest = state.rotate_key(&made.key.id, DAY).await.unwrap().unwrap().key.old;
        }
        assert_eq!(newest.len() as i64, OLD_SECRETS_MAX);
        assert!(newest.iter().all(|old| old.hash != made.key.hash), "the oldest is gone");
        state.revoke_key(&made.key.id).await.unwrap();
        assert!(state.rotate_key(&made.key.id, DAY).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn any_id_can_be_revoked_and_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let made = state.create_key(&named("a")).await.unwrap();
        for id in ["prod", &made.key.id] {
            let before = state.versions().await.unwrap().keys;
            assert!(state.revoke_id(id).await.unwrap());
            assert!(state.versions().await.unwrap().keys > before);
            assert!(!state.revoke_id(id).await.unwrap(), "a second time changes nothing");
        }
        assert!(!state.revoke_id("").await.unwrap());
        assert!(state.keys().await.unwrap()[0].revoked_ms.is_some());
        assert_eq!(state.revoked_ids().await.unwrap(), BTreeSet::from(["prod".to_owned(), made.key.id]));
    }

    #[tokio::test]
    async fn settings_that_make_no_sense_make_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let wrong = KeySettings { weight: 0, ..named("a") };
        let error = state.create_key(&wrong).await.unwrap_err();
        assert_eq!(error.to_string(), "`weight` must be a number from 1 to 100");
        assert!(state.keys().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn no_secret_lies_in_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let made = state.create_key(&named("a")).await.unwrap();
        let rotated = state.rotate_key(&made.key.id, DAY).await.unwrap().unwrap();
        state.close().await;
        for entry in std::fs::read_dir(dir.path().join("state")).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            for secret in [&made.secret, &rotated.secret] {
                let secret = secret.rsplit('_').next().unwrap().as_bytes();
                assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
            }
        }
    }
}
