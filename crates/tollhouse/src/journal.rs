//! `tollhouse journal`: recounts the journal, writes it out, and takes old log files into it.

mod args;
mod columns;
mod csv;
mod export;
mod held;
mod import;
mod old;
mod progress;
mod ranges;
mod recount;
mod verify;

use std::process::ExitCode;

pub(crate) use self::args::JournalArgs;
use self::args::JournalCommand;
pub(crate) use self::held::Held;

/// Does what was asked; the exit status tells a program how it went.
pub(crate) fn journal(args: &JournalArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    match &args.command {
        JournalCommand::Verify(args) => verify::verify(&config, args),
        JournalCommand::Export(args) => export::export(&config, args),
        JournalCommand::Import(args) => crate::runtime()?.block_on(import::import(&config, args)),
    }
}
