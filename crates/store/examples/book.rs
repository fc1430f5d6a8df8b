//! Indexes a journal as the house does, or asks an index, for measuring one without the rest of the house.
//!
//! ```text
//! book index JOURNAL FOLDER              how long it took, and what it cost this process
//! book ask FOLDER QUERIES ROUNDS         milliseconds of each request of a JSON file {name: body}
//! ```

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::sync::watch;
use tollhouse_journal::{Line, Position, Reader};
use tollhouse_query::dsl;
use tollhouse_shape::Shaper;
use tollhouse_store::{Store, StoreOptions};

const SERVICE: &str = "house";
/// The tags of the house as it comes.
const TAGS: [(&str, &str); 2] =
    [("slow_request", "duration_ms:>3000"), ("error_request", "NOT http_status:[200 TO 299]")];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let told = match words[..] {
        ["index", journal, folder] => index(Path::new(journal), Path::new(folder))?,
        ["ask", folder, queries, rounds] => ask(Path::new(folder), Path::new(queries), rounds.parse()?)?,
        _ => return Err("index JOURNAL FOLDER | ask FOLDER QUERIES ROUNDS".into()),
    };
    std::io::Write::write_all(&mut std::io::stdout(), told.as_bytes())?;
    Ok(())
}

fn index(journal: &Path, folder: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let last_seq = last_seq(journal)?;
    let options = StoreOptions { dir: folder.to_owned(), service: SERVICE.to_owned(), keep_days: 0, keep_bytes: 0 };
    let store = Store::open(options)?;
    let (written, _) = watch::channel(last_seq);
    let tags = TAGS.map(|(name, query)| (name.to_owned(), query.to_owned()));
    let began = Instant::now();
    let indexer = store.follow(journal.to_owned(), written.subscribe(), written.subscribe(), Shaper::new(&tags)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(store.wait_indexed(last_seq, Duration::from_hours(1)));
    let indexed = began.elapsed();
    indexer.close()?;
    let closed = began.elapsed();
    let bytes: u64 = store.indices().iter().map(|index| index.bytes).sum();
    let told = serde_json::json!({
        "lines": last_seq, "indexed_s": indexed.as_secs_f64(), "closed_s": closed.as_secs_f64(), "index_bytes": bytes,
    });
    Ok(format!("{told}\n"))
}

fn last_seq(journal: &Path) -> Result<u64, Box<dyn std::error::Error>> {
    // Found by halving, and then read to its end.
    let mut reader = Reader::open(journal, Some(Position { file: String::new(), offset: 0, seq: 1 }))?;
    let mut lines: Vec<Line> = Vec::new();
    let mut last = 0;
    while reader.next_batch(10_000, &mut lines)? > 0 {
        last = lines.last().map_or(last, |line| line.seq);
        lines.clear();
    }
    Ok(last)
}

fn ask(folder: &Path, queries: &Path, rounds: usize) -> Result<String, Box<dyn std::error::Error>> {
    let store = Store::open_read_only(folder, SERVICE)?;
    let queries: Map<String, Value> = serde_json::from_slice(&std::fs::read(queries)?)?;
    let mut told = String::new();
    for (name, body) in &queries {
        let mut times = Vec::new();
        let mut total = 0;
        for _ in 0..rounds {
            let began = Instant::now();
            let answer = store.search("_all", &dsl::parse_search(body)?)?;
            serde_json::to_string(&answer)?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
            total = answer.hits.total.map_or(0, |total| total.value);
        }
        let first = times[0];
        times.sort_by(f64::total_cmp);
        writeln!(told, "{name:24} first {first:9.2} median {:9.2} ms  ({total})", times[times.len() / 2])?;
    }
    Ok(told)
}
