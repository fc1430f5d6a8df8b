//! `tollhouse index`: the day indices, listed beside a running house; made again from the journal, or taken away, while none
//! runs.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollhouse_config::Config;
use tollhouse_journal::{Level, Reader, Record};
use tollhouse_store::{INDEX_DELETED, Store};

use crate::cli::ConfigArgs;
use crate::journal::Held;
use crate::table::aligned;
use crate::{say, up, wiring};

/// Where these records come from.
const CALLER: &str = "tollhouse/index.rs";
/// How often it is told how far the making has come.
const TELL_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(crate) struct IndexArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: IndexCommand,
}

#[derive(Debug, Subcommand)]
enum IndexCommand {
    /// List the day indices: how many documents each has, what it takes on the disk, and whether it is whole
    #[command(after_help = "\
Examples:
  tollhouse index list
  tollhouse index list --json | jq -r '.[] | [.index, .docs, .bytes] | @tsv'")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make indices again from the journal; the same questions have the same answers afterwards
    #[command(after_help = "\
Examples:
  tollhouse index rebuild                          # all of them
  tollhouse index rebuild house-2026.01.27

No house may run with this journal meanwhile. A damaged index need not be made again by hand: the house sees it and does so.
A rebuild that was cut off goes on when the house starts, or when it is asked for again.")]
    Rebuild {
        /// Names of indices [default: all, also those that went for room, as far as the journal has their records]
        indices: Vec<String>,
        /// Also where documents would be lost, because the journal does not keep their records any more
        #[arg(long)]
        force: bool,
    },
    /// Take indices away: what was in them is not found any more; the journal keeps its records
    #[command(after_help = "\
Examples:
  tollhouse index drop house-2026.01.27
  tollhouse index drop house-2026.01.27 --yes

It is what DELETE /es/INDEX does on a running house, and stays so when indices are made again: a record of the journal says
it. Days that are too old go by themselves (`store.keep`).")]
    Drop {
        /// Names of indices
        #[arg(required = true)]
        indices: Vec<String>,
        /// Do it; without this, only say what would be done
        #[arg(long)]
        yes: bool,
    },
}

/// Runs the command.
pub(crate) fn index(args: &IndexArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    if config.store.remote.is_some() {
        bail!("documents are found in a cluster (`store.kind`), which looks after its indices itself");
    }
    match &args.command {
        IndexCommand::List { json } => list(&config, *json)?,
        IndexCommand::Rebuild { indices, force } => rebuild(&config, indices, *force)?,
        IndexCommand::Drop { indices, yes } => drop_indices(&config, indices, *yes)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let store = open_read_only(config)?;
    let rebuilding = store.rebuilding();
    let state = |name: &String| if rebuilding.contains(name) { "being made again" } else { "whole" };
    let mut rows: Vec<(String, Option<u64>, u64, &str)> = Vec::new();
    rows.extend(store.indices().into_iter().map(|index| {
        let state = state(&index.name);
        (index.name, Some(index.docs), index.bytes, state)
    }));
    rows.extend(store.set_aside()?.into_iter().map(|(name, bytes)| (name, None, bytes, "set aside")));
    if as_json {
        let row = |(name, docs, bytes, state): &(String, Option<u64>, u64, &str)| json!({"index": name, "docs": docs, "bytes": bytes, "state": state});
        return say(&format!("{:#}\n", Value::from(rows.iter().map(row).collect::<Vec<_>>())));
    }
    if rows.is_empty() {
        return say("no indices\n");
    }
    let rows = rows.into_iter().map(|(name, docs, bytes, state)| {
        let docs = docs.map_or_else(|| "-".to_owned(), |docs| docs.to_string());
        [name, format!("{docs:>12}"), format!("{bytes:>14}"), state.to_owned()]
    });
    let heads = ["INDEX", &format!("{:>12}", "DOCUMENTS"), &format!("{:>14}", "BYTES"), "STATE"];
    say(&aligned(heads, rows))
}

fn rebuild(config: &Config, indices: &[String], force: bool) -> anyhow::Result<()> {
    let book = Alone::open(config, "index rebuild")?;
    let made = book.rebuild(config, indices, force);
    book.close()?;
    let (indices, docs) = made?;
    say(&format!("{indices} indices were made again: {docs} documents\n"))
}

fn drop_indices(config: &Config, indices: &[String], yes: bool) -> anyhow::Result<()> {
    let store = open_read_only(config)?;
    let known = store.indices();
    let mut told = Vec::new();
    for name in indices {
        let Some(index) = known.iter().find(|index| index.name == *name) else { bail!("there is no index {name}") };
        told.push(format!("{name}: {} documents, {} bytes", index.docs, index.bytes));
    }
    let told = told.join("\n");
    drop(store);
    if !yes {
        return say(&format!("{told}\nnothing was done: with --yes these are taken away\n"));
    }
    let book = Alone::open(config, "index drop")?;
    let dropped = book.drop_indices(config, indices);
    book.close()?;
    dropped?;
    say(&format!("{told}\ntaken away\n"))
}

fn open_read_only(config: &Config) -> anyhow::Result<Store> {
    Store::open_read_only(config.data_dir.join("index"), &config.service)
        .context("opening the index; has `tollhouse up` run with this configuration?")
}

/// The journal, held so that no house writes it and the index meanwhile.
struct Alone {
    runtime: tokio::runtime::Runtime,
    held: Held,
}

impl Alone {
    fn open(config: &Config, command: &'static str) -> anyhow::Result<Self> {
        let runtime = crate::runtime()?;
        let advice = "stop it, and start it again after this";
        let held = runtime.block_on(Held::open(wiring::journal_options(config), CALLER, command, advice))?;
        Ok(Self { runtime, held })
    }

    /// Gives how many indices were made, and how many documents they have.
    fn rebuild(&self, config: &Config, indices: &[String], force: bool) -> anyhow::Result<(usize, u64)> {
        let store = Store::open(wiring::store_options(config)).context("opening the index")?;
        let is_all = indices.is_empty();
        let indices = if is_all {
            store.indices().into_iter().map(|index| index.name).chain(store.rebuilding()).collect()
        } else {
            indices.to_vec()
        };
        if let Some(wrong) = indices.iter().find(|name| !Store::is_index_name(name)) {
            bail!("{wrong} is no name of an index, as {} is", store.day_of(0));
        }
        let first_seq = first_seq(config)?;
        for name in indices.iter().filter(|_| !force) {
            let lost = store.docs_before(name, first_seq)?;
            if lost > 0 {
                bail!(
                    "{name} has {lost} documents whose records the journal does not keep any more (it begins with record \
                     {first_seq}): they would be lost; --force makes it again from what is left"
                );
            }
        }
        store.make_again(&indices)?;
        self.index(config, &store)?;
        // With all of them come those that had gone, as far as the journal has their records.
        let mut made = store.indices();
        made.retain(|index| is_all || indices.contains(&index.name));
        Ok((made.len(), made.iter().map(|index| index.docs).sum()))
    }

    fn drop_indices(&self, config: &Config, indices: &[String]) -> anyhow::Result<()> {
        let store = Store::open(wiring::store_options(config)).context("opening the index")?;
        let record = Record::new(INDEX_DELETED, Level::Warn, "indices taken out of searching");
        let record = record.caller(CALLER).field("index", indices);
        self.runtime
            .block_on(self.held.journal.append_synced(record))
            .context("writing that indices are taken away")?;
        self.index(config, &store)
    }

    /// Indexes all that the journal has, and ends.
    fn index(&self, config: &Config, store: &Store) -> anyhow::Result<()> {
        let (written, synced) = (self.held.journal.written(), self.held.journal.synced());
        let indexer = store.follow(config.journal_file(), written, synced, up::shaper(config)?)?;
        let closing = std::thread::Builder::new().name("indexer-end".to_owned()).spawn(move || indexer.close())?;
        let mut told = std::time::Instant::now();
        while !closing.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
            if told.elapsed() >= TELL_EVERY {
                told = std::time::Instant::now();
                let docs: u64 = store.indices().iter().map(|index| index.docs).sum();
                eprintln!("{docs} documents so far");
            }
        }
        closing.join().map_err(|_| anyhow!("the indexer panicked"))??;
        let unfinished = store.rebuilding();
        if !unfinished.is_empty() {
            bail!("{} could not be made whole; the next start of the house goes on with it", unfinished.join(", "));
        }
        Ok(())
    }

    fn close(self) -> anyhow::Result<()> {
        self.runtime.block_on(self.held.close())
    }
}

/// The number of the oldest record that the journal keeps; 1 of an empty one.
fn first_seq(config: &Config) -> anyhow::Result<u64> {
    let mut lines = Vec::new();
    Reader::open(&config.journal_file(), None)?.next_batch(1, &mut lines).context("reading the journal")?;
    Ok(lines.first().map_or(1, |line| line.seq))
}
