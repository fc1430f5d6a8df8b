//! Where the configuration comes from, and how a change of its file is noticed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::bail;
use tollhouse_config::{Config, UpstreamConfig, UpstreamKind};

/// Where the configuration is read, each time anew.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The file that was found at the start; `None` where there was none and the defaults are in force.
    pub(crate) path: Option<PathBuf>,
    /// Whether the built-in talker answers in place of the configured model servers.
    pub(crate) demo: bool,
}

impl Source {
    /// Reads the configuration as it is now.
    pub(crate) fn read(&self) -> anyhow::Result<Config> {
        let Some(path) = &self.path else { bail!("no configuration file was found at the start; restart to use one") };
        Ok(self.adapted(tollhouse_config::load(path)?))
    }

    /// What was read, with what the command line says besides.
    pub(crate) fn adapted(&self, mut config: Config) -> Config {
        if self.demo {
            config.models.clear();
            config.upstreams = vec![UpstreamConfig {
                name: "demo".to_owned(),
                kind: UpstreamKind::Demo,
                url: String::new(),
                key: None,
                parallel: None,
            }];
        }
        config
    }
}

/// Notices when the file has become another one.
#[derive(Debug)]
pub(crate) struct FileWatch {
    path: Option<PathBuf>,
    /// The file whose content was read last.
    read: Option<Print>,
    /// The file at the last look.
    seen: Option<Print>,
}

/// What tells one content of a file from another: time of change, inode, size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Print {
    changed: (i64, i64),
    inode: u64,
    bytes: u64,
}

impl FileWatch {
    /// Takes the file as it is now as read.
    pub(crate) async fn new(path: Option<PathBuf>) -> Self {
        let mut watch = Self { path, read: None, seen: None };
        watch.take_as_seen().await;
        watch
    }

    /// Whether there is a file that was not read yet and that is the same as at the last look: one that is still being
    /// written is not read.
    pub(crate) async fn changed(&mut self) -> bool {
        let now = self.print().await;
        let settled = now == self.seen;
        self.seen = now;
        now.is_some() && settled && now != self.read
    }

    /// Takes the file as read. To be called before it is read: what comes in between is noticed.
    pub(crate) async fn take_as_seen(&mut self) {
        self.seen = self.print().await;
        self.read = self.seen;
    }

    async fn print(&self) -> Option<Print> {
        Print::of(self.path.as_ref()?).await
    }
}

impl Print {
    /// Of the file at `path`, if there is one.
    pub(crate) async fn of(path: &Path) -> Option<Self> {
        let metadata = tokio::fs::metadata(path).await.ok()?;
        let changed = (metadata.mtime(), metadata.mtime_nsec());
        Some(Self { changed, inode: metadata.ino(), bytes: metadata.size() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_changed_file_is_noticed_once_it_is_settled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        std::fs::write(&path, "a").unwrap();
        let mut watch = FileWatch::new(Some(path.clone())).await;
        assert!(!watch.changed().await, "nothing happened");
        std::fs::write(&path, "ab").unwrap();
        assert!(!watch.changed().await, "it may still be written");
        assert!(watch.changed().await);
        watch.take_as_seen().await;
        assert!(!watch.changed().await, "it was read");

        std::fs::remove_file(&path).unwrap();
        assert!(!watch.changed().await && !watch.changed().await, "no file is no change");
        std::fs::write(&path, "abc").unwrap();
        assert!(!watch.changed().await && watch.changed().await);
    }
}
