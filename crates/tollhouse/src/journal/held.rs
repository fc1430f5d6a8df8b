//! The journal in the hands of a command, while no house writes it.

use anyhow::{Context, anyhow};
use tollhouse_journal::{Journal, JournalError, Level, Opened, Options, Record, Writer};

use crate::{cli, up};

/// The journal, held so that no house writes it meanwhile.
pub(crate) struct Held {
    pub(crate) journal: Journal,
    writer: Writer,
    caller: &'static str,
}

impl Held {
    /// Opens it for a command, and records that.
    ///
    /// # Errors
    /// A house is running: with its process and with `advice`. Or the journal cannot be opened.
    pub(crate) async fn open(
        options: Options,
        caller: &'static str,
        command: &'static str,
        advice: &str,
    ) -> anyhow::Result<Self> {
        let opened = tokio::task::spawn_blocking(move || Journal::open(options)).await?;
        let Opened { journal, writer, recovery } = opened.map_err(|error| match &error {
            JournalError::Locked { pid, .. } => {
                let pid = pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
                anyhow!("{error}: a house is running (process {pid}); {advice}")
            }
            _ => error.into(),
        })?;
        let held = Self { journal, writer, caller };
        // What a crash of the house left is told and closed here, because this is the next start after it.
        up::tell_recovery(&held.journal, recovery).await?;
        let started = Record::new("process", Level::Info, "started").caller(caller).field("command", command);
        held.journal.append(started.field("version", cli::VERSION).field("pid", std::process::id())).await?;
        Ok(held)
    }

    /// Records the end, and lets go of it.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        let stopped = self.journal.append(Record::new("process", Level::Info, "stopped").caller(self.caller)).await;
        tokio::task::spawn_blocking(move || self.writer.close()).await?.context("closing the journal")?;
        stopped.map(drop).context("closing the journal")
    }
}
