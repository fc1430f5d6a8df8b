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

use std::error::Error;
use std::iter::successors;
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
/// The database, beside the pepper.
const DATABASE: &str = "state.db";
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
    /// The pepper is gone, and there is what only it can compare.
    #[error(
        "{path} is missing, and without it nothing in {database} can be compared any more (keys in force: {keys}, users with a \
         password: {users}); copy it back from a backup (`state/pepper` in its folder), or move the folder {folder} away to begin anew, \
         without keys, users and chats",
        database = .path.with_file_name(DATABASE).display(), folder = .path.with_file_name("").display()
    )]
    PepperMissing {
        /// The pepper file.
        path: PathBuf,
        /// Keys in force.
        keys: u64,
        /// Users with a password.
        users: u64,
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
    #[error("the state database is damaged; put the last backup back (`tollhouse backup restore`): {0}")]
    Damaged(String),
    /// The database cannot be opened.
    #[error("opening the state database {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<StateError>,
    },
    /// A statement failed.
    #[error("asking the state database{}", advice(.0))]
    Database(#[from] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("bringing the state database up to date{}", advice(.0))]
    Migration(#[from] sqlx::migrate::MigrateError),
}

/// What can be done about an error, where that is known, as part of a sentence.
fn advice(error: &(dyn Error + 'static)) -> &'static str {
    let mut causes = successors(Some(error), |&error| error.source());
    let said = causes.find_map(|error| error.downcast_ref::<sqlx::Error>());
    let code = said.and_then(|error| error.as_database_error()?.code()?.parse::<i32>().ok());
    // Result codes of SQLite (sqlite.org/rescode.html): the lowest byte is the primary one.
    match code.map(|code| (code, code & 0xff)) {
        // NOTADB, CORRUPT
        Some((_, 26 | 11)) => {
            ", which is no database any more or damaged; move it away and put the last backup back (`tollhouse backup restore`)"
        }
        // FULL; IOERR_WRITE, IOERR_SHMSIZE: what a full disk gives while a file grows
        Some((_, 13) | (778 | 4874, _)) => ", for which the disk has no room; free some",
        // READONLY, CANTOPEN
        Some((_, 8 | 14)) => ", which cannot be written or opened; look at its owner and rights",
        _ => "",
    }
}

impl State {
    /// Opens or creates the state below `data_dir`.
    pub async fn open(data_dir: &Path) -> Result<Self, StateError> {
        let dir = data_dir.join("state");
        std::fs::create_dir_all(&dir).map_err(|source| StateError::File { path: dir.clone(), source })?;
        let path = dir.join(DATABASE);
        let pool = connect(&path).await.map_err(|source| StateError::Open { path, source: Box::new(source) })?;
        let pepper = pepper(&pool, &dir.join("pepper")).await?;
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

/// Opens the file, or makes it, and brings its tables up to date.
async fn connect(path: &Path) -> Result<SqlitePool, StateError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        // What is deleted is overwritten.
        .pragma("secure_delete", "on");
    let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).connect_with(options).await?;
    migrations().run(&pool).await?;
    Ok(pool)
}

/// The pepper: made anew only while nothing is hashed under one that is gone.
async fn pepper(pool: &SqlitePool, path: &Path) -> Result<Pepper, StateError> {
    let counts = "SELECT (SELECT count(*) FROM keys WHERE revoked_ms IS NULL), (SELECT count(*) FROM users WHERE password <> '')";
    // Counted before the file is looked for: whoever makes the first key meanwhile has made the file before.
    let (keys, users): (i64, i64) = sqlx::query_as(counts).fetch_one(pool).await?;
    if keys == 0 && users == 0 {
        return Pepper::load_or_create(path);
    }
    let missing = || StateError::PepperMissing {
        path: path.to_owned(),
        keys: keys.cast_unsigned(),
        users: users.cast_unsigned(),
    };
    Pepper::load(path)?.ok_or_else(missing)
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
        std::fs::write(dir.path().join("state/pepper"), [7; 32]).unwrap();

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

    #[tokio::test]
    async fn a_pepper_that_is_gone_is_not_replaced_under_keys_and_users() {
        let dir = tempfile::tempdir().unwrap();
        let pepper = dir.path().join("state/pepper");
        let state = State::open(dir.path()).await.unwrap();
        let key = state.create_key(&KeySettings { name: "a".into(), ..KeySettings::default() }).await.unwrap();
        state.close().await;
        let kept = std::fs::read(&pepper).unwrap();
        std::fs::remove_file(&pepper).unwrap();
        let error = State::open(dir.path()).await.unwrap_err();
        assert!(matches!(error, StateError::PepperMissing { keys: 1, users: 0, .. }), "{error:?}");
        let told = error.to_string();
        assert!(told.contains(&pepper.display().to_string()) && told.contains("backup"), "{told}");
        assert!(!pepper.exists());

        std::fs::write(&pepper, kept).unwrap();
        let state = State::open(dir.path()).await.unwrap();
        assert_eq!(state.pepper().digest(&key.secret), state.keys().await.unwrap()[0].hash);
        state.revoke_key(&key.key.id).await.unwrap();
        state.close().await;
        // Nothing is hashed under it now that is still in force.
        std::fs::remove_file(&pepper).unwrap();
        let state = State::open(dir.path()).await.unwrap();
        state.create_user("anna", Role::Admin, "correct horse battery").await.unwrap();
        state.close().await;
        std::fs::remove_file(&pepper).unwrap();
        let error = State::open(dir.path()).await.unwrap_err();
        assert!(matches!(error, StateError::PepperMissing { keys: 0, users: 1, .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state/state.db");
        std::fs::create_dir(dir.path().join("state")).unwrap();
        std::fs::write(&file, "nonsense ".repeat(1000)).unwrap();
        let error = State::open(dir.path()).await.unwrap_err();
        let told = tollhouse_units::chain(&error);
        assert!(told.contains(&file.display().to_string()) && told.contains("backup restore"), "{told}");
    }

    #[tokio::test]
    async fn a_full_database_says_to_free_room() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).await.unwrap();
        let mut connection = state.pool.acquire().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(&mut *connection).await.unwrap();
        let insert = "INSERT INTO waiting_audits (what, fields, done_ms) VALUES ('x', hex(zeroblob(1000000)), 0)";
        let error = StateError::from(sqlx::query(insert).execute(&mut *connection).await.unwrap_err());
        assert!(error.to_string().contains("free some"), "{error:?}");
    }
}
