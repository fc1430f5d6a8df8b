//! Where everything is kept: a database of what there is, and a folder of files.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqlStr, SqlitePool};
use tokio::task::spawn_blocking;
use tollhouse_units::hex;

use crate::error::BatchError;

/// How long a statement waits for another connection that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that read.
const READERS_MAX: u32 = 3;
/// Pages of the database that are given back to the disk at a time.
const SHRINK: &str = "PRAGMA incremental_vacuum(2000)";
/// Bytes of chance in an id: nobody guesses one.
const ID_BYTES: usize = 16;

/// What is kept; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Cabinet {
    /// There is one writer at a time anyway: with one connection, writers wait their turn here instead of polling a lock.
    pub(crate) write: SqlitePool,
    pub(crate) read: SqlitePool,
    dir: PathBuf,
}

impl Cabinet {
    /// Opens it, and removes what a crash has left half done. One process at a time may do so.
    pub(crate) async fn open(dir: &Path) -> Result<Self, BatchError> {
        let cabinet = Self::connect(dir).await?;
        cabinet.sweep().await?;
        Ok(cabinet)
    }

    /// Opens it as it is.
    pub(crate) async fn connect(dir: &Path) -> Result<Self, BatchError> {
        for folder in [dir.to_owned(), dir.join("files"), dir.join("inputs")] {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(&folder).map_err(BatchError::file(&folder))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(dir.join("batches.db"))
            .create_if_missing(true)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            // An answer that was committed outlives a power cut: it is not asked again.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // What is deleted is not to be read in the file any more.
            .pragma("secure_delete", "on")
            .busy_timeout(BUSY_TIMEOUT);
        let write = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        migrations().run(&write).await?;
        let read = options.pragma("query_only", "on");
        let read = SqlitePoolOptions::new().max_connections(READERS_MAX).connect_with(read).await?;
        Ok(Self { write, read, dir: dir.to_owned() })
    }

    pub(crate) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// Where the content of a file is. `id` is one that was made here, never one that a client named.
    pub(crate) fn file_path(&self, id: &str) -> PathBuf {
        self.dir.join("files").join(id)
    }

    /// Where a file is while it is written.
    pub(crate) fn part_path(&self, id: &str) -> PathBuf {
        self.dir.join("files").join(format!("{id}.part"))
    }

    /// A batch's own hold on its input: the file may be deleted meanwhile.
    pub(crate) fn input_path(&self, batch: &str) -> PathBuf {
        self.dir.join("inputs").join(batch)
    }

    /// Gives room that is free inside of the database back to the disk.
    pub(crate) async fn shrink(&self) -> Result<(), BatchError> {
        sqlx::query(SHRINK).execute(&self.write).await?;
        Ok(())
    }

    /// Removes files that nothing knows: those of uploads and endings that were cut off.
    async fn sweep(&self) -> Result<(), BatchError> {
        let files = sqlx::query("SELECT id FROM files UNION ALL SELECT id FROM batches WHERE is_open = 1");
        let known = files.fetch_all(&self.read).await?;
        let known: HashSet<String> = known.iter().map(|row| row.get(0)).collect();
        let folders = [self.dir.join("files"), self.dir.join("inputs")];
        let swept = spawn_blocking(move || {
            for folder in folders {
                for entry in fs::read_dir(&folder).map_err(BatchError::file(&folder))? {
                    let entry = entry.map_err(BatchError::file(&folder))?;
                    if !known.contains(&*entry.file_name().to_string_lossy()) {
                        let path = entry.path();
                        fs::remove_file(&path).map_err(BatchError::file(&path))?;
                    }
                }
            }
            Ok(())
        });
        swept.await.unwrap_or(Ok(()))
    }
}

/// Removes a file; one that is not there is no error.
pub(crate) async fn remove(path: &Path) -> Result<(), BatchError> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(BatchError::file(path)(error)),
        _ => Ok(()),
    }
}

/// A new id: `prefix` and hexadecimal digits.
pub(crate) fn new_id(prefix: &str) -> String {
    let mut bytes = [0; ID_BYTES];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    format!("{prefix}{}", hex(&bytes))
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

fn migrations() -> Migrator {
    let steps = [
        (1, "first", include_str!("../migrations/0001_first.sql")),
        (2, "kept", include_str!("../migrations/0002_kept.sql")),
    ];
    let migration = |(number, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(number, name.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    };
    Migrator::with_migrations(steps.map(migration).into())
}
