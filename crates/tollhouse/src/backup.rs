//! `tollhouse backup`: a copy of what the house keeps beside its records (keys, users, incidents, chats, task runs), made while it
//! runs, tried, and put back.
//!
//! A backup is a folder with the data directory's own layout, so that putting it back is copying it. It is made beside its place and
//! renamed when all of it is on the disk and was tried: what has the name of a backup is one.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tollhouse_config::{Config, TaskStore};
use tollhouse_state::State;
use tollhouse_tasks::Book;
use tollhouse_units::hex;

use crate::cli::{ConfigArgs, VERSION};
use crate::say;

/// What a backup's folder is called before its time.
const NAME: &str = "tollhouse-";
/// What is in a backup, and its sums.
const LIST: &str = "backup.json";
const STATE: &str = "state/state.db";
const PEPPER: &str = "state/pepper";
const RUNS: &str = "tasks/tasks.db";
/// So much of a file is read at a time.
const PIECE_BYTES: usize = 1 << 16;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse backup make --to /srv/backup              # while the house runs; every night by `tollhouse task new backup`
  tollhouse backup check /srv/backup/tollhouse-20260127T031500Z
  tollhouse backup restore /srv/backup/tollhouse-20260127T031500Z")]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(subcommand)]
    command: BackupCommand,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Copy the state and the runs of tasks into a folder of their own; the house may run meanwhile
    #[command(after_help = "\
Examples:
  tollhouse backup make --to /srv/backup
  tollhouse backup make --to /srv/backup --keep 30 --json

Every backup is put back into an empty place at once and opened there: one that cannot be is none, and exit status 1. It holds the
pepper under which keys are hashed, so it is as secret as the data directory. The journal is not in it: its files never change
once they are rotated, and any copying of files will do.")]
    Make {
        /// The folder in which backups are kept
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        /// How many are kept there; the oldest go
        #[arg(long, value_name = "COUNT", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..))]
        keep: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Try a backup: sums, and whether it opens when it is put back
    #[command(after_help = "\
Examples:
  tollhouse backup check /srv/backup/tollhouse-20260127T031500Z")]
    Check {
        /// The backup
        folder: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a backup into an empty data directory; no house may run there
    #[command(after_help = "\
Examples:
  systemctl stop tollhouse && mv /var/lib/tollhouse/state /var/lib/tollhouse/state.old
  tollhouse backup restore /srv/backup/tollhouse-20260127T031500Z

What is there already is never overwritten.")]
    Restore {
        /// The backup
        folder: PathBuf,
    },
}

/// Runs the command.
pub(crate) async fn backup(args: &BackupArgs) -> anyhow::Result<()> {
    match &args.command {
        BackupCommand::Make { to, keep, json } => {
            let config = args.config.load()?;
            let made = make(&config, to).await?;
            let removed = prune(to, *keep as usize)?;
            let found = json!({"folder": made.0, "removed": removed, "found": made.1});
            say(&if *json { format!("{found:#}\n") } else { format!("{}: {}\n", made.0.display(), words(&made.1)) })
        }
        BackupCommand::Check { folder, json } => {
            let found = check(folder).await?;
            say(&if *json { format!("{found:#}\n") } else { format!("{}: {}\n", folder.display(), words(&found)) })
        }
        BackupCommand::Restore { folder } => {
            let config = args.config.load()?;
            check(folder).await?;
            let files = listed(folder)?;
            let there = files.iter().map(|file| config.data_dir.join(file)).find(|path| path.exists());
            if let Some(path) = there {
                bail!("{} is there already; move it away first (no house may run meanwhile)", path.display());
            }
            put_back(folder, &files, &config.data_dir)?;
            say(&format!("{} is in {}\n", files.join(", "), config.data_dir.display()))
        }
    }
}

fn words(found: &Value) -> String {
    match &found["run"] {
        Value::Null => format!("{} keys", found["keys"]),
        run => format!("{} keys, task runs until {}", found["keys"], run.as_str().unwrap_or("none")),
    }
}

/// Makes a backup, and tells where it is and what was found in it.
async fn make(config: &Config, to: &Path) -> anyhow::Result<(PathBuf, Value)> {
    let name = format!("{NAME}{}", Timestamp::now().strftime("%Y%m%dT%H%M%SZ"));
    let (folder, partial) = (to.join(&name), to.join(format!(".partial-{name}")));
    ensure!(!folder.exists(), "{} is there already", folder.display());
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("removing {}", partial.display()))?;
    }
    fs::create_dir_all(partial.join("state")).with_context(|| format!("making {}", partial.display()))?;
    fs::set_permissions(&partial, fs::Permissions::from_mode(0o700))?;
    let result = fill(config, &partial).await;
    let found = match result {
        Ok(()) => check(&partial).await,
        Err(error) => Err(error),
    };
    if found.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    let found = found?;
    fs::rename(&partial, &folder).with_context(|| format!("renaming {}", partial.display()))?;
    fs::File::open(to)?.sync_all()?;
    Ok((folder, found))
}

/// Copies what is to be kept.
async fn fill(config: &Config, folder: &Path) -> anyhow::Result<()> {
    let mut files = vec![STATE, PEPPER];
    let state = State::open(&config.data_dir).await?;
    state.copy_to(&folder.join(STATE)).await.context("copying the state")?;
    state.close().await;
    let pepper = config.data_dir.join(PEPPER);
    fs::copy(&pepper, folder.join(PEPPER)).with_context(|| format!("copying {}", pepper.display()))?;
    let runs = config.data_dir.join(RUNS);
    let is_here = config.tasks.as_ref().is_none_or(|tasks| tasks.store == TaskStore::Sqlite);
    if is_here && runs.exists() {
        fs::create_dir_all(folder.join("tasks"))?;
        let book = Book::sqlite(&runs).await.context("opening the book of task runs")?;
        book.copy_to(&folder.join(RUNS)).await.context("copying the book of task runs")?;
        book.close().await;
        files.push(RUNS);
    }
    let mut sums = serde_json::Map::new();
    for file in files {
        let path = folder.join(file);
        sums.insert(file.to_owned(), sum(&path)?.into());
        fs::File::open(&path)?.sync_all()?;
    }
    let list = json!({"version": VERSION, "made": Timestamp::now().to_string(), "sha256": sums});
    fs::write(folder.join(LIST), format!("{list:#}\n"))?;
    fs::File::open(folder.join(LIST))?.sync_all()?;
    Ok(())
}

/// Puts a backup into an empty place beside it, and opens what is there.
async fn check(folder: &Path) -> anyhow::Result<Value> {
    let files = listed(folder)?;
    let place = folder.with_file_name(format!(".check-{}", std::process::id()));
    let tried = async {
        put_back(folder, &files, &place)?;
        let state = State::open(&place).await.context("opening the state that was put back")?;
        state.check().await.context("checking the state that was put back")?;
        let keys = state.keys().await?.len();
        state.close().await;
        let mut found = json!({"keys": keys});
        if files.iter().any(|file| file == RUNS) {
            let book = Book::sqlite(&place.join(RUNS)).await.context("opening the book of runs that was put back")?;
            book.check().await.context("checking the book of runs that was put back")?;
            found["run"] = json!(book.newest().await?.unwrap_or_else(|| "none".to_owned()));
            book.close().await;
        }
        anyhow::Ok(found)
    };
    let tried = tried.await;
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("removing {}", place.display()))?;
    }
    tried
}

/// What is in a backup, when all of it is as it was.
fn listed(folder: &Path) -> anyhow::Result<Vec<String>> {
    let path = folder.join(LIST);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let list: Value = serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    let mut files = Vec::new();
    for (file, wanted) in list["sha256"].as_object().context("it lists no files")? {
        ensure!([STATE, PEPPER, RUNS].contains(&file.as_str()), "{}: `{file}` is no file of a backup", path.display());
        let is_whole = wanted.as_str() == Some(&sum(&folder.join(file))?);
        ensure!(
            is_whole,
            "{} is not as it was when the backup was made: take another one",
            folder.join(file).display()
        );
        files.push(file.clone());
    }
    ensure!(files.iter().any(|file| file == STATE), "{} has no state", folder.display());
    Ok(files)
}

fn put_back(folder: &Path, files: &[String], place: &Path) -> anyhow::Result<()> {
    for file in files {
        let to = place.join(file);
        fs::create_dir_all(to.parent().unwrap_or(place)).with_context(|| format!("making {}", place.display()))?;
        fs::copy(folder.join(file), &to).with_context(|| format!("writing {}", to.display()))?;
        fs::File::open(&to)?.sync_all()?;
    }
    Ok(())
}

/// Removes all but the newest backups, and tells how many.
fn prune(to: &Path, keep: usize) -> anyhow::Result<usize> {
    let entries = fs::read_dir(to).with_context(|| format!("reading {}", to.display()))?;
    let is_backup = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(NAME)) && path.join(LIST).is_file()
    };
    // Their names are in the order of their times.
    let mut backups: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_backup).collect();
    backups.sort();
    let old = &backups[..backups.len().saturating_sub(keep)];
    for folder in old {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    Ok(old.len())
}

fn sum(path: &Path) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    let mut file = fs::File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = file.read(&mut piece).with_context(|| format!("reading {}", path.display()))?;
        if length == 0 {
            break;
        }
        hash.update(&piece[..length]);
    }
    Ok(hex(&hash.finalize()))
}
