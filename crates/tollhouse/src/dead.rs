//! `tollhouse dead`: what could not be shaped or delivered, and another try for lines after their program was mended.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tollhouse_config::Config;
use tollhouse_journal::Journal;

use crate::cli::ConfigArgs;
use crate::collecting::letters::{Found, is_of_a_line, scan};
use crate::collecting::replay::{Files, Outcome, Request, put};
use crate::say;
use crate::search::cell;

/// How often the answer of the house is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Most numbers that one replay may name.
const SEQS_MAX: usize = 10_000;

#[derive(Debug, Args)]
pub(crate) struct DeadArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(subcommand)]
    command: DeadCommand,
}

#[derive(Debug, Subcommand)]
enum DeadCommand {
    /// List dead letters: lines that a program of `shape` failed on, and documents that a cluster refused
    #[command(after_help = "\
Examples:
  tollhouse dead list
  tollhouse dead list --source app --all
  tollhouse dead list --json | jq -r '.[] | [.seq, .reason] | @tsv'")]
    List {
        /// Only those of lines of this source
        #[arg(long)]
        source: Option<String>,
        /// Those too that were replayed
        #[arg(long)]
        all: bool,
        /// How many, the newest
        #[arg(long, default_value_t = 50)]
        size: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one dead letter whole, as JSON
    #[command(after_help = "\
Examples:
  tollhouse dead show 4711
  tollhouse dead show 4711 | jq .event")]
    Show {
        /// Its number
        seq: u64,
    },
    /// Let lines go through what `shape` says now; each that passes is kept, and never replayed again
    #[command(after_help = "\
Examples:
  tollhouse dead replay                  # after the program was mended and reloaded
  tollhouse dead replay --source app
  tollhouse dead replay 4711 4712

The running house does it. Where none runs, the next one does when it starts.")]
    Replay {
        /// Their numbers; without any, all
        seqs: Vec<u64>,
        /// Only those of this source
        #[arg(long)]
        source: Option<String>,
        /// How long the end is waited for
        #[arg(long, value_name = "TIME", default_value = "10m", value_parser = crate::keys::parse_lifetime)]
        wait: Duration,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command; its exit status says whether all that was to be replayed was.
pub(crate) fn dead(args: &DeadArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    match &args.command {
        DeadCommand::List { source, all, size, json } => list(&config, source.as_deref(), *all, *size, *json)?,
        DeadCommand::Show { seq } => show(&config, *seq)?,
        DeadCommand::Replay { seqs, source, wait, json } => {
            return replay(&config, seqs, source.clone(), *wait, *json);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A dead letter, and whether it is done with.
struct Letter {
    seq: u64,
    record: Map<String, Value>,
    is_replayed: bool,
}

/// The newest of those that are wanted, in their order.
fn letters(
    config: &Config,
    size: usize,
    with_replayed: bool,
    is_wanted: impl Fn(u64, &Map<String, Value>) -> bool,
) -> anyhow::Result<Vec<Letter>> {
    let journal_file = config.journal_file();
    let mut replayed = BTreeSet::new();
    let note = |found| {
        if let Found::Replayed(seq) = found {
            replayed.insert(seq);
        }
        true
    };
    scan(&journal_file, u64::MAX, note).context("reading the journal")?;
    let mut newest = VecDeque::new();
    let take = |found| {
        if let Found::Letter(seq, record) = found {
            let is_replayed = replayed.contains(&seq);
            if (with_replayed || !is_replayed) && is_wanted(seq, &record) {
                newest.push_back(Letter { seq, record, is_replayed });
                if newest.len() > size {
                    newest.pop_front();
                }
            }
        }
        true
    };
    scan(&journal_file, u64::MAX, take).context("reading the journal")?;
    Ok(newest.into())
}

fn list(config: &Config, source: Option<&str>, all: bool, size: usize, as_json: bool) -> anyhow::Result<()> {
    let is_of_source =
        |letter: &Map<String, Value>| source.is_none_or(|source| letter.get("source").is_some_and(|is| is == source));
    let letters = letters(config, size, all, |_, letter| is_of_source(letter))?;
    if as_json {
        let rows: Vec<Value> = letters.iter().map(Letter::json).collect();
        return say(&format!("{:#}\n", Value::from(rows)));
    }
    if letters.is_empty() {
        return say("no dead letters\n");
    }
    let heading = "SEQ         TIME                      FROM              STATE     REASON".to_owned();
    let rows = letters.iter().map(|letter| {
        let row = letter.json();
        let (time, from, reason) = (cell(&row["ts"], 24), cell(&row["from"], 16), cell(&row["reason"], 120));
        format!("{:<10}  {time:<24}  {from:<16}  {:<8}  {reason}", letter.seq, letter.state())
    });
    let lines: Vec<String> = std::iter::once(heading).chain(rows).collect();
    say(&format!("{}\n", lines.join("\n")))
}

fn show(config: &Config, seq: u64) -> anyhow::Result<()> {
    let letters = letters(config, 1, true, |number, _| number == seq)?;
    let Some(letter) = letters.first() else { bail!("record {seq} is no dead letter of this journal") };
    let mut whole = letter.record.clone();
    whole.insert("state".to_owned(), letter.state().into());
    say(&format!("{:#}\n", Value::from(whole)))
}

impl Letter {
    fn state(&self) -> &'static str {
        match (self.is_replayed, is_of_a_line(&self.record)) {
            (true, _) => "replayed",
            (false, true) => "waits",
            // Of a document: its record is in the journal and in our own index.
            (false, false) => "refused",
        }
    }

    fn json(&self) -> Value {
        let field = |name: &str| self.record.get(name).cloned().unwrap_or_default();
        let from = if is_of_a_line(&self.record) { field("source") } else { field("destination") };
        json!({
            "seq": self.seq, "ts": field("ts"), "from": from, "state": self.state(), "program": field("program"),
            "reason": field("reason"), "file": field("file"), "of_seq": field("of_seq"),
        })
    }
}

fn replay(
    config: &Config,
    seqs: &[u64],
    source: Option<String>,
    wait: Duration,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    if seqs.len() > SEQS_MAX {
        bail!("{} numbers are too many for one replay, at most {SEQS_MAX}", seqs.len());
    }
    let directory = config.data_dir.join("collect");
    std::fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
    let files = Files::new(&directory);
    if files.request.exists() {
        bail!("a replay waits for the house already ({})", files.request.display());
    }
    let is_running = Journal::owner(&config.journal_file())?.is_some();
    let id = format!("{}-{}", jiff::Timestamp::now().as_nanosecond(), std::process::id());
    put(&files.request, &Request { id: id.clone(), source, seqs: seqs.iter().copied().collect() })?;
    if !is_running {
        return say("no house runs with this journal: the next one replays them when it starts\n")
            .map(|()| ExitCode::SUCCESS);
    }
    let outcome = wait_for(&files.done, &id, wait)?;
    if as_json {
        say(&format!("{:#}\n", serde_json::to_value(&outcome)?))?;
    } else {
        say(&told(&outcome))?;
    }
    let is_well = outcome.failed == 0 && outcome.error.is_none();
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn wait_for(done: &Path, id: &str, wait: Duration) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    while began.elapsed() < wait {
        let answered = std::fs::read(done).ok().and_then(|bytes| serde_json::from_slice::<Outcome>(&bytes).ok());
        if let Some(outcome) = answered.filter(|outcome| outcome.id == id) {
            return Ok(outcome);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    bail!("the replay has not ended within {wait:?}; it goes on, and the journal will tell its end")
}

fn told(outcome: &Outcome) -> String {
    let Outcome { replayed, dropped, failed, done_before, left, reason, error, .. } = outcome;
    let mut lines = vec![format!(
        "{replayed} replayed, {dropped} dropped by their program, {failed} failed again ({done_before} were replayed before)"
    )];
    if let Some(reason) = reason {
        lines.push(format!("  the first that failed: {}", cell(&reason.as_str().into(), 400)));
    }
    if *left > 0 {
        lines.push(format!("  {left} more are left: run it again"));
    }
    if let Some(error) = error {
        lines.push(format!("  it ended early: {error}"));
    }
    lines.join("\n") + "\n"
}
