//! `tollhouse ship`: how far each destination has come, and whether a cluster has what the journal has. Reads what lies on
//! the disk, so it also works while the house is down.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use tollhouse_config::{Config, ShipConfig, ShipKind};
use tollhouse_journal::{JournalError, Reader};
use tollhouse_ship::{Comparison, Cursor, compare};

use crate::cli::{ShipArgs, ShipCommand};
use crate::{say, shipping};

/// Lines read at once.
const LINES_AT_ONCE: usize = 1_000;
/// Records that wait are counted up to this one.
const BEHIND_MAX: u64 = 1_000_000;
/// Longest list of numbers that is shown, in characters; `--json` has it whole.
const SEQS_CHARS_MAX: usize = 500;

/// Runs the command; its exit status says whether the cluster has what it should.
pub(crate) async fn ship(args: &ShipArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    match &args.command {
        ShipCommand::Status { json } => status(&config, *json).map(|()| ExitCode::SUCCESS),
        ShipCommand::Verify { name, json } => verify(&config, name, *json).await,
    }
}

fn status(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let mut told = Vec::new();
    for ship in &config.ship {
        let cursor = Cursor::load(&Cursor::path(&shipping::cursors(config), &ship.name))?;
        let (behind, oldest_ts) = behind(&config.journal_file(), cursor.as_ref())?;
        told.push(status_json(ship, cursor.as_ref(), behind, oldest_ts.as_deref()));
    }
    if as_json {
        return say(&format!("{:#}\n", Value::from(told)));
    }
    if told.is_empty() {
        return say("nothing is shipped: the configuration has no `ship`\n");
    }
    let heading = "NAME          KIND           STATE         DELIVERED    BEHIND  OLDEST THAT WAITS         REFUSED  \
                   MISSED  LAST ERROR";
    let rows = told.iter().map(|row| {
        let word = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        let number = |name: &str| row[name].as_u64().unwrap_or_default();
        let (name, kind, state) = (word("name"), word("kind"), word("state"));
        let (oldest, error) = (word("oldest"), word("last_error"));
        let (delivered, behind) = (number("delivered"), number("behind"));
        let (refused, missed) = (number("dead_letters"), number("missed"));
        format!(
            "{name:<12}  {kind:<13}  {state:<12}  {delivered:>9}  {behind:>8}  {oldest:<24}  {refused:>7}  {missed:>6}  \
             {error}"
        )
    });
    let is_unacknowledged = told.iter().any(|row| row["acknowledged"] == false);
    let note =
        "syslog acknowledges nothing: of it, DELIVERED is what the system has taken, and may be lost with the server";
    let note = is_unacknowledged.then(|| note.to_owned());
    let lines: Vec<String> = std::iter::once(heading.to_owned()).chain(rows).chain(note).collect();
    say(&format!("{}\n", lines.join("\n")))
}

fn status_json(ship: &ShipConfig, cursor: Option<&Cursor>, behind: u64, oldest_ts: Option<&str>) -> Value {
    let saved = cursor.and_then(|cursor| jiff::Timestamp::from_millisecond(cursor.saved_ms).ok());
    json!({
        "name": ship.name,
        "kind": ship.kind.as_str(),
        // Of syslog only what the system has taken is known.
        "acknowledged": !matches!(ship.kind, ShipKind::Syslog(_)),
        "urls": ship.urls,
        "state": cursor.map_or("never started", |cursor| cursor.state.as_str()),
        "next_seq": cursor.map_or(1, Cursor::next_seq),
        "behind": behind,
        "oldest": oldest_ts,
        "delivered": cursor.map_or(0, |cursor| cursor.delivered),
        "dead_letters": cursor.map_or(0, |cursor| cursor.dead_letters),
        "missed": cursor.map_or(0, |cursor| cursor.missed),
        "last_error": cursor.and_then(|cursor| cursor.last_error.clone()),
        "as_of": saved.map(|saved| saved.to_string()),
    })
}

/// How many records wait, and when the oldest of them was written.
fn behind(journal_file: &Path, cursor: Option<&Cursor>) -> anyhow::Result<(u64, Option<String>)> {
    let mut reader = Reader::open(journal_file, cursor.and_then(|cursor| cursor.next.clone()))?;
    let (mut count, mut oldest) = (0, None);
    while count < BEHIND_MAX {
        let mut lines = Vec::new();
        match reader.next_batch(LINES_AT_ONCE, &mut lines) {
            Ok(0) => break,
            Ok(_) | Err(JournalError::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if oldest.is_none() {
            let record: Option<Value> = lines.first().and_then(|line| serde_json::from_slice(&line.bytes).ok());
            oldest = record.and_then(|record| record["ts"].as_str().map(str::to_owned));
        }
        count += lines.len() as u64;
    }
    Ok((count, oldest))
}

async fn verify(config: &Config, name: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let compared = compared(config, name).await?;
    if as_json { say(&format!("{:#}\n", comparison_json(&compared))) } else { say(&comparison_text(name, &compared)) }?;
    Ok(if compared.is_equal() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Compares the journal with the destination of this name, and tells on a terminal how far that is.
pub(crate) async fn compared(config: &Config, name: &str) -> anyhow::Result<Comparison> {
    let ship = config.ship.iter().find(|ship| ship.name == name).ok_or_else(|| {
        let known: Vec<&str> = config.ship.iter().map(|ship| ship.name.as_str()).collect();
        anyhow!("the configuration has no destination {name}; it has: {}", known.join(", "))
    })?;
    let cursor = Cursor::load(&Cursor::path(&shipping::cursors(config), name))?;
    let destination = shipping::destination(ship)?;
    let shows_progress = std::io::stderr().is_terminal();
    let progress = |records: u64| {
        if shows_progress {
            // Whoever closed the terminal sees nothing anyway.
            let _ = write!(std::io::stderr(), "\r{records} records compared");
        }
    };
    let journal_file = config.journal_file();
    let compared = compare(&destination, &config.service, &journal_file, cursor.as_ref(), progress).await;
    if shows_progress {
        eprintln!();
    }
    compared.with_context(|| format!("comparing the journal with {name}"))
}

/// What was found, for programs.
pub(crate) fn comparison_json(compared: &Comparison) -> Value {
    json!({
        "equal": compared.is_equal(),
        "first_seq": compared.compared.map(|(first, _)| first),
        "last_seq": compared.compared.map(|(_, last)| last),
        "records": compared.records,
        "there": compared.there,
        "missing": compared.missing,
        "missing_seqs": compared.missing_seqs,
        "doubled": compared.doubled,
        "doubled_seqs": compared.doubled_seqs,
        "dead_letters": compared.dead_letters,
        "others": compared.others,
        "behind": compared.behind,
    })
}

/// What was found, for people.
pub(crate) fn comparison_text(name: &str, compared: &Comparison) -> String {
    let Comparison { records, there, missing, doubled, dead_letters, others, behind, .. } = compared;
    let verdict = if compared.is_equal() { "equal" } else { "NOT equal" };
    let of = compared.compared.map_or_else(String::new, |(first, last)| format!(" (seq {first} to {last})"));
    let mut lines = vec![format!("{verdict}: of {records} records shipped to {name}{of}, {there} are there once")];
    for (count, what, seqs) in [
        (missing, "missing", Some(&compared.missing_seqs)),
        (doubled, "there more than once", Some(&compared.doubled_seqs)),
        (dead_letters, "refused, with a dead letter each", None),
        (others, "documents with these numbers are of other journals", None),
        (behind, "not shipped yet", None),
    ] {
        if *count > 0 {
            let seqs = seqs.map_or_else(String::new, |seqs| format!(": {}", shortened(seqs)));
            lines.push(format!("  {count} {what}{seqs}"));
        }
    }
    lines.join("\n") + "\n"
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SEQS_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
