//! A real Postgres of the tests' own: started by `tests/tools/postgres.sh` on a socket in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A server that ends with the test.
pub(crate) struct Server {
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        let server = Self { folder };
        server.script("start");
        server
    }

    /// A database of its own.
    pub(crate) async fn url(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tasks{}", NEXT.fetch_add(1, Ordering::SeqCst));
        let mut admin = self.connect("postgres").await;
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
        self.url_of(&name)
    }

    /// A connection of the test itself.
    pub(crate) async fn connect(&self, database: &str) -> sqlx::PgConnection {
        use sqlx::Connection as _;
        sqlx::PgConnection::connect(&self.url_of(database)).await.unwrap()
    }

    fn url_of(&self, database: &str) -> String {
        let socket = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://tollhouse@{socket}/{database}")
    }

    fn script(&self, verb: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools/postgres.sh");
        let script: PathBuf = script.canonicalize().unwrap();
        let status = Command::new(script).arg(verb).arg(self.folder.path()).stdout(Stdio::null()).status();
        assert!(status.unwrap().success(), "postgres.sh {verb}: is the package `postgresql` installed?");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.script("stop");
    }
}
