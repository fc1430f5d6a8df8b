//! A real Postgres of the tests' own: started by `tests/tools/postgres.sh` on a socket in a folder of its own.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod wire;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a server's socket is called in its folder.
const SOCKET: &str = ".s.PGSQL.5432";

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
        url_of(self.folder.path(), &name)
    }

    /// A connection of the test itself.
    pub(crate) async fn connect(&self, database: &str) -> sqlx::PgConnection {
        use sqlx::Connection as _;
        sqlx::PgConnection::connect(&url_of(self.folder.path(), database)).await.unwrap()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join(SOCKET)
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

/// The URL of a database of the server whose socket is in this folder.
fn url_of(folder: &Path, database: &str) -> String {
    let socket = folder.display().to_string().replace('/', "%2F");
    format!("postgres://tollhouse@{socket}/{database}")
}
