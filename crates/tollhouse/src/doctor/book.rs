//! Gathers what journal and index tell: how sound they are, the requests of the last minutes, the lines of model servers.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tollhouse_collect::file::{Pattern, Sight};
use tollhouse_config::{Config, LineFormat, SourceKind};
use tollhouse_doctor::{BookFacts, LineFacts, RecentFacts};
use tollhouse_elastic::searched_here;
use tollhouse_remote::Shelf;
use tollhouse_units::hex;

use crate::collecting::shaping::DEAD_LETTER;
use crate::{shelf, wiring};

/// So much of the journal's end is looked at.
const TAIL_BYTES: u64 = 512 << 10;
/// So much of the end of a server's log is read.
const LINES_BYTES: u64 = 256 << 10;
/// Lines of servers that are looked at.
const LINES_MAX: usize = 2_000;
/// Lines older than this say nothing of now, in milliseconds.
const LINE_AGE_MS: i64 = 3_600_000;
/// Where the kernel's lines are written.
const KERNEL_LOGS: [&str; 3] = ["var/log/kern.log", "var/log/messages", "var/log/syslog"];

/// What the book tells.
#[derive(Default)]
pub(super) struct Told {
    pub(super) book: BookFacts,
    pub(super) recent: Option<RecentFacts>,
    pub(super) refused_config: Option<String>,
    pub(super) lines: Vec<LineFacts>,
    pub(super) lines_read: bool,
}

/// Reads the journal's end and asks the index.
pub(super) async fn told(config: &Config, root: &Path) -> Told {
    let mut told = Told { book: journal(&config.journal_file()), ..Told::default() };
    told.book.is_remote = config.store.remote.is_some();
    let now_ms = Timestamp::now().as_millisecond();
    let sources = wiring::server_sources(config);
    told.lines_read = !sources.is_empty();
    match shelf::open_read_only(config) {
        // Before the first start there is no index, and that is no trouble of its own.
        Err(error) if told.book.newest.is_some() => {
            told.book.index_problem = Some(tollhouse_units::chain(error.as_ref()));
        }
        Err(_) => {}
        Ok(shelf) => {
            if let Shelf::Own(store) = &shelf {
                told.book.indexed = Some(store.indexed_seq());
            }
            match recent(&shelf).await {
                Ok(recent) => told.recent = Some(recent),
                Err(error) => told.book.index_problem = Some(tollhouse_units::chain(error.as_ref())),
            }
            told.refused_config = refused_config(&shelf).await;
            told.book.dead = dead(&shelf).await;
            told.lines.extend(indexed_lines(&shelf, &sources).await);
        }
    }
    told.lines.extend(written_lines(config, &sources, now_ms));
    told.lines.extend(kernel_lines(root, now_ms));
    told.lines.dedup_by(|a, b| a.text == b.text);
    told
}

/// The end of the journal: every whole line is an object, follows the one before it, and carries its hash.
fn journal(file: &Path) -> BookFacts {
    let mut book = BookFacts::default();
    let tail = match tail(file, TAIL_BYTES) {
        Ok(tail) => tail,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return book,
        Err(error) => {
            book.journal_problem = Some(format!("{}: {error}", file.display()));
            return book;
        }
    };
    // The last line may be under way.
    let whole = tail.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = tail.bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut before: Option<(u64, String)> = None;
    for line in lines.skip(usize::from(tail.is_cut)) {
        let record: Value = serde_json::from_slice(line).unwrap_or_default();
        let Some(seq) = record["seq"].as_u64() else {
            let after = before.as_ref().map_or_else(String::new, |(seq, _)| format!(" after record {seq}"));
            book.journal_problem = Some(format!("a line{after} is no record"));
            return book;
        };
        if let Some((last, hash)) = &before
            && (seq != last + 1 || record["prev"].as_str() != Some(hash))
        {
            book.journal_problem = Some(format!("record {seq} does not follow record {last}: the chain is broken"));
            return book;
        }
        before = Some((seq, hash(line)));
        let written: Option<Timestamp> = record["ts"].as_str().and_then(|ts| ts.parse().ok());
        book.newest = Some((seq, written.map_or(0, Timestamp::as_millisecond)));
    }
    book
}

/// The first half of a line's SHA-256, as the next one carries it.
fn hash(line: &[u8]) -> String {
    hex(&Sha256::digest(line)[..16])
}

struct Tail {
    bytes: Vec<u8>,
    /// Whether its first line is not whole.
    is_cut: bool,
}

fn tail(path: &Path, most: u64) -> std::io::Result<Tail> {
    let mut file = File::open(path)?;
    let begin = file.metadata()?.len().saturating_sub(most);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Tail { bytes, is_cut: begin > 0 })
}

async fn search(shelf: &Shelf, body: Value) -> anyhow::Result<Value> {
    Ok(serde_json::to_value(searched_here(shelf, "*", &body).await?)?)
}

/// Requests of the last 15 minutes.
async fn recent(shelf: &Shelf) -> anyhow::Result<RecentFacts> {
    let failed =
        json!({"bool": {"should": [{"range": {"http_status": {"gte": 500}}}, {"term": {"error": "interrupted"}}]}});
    let answer = search(
        shelf,
        json!({
            "query": {"bool": {"filter": [{"term": {"kind": "request"}}, {"range": {"@timestamp": {"gte": "now-15m"}}}]}},
            "size": 1,
            "sort": [{"duration_ms": "desc"}],
            "aggs": {"failed": {"filter": failed}, "slow": {"filter": {"range": {"duration_ms": {"gt": 3000}}}},
                     "worst": {"filter": failed, "aggs": {"ids": {"terms": {"field": "request_id", "size": 1}}}}},
            "track_total_hits": true,
        }),
    )
    .await?;
    let count = |path: &str| answer.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let id = |path: &str| answer.pointer(path).and_then(Value::as_str).map(str::to_owned);
    Ok(RecentFacts {
        requests: count("/hits/total/value"),
        failed: count("/aggregations/failed/doc_count"),
        slow: count("/aggregations/slow/doc_count"),
        worst: id("/aggregations/worst/ids/buckets/0/key").or_else(|| id("/hits/hits/0/_source/request_id")),
    })
}

/// Why the last change of the configuration was refused, where that was the last that was said of it.
async fn refused_config(shelf: &Shelf) -> Option<String> {
    let kinds = json!({"bool": {"should": [{"term": {"kind": "config"}}, {"bool": {"filter": [{"term": {"kind": "process"}}, {"match_phrase": {"msg": "started"}}]}}]}});
    let answer = search(shelf, json!({"query": kinds, "sort": [{"seq": "desc"}], "size": 1})).await.ok()?;
    let last = answer.pointer("/hits/hits/0/_source")?;
    (last["msg"] == "configuration refused").then(|| last["error"].as_str().unwrap_or_default().to_owned())
}

/// Dead letters of the last day.
async fn dead(shelf: &Shelf) -> u64 {
    let query =
        json!({"bool": {"filter": [{"term": {"kind": DEAD_LETTER}}, {"range": {"@timestamp": {"gte": "now-1d"}}}]}});
    let answer = search(shelf, json!({"query": query, "size": 0, "track_total_hits": true})).await.unwrap_or_default();
    answer["hits"]["total"]["value"].as_u64().unwrap_or(0)
}

/// Lines of model servers and of the kernel that were collected in the last hour.
async fn indexed_lines(shelf: &Shelf, sources: &[String]) -> Vec<LineFacts> {
    let kernel = json!({"match_phrase": {"msg": "Out of memory"}});
    let query = json!({"bool": {
        "filter": [{"term": {"kind": "log"}}, {"range": {"@timestamp": {"gte": "now-1h"}}}],
        "should": [{"terms": {"source": sources}}, kernel], "minimum_should_match": 1,
    }});
    let answer = search(shelf, json!({"query": query, "sort": [{"@timestamp": "desc"}], "size": LINES_MAX})).await;
    let mut answer = answer.unwrap_or_default();
    let hits = answer.pointer_mut("/hits/hits").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let text = |record: &Value, name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let line = |hit: Value| {
        let record = &hit["_source"];
        LineFacts { source: text(record, "source"), at: text(record, "@timestamp"), text: text(record, "msg") }
    };
    hits.into_iter().rev().map(line).collect()
}

/// The ends of the files that model servers write, which may not be in the index where no house runs.
fn written_lines(config: &Config, sources: &[String], now_ms: i64) -> Vec<LineFacts> {
    let mut lines = Vec::new();
    for source in config.sources.iter().filter(|source| sources.contains(&source.name)) {
        let SourceKind::File(file) = &source.kind else { continue };
        let patterns: Result<Vec<Pattern>, _> = file.paths.iter().map(|path| Pattern::new(path)).collect();
        let Ok(patterns) = patterns else { continue };
        let is_plain = matches!(file.format, LineFormat::Plain);
        for seen in Sight::of(patterns).files.iter().filter(|seen| !seen.is_rotated()) {
            lines.extend(fresh_lines(&source.name, seen.path(), now_ms, is_plain));
        }
    }
    lines
}

fn kernel_lines(root: &Path, now_ms: i64) -> Vec<LineFacts> {
    let lines = KERNEL_LOGS.iter().flat_map(|name| fresh_lines("kernel", &root.join(name), now_ms, false));
    lines
        .filter(|line| {
            line.text.contains("Out of memory") || line.text.contains("oom-kill") || line.text.contains("NVRM")
        })
        .collect()
}

/// Lines of a file's end that are of the last hour. One without a time of its own is of the time of the one before it.
fn fresh_lines(source: &str, path: &Path, now_ms: i64, may_have_no_time: bool) -> Vec<LineFacts> {
    let is_fresh = |ms: i64| (now_ms - LINE_AGE_MS..=now_ms + LINE_AGE_MS).contains(&ms);
    let written = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let written_ms =
        written.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok()).map_or(0, |at| at.as_millis() as i64);
    if !is_fresh(written_ms) {
        return Vec::new();
    }
    let Ok(tail) = tail(path, LINES_BYTES) else { return Vec::new() };
    let text = String::from_utf8_lossy(&tail.bytes);
    let mut at = may_have_no_time.then_some(written_ms);
    let mut lines = Vec::new();
    for line in text.lines().skip(usize::from(tail.is_cut)) {
        at = time_of(line).or(at);
        if let Some(ms) = at.filter(|ms| is_fresh(*ms)) {
            let at = Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |at| at.to_string());
            lines.push(LineFacts { source: source.to_owned(), at, text: line.to_owned() });
        }
    }
    lines.drain(..lines.len().saturating_sub(LINES_MAX));
    lines
}

/// The time that a line begins with: `time=2026-01-27T10:00:00Z`, ISO alone, or syslog's `Jan 27 10:00:00` of this year.
fn time_of(line: &str) -> Option<i64> {
    const SYSLOG_CHARS: usize = 15;
    let iso = line.strip_prefix("time=").unwrap_or(line);
    let word = iso.split_whitespace().next()?.trim_matches('"');
    if let Ok(at) = word.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    let now = jiff::Zoned::now();
    let dated = format!("{} {}", now.year(), line.get(..SYSLOG_CHARS)?);
    let at = jiff::civil::DateTime::strptime("%Y %b %d %H:%M:%S", dated).ok()?;
    Some(at.to_zoned(now.time_zone().clone()).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_chain_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.log");
        assert_eq!(journal(&file), BookFacts::default());
        let mut text = String::new();
        let mut prev = "0".repeat(32);
        for seq in 1..=3 {
            let line = format!("{{\"ts\":\"2026-01-27T10:00:0{seq}.000Z\",\"seq\":{seq},\"prev\":\"{prev}\"}}");
            prev = hash(line.as_bytes());
            text.push_str(&line);
            text.push('\n');
        }
        let of = |text: &str| {
            std::fs::write(&file, text).unwrap();
            journal(&file)
        };
        let sound = of(&format!("{text}{{\"ts\":\"a line under"));
        assert_eq!((sound.newest.unwrap().0, sound.journal_problem), (3, None));
        let changed = of(&text.replace("10:00:02", "10:00:09"));
        assert_eq!(changed.journal_problem.unwrap(), "record 3 does not follow record 2: the chain is broken");
        assert_eq!(of(&format!("{text}junk\n")).journal_problem.unwrap(), "a line after record 3 is no record");
    }

    #[test]
    fn times_of_lines_are_read() {
        let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        assert_eq!(time_of("time=2026-01-27T10:00:00.000Z level=INFO"), Some(ms("2026-01-27T10:00:00Z")));
        assert_eq!(time_of("2026-01-27T10:00:00+08:00 host kernel: x"), Some(ms("2026-01-27T02:00:00Z")));
        assert!(time_of("Jan 27 10:00:00 host kernel: x").is_some());
        assert_eq!(time_of("goroutine 1 [running]:"), None);
    }
}
