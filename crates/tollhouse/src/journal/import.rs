//! `tollhouse journal import`: old log files become collected lines.
//!
//! The position lies in the record itself, as with every collected line: `file_id` names the content and `offset` the place
//! behind the line. So an import that was cut off goes on behind the last record that the journal has, whatever it was
//! that ended it. A record at the end of each file says that all of it is there.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use memchr::memmem;
use serde::Deserialize;
use tollhouse_collect::formats::{Entry, Streams};
use tollhouse_config::Config;
use tollhouse_journal::{JournalError, Level, Options, Reader, Record, Sync};

use super::args::ImportArgs;
use super::held::Held;
use super::old::{BytesRead, OldFile, OldLine};
use super::progress::{Done, Progress, grouped};
use crate::collecting::lines;
use crate::wiring;

/// How `file_id` begins.
const ID_START: &str = "import:";
/// Where these records come from.
const CALLER: &str = "collect/import";
/// Of the record that says that all of a file is there.
const IMPORTED: &str = "file imported";

/// What became of one or all files.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    lines: u64,
    kept: u64,
    cut: u64,
    not_understood: u64,
    /// Records that are too old to be indexed.
    too_old: u64,
}

/// How an import of a content ended earlier.
#[derive(Debug, PartialEq)]
struct Earlier {
    /// The how manieth import of this content it was.
    run: u32,
    /// Behind the last line that is in the journal.
    offset: u64,
    /// When all of it was there.
    done: Option<String>,
}

pub(super) async fn import(config: &Config, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let (files, mut failed) = examine(args)?;
    let mut book = Book::open(config).await?;
    let mut total = Counts::default();
    let done = book.take(files, args, &mut total, &mut failed).await;
    let closed = book.held.close().await;
    done?;
    closed?;
    eprintln!(
        "{} lines read, {} records kept, {} cut, {} not understood",
        grouped(total.lines),
        grouped(total.kept),
        grouped(total.cut),
        grouped(total.not_understood)
    );
    if total.too_old > 0 {
        eprintln!(
            "{} records are older than the index keeps (store.keep.days): they are in the journal only",
            grouped(total.too_old)
        );
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads all files once, before anything is written. Gives those that can be imported, and how many cannot.
fn examine(args: &ImportArgs) -> anyhow::Result<(Vec<OldFile>, u64)> {
    let sizes = args.files.iter().filter_map(|path| std::fs::metadata(path).ok());
    let mut progress = Progress::new(Some(sizes.map(|found| found.len()).sum()));
    let read = BytesRead::default();
    let (mut files, mut failed): (Vec<OldFile>, u64) = (Vec::new(), 0);
    for path in &args.files {
        let name = format!("reading {}", name_of(path));
        let mut tick = || progress.step(Done { bytes: read.get(), lines: 0, name: &name });
        match OldFile::examine(path, args.format, &read, &mut tick) {
            Ok(file) => match files.iter().find(|other| other.id == file.id && !args.again) {
                Some(same) => {
                    failed += 1;
                    progress.say(&format!(
                        "{} has the same content as {}: left out",
                        path.display(),
                        same.path.display()
                    ));
                }
                None => files.push(file),
            },
            Err(error) => {
                failed += 1;
                progress.say(&format!("tollhouse: {error:#}"));
            }
        }
    }
    progress.clear();
    if files.is_empty() {
        return Err(anyhow!("none of the files can be imported"));
    }
    Ok((files, failed))
}

/// The journal, opened for an import.
struct Book {
    held: Held,
    file: PathBuf,
    /// Times before this one are not indexed, in milliseconds since 1970.
    indexed_from_ms: i64,
}

impl Book {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        // Nobody waits for a single line to be on the disk; all of them are at the end.
        let options = Options { sync: Sync::Within(Duration::from_millis(100)), ..wiring::journal_options(config) };
        let held = Held::open(options, CALLER, "journal import", "stop it, import, and start it again").await?;
        // A cluster itself looks after what it keeps.
        let days = if config.store.remote.is_some() { 0 } else { i64::from(config.store.keep.days) };
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let indexed_from_ms = if days == 0 { i64::MIN } else { now_ms - days * 24 * 3_600 * 1_000 };
        Ok(Self { held, file: config.journal_file(), indexed_from_ms })
    }

    async fn take(
        &mut self,
        files: Vec<OldFile>,
        args: &ImportArgs,
        total: &mut Counts,
        failed: &mut u64,
    ) -> anyhow::Result<()> {
        let mut earlier = earlier(&self.file, &files)?;
        let sizes = files.iter().filter_map(|file| std::fs::metadata(&file.path).ok());
        let mut progress = Progress::new(Some(sizes.map(|found| found.len()).sum()));
        let read = BytesRead::default();
        for file in files {
            let path = file.path.display();
            let (run, offset) = match earlier.remove(&file.id) {
                None => (1, 0),
                Some(Earlier { run, offset, done: None }) => {
                    progress.say(&format!("{path}: going on at byte {}", grouped(offset)));
                    (run, offset)
                }
                Some(Earlier { run, done: Some(_), .. }) if args.again => (run + 1, 0),
                Some(Earlier { done: Some(when), .. }) => {
                    *failed += 1;
                    progress.say(&format!("{path}: this content was imported at {when}; --again imports it once more"));
                    continue;
                }
            };
            let id = id_of(&file.id, run);
            let told = self.take_file(&file, &id, offset, args, (&mut progress, &read, total.lines)).await;
            let counts = told.with_context(|| format!("importing {path}"))?;
            let Counts { lines, kept, .. } = counts;
            total.add(counts);
            let format = file.format.as_str();
            progress.say(&format!("{path}: {format}, {} lines, {} records", grouped(lines), grouped(kept)));
            earlier.insert(file.id, Earlier { run, offset: file.bytes, done: Some("this moment".to_owned()) });
        }
        progress.clear();
        let seconds = progress.elapsed().as_secs_f64();
        eprintln!("{} lines/s", grouped((total.lines as f64 / seconds.max(0.001)) as u64));
        Ok(())
    }

    async fn take_file(
        &self,
        file: &OldFile,
        id: &str,
        offset: u64,
        args: &ImportArgs,
        (progress, read, lines_before): (&mut Progress, &BytesRead, u64),
    ) -> anyhow::Result<Counts> {
        let path = file.path.to_string_lossy();
        let name = name_of(&file.path);
        let mut counts = Counts::default();
        let mut lines = file.lines(offset, read)?;
        let mut streams: Streams<(), Flaws> = Streams::new(Some(file.format));
        let mut entries = Vec::new();
        loop {
            let line = lines.next()?;
            let is_end = line.is_none();
            match line {
                Some(OldLine { text, is_cut, has_bytes, end }) => {
                    counts.lines += 1;
                    // Lines that are joined lie next to each other; how long they wait for each other is of no account.
                    let flaws = Flaws { is_cut, has_bytes, end };
                    streams.push(&(), text, flaws, Duration::ZERO, &file.written, &mut entries);
                }
                None => streams.end(&(), &mut entries),
            }
            for read in entries.drain(..) {
                let (entry, last) = (read.entry(&file.written), read.last);
                counts.count(&entry, last, self.indexed_from_ms);
                self.append(record(&args.source, &path, id, entry, last)).await?;
            }
            progress.step(Done { bytes: read.get(), lines: lines_before + counts.lines, name: &name });
            if is_end {
                break;
            }
        }
        let Counts { lines, kept, cut, not_understood, .. } = counts;
        let done = Record::new("audit", Level::Info, IMPORTED)
            .comes_again()
            .caller(CALLER)
            .field("source", &args.source)
            .field("file", path)
            .field("file_id", id)
            .field("format", file.format.as_str())
            .field("bytes", file.bytes)
            .field("from_offset", offset)
            .field("lines", lines)
            .field("kept", kept)
            .field("cut", cut)
            .field("not_understood", not_understood);
        self.append(done).await?;
        Ok(counts)
    }

    async fn append(&self, record: Record) -> anyhow::Result<()> {
        let kept = self.held.journal.append(record).await;
        kept.map(|_| ()).context("the journal takes no more; make room and give the same files again: what is in stays")
    }
}

impl Counts {
    fn count(&mut self, entry: &Entry, flaws: Flaws, indexed_from_ms: i64) {
        self.kept += 1;
        self.cut += u64::from(entry.is_cut || flaws.is_cut);
        self.not_understood += u64::from(entry.parse_error.is_some());
        self.too_old += u64::from(entry.time.is_some_and(|time| time.as_millisecond() < indexed_from_ms));
    }

    fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.kept += other.kept;
        self.cut += other.cut;
        self.not_understood += other.not_understood;
        self.too_old += other.too_old;
    }
}

/// What is known of the last line of an entry.
#[derive(Clone, Copy, Debug)]
struct Flaws {
    is_cut: bool,
    has_bytes: bool,
    end: u64,
}

fn record(source: &str, path: &str, id: &str, mut entry: Entry, last: Flaws) -> Record {
    entry.is_cut |= last.is_cut;
    entry.has_bytes |= last.has_bytes;
    lines::record(CALLER, source, entry, |record| {
        record.comes_again().field("file", path).field("file_id", id).field("offset", last.end)
    })
}

fn id_of(content: &str, run: u32) -> String {
    if run == 1 { format!("{ID_START}{content}") } else { format!("{ID_START}{content}:{run}") }
}

/// Content and run of a `file_id`.
fn read_id(id: &str) -> Option<(&str, u32)> {
    let id = id.strip_prefix(ID_START)?;
    match id.split_once(':') {
        None => Some((id, 1)),
        Some((content, run)) => Some((content, run.parse().ok()?)),
    }
}

/// What the journal says of earlier imports of these files.
fn earlier(journal_file: &Path, files: &[OldFile]) -> Result<HashMap<String, Earlier>, JournalError> {
    let mut earlier = HashMap::new();
    let needle = memmem::Finder::new("\"file_id\":\"import:");
    Reader::open(journal_file, None)?.take_until(u64::MAX, |line| {
        if needle.find(&line.bytes).is_some() {
            remember(&mut earlier, &line.bytes, files);
        }
        ControlFlow::Continue(())
    })?;
    Ok(earlier)
}

fn remember(earlier: &mut HashMap<String, Earlier>, line: &[u8], files: &[OldFile]) {
    #[derive(Deserialize)]
    struct Told<'a> {
        ts: &'a str,
        kind: &'a str,
        caller: &'a str,
        file_id: &'a str,
        #[serde(default)]
        offset: u64,
    }
    // Only what an import wrote itself: a collected line can have any field deeper inside, but not this caller.
    let Ok(told) = serde_json::from_slice::<Told<'_>>(line) else { return };
    let Some((content, run)) = read_id(told.file_id).filter(|_| told.caller == CALLER) else { return };
    if !files.iter().any(|file| file.id == content) {
        return;
    }
    let known = earlier.entry(content.to_owned()).or_insert(Earlier { run, offset: 0, done: None });
    if known.run != run {
        *known = Earlier { run, offset: 0, done: None };
    }
    if told.kind == "audit" {
        known.done = Some(told.ts.to_owned());
    } else {
        known.offset = known.offset.max(told.offset);
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use tollhouse_collect::formats::Format;

    use super::*;

    fn old(id: &str) -> OldFile {
        let written = jiff::Zoned::now();
        OldFile { path: "x".into(), id: id.to_owned(), bytes: 9, format: Format::Plain, written }
    }

    #[test]
    fn earlier_imports_are_remembered() {
        let line = |kind: &str, caller: &str, id: &str, offset: u64| {
            format!(
                r#"{{"ts":"T","level":"info","kind":"{kind}","msg":"","caller":"{caller}","file_id":"{id}","offset":{offset}}}"#
            )
        };
        let check = |lines: &[String], expected: Option<Earlier>| {
            let mut found = HashMap::new();
            for line in lines {
                remember(&mut found, line.as_bytes(), &[old("aa")]);
            }
            assert_eq!(found.remove("aa"), expected, "{lines:?}");
            assert!(found.is_empty());
        };
        let begun = [line("log", CALLER, "import:aa", 5), line("log", CALLER, "import:aa", 9)];
        check(&begun, Some(Earlier { run: 1, offset: 9, done: None }));
        let done = [&begun[..], &[line("audit", CALLER, "import:aa", 0)]].concat();
        check(&done, Some(Earlier { run: 1, offset: 9, done: Some("T".to_owned()) }));
        let again = [&done[..], &[line("log", CALLER, "import:aa:2", 5)]].concat();
        check(&again, Some(Earlier { run: 2, offset: 5, done: None }));
        check(&[line("log", CALLER, "import:bb", 5)], None);
        check(&[line("log", "collect/listen", "import:aa", 5)], None);
        check(&[line("log", CALLER, "import:aa:x", 5), "no json".to_owned()], None);
        assert_eq!(read_id(&id_of("aa", 1)), Some(("aa", 1)));
        assert_eq!(read_id(&id_of("aa", 3)), Some(("aa", 3)));
    }
}
