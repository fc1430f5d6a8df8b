//! The home of everything that changes: keys, console tokens, users, sessions, saved searches, what was used of the limits, in one
//! SQLite file.
//!
//! [`State`] opens `<data_dir>/state/state.db` (and brings its tables up to date), and beside it the *pepper*: 32 random
//! bytes, readable by the owner alone, under which every secret is hashed. A copy of the database without the pepper is
//! of no use to a thief. [`State::create_key`] and [`State::rotate_key`] are the only moments at which a
//! secret exists in the clear.
//!
//! The command line and a running house open the same file at the same time; SQLite's write-ahead log keeps them apart,
//! and [`State::versions`] tells the house cheaply that something changed.
//!
//! What this crate never does: decide who may do what (that is `access`), or keep a credential that can be read back. The
//! keys that seal prompts and answers ([`State::content_key`]) are no credentials; they are here so that they can be deleted.
//!
//! ```no_run
//! # async fn example() -> Result<(), tollhouse_state::StateError> {
//! let state = tollhouse_state::State::open("tollhouse-data".as_ref()).await?;
//! let made = state.create_key(&tollhouse_state::KeySettings { name: "team-a".into(), ..Default::default() }).await?;
//! println!("{}", made.secret);
//! # Ok(()) }
//! ```

mod alerts;
mod certificates;
mod changes;
mod chats;
mod content;
mod dashboards;
mod incidents;
mod keys;
mod limits;
mod links;
mod named;
mod passwords;
mod pepper;
mod probes;
mod providers;
mod revisions;
mod rules;
mod saved;
mod sessions;
mod settings;
mod tasks;
mod users;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqlStr, SqlitePool};

use crate::passwords::Passwords;

pub use alerts::{AlertChanges, AlertIntent, AlertState, WAITING_ALERTS_MAX, WaitingAlert};
pub use changes::Versions;
pub use chats::{CHAT_MESSAGES_MAX, CHATS_MAX, Chat, ChatMessage, ChatSettings, FoundChat};
pub use content::{ContentKey, Erasure};
pub use dashboards::{DASHBOARDS_MAX, Dashboard, KeptDashboard, PANELS_MAX, Panel};
pub use incidents::{INCIDENTS_MAX, Incident};
pub use keys::CreatedKey;
pub use limits::LimitsSnapshot;
pub use links::LinkError;
pub use named::Keeping;
pub use passwords::check_password;
pub use pepper::{Digest, Pepper, random_token};
pub use providers::ProviderUser;
pub use revisions::{REVISIONS_MAX, Revision};
pub use rules::{SAVED_RULES_MAX, SavedRule};
pub use saved::{SAVED_MAX, Saved, SavedSearch};
pub use sessions::{OpenedSession, SESSIONS_MAX, Session, TOKEN_SESSIONS_MAX, Visit, Way};
pub use settings::{KeyLimits, KeySettings, OldSecret, StoredKey, WrongSetting};
pub use tasks::TaskMessage;
pub use users::{Origin, Role, USERS_MAX, User, WaitingAudit};

/// How long a statement waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections of one process to the file; all statements are short.
const CONNECTIONS_MAX: u32 = 4;

/// Handle to the state store; clones share the same connections.
#[derive(Clone, Debug)]
pub struct State {
    pool: SqlitePool,
    pepper: Pepper,
    passwords: Passwords,
}

/// Why the state store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory or the pepper file cannot be made or read.
    #[error("preparing {path}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The pepper file is not what this program wrote.
    #[error(
        "{path} holds {found} bytes instead of 32; restore it from a backup, or remove it together with state.db to begin anew (all keys become invalid)"
    )]
    Pepper {
        /// The pepper file.
        path: PathBuf,
        /// Its length.
        found: usize,
    },
    /// No key can be made with such settings.
    #[error(transparent)]
    Settings(#[from] WrongSetting),
    /// Too many passwords are being hashed; it can be tried again.
    #[error("too many sign in at once")]
    Busy,
    /// A password cannot be hashed, or its hash not be read.
    #[error("hashing a password: {0}")]
    Password(String),
    /// The file is damaged.
    #[error("the state database is damaged: {0}")]
    Damaged(String),
    /// A statement failed.
    #[error("asking the state database")]
    Database(#[from] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("bringing the state database up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

impl State {
    /// Opens or creates the state below `data_dir`.
    pub async fn open(data_dir: &Path) -> Result<Self, StateError> {
        let dir = data_dir.join("state");
        std::fs::create_dir_all(&dir).map_err(|source| StateError::File { path: dir.clone(), source })?;
        let pepper = Pepper::load_or_create(&dir.join("pepper"))?;
        let options = SqliteConnectOptions::new()
            .filename(dir.join("state.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            // What is deleted is overwritten.
            .pragma("secure_delete", "on");
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).connect_with(options).await?;
        migrations().run(&pool).await?;
        let passwords = Passwords::new(pepper.clone());
        Ok(Self { pool, pepper, passwords })
    }

    /// The key under which secrets are hashed.
    pub fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// Writes a copy of the state, as it is at one moment, to a file that is not there yet. The pepper is not in it.
    pub async fn copy_to(&self, path: &Path) -> Result<(), StateError> {
        let path = path.to_string_lossy().into_owned();
        sqlx::query("VACUUM INTO ?").bind(path).execute(&self.pool).await?;
        Ok(())
    }

    /// Looks through the whole file for damage.
    pub async fn check(&self) -> Result<(), StateError> {
        let (found,): (String,) = sqlx::query_as("PRAGMA integrity_check(1)").fetch_one(&self.pool).await?;
        if found == "ok" { Ok(()) } else { Err(StateError::Damaged(found)) }
    }

    /// Closes all connections; the write-ahead log is folded into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// The steps by which the tables came to be. A step that has been released is never changed, only followed by another.
fn migrations() -> Migrator {
    let steps = [
        (1, "first", include_str!("../migrations/0001_first.sql")),
        (2, "limits", include_str!("../migrations/0002_limits.sql")),
        (3, "content", include_str!("../migrations/0003_content.sql")),
        (4, "saved", include_str!("../migrations/0004_saved.sql")),
        (5, "alerts", include_str!("../migrations/0005_alerts.sql")),
        (6, "indices", include_str!("../migrations/0006_indices.sql")),
        (7, "incidents", include_str!("../migrations/0007_incidents.sql")),
        (8, "probes", include_str!("../migrations/0008_probes.sql")),
        (9, "users", include_str!("../migrations/0009_users.sql")),
        (10, "dashboards", include_str!("../migrations/0010_dashboards.sql")),
        (11, "chats", include_str!("../migrations/0011_chats.sql")),
        (12, "erasures", include_str!("../migrations/0012_erasures.sql")),
        (13, "providers", include_str!("../migrations/0013_providers.sql")),
        (14, "revisions", include_str!("../migrations/0014_revisions.sql")),
        (16, "alert_rules", include_str!("../migrations/0016_alert_rules.sql")),
        (17, "certificates", include_str!("../migrations/0017_certificates.sql")),
        (19, "task_messages", include_str!("../migrations/0019_task_messages.sql")),
    ];
    let migration = |(number, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(number, name.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    };
    Migrator::with_migrations(steps.map(migration).into())
}

/// Now, in milliseconds since 1970 UTC.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_of_the_first_release_are_still_there() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("state")).unwrap();
        let options = SqliteConnectOptions::new().filename(dir.path().join("state/state.db")).create_if_missing(true);
        let old = SqlitePoolOptions::new().connect_with(options).await.unwrap();
        let mut first = migrations();
        first.migrations.to_mut().truncate(1);
        first.run(&old).await.unwrap();
        let insert = "INSERT INTO keys (id, hash, name, role, models, requests, per_ms, created_ms)
                      VALUES ('a', zeroblob(32), 'old', 'user', '[\"qwen3:*\"]', 30, 60000, 1)";
        sqlx::query(insert).execute(&old).await.unwrap();
        old.close().await;

        let keys = State::open(dir.path()).await.unwrap().keys().await.unwrap();
        assert_eq!(keys.len(), 1);
        let expected = KeySettings {
            name: "old".into(),
            models: vec!["qwen3:*".into()],
            limits: KeyLimits { requests: Some((30, 60_000)), ..KeyLimits::default() },
            ..KeySettings::default()
        };
        assert_eq!(keys[0].settings, expected);
    }
}
