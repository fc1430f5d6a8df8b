//! A real redis-server of the test's own: on a free port, in a folder of its own, without persistence.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tollhouse_limits::{Limits, Sharing};

/// Nothing here takes nearly as long; a dead-lock ends after it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that ends with the test.
pub(crate) struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let folder = tempfile::tempdir().unwrap();
        let server = Self { child: spawn(port, folder.path()), port, folder };
        server.ready().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// A node that shares its limits through this server.
    pub(crate) async fn node(&self) -> Limits {
        let limits = Limits::shared(&self.url(), "test").unwrap();
        limits.connect().await;
        assert_eq!(limits.sharing(), Sharing::Shared);
        limits
    }

    /// Ends it as a crash would; its memory is lost.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn start_again(&mut self) {
        self.child = spawn(self.port, self.folder.path());
        self.ready().await;
    }

    /// Stops its process where it stands: connections stay, nothing is answered.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// One command of the test itself.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut asked = redis::cmd(command[0]);
        for argument in &command[1..] {
            asked.arg(*argument);
        }
        asked.query_async(&mut connection).await.unwrap()
    }

    async fn ready(&self) {
        let client = redis::Client::open(self.url()).unwrap();
        let begun = Instant::now();
        while client.get_multiplexed_async_connection().await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "redis-server does not answer on port {}", self.port);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.thaw();
        self.kill();
    }
}

fn spawn(port: u16, folder: &std::path::Path) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning"]);
    command.args(["--port", &port.to_string()]).arg("--dir").arg(folder).stdout(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("starting redis-server, which these tests need: {error}"))
}

/// Waits for something that comes by itself.
pub(crate) async fn wait_for(what: &str, mut come: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !come().await {
        assert!(begun.elapsed() < PATIENCE, "waiting for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
