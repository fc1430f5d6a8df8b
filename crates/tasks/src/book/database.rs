//! SQLite and Postgres behind one small face: the same statements, with the same meaning, on both.
//!
//! Statements are written once, with `$1` for arguments, which both understand. Where the two differ, a statement holds a word
//! in braces: `{lock}` (rows that others hold are passed over), `{now}` (the time by which leases are judged).

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgArguments, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Executor, PgPool, Postgres, Row as _, SqlStr, Sqlite, SqlitePool, Transaction};

use crate::error::TaskError;

/// How long a statement waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a transaction in Postgres may pause between two statements. A node that is gone without a word (its power, its network) may
/// hold rows by one, which nobody else could take before the server misses it: by the defaults of TCP, after two hours.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long is waited for a connection to Postgres.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections of one process that read the file.
const READERS_MAX: u32 = 3;
/// Connections of one process to Postgres.
const CONNECTIONS_MAX: u32 = 8;

/// Where the book is.
#[derive(Clone, Debug)]
pub(super) enum Database {
    /// A file. There is one writer at a time anyway: with one connection, writers wait their turn here instead of polling a lock.
    Sqlite { write: SqlitePool, read: SqlitePool },
    /// A server.
    Postgres(PgPool),
}

/// An argument of a statement.
#[derive(Clone, Debug)]
pub(super) enum Arg {
    Int(Option<i64>),
    Text(Option<String>),
}

/// A row of an answer.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Statements that take effect together or not at all.
pub(super) enum Tx {
    Sqlite(Transaction<'static, Sqlite>, i64),
    Postgres(Transaction<'static, Postgres>),
}

impl Database {
    pub(super) async fn sqlite(path: &Path) -> Result<Self, TaskError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // What retention removes is given back to the disk.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            // An intent that was committed outlives a power cut: only then may its effect begin.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let write = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        migrations().run(&write).await?;
        let read = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .connect_with(options.pragma("query_only", "on"))
            .await?;
        Ok(Self::Sqlite { write, read })
    }

    pub(super) async fn postgres(url: &str) -> Result<Self, TaskError> {
        let options = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(CONNECT_TIMEOUT);
        let options = options.after_connect(|connection, _| {
            let set = format!("SET idle_in_transaction_session_timeout = {}", PAUSE_MAX.as_millis());
            Box::pin(async move { connection.execute(AssertSqlSafe(set)).await.map(|_| ()) })
        });
        let pool = options.connect(url).await?;
        migrations().run(&pool).await?;
        Ok(Self::Postgres(pool))
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }

    /// Begins a transaction that writes. `now_ms` is the time by which leases are judged where the database has none of its own.
    pub(super) async fn begin(&self, now_ms: i64) -> Result<Tx, TaskError> {
        Ok(match self {
            // Takes the lock at once: a transaction that reads first could not come to write after somebody else did.
            Self::Sqlite { write, .. } => Tx::Sqlite(write.begin_with("BEGIN IMMEDIATE").await?, now_ms),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }

    /// Reads.
    pub(super) async fn rows(&self, sql: &str, args: Vec<Arg>) -> Result<Vec<Row>, TaskError> {
        Ok(match self {
            Self::Sqlite { read, .. } => {
                let rows = sqlite(sql, args, 0).fetch_all(read).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(pool) => postgres(sql, args).fetch_all(pool).await?.into_iter().map(Row::Postgres).collect(),
        })
    }

    /// Copies the file.
    pub(super) async fn copy_to(&self, path: &Path) -> Result<(), TaskError> {
        let Self::Sqlite { write, .. } = self else {
            return Err(TaskError::Wrong("a book in Postgres is copied by pg_dump".to_owned()));
        };
        sqlx::query("VACUUM INTO $1").bind(path.to_string_lossy().into_owned()).execute(write).await?;
        Ok(())
    }

    /// What is damaged in the file, if anything is.
    pub(super) async fn damage(&self) -> Result<Option<String>, TaskError> {
        let Self::Sqlite { read, .. } = self else { return Ok(None) };
        let (found,): (String,) = sqlx::query_as("PRAGMA integrity_check(1)").fetch_one(read).await?;
        Ok((found != "ok").then_some(found))
    }

    /// Gives room that is free inside of the file back to the disk, a bounded piece at a time.
    pub(super) async fn shrink(&self) -> Result<(), TaskError> {
        if let Self::Sqlite { write, .. } = self {
            sqlx::query("PRAGMA incremental_vacuum(2000)").execute(write).await?;
        }
        Ok(())
    }
}

impl Tx {
    /// Writes, and tells how many rows were meant.
    pub(super) async fn execute(&mut self, sql: &str, args: Vec<Arg>) -> Result<u64, TaskError> {
        Ok(match self {
            Self::Sqlite(tx, now_ms) => sqlite(sql, args, *now_ms).execute(&mut **tx).await?.rows_affected(),
            Self::Postgres(tx) => postgres(sql, args).execute(&mut **tx).await?.rows_affected(),
        })
    }

    /// Reads, or writes and tells what was written.
    pub(super) async fn rows(&mut self, sql: &str, args: Vec<Arg>) -> Result<Vec<Row>, TaskError> {
        Ok(match self {
            Self::Sqlite(tx, now_ms) => {
                let rows = sqlite(sql, args, *now_ms).fetch_all(&mut **tx).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(tx) => {
                postgres(sql, args).fetch_all(&mut **tx).await?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub(super) async fn commit(self) -> Result<(), TaskError> {
        match self {
            Self::Sqlite(tx, _) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

impl Row {
    pub(super) fn int(&self, column: &str) -> Result<i64, TaskError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn maybe_int(&self, column: &str) -> Result<Option<i64>, TaskError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn text(&self, column: &str) -> Result<String, TaskError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    pub(super) fn maybe_text(&self, column: &str) -> Result<Option<String>, TaskError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<u32> for Arg {
    fn from(number: u32) -> Self {
        Self::Int(Some(i64::from(number)))
    }
}

impl From<u64> for Arg {
    fn from(number: u64) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

impl From<bool> for Arg {
    fn from(truth: bool) -> Self {
        Self::Int(Some(i64::from(truth)))
    }
}

impl From<Option<i64>> for Arg {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&String> for Arg {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<Option<String>> for Arg {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

/// The arguments of a statement.
macro_rules! args {
    ($($arg:expr),* $(,)?) => { vec![$($crate::book::database::Arg::from($arg)),*] };
}
pub(super) use args;

fn sqlite(sql: &str, args: Vec<Arg>, now_ms: i64) -> Query<'static, Sqlite, SqliteArguments> {
    let sql = if sql.contains('{') {
        sql.replace("{lock}", "").replace("{now}", &now_ms.to_string())
    } else {
        sql.to_owned()
    };
    // Nothing from outside is ever a part of a statement: it comes as an argument.
    let query = sqlx::query(AssertSqlSafe(sql));
    args.into_iter().fold(query, |query, arg| match arg {
        Arg::Int(number) => query.bind(number),
        Arg::Text(text) => query.bind(text),
    })
}

fn postgres(sql: &str, args: Vec<Arg>) -> Query<'static, Postgres, PgArguments> {
    const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let sql = if sql.contains('{') {
        sql.replace("{lock}", "FOR UPDATE SKIP LOCKED").replace("{now}", NOW)
    } else {
        sql.to_owned()
    };
    let query = sqlx::query(AssertSqlSafe(sql));
    args.into_iter().fold(query, |query, arg| match arg {
        Arg::Int(number) => query.bind(number),
        // Postgres' texts hold no NUL.
        Arg::Text(text) => query.bind(text.map(|text| text.replace('\0', "\u{fffd}"))),
    })
}

/// The steps by which the tables came to be, the same on both. A step that has been released is only followed by another.
fn migrations() -> Migrator {
    let steps = [
        (1, "first", include_str!("../../migrations/0001_first.sql")),
        (2, "clock", include_str!("../../migrations/0002_clock.sql")),
    ];
    let migration = |(number, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(number, name.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    };
    let mut migrator = Migrator::with_migrations(steps.map(migration).into());
    // The database may be shared with others who keep such a table too.
    migrator.dangerous_set_table_name("tollhouse_tasks_migrations");
    migrator
}
