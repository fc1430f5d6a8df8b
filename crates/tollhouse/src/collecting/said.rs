//! The task of a source that takes what a process under supervision says, by the pipe that it writes to.
//!
//! The pipe is never at its end: the house has it open for writing too. What is not read yet when the house ends waits there as
//! long as the process runs.

use std::path::PathBuf;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tollhouse_config::LineFormat;
use tollhouse_journal::Level;
use tollhouse_upkeep::Lines;

use crate::collecting::ledger::{Ledger, about};
use crate::collecting::piped::{Cutter, Input, Words, keep_all};
use crate::collecting::reading::Base;

/// How records tell of it.
const PROCESS: Words = Words {
    caller: "collect/said",
    kind: "process",
    ended: "the pipe has ended",
    unreadable: "the pipe of a process cannot be read",
};
/// What is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// What a process has said.
struct Said {
    name: String,
    pipe: pipe::Receiver,
    piece: Vec<u8>,
    cutter: Cutter,
    lines: Lines,
}

impl Input for Said {
    async fn next(&mut self) -> std::io::Result<Option<(Vec<u8>, u64)>> {
        loop {
            if let Some(line) = self.cutter.lines.pop_front() {
                self.lines.say(&self.name, &String::from_utf8_lossy(&line.0));
                return Ok(Some(line));
            }
            let length = self.pipe.read(&mut self.piece).await?;
            self.cutter.take(&self.piece[..length]);
        }
    }

    fn rest(&mut self) -> Vec<(Vec<u8>, u64)> {
        // The process may go on: no more than the pipe holds.
        if let Ok(length) = self.pipe.try_read(&mut self.piece) {
            self.cutter.take(&self.piece[..length]);
        }
        self.cutter.end();
        self.cutter.lines.drain(..).collect()
    }
}

/// Keeps what the process says until the source is to end.
pub(super) async fn read(mut base: Base, format: LineFormat, pipe: PathBuf, lines: Lines) {
    let Some(_turn) = base.turn().await else { return };
    match tollhouse_upkeep::collect(&pipe) {
        Ok(pipe) => {
            let (name, piece, cutter) = (base.source.clone(), vec![0; PIECE_BYTES], Cutter::default());
            keep_all(&base, format, &PROCESS, &mut Said { name, pipe, piece, cutter, lines }).await;
        }
        Err(error) => {
            let failed = about(PROCESS.caller, &base.source, Level::Error, PROCESS.unreadable);
            Ledger::without_progress(&base).tell(failed.field("error", error.to_string()));
        }
    }
}
